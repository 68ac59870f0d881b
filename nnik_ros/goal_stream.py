"""Goals that arrive less often than the control loop ticks, as points that move evenly from each to the next.

A publisher of 50 Hz moves its target in steps of 20 ms. Followed as they come, every step would be a start and a stop. So a
goal that follows the one before it within `_LONGEST` is moved to during as many periods as lay between the two: late by one
interval of the publisher, never ahead of its last word. A goal after a longer rest is there at once.
"""

from __future__ import annotations

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.kernels import references

_LONGEST = 0.12  # s between two goals of one stream; slower ones are single goals
_FADE = 0.99  # of the longest interval, with every goal


class GoalStream:
    """One moving point for each tip."""

    def __init__(self, nt: int, period: float) -> None:
        """period [s] of the control loop."""
        self._longest = max(1.0, float(round(_LONGEST / period)))
        self._goal: Array = np.full((nt, 3), np.nan)
        self._point: Array = np.full((nt, 3), np.nan)
        self._left: Array = np.zeros(nt)  # periods until the point is at the goal
        self._since: Array = np.full(nt, self._longest)  # periods since the goal changed, this one included
        self._interval: Array = np.ones(nt)  # periods between goals, of late at most

    def advance(self, goal: Array) -> Array:
        """One period; goal (nt, 3) [m], nan for none. Returns the points (nt, 3), nan for none."""
        references.advance_streams(
            goal, self._goal, self._point, self._left, self._since, self._interval, self._longest, _FADE
        )
        return self._point.copy()
