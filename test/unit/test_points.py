"""The arithmetic of points agrees with numpy, also at bounds and where a number is missing."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.kernels.points import angles, clip, distances, drawn_in, largest, largest_gap, length, within


@pytest.mark.parametrize(("value", "kept"), [(-3.0, -1.0), (-1.0, -1.0), (0.5, 0.5), (2.0, 2.0), (np.inf, 2.0)])
def test_a_value_is_kept_between_its_bounds_and_no_number_stays_none(value: float, kept: float) -> None:
    assert clip(value, -1.0, 2.0) == kept
    assert np.isnan(clip(np.nan, -1.0, 2.0))


def test_single_precision_values_are_kept_between_their_own_bounds_in_double_precision() -> None:
    low, high = np.array([-0.1, 0.3]), np.array([0.1, 0.7])
    values = np.array([[-0.1, 0.7], [0.05, 0.5], [-9.0, 9.0]], dtype=np.float32)
    assert float(values[0, 0]) < low[0], "single precision rounds this bound outwards"
    kept = within(values, low, high)
    np.testing.assert_array_equal(kept, np.clip(values.astype(float), low, high))
    assert np.isnan(within(np.full((1, 2), np.nan, dtype=np.float32), low, high)).all()


def test_lengths_distances_and_magnitudes_are_those_of_numpy(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 20, 3))
    np.testing.assert_allclose(distances(a, b), np.linalg.norm(a - b, axis=-1), rtol=1e-14)
    for x, y in zip(a, b, strict=True):
        assert length(x) == pytest.approx(np.linalg.norm(x), rel=1e-14)
        assert largest(x) == np.abs(x).max()
        assert largest_gap(x, y) == np.abs(x - y).max()
    assert largest(np.empty(0)) == 0.0
    a[3, 1] = np.nan
    assert np.flatnonzero(np.isnan(distances(a, b))).tolist() == [3]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 2])
def test_a_gap_to_what_is_not_finite_is_infinite(bad: float, place: int) -> None:
    a = np.array([1.0, 2.0, 3.0])
    a[place] = bad
    assert largest_gap(a, np.ones(3)) == largest_gap(np.ones(3), a) == np.inf


def test_angles_between_unit_vectors_are_exact_also_close_to_none_and_to_half_a_turn(rng: np.random.Generator) -> None:
    turns = np.array([0.0, 1e-9, 0.3, np.pi / 2, 2.0, np.pi - 1e-9, np.pi])
    a = rng.normal(size=(len(turns), 3))
    across = np.cross(a, rng.normal(size=a.shape))
    a, across = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, across))
    b = np.cos(turns)[:, None] * a + np.sin(turns)[:, None] * across
    np.testing.assert_allclose(angles(a, b), turns, rtol=0, atol=1e-15 * 10)
    b[2] = np.nan
    assert np.flatnonzero(np.isnan(angles(a, b))).tolist() == [2]


def test_points_beyond_their_distance_are_drawn_in_along_their_direction_and_no_others(
    rng: np.random.Generator,
) -> None:
    centre, away = rng.normal(size=(2, 4, 3))
    away /= np.linalg.norm(away, axis=-1, keepdims=True)
    far = np.array([0.5, 1.0, 1.5, np.nan])[:, None]
    points = centre + far * away
    before = points.copy()
    drawn = drawn_in(points, centre, np.array([1.0, 2.0, 1.0, 1.0]))
    np.testing.assert_array_equal(points, before)
    np.testing.assert_allclose(drawn, centre + np.array([0.5, 1.0, 1.0, np.nan])[:, None] * away, atol=1e-15 * 4)
