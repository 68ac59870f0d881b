"""Trust, but check: a proposed step is used for a tip only where forward kinematics proves that it helps."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.baseline import LARGEST_STEP, RELATIVE_DAMPING, SMALLEST_DAMPING, DampedLeastSquares
from nnik_ros.geometry import Array, distance
from nnik_ros.kernels import fingers
from nnik_ros.kinematics import Tips
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot

_RESOLUTION = 1e-6  # of the reach; a tip closer to its target has arrived, as far as float32 can tell


class Solver(IntEnum):
    """Which step a tip took."""

    NETWORK = 0
    SHORTENED = 1  # a part of the network's step
    STAND_IN = 2  # damped least squares
    HOLD = 3  # nothing helped


_LEAST_GAIN = 1e-4  # of the error
_STANDS, _FAR = 0.9, 100.0  # of the error before the step, and resolutions: such a tip stands still far from its target
_ANEW, _MUCH_CLOSER = 8, 0.5  # steps from another posture, and the share of the error that they must undercut
_POLISHING, _GOOD = (
    2,
    1e-4,
)  # steps of damped least squares after one of the solver, and of the reach: a tip that needs none
_SPREAD = 6  # postures to start anew from, beside home and the middle of the limits
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
        self._resolution = _RESOLUTION * self.kinematics.reach
        self._postures = other_postures(self.robot)

    def step(self, q: Array, target: Array) -> Array:
        """See `Policy.step`. As a solver, not for a control loop: the policy's step is followed by two steps of damped least
        squares, checked alike, which double the digits. Where it does not help every tip, the best of all that there is is
        taken; and a tip that then all but stands still far from its target starts anew."""
        rows, goals = self._rows(q, target)
        first = np.ascontiguousarray(self._proposed(q, target)).reshape(rows.shape)
        end, easy, all_easy = self._polished(rows, first, goals)
        if not all_easy:
            hard = ~easy
            end[hard] = self._hard_step(rows[hard], goals[hard])
        return end.reshape(q.shape)

    def _hard_step(self, q: Array, target: Array) -> Array:
        step = self.checked_step(q, target, look_ahead=True)
        stands = (step.error > _STANDS * step.start_error) & (step.error > _FAR * self._resolution)
        end = self._start_anew(step, target, stands) if np.count_nonzero(stands) else step.q
        return self._polished(q, np.ascontiguousarray(end), target)[0]

    def _polished(self, q: Array, q_next: Array, target: Array) -> tuple[Array, NDArray[np.bool_], bool]:
        """See `fingers.solved`."""
        solved: tuple[Array, NDArray[np.bool_], bool] = fingers.solved(
            q, q_next, target, *self.kinematics.model, self.robot.lower, self.robot.upper, self.kinematics.reach, _RESOLUTION,
            _LEAST_GAIN, _STANDS, _FAR * _RESOLUTION, _GOOD, _POLISHING, RELATIVE_DAMPING, SMALLEST_DAMPING, LARGEST_STEP,
        )  # fmt: skip
        return solved

    def _start_anew(self, step: GuardedStep, target: Array, stands: NDArray[np.bool_]) -> Array:
        rows = stands.any(axis=-1)
        goal = np.broadcast_to(target, (*step.error.shape, 3))[rows]
        q = np.repeat(self._postures[:, None], len(goal), axis=1)  # (postures, rows, nq)
        goals = np.broadcast_to(goal, (len(q), *goal.shape))
        for _ in range(_ANEW):
            q = self.policy.step(q, goals)
        error = distance(self.kinematics.tip_position(q), goals)
        error = np.where(np.isnan(error), np.inf, error)  # (postures, rows, nt)
        best = error.argmin(axis=0)
        better = stands[rows] & (error.min(axis=0) < _MUCH_CLOSER * step.error[rows])
        found = np.take_along_axis(q, best[..., self.tip_of_joint][None], axis=0)[0]
        result = step.q.copy()
        result[rows] = np.where(better[..., self.tip_of_joint], found, result[rows])
        return result

    def checked_step(
        self, q: Array, target: Array, *, use_policy: bool = True, look_ahead: bool = False, tips: Tips | None = None
    ) -> GuardedStep:
        """One checked increment from q (..., nq) to target (..., nt, 3). use_policy=False: the stand-in alone; look_ahead: two
        of the policy's steps, too, where one does not help; tips: at q, where they are known already."""
        batch, nt, depth = q.shape[:-1], self.kinematics.nt, self.kinematics.depth
        rows, goals = self._rows(q, target)
        if tips is None:
            position = self.kinematics.tip_position(rows)
        else:
            tips = Tips(tips.position.reshape(-1, nt, 3), tips.jacobian.reshape(-1, nt, 3, depth))
            position = tips.position
        start, arrived, all_arrived = fingers.to_go(position, goals, self._resolution)
        if all_arrived:
            step = GuardedStep(rows, start, start, np.full(start.shape, _HOLD))
        elif use_policy:
            first = np.ascontiguousarray(self._proposed(q, target)).reshape(rows.shape)
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

    def _rows(self, q: Array, target: Array) -> tuple[Array, Array]:
        """q (n, nq) and target (n, nt, 3), as the kernels take them."""
        nq, nt = self.kinematics.nq, self.kinematics.nt
        if target.shape[:-2] != q.shape[:-1]:
            target = np.broadcast_to(target, (*q.shape[:-1], nt, 3))
        return np.ascontiguousarray(q).reshape(-1, nq), np.ascontiguousarray(target).reshape(-1, nt, 3)

    def _proposed(self, q: Array, target: Array) -> Array:
        """The policy's step. Raises ValueError: it has another shape than q."""
        step = self.policy.step(q, target)
        if step.shape != q.shape:
            raise ValueError(f"{self.policy.name}: a step has shape {step.shape}, must have {q.shape}")
        return step

    def _checked(
        self, q: Array, first: Array, target: Array, start: Array, arrived: NDArray[np.bool_], tips: Tips | None,
        look_ahead: bool,
    ) -> GuardedStep:  # fmt: skip
        """The policy's first step (n, nq) from q, where it helps; else the best of all that there is."""
        first, after, helps, all_help = fingers.gained(
            q, first, *self.kinematics.model, target, start, self._resolution, _LEAST_GAIN
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
        least: Array = np.minimum(self._resolution, _LEAST_GAIN * start)
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


def other_postures(robot: Robot) -> Array:
    """Where a tip that got stuck may start anew: (8, nq) [rad], the same ones every time."""
    spread = robot.random_joint_position(np.random.default_rng(0), _SPREAD)
    return np.vstack([robot.home, 0.5 * (robot.lower + robot.upper), spread])


def _finite(step: Array, q: Array) -> Array:
    """The step, without the numbers that are not finite."""
    finite = np.isfinite(step)
    return step if np.count_nonzero(finite) == step.size else np.where(finite, step, q)
