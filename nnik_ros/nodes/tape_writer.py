"""Writes what a controller is given and what it answers, for `./run replay`: into a file, onto a topic for bags, or both."""

from __future__ import annotations

import fcntl
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from std_msgs.msg import String

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import InputError
from nnik_ros.nodes.loading import Loaded
from nnik_ros.nodes.node_options import NodeOptions
from nnik_ros.nodes.tape_identity import TAPE_TOPIC, describe_policy, file_identity, versions
from nnik_ros.paths import given_path, robot_file
from nnik_ros.tape import Entry, TapedController, TapeEncoder
from nnik_ros.tape_checks import FORMAT

_PERIOD = 0.05  # s between writes
_FAREWELL = 0.5  # s for the last lines to reach whoever listens
_KEPT = 2400  # messages that a late recorder still gets: two minutes
Close = Callable[[], None]


def make_controller(
    node: Node, loaded: Loaded, options: NodeOptions, control: ControllerOptions
) -> tuple[Controller, Close]:
    """The controller of a session, recorded if the options say so, and what ends the recording.

    Raises:
        InputError: the file cannot be written, or holds something else.
    """
    parts = (loaded.robot, loaded.policy, control, loaded.collision)
    if not options.record and not options.record_topic:
        return Controller(*parts), lambda: None
    header = {
        "robot": file_identity(robot_file(options.robot), loaded.described.urdf_path),
        "calibration": file_identity(given_path(options.calibration)) if options.calibration else None,
        "model": describe_policy(loaded.policy),
        "options": dict(vars(control)),
        "made_with": versions(),
    }
    writer = TapeWriter(node, header, options.record, publish=options.record_topic)
    return TapedController(*parts, writer.put), writer.close


class TapeWriter:
    """A thread of its own encodes and writes, so that the control loop only queues."""

    def __init__(self, node: Node, header: dict[str, Any], file: str, *, publish: bool) -> None:
        self._log = node.get_logger()
        self._node = node
        self._encoder = TapeEncoder(header, describe_policy)
        self._entries: deque[Entry] = deque()
        self.put = self._entries.append
        self._file: IO[str] | None = _opened(given_path(file)) if file else None
        self._publisher: Any = None
        if publish:
            self._publisher = node.create_publisher(
                String, TAPE_TOPIC, QoSProfile(
                    depth=_KEPT, reliability=QoSReliabilityPolicy.RELIABLE, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
                ),
            )  # fmt: skip
        self._write(self._encoder.header)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tape", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left and the end line."""
        self._stop.set()
        self._thread.join()
        self._drain()
        self._write(self._encoder.end())
        if self._file is not None:
            self._file.close()
        if self._publisher is not None:
            self._publisher.wait_for_all_acked(Duration(seconds=_FAREWELL))
            self._node.destroy_publisher(self._publisher)

    def _run(self) -> None:
        while not self._stop.wait(_PERIOD):
            self._drain()

    def _drain(self) -> None:
        lines = [self._encoder.line(self._entries.popleft()) for _ in range(len(self._entries))]
        if lines:
            self._write("".join(lines))

    def _write(self, text: str) -> None:
        if self._publisher is not None:
            self._publisher.publish(String(data=text))
        if self._file is None:
            return
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            self._log.error(f"the recording ends here: {error}")
            self._file = None


def _opened(path: Path) -> IO[str]:
    """The file, new or at the end of another recording; nobody else's as long as it is open."""
    with ExitStack() as on_refusal:
        try:
            file = on_refusal.enter_context(path.open("a", encoding="utf-8"))
            _lock(file, path)
            if path.stat().st_size:
                with path.open(encoding="utf-8", errors="replace") as present:
                    if FORMAT not in present.readline():
                        raise InputError(f"record: '{path}' exists and is no recording: it is left alone")
                _cut_off(path)
        except OSError as error:
            raise InputError(f"record: '{path}' cannot be written: {error.strerror}") from error
        on_refusal.pop_all()
    return file


def _lock(file: IO[str], path: Path) -> None:
    """Lines of two controllers among each other could not be told apart. Some file systems have no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"record: another controller writes into '{path}': give each a file of its own") from error
    except OSError:
        pass


def _cut_off(path: Path) -> None:
    """Take away a last line that was not written to its end: with a session behind it the whole file could not be read."""
    with path.open("r+b") as file:
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            whole = content.rfind(b"\n") + 1
        file.truncate(whole)
