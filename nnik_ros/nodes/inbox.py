"""The newest messages of a topic, taken by whoever needs them instead of delivered by an executor."""

from __future__ import annotations

import math
from typing import Any, Generic, TypeVar

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import JointState

from nnik_ros.driver import Driver

Message = TypeVar("Message")


def newest(depth: int) -> QoSProfile:
    """Best effort matches reliable and best-effort publishers alike, and an old message is never worth waiting for."""
    return QoSProfile(depth=depth, reliability=QoSReliabilityPolicy.BEST_EFFORT)


class _NobodyExecutes(CallbackGroup):  # type: ignore[misc]  # rclpy has no types
    """Keeps its subscriptions out of every executor's wait set."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        return None


def _never_called(message: Any) -> None:  # rclpy refuses a callback without a Python signature
    raise AssertionError("nobody executes this subscription")


class Inbox(Generic[Message]):
    """A subscription whose messages wait in the middleware until `take`: the executor's own call, made a tick later and without
    the executor."""

    def __init__(self, node: Node, kind: type[Message], topic: str, qos: QoSProfile) -> None:
        group = _NobodyExecutes()
        self._subscription: Any = node.create_subscription(kind, topic, _never_called, qos, callback_group=group)
        self._kind, self._depth = kind, qos.depth
        self.topic: str = self._subscription.topic_name

    def take(self) -> list[Message]:
        """What came since the last call, oldest first, at most `depth` messages."""
        return [message for message, _ in self.take_sent()]

    def take_sent(self) -> list[tuple[Message, float]]:
        """As `take`, each message with when it was sent [s, wall clock], nan where the middleware does not tell."""
        messages: list[tuple[Message, float]] = []
        handle = self._subscription.handle
        with handle:  # keeps it from being destroyed meanwhile
            while len(messages) < self._depth:
                taken = handle.take_message(self._kind, False)
                if taken is None:
                    break
                messages.append((taken[0], taken[1]["source_timestamp"] * 1e-9 or math.nan))
        return messages

    def destroy(self, node: Node) -> None:
        node.destroy_subscription(self._subscription)


def state_inbox(node: Node, driver: Driver, namespace: str = "") -> Inbox[JointState]:
    """The driver's joint states, the newest alone; on a topic that is shared, others' messages must not push ours out."""
    depth = driver.state.depth if driver.other_joints else 1
    return Inbox(node, JointState, driver.topic(driver.state, namespace), newest(depth))
