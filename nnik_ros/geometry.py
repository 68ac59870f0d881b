"""Rotations and rigid transforms. Quaternions are (w, x, y, z) here; (x, y, z, w) exists only in messages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnik_ros.compiled import Array as Array
from nnik_ros.errors import InputError
from nnik_ros.kernels import points


def distance(a: Array, b: Array) -> Array:
    """Between points (..., 3), which are broadcast; returns (...), nan where one of them has a nan."""
    if a.shape == b.shape == (len(a), 3):
        return points.distances(np.ascontiguousarray(a, dtype=np.float64), np.ascontiguousarray(b, dtype=np.float64))
    gap = a - b
    lengths: Array = np.sqrt((gap * gap).sum(axis=-1))
    return lengths


def shaped(what: str, values: object, shape: tuple[int, ...], dtype: type = np.float64) -> NDArray[Any]:
    """A copy in one piece, for who does not look at shapes.

    Raises:
        InputError: no array of numbers, or one of another shape.
    """
    try:
        array: NDArray[Any] = np.array(values, dtype=dtype, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{what} are no array of numbers: {error}") from error
    if array.shape != shape:
        raise InputError(f"{what} have shape {array.shape}, must have {shape}")
    return array


def finite(what: str, values: object, shape: tuple[int, ...]) -> Array:
    """As `shaped`, of finite numbers.

    Raises:
        InputError: as there, or a number that is not finite.
    """
    array: Array = shaped(what, values, shape)
    if not np.isfinite(array).all():
        raise InputError(f"{what} are {array.tolist()}, must be finite")
    return array


def skew(v: ArrayLike) -> Array:
    """Cross-product matrices, so that skew(v) @ u == cross(v, u). v: (..., 3); returns (..., 3, 3)."""
    v = np.asarray(v, dtype=np.float64)
    matrix = np.zeros((*v.shape[:-1], 3, 3))
    matrix[..., 0, 1], matrix[..., 0, 2] = -v[..., 2], v[..., 1]
    matrix[..., 1, 0], matrix[..., 1, 2] = v[..., 2], -v[..., 0]
    matrix[..., 2, 0], matrix[..., 2, 1] = -v[..., 1], v[..., 0]
    return matrix


def rotation_about_axis(axis: ArrayLike, angle: float) -> Array:
    """Rodrigues' formula. axis: (3,) unit vector; angle [rad]; returns (3, 3)."""
    k = skew(axis)
    rotation: Array = np.eye(3) + np.sin(angle) * k + (1.0 - np.cos(angle)) * (k @ k)
    return rotation


def rotation_from_rpy(rpy: ArrayLike) -> Array:
    """URDF fixed-axis roll, pitch, yaw [rad] (3,): Rz(yaw) Ry(pitch) Rx(roll), returns (3, 3)."""
    roll, pitch, yaw = np.asarray(rpy, dtype=np.float64)
    return (
        rotation_about_axis((0, 0, 1), yaw)
        @ rotation_about_axis((0, 1, 0), pitch)
        @ rotation_about_axis((1, 0, 0), roll)
    )


def rpy_from_rotation(rotation: Array) -> tuple[float, float, float]:
    """The reverse of `rotation_from_rpy` [rad]; roll is 0 where pitch is +-90 degrees."""
    across = math.hypot(rotation[0, 0], rotation[1, 0])
    pitch = math.atan2(-rotation[2, 0], across)
    if across < 1e-9:
        return 0.0, pitch, math.atan2(-rotation[0, 1], rotation[1, 1])
    return math.atan2(rotation[2, 1], rotation[2, 2]), pitch, math.atan2(rotation[1, 0], rotation[0, 0])


def rotated(quaternion: Array, vector: Array) -> Array:
    """Vectors (..., 3), turned by unit quaternions (..., 4)."""
    w, axis = quaternion[..., :1], quaternion[..., 1:]
    half = 2.0 * np.cross(axis, vector)
    turned: Array = vector + w * half + np.cross(axis, half)
    return turned


def transform(rotation: ArrayLike, position: ArrayLike) -> Array:
    """Homogeneous matrix (4, 4) of rotation (3, 3) and position (3,) [m]."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = position
    return matrix


def rotation_from_quat_wxyz(quat_wxyz: ArrayLike) -> Array:
    """Unit quaternion (4,) to rotation matrix (3, 3); the quaternion is normalised first."""
    w, x, y, z = np.asarray(quat_wxyz, dtype=np.float64) / np.linalg.norm(quat_wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quat_wxyz_from_rotation(rotation: ArrayLike) -> Array:
    """Rotation matrix (3, 3) to unit quaternion (4,) with w >= 0 (Shepperd's method: divide by the largest component)."""
    r = np.asarray(rotation, dtype=np.float64)
    trace = float(np.trace(r))
    squares = np.array([trace, r[0, 0], r[1, 1], r[2, 2]])
    largest = int(np.argmax(squares))
    if largest == 0:
        quat = np.array([1 + trace, r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])
    else:
        i = largest - 1
        j, k = (i + 1) % 3, (i + 2) % 3
        quat = np.empty(4)
        quat[0] = r[k, j] - r[j, k]
        quat[1 + i] = 1 + 2 * r[i, i] - trace
        quat[1 + j] = r[j, i] + r[i, j]
        quat[1 + k] = r[k, i] + r[i, k]
    quat /= np.linalg.norm(quat)
    return quat if quat[0] >= 0 else -quat


def frozen(values: ArrayLike, dtype: Any = np.float64) -> NDArray[Any]:
    """A read-only copy, for arrays kept in frozen objects."""
    copy = np.array(values, dtype=dtype)
    copy.setflags(write=False)
    return copy
