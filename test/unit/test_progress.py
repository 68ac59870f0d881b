"""What counts as reached."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.kernels.progress import seen

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
