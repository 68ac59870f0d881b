"""What RViz is shown of a tick."""

from __future__ import annotations

import numpy as np
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.nodes.markers import marker_array
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot
from nnik_ros.states import Measurement, Targets


def test_a_tip_with_a_target_shows_ball_tip_and_line_and_one_without_shows_its_tip_alone() -> None:
    robot = load_robot(robot_file("allegro_right"))
    targets = np.full((4, 3), np.nan)
    targets[2] = (0.05, -0.04, 0.09)
    controller = Controller(robot, None, ControllerOptions())
    controller.start()
    stamps = np.where(np.isnan(targets[:, 0]), -np.inf, 0.0)
    result = controller.tick(0.0, Measurement(robot.home, 0.0), Targets(targets, stamps))
    markers = {
        marker.ns: marker for marker in marker_array(robot, result, targets, Header(frame_id="left/palm")).markers
    }
    assert {ns for ns, marker in markers.items() if marker.action == Marker.ADD} == {
        "index/tip", "middle/tip", "ring/tip", "thumb/tip", "ring/target", "ring/error",
    }  # fmt: skip
    ball, line = markers["ring/target"].pose.position, markers["ring/error"].points
    assert (ball.x, ball.y, ball.z) == (0.05, -0.04, 0.09)
    tip = robot.kinematics.tip_position(robot.home)[2]
    np.testing.assert_allclose([[p.x, p.y, p.z] for p in line], [targets[2], tip], atol=1e-9)
    assert all(marker.header.frame_id == "left/palm" for marker in markers.values())
