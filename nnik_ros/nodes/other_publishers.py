"""Who else speaks on the topics that must have one speaker: two hands on one wheel are the worst of confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from rclpy.node import Node

from nnik_ros.nodes.receivers import UNKNOWN_NODE

_UNKNOWN = f"_NODE_NAMESPACE_UNKNOWN_/{UNKNOWN_NODE}"


class OtherPublishers:
    """Looks at the graph now and then. found: names of nodes by topic, only where there are too many; appeared: how often one
    was seen for the first time, or again after it had gone."""

    def __init__(self, node: Node, topics: Mapping[str, str], on_change: Callable[[str], None]) -> None:
        """topics: with the type of their messages; on each of them one node should publish that, this one or another."""
        self.found: dict[str, list[str]] = {}
        self.appeared: Counter[str] = Counter()
        self._node, self._topics = node, dict(topics)
        self._on_change = on_change

    @property
    def message(self) -> str:
        """The warning, empty when all is well."""
        return "; ".join(f"{topic} is published by several: {', '.join(names)}" for topic, names in self.found.items())

    def look(self) -> None:
        """Ask the middleware."""
        now = {topic: names for topic in self._topics if len(names := self._publishers(topic)) > 1}
        before = self.found
        self.found = now
        for topic, names in now.items():
            # one publisher alone is as it should be; who takes the place of another came all the same
            were = before.get(topic, names[:1])
            came = Counter(names) - Counter(were)
            known_now = max(0, were.count(_UNKNOWN) - names.count(_UNKNOWN))
            self.appeared[topic] += max(0, came.total() - known_now)
        if now != before:
            self._on_change(self.message or "every topic has one publisher again")

    def _publishers(self, topic: str) -> list[str]:
        infos = self._node.get_publishers_info_by_topic(topic)
        kind = self._topics[topic]  # who publishes another one is heard by nobody who waits for this
        return sorted(
            f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos if info.topic_type == kind
        )
