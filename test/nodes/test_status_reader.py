"""What the page, the markers and the demo understand of the controller's messages."""

from __future__ import annotations

import math

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from nnik_ros.nodes.status_reader import LoopStatus, TipStatus, no_status, read_loop, read_status, state_color

SPREADS = {
    "period_p50_ms": "3.0", "period_p90_ms": "3.1", "period_p99_ms": "3.2", "period_p999_ms": "3.3", "period_max_ms": "3.4",
    "latency_p50_ms": "0.1", "latency_p99_ms": "0.2", "latency_max_ms": "0.4",
    "compute_p50_ms": "0.5", "compute_p99_ms": "0.6", "compute_max_ms": "0.8",
}  # fmt: skip
LOOP = {"period_wanted_ms": "3.003", "period_mean_ms": "4.000", **SPREADS, "ticks": "1234", "missed": "5"}


def message(values: dict[str, str], words: str = "") -> DiagnosticStatus:
    return DiagnosticStatus(message=words, values=[KeyValue(key=key, value=value) for key, value in values.items()])


def test_the_loop_is_told_in_hertz_and_seconds_from_whichever_part_of_the_diagnostics_has_it() -> None:
    told = read_loop(DiagnosticArray(status=[message({"refused": "7", "ticks": "1"}), message(LOOP), message({})]))
    assert told is not None
    assert (told.rate, told.ticks, told.missed) == (pytest.approx(250.0), 1234, 5)
    unknown = math.nan
    assert told.period == pytest.approx((0.0030, 0.0031, 0.0032, 0.0033, 0.0034))
    assert told.latency == pytest.approx((0.0001, unknown, 0.0002, unknown, 0.0004), nan_ok=True)
    assert told.compute == pytest.approx((0.0005, unknown, 0.0006, unknown, 0.0008), nan_ok=True)
    assert read_loop(DiagnosticArray(status=[message({"ticks": "1"})])) is None


@pytest.mark.parametrize("mean", ["nan", "0.000", "-1", "soon"])
def test_a_loop_without_a_usable_period_has_no_rate_and_one_without_numbers_counts_nothing(mean: str) -> None:
    told = read_loop(DiagnosticArray(status=[message({"period_mean_ms": mean, "ticks": "nan", "missed": "inf"})]))
    nothing = pytest.approx([math.nan] * 5, nan_ok=True)
    assert told == LoopStatus(pytest.approx(math.nan, nan_ok=True), nothing, nothing, nothing, 0, 0)


def test_each_tip_has_its_own_values_and_those_that_are_not_told_stay_unknown() -> None:
    values = {
        "state": "LIMITED", "index.state": "TRACKING", "index.error": "0.001", "index.measured_error": "0.002",
        "index.message": "on its way", "index.enabled": "true", "thumb.enabled": "false", "thumb.measured_error": "far",
        "ring.enabled": "perhaps",
    }  # fmt: skip
    told = read_status(message(values, "a joint is at its limit"), ("index", "ring", "thumb"))
    unknown = pytest.approx(math.nan, nan_ok=True)
    assert (told.state, told.message) == ("LIMITED", "a joint is at its limit")
    assert told.tips == (
        TipStatus("index", "TRACKING", 0.001, 0.002, "on its way", True),
        TipStatus("ring", "", unknown, unknown, "", None),
        TipStatus("thumb", "", unknown, unknown, "", False),
    )
    assert read_status(message({}), ("index",)).state == ""


def test_before_the_first_message_nothing_is_known_but_the_names() -> None:
    told = no_status(("index", "thumb"))
    assert (told.state, "no controller" in told.message) == ("", True)
    assert [tip.name for tip in told.tips] == ["index", "thumb"]
    assert all(math.isnan(tip.error) and math.isnan(tip.measured_error) and not tip.state for tip in told.tips)


def test_a_state_that_is_not_known_yet_is_grey_and_one_that_nobody_knows_is_red() -> None:
    grey, red = state_color(""), state_color("UPSIDE_DOWN")
    assert max(grey) - min(grey) < 20
    assert red[0] > 2 * max(red[1:])
