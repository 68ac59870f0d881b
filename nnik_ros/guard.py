"""Trust, but check: a proposed step is used for a tip only where forward kinematics proves that it helps."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.geometry import Array
from nnik_ros.policy import Policy


class Solver(IntEnum):
    """Which step a tip took."""

    NETWORK = 0
    SHORTENED = 1  # a part of the network's step
    STAND_IN = 2  # damped least squares
    HOLD = 3  # nothing helped


class GuardedStep(NamedTuple):
    """q (..., nq) [rad]; error (..., nt) [m] at q; start_error (..., nt) [m] where the step began; solver (..., nt)."""

    q: Array
    error: Array
    start_error: Array
    solver: NDArray[np.int64]


class GuardedPolicy:
    """Per tip the first of: the policy's step, parts of it, the damped least-squares step and parts of it, that brings the
    tip closer to its target; else the tip's joints stay. The error of a tip therefore never increases."""

    name = "guarded"
    _fractions = (0.5, 0.25)

    def __init__(self, policy: Policy, stand_in: DampedLeastSquares) -> None:
        self.policy = policy
        self.robot = policy.robot
        self.kinematics = policy.kinematics
        self._stand_in = stand_in
        chain = self.kinematics.topology.chain
        self._tip_of_joint = np.empty(self.robot.nq, dtype=np.int64)
        for tip, joints in enumerate(chain):
            self._tip_of_joint[joints[joints >= 0]] = tip

    def step(self, q: Array, target: Array) -> Array:
        """See `Policy.step`."""
        return self.checked_step(q, target).q

    def checked_step(self, q: Array, target: Array, *, use_policy: bool = True) -> GuardedStep:
        """One checked increment from q (..., nq) to target (..., nt, 3). use_policy=False: the stand-in alone."""
        frames = self.kinematics.frames(q)
        start = _distance(frames.tip_position, target)
        candidates: list[Array] = []
        if use_policy:
            first = self.policy.step(q, target)
            error = _distance(self.kinematics.tip_position(first), target)
            if (error < start).all():  # the usual case: done after one check (NaN compares false)
                return GuardedStep(first, error, start, np.full(start.shape, Solver.NETWORK))
            candidates = [first] + [q + f * (first - q) for f in self._fractions]
        solvers = [Solver.NETWORK] + [Solver.SHORTENED] * len(self._fractions) if use_policy else []
        damped = self._stand_in.step_from(q, frames, target)
        candidates += [damped] + [q + f * (damped - q) for f in self._fractions] + [q]
        solvers += [Solver.STAND_IN] * (1 + len(self._fractions)) + [Solver.HOLD]
        return self._choose(np.stack(candidates), np.array(solvers), start, target)

    def _choose(self, candidates: Array, solvers: NDArray[np.int64], start: Array, target: Array) -> GuardedStep:
        errors = _distance(self.kinematics.tip_position(candidates), target)  # (candidates, ..., nt)
        helps = errors < start
        helps[-1] = True  # holding is always allowed
        choice = helps.argmax(axis=0)  # (..., nt)
        q = np.take_along_axis(candidates, choice[..., self._tip_of_joint][None], axis=0)[0]
        error = np.take_along_axis(errors, choice[None], axis=0)[0]
        return GuardedStep(q, error, start, solvers[choice])


def _distance(position: Array, target: Array) -> Array:
    difference = position - target
    distance: Array = np.sqrt((difference * difference).sum(axis=-1))
    return distance
