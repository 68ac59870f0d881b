"""Trust, but check: a proposed step is used for a tip only where forward kinematics proves that it helps."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.baseline import LARGEST_STEP, RELATIVE_DAMPING, SMALLEST_DAMPING
from nnik_ros.geometry import Array
from nnik_ros.kernels import fingers
from nnik_ros.policy import Policy

RESOLUTION = 1e-6  # of the reach; a tip closer to its target has arrived, as far as float32 can tell


class Solver(IntEnum):
    """Which step a tip took."""

    NETWORK = fingers.NETWORK
    SHORTENED = fingers.SHORTENED  # a part of the network's step
    STAND_IN = fingers.STAND_IN  # damped least squares
    HOLD = fingers.HOLD  # nothing helped


LEAST_GAIN = (
    1e-4  # of the error, that a network must gain; one that goes nowhere gains a little by the rounding of its answer
)
_NEAR = (
    0.01  # of the reach; there the posture gives a step's free degree another motion, however far it was meant to go
)


class GuardedStep(NamedTuple):
    """q (..., nq) [rad]; error (..., nt) [m] there, or as far as the joints get at once; start_error (..., nt) [m] where the
    step began; solver (..., nt); helped (..., nt): whether the policy's own step brings the tip closer, even where another one
    was taken; followed (..., nt): how much of the motion of q, from step to step, is that of the target: 1 close to it, 0.5
    where q may be a part of the way, 0 where it is as far as the joints get at once, or where nothing helped."""

    q: Array
    error: Array
    start_error: Array
    solver: NDArray[np.int64]
    helped: NDArray[np.bool_]
    followed: Array


class GuardedPolicy:
    """Per tip the first of these that brings the tip closer: the policy's step, parts of it, the quick and the careful
    damped least-squares step; else its joints stay. The error of a tip therefore never increases. Where the tip is not near
    its target, and the joints cannot make the policy's step at once, what they can make of it competes with the others, which
    must gain twice as much: the way to another posture may lead off the target, although its end is closer. The answer is where
    the way leads, for who moves the joints has to know whether they are to stop after a period or to go on."""

    name = "guarded"

    def __init__(self, policy: Policy, largest: Array | None = None) -> None:
        """largest (nq,) [rad]: what the joints can do at once; a step is judged as far as it can be gone. None: anything."""
        self.policy, self.robot, self.kinematics = policy, policy.robot, policy.kinematics
        self.tip_of_joint = self.kinematics.tip_of_joint
        self._largest: Array = np.full(self.kinematics.nq, np.inf) if largest is None else largest

    def step(self, q: Array, target: Array) -> Array:
        """See `Policy.step`."""
        return self.checked_step(q, target).q

    def checked_step(
        self, q: Array, target: Array, last: NDArray[np.int64] | None = None, *, use_policy: bool = True,
        look_ahead: bool = False,
    ) -> GuardedStep:  # fmt: skip
        """One checked increment from q (..., nq) to target (..., nt, 3). last (nt,): solvers of the step before, for one row of
        q; who led a long step goes on to lead, or else two could take turns for ever. use_policy=False: the stand-in alone;
        look_ahead: two of the policy's steps, too, where one does not help: a way around a joint limit may begin with a step
        away."""
        rows, goals = self.kinematics.rows(q, target)
        proposals = proposed(self.policy, q, target)[None] if use_policy else np.empty((0, *rows.shape))
        if look_ahead:
            first = np.where(np.isfinite(proposals[0]), proposals[0], rows)
            proposals = np.stack([proposals[0], proposed(self.policy, first, goals)])
        before = np.zeros((len(rows), self.kinematics.nt), dtype=np.int64) if last is None else last[None]
        end, error, start_error, solver, helped, followed = fingers.guarded(
            rows, proposals, goals, before, *self.kinematics.model,
            self.robot.lower, self.robot.upper, self.kinematics.reach, self._largest, RESOLUTION, LEAST_GAIN, _NEAR,
            RELATIVE_DAMPING, SMALLEST_DAMPING, LARGEST_STEP,
        )  # fmt: skip
        if q.ndim == 1:
            return GuardedStep(end[0], error[0], start_error[0], solver[0], helped[0], followed[0])
        tips = (*q.shape[:-1], self.kinematics.nt)
        return GuardedStep(
            end.reshape(q.shape),
            error.reshape(tips),
            start_error.reshape(tips),
            solver.reshape(tips),
            helped.reshape(tips),
            followed.reshape(tips),
        )


def proposed(policy: Policy, q: Array, target: Array) -> Array:
    """The policy's step (n, nq) from q (..., nq).

    Raises:
        ValueError: it has another shape than q.
    """
    step = policy.step(q, target)
    if step.shape != q.shape:
        raise ValueError(f"{policy.name}: a step has shape {step.shape}, must have {q.shape}")
    return np.ascontiguousarray(step, dtype=np.float64).reshape(-1, q.shape[-1])
