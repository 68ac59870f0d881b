"""What became of a tick: progress and state of every tip."""

from __future__ import annotations

import math

import numpy as np

from nnik_ros.compiled import B1, F1, F2, I1, Array, Bools, Ints, compiled
from nnik_ros.kernels.joints import ACCELERATION, COLLISION, LEAD
from nnik_ros.kernels.points import distances

LED = 0.5  # of the error: a reference that is closer to the goal leads its tip no more, however the goal trembles
_MOVED = 1.1  # times the best error: a tip's own steps never lead it so far off


@compiled(
    f"Tuple((f8[::1], f8[::1], f8[::1], b1[::1], i8[::1]))"
    f"({F2}, {F2}, {F2}, {F2}, {F2}, {F1}, {B1}, {B1}, {I1}, b1, f8, f8)"
)
def seen(
    tip: Array, measured_tip: Array, goal: Array, near: Array, reference: Array, best_error: Array, follows: Bools,
    escaping: Bools, stuck: Ints, closed_loop: bool, tolerance: float, progress: float,
) -> tuple[Array, Array, Array, Bools, Ints]:  # fmt: skip
    """What a tick has brought to points (nt, 3) [m]. Returns, (nt,) each: error and measured error to the goal; the best error
    to the goal as near as it may be followed, since the reference is there; whether it counts as reached, with its reference;
    and the ticks since the best error was improved by a share of it, at a reference that is there."""
    error, measured_error = distances(tip, goal), distances(measured_tip, goal)
    error_near, behind = distances(tip, near), distances(reference, near)
    best, reached, still = error_near.copy(), np.zeros(len(tip), dtype=np.bool_), np.zeros(len(tip), dtype=np.int64)
    for t in range(len(tip)):
        counts = measured_error[t] if closed_loop else error[t]
        reached[t] = counts <= tolerance and behind[t] <= tolerance
        there = error_near[t] > tolerance and behind[t] < max(tolerance, LED * error_near[t])
        rests = follows[t] and not escaping[t] and there
        if rests and not best_error[t] - error_near[t] > progress * error_near[t]:
            still[t] = stuck[t] + 1
            if best_error[t] < error_near[t]:
                best[t] = best_error[t]
    return error, measured_error, best, reached, still


@compiled(f"void({F2}, {F2}, i8[::1], f8[::1], {I1}, i8[::1], i8[::1], i8)")
def notice_blocked(
    near: Array, tip: Array, still: Ints, best_error: Array, limited: Ints, led: Ints, apart: Ints, lasts: int
) -> None:
    """Ticks without progress (nt,), and the best errors (nt,) [m], begin anew for tips (nt, 3) whose joints do not follow, that
    the lead bound holds, and for those that others moved aside from their goals (nt, 3) [m], as near as these may be followed,
    and keep apart no more. led, apart (nt,): ticks, counted down, for which a tip still counts as held and as kept apart; so
    many that it lasts, for noise comes and goes."""
    error = distances(near, tip)
    for t in range(len(still)):
        free = apart[t] == 1 and not limited[t] & COLLISION
        led[t] = lasts if limited[t] & LEAD else max(led[t] - 1, 0)
        apart[t] = lasts if limited[t] & COLLISION else max(apart[t] - 1, 0)
        if led[t] > 0 or (free and error[t] > _MOVED * best_error[t]):
            still[t], best_error[t] = 0, math.nan


@compiled(f"void({F2}, {F2}, i8[::1], f8[:, ::1], f8[:, ::1], i8[::1], i8[::1], f8)")
def notice_moves(
    goal: Array, tip: Array, still: Ints, begun: Array, place: Array, stays: Ints, wait: Ints, tolerance: float
) -> None:
    """Whether goals (nt, 3) [m], nan for none, are where they were. still (nt,): ticks without progress of tips (nt, 3), none
    any more where the goal has left the place (nt, 3) at which they `begun`, by half of the error. place (nt, 3): where the
    goals are, within the tolerance, and `stays` (nt,): since how many ticks. wait (nt,): ticks, counted down."""
    error, moved, away = distances(goal, tip), distances(goal, begun), distances(goal, place)
    for t in range(len(goal)):
        if moved[t] >= max(tolerance, LED * error[t]):
            still[t] = 0
        if still[t] == 0 or math.isnan(moved[t]):
            begun[t] = goal[t]
        if away[t] < tolerance:
            stays[t] += 1
        else:
            stays[t], place[t] = 0, goal[t]
        wait[t] = max(wait[t] - 1, 0)


@compiled(f"b1[::1]({I1}, i8, {I1}, {I1}, {I1}, {F2}, {F2}, f8)")
def to_search(
    stuck: Ints, enough: int, stays: Ints, wait: Ints, limited: Ints, goal: Array, searched_for: Array, tolerance: float
) -> Bools:
    """Tips (nt,) to look for another posture for: stuck for enough ticks, before a goal for which that was not done; before one
    that moves, only where no others keep the tip apart, and not all the time."""
    far, fresh = distances(goal, searched_for), np.zeros(len(goal), dtype=np.bool_)
    for t in range(len(goal)):
        may = stays[t] >= enough or (wait[t] == 0 and limited[t] & COLLISION == 0)
        fresh[t] = stuck[t] >= enough and may and not far[t] < tolerance
    return fresh


@compiled(f"Tuple((i8[::1], i8))({B1}, {B1}, {B1}, {B1}, {B1}, {I1}, {I1}, {B1}, i8, {I1})")
def first_state(
    homing: Bools, enabled: Bools, given: Bools, stale: Bools, reached: Bools, limited: Ints, stuck: Ints,
    escaping: Bools, longest: int, states: Ints,
) -> tuple[Ints, int]:  # fmt: skip
    """The first of nine states that applies to each tip (nt,), in the order of `controller._STATES`, and the largest; on the
    way home only a collision goes before it, and a tip that is stuck for more than `longest` ticks and not on its way out is
    lost."""
    result = np.empty(len(homing), dtype=np.int64)
    for t in range(len(homing)):
        if homing[t]:
            n = 5 if limited[t] & COLLISION else 0
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
        elif stuck[t] > longest and not escaping[t]:
            n = 6
        else:
            n = 7 if limited[t] & ~ACCELERATION else 8  # that one only takes a moment
        result[t] = states[n]
    return result, result.max()
