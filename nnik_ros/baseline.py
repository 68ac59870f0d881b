"""Damped least squares with joint limits: the classical step, baseline of every table and stand-in for the network."""

from __future__ import annotations

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.kernels import fingers
from nnik_ros.kinematics import Kinematics, Tips
from nnik_ros.robot import Robot

RELATIVE_DAMPING = 0.1  # of the error over the reach: fast near the target, careful far away
SMALLEST_DAMPING = 1e-4  # keeps a stretched finger finite
_ARRIVED = 1e-6  # of the reach
LARGEST_STEP = 0.5  # rad; the linearisation is worthless beyond


class DampedLeastSquares:
    """Levenberg-Marquardt step per tip with damping proportional to the error (Sugihara, "Solvability-Unconcerned Inverse
    Kinematics by the Levenberg-Marquardt Method", IEEE T-RO 2011) and an active set: a joint that would leave its limits
    is put on them and the others solve for what remains."""

    name = "damped_least_squares"

    def __init__(self, robot: Robot, kinematics: Kinematics | None = None) -> None:
        """kinematics: the calibrated geometry; the robot's own when absent. Raises InputError: that of another robot."""
        self.robot = robot
        self.kinematics = robot.calibrated_or_own(kinematics)
        self._reach = self.kinematics.reach

    def step(self, q: Array, target: Array) -> Array:
        """See `Policy.step`."""
        return self.step_from(q, self.kinematics.tips(q), target)

    def step_from(self, q: Array, tips: Tips, target: Array, *, careful: bool = False) -> Array:
        """The step from q (..., nq) [rad], whose tips are already known, to target (..., nt, 3) [m].

        careful: damped by the error itself, which outweighs the curvature that the linearisation leaves out. Slow, but a
        descent also at a stretched finger before a target out of reach, where the quick step overshoots.
        """
        rows, goals = self.kinematics.rows(q, target)
        position = np.ascontiguousarray(tips.position, dtype=np.float64).reshape(goals.shape)
        jacobian = np.ascontiguousarray(tips.jacobian, dtype=np.float64).reshape(*goals.shape, self.kinematics.depth)
        step: Array = fingers.damped_least_squares(
            rows, position, jacobian, goals, self.kinematics.topology.chain, self.robot.lower, self.robot.upper, self._reach,
            careful, RELATIVE_DAMPING, SMALLEST_DAMPING, LARGEST_STEP,
        )  # fmt: skip
        return step.reshape(q.shape)

    def descent(self, q: Array, target: Array, steps: int) -> Array:
        """At most some steps from q (..., nq) to target (..., nt, 3), tip by tip, each only if it brings the tip closer."""
        rows, goals = self.kinematics.rows(q, target)
        end: Array = fingers.solved(
            rows, rows, goals, *self.kinematics.model, self.robot.lower,
            self.robot.upper, self._reach, 0.0, 0.0, 0.0, 0.0, _ARRIVED, steps, RELATIVE_DAMPING, SMALLEST_DAMPING,
            LARGEST_STEP,
        )[0]  # fmt: skip
        return end.reshape(q.shape)
