"""`python -m benchmarks.relay`: the bare relay. The controller's loop, inboxes and messages, and nothing in between: its
first joint follows the height of the first target, so that an answer can be told from a repetition."""

from __future__ import annotations

import sys

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray
from rclpy.node import Node
from sensor_msgs.msg import JointState

from nnik_ros.nodes.commands import CommandOutput
from nnik_ros.nodes.control_loop import ControlLoop
from nnik_ros.nodes.inbox import Inbox, newest
from nnik_ros.nodes.loading import load_named_driver, load_named_robot
from nnik_ros.nodes.process import run_node
from nnik_ros.nodes.realtime import RealtimeReport, prepare_interpreter
from nnik_ros.nodes.status import loop_status


class Relay(Node):  # type: ignore[misc]  # rclpy has no types
    """Takes joint states and targets, publishes a command in every period."""

    def __init__(self) -> None:
        super().__init__("relay", automatically_declare_parameters_from_overrides=True)
        robot, _ = load_named_robot(self.get_parameter("robot").value)
        driver, joints = load_named_driver(self.get_parameter("driver").value, robot)
        rate = float(self.get_parameter("rate").value)
        self._robot_name = robot.name
        self._states: Inbox[JointState] = Inbox(self, JointState, driver.topic(driver.state, None), newest(1))
        self._targets: Inbox[PoseArray] = Inbox(self, PoseArray, "target_poses", newest(1))
        self._output = CommandOutput(self, driver, joints, driver.topic(driver.command, None), rate)
        self._q, self._height, self._started = np.zeros(robot.nq), 0.0, False
        self._diagnostics = self.create_publisher(DiagnosticArray, "diagnostics", 1)
        self.create_timer(1.0, self._publish_diagnostics)
        self.loop = ControlLoop(1.0 / rate, self._tick, self._on_error)
        prepare_interpreter()
        self.loop.start()

    def close(self) -> None:
        self.loop.stop()

    def _tick(self, now: float) -> None:
        for state in self._states.take():
            self._q[:] = state.position
            self._started = True
        for poses in self._targets.take():
            self._height = poses.poses[0].position.z
        if self._started:
            self._q[0] = self._height
            self._output.put(self._q)

    def _on_error(self, error: Exception) -> None:
        if rclpy.ok():
            self.get_logger().error(f"{type(error).__name__}: {error}", throttle_duration_sec=1.0)
        else:
            self.loop.request_stop()

    def _publish_diagnostics(self) -> None:
        message = DiagnosticArray()
        summary = self.loop.statistics.summary()
        name = self.get_fully_qualified_name()
        message.status = [loop_status(name, self._robot_name, self.loop.period, summary, RealtimeReport(), 1)]
        self._diagnostics.publish(message)


def main() -> int:
    return run_node(Relay)


if __name__ == "__main__":
    sys.exit(main())
