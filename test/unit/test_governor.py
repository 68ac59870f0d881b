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


def test_its_own_running_point_as_a_goal_brings_it_to_rest() -> None:
    g = governor()
    run(g, [np.array([0.2, 0, 0])] * 50)
    for _ in range(100):
        g.advance(g.point)
    before = g.position
    assert np.array_equal(g.advance(g.point), before)
    assert 0.0 < before[0, 0] < 0.2
