"""From start to exit code: one node, one process."""

from __future__ import annotations

import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import rclpy
from rclpy import utilities
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from nnik_ros.errors import NnikError

_LOOK = 0.2  # s between two looks for a signal
_AFTER_ERROR = 0.01  # s; an error that recurs must not take the processor


class Closeable(Protocol):
    """A node with an orderly end."""

    def close(self) -> None: ...

    def destroy_node(self) -> Any: ...


def run_node(make: Callable[[], Closeable]) -> int:
    """Run the node until SIGINT, SIGTERM, or SIGHUP, which says that its terminal is gone. Returns the exit code: 0, or 1 when
    it could not start.

    The signals end the loop here instead of the ROS context, so that the node can still publish and log while it closes;
    further ones change nothing.
    """
    stop: SimpleQueue[BaseException | None] = SimpleQueue()  # an Event could deadlock with its own signal handler
    on_signals(lambda *_: stop.put(None))
    try:
        return _run(make, stop)
    finally:
        shut_down()
        ignore_signals()


def shut_down() -> None:
    """End the context of rclpy, if there is one. The handlers of signals stay: the `rclpy.try_shutdown` of Kilted sets the
    default ones for a moment, also where rclpy installed none, and a second signal in it kills the process."""
    utilities.try_shutdown()


def _run(make: Callable[[], Closeable], stop: SimpleQueue[BaseException | None]) -> int:
    """Until something is put into the queue."""
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # a parameter file that is no YAML, an unknown --ros-args flag
        print(error, file=sys.stderr)
        return 1
    try:
        node = make()
    except NnikError as error:
        print(error, file=sys.stderr)
        return 1
    executor = _Executor(node, stop)
    try:
        executor.start()
        failure = _first(stop)
        executor.stop()
        try:
            node.close()
        finally:
            if failure is not None:
                raise failure
    finally:
        node.destroy_node()
    return 0


def _first(stop: SimpleQueue[BaseException | None]) -> BaseException | None:
    """Of what is put into the queue. Of several signals at once the last may interrupt another thread than this one, and Python
    runs its handler only when this one goes on: without looking now and then, all of them would be lost."""
    while True:
        try:
            return stop.get(timeout=_LOOK)
        except Empty:
            pass


class Stop:
    """Whether a signal has asked for the end. No Event: a second signal would wait within `set` for the lock of the first."""

    def __init__(self) -> None:
        self._asked = False

    def set(self, *_: object) -> None:
        """A handler for `on_signals`."""
        self._asked = True

    def is_set(self) -> bool:
        return self._asked


def on_signals(handler: Any) -> None:
    """Handle the signals that ask a process to end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup asks to outlive the terminal
            signal.signal(number, handler)


def ignore_signals() -> None:
    """At the end of all: the interpreter takes a handler away before its own end, and a further signal would kill it."""
    tell, sys.unraisablehook = sys.unraisablehook, lambda _: None
    for _ in range(2):  # Python tells of a signal that came just before the first as of an error that nobody catches
        on_signals(signal.SIG_IGN)
    sys.unraisablehook = tell


class _Executor(threading.Thread):
    """Serves the node in a thread that wakes up only when there is something to do: a main thread that served it would have
    to look for signals, and would take the interpreter from a control loop each time. A callback that raises is reported, and
    the node goes on: one bad request must not take the control of a hand away."""

    def __init__(self, node: Any, ended: SimpleQueue[BaseException | None]) -> None:
        super().__init__(name="executor", daemon=True)
        self._node, self._executor, self._ended = node, SingleThreadedExecutor(), ended
        self._executor.add_node(node)
        self._go_on = True

    def run(self) -> None:
        try:
            while self._go_on and rclpy.ok():
                self._spin_once()
        except BaseException as error:
            self._ended.put(error)
        else:
            self._ended.put(None)

    def _spin_once(self) -> None:
        try:
            self._executor.spin_once()
        except Exception:
            if rclpy.ok():
                self._node.get_logger().error(
                    f"internal error in a callback, the node goes on:\n{traceback.format_exc()}"
                )
                time.sleep(_AFTER_ERROR)

    def stop(self) -> None:
        """End after the running callback."""
        self._go_on = False
        self._executor.create_task(lambda: None)  # a mere wake-up would be slept through
        self.join()
        self._executor.shutdown()
