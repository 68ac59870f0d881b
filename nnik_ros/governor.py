"""Brings each tip's reference to its goal along a straight line under velocity, acceleration and jerk limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array
from nnik_ros.kernels import references


class Governor:
    """One reference point for each tip.

    First a point runs to the goal with bounded velocity and acceleration, braking in time (time-optimal for a goal at
    rest). A goal that itself moves so that the point can follow, from one period to the next, is approached in its own
    moving frame and then followed without lag. Then a moving average over `window` periods turns the point's trapezoidal
    velocity into an S-curve: jerk is at most 2 acceleration / (window T). The average of points on a line stays on the
    line, and never exceeds their velocity or acceleration.
    """

    def __init__(self, velocity: Array, acceleration: Array, jerk: Array, period: float) -> None:
        """velocity [m/s], acceleration [m/s^2], jerk [m/s^3] of each tip, (nt,) each; period [s]."""
        self._velocity, self._acceleration, self._period = velocity, acceleration, period
        self._window = max(1, int(np.ceil(np.max(2.0 * acceleration / (jerk * period)))))
        nt = len(velocity)
        self._point: Array = np.zeros((nt, 3))
        self._point_velocity: Array = np.zeros((nt, 3))
        self._history = np.zeros((self._window, nt, 3))
        self._next = 0
        self._goal: Array = np.full((nt, 3), np.nan)

    def reset(self, position: Array, tips: NDArray[np.bool_] | None = None) -> None:
        """Start at rest at position (nt, 3) [m]; tips (nt,) bool: only these."""
        chosen = slice(None) if tips is None else tips
        self._point[chosen] = position[chosen]
        self._point_velocity[chosen] = 0.0
        self._history[:, chosen] = position[chosen]

    def advance(self, goal: Array, speed: float | Array = 1.0) -> Array:
        """One period towards goal (nt, 3) [m], nan for none: brake, with `speed` (0 to 1, or (nt,)) of the full velocity;
        returns the references (nt, 3)."""
        fastest = self._velocity * speed
        mean: Array = references.advance_points(
            goal, self._goal, self._point, self._point_velocity, self._history, self._next, fastest, self._acceleration,
            self._period,
        )  # fmt: skip
        self._next = (self._next + 1) % self._window
        return mean
