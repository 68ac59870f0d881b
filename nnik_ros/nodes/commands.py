"""Joint positions as the message of a driver: one message, made once and written in place."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from nnik_ros.driver import FLOAT64_MULTI_ARRAY, JOINT_STATE, JOINT_TRAJECTORY, Channel, Driver, JointMap
from nnik_ros.geometry import Array
from nnik_ros.nodes.receivers import Receivers

MESSAGE_OF = {JOINT_STATE: JointState, FLOAT64_MULTI_ARRAY: Float64MultiArray, JOINT_TRAJECTORY: JointTrajectory}


def qos_of(channel: Channel, *, reliable: bool | None = None) -> QoSProfile:
    """The driver's quality of service; `reliable` overrides its reliability."""
    wanted = channel.reliable if reliable is None else reliable
    reliability = QoSReliabilityPolicy.RELIABLE if wanted else QoSReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=channel.depth, reliability=reliability)


class CommandMessage:
    """The command message of `driver`, in the order of its arrays."""

    def __init__(self, driver: Driver, joints: JointMap) -> None:
        self._joints = joints
        zeros = array("d", bytes(8 * len(joints.names)))
        self.message: Any = MESSAGE_OF[driver.command_type]()
        self._stamped = driver.command_type == JOINT_STATE
        if driver.command_type == JOINT_STATE:
            self.message.name = list(joints.names)
            self.message.position = zeros
            values = self.message.position
        elif driver.command_type == FLOAT64_MULTI_ARRAY:
            self.message.data = zeros
            values = self.message.data
        else:  # a stamp of zero means now
            nanoseconds = round(driver.point_duration * 1e9)
            after = Duration(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
            point = JointTrajectoryPoint(positions=zeros, time_from_start=after)
            self.message.joint_names = list(joints.names)
            self.message.points = [point]
            values = point.positions
        self._values = np.frombuffer(values)

    def set(self, q: Array, nanoseconds: int) -> Any:
        """The message with q (nq,) [rad]; nanoseconds: ROS time of its stamp, where it has one."""
        self._values[:] = self._joints.to_array(q)
        if self._stamped:
            stamp = self.message.header.stamp
            stamp.sec, stamp.nanosec = divmod(nanoseconds, 10**9)
        return self.message


def read_command(driver: Driver, joints: JointMap, message: Any) -> Array:
    """q (nq,) [rad] of a command message, read by position as the drivers do.

    Raises:
        InputError: another number of values, or one that is not finite.
    """
    if driver.command_type == JOINT_STATE:
        return joints.from_array(message.position)
    if driver.command_type == FLOAT64_MULTI_ARRAY:
        return joints.from_array(message.data)
    positions = message.points[-1].positions if message.points else []
    return joints.joint_position(message.joint_names, positions)


class CommandOutput:
    """Publishes commands at the loop's rate or the driver's, whichever is lower; a loop that is hardly faster than the driver
    leaves out none, for that would only make its motion uneven.

    Reliable whatever the profile says: a driver's reliable subscription ignores a best-effort publisher, while a
    best-effort one takes both.
    """

    def __init__(self, node: Node, driver: Driver, joints: JointMap, topic: str, rate: float) -> None:
        kind = MESSAGE_OF[driver.command_type]
        self._publisher = node.create_publisher(kind, topic, qos_of(driver.command, reliable=True))
        self._message = CommandMessage(driver, joints)
        self._clock = node.get_clock()
        share = driver.rate / rate
        self._share = share if share < 0.9 else 1.0
        self._owed = 1.0
        self._unsent: Array | None = None  # the newest command, where its turn has not come
        self.topic: str = self._publisher.topic_name
        self.receivers = Receivers(node, self._publisher)

    def put(self, q: Array | None) -> bool:
        """One tick with command q (nq,) [rad], None where nothing is to be sent. Returns whether a command went out: the last
        one before nothing always does, for there the hand is believed to rest."""
        if q is None:
            self._owed, q = 1.0, self._unsent  # the first command after a pause goes out at once
            if q is None:
                return False
        goes = self._owed >= 1.0
        self._unsent = None if goes else q
        if goes:
            self._publisher.publish(self._message.set(q, self._clock.now().nanoseconds))
            self._owed -= 1.0
        self._owed += self._share
        return goes

    def forget(self) -> None:
        """As before the first tick: there will be no further ones for now, and the hand may be moved meanwhile."""
        self._owed, self._unsent = 1.0, None

    def destroy(self, node: Node) -> None:
        node.destroy_publisher(self._publisher)
