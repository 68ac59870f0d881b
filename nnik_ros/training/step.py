"""The learned increment: a proposed jump, corrected by a Gauss-Newton step in a learned metric. Written once for torch
(training) and `Graph` (the file).

For each tip, with error e, Jacobian J, and u, w, l from the tip's own small perceptron:

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
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array
from nnik_ros.kinematics import Chains, Frames, forward_kinematics, jacobian
from nnik_ros.robot import Robot

OTHER_FEATURES = 2  # log and size of the error, behind the joints and three vectors: tip, target, direction
_LARGEST_DAMPING = 10.0  # of lambda over |e|^2, errors in reaches
_SMALLEST_DAMPING = 1e-6  # keeps the determinant positive in float32 at a stretched finger
_SMALLEST_SQUARE = 1e-14  # of an error in reaches, under the root and the logarithm
_REST = (
    1e-3  # square of the slope below which the jump fades: at the closest point of an unreachable target there is none
)
_TURN, _FULL_CIRCLE = 2.0 * math.pi, 1e-6  # rad, and how much of it a description may round off
_THIRDS = np.full((9, 1), 1.0 / 3.0, dtype=np.float32)
_COFACTOR = np.array(
    [[3 * ((i + a) % 3) + (j + b) % 3 for i in range(3) for j in range(3)]
     for a, b in ((1, 1), (2, 2), (1, 2), (2, 1))]
).ravel()  # fmt: skip


@dataclass(frozen=True)
class StepShape:
    """What of a robot stands in the step besides its kinematics: limits in chain layout, rows for row vectors.

    lower, upper: (nt, 1, depth) [rad], rounded inwards to float32; real (nt, 1, depth): 0 where a chain is padded;
    turn (nt, 1, depth) [rad]: a full circle for joints that can turn one, else 0;
    joint_slot (nq,): where joint i stands in the flattened (nt, depth) layout; reach [m]: unit of length inside the step.
    """

    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    real: NDArray[np.float32]
    turn: NDArray[np.float32]
    joint_slot: NDArray[np.int64]
    reach: float

    @property
    def nt(self) -> int:
        return len(self.lower)

    @property
    def depth(self) -> int:
        return self.lower.shape[-1]

    @property
    def turning(self) -> bool:
        """Whether any joint can turn a full circle."""
        return bool(self.turn.any())

    @property
    def bearing(self) -> bool:
        """Whether every joint can turn a full circle. Beside a joint with stops the bearing lures: the arm folds over the axis,
        its tip in line with the target, and rests on the stops with the whole arm on the wrong side."""
        return bool(((self.turn > 0) | (self.real == 0)).all())

    @property
    def joint_features(self) -> int:
        """Features of each joint: position, slope and, where all joints turn, bearing."""
        return 3 if self.bearing else 2

    @property
    def inputs(self) -> int:
        return self.joint_features * self.depth + 9 + OTHER_FEATURES

    @property
    def output_sizes(self) -> list[int]:
        """Pieces of the network's output: jump, metric and damping and, where all joints turn, share of the bearing."""
        return [self.depth, self.depth + 1] + [self.depth] * self.bearing

    @property
    def outputs(self) -> int:
        return sum(self.output_sizes)


def step_shape(robot: Robot) -> StepShape:
    chain = robot.kinematics.topology.chain
    real = (chain >= 0)[:, None]
    slots = np.array([int(np.flatnonzero(chain.ravel() == i)[0]) for i in range(robot.nq)])
    lower, upper = (_row(limit, chain) for limit in (robot.lower, robot.upper))
    turn = np.where(real & (upper - lower >= _TURN - _FULL_CIRCLE), _TURN, 0.0).astype(np.float32)
    return StepShape(
        np.where(real, _inwards(lower, 1.0), np.float32(0.0)), np.where(real, _inwards(upper, -1.0), np.float32(0.0)),
        real.astype(np.float32), turn, slots, float(robot.kinematics.reach.max()),
    )  # fmt: skip


def step(xp: Any, shape: StepShape, chains: Chains, layers: Any, q: Any, target: Any) -> tuple[Any, Any]:
    """One increment. q (batch, nq) [rad], target (batch, nt, 3) [m]; returns the next q (batch, nq) and the tips at q
    (batch, nt, 3). layers: a function of the features (batch, nt, 1, inputs) to (batch, nt, 1, outputs)."""
    frames = forward_kinematics(xp, chains, q)
    J = jacobian(xp, frames)  # (batch, nt, 3, depth)
    J_t = xp.swapaxes(J, -1, -2)
    lower, upper = xp.asarray(shape.lower - shape.turn), xp.asarray(shape.upper + shape.turn)
    joints = q[..., chains.index[:, None]]  # (batch, nt, 1, depth), as all rows below
    here, goal = frames.tip_position[..., None, :], target[..., None, :]
    error = goal - here
    square = xp.sum(error * error, -1, keepdim=True) + _SMALLEST_SQUARE * shape.reach**2
    size = xp.sqrt(square)
    direction = error / size
    slope = direction @ J
    stuck = xp.eq(xp.minimum(xp.maximum(joints + slope, lower), upper), joints)
    slope = xp.where(stuck, 0.0, slope)
    bearings = [bearing(xp, shape, frames, error, J)] if shape.bearing else []
    features = xp.concatenate([joints, slope, *bearings, here, goal, direction, size, xp.log(square)], -1)
    jump, weights, *shares = xp.split(layers(features), shape.output_sizes, -1)
    w, damping = xp.split(xp.sigmoid(weights), [shape.depth, 1], -1)
    steep = xp.sum(slope * slope, -1, keepdim=True)
    jump = jump * (size * (steep / (steep + _REST * shape.reach**2)))
    if shape.bearing:
        jump = jump + shares[0] * bearings[0]
    J_w = J * xp.where(stuck, 0.0, w)
    eye = np.eye(3, dtype=np.float32)
    damped = square * damping * xp.asarray(_LARGEST_DAMPING * eye) + xp.asarray(
        _SMALLEST_DAMPING * shape.reach**2 * eye
    )
    A = J_w @ J_t + damped
    moved = joints + jump + _solve(xp, A, error - jump @ J_t) @ J_w
    flat = xp.reshape(_bounded(xp, shape, moved), (-1, shape.nt * shape.depth))
    return (flat if _identity(shape) else flat[..., shape.joint_slot]), frames.tip_position


def bearing(xp: Any, shape: StepShape, frames: Frames, error: Any, J: Any) -> Any:
    """Angle about each joint's axis from its tip to the target: (batch, nt, 1, depth) [rad]."""
    axis = frames.joint_axis
    arm = frames.arm - axis * xp.sum(axis * frames.arm, -1, keepdim=True)  # across the axis
    across = error @ J
    along = error @ xp.swapaxes(arm, -1, -2) + xp.sum(arm * arm, -1)[..., None, :]
    least = _SMALLEST_SQUARE * shape.reach**4
    hypotenuse = xp.sqrt(across * across + along * along + least)
    return 2.0 * xp.atan(across / (hypotenuse + along + math.sqrt(least)))


def _bounded(xp: Any, shape: StepShape, moved: Any) -> Any:
    """Joint positions (..., nt, 1, depth) inside the limits; beyond a stop of a full circle the other way round."""
    lower, upper = xp.asarray(shape.lower), xp.asarray(shape.upper)
    bounded = xp.minimum(xp.maximum(moved, lower), upper)
    if not shape.turning:
        return bounded
    turned = moved - xp.sign(moved - bounded) * xp.asarray(shape.turn)
    return xp.minimum(xp.maximum(turned, lower), upper)


def _solve(xp: Any, A: Any, b: Any) -> Any:
    """b A^-1 for symmetric A (..., 3, 3) and rows b (..., 1, 3), by cofactors."""
    flat = xp.reshape(A, (-1, *A.shape[1:-2], 1, 9))
    p, q, r, s = xp.split(flat[..., _COFACTOR], [9, 9, 9, 9], -1)
    cofactors = p * q - r * s
    determinant = (flat * cofactors) @ xp.asarray(_THIRDS)  # every row of A gives it once
    return b @ xp.reshape(cofactors, (-1, *A.shape[1:])) / determinant


def _identity(shape: StepShape) -> bool:
    return bool(np.array_equal(shape.joint_slot, np.arange(shape.nt * shape.depth)))


def _row(limit: Array, chain: NDArray[np.int64]) -> Array:
    row: Array = limit[np.maximum(chain, 0)][:, None]
    return row


def _inwards(limit: Array, direction: float) -> NDArray[np.float32]:
    """Nearest float32 that is not outside of the limit."""
    rounded = limit.astype(np.float32)
    outside = (limit - rounded) * direction > 0
    return np.where(outside, np.nextafter(rounded, np.float32(direction * np.inf)), rounded)
