"""Messages of tip targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import Pose, PoseArray, PoseStamped


def pose_array(frame: str, positions: Any) -> PoseArray:
    message = PoseArray()
    message.header.frame_id = frame
    for x, y, z in np.asarray(positions, dtype=float).tolist():
        pose = Pose()
        pose.position.x, pose.position.y, pose.position.z = x, y, z
        message.poses.append(pose)
    return message


def pose_stamped(frame: str, position: Any) -> PoseStamped:
    message = PoseStamped()
    message.header.frame_id = frame
    (message.pose,) = pose_array(frame, [position]).poses
    return message
