"""The arithmetic of a tick as loops over joints and tips, for `compiled`. The classes that own the state explain it.

Arrays are contiguous, of float64, int64 or bool; a vector of nan stands for "not given". Shapes are the caller's word: nothing
here checks them. All of it is one module, because a compiled function may only call its neighbours (see `compiled`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnik_ros.compiled import B1, F1, F2, F3, F4, I1, I2, Array, compiled

VELOCITY, ACCELERATION, POSITION, LEAD, COLLISION = 1, 2, 4, 8, 16  # what held a joint back: limits.Limit
COORDINATES = 3  # of a tip; a chain with more joints has a free degree
_SLOWEST = 1e-9  # rad/s
_LATE = 2.0  # possible changes of velocity: a wish farther away is a place to stop at, a nearer one is followed
_ROUNDING = 1e-9
_TINY = 1e-12
_FLAT = 1e-3  # of a joint's turn, that a tip turns at least with it in a Newton step
_POINT = 1e-15  # m^2 and m^4; below, a segment is a point and two segments are parallel
_Ints = NDArray[np.int64]
_Bools = NDArray[np.bool_]


@compiled("f8(f8, f8, f8)")
def stopping_speed(distance: float, acceleration: float, period: float) -> float:
    """Highest speed from which one stops within `distance` >= 0, braking by at most acceleration x period in each period.

    From v this takes n periods and the distance n v T - a T^2 n (n - 1) / 2; solved for v, with the n that fits.
    """
    change = acceleration * period
    n = max(math.ceil((math.sqrt(1.0 + 8.0 * distance / (change * period)) - 1.0) / 2.0), 1.0)
    return distance / (n * period) + 0.5 * (n - 1.0) * change


@compiled("f8(f8, f8, f8)")
def clip(value: float, low: float, high: float) -> float:
    """The value, kept between bounds; nan stays nan."""
    if value < low:
        value = low
    if value > high:
        value = high
    return value


@compiled(f"f8[::1]({F2}, {F2})")
def distances(a: Array, b: Array) -> Array:
    """(n,) [m] between points (n, 3); nan where one of them is not known."""
    result = np.empty(len(a))
    for i in range(len(a)):
        x, y, z = a[i, 0] - b[i, 0], a[i, 1] - b[i, 1], a[i, 2] - b[i, 2]
        result[i] = math.sqrt(x * x + y * y + z * z)
    return result


@compiled(f"f8({F1}, {F1})")
def largest_gap(a: Array, b: Array) -> float:
    """Largest distance between two numbers of the same place; inf when one of them is not finite."""
    largest = 0.0
    for i in range(len(a)):
        gap = abs(a[i] - b[i])
        largest = gap if gap > largest else largest
        if not math.isfinite(gap):
            return np.inf
    return largest


@compiled(f"f8({F1})")
def _length(vector: Array) -> float:
    return math.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])


# joints


@compiled(f"void(f8[::1], {F1}, {I1}, f8[::1], i8[::1], {B1})")
def _scale(v: Array, largest: Array, group: _Ints, worst: Array, limited: _Ints, chosen: _Bools) -> None:
    """Slow the joints of the chosen groups by the group's worst ratio, so that |v| <= largest; worst is for scratch."""
    worst[:] = 1.0
    for i in range(len(v)):
        excess = abs(v[i]) / largest[i]
        if excess > 1.0 + _ROUNDING:
            limited[i] |= VELOCITY
        worst[group[i]] = max(worst[group[i]], excess)
    for i in range(len(v)):
        if chosen[group[i]]:
            v[i] /= worst[group[i]]


@compiled(f"Tuple((f8[::1], f8[::1], i8[::1]))({F1}, {F1}, {F1}, {F1}, {F1}, {F1}, {F1}, {I1}, i8, f8)")
def limited_step(
    q: Array, v: Array, wanted: Array, lower: Array, upper: Array, velocity: Array, acceleration: Array, group: _Ints,
    groups: int, period: float,
) -> tuple[Array, Array, _Ints]:  # fmt: skip
    """See `limits.JointLimits`."""
    n = len(q)
    limited, unused = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    slowest, fastest, v_next, stopping = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    worst, all_groups, slowed = np.empty(groups), np.ones(groups, dtype=np.bool_), np.zeros(groups, dtype=np.bool_)
    for i in range(n):
        slowest[i] = -stopping_speed(max(q[i] - lower[i], 0.0), acceleration[i], period)
        fastest[i] = stopping_speed(max(upper[i] - q[i], 0.0), acceleration[i], period)
        v_next[i] = (wanted[i] - q[i]) / period
        if abs(v_next[i] - v[i]) > _LATE * acceleration[i] * period:
            slowed[group[i]] = True  # not to be there for a while: come with a speed from which one stops there
        stopping[i] = max(stopping_speed(abs(wanted[i] - q[i]), acceleration[i], period), _SLOWEST)
    _scale(v_next, velocity, group, worst, limited, all_groups)
    for i in range(n):  # a joint near its limit slows down alone: its finger goes on with the joints that are free
        if v_next[i] > fastest[i] + _ROUNDING or v_next[i] < slowest[i] - _ROUNDING:
            limited[i] |= POSITION
        v_next[i] = clip(v_next[i], slowest[i], fastest[i])
    _scale(v_next, stopping, group, worst, unused, slowed)
    q_next = np.empty(n)
    for i in range(n):
        change = v_next[i] - v[i]
        most = acceleration[i] * period
        if abs(change) > most * (1.0 + _ROUNDING):
            limited[i] |= ACCELERATION
        moving = v[i] + clip(change, -most, most)
        moving = clip(moving, max(slowest[i], -velocity[i]), min(fastest[i], velocity[i]))
        q_next[i] = clip(q[i] + moving * period, lower[i], upper[i])
        v_next[i] = (q_next[i] - q[i]) / period
    return q_next, v_next, limited


@compiled(f"f8[::1]({F1}, {F1}, {F1}, f8, {F1}, f8)")
def led(q: Array, wish: Array, measured: Array, lead: float, acceleration: Array, period: float) -> Array:
    """The wish, kept within `lead` of the measured joints, and slow enough to brake before that bound, which moves."""
    result = np.empty(len(q))
    for i in range(len(q)):
        low, high = measured[i] - lead, measured[i] + lead
        back = stopping_speed(max(q[i] - low, 0.0), acceleration[i], period) * period
        ahead = stopping_speed(max(high - q[i], 0.0), acceleration[i], period) * period
        result[i] = clip(clip(wish[i], low, high), q[i] - back, q[i] + ahead)
    return result


@compiled(f"f8[::1]({F1}, {F1}, {F1}, {F1}, f8)")
def towards(q: Array, goal: Array, acceleration: Array, velocity: Array, period: float) -> Array:
    """The next step of a motion that stops at the goal."""
    result = np.empty(len(q))
    for i in range(len(q)):
        way = goal[i] - q[i]
        pace = min(stopping_speed(abs(way), acceleration[i], period), velocity[i])
        result[i] = q[i] + (pace if way > 0.0 else -pace if way < 0.0 else 0.0) * period
    return result


@compiled(f"f8({F1}, {F1}, {I1}, {F1})")
def largest_closing(q: Array, q_next: Array, group: _Ints, lever: Array) -> float:
    """An upper bound [m] of how much two groups of joints can close in a step: the two whose points move most."""
    way = np.zeros(len(lever))
    for i in range(len(q)):
        way[group[i]] += abs(q_next[i] - q[i]) * lever[group[i]]
    first = second = 0.0
    for x in way:
        if x > first:
            first, second = x, first
        elif x > second:
            second = x
    return first + second


# collisions


@compiled("f8(f8, f8)")
def _share(numerator: float, denominator: float) -> float:
    """The quotient, kept within [0, 1]; 0 for a segment without length."""
    return clip(numerator / max(denominator, _POINT), 0.0, 1.0)


@compiled(f"Tuple((f8, f8))({F2}, {F2}, f8[::1])")
def closest(first: Array, second: Array, gap: Array) -> tuple[float, float]:
    """Where two segments, ends (2, 3) [m] each, come closest: the shares of the way along them, and in gap (3,) the way there
    from the second to the first. Source: Ericson, Real-Time Collision Detection (2005), section 5.1.9."""
    a = b = c = e = f = 0.0
    for k in range(3):
        d1, d2, r = first[1, k] - first[0, k], second[1, k] - second[0, k], first[0, k] - second[0, k]
        a, b, c, e, f = a + d1 * d1, b + d1 * d2, c + d1 * r, e + d2 * d2, f + d2 * r
    denominator = a * e - b * b
    crossing = denominator > _POINT
    s = _share(b * f - c * e, denominator) if crossing else 0.0
    t = b * s + f
    if not (crossing and 0.0 <= t <= e):
        s = _share(b * _share(t, e) - c, a)
    t = _share(t, e)
    for k in range(3):
        on_first = first[0, k] + s * (first[1, k] - first[0, k])
        gap[k] = on_first - second[0, k] - t * (second[1, k] - second[0, k])
    return s, t


@compiled(f"f8[:, ::1]({F4}, {I2}, {F1})")
def clearances(ends: Array, pairs: _Ints, radii: Array) -> Array:
    """Distances (n, pairs) [m] between capsules, ends (n, capsules, 2, 3) [m]; radii: of both of each pair together [m]."""
    result, gap = np.empty((len(ends), len(pairs))), np.empty(3)
    for n in range(len(ends)):
        for p in range(len(pairs)):
            closest(ends[n, pairs[p, 0]], ends[n, pairs[p, 1]], gap)
            result[n, p] = _length(gap) - radii[p]
    return result


@compiled(f"f8[:, ::1]({F3}, {I2}, {F2}, {F2})")
def clearance_gradients(ends: Array, pairs: _Ints, slopes: Array, weight: Array) -> Array:
    """How the distances of some pairs of capsules grow with the joints: (pairs, nq) [m/rad]. ends (capsules, 2, 3) [m], which
    are sums of the terms of a series with weight (terms, capsules * 6), slopes (nq, terms) their derivatives.

    The places along both segments need no derivative: they are where the distance is smallest.
    """
    nq, terms = slopes.shape
    result, normal, share = np.zeros((len(pairs), nq)), np.empty(3), np.empty((2, 2))
    for p in range(len(pairs)):
        s, t = closest(ends[pairs[p, 0]], ends[pairs[p, 1]], normal)
        normal /= max(_length(normal), _TINY)
        share[0, 0], share[0, 1], share[1, 0], share[1, 1] = 1.0 - s, s, t - 1.0, -t
        for m in range(terms):
            along = 0.0
            for side in range(2):
                for end in range(2):
                    for k in range(3):
                        along += weight[m, 6 * pairs[p, side] + 3 * end + k] * share[side, end] * normal[k]
            for i in range(nq):
                result[p, i] += slopes[i, m] * along
    return result


@compiled(f"Tuple((i8[::1], f8[::1], f8[::1]))({F1}, {F1}, f8, f8)")
def too_fast(now: Array, after: Array, margin: float, share: float) -> tuple[_Ints, Array, Array]:
    """The pairs that close by more than a share of what is left of their distance above the margin; what they may close,
    and what they close [m]."""
    pairs, allowed, closing = np.empty(len(now), dtype=np.int64), np.empty(len(now)), np.empty(len(now))
    n = 0
    for p in range(len(now)):
        most = max(now[p] - margin, 0.0) * share
        if now[p] - after[p] > most:
            pairs[n], allowed[n], closing[n] = p, most, now[p] - after[p]
            n += 1
    return pairs[:n].copy(), allowed[:n].copy(), closing[:n].copy()


@compiled(f"f8[::1]({F1}, {F2}, {F1}, i8)")
def slid(step: Array, gradients: Array, most: Array, sweeps: int) -> Array:
    """The joint step (nq,) without what closes each pair, gradients (pairs, nq) [m/rad], by more than most (pairs,) [m]."""
    result = step.copy()
    for _ in range(sweeps):
        for p in range(len(gradients)):
            closing, steepness = -most[p], _TINY
            for i in range(len(step)):
                closing -= gradients[p, i] * result[i]
                steepness += gradients[p, i] * gradients[p, i]
            if closing > 0.0:
                result += gradients[p] * (closing / steepness)
    return result


# references


@compiled(f"void({F2}, f8[:, ::1], f8[:, ::1], f8[:, ::1], {F1}, {F1}, f8)")
def advance_points(
    goal: Array, last_goal: Array, point: Array, velocity: Array, fastest: Array, acceleration: Array, period: float
) -> None:
    """See `governor.Governor`: point and velocity (nt, 3) go on by one period, and last_goal becomes goal."""
    for t in range(len(goal)):
        follow = (goal[t] - last_goal[t]) / period
        if not _length(follow) <= fastest[t]:  # a jump, or no goal at all
            follow[:] = 0.0
        last_goal[t] = goal[t]
        to_goal = goal[t] - point[t] - follow * period
        if math.isnan(to_goal[0]):
            to_goal[:] = 0.0
        distance = _length(to_goal)
        wanted = follow + to_goal * (stopping_speed(distance, acceleration[t], period) / max(distance, _TINY))
        wanted *= min(1.0, fastest[t] / max(_length(wanted), _TINY))
        change = wanted - velocity[t]
        change *= min(1.0, acceleration[t] * period / max(_length(change), _TINY))
        velocity[t] += change
        point[t] += velocity[t] * period


@compiled(f"f8[:, ::1]({F3})")
def mean_of(history: Array) -> Array:
    """(window, nt, 3) to (nt, 3)."""
    mean = np.zeros(history.shape[1:])
    for points in history:
        mean += points
    return mean / len(history)


@compiled(f"void({F2}, f8[:, ::1], f8[:, ::1], f8[::1], f8[::1], f8[::1], f8, f8)")
def advance_streams(
    goal: Array, last_goal: Array, point: Array, left: Array, since: Array, interval: Array, longest: float, fade: float
) -> None:
    """See `goal_stream.GoalStream`: all but goal go on by one period."""
    for t in range(len(goal)):
        if goal[t, 0] != last_goal[t, 0] or goal[t, 1] != last_goal[t, 1] or goal[t, 2] != last_goal[t, 2]:
            streams = since[t] < longest and not math.isnan(point[t, 0])
            # messages come now a little early, now a little late: the longest interval of late leaves no gaps
            interval[t] = left[t] = max(since[t], fade * interval[t]) if streams else 1.0
            since[t] = 0.0
            last_goal[t] = goal[t]
        since[t] = min(since[t] + 1.0, longest)
        if left[t] > 1.0 and not math.isnan(goal[t, 0] - point[t, 0]):
            point[t] += (goal[t] - point[t]) / left[t]
        else:
            point[t] = goal[t]
        left[t] = max(left[t] - 1.0, 0.0)


@compiled(f"Tuple((b1[::1], f8[::1], b1[::1], b1[::1], f8[:, ::1]))(f8, {F2}, {F1}, f8, {B1}, b1)")
def judged(
    now: float, position: Array, stamp: Array, timeout: float, enabled: _Bools, running: bool
) -> tuple[_Bools, Array, _Bools, _Bools, Array]:
    """See `controller._Judged`; a timeout of 0 or less: never too old."""
    nt = len(position)
    given, stale, follows = np.zeros(nt, dtype=np.bool_), np.zeros(nt, dtype=np.bool_), np.zeros(nt, dtype=np.bool_)
    age, goal = np.full(nt, np.inf), np.full((nt, 3), np.nan)
    for t in range(nt):
        given[t] = stamp[t] != -np.inf
        for k in range(3):
            given[t] &= math.isfinite(position[t, k])
        if given[t]:
            age[t] = abs(now - stamp[t])  # a clock that jumped makes data stale in both directions
        stale[t] = given[t] and timeout > 0.0 and not age[t] <= timeout
        follows[t] = given[t] and not stale[t] and enabled[t] and running
        if follows[t]:
            goal[t] = position[t]
    return given, age, stale, follows, goal


@compiled(f"f8[:, ::1]({F2}, {F2}, {F1})")
def drawn_in(points: Array, centre: Array, farthest: Array) -> Array:
    """The points (nt, 3), none farther than that from its centre."""
    result = points.copy()
    for t in range(len(points)):
        away = points[t] - centre[t]
        distance = _length(away)
        if distance > farthest[t]:
            result[t] = centre[t] + away * (farthest[t] / distance)
    return result


@compiled(f"i8[::1]({F1}, {F1}, {F1}, {B1}, {B1}, {I1}, f8, f8)")
def stuck_for(
    error: Array, last_error: Array, behind: Array, follows: _Bools, escaping: _Bools, stuck: _Ints, tolerance: float,
    progress: float,
) -> _Ints:  # fmt: skip
    """Ticks (nt,) for which each tip has made no progress, a share of its error [m], at a reference that rests."""
    result = np.zeros(len(error), dtype=np.int64)
    for t in range(len(error)):
        rests = follows[t] and not escaping[t] and behind[t] < tolerance and error[t] > tolerance
        if rests and not last_error[t] - error[t] > progress * error[t]:
            result[t] = stuck[t] + 1
    return result


@compiled(f"i8[::1]({B1}, {B1}, {B1}, {B1}, {B1}, {I1}, {B1}, {I1})")
def first_state(
    homing: _Bools,
    enabled: _Bools,
    given: _Bools,
    stale: _Bools,
    reached: _Bools,
    limited: _Ints,
    lost: _Bools,
    states: _Ints,
) -> _Ints:
    """The first of nine states that applies to each tip (nt,), in the order of `controller._STATES`."""
    result = np.empty(len(homing), dtype=np.int64)
    for t in range(len(homing)):
        if homing[t]:
            n = 0
        elif not enabled[t]:
            n = 1
        elif not given[t]:
            n = 2
        elif stale[t]:
            n = 3
        elif reached[t]:
            n = 4
        elif limited[t] & COLLISION:
            n = 5
        elif lost[t]:
            n = 6
        else:
            n = 7 if limited[t] else 8
        result[t] = states[n]
    return result


# steps of a finger


@compiled(f"void({F2}, {F1}, {B1}, f8, f8[::1])")
def _add_closest(J: Array, rest: Array, fixed: _Bools, damping: float, step: Array) -> None:
    """Add to step (depth,) the smallest motion of the joints that are not fixed that moves the tip by rest (3,), by
    J^T (J J^T + damping)^-1 rest."""
    a = b = c = d = e = f = 0.0  # the symmetric matrix, by rows
    for k in range(len(step)):
        if not fixed[k]:
            x, y, z = J[0, k], J[1, k], J[2, k]
            a, b, c, d, e, f = a + x * x, b + x * y, c + x * z, d + y * y, e + y * z, f + z * z
    a, d, f = a + damping, d + damping, f + damping
    A, B, C = d * f - e * e, c * e - b * f, b * e - c * d  # cofactors
    D, E, F = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * A + b * B + c * C
    x = (A * rest[0] + B * rest[1] + C * rest[2]) / determinant
    y = (B * rest[0] + D * rest[1] + E * rest[2]) / determinant
    z = (C * rest[0] + E * rest[1] + F * rest[2]) / determinant
    for k in range(len(step)):
        if not fixed[k]:
            step[k] += J[0, k] * x + J[1, k] * y + J[2, k] * z


@compiled(f"i8({I1})")
def _depth(chain: _Ints) -> int:
    """Joints of a chain, which is padded with -1."""
    n = 0
    while n < len(chain) and chain[n] >= 0:
        n += 1
    return n


@compiled(f"void({F2}, {F1}, {F1}, f8[::1])")
def _subtract_motion(J: Array, step: Array, task: Array, rest: Array) -> None:
    """rest = task - J step."""
    for i in range(3):
        rest[i] = task[i]
        for k in range(len(step)):
            rest[i] -= J[i, k] * step[k]


@compiled(f"f8[:, ::1]({F2}, {F3}, {F4}, {F3}, {I2}, {F1}, {F1}, {F1}, b1, f8, f8, f8)")
def damped_least_squares(
    q: Array, position: Array, jacobian: Array, target: Array, chain: _Ints, lower: Array, upper: Array, reach: Array,
    careful: bool, relative: float, smallest: float, largest: float,
) -> Array:  # fmt: skip
    """See `baseline.DampedLeastSquares`. q (n, nq), position and target (n, nt, 3), jacobian (n, nt, 3, depth)."""
    result = q.copy()
    dq, low, high = np.empty(chain.shape[1]), np.empty(chain.shape[1]), np.empty(chain.shape[1])
    error, rest = np.empty(3), np.empty(3)
    for n in range(len(q)):
        for t in range(len(chain)):
            depth = _depth(chain[t])
            J = np.ascontiguousarray(jacobian[n, t, :, :depth]) / reach[t]
            error[:] = (target[n, t] - position[n, t]) / reach[t]  # lengths in units of the reach
            size = _length(error)
            damping = (size if careful else (relative * size) ** 2) + smallest * smallest
            fixed = np.zeros(depth, dtype=np.bool_)
            for k in range(depth):
                dq[k], low[k], high[k] = (
                    0.0,
                    lower[chain[t, k]] - q[n, chain[t, k]],
                    upper[chain[t, k]] - q[n, chain[t, k]],
                )
            _add_closest(J, error, fixed, damping, dq[:depth])
            for _ in range(
                2
            ):  # two joints of a chain may be at their limits together; a third would leave nothing to solve
                for k in range(depth):
                    fixed[k] = dq[k] <= low[k] or dq[k] >= high[k]
                    dq[k] = clip(dq[k], low[k], high[k]) if fixed[k] else 0.0
                _subtract_motion(J, dq[:depth], error, rest)
                _add_closest(J, rest, fixed, damping, dq[:depth])
            most = 0.0
            for k in range(depth):
                most = max(most, abs(dq[k]))
            share = min(1.0, largest / max(most, largest))
            for k in range(depth):
                i = chain[t, k]
                result[n, i] = clip(q[n, i] + dq[k] * share, lower[i], upper[i])
    return result


@compiled(f"f8({F2}, {F1}, {F1}, f8, f8, f8[::1])")
def _task(J: Array, solved: Array, to_go: Array, agree_share: float, rounding: float, task: Array) -> float:
    """The tip motion (3,) [m] of a step, or the way to go itself where both agree: a network's float32 step is a noise of
    1e-7 rad away from it, which is nothing in position and a lot in jerk. Returns the length of the way to go."""
    for i in range(3):
        task[i] = 0.0
        for k in range(len(solved)):
            task[i] += J[i, k] * solved[k]
    gap = to_go - task
    whole = _length(to_go)
    task += gap * clip(2.0 - _length(gap) / (agree_share * whole + rounding), 0.0, 1.0)
    return whole


@compiled(f"void({F2}, {F1}, f8, {F1}, {F1}, f8[::1])")
def _shape(J: Array, task: Array, damping: float, low: Array, high: Array, step: Array) -> None:
    """Of all steps (depth,) with the tip motion task (3,) the one closest to the given one, which it replaces; the joints
    that would go beyond low or high stop there, and those that are free make up for them."""
    pull, rest, fixed = step.copy(), np.empty(3), np.zeros(len(step), dtype=np.bool_)
    _subtract_motion(J, step, task, rest)
    _add_closest(J, rest, fixed, damping, step)
    any_fixed = False
    for k in range(len(step)):
        fixed[k] = step[k] <= low[k] or step[k] >= high[k]
        any_fixed |= fixed[k]
        step[k] = clip(step[k], low[k], high[k]) if fixed[k] else step[k]
    if any_fixed:
        for k in range(len(step)):
            step[k] = step[k] if fixed[k] else pull[k]
        _subtract_motion(J, step, task, rest)
        _add_closest(J, rest, fixed, damping, step)


@compiled(f"f8[::1]({F1}, {F1}, {F1}, {F1}, {F1}, f8, f8)")
def posture_pull(
    q: Array, preferred: Array, inner_lower: Array, inner_upper: Array, largest: Array, repulsion: float, share: float
) -> Array:
    """A step (nq,) [rad] by a share of the way to the preferred posture, with more weight on what is close to its limits."""
    pull = np.empty(len(q))
    for i in range(len(q)):
        inwards = max(inner_lower[i] - q[i], 0.0) + min(inner_upper[i] - q[i], 0.0)
        pull[i] = clip((preferred[i] - q[i] + repulsion * inwards) * share, -largest[i], largest[i])
    return pull


@compiled(f"void(f8[::1], {F3}, {F3}, {F2}, {F1}, {I2}, {F1}, {F1}, {F1}, f8)")
def turn(
    pull: Array, jacobian: Array, turning: Array, gap: Array, weight: Array, chain: _Ints, damping: Array, leak: Array,
    largest: Array, share: float,
) -> None:  # fmt: skip
    """Replace a part, weight (nt,), of the pull (nq,) [rad] by what turns the tips. turning (nt, 3, depth): derivatives of
    their directions, gap (nt, 3): from the directions to the wanted ones, nan for none; share of a Newton step; leak (nt,) [m]:
    so far the tip may move with it, where the finger is all but stretched and no motion leaves it in place."""
    for t in range(len(chain)):
        n = _depth(chain[t])
        if not weight[t] > 0.0 or math.isnan(gap[t, 0]) or n <= COORDINATES:
            continue
        J, D = np.ascontiguousarray(jacobian[t, :, :n]), np.ascontiguousarray(turning[t, :, :n])
        uphill, away, none = np.zeros(n), np.zeros(3), np.zeros(n, dtype=np.bool_)
        for k in range(n):
            for i in range(3):
                uphill[k] += D[i, k] * gap[t, i]
        free = uphill.copy()  # the part of it that leaves the tip where it is
        _subtract_motion(J, uphill, away, away)
        _add_closest(J, away, none, damping[t], free)
        slope = steepness = 0.0
        for i in range(3):
            turned = 0.0
            for k in range(n):
                turned += D[i, k] * free[k]
            steepness += turned * turned
        for k in range(n):
            slope += uphill[k] * free[k]
            steepness += _FLAT * free[k] * free[k]
        step = share * slope / max(steepness, _TINY)
        for k in range(n):
            step = min(step, largest[chain[t, k]] / max(abs(free[k]), _TINY))
        _subtract_motion(J, free, np.zeros(3), away)
        step = min(step, leak[t] / max(_length(away), _TINY))
        for k in range(n):
            pull[chain[t, k]] += weight[t] * (step * free[k] - pull[chain[t, k]])


@compiled(f"f8[::1]({F1}, {F2}, {F3}, {F1}, {F2}, {B1}, {F1}, {I2}, {F1}, {F1}, {F1}, {F1}, f8, f8, f8)")
def postured(
    q: Array, position: Array, jacobian: Array, q_next: Array, target: Array, takes_part: _Bools, pull: Array, chain: _Ints,
    lower: Array, upper: Array, damping: Array, near: Array, soft: float, agree: float, rounding: float,
) -> Array:  # fmt: skip
    """See `posture.Posture`: q_next with another motion of the free degrees, as close to pull (nq,) [rad] as the tips allow.
    position (nt, 3) and jacobian (nt, 3, depth) at q."""
    result = q_next.copy()
    depth = chain.shape[1]
    solved, shaped, low, high, task = np.empty(depth), np.empty(depth), np.empty(depth), np.empty(depth), np.empty(3)
    for t in range(len(chain)):
        n = _depth(chain[t])
        if not takes_part[t] or n <= COORDINATES:
            continue
        J = np.ascontiguousarray(jacobian[t, :, :n])
        for k in range(n):
            i = chain[t, k]
            shaped[k], solved[k] = pull[i], q_next[i] - q[i]
            low[k], high[k] = soft * (lower[i] - q[i]), soft * (upper[i] - q[i])
        error = _task(J, solved[:n], target[t] - position[t], agree, rounding, task)
        share = clip(2.0 - error / near[t], 0.0, 1.0)
        if share == 0.0:
            continue
        _shape(J, task, damping[t], low[:n], high[:n], shaped[:n])
        for k in range(n):
            i = chain[t, k]
            result[i] = q[i] + solved[k] + share * (shaped[k] - solved[k])
    return result


@compiled(f"f8[::1]({F2}, {F2})")
def angles(a: Array, b: Array) -> Array:
    """Between unit vectors (n, 3): (n,) [rad], nan where one of them is not known."""
    result = np.empty(len(a))
    for i in range(len(a)):
        x = a[i, 1] * b[i, 2] - a[i, 2] * b[i, 1]
        y = a[i, 2] * b[i, 0] - a[i, 0] * b[i, 2]
        z = a[i, 0] * b[i, 1] - a[i, 1] * b[i, 0]
        along = a[i, 0] * b[i, 0] + a[i, 1] * b[i, 1] + a[i, 2] * b[i, 2]
        result[i] = math.atan2(math.sqrt(x * x + y * y + z * z), along)
    return result
