"""Trust, but check: a proposed step is used for a tip only where forward kinematics proves that it helps."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.geometry import Array, distance
from nnik_ros.kernels import fingers
from nnik_ros.kinematics import Kinematics, Tips
from nnik_ros.policy import Policy

RESOLUTION = 1e-6  # of the reach; a tip closer to its target has arrived, as far as float32 can tell


class Solver(IntEnum):
    """Which step a tip took."""

    NETWORK = 0
    SHORTENED = 1  # a part of the network's step
    STAND_IN = 2  # damped least squares
    HOLD = 3  # nothing helped


LEAST_GAIN = 1e-4  # of the error, that a network must gain
_HOLD = int(Solver.HOLD)  # looking up a member of an enumeration costs a microsecond


class GuardedStep(NamedTuple):
    """q (..., nq) [rad]; error (..., nt) [m] at q; start_error (..., nt) [m] where the step began; solver (..., nt)."""

    q: Array
    error: Array
    start_error: Array
    solver: NDArray[np.int64]


class GuardedPolicy:
    """Per tip the first of these that brings the tip closer: the policy's step, parts of it, the quick and the careful
    damped least-squares step; else its joints stay. The error of a tip therefore never increases."""

    name = "guarded"
    _fractions = (0.5, 0.25)

    def __init__(self, policy: Policy, stand_in: DampedLeastSquares) -> None:
        self.policy = policy
        self.robot = policy.robot
        self.kinematics = policy.kinematics
        self._stand_in = stand_in
        self.tip_of_joint = self.kinematics.tip_of_joint
        self._resolution = RESOLUTION * self.kinematics.reach

    def step(self, q: Array, target: Array) -> Array:
        """See `Policy.step`."""
        return self.checked_step(q, target).q

    def checked_step(
        self, q: Array, target: Array, *, use_policy: bool = True, look_ahead: bool = False, tips: Tips | None = None
    ) -> GuardedStep:
        """One checked increment from q (..., nq) to target (..., nt, 3). use_policy=False: the stand-in alone; look_ahead: two
        of the policy's steps, too, where one does not help; tips: at q, where they are known already."""
        batch, nt, depth = q.shape[:-1], self.kinematics.nt, self.kinematics.depth
        rows, goals = rows_of(self.kinematics, q, target)
        if tips is None:
            position = self.kinematics.tip_position(rows)
        else:
            tips = Tips(tips.position.reshape(-1, nt, 3), tips.jacobian.reshape(-1, nt, 3, depth))
            position = tips.position
        start, arrived, all_arrived = fingers.to_go(position, goals, self._resolution)
        if all_arrived:
            step = GuardedStep(rows, start, start, np.full(start.shape, _HOLD))
        elif use_policy:
            first = proposed(self.policy, q, target)
            step = self._checked(rows, first, goals, start, arrived, tips, look_ahead)
        else:
            step = self._best_of([rows], [Solver.HOLD], tips or self.kinematics.tips(rows), goals)
        if not batch:
            return GuardedStep(step.q[0], step.error[0], step.start_error[0], step.solver[0])
        shape = (*batch, nt)
        return GuardedStep(
            step.q.reshape(q.shape),
            step.error.reshape(shape),
            step.start_error.reshape(shape),
            step.solver.reshape(shape),
        )

    def _checked(
        self, q: Array, first: Array, target: Array, start: Array, arrived: NDArray[np.bool_], tips: Tips | None,
        look_ahead: bool,
    ) -> GuardedStep:  # fmt: skip
        """The policy's first step (n, nq) from q, where it helps; else the best of all that there is."""
        first, after, helps, all_help = fingers.gained(
            q, first, *self.kinematics.model, target, start, self._resolution, LEAST_GAIN
        )
        if all_help:  # the usual case: done after one check
            return GuardedStep(first, after, start, np.zeros(start.shape, dtype=np.int64))  # Solver.NETWORK
        step = self._choose(np.stack([q, first]), np.array([Solver.HOLD, Solver.NETWORK]), np.stack([start, after]))
        rows = ~(helps | arrived).all(axis=-1)
        if rows.any():
            here = Tips(*(x[rows] for x in tips)) if tips else self.kinematics.tips(q[rows])
            careful = self._more(q[rows], first[rows], here, target[rows], look_ahead)
            for whole, part in zip(step, careful, strict=True):
                whole[rows] = part
        return step

    def _more(self, q: Array, first: Array, tips: Tips, target: Array, look_ahead: bool) -> GuardedStep:
        """The best of all that there is, for rows in which the first step does not help every tip."""
        candidates, solvers = [q, first], [Solver.HOLD, Solver.NETWORK]
        if look_ahead:  # a way around a joint limit may begin with a step away from the target
            candidates.append(_finite(self.policy.step(first, target), q))
            solvers.append(Solver.NETWORK)
        candidates += [q + f * (first - q) for f in self._fractions]
        solvers += [Solver.SHORTENED] * len(self._fractions)
        return self._best_of(candidates, solvers, tips, target)

    def _best_of(self, candidates: list[Array], solvers: list[Solver], tips: Tips, target: Array) -> GuardedStep:
        """These, or else a step of the stand-in; the first candidate is the present position."""
        q = candidates[0]
        stand_in = [self._stand_in.step_from(q, tips, target, careful=careful) for careful in (False, True)]
        stacked = np.stack([*candidates, *stand_in])
        errors = distance(self.kinematics.tip_position(stacked), target)
        return self._choose(stacked, np.array([*solvers, Solver.STAND_IN, Solver.STAND_IN]), errors)

    def _least_gain(self, start: Array) -> Array:
        """What a network must gain (..., nt) [m]: one that goes nowhere gains a little by the rounding of its answer."""
        least: Array = np.minimum(self._resolution, LEAST_GAIN * start)
        return least

    def _choose(self, candidates: Array, solvers: NDArray[np.int64], errors: Array) -> GuardedStep:
        """candidates (n, ..., nq) with the present position first, solvers (n,), errors (n, ..., nt)."""
        start = errors[0]
        helps = errors < start
        of_network = solvers <= Solver.SHORTENED
        helps[of_network] &= start - errors[of_network] > self._least_gain(start)
        helps[0] = ~helps.any(axis=0)
        choice = helps.argmax(axis=0)  # (..., nt)
        q = np.take_along_axis(candidates, choice[..., self.tip_of_joint][None], axis=0)[0]
        error = np.take_along_axis(errors, choice[None], axis=0)[0]
        return GuardedStep(q, error, start, solvers[choice])


def rows_of(kinematics: Kinematics, q: Array, target: Array) -> tuple[Array, Array]:
    """q (..., nq) and target (..., nt, 3) as the kernels take them: (n, nq) and (n, nt, 3)."""
    if target.shape[:-2] != q.shape[:-1]:
        target = np.broadcast_to(target, (*q.shape[:-1], kinematics.nt, 3))
    return np.ascontiguousarray(q).reshape(-1, kinematics.nq), np.ascontiguousarray(target).reshape(
        -1, kinematics.nt, 3
    )


def proposed(policy: Policy, q: Array, target: Array) -> Array:
    """The policy's step (n, nq) from q (..., nq).

    Raises:
        ValueError: it has another shape than q.
    """
    step = policy.step(q, target)
    if step.shape != q.shape:
        raise ValueError(f"{policy.name}: a step has shape {step.shape}, must have {q.shape}")
    return np.ascontiguousarray(step).reshape(-1, q.shape[-1])


def _finite(step: Array, q: Array) -> Array:
    """The step, without the numbers that are not finite."""
    finite = np.isfinite(step)
    return step if np.count_nonzero(finite) == step.size else np.where(finite, step, q)
