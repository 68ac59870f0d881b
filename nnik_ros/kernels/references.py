"""Goals and the references that lead to them."""

from __future__ import annotations

import math

import numpy as np

from nnik_ros.compiled import B1, F1, F2, F3, Array, Bools, compiled
from nnik_ros.kernels.joints import stopping_speed
from nnik_ros.kernels.points import TINY, length


@compiled(f"f8[:, ::1]({F3})")
def mean_of(history: Array) -> Array:
    """(window, nt, 3) to (nt, 3)."""
    mean = np.zeros(history.shape[1:])
    for points in history:
        mean += points
    return mean / len(history)


@compiled(f"f8[:, ::1]({F2}, f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, :, ::1], i8, {F1}, {F1}, f8)")
def advance_points(
    goal: Array, last_goal: Array, point: Array, velocity: Array, history: Array, slot: int, fastest: Array,
    acceleration: Array, period: float,
) -> Array:  # fmt: skip
    """See `governor.Governor`: point and velocity (nt, 3) go on by one period, last_goal becomes goal, and the point takes its
    slot in the history (window, nt, 3), whose mean is returned."""
    for t in range(len(goal)):
        follow = (goal[t] - last_goal[t]) / period
        if not length(follow) <= fastest[t]:  # a jump, or no goal at all
            follow[:] = 0.0
        last_goal[t] = goal[t]
        to_goal = goal[t] - point[t] - follow * period
        if math.isnan(to_goal[0]):
            to_goal[:] = 0.0
        distance = length(to_goal)
        wanted = follow + to_goal * (stopping_speed(distance, acceleration[t], period) / max(distance, TINY))
        wanted *= min(1.0, fastest[t] / max(length(wanted), TINY))
        change = wanted - velocity[t]
        change *= min(1.0, acceleration[t] * period / max(length(change), TINY))
        velocity[t] += change
        point[t] += velocity[t] * period
        history[slot, t] = point[t]
    return mean_of(history)


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
        if left[t] > 1.0:
            point[t] += (goal[t] - point[t]) / left[t]
        else:
            point[t] = goal[t]
        left[t] = max(left[t] - 1.0, 0.0)


@compiled(f"Tuple((b1[::1], f8[::1], b1[::1], b1[::1], f8[:, ::1]))(f8, {F2}, {F1}, f8, {B1}, b1)")
def judged(
    now: float, position: Array, stamp: Array, timeout: float, enabled: Bools, running: bool
) -> tuple[Bools, Array, Bools, Bools, Array]:
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
