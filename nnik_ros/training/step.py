"""The learned increment: a proposed jump, corrected by a Gauss-Newton step in a learned metric. Written once for torch
(training) and `Graph` (the file).

For each tip, with error e, Jacobian J, and u, w, l from a small perceptron:

    jump        d0 = u |e| s / (s + c),   s = |J^T e|^2 / |e|^2 over the joints that are free to move
    correction  d  = d0 + W J^T (J W J^T + lambda I)^-1 (e - J d0),   W = diag(sigmoid(w)),   lambda ~ sigmoid(l) |e|^2

Far from the target the network is free to damp the correction away and jump; near it the step is Gauss-Newton whatever the
network says, so that it vanishes with the error and converges to the exact target. Joints at a limit that the error pushes
further out are left out, and the jump fades where no joint can help (s = 0), so that out of reach the step rests at the
closest point. A step over a limit ends there. A joint with a range of a full circle has no such limit: a step over its stop
goes on from the other one. In a robot of nothing but such joints the network also sees, and adds to the jump a learned share
of, each joint's bearing: the angle by which that joint alone would turn the tip to the side where its target is.
Source of the damping: Sugihara, "Solvability-Unconcerned Inverse Kinematics by the Levenberg-Marquardt Method" (2011).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nnik_ros.training.rows import SMALLEST_SQUARE, Constants, Rows
from nnik_ros.training.solve import solved

_STEEPNESS = 2.5e5  # of the change from free to stuck, 2e-6 of half the range before a limit: what float32 rounds off


def known_rows(xp: Any, constants: Constants, q: Any, target: Any) -> Any:
    """All that is known at q (batch, nq) [rad] with target (batch, nt, 3) [m]: (batch, nt * k)."""
    angles = xp.addmm(constants.phase, q, constants.frequency)
    return xp.concatenate([xp.sin(angles), *given(xp, q, target)], -1) @ constants.known


def given(xp: Any, q: Any, target: Any) -> list[Any]:
    """Targets (batch, 3 nt) and joint positions."""
    return [xp.reshape(target, (-1, math.prod(target.shape[1:]))), q]


def tip_position(xp: Any, rows: Rows, constants: Constants, known: Any) -> Any:
    """The tips (batch, nt, 3) [m] in what `known_rows` returns."""
    return xp.reshape(xp.addmm(constants.tip_origin, known, constants.tip), (-1, rows.nt, 3))


def step(xp: Any, rows: Rows, constants: Constants, layers: Any, q: Any, known: Any) -> Any:
    """One increment. q (batch, nq) [rad], known: `known_rows` of q and the targets; returns the next q (batch, nq). layers: a
    function of the features (rows, ...) to the pieces of the outputs (rows, ...), see `Rows.output_sizes`."""
    sight = _sight(xp, rows, constants, known)
    jump, w = _proposal(xp, layers, sight)
    J, J_w, solve = sight.J, sight.J * (sight.free * xp.sigmoid(w)), constants.solve
    rest = xp.addmm(sight.error, jump * J, solve.rest)
    moved = solved(xp, solve, J, J_w, rest) * J_w + jump
    return _bounded(xp, rows, xp.addmm(q, xp.reshape(moved, (-1, rows.nt * rows.width)), constants.back))


class _Sight(NamedTuple):
    """What a tip knows: error, slopes (free: 0 for joints that are left out) and features for the perceptron, (rows, ...)."""

    error: Any
    J: Any
    size: Any
    slope: Any
    free: Any
    bearings: list[Any]
    features: Any


def _sight(xp: Any, rows: Rows, constants: Constants, known: Any) -> _Sight:
    whole = xp.reshape(known, (-1, sum(rows.pieces)))
    error, J, joints, others, *arms = xp.split(whole, rows.pieces, -1)
    size = xp.length(error)
    direction = error / size
    slope = (direction * J) @ constants.slope
    free = xp.hard_sigmoid(xp.sign(slope) * joints, -_STEEPNESS, _STEEPNESS - 0.5)
    slope = slope * free
    bearings = [bearing(xp, constants, error, J, arm) for arm in arms]
    sizes = [size, xp.log(size)] if rows.turning else [size]
    features = xp.concatenate([slope, *bearings, direction, others, *sizes], -1)
    return _Sight(error, J, size, slope, free, bearings, features)


def _proposal(xp: Any, layers: Any, sight: _Sight) -> tuple[Any, Any]:
    """The jump, a third of it in each copy, and the logits of metric and damping."""
    jump, w, *shares = layers(sight.features)
    jump = jump * (sight.size * xp.softsign(xp.sum_of_squares(sight.slope)))
    for share, angle in zip(shares, sight.bearings, strict=True):
        jump = jump + share * angle
    return jump, w


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
