from __future__ import annotations

import math
import threading

import pytest

from nnik_ros.nodes.control_loop import ControlLoop, LoopStatistics

PERIOD = 0.01


class FakeTime:
    """A clock that only sleeping and `spend` move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def run(ticks: int, costs: dict[int, float] | None = None, *, late: float = 0.0, fails: int | None = None):
    """Run a loop for a number of ticks; costs [s] by tick; `late`: every sleep overshoots. Returns (loop, begins, errors)."""
    time, begins, errors = FakeTime(), [], []

    def tick(now: float) -> None:
        begins.append(now)
        time.now += (costs or {}).get(len(begins) - 1, 0.001)
        if len(begins) == ticks:
            loop.request_stop()
        if len(begins) - 1 == fails:
            raise RuntimeError("broken")

    def sleep(seconds: float) -> None:
        time.sleep(seconds + late)

    loop = ControlLoop(PERIOD, tick, errors.append, clock=time.clock, sleep=sleep)
    loop.run()
    return loop, begins, errors


def test_deadlines_are_absolute_so_that_late_wake_ups_do_not_add_up() -> None:
    loop, begins, _ = run(101, late=0.002)
    assert begins[100] - begins[0] == pytest.approx(100 * PERIOD + 0.002, abs=1e-9)
    assert loop.statistics.missed == 0


def test_a_long_tick_misses_its_deadlines_and_the_next_one_is_on_the_grid_again() -> None:
    loop, begins, _ = run(4, {1: 0.025})
    assert [round((b - begins[0]) / PERIOD, 6) for b in begins] == [0, 1, 4, 5]
    assert loop.statistics.missed == 2


def test_a_tick_that_raises_is_reported_and_the_loop_goes_on() -> None:
    loop, begins, errors = run(5, fails=2)
    assert len(begins) == 5
    assert [str(error) for error in errors] == ["broken"]
    assert loop.statistics.errors == 1


@pytest.mark.parametrize("works", [True, False])
def test_what_is_set_up_first_is_told_when_it_fails_and_the_loop_runs_all_the_same(works: bool) -> None:
    time, done, errors = FakeTime(), [], []

    def setup() -> None:
        done.append("setup")
        if not works:
            raise RuntimeError("broken")

    def tick(now: float) -> None:
        done.append("tick")
        loop.request_stop()

    loop = ControlLoop(PERIOD, tick, errors.append, setup=setup, clock=time.clock, sleep=time.sleep)
    loop.run()
    assert done == ["setup", "tick"]
    assert [str(error) for error in errors] == ([] if works else ["broken"])


def test_between_two_ticks_the_time_is_told_that_the_first_has_left() -> None:
    time, told = FakeTime(), []

    def tick(now: float) -> None:
        time.now += 0.004

    def meanwhile(left: float) -> None:
        told.append(left)
        time.now += 0.002
        if len(told) == 3:
            loop.request_stop()

    loop = ControlLoop(PERIOD, tick, print, meanwhile=meanwhile, clock=time.clock, sleep=time.sleep)
    loop.run()
    assert told == pytest.approx([PERIOD - 0.004] * 3)
    assert time.slept == pytest.approx([PERIOD - 0.006] * 3)


def test_statistics_tell_period_jitter_latency_and_compute_of_the_window() -> None:
    loop, _, _ = run(1000, {500: 0.013}, late=0.0)
    summary = loop.statistics.summary()
    assert summary.ticks == 1000
    assert summary.period_mean == pytest.approx(PERIOD, rel=0.01)
    assert summary.period.p50 == pytest.approx(PERIOD)
    assert summary.compute.p50 == pytest.approx(0.001)
    assert summary.jitter.p99 == pytest.approx(0.0, abs=1e-9)
    assert summary.latency.p50 == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("tick", "largest"), [(490, 0.001), (510, 0.009)])
def test_the_window_keeps_five_seconds_and_forgets_what_is_older(tick: int, largest: float) -> None:
    loop, _, _ = run(1000, {tick: 0.009})
    assert loop.statistics.summary().compute.max == pytest.approx(largest)


def test_a_period_that_is_too_short_is_jitter_as_one_that_is_too_long() -> None:
    statistics = LoopStatistics(PERIOD)
    for period in (PERIOD, PERIOD - 0.002, PERIOD + 0.001):
        statistics.record(period, 0.0, 0.0)
    assert statistics.summary().jitter.max == pytest.approx(0.002)


def test_before_the_first_tick_there_are_no_numbers() -> None:
    summary = LoopStatistics(PERIOD).summary()
    assert summary.ticks == 0
    assert math.isnan(summary.period_mean)
    assert all(math.isnan(value) for value in (*summary.period, *summary.jitter, *summary.latency, *summary.compute))


def test_a_loop_that_was_stopped_has_no_rate_and_keeps_its_counts() -> None:
    ticked = threading.Event()
    loop = ControlLoop(0.001, lambda now: ticked.set(), lambda error: None)
    loop.start()
    assert ticked.wait(5.0)
    loop.stop()
    summary = loop.statistics.summary()
    assert summary.ticks > 0
    assert math.isnan(summary.period_mean)
    assert math.isnan(summary.compute.max)


def test_spinning_leaves_the_last_part_of_the_wait_to_the_busy_loop() -> None:
    time = FakeTime()

    def clock() -> float:
        time.now += 1e-6  # looking at the clock takes time
        return time.now

    begins: list[float] = []

    def tick(now: float) -> None:
        begins.append(now)
        if len(begins) == 3:
            loop.request_stop()

    loop = ControlLoop(PERIOD, tick, lambda error: None, spin=0.0005, clock=clock, sleep=time.sleep)
    loop.run()
    assert max(time.slept) <= PERIOD - 0.0005
    assert [b - begins[0] for b in begins] == pytest.approx([0.0, PERIOD, 2 * PERIOD], abs=1e-5)


def test_stop_ends_the_thread_and_a_second_start_ticks_again() -> None:
    ticked = threading.Event()
    loop = ControlLoop(0.001, lambda now: ticked.set(), lambda error: None)
    for _ in range(2):
        ticked.clear()
        loop.start()
        assert ticked.wait(5.0)
        loop.stop()
        assert "control_loop" not in [thread.name for thread in threading.enumerate()]
    loop.stop()
