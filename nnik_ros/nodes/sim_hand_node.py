"""The node `sim_hand`: a simulated robot that speaks the dialect of a driver profile, in real time."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import JointState

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.nodes.commands import MESSAGE_OF, qos_of, read_command
from nnik_ros.nodes.control_loop import ControlLoop
from nnik_ros.nodes.inbox import Inbox
from nnik_ros.nodes.intake import Refusals
from nnik_ros.nodes.loading import load_named_driver, load_named_robot
from nnik_ros.nodes.node_options import SimHandOptions
from nnik_ros.nodes.parameters import Parameters
from nnik_ros.nodes.process import run_node
from nnik_ros.nodes.stiff_hand import StiffHand
from nnik_ros.robot import Robot

_LONGEST_STEP = 0.1  # s; after a longer stall the simulation falls behind instead of standing still for its catching up


class Hand(Protocol):
    """What is simulated."""

    @property
    def q(self) -> Array: ...

    @property
    def dq(self) -> Array: ...

    def command(self, q: Array) -> None: ...

    def step(self, dt: float) -> None: ...


class SimHandNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Physics in a thread of its own at the driver's rate; the command topic is reliable as the drivers' are."""

    def __init__(self) -> None:
        super().__init__("sim_hand", automatically_declare_parameters_from_overrides=True)
        options = Parameters(self, SimHandOptions, fixed=lambda: True).options(SimHandOptions)
        robot, path = load_named_robot(options.robot)
        self._driver, self._joints = load_named_driver(options.driver, robot)
        self._hand = _make_hand(options.physics, robot, path)
        driver, namespace = self._driver, options.driver_namespace
        state_topic = driver.topic(driver.state, namespace)
        self._state_publisher = self.create_publisher(JointState, state_topic, qos_of(driver.state))
        kind = MESSAGE_OF[driver.command_type]
        self._commands: Inbox[Any] = Inbox(self, kind, driver.topic(driver.command, namespace), qos_of(driver.command))
        self._refusals = Refusals(self.get_logger().warning)
        self._message = JointState(name=list(self._joints.names))
        self._message.position = array("d", bytes(8 * robot.nq))
        self._message.velocity = array("d", bytes(8 * robot.nq))
        self._position, self._velocity = np.frombuffer(self._message.position), np.frombuffer(self._message.velocity)
        self._last: float | None = None
        self._loop = ControlLoop(1.0 / driver.rate, self._tick, self._on_error)
        self.get_logger().info(
            f"{robot.name}, {type(self._hand).__name__}, driver {driver.name}: states on {self._state_publisher.topic_name}, "
            f"commands from {self._commands.topic}"
        )
        self._loop.start()

    def close(self) -> None:
        self._loop.stop()

    def _tick(self, now: float) -> None:
        for message in self._commands.take():
            try:
                self._hand.command(read_command(self._driver, self._joints, message))
                self._refusals.accept(self._commands.topic)
            except InputError as error:
                self._refusals.refuse(self._commands.topic, "command", str(error))
        self._hand.step(min(now - self._last, _LONGEST_STEP) if self._last is not None else 0.0)
        self._last = now
        self._position[:] = self._joints.to_array(self._hand.q)
        self._velocity[:] = self._joints.to_array(self._hand.dq)
        self._message.header.stamp = self.get_clock().now().to_msg()
        self._state_publisher.publish(self._message)

    def _on_error(self, error: Exception) -> None:
        if not rclpy.ok():
            self._loop.request_stop()
            return
        self.get_logger().error(f"{type(error).__name__}: {error}", throttle_duration_sec=1.0)


def _make_hand(physics: str, robot: Robot, robot_path: Path) -> Hand:
    """Raises NnikError: MuJoCo was asked for and the robot has no simulation data, or they are wrong."""
    if physics == "stiff":
        return StiffHand(robot)
    from nnik_ros.sim.hand import SimHand  # a stiff robot needs no MuJoCo
    from nnik_ros.sim.options import find_sim_file, load_sim_options

    try:
        path = find_sim_file(robot_path.parent / "simulation", robot.name)
    except InputError:
        if physics == "mujoco":
            raise
        return StiffHand(robot)
    return SimHand(robot, load_sim_options(path, robot))


def main() -> int:
    return run_node(SimHandNode)


if __name__ == "__main__":
    sys.exit(main())
