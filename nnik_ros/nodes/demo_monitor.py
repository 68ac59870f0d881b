"""What the demo hears from the controller, as one line of text."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from nnik_ros.nodes.inbox import newest
from nnik_ros.nodes.status_reader import NO_LOOP, HandStatus, LoopStatus, no_status, read_loop, read_status
from nnik_ros.robot import Robot


class LoopRecord(NamedTuple):
    """Rate [Hz] and missed periods between the first and the last diagnostics that were heard."""

    rate: float
    missed: int


class Monitor:
    """Listens to `status` and `diagnostics`."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._tips = robot.tip_names
        self.status: HandStatus = no_status(self._tips)
        self.loop: LoopStatus = NO_LOOP
        self._first: tuple[float, LoopStatus] | None = None
        self._last: tuple[float, LoopStatus] | None = None
        node.create_subscription(DiagnosticStatus, "status", self._take_status, newest(5))
        node.create_subscription(DiagnosticArray, "diagnostics", self._take_diagnostics, newest(5))

    def begin(self) -> None:
        """Count from the next diagnostics on."""
        self._first = self._last = None

    def record(self) -> LoopRecord:
        if self._first is None or self._last is None or self._last[0] <= self._first[0]:
            return LoopRecord(math.nan, 0)
        (begin, first), (end, last) = self._first, self._last
        return LoopRecord((last.ticks - first.ticks) / (end - begin), last.missed - first.missed)

    def line(self) -> str:
        """State, rate, tip errors, period and latency of the control loop."""
        status, loop = self.status, self.loop
        tips = "  ".join(f"{tip.name} {_text(1e3 * tip.measured_error, 2)}" for tip in status.tips)
        times = "  ".join(
            f"{what} {_text(1e3 * spread.p50, 2)}/{_text(1e3 * spread.p99, 2)}"
            for what, spread in (("period", loop.period), ("latency", loop.latency), ("compute", loop.compute))
        )
        return f"{status.state:<13} {_text(loop.rate, 1)} Hz | {tips} mm | p50/p99 ms: {times} | missed {loop.missed}"

    def _take_status(self, message: DiagnosticStatus) -> None:
        self.status = read_status(message, self._tips)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        loop = read_loop(message)
        if loop is None:
            return
        self.loop = loop
        heard = (message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec, loop)
        self._first = self._first or heard
        self._last = heard


class LiveLine:
    """One line that is rewritten on a terminal, and repeated now and then elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._period = 0.2 if self._terminal else 5.0
        self._next = 0.0

    def show(self, now: float, text: str) -> None:
        if now >= self._next:
            self._next = now + self._period
            print(f"\r\x1b[2K{text}" if self._terminal else text, end="" if self._terminal else "\n", flush=True)

    def end(self) -> None:
        if self._terminal:
            print()


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
