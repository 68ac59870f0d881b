"""What counts as reached and as progress, and which state of a tip is told."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.kernels.progress import first_state, seen
from nnik_ros.limits import Limit

TOLERANCE = 5e-4
HERE, BEYOND = 0.9 * TOLERANCE, 1.1 * TOLERANCE  # m from the goal


@pytest.mark.parametrize(
    ("tip", "measured", "reference", "closed_loop", "reached"),
    [
        (HERE, BEYOND, HERE, False, True),
        (BEYOND, HERE, HERE, False, False),
        (BEYOND, HERE, HERE, True, True),
        (HERE, BEYOND, HERE, True, False),
        (HERE, HERE, BEYOND, False, False),  # it passes by
        (HERE, HERE, BEYOND, True, False),
    ],
)
def test_reached_is_a_goal_where_the_reference_is_too_and_in_the_closed_loop_the_measured_tip(
    tip: float, measured: float, reference: float, closed_loop: bool, reached: bool
) -> None:
    goal = np.array([[0.1, 0.2, 0.3]])
    at_tip, at_measured, at_reference = (goal + [[0.0, away, 0.0]] for away in (tip, measured, reference))
    follows, escaping = np.array([True]), np.array([False])
    error, measured_error, _, found, _ = seen(
        at_tip, at_measured, goal, goal, at_reference, np.full(1, np.nan), follows, escaping, np.zeros(1, dtype=np.int64),
        closed_loop, TOLERANCE, 1e-5,
    )  # fmt: skip
    assert (error[0], measured_error[0]) == pytest.approx((tip, measured))
    assert bool(found[0]) is reached


@pytest.mark.parametrize(
    ("change", "ticks", "best"),
    [
        ({}, 8, 0.01),
        ({"best": 0.009}, 8, 0.009),  # it went away: progress is measured against the closest that it came
        ({"best": 0.01 * (1 + 0.9 * 1e-5)}, 8, 0.01),
        ({"best": 0.01 * (1 + 1.1 * 1e-5)}, 0, 0.01),
        ({"best": np.nan}, 8, 0.01),
        ({"follows": False}, 0, 0.01),
        ({"escaping": True}, 0, 0.01),
        ({"reference": 0.0049}, 8, 0.01),
        ({"reference": 0.0051}, 0, 0.01),  # it is still being led
        ({"tip": BEYOND, "best": BEYOND}, 8, BEYOND),
        ({"tip": BEYOND, "best": BEYOND, "reference": BEYOND}, 0, BEYOND),
        ({"tip": HERE, "best": HERE}, 0, HERE),
    ],
)
def test_a_tip_makes_no_progress_where_it_follows_a_reference_about_at_its_goal_that_it_does_not_reach(
    change: dict, ticks: int, best: float
) -> None:
    case = {"tip": 0.01, "best": 0.01, "follows": True, "escaping": False, "reference": HERE} | change
    near = np.array([[0.1, 0.2, 0.3]])
    goal = near + [[0.0, 0.0, 0.5]]  # out of reach: near is as far as it may be followed
    at_tip, at_reference = near + [[0.0, case["tip"], 0.0]], near + [[0.0, case["reference"], 0.0]]
    _, _, best_error, _, still = seen(
        at_tip, at_tip, goal, near, at_reference, np.full(1, case["best"]), np.array([case["follows"]]),
        np.array([case["escaping"]]), np.array([7]), False, TOLERANCE, 1e-5,
    )  # fmt: skip
    assert still.tolist() == [ticks]
    assert best_error == pytest.approx([best])


def test_of_all_states_that_apply_to_a_tip_the_first_is_told_and_of_the_hand_the_largest() -> None:
    """One tip for each state, to which all that come after it apply as well."""
    order = ["homing", "disabled", "idle", "stale", "reached", "collision", "unreachable", "limited"]

    def applies(what: str) -> np.ndarray:
        return np.arange(9) <= order.index(what)

    homing = np.arange(9) == 0
    limited = np.where(applies("limited"), int(Limit.VELOCITY), int(Limit.ACCELERATION))
    limited |= np.where(applies("collision") & ~homing, int(Limit.COLLISION), 0)
    stuck = np.where(applies("unreachable"), 61, 60)
    states = np.array([10, 20, 30, 40, 50, 60, 70, 80, 90])
    told, worst = first_state(
        homing, ~applies("disabled"), ~applies("idle"), applies("stale"), applies("reached"), limited, stuck,
        np.zeros(9, dtype=bool), 60, states,
    )  # fmt: skip
    assert told.tolist() == states.tolist()
    assert worst == 90
    told, worst = first_state(
        homing, ~applies("disabled"), ~applies("idle"), applies("stale"), applies("reached"),
        limited | int(Limit.COLLISION), stuck, np.ones(9, dtype=bool), 60, states[::-1].copy(),
    )  # fmt: skip
    assert told.tolist() == [40, 80, 70, 60, 50, 40, 40, 40, 40], "on the way home a collision goes before it"
    assert worst == 80


def test_a_tip_on_its_way_out_is_not_lost_however_long_it_was_stuck() -> None:
    no, yes, escaping = np.zeros(2, dtype=bool), np.ones(2, dtype=bool), np.array([True, False])
    none, stuck = np.zeros(2, dtype=np.int64), np.full(2, 1000)
    assert first_state(no, yes, yes, no, no, none, stuck, escaping, 60, np.arange(9))[0].tolist() == [8, 6]
