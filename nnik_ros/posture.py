"""The free degree of a finger: four joints, three coordinates, and a posture that they should look like, or a direction in
which the tip should point.

Projected gradient of the distance to a preferred posture: Liegeois, "Automatic Supervisory Control of the Configuration and
Behavior of Multibody Mechanisms", IEEE Transactions on Systems, Man, and Cybernetics, 1977. The direction in the same way,
with a Newton step along what the position leaves free: position first, direction as far as it goes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array
from nnik_ros.guard import RESOLUTION
from nnik_ros.kernels import free_degree
from nnik_ros.kernels.points import angles
from nnik_ros.kinematics import Kinematics, Tips
from nnik_ros.robot import Robot

_DAMPING = 0.01  # of the reach; keeps the projection smooth, and lets the pull bend a stretched finger by 0.01 rad
_TURN_DAMPING = 0.002  # the same of a turn towards a direction
# of the reach, or as far as a reference goes in a period, if that is more: where a step moves the tip so far or up to twice as
# far, the posture loses its say
_NEAR = 0.01
_MARGIN = 0.08  # of a joint's range, that it keeps from its limits where the free degree allows it
_REPULSION = 10.0  # of the rate, within that margin
_SOFT = 50.0  # 1/s, of the way to a limit that a joint may go while others can go on for it
_AGREE = 0.05  # of the way to go: so far a step may be off and count as meant to go all of it
_FASTEST = 0.2  # of the joints' velocity
_LEAK = 1e-6  # of the reach; a turn may move the tip so far in a period
_TURN_RATE = 10.0  # 1/s, of the way to a wanted direction
_EASE = 0.6  # s, from a tip's first step with a pull to the first with all of it


class Posture:
    """Replaces what a step does with the free degree, and keeps, to first order, what it does with the tips.

    Of all joint steps with the same tip motion the one closest to a gentle pull towards the preferred posture is taken. So
    the free degree neither drifts nor depends on how the solver came to its step. Out of reach, too, where the finger is
    stretched: which way its joints are bent there, ever so little, decides which way they bend when the target comes back, and
    the way that is not preferred soon ends at their limits. The pull sets in smoothly when a tip begins to take part: a finger
    may start in any posture.
    """

    def __init__(self, robot: Robot, kinematics: Kinematics, period: float) -> None:
        """The preferred posture is the robot's: unless its file says more, the middle of the limits, where flexion is shared
        and every joint has room to both sides (also for what the closed loop adds); period [s]."""
        self._chain = kinematics.topology.chain
        lower, upper = robot.lower, robot.upper
        margin = _MARGIN * (upper - lower)
        self._inner = lower + margin, upper - margin
        self._limits, self._preferred = (lower, upper), robot.preferred
        self._largest = _FASTEST * robot.velocity * period
        self._damping, self._turn_damping = ((share * kinematics.reach) ** 2 for share in (_DAMPING, _TURN_DAMPING))
        self._near = np.maximum(_NEAR * kinematics.reach, robot.tip_velocity * period)
        self._leak = _LEAK * kinematics.reach
        self._rounding = RESOLUTION * kinematics.reach
        self._kinematics, self._period = kinematics, period
        self._axis = robot.tip_axis
        self._eased: Array = np.zeros(robot.nt)
        self._no_angle: Array = np.full(robot.nt, np.nan)
        self.shapes_any = bool(((self._chain >= 0).sum(axis=-1) > free_degree.COORDINATES).any())

    def let_go(self) -> None:
        """No tip takes part; the pull sets in anew for all."""
        self._eased[:] = 0.0

    def shape(
        self, q: Array, tips: Tips, q_next: Array, target: Array, follows: NDArray[np.bool_], rate: float,
        wanted: Array | None, weight: Array,
    ) -> tuple[Array, Array]:  # fmt: skip
        """The step from q (nq,) [rad] with its tips to q_next (nq,) [rad], of a solver for target (nt, 3) [m], with its free
        degree in the hands of the posture, at a rate [1/s], and of directions, wanted (nt, 3) or None, by weight (nt,), for
        tips (nt,) that follow. And how far each of these tips is off its direction, (nt,) [rad], else nan."""
        if not np.count_nonzero(weight):
            wanted = None  # nobody asks for it
        if (not rate and wanted is None) or not np.count_nonzero(follows) or not self.shapes_any:
            self.let_go()
            return q_next, self._no_angle
        off, takes_part, pull = self._no_angle, follows, self.pull(q, rate)
        if wanted is not None:
            turned, here = follows & (weight > 0.0), self.direction(q)
            self.turn(pull, tips, here, wanted, weight)
            off = np.where(turned, angles(here.position, wanted), np.nan)
            takes_part = follows if rate else turned  # the other free degrees are the solver's
        return self.step(q, tips, q_next, target, takes_part, pull), off

    def direction(self, q: Array) -> Tips:
        """Where the tips point at q (nq,) [rad]: unit vectors (nt, 3), and their derivatives (nt, 3, depth)."""
        return self._kinematics.directions(q, self._axis)

    def pull(self, q: Array, rate: float) -> Array:
        """The step (nq,) [rad] that the preferred posture asks for at q (nq,) [rad], by a rate [1/s]."""
        pull: Array = free_degree.posture_pull(
            q, self._preferred, *self._inner, self._largest, _REPULSION, rate * self._period
        )
        return pull

    def turn(self, pull: Array, tips: Tips, direction: Tips, wanted: Array, weight: Array) -> None:
        """Replace a part, weight (nt,) from 0 to 1, of a pull by the way to wanted directions (nt, 3), nan for none."""
        share = min(1.0, _TURN_RATE * self._period)
        free_degree.turn(
            pull, tips.jacobian, direction.jacobian, wanted - direction.position, weight, self._chain, self._turn_damping,
            self._leak, self._largest, share,
        )  # fmt: skip

    def step(
        self, q: Array, tips: Tips, q_next: Array, target: Array, takes_part: NDArray[np.bool_], pull: Array
    ) -> Array:
        """q (nq,) [rad] with its tips, q_next (nq,) [rad] of a solver for target (nt, 3) [m], takes_part (nt,), pull (nq,)
        [rad]; returns another q_next (nq,) [rad], the one closest to the pull among those with the same tip motion."""
        shaped: Array = free_degree.postured(
            q, tips.position, tips.jacobian, q_next, target, takes_part, pull, self._eased, self._period / _EASE, self._chain,
            *self._limits, self._damping, self._near, min(1.0, _SOFT * self._period), _AGREE, self._rounding,
        )  # fmt: skip
        return shaped
