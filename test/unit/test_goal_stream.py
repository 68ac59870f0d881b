from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.goal_stream import GoalStream
from nnik_ros.governor import Governor

T = 0.003


def run(goals: np.ndarray) -> np.ndarray:
    stream = GoalStream(1, T)
    return np.array([stream.advance(goal[None])[0] for goal in goals])


def line(ticks: int) -> np.ndarray:
    return np.arange(ticks)[:, None] * np.array([3e-4, -1e-4, 2e-4])


def test_goals_of_every_period_are_passed_on_as_they_are() -> None:
    np.testing.assert_array_equal(run(line(50)), line(50))


@pytest.mark.parametrize("every", [3, 7, 20])
def test_goals_of_a_slower_publisher_become_an_even_motion_one_interval_late(every: int) -> None:
    ticks = 40 * every
    seen = line(ticks)[np.arange(ticks) // every * every]
    path = run(seen)[3 * every :]
    np.testing.assert_allclose(np.diff(path, axis=0), np.diff(line(len(path)), axis=0), rtol=0, atol=1e-12)
    late = np.linalg.norm(path - line(ticks)[3 * every :], axis=-1) / np.linalg.norm(line(2)[1])
    assert late.max() <= every


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slower_publisher_along_one_axis_makes_no_steps_either(axis: int) -> None:
    path = run((np.arange(280)[:, None] // 7 * 7) * np.eye(3)[axis])[21:]
    np.testing.assert_allclose(np.diff(path, axis=0), np.tile(np.eye(3)[axis], (258, 1)), rtol=0, atol=1e-9)


def test_a_publisher_with_jitter_makes_no_stops(rng: np.random.Generator) -> None:
    arrivals = np.cumsum(rng.integers(6, 9, 100))
    ticks = np.arange(arrivals[0], arrivals[-1])
    seen = line(1000)[arrivals[np.searchsorted(arrivals, ticks, side="right") - 1]]
    speed = np.linalg.norm(np.diff(run(seen)[100:], axis=0), axis=-1) / np.linalg.norm(line(2)[1])
    assert speed.min() > 0.4
    assert speed.max() < 1.5


def test_a_stream_that_gets_faster_is_followed_one_of_its_shorter_intervals_late_in_the_end() -> None:
    arrivals = np.cumsum([*[30] * 5, *[5] * 300])
    ticks = np.arange(arrivals[0], arrivals[-1])
    seen = line(len(ticks) + 100)[arrivals[np.searchsorted(arrivals, ticks, side="right") - 1]]
    late = (line(len(ticks) + 100)[ticks] - run(seen))[:, 0] / line(2)[1, 0]  # ticks
    assert late[100:150].max() > 20
    assert late[-100:].max() < 6


@pytest.mark.parametrize(("every", "streams"), [(0.114, True), (0.126, False)])
def test_goals_less_than_twelve_hundredths_of_a_second_apart_are_a_stream_and_others_are_there_at_once(
    every: float, streams: bool
) -> None:
    ticks = np.arange(500)
    seen = line(600)[ticks // round(every / T) * round(every / T)]
    assert (np.abs(run(seen) - seen).max() > 0.0) == streams


def test_it_stops_exactly_at_the_last_goal_and_never_beyond() -> None:
    seen = line(100)[np.minimum(np.arange(200) // 10 * 10, 90)]
    path = run(seen)
    assert (path[:, 0] <= seen[:, 0] + 1e-15).all()
    np.testing.assert_array_equal(path[110:], seen[110:])


def test_a_single_goal_after_a_rest_is_there_at_once_and_none_stays_none() -> None:
    nowhere, here, there = np.full(3, np.nan), np.zeros(3), np.ones(3)
    path = run(np.array([nowhere] * 3 + [here] * 100 + [there] * 5 + [nowhere] * 2 + [here]))
    assert np.isnan(path[:3]).all()
    np.testing.assert_array_equal(path[103:108], [there] * 5)
    assert np.isnan(path[108:110]).all()
    np.testing.assert_array_equal(path[110], here)


def test_a_governed_reference_of_a_slow_publisher_moves_evenly() -> None:
    """A publisher of 48 Hz: without the stream the reference would start and stop with every message."""
    governor = Governor(np.array([0.4]), np.array([4.0]), np.array([400.0]), T)
    governor.reset(np.zeros((1, 3)))
    stream, ticks = GoalStream(1, T), 1000
    seen = line(ticks)[np.arange(ticks) // 7 * 7]
    path = np.array([governor.advance(stream.advance(goal[None]))[0] for goal in seen])[300:]
    speed = np.linalg.norm(np.diff(path, axis=0), axis=-1) / np.linalg.norm(line(2)[1])
    assert speed.min() > 0.99
    assert speed.max() < 1.01
