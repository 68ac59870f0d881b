"""What RViz is shown of a tick."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.nodes.markers import marker_array
from nnik_ros.nodes.status import level_of
from nnik_ros.nodes.status_reader import state_color
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot
from nnik_ros.states import Measurement, Targets, TipState


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


@pytest.mark.parametrize("state", TipState, ids=lambda state: state.name)
def test_a_state_has_one_colour_in_rviz_and_on_the_page_and_only_errors_are_red(state: TipState) -> None:
    robot = load_robot(robot_file("allegro_right"))
    waiting = Controller(robot, None, ControllerOptions()).tick(0.0, None, Targets(np.zeros((4, 3)), np.zeros(4)))
    result = waiting._replace(tip_state=np.full(4, int(state)))
    shown = marker_array(robot, result, np.zeros((4, 3)), Header(frame_id="palm")).markers[0].color
    assert [round(255.0 * c) for c in (shown.r, shown.g, shown.b)] == [*state_color(state.name)]
    assert (named(shown.r, shown.g, shown.b) == "red") == (level_of(state) == DiagnosticStatus.ERROR)


def named(red: float, green: float, blue: float) -> str:
    """The colour as docs/tutorials/2_with_rviz.md calls it."""
    hue, saturation, _ = colorsys.rgb_to_hsv(red, green, blue)
    if saturation < 0.2:
        return "grey"
    return min(
        {"red": 0.0, "amber": 35.0, "green": 140.0, "blue": 215.0}.items(), key=lambda c: abs(360.0 * hue - c[1])
    )[0]
