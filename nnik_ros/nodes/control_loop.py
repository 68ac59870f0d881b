"""A periodic thread on absolute deadlines of the monotonic clock, with its own statistics."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnik_ros.nodes.realtime import sharpen_timer
from nnik_ros.nodes.statistics import WINDOW, Spread, Window, spread_of


class LoopSummary(NamedTuple):
    """A window of ticks. Times are in s; nan before there are any.

    period: between the begins of two ticks; jitter: how far that was from the wanted one; latency: of a tick after its
    deadline; compute: spent in a tick.
    """

    ticks: int  # since the start
    missed: int  # deadlines passed over, since the start
    errors: int  # what raised, since the start: ticks, what is done after them, and the setup
    period_mean: float
    period: Spread
    jitter: Spread
    latency: Spread
    compute: Spread


class LoopStatistics:
    """The last ticks in ring buffers; written by the loop, read by anybody."""

    def __init__(self, period: float) -> None:
        self.ticks = self.missed = self.errors = 0
        self._period = period
        size = round(WINDOW / period)
        self._periods, self._latencies, self._computes = Window(size), Window(size), Window(size)

    def record(self, period: float, latency: float, compute: float) -> None:
        """One tick: time since the last one (nan at the first), after its deadline, and spent in it [s]."""
        self._periods.record(period)
        self._latencies.record(latency)
        self._computes.record(compute)
        self.ticks += 1

    def forget(self) -> None:
        """The loop has ended, so it has no rate; the counts go on when it is started again."""
        for window in (self._periods, self._latencies, self._computes):
            window.forget()

    def summary(self) -> LoopSummary:
        periods = self._periods.values()
        mean = float(periods.mean()) if len(periods) else math.nan
        jitter = np.abs(periods - self._period)
        return LoopSummary(
            self.ticks, self.missed, self.errors, mean, spread_of(periods), spread_of(jitter), self._latencies.spread(),
            self._computes.spread(),
        )  # fmt: skip


class ControlLoop:
    """Calls `tick(now)` once per period in a thread of its own until `stop`.

    A tick that ends after its next deadline is a miss: the missed deadlines are counted and passed over, never made up for.
    Whatever raises is counted and reported, and the loop goes on. spin [s]: the last part of each wait is spent in a busy
    loop, which buys precision for processor time. `setup` runs first in the thread; `meanwhile(left)` after every tick, with
    the time [s] that is left until the next one.
    """

    def __init__(
        self,
        period: float,
        tick: Callable[[float], None],
        on_error: Callable[[Exception], None],
        *,
        spin: float = 0.0,
        setup: Callable[[], None] = lambda: None,
        meanwhile: Callable[[float], None] = lambda left: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.period = period
        self.statistics = LoopStatistics(period)
        self._tick, self._on_error, self._setup, self._meanwhile = tick, on_error, setup, meanwhile
        self._spin, self._clock, self._sleep = spin, clock, sleep
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop.clear()
        thread = threading.Thread(target=self._run_on_time, name="control_loop", daemon=True)
        thread.start()  # raises where the machine has no more threads
        self._thread = thread

    def stop(self) -> None:
        """Ask the thread to end and wait for it; harmless when it does not run."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self.statistics.forget()

    def request_stop(self) -> None:
        """End after the running tick, without waiting."""
        self._stop.set()

    def run(self) -> None:
        """The body of the thread."""
        self._guarded(self._setup)
        deadline = self._clock()
        last = math.nan
        while not self._stop.is_set():
            begin = self._clock()
            self._guarded(self._tick, begin)
            end = self._clock()
            self.statistics.record(begin - last, begin - deadline, end - begin)
            last = begin
            deadline = self._next_deadline(deadline, end)
            self._guarded(self._meanwhile, deadline - end)
            self._wait_until(deadline)

    def _run_on_time(self) -> None:
        sharpen_timer()
        self.run()

    def _guarded(self, call: Callable[..., None], *arguments: float) -> None:
        try:
            call(*arguments)
        except Exception as error:  # whatever it was, the last command holds and the next tick gets its chance
            self.statistics.errors += 1
            self._on_error(error)

    def _next_deadline(self, deadline: float, now: float) -> float:
        deadline += self.period
        if now <= deadline:
            return deadline
        missed = int((now - deadline) / self.period) + 1
        self.statistics.missed += missed
        return deadline + missed * self.period

    def _wait_until(self, deadline: float) -> None:
        rest = deadline - self._clock() - self._spin
        if rest > 0.0:
            self._sleep(rest)
        while self._spin > 0.0 and self._clock() < deadline:
            pass
