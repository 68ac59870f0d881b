"""A way out for a tip that got stuck: is there a posture from which the same target can be reached?

A step that only ever comes closer can end in a corner of the joint limits although the target is reachable. Then the policy is
run from other starts, one increment per tick so that no tick gets long, and the best end is offered as a posture to move to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array
from nnik_ros.guard import other_postures
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot

_INCREMENTS = 12
_GAIN = 0.5  # an escape must at least halve the error


class Escape:
    """One search at a time, for all tips together."""

    def __init__(self, robot: Robot, policy: Policy) -> None:
        self._robot, self._policy = robot, policy
        self._starts = other_postures(robot)
        self._q: Array = self._starts
        self._target: Array = np.zeros((robot.nt, 3))
        self._left = 0

    @property
    def searching(self) -> bool:
        return self._left > 0

    def begin(self, target: Array) -> None:
        """Search for target (nt, 3) [m]; tips that are not stuck may be given anything finite."""
        self._q, self._target, self._left = self._starts, target, _INCREMENTS

    def advance(self) -> None:
        """One increment from all starts."""
        target = np.broadcast_to(self._target, (len(self._q), *self._target.shape))
        q = self._policy.step(self._q, target)
        self._q = np.where(np.isfinite(q), q, self._starts)
        self._left -= 1

    def found(self, q: Array, tolerance: float) -> tuple[Array, NDArray[np.bool_]]:
        """The best posture (nq,) [rad] of the search, and the tips (nt,) for which it is much better than q (nq,) [rad]."""
        ends = np.vstack([q, self._q])
        gap = self._policy.kinematics.tip_position(ends) - self._target
        error = np.sqrt((gap * gap).sum(axis=-1))  # (starts + 1, nt)
        best = error.argmin(axis=0)
        tip_of_joint = self._policy.kinematics.tip_of_joint
        posture = ends[best[tip_of_joint], np.arange(self._robot.nq)]
        return posture, error.min(axis=0) < np.maximum(_GAIN * error[0], tolerance)
