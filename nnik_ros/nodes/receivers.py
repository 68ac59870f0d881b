"""Who takes the commands: the page, a recorder or `ros2 topic echo` look on, and move no hand."""

from __future__ import annotations

import re
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy

from nnik_ros.nodes.conversions import type_name

UNKNOWN_NODE = "_NODE_NAME_UNKNOWN_"  # a node that the middleware just found, whose names follow, or one without ROS
# names of nodes: the page, and what people look at topics with; hidden ones are of command line tools
_ONLOOKERS = re.compile(rf"(?!{UNKNOWN_NODE})_.*|web|rosbag2_.*|foxglove_bridge|plotjuggler.*|rqt.*")


class Receivers:
    """Subscriptions of one publisher's topic, but for those of nodes that only look on. The publisher is reliable and keeps
    nothing for who comes late."""

    def __init__(self, node: Node, publisher: Any) -> None:
        self._node, self._publisher = node, publisher
        self._seen = self._onlookers = 0

    @property
    def count(self) -> int:
        seen = int(self._publisher.get_subscription_count())
        if seen < self._seen:  # who looked on and went must not be taken off the others
            self.look()
        self._seen = seen
        return max(0, seen - self._onlookers)

    def look(self) -> None:
        """Ask the middleware for names: too slow for every status."""
        infos = self._node.get_subscriptions_info_by_topic(self._publisher.topic_name)
        self._onlookers = sum(
            _ONLOOKERS.fullmatch(info.node_name) is not None and self._reaches(info) for info in infos
        )

    def _reaches(self, info: Any) -> bool:
        """Whether a subscription is one of those that the publisher counts: of its type, and not of messages from before."""
        same = bool(info.topic_type == type_name(self._publisher.msg_type))
        return same and info.qos_profile.durability != QoSDurabilityPolicy.TRANSIENT_LOCAL
