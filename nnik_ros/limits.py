"""The last word on every command: joint position, velocity and acceleration limits, in this order of importance."""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array, frozen
from nnik_ros.kernels import joints


class Limit(IntFlag):
    """What held a joint back in a tick."""

    NONE = 0
    VELOCITY = joints.VELOCITY
    ACCELERATION = joints.ACCELERATION
    POSITION = joints.POSITION
    LEAD = joints.LEAD
    COLLISION = joints.COLLISION
    SPEED = joints.SPEED  # the tip's share of its speed is 0


def limit_names(mask: int) -> list[str]:
    """The limits of a bit mask, in the order of their bits."""
    return [limit.name for limit in Limit if limit.value and mask & limit.value and limit.name]


class LimitedStep(NamedTuple):
    """q (nq,) [rad] and v (nq,) [rad/s] to send, with what held each joint back: (nq,) of Limit."""

    q: Array
    v: Array
    limited: NDArray[np.int64]


class JointLimits:
    """Turns a wanted step into one that a real joint can follow.

    Joints of one group (a finger) share their speed limit, so that the finger keeps its direction. A joint always keeps
    enough distance from its position limit to brake, therefore all limits can be honoured at once and a limit can always
    be left again.
    """

    def __init__(
        self, lower: Array, upper: Array, velocity: Array, acceleration: Array, group: NDArray[np.int64], period: float
    ):
        """lower, upper (nq,) [rad], velocity (nq,) [rad/s], acceleration (nq,) [rad/s^2], group (nq,) numbers from 0,
        period [s]."""
        self.table = frozen([lower, upper, velocity, acceleration])
        self._group, self._groups, self._period = group, int(group.max()) + 1, period
        self._no_drift, self._unled = frozen(np.zeros(len(lower))), frozen(np.full((2, len(lower)), np.inf))

    def step(self, q: Array, v: Array, wanted: Array, pace: Array | None = None) -> LimitedStep:
        """q (nq,) last command [rad], v (nq,) its velocity [rad/s], wanted (nq,) next position [rad], pace (nq,) the fastest to
        be asked for [rad/s], None for the velocity limit."""
        pace = self.table[2] if pace is None else pace
        return LimitedStep(*joints.limited_step(
            q, v, wanted, self._no_drift, pace, self._unled, self.table, self._group, self._groups, self._period
        ))  # fmt: skip
