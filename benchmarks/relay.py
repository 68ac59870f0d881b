"""`python -m benchmarks.relay`: the bare relay. The controller's loop, inboxes and messages, and nothing in between: its
first joint follows the height of the first target, so that an answer can be told from a repetition."""

from __future__ import annotations

import gc
import sys

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray
from rclpy.node import Node

from nnik_ros.nodes.chores import Chores
from nnik_ros.nodes.commands import CommandOutput
from nnik_ros.nodes.control_loop import ControlLoop
from nnik_ros.nodes.inbox import Inbox, newest, state_inbox
from nnik_ros.nodes.intake import Refusals
from nnik_ros.nodes.loading import load_named_driver, load_named_robot
from nnik_ros.nodes.process import run_node
from nnik_ros.nodes.realtime import RealtimeReport, apply_realtime, checked_cpus, prepare_interpreter
from nnik_ros.nodes.statistics import DataStatistics
from nnik_ros.nodes.status import statistics_status


class Relay(Node):  # type: ignore[misc]  # rclpy has no types
    """Takes joint states and targets, publishes a command in every period."""

    def __init__(self) -> None:
        super().__init__("relay", automatically_declare_parameters_from_overrides=True)
        robot, _ = load_named_robot(self.get_parameter("robot").value)
        driver, joints = load_named_driver(self.get_parameter("driver").value, robot)
        rate = float(self.get_parameter("rate").value)
        self._robot_name = robot.name
        self._states = state_inbox(self, driver)
        self._targets: Inbox[PoseArray] = Inbox(self, PoseArray, "target_poses", newest(1))
        self._output = CommandOutput(self, driver, joints, driver.topic(driver.command), rate)
        self._q, self._height, self._started = np.zeros(robot.nq), 0.0, False
        self._statistics = self.create_publisher(DiagnosticStatus, "statistics", 1)
        self._data = DataStatistics(0, 1.0 / rate)
        chores = Chores()
        chores.add(self._publish_statistics, 1.0)
        chores.add(gc.collect, 1.0)
        self.loop = ControlLoop(
            1.0 / rate, self._tick, self._on_error, spin=float(self.get_parameter("spin").value),
            setup=self._set_up_thread, meanwhile=chores.serve,
        )  # fmt: skip
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

    def _set_up_thread(self) -> None:
        options = [self.get_parameter(name).value for name in ("realtime_priority", "lock_memory")]
        cpus = self.get_parameter("cpu_affinity").value
        apply_realtime(options[0], options[1], checked_cpus([cpus] if cpus != "" else []), RealtimeReport())

    def _publish_statistics(self) -> None:
        name, summary = self.get_fully_qualified_name(), self.loop.statistics.summary()
        nothing = Refusals(lambda text: None)
        self._statistics.publish(
            statistics_status(name, self._robot_name, [], summary, self._data.summary(), nothing, False)
        )


def main() -> int:
    return run_node(Relay)


if __name__ == "__main__":
    sys.exit(main())
