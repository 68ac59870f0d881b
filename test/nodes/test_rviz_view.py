"""The view of RViz, without RViz: it shows what the nodes publish, on topics of these names, types and qualities."""

from __future__ import annotations

from typing import Any

import yaml
from node_bench import Lab, wait_for
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from nnik_ros.nodes.marker_node import NAMESPACE
from nnik_ros.paths import share_dir

VIEW = yaml.safe_load((share_dir() / "config" / "robot.rviz").read_text(encoding="utf-8"))
MANAGER = VIEW["Visualization Manager"]
OF_RVIZ = {
    "Displays": {"Grid", "InteractiveMarkers", "MarkerArray", "RobotModel", "TF"},
    "Tools": {"FocusCamera", "Interact", "MoveCamera", "Select"},
}  # of the many that rviz_default_plugins has


def display(name: str) -> dict[str, Any]:
    (found,) = (entry for entry in MANAGER["Displays"] if entry["Class"] == f"rviz_default_plugins/{name}")
    return dict(found)


def test_every_display_and_tool_is_one_of_rviz() -> None:
    for kind, names in OF_RVIZ.items():
        assert {entry["Class"] for entry in MANAGER[kind]} == {f"rviz_default_plugins/{name}" for name in names}
    assert {panel["Class"] for panel in VIEW["Panels"]} <= {"rviz_common/Displays", "rviz_common/Views"}
    assert MANAGER["Views"]["Current"]["Class"] == "rviz_default_plugins/Orbit"


def test_the_markers_of_the_view_are_those_of_the_controller(lab: Lab) -> None:
    bench = lab.bench()
    node, topic = bench.station.node, display("MarkerArray")["Topic"]
    name = f"{bench.station.namespace}/{topic['Value']}"
    wait_for(lambda: node.get_publishers_info_by_topic(name), f"the topic {topic['Value']}", bench.process)
    (offered,) = node.get_publishers_info_by_topic(name)
    assert offered.topic_type == "visualization_msgs/msg/MarkerArray"
    asked = topic["Durability Policy"], topic["Reliability Policy"]
    assert asked[0] == "Volatile" or offered.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert asked[1] == "Best Effort" or offered.qos_profile.reliability == ReliabilityPolicy.RELIABLE


def test_the_balls_to_drag_are_those_of_the_marker_node() -> None:
    assert display("InteractiveMarkers")["Interactive Markers Namespace"] == NAMESPACE


def test_the_robot_is_the_description_that_robot_state_publisher_keeps_for_late_ones() -> None:
    shown = display("RobotModel")
    assert shown["Description Source"] == "Topic"
    assert shown["Description Topic"]["Value"] == "robot_description"
    assert shown["Description Topic"]["Durability Policy"] == "Transient Local"
