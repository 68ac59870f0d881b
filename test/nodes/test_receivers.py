"""Who counts as a receiver of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import rclpy
from node_bench import Station, wait_for
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState

from nnik_ros.nodes.receivers import Receivers
from nnik_ros.nodes.web_node import WebNode

TOPIC = "joint_cmd"


@pytest.fixture
def station(lab) -> Station:
    return lab.station()


@pytest.fixture
def receivers(station: Station) -> Receivers:
    return Receivers(station.node, station.node.create_publisher(JointState, TOPIC, 1))


@pytest.fixture
def listen(station: Station) -> Iterator[Callable[[str], Node]]:
    nodes = []

    def start(name: str) -> Node:
        node = rclpy.create_node(name, namespace=station.namespace)
        node.create_subscription(JointState, TOPIC, lambda message: None, 1)
        nodes.append(node)
        return node

    yield start
    for node in nodes:
        node.destroy_node()


def counts(receivers: Receivers, number: int) -> None:
    def counted() -> bool:
        receivers.look()
        return receivers.count == number

    wait_for(counted, f"{number} receivers")


def seen(receivers: Receivers, number: int) -> None:
    wait_for(lambda: receivers._publisher.get_subscription_count() == number, f"{number} subscriptions")


@pytest.mark.parametrize("name", ["rosbag2_recorder", "_ros2cli_4711", "foxglove_bridge", "rqt_gui_py_node_12"])
def test_who_looks_on_is_no_receiver_beside_a_driver_or_alone(receivers, listen, name):
    listen(name)
    seen(receivers, 1)
    counts(receivers, 0)
    listen("allegro_node")
    seen(receivers, 2)
    counts(receivers, 1)


@pytest.mark.parametrize("name", ["allegro_node", "sim_hand", "webcam_hand", "my_rosbag2_hand", "web_hand"])
def test_a_driver_counts_also_where_its_name_resembles_an_onlooker(receivers, listen, name):
    listen(name)
    seen(receivers, 1)
    receivers.look()
    assert receivers.count == 1


def test_a_driver_whose_name_the_middleware_does_not_know_yet_or_ever_counts(receivers, listen, monkeypatch):
    listen("allegro_node")
    seen(receivers, 1)
    unknown = SimpleNamespace(node_name="_NODE_NAME_UNKNOWN_")
    monkeypatch.setattr(receivers._node, "get_subscriptions_info_by_topic", lambda topic: [unknown])
    receivers.look()
    assert receivers.count == 1


@pytest.mark.parametrize(
    ("kind", "durability"),
    [("sensor_msgs/msg/JointState", "TRANSIENT_LOCAL"), ("std_msgs/msg/String", "VOLATILE")],
)
def test_an_onlooker_who_hears_nothing_is_not_taken_off_the_drivers(receivers, listen, monkeypatch, kind, durability):
    """Such as `ros2 topic echo` with a quality of service that does not fit: the driver was told to be missing."""
    listen("allegro_node")
    seen(receivers, 1)
    profile = QoSProfile(depth=1, durability=QoSDurabilityPolicy[durability])
    onlooker = SimpleNamespace(node_name="_ros2cli_4711", topic_type=kind, qos_profile=profile)
    driver = SimpleNamespace(
        node_name="allegro_node", topic_type="sensor_msgs/msg/JointState", qos_profile=QoSProfile(depth=1)
    )
    monkeypatch.setattr(receivers._node, "get_subscriptions_info_by_topic", lambda topic: [onlooker, driver])
    receivers.look()
    assert receivers.count == 1


def test_a_driver_that_ends_is_missed_at_once_while_somebody_looks_on(receivers, listen, station):
    listen("rosbag2_recorder")
    driver = listen("allegro_node")
    seen(receivers, 2)
    counts(receivers, 1)
    driver.destroy_subscription(next(iter(driver.subscriptions)))
    wait_for(lambda: receivers.count == 0, "the driver to be missed without another look")


def test_a_driver_is_not_missed_when_somebody_who_looked_on_goes(receivers, listen):
    listen("allegro_node")
    onlooker = listen("rosbag2_recorder")
    seen(receivers, 2)
    counts(receivers, 1)
    onlooker.destroy_subscription(next(iter(onlooker.subscriptions)))
    seen(receivers, 1)
    assert receivers.count == 1


def test_the_page_is_no_receiver(station):
    page = WebNode()
    try:
        own = Receivers(station.node, station.node.create_publisher(JointState, page._commands.topic, 1))
        seen(own, 1)
        counts(own, 0)
    finally:
        page.destroy_node()
