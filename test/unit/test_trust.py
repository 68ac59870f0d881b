"""When a network that does not help is benched."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.controller_options import ControllerOptions
from nnik_ros.guard import GuardedStep, Solver
from nnik_ros.trust import Trust

FOLLOWED = np.array([True, False])


def step(stood_in: int | None = None, gained: float = 0.001) -> GuardedStep:
    """Of two tips 1 cm from their targets. stood_in: the one that the network did not help, and damped least squares brought
    closer by what was gained [m]."""
    poor = np.arange(2) == (-1 if stood_in is None else stood_in)
    solver, start = np.where(poor, int(Solver.STAND_IN), int(Solver.NETWORK)), np.full(2, 0.01)
    return GuardedStep(np.zeros(2), start - gained, start, solver, ~poor, np.zeros(2))


def ticks_until_benched(steps: list[GuardedStep], bench_after: int) -> int | None:
    trust = Trust()
    for tick, each in enumerate(steps):
        trust.judge(each, FOLLOWED, ControllerOptions(bench_after=bench_after))
        if trust.benched:
            return tick + 1
    return None


def test_a_network_that_never_helps_is_benched_after_that_many_ticks_and_with_0_never() -> None:
    assert ticks_until_benched([step(0)] * 9, 5) == 5
    assert ticks_until_benched([step(0)] * 9, 1) == 1
    assert ticks_until_benched([step(0)] * 9, 0) is None


def test_a_tick_in_which_the_network_helps_makes_up_for_one_in_which_it_does_not() -> None:
    assert ticks_until_benched([step(0), step()] * 50, 2) is None
    assert ticks_until_benched([step(0), step(0), step()] * 50, 5) == 11  # one more every third tick, two in between
    assert ticks_until_benched([step()] * 50 + [step(0)] * 9, 5) == 55, "help is no credit for later"


@pytest.mark.parametrize(("least", "counts"), [(0.9, False), (1.1, True)])
def test_what_the_stand_in_gains_at_rest_says_nothing_about_the_network(least: float, counts: bool) -> None:
    gained = least * 0.1 * ControllerOptions().tolerance
    assert (ticks_until_benched([step(0, gained)] * 9, 5) == 5) == counts


def test_a_tip_that_is_not_to_follow_says_nothing_about_the_network() -> None:
    assert ticks_until_benched([step(1)] * 9, 5) is None


@pytest.mark.parametrize(
    ("solver", "helped", "counts"),
    [(Solver.STAND_IN, False, True), (Solver.STAND_IN, True, False), (Solver.SHORTENED, False, False)],
)
def test_a_network_that_helps_where_the_stand_in_leads_or_with_a_part_of_its_step_is_not_benched(
    solver: Solver, helped: bool, counts: bool
) -> None:
    one = step(0)._replace(solver=np.full(2, int(solver)), helped=np.array([helped, True]))
    assert (ticks_until_benched([one] * 9, 5) == 5) == counts
