"""Everybody's targets, in whatever frame: who lets people steer gives way to whoever else does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from geometry_msgs.msg import Point, Pose, PoseArray, PoseStamped
from rclpy.node import Node
from std_msgs.msg import Header

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.nodes.conversions import pose_at, position_and_quaternion
from nnik_ros.nodes.inbox import newest

REPEAT = 0.05  # s; keeps a held target from getting stale
FOREIGN_LIFE = 1.0  # s after its last message for which a target of somebody else counts
Message = tuple[int, int, float, float, float]
Heard = Callable[[int, Header, Point], None]


def hear_targets(node: Node, tips: Sequence[str], heard: Heard) -> None:
    """Call `heard(tip, header, position)` for every target of a tip that anybody publishes, the node itself included; but not
    for what the controller refuses whatever is known of frames: that steers nothing."""

    def one(tip: int) -> Callable[[PoseStamped], None]:
        def take(message: PoseStamped) -> None:
            if _may_steer(message.header, (message.pose,)):
                heard(tip, message.header, message.pose.position)

        return take

    def all_tips(message: PoseArray) -> None:
        if len(message.poses) == len(tips) and _may_steer(message.header, message.poses):
            for tip, pose in enumerate(message.poses):
                heard(tip, message.header, pose.position)

    for tip, name in enumerate(tips):
        node.create_subscription(PoseStamped, f"{name}/target_pose", one(tip), newest(5))
    node.create_subscription(PoseArray, "target_poses", all_tips, newest(5))


def target_sender(node: Node, tips: Sequence[str]) -> Callable[[int, str, Array], int]:
    """`send(tip, frame, position (3,) [m]) -> stamp` publishes a target and returns the stamp [ns] of its message."""
    publishers = [node.create_publisher(PoseStamped, f"{tip}/target_pose", 1) for tip in tips]

    def send(tip: int, frame: str, position: Array) -> int:
        header = Header(frame_id=frame, stamp=node.get_clock().now().to_msg())
        publishers[tip].publish(PoseStamped(header=header, pose=pose_at(position)))
        return stamp_of(header)

    return send


def _may_steer(header: Header, poses: Sequence[Pose]) -> bool:
    try:
        for pose in poses:
            position_and_quaternion(pose)
    except InputError:
        return False
    return bool(header.frame_id)


def identity(tip: int, position: Array, stamp: int) -> Message:
    """Tells a node its own messages from others'. Stamps alone do not: many send none, and ROS time may stand still."""
    x, y, z = position.tolist()
    return tip, stamp, x, y, z


def stamp_of(header: Header) -> int:
    """ns"""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
