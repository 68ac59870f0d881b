"""Brings each tip's reference to its goal along a straight line under velocity, acceleration and jerk limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array
from nnik_ros.limits import stopping_speed


class Governor:
    """One reference point for each tip.

    First a point runs to the goal with bounded velocity and acceleration, braking in time (time-optimal for a goal at
    rest). Then a moving average over `window` periods turns its trapezoidal velocity into an S-curve: jerk is at most
    2 acceleration / (window T). The average of points on a line stays on the line, and never exceeds their velocity or
    acceleration.
    """

    def __init__(self, velocity: Array, acceleration: Array, jerk: Array, period: float) -> None:
        """velocity [m/s], acceleration [m/s^2], jerk [m/s^3] of each tip, (nt,) each; period [s]."""
        self._velocity, self._acceleration, self._period = velocity[:, None], acceleration[:, None], period
        self._window = max(1, int(np.ceil(np.max(2.0 * acceleration / (jerk * period)))))
        nt = len(velocity)
        self._point: Array = np.zeros((nt, 3))
        self._point_velocity: Array = np.zeros((nt, 3))
        self._history = np.zeros((self._window, nt, 3))
        self._next = 0

    def reset(self, position: Array, tips: NDArray[np.bool_] | None = None) -> None:
        """Start at rest at position (nt, 3) [m]; tips (nt,) bool: only these."""
        chosen = slice(None) if tips is None else tips
        self._point[chosen] = position[chosen]
        self._point_velocity[chosen] = 0.0
        self._history[:, chosen] = position[chosen]

    @property
    def point(self) -> Array:
        """The running points ahead of the average (nt, 3) [m]; as a goal they mean: brake."""
        return self._point

    @property
    def position(self) -> Array:
        """The references (nt, 3) [m]."""
        mean: Array = self._history.mean(axis=0)
        return mean

    def advance(self, goal: Array, speed: float = 1.0) -> Array:
        """One period towards goal (nt, 3) [m] with `speed` (0 to 1) of the full velocity; returns the references (nt, 3)."""
        T, a = self._period, self._acceleration
        to_goal = goal - self._point
        distance = np.sqrt((to_goal * to_goal).sum(axis=-1, keepdims=True))
        wanted_speed = np.minimum(stopping_speed(distance, a, T), self._velocity * speed)
        wanted = to_goal * (wanted_speed / np.maximum(distance, 1e-12))
        change = wanted - self._point_velocity
        size = np.sqrt((change * change).sum(axis=-1, keepdims=True))
        change *= np.minimum(1.0, a * T / np.maximum(size, 1e-12))
        self._point_velocity = self._point_velocity + change
        self._point = self._point + self._point_velocity * T
        self._history[self._next] = self._point
        self._next = (self._next + 1) % self._window
        return self.position
