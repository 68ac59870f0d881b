"""What keeps pairs of capsules apart, piece by piece: who closes too fast, who slides, who slows down with whom."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.kernels.capsules import slid, slow_together, too_fast

T, BRAKING = 0.003, 2.0  # s, m/s^2


def braking_way(way: float) -> float:
    """Of what closes by a way [m] in this period, and brakes by BRAKING in each one after it [m]."""
    total, speed = 0.0, way / T
    while speed > 0.0:
        total, speed = total + speed * T, speed - BRAKING * T
    return total


@pytest.mark.parametrize("share", [0.02, 1.0])
@pytest.mark.parametrize("left", [1e-6, 1e-4, 0.003, 0.05])
def test_a_pair_may_close_by_a_share_of_what_is_left_and_no_faster_than_it_can_stop(share: float, left: float) -> None:
    margin = 0.002
    now, after = (
        np.array([0.5, margin + left, margin, margin - 0.001]),
        np.array([0.5, margin - left, margin, margin - 0.0012]),
    )
    pairs, allowed, closing = too_fast(now, after, margin, share, BRAKING, T)
    assert pairs.tolist() == [1, 3]
    assert allowed[-1] == 0.0 and closing[-1] == pytest.approx(0.0002)
    most = allowed[0]
    assert closing[0] == pytest.approx(2.0 * left)
    assert most <= share * left * (1 + 1e-12)
    assert braking_way(most) <= left * (1 + 1e-9)
    assert most == pytest.approx(share * left) or braking_way(most * (1 + 1e-6)) > left
    for part, told in ((0.999, 1), (1.001, 2)):
        after[1] = now[1] - part * most
        assert len(too_fast(now, after, margin, share, BRAKING, T)[0]) == told


def test_a_slide_gives_up_what_closes_and_nothing_else(rng: np.random.Generator) -> None:
    bound, step = np.full(5, 9.0), rng.normal(size=5)
    gradient = rng.normal(size=(1, 5))
    towards = -np.sign(gradient @ step) * gradient  # the step closes this pair
    closes = -(towards @ step)
    for most in (0.0, 0.3 * closes[0]):
        result = slid(step, -bound, bound, towards, np.array([most]), 4)
        np.testing.assert_allclose(-(towards @ result), most, atol=1e-12)
        lost = result - step
        np.testing.assert_allclose(lost, towards[0] * (lost @ towards[0]) / (towards[0] @ towards[0]), atol=1e-12)
    np.testing.assert_array_equal(slid(step, -bound, bound, -towards, np.zeros(1), 4), step)
    np.testing.assert_array_equal(slid(step, -bound, bound, towards, closes * 1.001, 4), step)


def test_a_slide_past_several_is_one_that_the_joints_can_make(rng: np.random.Generator) -> None:
    for _ in range(20):
        step, gradients = rng.normal(size=6), rng.normal(size=(3, 6))
        slowest, fastest, most = -rng.uniform(0.5, 2.0, 6), rng.uniform(0.5, 2.0, 6), rng.uniform(0.0, 0.2, 3)
        result = slid(step, slowest, fastest, gradients, most, 400)
        assert np.all(gradients @ result >= -most - 1e-6)
        assert np.all((result >= slowest - 1e-3) & (result <= fastest + 1e-3))


PLACE = np.array([[0, 2], [1, 2], [2, 2], [3, 2], [-1, -1]])  # one capsule of each of four fingers, and the base


def slowed(
    pairs: list[tuple[int, int]], ratios: list[float], together: list[int], share: list[float]
) -> tuple[list[int], list[float]]:
    group, result = np.array(together), np.array(share)
    most = 0.01 * np.array(ratios)
    slow_together(PLACE, np.array(pairs), np.arange(len(pairs)), most, np.full(len(pairs), 0.01), group, result)
    return group.tolist(), pytest.approx(result.tolist())


ALONE, FULL = [0, 1, 2, 3], [1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("turned", [False, True])
def test_fingers_of_a_pair_slow_down_together_and_with_them_those_that_they_were_put_together_with(
    turned: bool,
) -> None:
    def pair(a: int, b: int) -> tuple[int, int]:
        return (b, a) if turned else (a, b)

    group, share = slowed([pair(0, 1)], [0.5], ALONE, FULL)
    assert share == [0.5, 0.5, 1.0, 1.0]
    assert group[0] == group[1] and len({*group}) == 3
    group, share = slowed([pair(2, 4)], [0.25], ALONE, FULL)  # the base does not move
    assert (group, share) == (ALONE, [1.0, 1.0, 0.25, 1.0])
    group, share = slowed([pair(0, 4)], [0.25], ALONE, FULL)
    assert (group, share) == (ALONE, [0.25, 1.0, 1.0, 1.0])
    for a, b in ((1, 2), (0, 2)):
        group, share = slowed([pair(a, b)], [0.8], [0, 0, 2, 3], [0.5, 0.5, 1.0, 1.0])
        assert share == [0.4, 0.4, 0.4, 1.0]
        assert len({*group[:3]}) == 1 and group[3] == 3
    group, share = slowed([pair(0, 1), pair(2, 3), pair(1, 2)], [0.9, 0.5, 0.7], ALONE, FULL)
    assert share == [0.5] * 4 and len({*group}) == 1
    assert slowed([pair(0, 1), pair(0, 1)], [0.6, 0.3], ALONE, FULL)[1] == [0.3, 0.3, 1.0, 1.0]
