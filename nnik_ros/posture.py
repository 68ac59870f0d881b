"""The free degree of a finger: four joints, three coordinates, and a posture that they should look like.

Projected gradient of the distance to a preferred posture: Liegeois, "Automatic Supervisory Control of the Configuration and
Behavior of Multibody Mechanisms", IEEE Transactions on Systems, Man, and Cybernetics, 1977.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros import kernels
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
_FASTEST = 0.2  # of the joints' velocity
_NUMBERS = np.array([_REPULSION, _SOFT, _AGREE, _ROUNDING])


class Posture:
    """Replaces what a step does with the free degree, and keeps, to first order, what it does with the tips.

    Of all joint steps with the same tip motion the one closest to a gentle pull towards the preferred posture is taken. So
    the free degree neither drifts nor depends on how the solver came to its step.
    """

    def __init__(self, robot: Robot, kinematics: Kinematics, period: float) -> None:
        """The preferred posture is the middle of the limits, where flexion is shared and every joint has room to both sides
        (also for what the closed loop adds); period [s]."""
        self._chain = kinematics.topology.chain
        lower, upper = robot.lower, robot.upper
        margin = _MARGIN * (upper - lower)
        self._joints = (
            lower, upper, lower + margin, upper - margin, 0.5 * (lower + upper), _FASTEST * robot.velocity * period,
        )  # fmt: skip
        self._tips = (_DAMPING * kinematics.reach) ** 2, _NEAR * kinematics.reach
        self._period = period
        self.shapes_any = bool(((self._chain >= 0).sum(axis=-1) > kernels.COORDINATES).any())

    def step(
        self, q: Array, tips: Tips, q_next: Array, target: Array, follows: NDArray[np.bool_], rate: float
    ) -> Array:
        """q (nq,) [rad] with its tips, q_next (nq,) [rad] of a solver for target (nt, 3) [m], follows (nt,): tips that
        take part, rate [1/s]; returns another q_next (nq,) [rad]."""
        shaped: Array = kernels.postured(
            q, tips.position, tips.jacobian, q_next, target, follows, rate * self._period, self._chain, *self._joints,
            *self._tips, _NUMBERS,
        )  # fmt: skip
        return shaped
