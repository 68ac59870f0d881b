"""Between messages and arrays. Quaternions are (x, y, z, w) in messages and (w, x, y, z) everywhere else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion, Transform

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array, quat_wxyz_from_rotation, rotation_from_quat_wxyz, transform

_UNIT_TOLERANCE = 1e-3
_FARTHEST = 1e6  # m; farther away the squares of distances lose all meaning


def position_and_quaternion(pose: Pose) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Position [m] and orientation (w, x, y, z) of a target pose.

    Raises:
        InputError: a number that is not finite, a position beyond all reason, or a quaternion that is not of unit length.
    """
    p, o = pose.position, pose.orientation
    if not all(map(math.isfinite, (p.x, p.y, p.z, o.x, o.y, o.z, o.w))):
        raise InputError("a pose has a number that is not finite")
    if max(abs(p.x), abs(p.y), abs(p.z)) > _FARTHEST:
        raise InputError(f"a position is more than {_FARTHEST:g} m away")
    length = math.sqrt(o.x * o.x + o.y * o.y + o.z * o.z + o.w * o.w)
    if abs(length - 1.0) > _UNIT_TOLERANCE:
        raise InputError(f"a quaternion has length {length:.4g}, must be 1")
    return (p.x, p.y, p.z), (o.w, o.x, o.y, o.z)


def positions_of(message: PoseArray) -> Array:
    """Where the poses of a message are: (n, 3) [m]."""
    return np.array([(pose.position.x, pose.position.y, pose.position.z) for pose in message.poses]).reshape(-1, 3)


def matrix_of(message: Transform) -> Array:
    """The homogeneous matrix (4, 4) of a transform message."""
    t, r = message.translation, message.rotation
    return transform(rotation_from_quat_wxyz((r.w, r.x, r.y, r.z)), (t.x, t.y, t.z))


def quaternion_of(rotation: Array) -> Quaternion:
    """The message of a rotation matrix (3, 3)."""
    w, x, y, z = quat_wxyz_from_rotation(rotation).tolist()
    return Quaternion(x=x, y=y, z=z, w=w)


def pose_at(position: Array) -> Pose:
    """Unturned, at (3,) [m]."""
    x, y, z = position.tolist()
    return Pose(position=Point(x=x, y=y, z=z))


def fill_poses(message: PoseArray, position: Array, rotation: Array) -> None:
    """Set the poses of `message` to position (n, 3) [m] and rotation (n, 3, 3); poses are added when there are too few."""
    while len(message.poses) < len(position):
        message.poses.append(Pose())
    for pose, p, R in zip(message.poses, np.asarray(position).tolist(), rotation, strict=True):
        pose.position.x, pose.position.y, pose.position.z = p
        pose.orientation = quaternion_of(R)


def type_name(kind: Any) -> str:
    """The class of a message as the graph names it, such as 'std_msgs/msg/String'."""
    return f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"
