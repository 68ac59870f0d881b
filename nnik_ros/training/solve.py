"""Systems of three equations, one in each row: (J_w J^T + D)^-1 by cofactors, with constant matrices (see `Rows`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnik_ros.geometry import Array

SPARE = 4  # columns of a spread row after those of its joints; beside the slopes three hold the error, for the damping
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
    """n columns of a spread row; m products that sum up to the matrix: six for each joint, the squares of the error, and 1.
    left, right (n, m), least, one (m,): both factors of each; first, second (m, 12): both factors of the cofactors' products;
    matrix (m, n): a row of the matrix, in the spare columns; cofactor (12, n): of the matrix, spread, and of that row; row,
    determinant (n, n): solution and determinant, spread; rest (n, n): what a step, a third of it in each copy, takes off an
    error."""

    left: Any
    right: Any
    least: Any
    one: Any
    first: Any
    second: Any
    matrix: Any
    cofactor: Any
    row: Any
    determinant: Any
    rest: Any


def solve_constants(joints: int) -> SolveConstants:
    """For rows of so many joints."""
    n, pairs = 3 * joints + SPARE, len(_PAIRS)
    m = joints * pairs + 4
    left, right = np.zeros((n, m)), np.zeros((n, m))
    entries = np.zeros((m, pairs))
    for i in range(joints):
        for p, (x, y) in enumerate(_PAIRS):
            left[3 * i + x, pairs * i + p] = right[3 * i + y, pairs * i + p] = 1.0
            entries[pairs * i + p, p] = 1.0
    after = 3 * joints + np.arange(3)
    left[after, m - 4 + np.arange(3)] = 1.0
    right[after, m - 4 + np.arange(3)] = _LARGEST_DAMPING
    entries[-4:] = [float(x == y) for x, y in _PAIRS]
    last = np.append(np.zeros(m - 1), 1.0)
    first, second = _factors()
    matrix = np.zeros((m, n))
    cofactor, row, determinant, rest = np.zeros((_FACTORS, n)), np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for x in range(3):
        for y in range(3):
            c = 2 * list(_COFACTORS).index((min(x, y), max(x, y)))
            cofactor[[c, c + 1], 3 * x + y] = 1.0, -1.0
            row[3 * x + y, x : 3 * joints : 3] = 1.0
            rest[y : 3 * joints : 3, x : 3 * joints : 3] = -3.0 * float(x == y)
    for y in range(3):
        matrix[:, after[y]] = entries[:, _PAIRS.index((0, y))]
        cofactor[:, after[y]] = cofactor[:, y]
        determinant[after[y]] = 1.0
    return SolveConstants(
        left, right, _SMALLEST_DAMPING * last, last, entries @ first, entries @ second, matrix, cofactor, row, determinant,
        rest,
    )  # fmt: skip


def solved(xp: Any, constants: SolveConstants, J: Any, J_w: Any, b: Any) -> Any:
    """The solution for right-hand sides b, all (rows, n), spread; after the joints' columns J has the error, J_w the error
    times its damping, in units of the largest, and b zeros."""
    entries = xp.addmm(constants.least, J_w, constants.left) * xp.addmm(constants.one, J, constants.right)
    cofactors = ((entries @ constants.first) * (entries @ constants.second)) @ constants.cofactor
    products = cofactors * xp.addmm(b, entries, constants.matrix)
    return (products @ constants.row) / (products @ constants.determinant)


def _factors() -> tuple[Array, Array]:
    """From the entries of a symmetric matrix to both factors of its cofactors' products."""
    first, second = np.zeros((len(_PAIRS), _FACTORS)), np.zeros((len(_PAIRS), _FACTORS))
    for c, (a, b, p, q) in enumerate(_COFACTORS.values()):
        for column, one, other in ((2 * c, a, b), (2 * c + 1, p, q)):
            first[_PAIRS.index(one), column] = second[_PAIRS.index(other), column] = 1.0
    return first, second
