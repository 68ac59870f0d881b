"""The last word on every command: joint position, velocity and acceleration limits, in this order of importance."""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array


class Limit(IntFlag):
    """What held a joint back in a tick."""

    NONE = 0
    VELOCITY = 1
    ACCELERATION = 2
    POSITION = 4
    LEAD = 8
    COLLISION = 16


# as plain numbers: looking up a member of an enumeration costs a microsecond
_VELOCITY, _ACCELERATION, _POSITION = (int(limit) for limit in (Limit.VELOCITY, Limit.ACCELERATION, Limit.POSITION))


_SLOWEST = 1e-9  # rad/s
_LATE = (
    2.0  # times the possible change of velocity: a wish farther away is a place to stop at, a nearer one is followed
)


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
        self._lower, self._upper = lower, upper
        self._velocity, self._acceleration = velocity, acceleration
        self._group, self._period = group, period
        self._groups = int(group.max()) + 1
        self._change = acceleration * period  # largest change of velocity in one period

    def step(self, q: Array, v: Array, wanted: Array) -> LimitedStep:
        """q (nq,) last command [rad], v (nq,) its velocity [rad/s], wanted (nq,) next position [rad]."""
        T = self._period
        slowest, fastest = self._braking_velocity(q)  # (nq,) each
        wanted_v = (wanted - q) / T
        limited = np.zeros(len(q), dtype=np.int64)
        v_next, held = self._scaled(wanted_v, self._velocity)
        limited[held] |= _VELOCITY
        v_next, held = self._braked(v_next, slowest, fastest)
        limited[held] |= _POSITION
        far = np.abs(wanted_v - v) > _LATE * self._change
        if far.any():  # not to be there for a while: come with a speed from which one stops there
            slowed = np.zeros(self._groups, dtype=bool)
            slowed[self._group[far]] = True
            stopping = stopping_speed(np.abs(wanted - q), self._acceleration, T)
            v_next = np.where(slowed[self._group], self._scaled(v_next, np.maximum(stopping, _SLOWEST))[0], v_next)
        change = v_next - v
        limited[np.abs(change) > self._change * (1.0 + 1e-9)] |= _ACCELERATION
        change = _clip(change, -self._change, self._change)
        v_next = _clip(v + change, np.maximum(slowest, -self._velocity), np.minimum(fastest, self._velocity))
        q_next = _clip(q + v_next * T, self._lower, self._upper)
        return LimitedStep(q_next, (q_next - q) / T, limited)

    def _scaled(self, v: Array, largest: Array) -> tuple[Array, NDArray[np.bool_]]:
        """v with the joints of each group slowed by the group's worst ratio, so that |v| <= largest."""
        excess = np.abs(v) / largest
        held = excess > 1.0 + 1e-9
        if not held.any():
            return _clip(v, -largest, largest), held
        worst = np.ones(self._groups)
        np.maximum.at(worst, self._group, excess)
        return v / worst[self._group], held

    def _braked(self, v: Array, slowest: Array, fastest: Array) -> tuple[Array, NDArray[np.bool_]]:
        """A joint near its limit slows down alone: its finger goes on with the joints that are free."""
        return _clip(v, slowest, fastest), (v > fastest + 1e-9) | (v < slowest - 1e-9)

    def _braking_velocity(self, q: Array) -> tuple[Array, Array]:
        """Lowest and highest velocity from which a joint still stops at its limits (<= 0, >= 0)."""
        room = np.empty((2, len(q)))
        np.subtract(q, self._lower, out=room[0])
        np.subtract(self._upper, q, out=room[1])
        below, above = stopping_speed(np.maximum(room, 0.0), self._acceleration, self._period)
        return -below, above


def stopping_speed(distance: Array, acceleration: Array, period: float) -> Array:
    """Highest speed from which one stops within `distance` >= 0, braking by at most acceleration x period in each period.

    From v this takes n periods and the distance n v T - a T^2 n (n - 1) / 2; solved for v, with the n that fits.
    """
    change = acceleration * period
    n = np.maximum(np.ceil((np.sqrt(1.0 + 8.0 * distance / (change * period)) - 1.0) / 2.0), 1.0)
    speed: Array = distance / (n * period) + 0.5 * (n - 1.0) * change
    return speed


def _clip(values: Array, low: Array, high: Array) -> Array:
    """numpy's clip, at half its cost for a handful of joints."""
    clipped: Array = np.minimum(np.maximum(values, low), high)
    return clipped
