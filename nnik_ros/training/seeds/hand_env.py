"""The hand as a gymnasium environment: bring every tip to its target.

Importing this module registers `AllegroHand-v0`; `gymnasium.make("AllegroHand-v0", physics=True)` is the MuJoCo variant.
An action is a small motion of the joints: one joint up or down (discrete) or all joints at once (continuous).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array, finite
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot

ENV_ID, EPISODE = "AllegroHand-v0", 50
TICK = 0.1  # s that pass in MuJoCo for one action
WIDEST = 5.0  # bound of every observation
_ERROR_SCALE = 5.0  # of tip errors in reaches: most are a fraction of one
_ARRIVED = 0.02  # reaches
_BONUS = 1.0


class HandEnv(gymnasium.Env[NDArray[np.float32], Any]):
    """Observation (nq + 6 nt,): see `observation`. Reward: how much nearer all tips came, in mean reaches times ten, and a
    bonus when all have arrived, which ends the episode; TimeLimit of the registration truncates it."""

    metadata = {"render_modes": []}  # noqa: RUF012, the name and kind that gymnasium wants

    def __init__(
        self, robot: str = "allegro_right", *, discrete: bool = True, step: float = 0.1, near: float = 1.0,
        physics: bool = False,
    ) -> None:  # fmt: skip
        """robot: name or file; step [rad]: motion of one action; near: how far a goal lies from the start, as a share of the
        way to a random pose; physics: MuJoCo moves the joints instead of their being where they are sent.

        Raises:
            InputError: no such robot, or none that can be simulated; a step or a share that is not above 0, a share above 1.
        """
        if not (0.0 < step < math.inf and 0.0 < near <= 1.0):
            raise InputError(
                f"step is {step}, must be above 0 rad and finite; near is {near}, must be above 0, at most 1"
            )
        path = robot_file(robot)
        self.robot = load_robot(path)
        self.step_size, self.near = step, near
        size = self.robot.nq + 6 * self.robot.nt
        self.observation_space = spaces.Box(-WIDEST, WIDEST, (size,), np.float32)
        self.moves = joint_moves(self.robot.nq, step)
        self.action_space = (
            spaces.Discrete(len(self.moves)) if discrete else spaces.Box(-1.0, 1.0, (self.robot.nq,), np.float32)
        )
        self._discrete = discrete
        self._sim = _simulation(path, self.robot) if physics else None
        self._q, self._target = self.robot.home, self.robot.kinematics.tip_position(self.robot.home)
        self._command = self._q

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """A random start and a target that is reachable from it. options: `q` (nq,) [rad] and `target` (nt, 3) [m] in place
        of random ones.

        Raises:
            InputError: an option of another name or shape, or not finite; all is as it was, the random numbers, too.
        """
        shapes, given = {"q": self._q.shape, "target": self._target.shape}, options or {}
        if unknown := ", ".join(sorted(given.keys() - shapes)):
            raise InputError(f"options {unknown} are unknown, must be of q and target")
        arrays = {name: finite(name, value, shapes[name]) for name, value in given.items()}
        super().reset(seed=seed)
        q, goal = self.robot.random_joint_position(self.np_random, 2)
        goal = q + self.near * (goal - q)
        self._q = self._command = arrays.get("q", q)
        self._target = arrays.get("target", self.robot.kinematics.tip_position(goal))
        if self._sim is not None:
            self._sim.reset(self._q)
        return self._observe(), self._info()

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move; see the class for the reward.

        Raises:
            InputError: no action of this environment, or one that is not finite; nothing moved.
        """
        if self._discrete and not self.action_space.contains(action):
            raise InputError(f"action is {action}, must be a whole number within [0, {len(self.moves) - 1}]")
        dq = self.moves[action] if self._discrete else self.step_size * finite("action", action, self._q.shape)
        before = self._errors()
        self._command = np.clip(
            (self._q if self._sim is None else self._command) + dq, self.robot.lower, self.robot.upper
        )
        if self._sim is None:
            self._q = self._command
        else:
            self._sim.command(self._command)
            self._sim.step(TICK)
            self._q = self._sim.q
        after = self._errors()
        arrived = bool((after < _ARRIVED).all())
        reward = 10.0 * float((before - after).mean()) + _BONUS * arrived
        return self._observe(), reward, arrived, False, self._info()

    def _observe(self) -> NDArray[np.float32]:
        tip = self.robot.kinematics.tip_position(self._q)
        return observation(self.robot, self._q, tip, self._target)

    def _errors(self) -> Array:
        """Tip errors (nt,) in reaches."""
        tip = self.robot.kinematics.tip_position(self._q)
        errors: Array = np.linalg.norm(tip - self._target, axis=-1) / self.robot.kinematics.reach
        return errors

    def _info(self) -> dict[str, Any]:
        return {"joint_position": self._q.copy(), "tip_error": self._errors() * self.robot.kinematics.reach}


def observation(robot: Robot, q: Array, tip: Array, target: Array) -> NDArray[np.float32]:
    """What a network sees, in float32: joints in half ranges from the middle, tips in reaches, what is missing to the targets
    in fifths of reaches; q (nq,), tip and target (nt, 3)."""
    center, scale, reach = scaling(robot)
    error = (target - tip) * _ERROR_SCALE / reach
    values = np.concatenate([(q - center) / scale, (tip / reach).ravel(), error.ravel()])
    return np.clip(values, -WIDEST, WIDEST).astype(np.float32)


def scaling(robot: Robot) -> tuple[Array, Array, float]:
    """Middle and half range of every joint (nq,) [rad], and the length of the longest chain [m]."""
    half = 0.5 * (robot.upper - robot.lower)
    return robot.lower + half, half, float(robot.kinematics.reach.max())


def graph_observation(robot: Robot, graph: Any, q: Any, target: Any, tip: Any) -> Any:
    """`observation` in a graph: q (batch, nq), target and tip (batch, nt, 3); returns (batch, nq + 6 nt)."""
    center, scale, reach = scaling(robot)
    joints = (q + (-center).astype(np.float32)) * (1.0 / scale).astype(np.float32)
    flat = (-1, 3 * robot.nt)
    parts = [
        joints,
        graph.reshape(tip, flat) * (1.0 / reach),
        graph.reshape(target - tip, flat) * (_ERROR_SCALE / reach),
    ]
    return graph.minimum(graph.maximum(graph.concatenate(parts, -1), -WIDEST), WIDEST)


def joint_moves(nq: int, step: float) -> Array:
    """The discrete actions (2 nq, nq) [rad]: each joint up, then each down."""
    return np.concatenate([np.eye(nq), -np.eye(nq)]) * step


def _simulation(path: Path, robot: Robot) -> Any:
    """The robot of a file in MuJoCo, as the folder beside the file says that it behaves."""
    from nnik_ros.sim.hand import SimHand
    from nnik_ros.sim.options import find_sim_file, load_sim_options

    return SimHand(robot, load_sim_options(find_sim_file(path.parent / "simulation", robot.name), robot))


gymnasium.register(ENV_ID, entry_point=f"{__name__}:HandEnv", max_episode_steps=EPISODE)
