"""Where the page shows the tips: where the controller says, and by the robot's description while no controller does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from geometry_msgs.msg import PoseArray
from node_bench import pose_array
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState

from nnik_ros.nodes import web_node
from nnik_ros.nodes.web_node import WebNode


class Stage:
    """The page, its hand at home, and somebody who tells where the tips are."""

    def __init__(self) -> None:
        self.page, self.other = WebNode(), Node("other")
        self.robot = self.page._robot
        self.hand = self.other.create_publisher(JointState, self.page._states.topic, 1)
        self.tips = self.other.create_publisher(PoseArray, "tip_poses", 1)
        self.executor = SingleThreadedExecutor()
        for node in (self.page, self.other):
            self.executor.add_node(node)

    def shown(self, positions: np.ndarray, meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Whether the balls come to these places (nt, 3) [m] within a few seconds."""
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            self.hand.publish(JointState(name=list(self.robot.joint_names), position=self.robot.home.tolist()))
            meanwhile()
            self.executor.spin_once(timeout_sec=0.02)
            if np.allclose([gizmo.position for gizmo in self.page._handles._gizmos], positions, atol=2e-5):
                return True
        return False


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.executor.shutdown()
    stage.page.close()
    stage.page.destroy_node()
    stage.other.destroy_node()


def test_the_balls_rest_where_the_controller_has_the_tips_of_a_calibrated_hand(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_node, "_TIPS_LIFE", 0.3)
    robot = stage.robot
    described = robot.kinematics.tip_position(robot.home)
    calibrated = robot.kinematics.tip_position(robot.home + 0.05)
    assert np.linalg.norm(calibrated - described, axis=1).min() > 0.002
    assert stage.shown(described)
    told = pose_array(robot.base_frame, calibrated.tolist())
    assert stage.shown(calibrated, lambda: stage.tips.publish(told))
    assert stage.shown(described), "without a controller the page has to follow the hand by itself"
