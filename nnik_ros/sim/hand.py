"""A simulated robot that answers as the real one: position commands into a weak PD, never clamped, held for ever."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array, finite
from nnik_ros.robot import Robot
from nnik_ros.sim.model import body_name, build_model
from nnik_ros.sim.options import SimOptions


class SimHand:
    """One robot in MuJoCo; starts at rest in the robot's home pose and holds it.

    `model` and `data` are MuJoCo's own, for pictures; all other values are in the robot's joint and tip order.
    """

    def __init__(self, robot: Robot, options: SimOptions) -> None:
        self.robot = robot
        self.options = options
        self.model: Any = build_model(robot, options)
        self.data: Any = mujoco.MjData(self.model)
        ids = [self.model.joint(name).id for name in robot.joint_names]
        self._qpos = self.model.jnt_qposadr[ids]
        self._qvel = self.model.jnt_dofadr[ids]
        self._tips = [self.model.body(body_name(link)).id for link in robot.tip_links]
        self._owed = 0.0
        self.reset(robot.home)

    def reset(self, q: ArrayLike) -> None:
        """Stand still at q (nq,) [rad] with the command set to q, as the real driver holds the pose it finds.

        Raises:
            InputError: q is not nq finite numbers.
        """
        q = self._checked(q, "joint positions")
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self._qpos] = q
        self.data.ctrl[:] = q
        self._owed = 0.0
        mujoco.mj_forward(self.model, self.data)

    def command(self, q: ArrayLike) -> None:
        """Set the position that the PD pulls to, (nq,) [rad], until the next command; as on the real hand not clamped.

        Raises:
            InputError: q is not nq finite numbers.
        """
        self.data.ctrl[:] = self._checked(q, "commands")

    def step(self, dt: float) -> None:
        """Let dt [s] pass. Physics advances by whole time steps; a remainder is kept for the next call.

        Raises:
            InputError: dt is negative or not finite.
        """
        if not (np.isfinite(dt) and dt >= 0.0):
            raise InputError(f"dt is {dt}, must be finite and not negative [s]")
        self._owed += dt
        steps = int(self._owed / self.options.timestep + 1e-6)
        self._owed -= steps * self.options.timestep
        if steps:
            mujoco.mj_step(self.model, self.data, steps)
            mujoco.mj_kinematics(self.model, self.data)  # mj_step leaves the poses one step behind the joints

    @property
    def time(self) -> float:
        """Simulated time since the last reset [s]."""
        return float(self.data.time)

    @property
    def q(self) -> Array:
        """Joint position (nq,) [rad]."""
        return np.array(self.data.qpos[self._qpos])

    @property
    def dq(self) -> Array:
        """Joint velocity (nq,) [rad/s]."""
        return np.array(self.data.qvel[self._qvel])

    @property
    def torque(self) -> Array:
        """Torque of the drives in the last physics step (nq,) [N m]."""
        return np.array(self.data.actuator_force)

    def tip_position(self) -> Array:
        """Tips as MuJoCo sees them, independent of the package's kinematics: (nt, 3) [m] in the base frame."""
        return np.array(self.data.xpos[self._tips])

    def _checked(self, q: ArrayLike, what: str) -> Array:
        return finite(f"{what} of '{self.robot.name}'", q, (self.robot.nq,))
