"""What a search for another posture finds, on a gantry: three sliding joints, whose positions are those of its tip."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnik_ros.escape import Escape, best_end, other_postures
from nnik_ros.robot import Robot

REACH, TOLERANCE = 10.0, 5e-4  # m
GANTRY = SimpleNamespace(
    tip_position=lambda q: np.asarray(q)[..., None, :],
    tip_of_joint=np.zeros(3, dtype=np.int64),
    reach=np.array([REACH]),
)
ROBOT = SimpleNamespace(
    nt=1, home=np.zeros(3), lower=-np.ones(3), upper=np.ones(3),
    random_joint_position=lambda rng, n: rng.uniform(-1.0, 1.0, (n, 3)),
)  # fmt: skip
TARGET = np.array([[4.0, 5.0, 6.0]])
STAYS = np.array([True])


def searched(policy_ends_off: float, stand_in_ends_off: float = 9.0, first_step_is_finite: bool = True) -> Escape:
    """After a search whose steps end so far [m] from the target."""
    bad = [not first_step_is_finite]

    def step(q: np.ndarray, target: np.ndarray) -> np.ndarray:
        return q * np.nan if bad and bad.pop() else q + (target[..., 0, :] + [0.0, policy_ends_off, 0.0] - q)

    def descent(q: np.ndarray, target: np.ndarray, steps: int) -> np.ndarray:
        return target[..., 0, :] + [0.0, 0.0, stand_in_ends_off]

    escape = Escape(SimpleNamespace(step=step, robot=ROBOT, kinematics=GANTRY), SimpleNamespace(descent=descent))
    assert not escape.searching
    escape.begin(TARGET)
    while escape.searching:
        escape.advance()
    return escape


@pytest.mark.parametrize(
    ("present", "found", "better"),
    [
        (0.02, 0.0099, True),  # near: half of the error
        (0.02, 0.0101, False),
        (1.0, 0.9699, True),  # far: 0.3 % of the reach
        (1.0, 0.9701, False),
        (0.0006, 0.00049, True),  # what is reached, is reached
        (0.0006, 0.00051, False),
        (1.0, 2.0, False),
    ],
)
@pytest.mark.parametrize("by", ["policy", "stand-in"])
def test_a_posture_is_offered_that_halves_the_error_or_gains_a_share_of_the_reach_or_reaches_the_target(
    present: float, found: float, better: bool, by: str
) -> None:
    escape = searched(found) if by == "policy" else searched(9.0, found)
    q = TARGET[0] + [present, 0.0, 0.0]
    posture, offered = escape.found(q, TOLERANCE, STAYS)
    assert offered.tolist() == [better]
    if better:
        assert np.linalg.norm(posture - TARGET[0]) == pytest.approx(found)


@pytest.mark.parametrize(
    ("present", "found", "better"),
    [(1.0, 0.499, True), (1.0, 0.501, False), (0.0006, 0.00049, True), (0.0006, 0.00051, False)],
)
def test_before_a_goal_that_trembles_a_posture_must_halve_the_error_or_reach_it(
    present: float, found: float, better: bool
) -> None:
    offered = searched(found).found(TARGET[0] + [present, 0.0, 0.0], TOLERANCE, ~STAYS)[1]
    assert offered.tolist() == [better]


def test_a_step_of_the_policy_that_is_not_finite_ends_no_search() -> None:
    _, offered = searched(0.0, first_step_is_finite=False).found(np.zeros(3), TOLERANCE, STAYS)
    assert offered.all()


@pytest.mark.parametrize("by", ["policy", "stand-in"])
def test_every_search_starts_anew_and_takes_twelve_steps_of_the_policy_and_three_of_the_stand_in_beside_each(
    by: str,
) -> None:
    """Each step goes half of the way, so that the ends tell how many there were and from where; the other one stays away."""

    def half(q: np.ndarray, target: np.ndarray) -> np.ndarray:
        return 0.5 * (q + target[..., 0, :])

    def away(q: np.ndarray, target: np.ndarray) -> np.ndarray:
        return np.full_like(q, 50.0)

    def descent(q: np.ndarray, target: np.ndarray, steps: int) -> np.ndarray:
        for _ in range(steps):
            q = (half if by == "stand-in" else away)(q, target)
        return q

    policy = SimpleNamespace(step=half if by == "policy" else away, robot=ROBOT, kinematics=GANTRY)
    escape, starts = Escape(policy, SimpleNamespace(descent=descent)), other_postures(ROBOT)
    for target in (TARGET, -2.0 * TARGET, TARGET):
        escape.begin(target)
        while escape.searching:
            escape.advance()
        left = (starts - target[0]) * 0.5 ** (12 if by == "policy" else 36)
        closest = left[np.linalg.norm(left, axis=-1).argmin()]
        posture, offered = escape.found(np.full(3, 20.0), 0.0, STAYS)
        assert offered.all()
        np.testing.assert_allclose(posture - target[0], closest, rtol=1e-3, atol=0)


def test_of_all_ends_the_closest_finite_one_is_the_best_of_each_tip() -> None:
    two = SimpleNamespace(
        tip_position=lambda q: np.stack([q[..., :3], q[..., 3:]], axis=-2), tip_of_joint=np.array([0, 0, 0, 1, 1, 1])
    )
    ends = np.array([[np.nan] * 6, [0, 0, 1, 0, 0, 4], [0, 2, 0, 0, 3, 0]], dtype=float)
    q, error = best_end(two, ends, np.zeros((3, 2, 3)))
    assert q.tolist() == [0, 0, 1, 0, 3, 0]
    assert error.tolist() == [1, 3]


def test_a_search_starts_from_home_the_middle_both_corners_and_random_places_all_inside_the_limits(hand: Robot) -> None:
    starts, span = other_postures(hand), hand.upper - hand.lower
    shares = (starts - hand.lower) / span
    assert starts.shape == (10, hand.nq)
    np.testing.assert_array_equal(starts[0], hand.home)
    np.testing.assert_allclose(shares[1:4], np.array([[0.5], [0.01], [0.99]]) * np.ones(hand.nq), atol=1e-12)
    assert 0.0 <= shares.min() < 0.05 < 0.95 < shares[4:].max() <= 1.0
    np.testing.assert_array_equal(starts, other_postures(hand))
