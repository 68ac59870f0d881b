"""Where the hand is believed to be, whether it rests, and whether it still is where it was left."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.measured_hand import MeasuredHand
from nnik_ros.states import Measurement

TIMEOUT = 0.1  # s
PERIOD = 0.01


def seen(*positions: float, period: float = PERIOD, since: float = 5.0) -> MeasuredHand:
    """A hand of two joints, the second of which is seen at these positions, one in each period."""
    hand = MeasuredHand(2)
    for i, position in enumerate(positions):
        hand.take(Measurement(np.array([0.3, position]), since + i * period), TIMEOUT)
    return hand


@pytest.mark.parametrize("bad", [[0.1], [0.1, 0.2, 0.3], [0.1, np.nan], [np.inf, 0.2], [[0.1, 0.2]]])
def test_joint_states_of_another_number_or_not_finite_change_nothing(bad: list) -> None:
    hand = seen(0.5)
    hand.take(Measurement(np.array(bad), 6.0), TIMEOUT)
    hand.take(None, TIMEOUT)
    assert hand.q is not None
    assert hand.q.tolist() == [0.3, 0.5]
    assert hand.age(5.02) == pytest.approx(0.02)


def test_joint_states_of_a_time_to_come_are_as_old_as_they_are_ahead() -> None:
    assert seen(0.5).age(4.0) == pytest.approx(1.0)
    assert MeasuredHand(2).age(4.0) == np.inf


@pytest.mark.parametrize(("ticks", "rests"), [(24, False), (27, True)])
def test_a_hand_rests_once_it_has_moved_less_than_a_hundredth_for_a_quarter_of_a_second(
    ticks: int, rests: bool
) -> None:
    still = [0.5 + 0.009 * (i % 2) for i in range(ticks)]
    assert seen(*still).rests is rests
    late = 11  # ticks until the average over 0.05 s has gone a hundredth of 0.011 rad: 0.05 ln(11) s
    stirs = [*[0.5] * 30, *[0.511] * (ticks - 1 + late)]
    assert seen(*stirs).rests is (ticks > 26), "it begins anew with a joint that stirs"
    assert not seen(*[0.5 + 0.003 * i for i in range(ticks)]).rests, "a slow motion is one"


@pytest.mark.parametrize(("period", "noise"), [(0.003, 0.005), (0.01, 0.003)])
def test_a_hand_rests_however_its_encoders_tremble_but_not_while_it_creeps(period: float, noise: float) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        trembles = noise * rng.normal(size=round(0.6 / period))
        assert seen(*(0.5 + trembles), period=period).rests
        creeps = 0.1 * period * np.arange(len(trembles))
        assert not seen(*(0.5 + creeps + trembles), period=period).rests


@pytest.mark.parametrize("clock", [1.0, 0.15, -1.0])
def test_a_rest_begins_anew_with_joint_states_that_come_back_after_a_gap_or_a_jump_of_the_clock(clock: float) -> None:
    hand = seen(*[0.5] * 40)
    assert hand.rests
    begin = 5.0 + 39 * PERIOD + clock
    for i in range(27):
        hand.take(Measurement(np.array([0.3, 0.5]), begin + i * PERIOD), TIMEOUT)
        assert hand.rests is (i * PERIOD >= 0.25)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_hand_is_where_it_was_left_within_a_twentieth_more_than_its_distance_when_it_followed(side: float) -> None:
    sent = np.array([0.3, 0.5 + 0.2 * side])  # the second joint sags by 0.2
    for further, left in ((0.049, True), (0.051, False), (-0.44, True), (-0.46, False)):
        hand = seen(0.5)
        hand.follows(sent)
        hand.take(Measurement(np.array([0.3, 0.5 - further * side]), 5.01), TIMEOUT)
        assert hand.is_where_left(sent) is left
    hand = seen(0.5)
    hand.follows(sent)
    hand.take(Measurement(np.array([0.3 + 0.051 * side, 0.5]), 5.01), TIMEOUT)
    assert not hand.is_where_left(sent), "the sag of one joint is none of another"


def test_what_comes_closer_after_the_last_command_counts_from_there_and_what_sinks_does_not() -> None:
    sent = np.array([0.3, 0.7])
    for settled, limit in ((0.6, 0.1), (0.8, 0.1), (0.45, 0.2)):
        hand = seen(0.5)
        hand.follows(sent)
        hand.take(Measurement(np.array([0.3, settled]), 5.01), TIMEOUT)
        hand.settles(sent)
        for beyond, left in ((0.049, True), (0.051, False)):
            hand.take(Measurement(np.array([0.3, 0.7 - limit - beyond]), 5.02), TIMEOUT)
            assert hand.is_where_left(sent) is left


def test_a_hand_that_was_never_seen_or_was_forgotten_is_nowhere() -> None:
    hand = MeasuredHand(2)
    hand.follows(np.zeros(2))
    hand.settles(np.zeros(2))
    assert hand.q is None and not hand.is_where_left(np.zeros(2))
    hand = seen(*[0.5] * 40)
    hand.forget()
    assert hand.q is None and not hand.is_where_left(np.array([0.3, 0.5]))
    hand.take(Measurement(np.array([0.3, 0.5]), 5.4), TIMEOUT)
    assert not hand.rests
    hand.follows(np.array([0.3, 0.7]))
    hand.forget()
    hand.take(Measurement(np.array([0.3, 0.5]), 5.5), TIMEOUT)
    assert not hand.is_where_left(np.array([0.3, 0.7])), "how far it sagged is forgotten, too"


def test_a_hand_that_was_sent_nothing_yet_is_where_it_was_left_within_a_twentieth() -> None:
    hand = seen(0.5)
    assert hand.is_where_left(np.array([0.3, 0.549]))
    assert not hand.is_where_left(np.array([0.3, 0.551]))
