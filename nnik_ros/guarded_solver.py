"""The guarded network as a solver: step after step to the target, with nothing between the steps that a hand would feel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.baseline import LARGEST_STEP, RELATIVE_DAMPING, SMALLEST_DAMPING, DampedLeastSquares
from nnik_ros.errors import InputError
from nnik_ros.escape import best_end, other_postures
from nnik_ros.geometry import Array
from nnik_ros.guard import LEAST_GAIN, RESOLUTION, GuardedPolicy, GuardedStep, proposed
from nnik_ros.kernels import fingers
from nnik_ros.policy import Policy

POLISHING = 2  # steps of damped least squares after the network's
_GOOD = 1e-4  # of the reach; a tip that needs none of them
_STANDS, _FAR = 0.9, 1e-4  # of the error before the step, and of the reach: such a tip stands still far from its target
ANEW, CLASSICAL = 8, 30  # steps from another posture, of the network and of damped least squares alone
_CLOSER = 0.99  # of the error, which they must undercut: out of reach no posture halves it


class Solution(NamedTuple):
    """q (..., nq) [rad], inside the joint limits; error (..., nt) [m] of each tip there; steps (...): how many were taken."""

    q: Array
    error: Array
    steps: NDArray[np.int64]


class GuardedSolver:
    """The policy's step is followed by up to two steps of damped least squares, which double the digits; each is checked, and
    the error of a tip never increases. Where the policy does not help every tip, the best of all that the guard knows is taken;
    and a tip that then all but stands still far from its target starts anew from other postures, with the policy and without
    it, for they get stuck in different corners. That may be far: not for a control loop, which looks for a way out in its own
    time (`escape`)."""

    name = "guarded"

    def __init__(self, policy: Policy, stand_in: DampedLeastSquares) -> None:
        self.guard, self._stand_in = GuardedPolicy(policy), stand_in
        self.policy, self.robot, self.kinematics = policy, policy.robot, policy.kinematics
        self._postures = other_postures(self.robot)

    def step(self, q: Array, target: Array) -> Array:
        """See `Policy.step`."""
        rows, goals = self.kinematics.rows(q, target)
        return self._step(rows, goals)[0].reshape(q.shape)

    def solve(self, q: Array, target: Array, *, tolerance: float = 1e-4, steps: int = 10) -> Solution:
        """Steps from q (..., nq) [rad] towards target (..., nt, 3) [m] in the base frame: one, more until all tips of a
        hand are within the tolerance [m], at most `steps`. A target out of reach ends at about its closest point, with the
        error there; a tip whose target is not finite stays, and its error is not finite either.

        Raises:
            InputError: joints or targets of another shape, joints that are not finite, less than one step.
        """
        if steps < 1:
            raise InputError(f"steps is {steps}, must be at least 1")
        rows, goals = self.kinematics.rows(q, target)
        finite = np.isfinite(rows)
        if np.count_nonzero(finite) < finite.size:
            broken = rows[~finite.all(axis=-1)][0]
            raise InputError(f"joint positions are {broken.tolist()}, must be finite")
        end, error = self._step(np.minimum(np.maximum(rows, self.robot.lower), self.robot.upper), goals)
        taken = np.ones(len(end), dtype=np.int64)
        for _ in range(1, steps):
            good = error <= tolerance
            if good.all():
                break
            unsolved = ~good.all(axis=-1)
            if unsolved.all():
                end, error = self._step(end, goals)
            else:
                end[unsolved], error[unsolved] = self._step(end[unsolved], goals[unsolved])
            taken += unsolved
        before = q.shape[:-1]
        return Solution(end.reshape(q.shape), error.reshape(*before, self.kinematics.nt), taken.reshape(before))

    def _step(self, q: Array, target: Array) -> tuple[Array, Array]:
        """Rows of q (n, nq) a step on, and the errors there (n, nt) [m]."""
        end, error, easy, all_easy = self._polished(q, proposed(self.policy, q, target), target)
        if not all_easy:
            hard = ~easy
            end[hard], error[hard] = self._hard_step(q[hard], target[hard])
        return end, error

    def _polished(self, q: Array, q_next: Array, target: Array) -> tuple[Array, Array, NDArray[np.bool_], bool]:
        """See `fingers.solved`."""
        solved: tuple[Array, Array, NDArray[np.bool_], bool] = fingers.solved(
            q, q_next, target, *self.kinematics.model, self.robot.lower, self.robot.upper, self.kinematics.reach, RESOLUTION,
            LEAST_GAIN, _STANDS, _FAR, _GOOD, POLISHING, RELATIVE_DAMPING, SMALLEST_DAMPING, LARGEST_STEP,
        )  # fmt: skip
        return solved

    def _hard_step(self, q: Array, target: Array) -> tuple[Array, Array]:
        step = self.guard.checked_step(q, target, look_ahead=True)
        stands = (step.error > _STANDS * step.start_error) & (step.error > _FAR * self.kinematics.reach)
        end = self._started_anew(step, target, stands) if np.count_nonzero(stands) else step.q
        return self._polished(q, np.ascontiguousarray(end), target)[:2]

    def _started_anew(self, step: GuardedStep, target: Array, stands: NDArray[np.bool_]) -> Array:
        rows = stands.any(axis=-1)
        starts = np.repeat(self._postures[:, None], np.count_nonzero(rows), axis=1)  # (postures, rows, nq)
        goals = np.broadcast_to(target[rows], (len(starts), *target[rows].shape))
        q = starts
        for _ in range(ANEW):
            q = self.policy.step(q, goals)
        classical = self._stand_in.descent(starts, goals, CLASSICAL)
        found, error = best_end(self.kinematics, np.concatenate([q, classical]), np.concatenate([goals, goals]))
        better = stands[rows] & (error < _CLOSER * step.error[rows])
        result = step.q.copy()
        result[rows] = np.where(better[:, self.kinematics.tip_of_joint], found, result[rows])
        return result
