"""Points, vectors and numbers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnik_ros.compiled import F1, F2, Array, compiled

TINY = 1e-12


@compiled("f8(f8, f8, f8)")
def clip(value: float, low: float, high: float) -> float:
    """The value, kept between bounds; nan stays nan."""
    if value < low:
        value = low
    if value > high:
        value = high
    return value


@compiled(f"f8({F1})")
def length(vector: Array) -> float:
    return math.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])


@compiled(f"f8[:, ::1](f4[:, ::1], {F1}, {F1})")
def within(values: NDArray[np.float32], low: Array, high: Array) -> Array:
    """Values (n, k), each kept between its bounds (k,) in double precision: float32 rounds a bound by up to 1e-7."""
    result = np.empty(values.shape)
    for n in range(len(values)):
        for k in range(len(low)):
            result[n, k] = clip(values[n, k], low[k], high[k])
    return result


@compiled(f"f8[::1]({F2}, {F2})")
def distances(a: Array, b: Array) -> Array:
    """(n,) [m] between points (n, 3); nan where one of them is not known."""
    result = np.empty(len(a))
    for i in range(len(a)):
        x, y, z = a[i, 0] - b[i, 0], a[i, 1] - b[i, 1], a[i, 2] - b[i, 2]
        result[i] = math.sqrt(x * x + y * y + z * z)
    return result


@compiled(f"f8({F1})")
def largest(values: Array) -> float:
    """The largest magnitude."""
    most = 0.0
    for value in values:
        most = max(most, abs(value))
    return most


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


@compiled(f"f8[:, ::1]({F2}, {F2}, {F1})")
def drawn_in(points: Array, centre: Array, farthest: Array) -> Array:
    """The points (nt, 3), none farther than that from its centre."""
    result = points.copy()
    for t in range(len(points)):
        away = points[t] - centre[t]
        distance = length(away)
        if distance > farthest[t]:
            result[t] = centre[t] + away * (farthest[t] / distance)
    return result
