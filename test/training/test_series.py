"""Sums of sines against what they are the sum of."""

from __future__ import annotations

import numpy as np

from nnik_ros.training.series import series_of, side_by_side


def test_the_series_of_a_planar_arm_is_its_closed_form() -> None:
    def tip(q):
        return np.stack([np.cos(q[:, 0]) + 2.0 * np.cos(q.sum(1)), np.sin(q[:, 0]) + 2.0 * np.sin(q.sum(1))], axis=1)

    series = series_of(tip, np.array([0, 1]), 2)
    assert series.weight.shape == (4, 2)  # sine and cosine of q0 and of q0 + q1, and nothing else
    q = np.random.default_rng(0).uniform(-9.0, 9.0, (50, 2))
    np.testing.assert_allclose(series.at(q), tip(q), rtol=0, atol=1e-14)


def test_series_side_by_side_keep_their_values_and_share_their_terms() -> None:
    first = series_of(np.sin, np.array([0]), 1)
    second = series_of(lambda q: 3.0 * np.sin(q) + np.cos(q), np.array([0]), 1)
    both = side_by_side([first, second])
    np.testing.assert_allclose(
        both.at(np.array([0.5])), [np.sin(0.5), 3.0 * np.sin(0.5) + np.cos(0.5)], rtol=0, atol=1e-15
    )
    assert both.weight.shape == (2, 2)
