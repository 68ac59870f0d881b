"""Measured joints under the robot's own names, for robot_state_publisher: a driver may name them as it likes."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import JointState

from nnik_ros.errors import InputError
from nnik_ros.nodes.inbox import state_inbox
from nnik_ros.nodes.loading import load_named_driver
from nnik_ros.robot import Robot


class MeasuredJoints:
    """Passes the newest joint states on to `measured_joints`.

    Raises:
        NnikError: unknown driver, or one that does not fit the robot.
    """

    def __init__(self, node: Node, robot: Robot, driver: str, driver_namespace: str) -> None:
        profile, self._joints = load_named_driver(driver, robot)
        self._states = state_inbox(node, profile, driver_namespace)
        self._publisher = node.create_publisher(JointState, "measured_joints", 1)
        self._names, self._clock = list(robot.joint_names), node.get_clock()

    def pass_on(self) -> None:
        """Call often. Messages that do not fit are left out; the controller tells why it refuses them."""
        for message in self._states.take():
            if not self._joints.concerns(message.name):
                continue
            try:
                q = self._joints.joint_position(message.name, message.position)
            except InputError:
                continue
            passed = JointState(name=self._names, position=q.tolist())
            stamp = message.header.stamp
            # some drivers do not tell when; joints of time zero are never new to robot_state_publisher, which leaves them out
            passed.header.stamp = stamp if stamp.sec or stamp.nanosec else self._clock.now().to_msg()
            self._publisher.publish(passed)
