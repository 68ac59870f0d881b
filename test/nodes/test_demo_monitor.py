"""What the demo's line of text and its verdict on the loop are made from."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from node_bench import Lab, Station, wait_for

from nnik_ros.nodes.demo_monitor import LiveLine, LoopRecord, Monitor
from nnik_ros.robot import Robot

Tell = Callable[..., None]
TIMES = {
    "period_p50": "3.001", "period_p99": "3.502", "period_max": "9.9",
    "latency_p50": "0.103", "latency_p99": "0.204", "latency_max": "9.8",
    "compute_p50": "0.504", "compute_p99": "0.906", "compute_max": "9.7",
}  # fmt: skip


@pytest.fixture
def station(lab: Lab) -> Station:
    return lab.station()


@pytest.fixture
def monitor(station: Station, robot: Robot) -> Monitor:
    return Monitor(station.node, robot)


@pytest.fixture
def tell(station: Station, monitor: Monitor) -> Tell:
    """Publish diagnostics of the loop, sent at a time [s], until they are heard."""

    def publish(sent: float, ticks: int, missed: int) -> None:
        times = {f"{key}_ms": value for key, value in {"period_mean": "4.0", **TIMES}.items()}
        loop = status_of({**times, "ticks": str(ticks), "missed": str(missed)})
        message = DiagnosticArray(status=[status_of({"refused": "0"}), loop])
        message.header.stamp.sec, message.header.stamp.nanosec = int(sent), round(sent % 1.0 * 1e9)
        wait_for(lambda: station.publish("diagnostics", message) or monitor.loop.ticks == ticks, "the diagnostics")

    return publish


def status_of(values: dict[str, str]) -> DiagnosticStatus:
    return DiagnosticStatus(values=[KeyValue(key=key, value=value) for key, value in values.items()])


def test_the_line_tells_state_rate_errors_times_and_misses_in_the_units_that_it_names(
    station: Station, monitor: Monitor, tell: Tell
) -> None:
    nothing = "index -  middle -  ring -  thumb - mm | p50/p99 ms: period -/-  latency -/-  compute -/- | missed 0"
    assert monitor.line().endswith(f" - Hz | {nothing}")
    errors = {"index": "0.00123", "middle": "2e-5", "ring": "0.045", "thumb": "nan"}
    values = {f"{tip}.measured_error": error for tip, error in errors.items()}
    status = status_of({"state": "WAITING_STATE", "index.error": "0.5", **values})
    wait_for(lambda: station.publish("status", status) or monitor.status.state != "", "the status")
    tell(1.0, 90, 7)
    millimetres = "index 1.23  middle 0.02  ring 45.00  thumb - mm"
    times = "period 3.00/3.50  latency 0.10/0.20  compute 0.50/0.91"
    assert monitor.line() == f"WAITING_STATE 250.0 Hz | {millimetres} | p50/p99 ms: {times} | missed 7"


def test_the_rate_is_that_of_the_ticks_between_the_first_and_the_last_diagnostics_by_the_time_that_they_tell(
    station: Station, monitor: Monitor, tell: Tell
) -> None:
    assert math.isnan(monitor.record().rate) and monitor.record().missed == 0
    tell(10.25, 1000, 5)
    assert math.isnan(monitor.record().rate) and monitor.record().missed == 0, "there is no time between one and itself"
    tell(11.25, 1100, 6)
    tell(12.75, 1500, 9)
    assert monitor.record() == LoopRecord(pytest.approx(200.0), 4)
    monitor.begin()
    assert math.isnan(monitor.record().rate)
    tell(13.75, 1800, 9)
    tell(14.75, 2100, 10)
    assert monitor.record() == LoopRecord(pytest.approx(300.0), 1)


def test_diagnostics_of_something_else_change_nothing(station: Station, monitor: Monitor, tell: Tell) -> None:
    tell(1.0, 100, 0)
    heard, other = station.listen(DiagnosticArray, "diagnostics"), DiagnosticArray(status=[status_of({"warmth": "20"})])
    wait_for(lambda: station.publish("diagnostics", other) or len(heard) > 2, "the other diagnostics")
    assert monitor.loop.ticks == 100
    tell(2.0, 350, 0)
    assert monitor.record() == LoopRecord(pytest.approx(250.0), 0)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_the_newest_line_in_one_place_and_a_log_gets_one_every_five_seconds(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    live = LiveLine()
    for step in range(800, 897):  # 12 s from 100 s on: the clock did not begin with the program
        live.show(0.125 * step, f"line {step}")
    live.end()
    out = capsys.readouterr().out
    if terminal:
        assert out == "".join(f"\r\x1b[2Kline {step}" for step in range(800, 897, 2)) + "\n"
    else:
        assert out == "line 800\nline 840\nline 880\n"
