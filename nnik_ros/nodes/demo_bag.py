"""Writes what is said in the demo into a rosbag2 (mcap), as `ros2 bag record` does."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_typestore

from nnik_ros.errors import InputError
from nnik_ros.nodes.conversions import type_name

_DEPTH = 2000  # messages that wait for the writer at most
_LAST_WORDS = 2.0  # s that a bag waits for the end of the recording of a controller that has ended
_QUIET, _LONGEST = 0.2, 10.0  # s after the last message until nothing more waits to be written, and s for all of that


class Said(NamedTuple):
    """A topic to record. lasting: its publisher keeps messages for those who come late."""

    topic: str
    kind: type[Any]
    lasting: bool = False


class BagRecorder:
    """Records topics in the executor of a node, message by message as it came over the wire."""

    def __init__(self, node: Node, folder: Path, topics: Iterable[Said]) -> None:
        """Raises InputError: the folder exists or cannot be made."""
        try:
            self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except (WriterError, OSError) as error:
            raise InputError(f"--record-bag {folder}: {error}") from error
        self._folder = folder
        self._failed = False
        self._written = 0.0  # s by the steady clock, when the last message was
        self._ended = False  # whether a lasting topic told the end of its recording
        self._newest: dict[int, int] = {}  # of each connection [ns]
        store = get_typestore(Stores.ROS2_JAZZY)
        for said in topics:
            name = node.resolve_topic_name(said.topic)
            connection = self._writer.add_connection(name, type_name(said.kind), typestore=store)
            take = functools.partial(self._take, connection, said.lasting)
            node.create_subscription(said.kind, name, take, _qos(said.lasting), raw=True)

    def close(self, executor: Any) -> None:
        """Complete the bag. What was said before the other nodes ended may still wait in the node of this executor.

        Raises:
            InputError: it cannot be written.
        """
        begin = now = time.monotonic()
        while now < min(begin + _LONGEST, max(begin, self._written) + (_QUIET if self._ended else _LAST_WORDS)):
            executor.spin_once(timeout_sec=0.05)
            now = time.monotonic()
        with self._no_room():
            self._writer.close()

    def _take(self, connection: Any, lasting: bool, message: bytes, info: Mapping[str, int]) -> None:
        if self._failed:
            return
        # DDS knows when, though not every kind of it; of what is sent again to latecomers later messages may arrive first
        arrived = max(info["received_timestamp"] or time.time_ns(), self._newest.get(connection.id, 0) + 1)
        self._newest[connection.id] = arrived
        with self._no_room():
            self._writer.write(connection, arrived, message)
        self._written = time.monotonic()
        self._ended |= lasting and b'"end"' in message

    @contextlib.contextmanager
    def _no_room(self) -> Iterator[None]:
        """Says once that the bag cannot be written to its end, as on a full disk."""
        try:
            yield
        except OSError as error:
            if self._failed:
                return
            self._failed = True
            reason = f"--record-bag {self._folder}: the recording ends here and cannot be read: {error.strerror}"
            raise InputError(reason) from error


def _qos(lasting: bool) -> QoSProfile:
    durability = QoSDurabilityPolicy.TRANSIENT_LOCAL if lasting else QoSDurabilityPolicy.VOLATILE
    reliability = QoSReliabilityPolicy.RELIABLE if lasting else QoSReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=_DEPTH, reliability=reliability, durability=durability)
