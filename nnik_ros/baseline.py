"""Damped least squares with joint limits: the classical step, baseline of every table and stand-in for the network."""

from __future__ import annotations

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.kinematics import Kinematics, Tips
from nnik_ros.robot import Robot

_RELATIVE_DAMPING = 0.1  # of the error over the reach: fast near the target, careful far away
_SMALLEST_DAMPING = 1e-4  # keeps a stretched finger finite
_LARGEST_STEP = 0.5  # rad; the linearisation is worthless beyond


class DampedLeastSquares:
    """Levenberg-Marquardt step per tip with damping proportional to the error (Sugihara, "Solvability-Unconcerned Inverse
    Kinematics by the Levenberg-Marquardt Method", IEEE T-RO 2011) and an active set: a joint that would leave its limits
    is put on them and the others solve for what remains."""

    name = "damped_least_squares"

    def __init__(self, robot: Robot, kinematics: Kinematics | None = None) -> None:
        self.robot = robot
        self.kinematics = kinematics or robot.kinematics
        chain = self.kinematics.topology.chain
        self._index = np.maximum(chain, 0)
        self._real = chain >= 0
        self._lower = np.where(self._real, robot.lower[self._index], 0.0)
        self._upper = np.where(self._real, robot.upper[self._index], 0.0)
        self._scale = 1.0 / self.kinematics.reach[:, None]

    def step(self, q: Array, target: Array) -> Array:
        """See `Policy.step`."""
        return self.step_from(q, self.kinematics.tips(q), target)

    def step_from(self, q: Array, tips: Tips, target: Array, *, careful: bool = False) -> Array:
        """The step at q (..., nq) whose tips are already known.

        careful: damped by the error itself, which outweighs the curvature that the linearisation leaves out. Slow, but a
        descent also at a stretched finger before a target out of reach, where the quick step overshoots.
        """
        error = (target - tips.position) * self._scale  # (..., nt, 3), lengths in units of the reach
        J = tips.jacobian * self._scale[..., None]
        chain_q = q[..., self._index]
        low, high = self._lower - chain_q, self._upper - chain_q
        size = np.linalg.norm(error, axis=-1)[..., None, None]
        damping = (size if careful else (_RELATIVE_DAMPING * size) ** 2) + _SMALLEST_DAMPING**2
        dq = _solve(J, error, damping)
        for _ in range(
            2
        ):  # two joints of a chain may be at their limits together; a third would leave nothing to solve
            fixed = (dq <= low) | (dq >= high)
            at_limit = np.where(fixed, np.clip(dq, low, high), 0.0)
            rest = error - (J @ at_limit[..., None])[..., 0]
            dq = at_limit + _solve(np.where(fixed[..., None, :], 0.0, J), rest, damping)
        largest = np.abs(dq).max(axis=-1, keepdims=True)
        dq = dq * np.minimum(1.0, _LARGEST_STEP / np.maximum(largest, _LARGEST_STEP))
        step = np.array(np.broadcast_to(q, (*dq.shape[:-2], q.shape[-1])))
        step[..., self._index[self._real]] += dq[..., self._real]
        return np.clip(step, self.robot.lower, self.robot.upper)


def _solve(J: Array, error: Array, damping: Array) -> Array:
    """J^T (J J^T + damping I)^-1 error for J (..., 3, n)."""
    Jt = np.swapaxes(J, -1, -2)
    solution: Array = (Jt @ np.linalg.solve(J @ Jt + damping * np.eye(3), error[..., None]))[..., 0]
    return solution
