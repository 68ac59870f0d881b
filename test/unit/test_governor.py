from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nnik_ros.governor import Governor

T, V, A, J = 0.003, 0.4, 4.0, 400.0


def governor() -> Governor:
    made = Governor(np.array([V]), np.array([A]), np.array([J]), T)
    made.reset(np.zeros((1, 3)))
    return made


def run(g: Governor, goals: list[np.ndarray]) -> np.ndarray:
    return np.array([g.advance(goal[None])[0] for goal in goals])


def norms(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x, axis=-1)


points = st.tuples(*[st.floats(-0.2, 0.2) for _ in range(3)])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(points, st.integers(1, 80)), min_size=1, max_size=6))
def test_no_sequence_of_goals_breaks_the_velocity_acceleration_or_jerk_limit(script) -> None:
    path = run(governor(), [np.array(p) for p, ticks in script for _ in range(ticks)])
    path = np.concatenate([np.zeros((4, 3)), path])
    assert norms(np.diff(path, axis=0)).max() / T <= V * (1 + 1e-9)
    assert norms(np.diff(path, 2, axis=0)).max() / T**2 <= A * (1 + 1e-6)
    assert norms(np.diff(path, 3, axis=0)).max() / T**3 <= J * (1 + 1e-6)


def test_a_goal_is_approached_on_a_straight_line_and_met_exactly_without_overshoot() -> None:
    goal = np.array([0.06, -0.03, 0.05])
    path = run(governor(), [goal] * 400)
    along = path @ goal / (goal @ goal)
    assert norms(path - along[:, None] * goal).max() < 1e-12
    assert np.all(np.diff(along) > -1e-12)
    assert along.max() <= 1 + 1e-9
    np.testing.assert_allclose(path[-1], goal, atol=1e-9)


def test_half_the_speed_takes_half_the_velocity() -> None:
    g = governor()
    path = np.array([g.advance(np.array([[0.2, 0, 0]]), speed=0.5)[0] for _ in range(300)])
    assert np.isclose(norms(np.diff(path, axis=0)).max() / T, V / 2)


def test_without_a_goal_it_comes_to_rest() -> None:
    g = governor()
    run(g, [np.array([0.2, 0, 0])] * 50)
    nowhere = np.full((1, 3), np.nan)
    before = [g.advance(nowhere) for _ in range(100)][-1]
    assert np.array_equal(g.advance(nowhere), before)
    assert 0.0 < before[0, 0] < 0.2


def test_a_reference_that_is_reset_in_motion_rests_where_it_is_reset_to_and_the_others_go_on() -> None:
    g = Governor(np.full(2, V), np.full(2, A), np.full(2, J), T)
    g.reset(np.zeros((2, 3)))
    goal, there = np.array([[0.2, 0.0, 0.0]] * 2), np.array([[0.0, 0.1, 0.0]] * 2)
    for _ in range(40):
        before = g.advance(goal)
    g.reset(there, np.array([True, False]))
    for _ in range(20):
        after = g.advance(np.array([[np.nan] * 3, goal[1]]))
        np.testing.assert_allclose(after[0], there[0], rtol=0, atol=1e-15)
    assert after[1, 0] > before[1, 0] + 10 * V * T


def circle(radius: float, period: float, ticks: int) -> np.ndarray:
    angle = 2 * np.pi * T / period * np.arange(ticks)
    return radius * np.stack([np.cos(angle), np.sin(angle), 0.0 * angle], axis=-1)


def test_a_goal_on_a_circle_within_the_limits_is_followed_without_lag_and_without_noise() -> None:
    goals = circle(0.02, 1.0, 1000)  # 0.13 m/s, 0.8 m/s^2
    g = governor()
    path = run(g, list(goals))
    window = round(2 * A / (J * T) + 0.5)  # of the moving average, the one thing that it lags by
    average = np.mean([goals[400 - k : 1000 - k] for k in range(window)], axis=0)
    np.testing.assert_allclose(path[400:], average, rtol=0, atol=1e-9)
    jerk = norms(np.diff(path[400:], 3, axis=0)) / norms(np.diff(goals[400:], 3, axis=0))
    assert jerk.max() < 1.01


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.001, 0.1), st.floats(0.3, 3.0))
def test_neither_moving_goals_nor_a_sudden_stop_of_them_breaks_a_limit(stop, radius, period) -> None:
    goals = circle(radius, period, 1000)
    goals[stop:] = goals[min(stop, 999)]
    path = np.concatenate([np.zeros((4, 3)), run(governor(), list(goals))])
    assert norms(np.diff(path, axis=0)).max() / T <= V * (1 + 1e-9)
    assert norms(np.diff(path, 2, axis=0)).max() / T**2 <= A * (1 + 1e-6)
    assert norms(np.diff(path, 3, axis=0)).max() / T**3 <= J * (1 + 1e-6)
