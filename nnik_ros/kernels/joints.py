"""Steps of joints under their limits."""

from __future__ import annotations

import math

import numpy as np

from nnik_ros.compiled import B1, F1, F2, I1, Array, Bools, Ints, compiled
from nnik_ros.kernels.points import clip

VELOCITY, ACCELERATION, POSITION, LEAD, COLLISION, SPEED = 1, 2, 4, 8, 16, 32  # what held a joint back: limits.Limit
SLOWEST = 1e-9  # rad/s; a finger that shall not move
_LATE = 2.0  # possible changes of velocity: a wish farther away is a place to stop at, a nearer one is followed
_ROUNDING = 1e-9


@compiled("f8(f8, f8, f8)")
def stopping_speed(distance: float, acceleration: float, period: float) -> float:
    """Highest speed from which one stops within `distance` >= 0, braking by at most acceleration x period in each period.

    From v this takes n periods and the distance n v T - a T^2 n (n - 1) / 2; solved for v, with the n that fits.
    """
    change = acceleration * period
    # not math.ceil, which raises on nan where it is not compiled
    n: float = max(np.ceil((math.sqrt(1.0 + 8.0 * distance / (change * period)) - 1.0) / 2.0), 1.0)
    return distance / (n * period) + 0.5 * (n - 1.0) * change


@compiled("UniTuple(f8, 2)(f8, f8, f8, f8, f8)")
def speeds_within(q: float, lower: float, upper: float, acceleration: float, period: float) -> tuple[float, float]:
    """The fastest [rad/s] down and up, of other signs, from which a joint at q stops at its limits."""
    slowest = -stopping_speed(max(q - lower, 0.0), acceleration, period)
    return slowest, stopping_speed(max(upper - q, 0.0), acceleration, period)


@compiled(f"void(f8[::1], {F1}, {I1}, f8[::1], {B1})")
def _scale(v: Array, largest: Array, group: Ints, worst: Array, chosen: Bools) -> None:
    """Slow the joints of the chosen groups by the group's worst ratio, so that |v| <= largest; worst is for scratch."""
    worst[:] = 1.0
    for i in range(len(v)):
        worst[group[i]] = max(worst[group[i]], abs(v[i]) / largest[i])
    for i in range(len(v)):
        if chosen[group[i]]:
            v[i] /= worst[group[i]]


@compiled(f"Tuple((f8[::1], f8[::1], i8[::1]))({F1}, {F1}, {F1}, {F1}, {F1}, {F2}, {F2}, {I1}, i8, f8)")
def limited_step(
    q: Array, v: Array, wanted: Array, moves: Array, pace: Array, lead: Array, limits: Array, group: Ints, groups: int,
    period: float,
) -> tuple[Array, Array, Ints]:  # fmt: skip
    """See `limits.JointLimits`. moves (nq,) [rad/s]: how fast what is wanted moves, for fingers far away from it; pace (nq,)
    [rad/s]: the fastest to be asked for; lead (2, nq) [rad/s]: the speeds down and up from which the joints stop within the
    lead; limits (4, nq): lower, upper, velocity, acceleration."""
    n, lower, upper, velocity, acceleration = len(q), limits[0], limits[1], limits[2], limits[3]
    limited = np.zeros(n, dtype=np.int64)
    v_next, stopping = np.empty(n), np.empty(n)
    worst, all_groups, slowed = np.empty(groups), np.ones(groups, dtype=np.bool_), np.zeros(groups, dtype=np.bool_)
    for i in range(n):
        v_next[i] = (wanted[i] - q[i]) / period
        if abs(v_next[i] - v[i]) > _LATE * acceleration[i] * period:
            slowed[group[i]] = True  # not to be there for a while: come with a speed from which one stops there
    for i in range(n):
        if slowed[group[i]]:
            v_next[i] -= moves[i]
        stopping[i] = max(stopping_speed(abs(v_next[i]) * period, acceleration[i], period), SLOWEST)
    _scale(v_next, stopping, group, worst, slowed)
    for i in range(n):
        if slowed[group[i]]:
            v_next[i] += moves[i]
        if abs(v_next[i]) > pace[i] * (1.0 + _ROUNDING):
            limited[i] |= VELOCITY
    _scale(v_next, pace, group, worst, all_groups)
    q_next = np.empty(n)
    for i in range(n):  # a joint near its limit slows down alone: its finger goes on with the joints that are free
        bounded = clip(v_next[i], -lead[0, i], lead[1, i])
        if abs(bounded - v_next[i]) > _ROUNDING:
            limited[i] |= LEAD
        slowest, fastest = speeds_within(q[i], lower[i], upper[i], acceleration[i], period)
        if bounded > fastest + _ROUNDING or bounded < slowest - _ROUNDING:
            limited[i] |= POSITION
        change = clip(bounded, slowest, fastest) - v[i]
        most = acceleration[i] * period
        if abs(change) > most * (1.0 + _ROUNDING):
            limited[i] |= ACCELERATION
        moving = v[i] + clip(change, -most, most)
        moving = clip(moving, max(slowest, -velocity[i]), min(fastest, velocity[i]))
        q_next[i] = clip(q[i] + moving * period, lower[i], upper[i])
        v_next[i] = (q_next[i] - q[i]) / period
    return q_next, v_next, limited


@compiled(f"f8[::1]({F1}, {F1}, {F1}, {I1}, {F1}, f8)")
def drift(wish: Array, last: Array, velocity: Array, group: Ints, followed: Array, period: float) -> Array:
    """A share, followed (groups,), of the velocity (nq,) [rad/s] at which a wish moves; 0 for a group of which a joint jumps
    faster than it can move."""
    result, share = np.empty(len(wish)), followed.copy()
    for i in range(len(wish)):
        result[i] = (wish[i] - last[i]) / period
        if not abs(result[i]) <= velocity[i]:
            share[group[i]] = 0.0
    for i in range(len(wish)):
        result[i] = share[group[i]] * result[i] if share[group[i]] > 0.0 else 0.0
    return result


@compiled(f"Tuple((f8[::1], f8[:, ::1]))({F1}, {F1}, {F1}, f8, {F1}, f8)")
def led(q: Array, wish: Array, measured: Array, lead: float, acceleration: Array, period: float) -> tuple[Array, Array]:
    """The wish, kept within `lead` of the measured joints, and the speeds down and up (2, nq) from which one can brake before
    that bound, which moves."""
    place, speeds = np.empty(len(q)), np.empty((2, len(q)))
    for i in range(len(q)):
        low, high = measured[i] - lead, measured[i] + lead
        speeds[0, i] = stopping_speed(max(q[i] - low, 0.0), acceleration[i], period)
        speeds[1, i] = stopping_speed(max(high - q[i], 0.0), acceleration[i], period)
        place[i] = clip(wish[i], low, high)
    return place, speeds


@compiled(f"void({F1}, f8[::1], f8[::1], {F1}, f8, {F1}, {I1}, i8, f8)")
def give_way(
    q: Array, bound: Array, pace: Array, measured: Array, lead: float, velocity: Array, group: Ints, groups: int, period: float
) -> None:  # fmt: skip
    """Let a finger that is pushed farther than `lead` follow with all its velocity, whatever its pace (nq,) [rad/s]: the lead
    is what it presses with. Those of its joints that are not pushed keep to their pace, by their places bound (nq,) [rad]."""
    pushed = np.zeros(groups, dtype=np.bool_)
    for i in range(len(q)):
        pushed[group[i]] |= abs(q[i] - measured[i]) > lead
    for i in range(len(q)):
        if pushed[group[i]]:
            if abs(q[i] - measured[i]) <= lead:
                bound[i] = clip(bound[i], q[i] - pace[i] * period, q[i] + pace[i] * period)
            pace[i] = velocity[i]


@compiled(f"f8[::1]({F1}, {F1}, {F1}, {F1}, {F1}, f8)")
def towards(q: Array, v: Array, goal: Array, acceleration: Array, velocity: Array, period: float) -> Array:
    """The next step of a motion that stops at the goal."""
    result = np.empty(len(q))
    for i in range(len(q)):
        way, change = goal[i] - q[i], acceleration[i] * period
        pace = min(stopping_speed(abs(way), acceleration[i], period), velocity[i])
        wanted = pace if way > 0.0 else -pace if way < 0.0 else 0.0
        result[i] = q[i] + clip(wanted, v[i] - change, v[i] + change) * period
    return result
