"""Who else speaks on a topic that must have one speaker: what is told of the graph, look by look."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnik_ros.nodes.other_publishers import OtherPublishers

TOPIC, KIND = "/hand/joint_cmd", "sensor_msgs/msg/JointState"


class Graph:
    """Publishers of every topic, by their namespaces and names."""

    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []
        self.kinds: dict[str, str] = {}  # of the messages of some names; of all others KIND

    def get_publishers_info_by_topic(self, topic: str) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(node_namespace=space, node_name=name, topic_type=self.kinds.get(name, KIND))
            for space, name in self.names
        ]


@pytest.mark.parametrize(
    ("looks", "appeared"),
    [
        (["", "c", "c"], 0),
        (["c", "ca", "ca", "c", "ca"], 2),
        (["ca", "cab", "ca", "cab"], 3),
        (["c", "ca", "cb", "ca"], 3),
        (["c", "cc", "ccc", "cc"], 2),
        (["cab", "cd"], 3),
    ],
)
def test_every_publisher_that_comes_is_counted_also_one_in_the_place_of_another(
    looks: list[str], appeared: int
) -> None:
    graph = Graph()
    others = OtherPublishers(graph, {TOPIC: KIND}, lambda words: None)
    for names in looks:
        graph.names = [("/", name) for name in names]
        others.look()
    assert others.appeared[TOPIC] == appeared


def test_a_publisher_whose_names_the_middleware_tells_later_came_once() -> None:
    graph = Graph()
    others, own, unknown = (
        OtherPublishers(graph, {TOPIC: KIND}, lambda words: None),
        ("/", "c"),
        ("_NODE_NAMESPACE_UNKNOWN_", "_NODE_NAME_UNKNOWN_"),
    )
    for *names, appeared in (
        [own, 0],
        [own, unknown, 1],
        [own, ("/", "a"), 1],
        [own, ("/", "a"), unknown, 2],
        [own, ("/", "a"), 2],
    ):
        graph.names = names
        others.look()
        assert others.appeared[TOPIC] == appeared


def test_several_publishers_are_named_at_each_change_with_their_namespaces_until_one_is_left() -> None:
    graph, told = Graph(), []
    others = OtherPublishers(graph, {TOPIC: KIND}, told.append)
    for names in ([("/hand", "controller")], [("/hand", "controller"), ("/", "script")], [("/hand", "controller")]):
        graph.names = names
        for _ in range(3):
            others.look()
    words = f"{TOPIC} is published by several: /hand/controller, /script"
    assert told == [words, "every topic has one publisher again"]
    assert others.message == "" and not others.found


def test_who_publishes_messages_of_another_type_on_a_topic_speaks_to_nobody_there() -> None:
    """A topic is called `status` in many a system."""
    graph, told = Graph(), []
    others = OtherPublishers(graph, {TOPIC: KIND}, told.append)
    graph.names, graph.kinds = [("/hand", "controller"), ("/", "battery")], {"battery": "std_msgs/msg/String"}
    others.look()
    assert not told and not others.found and not others.appeared[TOPIC]
