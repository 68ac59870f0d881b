"""Percentiles over a window of the newest values, and what the control thread counts beside its own timing."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array
from nnik_ros.guard import Solver
from nnik_ros.kinematics import Kinematics
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.robot import Robot
from nnik_ros.states import TickResult

WINDOW = 5.0  # s; what the statistics look back on
_SHARES = (0.5, 0.9, 0.99, 0.999, 1.0)


class Spread(NamedTuple):
    """Percentiles, nan where there are no values."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float


class Window:
    """The newest values in a ring; written by one thread, read by any."""

    def __init__(self, size: int) -> None:
        self._ring: Array = np.full(size, np.nan)
        self._next = 0

    def record(self, value: float) -> None:
        """nan is no value, but takes the place of the oldest one."""
        self._ring[self._next % len(self._ring)] = value
        self._next += 1

    def forget(self) -> None:
        """As before the first value."""
        self._ring[:] = np.nan

    def values(self) -> Array:
        """Those that are finite, in no order."""
        found: Array = self._ring[np.isfinite(self._ring)]
        return found

    def spread(self) -> Spread:
        return spread_of(self.values())


def spread_of(values: Array) -> Spread:
    """Each percentile is one of the values: the smallest that as many are not larger than."""
    if len(values) == 0:
        return Spread(*[math.nan] * len(_SHARES))
    ordered = np.sort(values)  # once, and without the interpreter's lock, for all of them
    return Spread(*(float(ordered[math.ceil(share * len(ordered)) - 1]) for share in _SHARES))


class TimedNetwork(OnnxPolicy):
    """A network that sums up how long its steps take, for the core reads no clock."""

    def __init__(self, path: Path, robot: Robot, kinematics: Kinematics | None = None) -> None:
        super().__init__(path, robot, kinematics)
        self._spent = 0.0

    def step(self, q: Array, target: Array) -> Array:
        """See `OnnxPolicy.step`."""
        begin = time.perf_counter()
        result = super().step(q, target)
        self._spent += time.perf_counter() - begin
        return result

    def take_spent(self) -> float:
        """Time spent in steps since the last call [s], nan without any."""
        spent, self._spent = self._spent, 0.0
        return spent or math.nan


class DataSummary(NamedTuple):
    """A moment of `DataStatistics`, which says what these are. Times are in s, nan before there are any."""

    inference: Spread
    state_age: Spread
    target_age: Spread
    solved: NDArray[np.int64]


class DataStatistics:
    """Which solver acted, how long the network took, and how old the data were when the commands made from them went out.

    inference [s]: all steps of the network in a tick; state_age [s]: of the newest joint states at each command; target_age
    [s]: of a new target at the first command that could answer it. The ages count from when the middleware of the sender sent
    them, on the wall clock: between machines, they are as good as the clocks agree.
    """

    def __init__(self, tips: int, period: float) -> None:
        size = round(WINDOW / period)
        self.inference, self.state_age, self.target_age = Window(size), Window(size), Window(size)
        self.solved: NDArray[np.int64] = np.zeros((tips, len(Solver)), dtype=np.int64)
        self._tips = np.arange(tips)
        self._waiting = math.nan  # when the oldest target that has no answer yet was sent

    def summary(self) -> DataSummary:
        return DataSummary(
            self.inference.spread(), self.state_age.spread(), self.target_age.spread(), self.solved.copy()
        )

    def forget(self) -> None:
        """There will be no ticks for now: the times are of the past, and no target waits any more."""
        for window in (self.inference, self.state_age, self.target_age):
            window.forget()
        self._waiting = math.nan

    def record(
        self, result: TickResult, went_out: bool, inference: float, state_sent: float, targets_sent: Sequence[float]
    ) -> None:
        """One tick. went_out: its command; inference [s], nan where there was none; when the newest joint states, and the
        targets that this tick took, were sent [s, wall clock]."""
        self._waiting = min([self._waiting, *targets_sent], key=lambda sent: math.inf if math.isnan(sent) else sent)
        now = time.time() if went_out else math.nan
        self.inference.record(inference)
        self.state_age.record(now - state_sent)
        self.target_age.record(now - self._waiting)
        if went_out:
            self.solved[self._tips, result.solver] += 1
        if went_out or result.command is None:
            self._waiting = math.nan
