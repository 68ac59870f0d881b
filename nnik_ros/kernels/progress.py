"""What became of a tick: progress and state of every tip."""

from __future__ import annotations

import numpy as np

from nnik_ros.compiled import B1, F1, I1, Array, Bools, Ints, compiled
from nnik_ros.kernels.joints import COLLISION


@compiled(f"i8[::1]({F1}, {F1}, {F1}, {B1}, {B1}, {I1}, f8, f8)")
def stuck_for(
    error: Array, last_error: Array, behind: Array, follows: Bools, escaping: Bools, stuck: Ints, tolerance: float,
    progress: float,
) -> Ints:  # fmt: skip
    """Ticks (nt,) for which each tip has made no progress, a share of its error [m], at a reference that rests."""
    result = np.zeros(len(error), dtype=np.int64)
    for t in range(len(error)):
        rests = follows[t] and not escaping[t] and behind[t] < tolerance and error[t] > tolerance
        if rests and not last_error[t] - error[t] > progress * error[t]:
            result[t] = stuck[t] + 1
    return result


@compiled(f"i8[::1]({B1}, {B1}, {B1}, {B1}, {B1}, {I1}, {B1}, {I1})")
def first_state(
    homing: Bools,
    enabled: Bools,
    given: Bools,
    stale: Bools,
    reached: Bools,
    limited: Ints,
    lost: Bools,
    states: Ints,
) -> Ints:
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
