"""Percentiles over a window, the network's time, and the age of the data."""

from __future__ import annotations

import itertools
import math
import time
from types import SimpleNamespace

import numpy as np
import pytest

from nnik_ros.nodes import statistics
from nnik_ros.nodes.statistics import DataStatistics, TimedNetwork, Window, spread_of
from nnik_ros.paths import model_file
from nnik_ros.robot import Robot


def test_percentiles_are_values_that_as_many_do_not_exceed() -> None:
    spread = spread_of(np.random.default_rng(0).permutation(np.arange(1, 1001)).astype(float))
    assert spread == (500.0, 900.0, 990.0, 999.0, 1000.0)
    assert spread_of(np.arange(1.0, 6.0)) == (3.0, 5.0, 5.0, 5.0, 5.0)
    assert spread_of(np.array([7.0])) == (7.0,) * 5
    assert all(map(math.isnan, spread_of(np.zeros(0))))


def test_a_window_keeps_the_newest_values_alone() -> None:
    window = Window(3)
    for value in (9.0, 1.0, math.nan, 2.0):
        window.record(value)
    assert sorted(window.values()) == [1.0, 2.0]


def test_the_time_of_the_networks_steps_is_summed_up_to_the_next_look(
    hand: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, now = TimedNetwork(model_file("allegro_right"), hand), itertools.count(10.0, 0.25)
    monkeypatch.setattr(statistics, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    assert math.isnan(network.take_spent())
    for steps in (5, 1):
        for _ in range(steps):
            network.step(hand.home, hand.kinematics.tip_position(hand.home))
        assert network.take_spent() == 0.25 * steps
    assert math.isnan(network.take_spent())


def test_the_data_of_the_last_five_seconds_are_kept() -> None:
    data = DataStatistics(1, 0.01)
    for value in range(700):
        data.record(result([0]), True, float(value), 0.0, [])
    assert sorted(data.inference.values()) == [*range(200, 700)]


def result(solver: list[int], command: bool = True) -> SimpleNamespace:
    return SimpleNamespace(solver=np.array(solver), command=np.zeros(16) if command else None)


def test_the_solvers_are_counted_for_each_tip_where_a_command_went_out() -> None:
    data = DataStatistics(4, 0.003)
    for went_out in (True, True, False):
        data.record(result([0, 1, 2, 3]), went_out, math.nan, 0.0, [])
    assert (data.solved == 2 * np.eye(4)).all()


def test_a_summary_is_of_the_moment_when_it_was_asked_for() -> None:
    data = DataStatistics(1, 0.003)
    data.record(result([0]), True, 0.001, 0.0, [])
    seen = data.summary()
    data.record(result([0]), True, 0.009, 0.0, [])
    assert seen.inference.max == 0.001 and seen.solved.tolist()[0][0] == 1
    assert data.summary().inference.max == 0.009 and data.summary().solved.tolist()[0][0] == 2


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> float:
    """The time on a wall clock that stands still."""
    monkeypatch.setattr(statistics, "time", SimpleNamespace(time=lambda: 1000.0))
    return 1000.0


def test_a_targets_age_ends_with_the_first_command_after_it(now: float) -> None:
    data, sent = DataStatistics(4, 0.003), now - 1.0
    data.record(result([0] * 4), False, math.nan, 0.0, [sent + 0.5, sent])  # taken in a tick whose command is not due
    assert math.isnan(data.target_age.spread().max)
    data.record(result([0] * 4), True, 0.001, sent, [])
    data.record(result([0] * 4), True, 0.001, sent, [])
    assert data.target_age.values() == pytest.approx([1.0])
    assert len(data.state_age.values()) == 2
    assert data.inference.spread().p50 == 0.001


def test_neither_a_time_nor_a_target_that_waits_when_the_loop_ends_counts_in_the_next_run() -> None:
    data = DataStatistics(4, 0.003)
    data.record(result([0] * 4), True, 0.001, time.time() - 1.0, [time.time() - 1.0])
    data.record(result([0] * 4), False, math.nan, 0.0, [time.time() - 9.0])
    data.forget()
    data.record(result([0] * 4), True, math.nan, math.nan, [])
    assert all(len(window.values()) == 0 for window in (data.inference, data.state_age, data.target_age))


def test_of_two_targets_that_one_command_answers_the_older_one_tells_the_age(now: float) -> None:
    data, sent = DataStatistics(4, 0.003), now - 5.0
    data.record(result([0] * 4), False, math.nan, 0.0, [sent])
    data.record(result([0] * 4), True, math.nan, 0.0, [sent + 4.0])
    assert data.target_age.values() == pytest.approx([5.0])


def test_a_target_that_is_not_followed_has_no_age() -> None:
    data = DataStatistics(4, 0.003)
    data.record(result([3] * 4, command=False), False, math.nan, 0.0, [time.time() - 9.0])
    data.record(result([3] * 4), True, math.nan, 0.0, [])
    assert len(data.target_age.values()) == 0
