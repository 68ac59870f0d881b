"""Forward kinematics, joint by joint. chain (nt, depth), constants (nt, depth, 34) and start (nt, 3) are those of
`kinematics.Kinematics`; the formulas are those of `kinematics.forward_kinematics`."""

from __future__ import annotations

import math

import numpy as np

from nnik_ros.compiled import F1, F2, F3, F4, I1, I2, Array, Ints, compiled

# a row of constants: the matrices a, b, c (rotation = a + b sin + c cos), the way to the next joint, axis, and zero
_B, _C, _LINK, _AXIS, _ZERO = 9, 18, 27, 30, 33
MODEL = f"{I2}, {F3}, {F2}"  # the types of chain, constants and start


@compiled(f"i8({I1})")
def depth_of(chain: Ints) -> int:
    """Joints of a chain, which is padded with -1."""
    n = 0
    while n < len(chain) and chain[n] >= 0:
        n += 1
    return n


@compiled(f"void({F1}, i8, {MODEL}, f8[:, ::1], f8[:, :, :, ::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1])")
def walk(
    q: Array, t: int, chain: Ints, constants: Array, start: Array, local: Array, rotation: Array, origin: Array,
    axis: Array, tip: Array,
) -> None:  # fmt: skip
    """Along chain t at q (nq,): fills in its part of what `frames` returns; local (3, 3) is for scratch."""
    for i in range(3):
        tip[t, i] = start[t, i]
    for d in range(depth_of(chain[t])):
        row = constants[t, d]
        angle = q[chain[t, d]] + row[_ZERO]
        sine, cosine = math.sin(angle), math.cos(angle)
        for i in range(3):
            for j in range(3):
                k = 3 * i + j
                local[i, j] = row[k] + row[_B + k] * sine + row[_C + k] * cosine
        for i in range(3):
            origin[t, d, i] = tip[t, i]
            for j in range(3):
                turned = local[i, j]
                if d > 0:
                    turned = 0.0
                    for k in range(3):
                        turned += rotation[t, d - 1, i, k] * local[k, j]
                rotation[t, d, i, j] = turned
        for i in range(3):
            axis[t, d, i] = 0.0
            for j in range(3):
                axis[t, d, i] += rotation[t, d, i, j] * row[_AXIS + j]
                tip[t, i] += rotation[t, d, i, j] * row[_LINK + j]


@compiled(f"Tuple((f8[:, :, :, ::1], f8[:, :, ::1], f8[:, :, ::1], f8[:, ::1]))({F1}, {MODEL})")
def frames(q: Array, chain: Ints, constants: Array, start: Array) -> tuple[Array, Array, Array, Array]:
    """At q (nq,), in the base frame: rotation (nt, depth, 3, 3) of every joint, moved by that joint, its origin and axis
    (nt, depth, 3), and tips (nt, 3). Zero where padded."""
    nt, depth = chain.shape
    rotation, origin, axis = np.zeros((nt, depth, 3, 3)), np.zeros((nt, depth, 3)), np.zeros((nt, depth, 3))
    tip, local = np.empty((nt, 3)), np.empty((3, 3))
    for t in range(nt):
        walk(q, t, chain, constants, start, local, rotation, origin, axis, tip)
    return rotation, origin, axis, tip


@compiled(f"void({F2}, {F2}, {F1}, f8[:, ::1])")
def lever_arms(origin: Array, axis: Array, point: Array, result: Array) -> None:
    """How a point (3,) behind joints with origins and axes (depth, 3) moves with them: axis x (point - origin), into result
    (3, depth)."""
    for d in range(len(axis)):
        x, y, z = axis[d, 0], axis[d, 1], axis[d, 2]
        u, v, w = point[0] - origin[d, 0], point[1] - origin[d, 1], point[2] - origin[d, 2]
        result[0, d], result[1, d], result[2, d] = y * w - z * v, z * u - x * w, x * v - y * u


@compiled(f"void({F3}, {F3}, {F2}, f8[:, :, ::1])")
def slopes(origin: Array, axis: Array, point: Array, result: Array) -> None:
    """How one point (nt, 3) on each last link moves with the joints, into result (nt, 3, depth); zero where padded."""
    for t in range(len(axis)):
        lever_arms(origin[t], axis[t], point[t], result[t])


@compiled(f"f8[:, :, ::1]({F2}, {MODEL})")
def tip_positions(q: Array, chain: Ints, constants: Array, start: Array) -> Array:
    """q (n, nq); returns (n, nt, 3) [m]."""
    position = np.empty((len(q), len(chain), 3))
    for n in range(len(q)):
        position[n] = frames(q[n], chain, constants, start)[3]
    return position


@compiled(f"Tuple((f8[:, :, ::1], f8[:, :, :, ::1]))({F2}, {MODEL})")
def tips(q: Array, chain: Ints, constants: Array, start: Array) -> tuple[Array, Array]:
    """q (n, nq); returns positions (n, nt, 3) [m] and Jacobians (n, nt, 3, depth) [m/rad]."""
    position, jacobian = np.empty((len(q), len(chain), 3)), np.empty((len(q), len(chain), 3, chain.shape[1]))
    for n in range(len(q)):
        _, origin, axis, tip = frames(q[n], chain, constants, start)
        position[n] = tip
        slopes(origin, axis, tip, jacobian[n])
    return position, jacobian


@compiled(f"Tuple((f8[:, ::1], f8[:, :, ::1]))({F1}, {MODEL}, {F2})")
def directions(q: Array, chain: Ints, constants: Array, start: Array, local: Array) -> tuple[Array, Array]:
    """Where vectors local (nt, 3), in the frames of the last joints, point at q (nq,): (nt, 3), and how that changes with the
    joints, (nt, 3, depth)."""
    rotation, _, axis, _ = frames(q, chain, constants, start)
    direction, change = np.zeros((len(chain), 3)), np.empty((len(chain), 3, chain.shape[1]))
    for t in range(len(chain)):
        last = rotation[t, depth_of(chain[t]) - 1]
        for i in range(3):
            for j in range(3):
                direction[t, i] += last[i, j] * local[t, j]
    slopes(np.zeros(axis.shape), axis, direction, change)
    return direction, change


@compiled(f"f8[:, :, ::1]({F4}, {F3}, {I2}, {F3})")
def capsule_ends(rotation: Array, origin: Array, place: Ints, local: Array) -> Array:
    """Both ends of capsules (m, 2, 3) in the base frame, from those in the frames of joints; place (m, 2): tip, -1 for what
    does not move, and joint by depth."""
    ends = np.empty(local.shape)
    for m in range(len(place)):
        t, d = place[m, 0], place[m, 1]
        for end in range(2):
            for i in range(3):
                ends[m, end, i] = local[m, end, i]
            if t >= 0:
                for i in range(3):
                    moved = origin[t, d, i]
                    for j in range(3):
                        moved += rotation[t, d, i, j] * local[m, end, j]
                    ends[m, end, i] = moved
    return ends
