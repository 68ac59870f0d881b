"""The free degree of a finger: four joints, three coordinates, and a posture that they should look like.

Projected gradient of the distance to a preferred posture: Liegeois, "Automatic Supervisory Control of the Configuration and
Behavior of Multibody Mechanisms", IEEE Transactions on Systems, Man, and Cybernetics, 1977.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array
from nnik_ros.kinematics import Kinematics, Tips
from nnik_ros.robot import Robot

_DAMPING = 0.002  # of the reach; keeps the projection smooth at a stretched finger
_NEAR = 0.01  # of the reach: from there to twice as far the posture loses its say, for all joints are needed
_MARGIN = 0.08  # of a joint's range, that it keeps from its limits where the free degree allows it
_REPULSION = 10.0  # of the rate, within that margin
_SOFT = 0.02  # of the way to a limit that a joint may go in one period while others can go on for it
_AGREE = 0.05  # of the way to go: so far a step may be off and count as meant to go all of it
_ROUNDING = 1e-7  # m
_COORDINATES = 3  # of a tip; a chain with more joints has a free degree
_FASTEST = 0.2  # of the joints' velocity


class Posture:
    """Replaces what a step does with the free degree, and keeps, to first order, what it does with the tips.

    Of all joint steps with the same tip motion the one closest to a gentle pull towards the preferred posture is taken. So
    the free degree neither drifts nor depends on how the solver came to its step.
    """

    def __init__(self, robot: Robot, kinematics: Kinematics, period: float) -> None:
        """The preferred posture is the middle of the limits, where flexion is shared and every joint has room to both sides
        (also for what the closed loop adds); period [s]."""
        chain = kinematics.topology.chain
        self._index = np.maximum(chain, 0)
        self._real = chain >= 0
        self._flat = self._index[self._real]
        self._lower, self._upper = robot.lower[self._index], robot.upper[self._index]
        self._preferred = 0.5 * (self._lower + self._upper)
        margin = _MARGIN * (self._upper - self._lower)
        self._inner_lower, self._inner_upper = self._lower + margin, self._upper - margin
        self._largest = _FASTEST * robot.velocity[self._index] * period
        self._reach = kinematics.reach
        self._damping = (_DAMPING * kinematics.reach)[:, None, None] ** 2 * np.eye(3)
        self._period = period
        self.shapes_any = bool((self._real.sum(axis=-1) > _COORDINATES).any())
        self._redundant = (self._real.sum(axis=-1) > _COORDINATES).astype(np.float64)

    def step(
        self, q: Array, tips: Tips, q_next: Array, target: Array, follows: NDArray[np.bool_], rate: float
    ) -> Array:
        """q (nq,) [rad] with its tips, q_next (nq,) [rad] of a solver for target (nt, 3) [m], follows (nt,): tips that
        take part, rate [1/s]; returns another q_next (nq,) [rad]."""
        to_go = target - tips.position
        error = np.sqrt((to_go * to_go).sum(axis=-1))
        J = tips.jacobian  # (nt, 3, depth)
        here, solved = q[self._index], (q_next - q)[self._index]
        inwards = np.maximum(self._inner_lower - here, 0.0) + np.minimum(self._inner_upper - here, 0.0)
        pull = (self._preferred - here + _REPULSION * inwards) * (rate * self._period)
        pull = np.minimum(np.maximum(pull, -self._largest), self._largest)
        low, high = (_SOFT * (limit - here) for limit in (self._lower, self._upper))
        task = _exact(J @ solved[..., None], to_go[..., None])  # (nt, 3, 1)
        shaped = pull + self._closest(J, task - J @ pull[..., None])
        fixed = (shaped <= low) | (shaped >= high)
        if fixed[self._real].any():  # the joints that are free make up for those at their limits
            shaped = np.where(fixed, np.minimum(np.maximum(shaped, low), high), pull)
            shaped = shaped + self._closest(np.where(fixed[:, None], 0.0, J), task - J @ shaped[..., None])
        near = np.minimum(np.maximum(2.0 - error / (_NEAR * self._reach), 0.0), 1.0)
        share = (self._redundant * follows * near)[:, None]
        result = q.copy()
        result[self._flat] += (solved + share * (shaped - solved))[self._real]
        return result

    def _closest(self, J: Array, rest: Array) -> Array:
        """Smallest joint steps (nt, depth) that move the tips by rest (nt, 3, 1) [m]."""
        J_t = np.swapaxes(J, -1, -2)
        step: Array = (J_t @ np.linalg.solve(J @ J_t + self._damping, rest))[..., 0]
        return step


def _exact(task: Array, to_go: Array) -> Array:
    """The tip motion (nt, 3, 1) [m] of a step, or the way to go itself where both agree: a network's float32 step is a
    noise of 1e-7 rad away from it, which is nothing in position and a lot in jerk."""
    gap = to_go - task
    apart = np.sqrt((gap * gap).sum(axis=-2, keepdims=True))
    whole = np.sqrt((to_go * to_go).sum(axis=-2, keepdims=True))
    agree = np.minimum(np.maximum(2.0 - apart / (_AGREE * whole + _ROUNDING), 0.0), 1.0)
    exact: Array = task + agree * gap
    return exact
