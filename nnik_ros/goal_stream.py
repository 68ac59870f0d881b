"""Goals that arrive less often than the control loop ticks, as points that move evenly from each to the next.

A publisher of 50 Hz moves its target in steps of 20 ms. Followed as they come, every step would be a start and a stop. So a
goal that follows the one before it within `_LONGEST` is moved to during as many periods as lay between the two: late by one
interval of the publisher, never ahead of its last word. A goal after a longer rest is there at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array

_LONGEST = 0.12  # s between two goals of one stream; slower ones are single goals
_FADE = 0.99  # of the longest interval, with every goal


class GoalStream:
    """One moving point for each tip."""

    def __init__(self, nt: int, period: float) -> None:
        """period [s] of the control loop."""
        self._longest = max(1, round(_LONGEST / period))
        self._goal: Array = np.full((nt, 3), np.nan)
        self._point: Array = np.full((nt, 3), np.nan)
        self._left: Array = np.zeros(nt)  # periods until the point is at the goal
        self._since: NDArray[np.int64] = np.full(nt, self._longest)  # periods since the goal changed, this one included
        self._interval: Array = np.ones(nt)  # periods between goals, of late at most

    def advance(self, goal: Array) -> Array:
        """One period; goal (nt, 3) [m], nan for none. Returns the points (nt, 3), nan for none."""
        changed = (goal != self._goal).any(axis=-1)
        if changed.any():
            streams = (self._since < self._longest) & ~np.isnan(self._point[:, 0])
            # messages come now a little early, now a little late: the longest interval of late leaves no gaps
            interval = np.where(streams, np.maximum(self._since, _FADE * self._interval), 1.0)
            self._left = np.where(changed, interval, self._left)
            self._interval = np.where(changed, interval, self._interval)
            self._since = np.where(changed, 0, self._since)
            self._goal = goal
        self._since = np.minimum(self._since + 1, self._longest)
        if (self._left > 1.0).any():
            way = (goal - self._point) / np.maximum(self._left, 1.0)[:, None]
            self._point = np.where((self._left > 1.0)[:, None] & ~np.isnan(way), self._point + way, goal)
        else:
            self._point = goal
        self._left = np.maximum(self._left - 1.0, 0.0)
        return self._point
