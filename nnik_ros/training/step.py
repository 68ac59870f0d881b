"""The learned increment: a proposed jump, corrected by a Gauss-Newton step in a learned metric. Written once for torch
(training) and `Graph` (the file).

For each tip, with error e, Jacobian J, and u, w, l from a small perceptron:

    jump        d0 = u |e| s / (s + c),   s = |J^T e|^2 / |e|^2 over the joints that are free to move
    correction  d  = d0 + W J^T (J W J^T + lambda I)^-1 (e - J d0),   W = diag(sigmoid(w)),   lambda ~ sigmoid(l) |e|^2

Far from the target the network is free to damp the correction away and jump; near it the step is Gauss-Newton whatever the
network says, so that it vanishes with the error and converges to the exact target. Joints at a limit that the error pushes
further out are left out, and the jump fades where no joint can help (s = 0), so that out of reach the step rests at the
closest point. A joint with a range of a full circle has no such limit: a step over its stop goes on from the other one. In
a robot of nothing but such joints the network also sees, and adds to the jump a learned share of, each joint's bearing: the
angle by which that joint alone would turn the tip to the side where its target is.
Source of the damping: Sugihara, "Solvability-Unconcerned Inverse Kinematics by the Levenberg-Marquardt Method" (2011).
"""

from __future__ import annotations

import math
from typing import Any

from nnik_ros.training.rows import SMALLEST_SQUARE, Constants, Rows
from nnik_ros.training.solve import solved

_STEEPNESS = 2.5e5  # of the change from free to stuck, 2e-6 of half the range before a limit: what float32 rounds off


def tip_rows(xp: Any, constants: Constants, q: Any) -> Any:
    """Everything about the tips at q (batch, nq) [rad] but their targets: (batch, nt * k)."""
    angles = xp.addmm(constants.phase, q, constants.frequency)
    return xp.sin(angles) @ constants.weight


def tip_position(xp: Any, rows: Rows, constants: Constants, known: Any) -> Any:
    """The tips (batch, nt, 3) [m] in what `tip_rows` returns."""
    return xp.reshape(xp.addmm(constants.tip_origin, known, constants.tip), (-1, rows.nt, 3))


def step(xp: Any, rows: Rows, constants: Constants, layers: Any, q: Any, target: Any, known: Any) -> Any:
    """One increment. q (batch, nq) [rad], target (batch, nt, 3) [m], known: `tip_rows` at q; returns the next q (batch, nq).
    layers: a function of the features (rows, ...) to the outputs (rows, ...), see `Rows`."""
    whole = xp.addmm(known, xp.reshape(target, (-1, 3 * rows.nt)), constants.goal)
    whole = xp.reshape(xp.addmm(whole, q, constants.place), (-1, sum(rows.pieces)))
    error, J, joints, others, *arms = xp.split(whole, rows.pieces, -1)
    square = xp.sum_of_squares(error)
    size = xp.sqrt(square)
    direction = error / size
    slope = (direction * J) @ constants.slope
    free = xp.hard_sigmoid(xp.sign(slope) * joints, -_STEEPNESS, _STEEPNESS - 0.5)
    slope = slope * free
    bearings = [bearing(xp, constants, error, J, arm) for arm in arms]
    features = xp.concatenate([slope, *bearings, direction, others, size, xp.log(square)], -1)
    jump, w, damping, *shares = xp.split(layers(features), rows.output_sizes, -1)
    jump = jump * (size * xp.softsign(xp.sum_of_squares(slope)))
    for share, angle in zip(shares, bearings, strict=True):
        jump = jump + share * angle
    J_w = J * (free * xp.sigmoid(w))
    solve = constants.solve
    damped = xp.addmm(solve.smallest, square * xp.sigmoid(damping), solve.damping)
    matrix = xp.addmm(damped, (J_w @ solve.left) * (J @ solve.right), solve.matrix)
    rest = xp.addmm(error, jump * J, solve.rest)
    moved = solved(xp, solve, matrix, rest) * J_w + jump
    return _bounded(xp, rows, xp.addmm(q, xp.reshape(moved, (-1, rows.nt * rows.width)), constants.back))


def bearing(xp: Any, constants: Constants, error: Any, J: Any, arm: Any) -> Any:
    """Angle about each joint's axis from its tip to the target [rad]; everything spread, (rows, n)."""
    across = (error * J) @ constants.sums
    along = ((error + arm) * arm) @ constants.sums
    hypotenuse = xp.sqrt(across * across + along * along + SMALLEST_SQUARE)
    return 2.0 * xp.atan(across / (hypotenuse + along + math.sqrt(SMALLEST_SQUARE)))


def _bounded(xp: Any, rows: Rows, moved: Any) -> Any:
    """Joint positions (batch, nq) inside the limits; beyond a stop of a full circle the other way round."""
    lower, upper = xp.asarray(rows.lower), xp.asarray(rows.upper)
    bounded = xp.minimum(xp.maximum(moved, lower), upper)
    if not rows.turning:
        return bounded
    turned = moved - xp.sign(moved - bounded) * xp.asarray(rows.turn)
    return xp.minimum(xp.maximum(turned, lower), upper)
