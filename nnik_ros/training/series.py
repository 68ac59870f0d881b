"""Positions of points of a robot as sums of sines: a few array operations for all points at once.

The position of a point on a chain of revolute joints is linear in the sine and cosine of each joint. Written out, it is a
sum of sines of sums and differences of the joint angles, with coefficients that depend on the geometry alone:

    p(q) = sum over m of A_m cos(m . q) + B_m sin(m . q),   m in {-1, 0, 1}^n

They are found from three angles of each joint by the discrete Fourier transform, which is exact for such a function. Source:
trigonometric interpolation, Press et al., Numerical Recipes (2007), section 12.1. Most coefficients vanish: parallel joints
turn by the sum of their angles only.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array, frozen

_NOTHING = 1e-15  # of the largest coefficient; a smaller one is rounding
_QUARTER = 0.5 * np.pi  # cos x = sin(x + pi / 2)


@dataclass(frozen=True)
class Series:
    """values(q) = sin(q frequency + phase) weight. frequency (nq, terms), phase (terms,) 0 or pi / 2, weight (terms, n)."""

    frequency: Array
    phase: Array
    weight: Array

    def at(self, q: Array) -> Array:
        """q (..., nq) [rad]; returns (..., n)."""
        values: Array = np.sin(q @ self.frequency + self.phase) @ self.weight
        return values


def side_by_side(series: list[Series]) -> Series:
    """One series with the values of all; terms that occur in several are evaluated once."""
    keys = [tuple(column) for part in series for column in np.vstack([part.frequency, part.phase]).T]
    place = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    weight = np.zeros((len(place), sum(part.weight.shape[1] for part in series)))
    rows, column = iter(keys), 0
    for part in series:
        width = part.weight.shape[1]
        for row in part.weight:
            weight[place[next(rows)], column : column + width] += row
        column += width
    table = np.array(list(place))
    return Series(frozen(np.ascontiguousarray(table[:, :-1].T)), frozen(table[:, -1]), frozen(weight))


def series_of(function: Callable[[Array], Array], joints: NDArray[np.int64], nq: int) -> Series:
    """The series of a function of q (n, nq) [rad] to (n, k) that depends on `joints` only, linear in the sine and cosine of
    each of them."""
    grid = np.array(list(itertools.product(range(3), repeat=len(joints))), dtype=np.int64)
    q = np.zeros((len(grid), nq))
    q[:, joints] = grid * (2.0 * np.pi / 3.0)
    values = function(q)
    axes = tuple(range(len(joints)))
    spectrum = np.fft.fftn(values.reshape(*(3,) * len(joints), -1), axes=axes).reshape(len(grid), -1) / len(grid)
    m = np.where(grid == 2, -1, grid)
    first = np.array([next((sign for sign in row if sign), 0) for row in m])
    # of m and -m, which carry the same term, the one that begins with +1; and the constant
    cosine = np.where(first[:, None] == 0, spectrum.real, 2.0 * spectrum.real) * (first >= 0)[:, None]
    sine = -2.0 * spectrum.imag * (first > 0)[:, None]
    weight = np.vstack([cosine, sine])
    used = np.abs(weight).max(axis=1) > _NOTHING * max(1e-300, float(np.abs(weight).max()))
    used[0] |= not used.any()  # a series of nothing has one term, too
    frequency = np.zeros((nq, 2 * len(grid)))
    frequency[joints] = np.vstack([m, m]).T
    phase = np.repeat([_QUARTER, 0.0], len(grid))
    return Series(frozen(frequency[:, used]), frozen(phase[used]), frozen(weight[used]))
