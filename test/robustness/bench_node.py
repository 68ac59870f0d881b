"""What stands in this process: one ROS context served by one thread, the line between hand and controller, and a sender."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile, QoSReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from nnik_ros.geometry import Array
from test.robustness.messages import pose_array
from test.robustness.processes import PATIENCE

InvalidHandle: type[Exception] = rclpy_implementation.InvalidHandle
BEST_EFFORT = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)


class PromiseError(AssertionError):
    """Something that was promised does not hold."""


def wait_for(
    condition: Callable[[], Any], what: str, limit: float = PATIENCE, meanwhile: Callable[[], Any] | None = None
) -> float:
    """Seconds until the condition held. Raises PromiseError when it does not within the limit."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > limit:
            raise PromiseError(f"waited {limit:g} s for {what}")
        if meanwhile:
            meanwhile()
        time.sleep(0.005)
    return time.monotonic() - begin


class Executor:
    """Serves all nodes of this process in a thread."""

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._tasks: deque[Callable[[], None]] = deque()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def node(self, name: str, namespace: str) -> Node:
        node = rclpy.create_node(name, namespace=namespace, context=self._context)
        self._executor.add_node(node)
        return node

    def remove(self, node: Node) -> None:
        """Between two turns of the executor, so that it never waits on what is being destroyed."""
        removed = threading.Event()

        def remove() -> None:
            self._executor.remove_node(node)
            node.destroy_node()
            removed.set()

        self._tasks.append(remove)
        removed.wait(PATIENCE)

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self._executor.shutdown()
        rclpy.try_shutdown(context=self._context)

    def _spin(self) -> None:
        while not self._end.is_set():
            while self._tasks:
                self._tasks.popleft()()
            with suppress(InvalidHandle):  # a client or timer that a row destroyed meanwhile
                self._executor.spin_once(timeout_sec=0.02)


class StateLine:
    """The way of the joint states from the hand to the controller, with a place for faults.

    fault(message, now) gives the messages that go on, in the place of the one that came.
    """

    def __init__(self, node: Node, source: str, goal: str) -> None:
        self.newest: JointState | None = None
        self.fault: Callable[[JointState, float], list[JointState]] | None = None
        self.publisher = node.create_publisher(JointState, goal, 3)
        node.create_subscription(JointState, source, self._take, 10)

    def _take(self, message: JointState) -> None:
        self.newest = message
        fault = self.fault
        for passed in [message] if fault is None else fault(message, time.monotonic()):
            self.publisher.publish(passed)


class Sender:
    """Publishes tip targets at 50 Hz from a thread: `path(t)` (nt, 3) [m] in the base frame, nothing while it is None."""

    def __init__(self, node: Node, topic: str, frame: str) -> None:
        self.path: Callable[[float], Array] | None = None
        self._publisher = node.create_publisher(PoseArray, topic, 1)
        self._frame = frame
        self._begin = time.monotonic()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._end.wait(0.02):
            path = self.path
            if path is not None:
                self._publisher.publish(pose_array(self._frame, path(time.monotonic() - self._begin)))


class StatusLog:
    """The controller's status and diagnostics, as they came."""

    def __init__(self, node: Node) -> None:
        self.count = 0
        self.newest: DiagnosticStatus | None = None
        self.values: dict[str, str] = {}
        self.seen: Counter[str] = Counter()
        self.largest = 0  # characters of a message
        self.last_time = 0.0
        self.diagnostics: dict[str, dict[str, str]] = {}
        node.create_subscription(DiagnosticStatus, "status", self._take, 10)
        node.create_subscription(DiagnosticArray, "diagnostics", self._take_diagnostics, 10)

    @property
    def message(self) -> str:
        return "" if self.newest is None else str(self.newest.message)

    def _take(self, status: DiagnosticStatus) -> None:
        self.newest = status
        self.values = {pair.key: pair.value for pair in status.values}
        self.seen[self.values["state"]] += 1
        self.largest = max(self.largest, len(status.message) + sum(len(pair.value) for pair in status.values))
        self.last_time = time.monotonic()
        self.count += 1

    def _take_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            part = status.name.rpartition(": ")[2]
            self.diagnostics[part] = {"message": status.message, **{pair.key: pair.value for pair in status.values}}
