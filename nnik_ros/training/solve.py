"""Systems of three equations, one in each row: (J_w J^T + D)^-1 by cofactors, with constant matrices (see `Rows`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnik_ros.geometry import Array

_LARGEST_DAMPING = 10.0  # of the damping over the square of the error, in reaches
_SMALLEST_DAMPING = 1e-6  # keeps the determinant positive in float32 at a stretched finger
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_COFACTORS = {  # of a symmetric matrix: the entries of a product less those of another one
    (0, 0): ((1, 1), (2, 2), (1, 2), (1, 2)), (1, 1): ((0, 0), (2, 2), (0, 2), (0, 2)),
    (2, 2): ((0, 0), (1, 1), (0, 1), (0, 1)), (0, 1): ((0, 2), (1, 2), (0, 1), (2, 2)),
    (0, 2): ((0, 1), (1, 2), (0, 2), (1, 1)), (1, 2): ((0, 1), (0, 2), (1, 2), (0, 0)),
}  # fmt: skip
_FACTORS = 2 * len(_COFACTORS)


class SolveConstants(NamedTuple):
    """n columns of a spread row, m = 2 n - 2. left, right (n, m): factors of the matrix's entries, joint by joint; matrix
    (m, 24 + n): from there to both factors of the cofactors' products, and the matrix itself, spread; smallest (24 + n,) and
    damping (1, 24 + n): what is added to it; cofactor (12, n); row, determinant (n, n): solution and determinant, spread; rest
    (n, n): what a step, a third of it in each copy, takes off an error; thirds (n, n): a step in such copies."""

    left: Any
    right: Any
    matrix: Any
    smallest: Any
    damping: Any
    cofactor: Any
    row: Any
    determinant: Any
    rest: Any
    thirds: Any


def sizes(width: int) -> list[int]:
    """Pieces of the matrix: first and second factors of the cofactors' products; the matrix, spread."""
    return [_FACTORS, _FACTORS, width]


def solve_constants(joints: int) -> SolveConstants:
    """For rows of so many joints."""
    n, pairs = 3 * joints + 1, len(_PAIRS)
    left, right = np.zeros((n, joints * pairs)), np.zeros((n, joints * pairs))
    entries = np.zeros((joints * pairs, pairs))
    for i in range(joints):
        for p, (x, y) in enumerate(_PAIRS):
            left[3 * i + x, pairs * i + p] = right[3 * i + y, pairs * i + p] = 1.0
            entries[pairs * i + p, p] = 1.0
    arranged = _arranged(n)
    diagonal = np.array([float(x == y) for x, y in _PAIRS])[None]
    cofactor, row, determinant, rest = np.zeros((_FACTORS, n)), np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for x in range(3):
        for y in range(3):
            c = 2 * list(_COFACTORS).index((min(x, y), max(x, y)))
            cofactor[[c, c + 1], 3 * x + y] = 1.0, -1.0
            row[3 * x + y, x : n - 1 : 3] = 1.0
            determinant[3 * x + y] = 1.0 / 3.0  # every row of the matrix gives it once
            rest[y::3, x : n - 1 : 3] = -3.0 * float(x == y)
    rest[-1] = 0.0
    thirds = np.zeros((n, n))
    for i in range(joints):
        thirds[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = 1.0 / 3.0
    return SolveConstants(
        left, right, entries @ arranged, (_SMALLEST_DAMPING * diagonal @ arranged)[0],
        _LARGEST_DAMPING / joints * diagonal @ arranged, cofactor, row, determinant, rest, thirds,
    )  # fmt: skip


def solved(xp: Any, constants: SolveConstants, matrix: Any, b: Any) -> Any:
    """The solution for right-hand sides b (rows, n), spread; matrix (rows, 24 + n): see `SolveConstants`."""
    first, second, A = xp.split(matrix, sizes(constants.rest.shape[0]), -1)
    cofactors = (first * second) @ constants.cofactor
    return ((cofactors * b) @ constants.row) / ((cofactors * A) @ constants.determinant)


def _arranged(n: int) -> Array:
    """From the entries of a symmetric matrix to factors of its cofactors' products, and to the matrix, spread."""
    arranged = np.zeros((len(_PAIRS), 2 * _FACTORS + n))
    for c, (a, b, p, q) in enumerate(_COFACTORS.values()):
        for column, entry in ((2 * c, a), (2 * c + 1, p), (_FACTORS + 2 * c, b), (_FACTORS + 2 * c + 1, q)):
            arranged[_PAIRS.index(entry), column] = 1.0
    for x in range(3):
        for y in range(3):
            arranged[_PAIRS.index((min(x, y), max(x, y))), 2 * _FACTORS + 3 * x + y] = 1.0
    return arranged
