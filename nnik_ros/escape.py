"""A way out for a tip that got stuck: is there a posture from which the same target can be reached?

A step that only ever comes closer can end in a corner of the joint limits although the target is reachable. Then the policy is
run from other starts, one increment per tick so that no tick gets long, and the best end is offered as a posture to move to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.geometry import Array, distance
from nnik_ros.kinematics import Kinematics
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot

_INCREMENTS, _CLASSICAL = 12, 3  # of the policy, and steps of damped least squares beside each
POSTURES = 10  # to start from: four given ones and random ones
_INSIDE = 0.01  # of the joints' ranges; how far from all lower and from all upper limits two others are
_GAIN, _WORTH = 0.5, 0.003  # of the error, and of the reach: what an escape must gain, the smaller of both


class Escape:
    """One search at a time, for all tips together: with the policy and with damped least squares alone, for they get stuck in
    different corners."""

    def __init__(self, policy: Policy, stand_in: DampedLeastSquares) -> None:
        self._policy, self._stand_in = policy, stand_in
        self._starts = other_postures(policy.robot)
        self._q = self._classical = self._starts
        self._target: Array = np.zeros((policy.robot.nt, 3))
        self._left = 0

    @property
    def searching(self) -> bool:
        return self._left > 0

    def begin(self, target: Array) -> None:
        """Search for target (nt, 3) [m]; tips that are not stuck may be given anything finite."""
        self._q = self._classical = self._starts
        self._target, self._left = target, _INCREMENTS

    def advance(self) -> None:
        """One increment from all starts."""
        target = self._targets(len(self._starts))
        q = self._policy.step(self._q, target)
        self._q = np.where(np.isfinite(q), q, self._starts)
        self._classical = self._stand_in.descent(self._classical, target, _CLASSICAL)
        self._left -= 1

    def found(self, q: Array, tolerance: float, stays: NDArray[np.bool_]) -> tuple[Array, NDArray[np.bool_]]:
        """The best posture (nq,) [rad] of the search, and the tips (nt,) for which it is better enough than q (nq,) [rad].
        stays (nt,): the goal is where it was; before one that trembles, q is always a little late."""
        ends, kinematics = np.vstack([q, self._q, self._classical]), self._policy.kinematics
        posture, error = best_end(kinematics, ends, self._targets(len(ends)))
        present = distance(kinematics.tip_position(q), self._target)
        worth = np.where(stays, _WORTH * kinematics.reach, np.inf)  # out of reach, no posture halves the error
        gain = np.minimum(_GAIN * present, worth)
        return posture, error < np.maximum(present - gain, tolerance)

    def _targets(self, n: int) -> Array:
        return np.broadcast_to(self._target, (n, *self._target.shape))


def other_postures(robot: Robot) -> Array:
    """Where a tip that got stuck may start anew: (POSTURES, nq) [rad], the same ones every time. Some places can be reached
    only from a corner of the limits, as with a finger that bends backwards a little."""
    inside = _INSIDE * (robot.upper - robot.lower)
    given = [robot.home, 0.5 * (robot.lower + robot.upper), robot.lower + inside, robot.upper - inside]
    return np.vstack([*given, robot.random_joint_position(np.random.default_rng(0), POSTURES - len(given))])


def best_end(kinematics: Kinematics, ends: Array, target: Array) -> tuple[Array, Array]:
    """Of ends (k, ..., nq) [rad] the best for each tip, target (k, ..., nt, 3): joints (..., nq) and errors (..., nt) [m]."""
    error = distance(kinematics.tip_position(ends), target)
    error = np.where(np.isnan(error), np.inf, error)
    best = error.argmin(axis=0)[..., kinematics.tip_of_joint]
    return np.take_along_axis(ends, best[None], axis=0)[0], error.min(axis=0)
