"""The words and numbers of the status and the diagnostics, each under its own key."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from nnik_ros.guard import Solver
from nnik_ros.limits import Limit
from nnik_ros.nodes.control_loop import LoopSummary
from nnik_ros.nodes.intake import Refusals
from nnik_ros.nodes.realtime import RealtimeReport
from nnik_ros.nodes.statistics import DataStatistics, Spread
from nnik_ros.nodes.status import (
    controller_status,
    inactive_status,
    input_status,
    level_of,
    loop_status,
    others_in_words,
    publisher_status,
    publishers_in_words,
    statistics_status,
)
from nnik_ros.states import TickResult, TipState

TIPS = ("index", "thumb")
OK, WARN, ERROR, STALE = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE


def told(status: DiagnosticStatus) -> dict[str, str]:
    keys = [pair.key for pair in status.values]
    assert len(set(keys)) == len(keys)
    return {pair.key: pair.value for pair in status.values}


def refused(*reasons: tuple[str, str, str]) -> Refusals:
    refusals = Refusals(lambda text: None)
    for topic, kind, reason in reasons:
        refusals.refuse(topic, kind, reason)
    return refusals


def result(hand: TipState = TipState.TRACKING) -> TickResult:
    """A tick of two tips in which every number is another one."""
    here = np.zeros((2, 3))
    return TickResult(
        None, hand, np.array([TipState.TRACKING, TipState.COLLISION]), np.array([0.0012347, 0.02]),
        np.array([0.003, 0.04]), np.array([Solver.NETWORK, Solver.STAND_IN]),
        np.array([Limit.NONE, Limit.COLLISION | Limit.VELOCITY]), np.array([-1, 0]), here, here, here, 0.01,
        np.array([0.1, 0.2]), np.array([np.nan, 0.5]),
    )  # fmt: skip


@pytest.mark.parametrize("state", list(TipState))
def test_a_hand_that_needs_somebody_is_no_ok_and_one_whose_command_is_in_doubt_is_an_error(state: TipState) -> None:
    needs = {"UNREACHABLE", "COLLISION", "STALE_TARGET", "FALLBACK", "WAITING_STATE"}
    expected = ERROR if state.name in ("STALE_STATE", "FAULT") else WARN if state.name in needs else OK
    assert level_of(state) == expected


def test_the_status_tells_every_number_of_every_tip_under_its_key() -> None:
    status = controller_status("c", "hand", TIPS, [True, False], result(), "", refused(), "", "")
    assert (status.level, status.name, status.hardware_id) == (OK, "c", "hand")
    assert status.message == result().hand_message(), "nothing is waited for"
    assert told(status) == {
        "state": "TRACKING", "code": str(int(TipState.TRACKING)),
        "index.state": "TRACKING", "index.code": str(int(TipState.TRACKING)), "index.enabled": "true",
        "index.error": "0.001235", "index.measured_error": "0.003000", "index.pointing_error": "nan",
        "index.solver": "NETWORK", "index.limited": "", "index.message": result().messages(TIPS)[0],
        "thumb.state": "COLLISION", "thumb.code": str(int(TipState.COLLISION)), "thumb.enabled": "false",
        "thumb.error": "0.020000", "thumb.measured_error": "0.040000", "thumb.pointing_error": "0.5000",
        "thumb.solver": "STAND_IN", "thumb.limited": "VELOCITY,COLLISION", "thumb.message": result().messages(TIPS)[1],
        "refused": "0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "refusals", "warnings", "fault", "level", "message"),
    [
        (TipState.TRACKING, [], [], "", OK, "{} (the driver)"),
        (TipState.TRACKING, [("t", "count", "3 poses")], [], "", WARN, "{} (the driver); refused: t: 3 poses"),
        (TipState.FAULT, [("t", "count", "3 poses")], [], "", ERROR, "{} (the driver); refused: t: 3 poses"),
        (TipState.TRACKING, [], ["two publish"], "", WARN, "{} (the driver); two publish"),
        (
            TipState.TRACKING,
            [],
            ["two publish", "nobody hears"],
            "",
            WARN,
            "{} (the driver); two publish; nobody hears",
        ),
        (TipState.FAULT, [], ["two publish"], "", ERROR, "{} (the driver); two publish"),
        (TipState.TRACKING, [], [], "no disk", ERROR, "no disk; {} (the driver)"),
    ],
)
def test_the_worst_of_all_that_is_wrong_is_the_level_and_all_of_it_is_in_the_message(
    state: TipState,
    refusals: Sequence[tuple[str, str, str]],
    warnings: Sequence[str],
    fault: str,
    level: bytes,
    message: str,
) -> None:
    status = controller_status(
        "c", "hand", TIPS, [True, True], result(state), "the driver", refused(*refusals), warnings, fault
    )
    assert status.level == level
    assert status.message == message.format(result(state).hand_message())


def test_an_inactive_controller_is_stale_and_tells_its_switches() -> None:
    status = inactive_status("c", "hand", "why", TIPS, [False, True])
    assert (status.level, status.message) == (STALE, "why")
    assert told(status) == {"state": "INACTIVE", "index.enabled": "false", "thumb.enabled": "true"}


def spread(first: float) -> Spread:
    return Spread(*(1e-3 * (first + i) for i in range(5)))


def summary(missed: int = 0, errors: int = 0, mean: float = 0.004) -> LoopSummary:
    return LoopSummary(90, missed, errors, mean, spread(10), spread(20), spread(30), spread(40))


def test_the_loop_tells_its_times_in_milliseconds_its_counts_and_who_listens() -> None:
    status = loop_status("c", "hand", 0.003, summary(10), RealtimeReport(["a", "b"], ["c", "d"]), 7)
    values = told(status)
    assert (status.name, status.hardware_id) == ("c: loop", "hand")
    assert status.message == "250.0 Hz, 10 deadlines missed"
    one = loop_status("c", "hand", 0.003, summary(1), RealtimeReport(), 7)
    assert "1 deadlines missed" in one.message
    assert (values["period_wanted_ms"], values["period_mean_ms"]) == ("3.0000", "4.0000")
    for what, first in (("period", 10), ("jitter", 20), ("latency", 30), ("compute", 40)):
        for i, share in enumerate(("p50", "p90", "p99", "p999", "max")):
            assert values[f"{what}_{share}_ms"] == f"{first + i}.0000"
    assert (values["ticks"], values["missed"], values["errors"]) == ("90", "10", "0")
    assert (values["command_receivers"], values["realtime"], values["realtime_refused"]) == ("7", "a; b", "c; d")


@pytest.mark.parametrize(
    ("errors", "refusal", "mean", "level", "message"),
    [
        (0, [], 0.004, OK, "250.0 Hz"),
        (0, ["priority"], 0.004, WARN, "250.0 Hz"),
        (1, ["priority"], 0.004, ERROR, "250.0 Hz"),
        (0, [], math.nan, OK, "not running"),
    ],
)
def test_a_tick_that_raised_is_an_error_and_a_refused_priority_a_warning(
    errors: int, refusal: list[str], mean: float, level: bytes, message: str
) -> None:
    status = loop_status("c", "hand", 0.003, summary(0, errors, mean), RealtimeReport([], refusal), 0)
    assert (status.level, status.message) == (level, message)
    assert told(status)["realtime"] == "not in use"


def test_the_statistics_tell_the_share_of_late_ticks_the_data_and_the_solvers_of_every_tip() -> None:
    data = DataStatistics(2, 0.01)
    for window, value in ((data.inference, 0.001), (data.state_age, 0.002), (data.target_age, 0.003)):
        window.record(value)
    data.solved[:] = np.arange(8).reshape(2, 4)
    refusals = refused(("t", "count", "x"), ("t", "count", "x"), ("s", "jump", "y"))
    status = statistics_status("c", "hand", TIPS, summary(10, 5), data.summary(), refusals, benched=True)
    values = told(status)
    assert (status.name, status.hardware_id, status.message) == ("c: statistics", "hand", "of the last 5 s")
    assert (values["ticks"], values["missed"], values["late_share"], values["errors"]) == ("90", "10", "0.100000", "5")
    for what, first in (("period_error", "20"), ("latency", "30"), ("compute", "40")):
        assert values[f"{what}_p50_ms"] == f"{first}.0000"
    for what, value in (("inference", "1"), ("state_age", "2"), ("target_age", "3")):
        assert values[f"{what}_max_ms"] == f"{value}.0000"
    assert [values[f"solver.{tip}.{solver.name}"] for tip in TIPS for solver in Solver] == [str(i) for i in range(8)]
    assert (values["benched"], values["refused"], values["refused.t.count"]) == ("true", "3", "2")
    idle = LoopSummary(0, 0, 0, math.nan, *[spread(0)] * 4)
    assert (
        told(statistics_status("c", "hand", TIPS, idle, data.summary(), refused(), False))["late_share"] == "0.000000"
    )


def test_what_was_refused_is_counted_and_warned_of_until_the_topic_is_accepted_again() -> None:
    refusals = refused(("t", "count", "3 poses"), ("s", "jump", "too far"))
    status = input_status("c", "hand", refusals)
    assert (status.name, status.hardware_id) == ("c: inputs", "hand")
    assert (status.level, status.message) == (WARN, "t: 3 poses; s: too far")
    assert told(status) == {"refused": "2", "refused.s.jump": "1", "refused.t.count": "1"}
    refusals.accept("s")
    refusals.accept("t")
    status = input_status("c", "hand", refusals)
    assert (status.level, status.message, told(status)["refused.t.count"]) == (OK, "all accepted", "1")


def test_who_else_publishes_is_named_by_topic_and_counted_also_when_it_has_gone() -> None:
    others: Any = SimpleNamespace(
        found={"/cmd": ["/a", "/b"]}, appeared=Counter({"/status": 1, "/cmd": 3}), message="two"
    )
    status = publisher_status("c", "hand", others)
    assert (status.level, status.name, status.hardware_id, status.message) == (WARN, "c: publishers", "hand", "two")
    assert told(status) == {"/cmd": "/a, /b", "appeared./cmd": "3", "appeared./status": "1"}
    others.found, others.message = {}, ""
    status = publisher_status("c", "hand", others)
    assert (status.level, status.message) == (OK, "one publisher for each topic")
    assert told(status) == {"appeared./cmd": "3", "appeared./status": "1"}


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ([], "0 publishers"),
        (["a", "a"], "2 publishers"),
        (["c", "b", "a", "c"], "1 publisher of a, but 1 of b, 2 of c"),
    ],
)
def test_publishers_of_another_type_are_told_apart_from_those_that_are_heard(types: list[str], words: str) -> None:
    assert publishers_in_words(types, "a") == words


def test_of_the_joints_of_others_three_are_named_and_none_of_them_at_full_length_when_it_has_no_end() -> None:
    assert others_in_words([], ["a"]) == ""
    assert others_in_words(["a", "b", "c"], ["d"]) == "; joint states there are of others, a, b, c, not of d"
    words = others_in_words(["a", "b", "c", "d"], ["e" * 41, "f" * 40])
    assert words == f"; joint states there are of others, a, b, c, ..., not of {'e' * 40}, {'f' * 40}"
