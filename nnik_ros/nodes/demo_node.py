"""The demo's own node: its ears, its mouth in a scripted run, and the choice of a robot that the page asks it for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray, PoseStamped
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from nnik_ros.driver import Driver
from nnik_ros.errors import NnikError
from nnik_ros.geometry import Array
from nnik_ros.nodes.commands import MESSAGE_OF
from nnik_ros.nodes.conversions import pose_at
from nnik_ros.nodes.demo_landmarks import LandmarkScript, load_tip_path
from nnik_ros.nodes.demo_monitor import Monitor
from nnik_ros.nodes.demo_script import Oracle, Script
from nnik_ros.nodes.inbox import state_inbox
from nnik_ros.nodes.loading import load, load_named_driver, load_named_robot
from nnik_ros.nodes.node_options import AUTO_MODEL, NodeOptions
from nnik_ros.nodes.tape_identity import TAPE_TOPIC
from nnik_ros.robot import Robot


class DemoScript(Protocol):
    """What plays targets and judges how they were followed."""

    @property
    def target(self) -> Array | None: ...

    @property
    def finished(self) -> bool: ...

    @property
    def judged(self) -> bool: ...

    @property
    def passed(self) -> bool: ...

    def advance(self, q: Array, now: float, more: bool) -> None: ...

    def report(self) -> str: ...


class Demo(Node):  # type: ignore[misc]
    """`choice` is the robot and network that somebody asked for by the parameters of this node."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__("demo")
        self.robot, path = load_named_robot(arguments.robot)
        driver, self._joints = load_named_driver("simulated", self.robot)
        self._states = state_inbox(self, driver)
        self.monitor = Monitor(self, self.robot)
        self.choice: tuple[str, str] | None = None
        self._begun_with: tuple[str, str] = arguments.begun_with
        self.script = _script(arguments, self.robot, path)
        if self.script is not None:
            self._publisher = self.create_publisher(PoseArray, "target_poses", 1)
            self._tip_publishers = [
                self.create_publisher(PoseStamped, f"{tip}/target_pose", 1) for tip in self.robot.tip_names
            ]
        for name, value in (("robot", arguments.robot), ("model", arguments.model)):
            self.declare_parameter(name, str(value), ParameterDescriptor(description=f"The {name} that is shown."))
        self.add_on_set_parameters_callback(self._choose)
        self._bag: Any = _bag(self, arguments.record_bag, self.robot, driver) if arguments.record_bag else None

    def close(self, executor: Any) -> None:
        """Complete the bag, if there is one: call it when the other nodes have ended."""
        if self._bag is not None:
            self._bag.close(executor)

    def measured(self) -> Array | None:
        """Newest joint position (nq,) [rad]; None when nothing new came."""
        for message in self._states.take():
            return self._joints.joint_position(message.name, message.position)
        return None

    def play(self, now: float, more: bool) -> bool:
        """One step of the script, if there is one; whether the demo is over."""
        if self.script is None:
            return not more
        q = self.measured()
        if q is not None:
            self.script.advance(q, now, more)
        if self.script.target is not None:
            self._send(self.script.target)
        return self.script.finished

    def _send(self, target: Array) -> None:
        """target (nt, 3) [m]; a tip whose target is nan is sent none."""
        known = np.isfinite(target).all(axis=-1)
        poses = list(map(pose_at, target))
        if known.all():
            self._publisher.publish(self._stamped(PoseArray(poses=poses)))
            return
        for tip in np.flatnonzero(known):
            self._tip_publishers[tip].publish(self._stamped(PoseStamped(pose=poses[tip])))

    def _stamped(self, message: Any) -> Any:
        message.header.frame_id = self.robot.base_frame
        message.header.stamp = self.get_clock().now().to_msg()
        return message

    def _choose(self, parameters: list[Parameter]) -> SetParametersResult:
        """The robot that the demo began with comes back with the network of then, another one with its own; unless one is
        named with it."""
        wanted = {parameter.name: str(parameter.value) for parameter in parameters}
        if self.script is not None or self._bag is not None:
            busy = "targets are played" if self._bag is None else "a bag is recorded"
            return SetParametersResult(successful=False, reason=f"{busy}; the robot stays until the end")
        robot = wanted.get("robot", self.get_parameter("robot").value)
        first, its_model = self._begun_with
        model = wanted.get("model", its_model if robot == first else AUTO_MODEL)
        try:
            load(NodeOptions(robot=robot, model=model))
        except NnikError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.choice = (robot, model)
        return SetParametersResult(successful=True, reason=robot)


def _bag(node: Node, folder: Path, robot: Robot, driver: Driver) -> Any:
    """Records what goes in and out of the controller."""
    from nnik_ros.nodes.demo_bag import BagRecorder, Said  # nobody else needs rosbags

    return BagRecorder(node, folder, [
        Said(driver.topic(driver.state), JointState), Said(driver.topic(driver.command), MESSAGE_OF[driver.command_type]),
        Said("target_poses", PoseArray), Said("tip_poses", PoseArray), Said("status", DiagnosticStatus),
        *(Said(f"{tip}/target_pose", PoseStamped) for tip in robot.tip_names), Said(TAPE_TOPIC, String, lasting=True),
    ])  # fmt: skip


def _script(arguments: argparse.Namespace, robot: Robot, path: Path) -> DemoScript | None:
    """Raises NnikError: a recording that cannot be used, or a robot without simulation data in a scripted run."""
    if arguments.landmarks:
        tips = load_tip_path(arguments.landmarks, robot, arguments.hand_map, arguments.human_hand, arguments.frame_rate)
        tolerance = 1e-3 * (5.0 if arguments.tolerance is None else arguments.tolerance)
        return LandmarkScript(robot, tips, arguments.playback, tolerance, repeat=not arguments.headless)
    if arguments.headless or arguments.play:
        tolerance = 1e-3 * (1.0 if arguments.tolerance is None else arguments.tolerance)
        return Script(robot, Oracle(robot, path), np.random.default_rng(arguments.seed), tolerance)
    return None
