"""Steps with the same tip motion: which one is taken, and what counts as the tip motion of a step."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.kernels.free_degree import _shape, _task

DAMPING = 1e-14  # m^2/rad^2; next to none


@pytest.mark.parametrize(
    ("gap", "share"), [(0.0, 1.0), (0.9, 1.0), (1.25, 0.75), (1.5, 0.5), (1.75, 0.25), (2.1, 0.0), (9.0, 0.0)]
)
@pytest.mark.parametrize("rounding", [0.0, 0.003])
def test_a_step_that_goes_all_but_the_way_counts_as_meant_to_go_it_and_one_that_is_off_by_twice_as_much_as_it_is(
    gap: float, share: float, rounding: float, rng: np.random.Generator
) -> None:
    J, to_go, aside = rng.normal(size=(3, 4)), np.array([0.3, 0.0, -0.4]), np.array([0.8, 0.0, 0.6])
    off = gap * (0.05 * 0.5 + rounding)  # of a way of 0.5 m
    for direction in (aside, -0.5 * to_go / 0.25):
        motion, task = to_go + off * direction, np.empty(3)
        moved = _task(J, np.linalg.pinv(J) @ motion, to_go, 0.05, rounding, task)
        np.testing.assert_allclose(task, motion + share * (to_go - motion), atol=1e-12)
        assert moved == pytest.approx(min(0.5, float(np.linalg.norm(motion))))


def on_the_line(J: np.ndarray, solved: np.ndarray, pull: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The point next to the pull on the line of all steps (4,) with the tip motion of one inside the bounds, within them."""
    along = np.linalg.svd(J)[2][-1]
    ends = np.sort([(low - solved) / along, (high - solved) / along], axis=0)
    return solved + along * np.clip(along @ (pull - solved), ends[0].max(), ends[1].min())


def test_of_all_steps_with_one_tip_motion_that_keep_the_bounds_the_one_closest_to_the_pull_is_taken(rng) -> None:
    bounded = 0
    for _ in range(500):
        J, solved = rng.normal(size=(3, 4)), rng.uniform(-0.1, 0.1, 4)
        low, high = solved - rng.uniform(0.01, 0.1, 4), solved + rng.uniform(0.01, 0.1, 4)
        pull = solved + rng.normal(size=4) * rng.choice([0.005, 0.05, 0.5])
        step = pull.copy()
        _shape(J, J @ solved, DAMPING, solved, low, high, step)
        np.testing.assert_allclose(step, on_the_line(J, solved, pull, low, high), atol=1e-6)
        bounded += np.any((step < low + 1e-9) | (step > high - 1e-9))
    assert 100 < bounded < 400


def test_a_step_that_is_beyond_a_bound_already_keeps_its_tip_motion_and_goes_no_farther_beyond(rng) -> None:
    moved = 0
    for _ in range(500):
        J, solved = rng.normal(size=(3, 4)), rng.uniform(-0.1, 0.1, 4)
        low, high = solved - rng.uniform(0.01, 0.1, 4), solved + rng.uniform(0.01, 0.1, 4)
        beyond = rng.integers(4, size=2)
        low[beyond[0]], high[beyond[1]] = solved[beyond[0]] + 0.01, solved[beyond[1]] - 0.01
        if beyond[0] == beyond[1]:
            continue
        step = solved + 0.1 * rng.normal(size=4)
        _shape(J, J @ solved, DAMPING, solved, low, high, step)
        np.testing.assert_allclose(J @ step, J @ solved, atol=1e-6)
        assert np.all(step >= np.minimum(low, solved) - 1e-9)
        assert np.all(step <= np.maximum(high, solved) + 1e-9)
        moved += np.abs(step - solved).max() > 1e-6
    assert moved > 50
