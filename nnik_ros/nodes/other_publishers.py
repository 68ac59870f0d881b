"""Who else speaks on the topics that must have one speaker: two hands on one wheel are the worst of confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rclpy.node import Node


class OtherPublishers:
    """Looks at the graph now and then. found: names of nodes by topic, only where there are too many; appeared: how often one
    was seen for the first time, or again after it had gone."""

    def __init__(self, node: Node, own: str, shared: str | None, on_change: Callable[[str], None]) -> None:
        """own: a topic that this node publishes on; shared: one on which one other node should publish, if there is any."""
        self.found: dict[str, list[str]] = {}
        self.appeared: Counter[str] = Counter()
        self._node, self._own, self._shared = node, own, shared
        self._on_change = on_change

    @property
    def message(self) -> str:
        """The warning, empty when all is well."""
        return "; ".join(f"{topic} is published by several: {', '.join(names)}" for topic, names in self.found.items())

    def look(self) -> None:
        """Ask the middleware."""
        now = {self._own: self._publishers(self._own)} | (
            {self._shared: self._publishers(self._shared)} if self._shared else {}
        )
        now = {topic: names for topic, names in now.items() if len(names) > 1}
        before = self.found
        self.found = now
        for topic, names in now.items():
            self.appeared[topic] += max(0, len(names) - max(1, len(before.get(topic, []))))
        if now != before:
            self._on_change(self.message or "every topic has one publisher again")

    def _publishers(self, topic: str) -> list[str]:
        infos = self._node.get_publishers_info_by_topic(topic)
        return sorted(f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in infos)
