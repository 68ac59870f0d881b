"""What the benchmark concludes from its numbers: the promises kept, the peers that are better, the page; by hand-made runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plots, record, report
from benchmarks.acceptance import judge
from benchmarks.better import better_peers
from benchmarks.own import CONTROLLER, FREE, GUARDED
from nnik_ros.escape import other_postures
from nnik_ros.robot import Robot

SOLVED = {
    "hands": 400.0, "share_coarse": 0.9, "share_fine": 0.9, "fine_p50_us": 50.0, "fine_p99_us": 90.0, "calls_p50": 1.0,
}  # fmt: skip
ALONG = {
    "ticks": 3996.0, "tick_p50_us": 40.0, "tick_p99_us": 60.0, "tick_p999_us": 80.0, "error_rms_mm": 0.01, "error_max_mm": 0.1,
    "target_rms_mm": 0.02, "target_max_mm": 0.2, "speed_max": 3.0, "second_difference": 0.01, "jerk_rms": 100.0,
    "outside_rad": 0.001,
}  # fmt: skip
AWAY = {
    "excess_p50_mm": 0.1, "excess_p99_mm": 0.4, "excess_max_mm": 0.9, "within_p99_mm": 5.0, "cost_growth": 1.1,
}  # fmt: skip
NODE = {f"latency_{share}_us": 800.0 for share in ("p50", "p99")} | {
    f"jitter_{share}_us": 80.0 for share in ("p50", "p99", "p999")
}


def hand_made() -> dict[str, Any]:
    """A run in which two peers are as good as the own rows everywhere, and every promise is kept."""
    own, peers = (GUARDED, CONTROLLER, FREE), ("pink", "mink")
    return {
        "header": {
            "robot": "hand", "cpu": "cpu", "cores": 2, "python": "3", "numpy": "2", "onnxruntime": "1", "date": "today",
            "load_before": 0.0, "load_after": 0.0, "repeats": 3, "hands": 400, "paths": 3, "ticks": 1332,
        },
        "solvers": [{"name": name, "version": "1", "settings": "", "ours": name in own} for name in (*own, *peers)],
        "absent": [],
        "velocity_limit": 6.0,
        "static": {start: {name: dict(SOLVED) for name in (GUARDED, *peers)} for start in ("random", "rest", "near")},
        "calibrated": {"static": {name: dict(SOLVED) for name in (GUARDED, *peers)}, "steps": {}},
        "tracking": {
            "smooth": {name: dict(ALONG) for name in (*own, *peers)},
            "singular": {name: dict(ALONG) for name in (*own, *peers)},
            "beyond": {name: dict(ALONG | AWAY) for name in (*own, *peers)},
        },
        "steps": {GUARDED: {"hands": 50000.0, "share_3": 0.9, "share_5": 0.9995, "share_10": 0.99995}},
        "batch": {GUARDED: {"1": 40.0, "256": 9.0}},
        "several": {"0.1": {"separate_us": 50.0, "one_call_us": 45.0, "ratio": 0.9, "steps": 1.0}},
        "step": {"step_us": 20.0, "bare_us": 7.0, "yardstick_us": 7.5,
                 "step_kept_us": 19.0, "bare_kept_us": 6.0, "yardstick_kept_us": 6.5},
        "node": {
            "date": "today", "load_before": 0.0, "load_after": 0.0, "turns": 5, "seconds": 10.0,
            "rates": {rate: {"relay": dict(NODE), "controller": dict(NODE)} for rate in ("333", "1000")},
        },
    }  # fmt: skip


def put(results: dict[str, Any], place: str, value: float) -> None:
    """Replace a value, which stands there already."""
    *folders, key = place.split("/")
    for folder in folders:
        results = results[folder]
    assert key in results
    results[key] = value


def verdict(results: dict[str, Any], words: str) -> bool | None:
    (passed,) = (verdict.passed for verdict in judge(results) if words in verdict.criterion)
    return passed


@pytest.mark.parametrize(
    ("words", "place", "kept", "broken"),
    [
        ("within 0.1 mm in at most 10", f"steps/{GUARDED}/share_10", 0.9999, 0.99989),
        ("within 0.1 mm in at most 5", f"steps/{GUARDED}/share_5", 0.999, 0.99899),
        ("at most a quarter", f"tracking/smooth/{CONTROLLER}/tick_p50_us", 10.0, 10.01),
        ("at most 0.5 mm", f"tracking/beyond/{FREE}/excess_p99_mm", 0.5, 0.501),
        ("joint speed within its limit", f"tracking/beyond/{CONTROLLER}/speed_max", 6.0, 6.001),
        ("1.25 times the tick within reach", f"tracking/beyond/{CONTROLLER}/cost_growth", 1.25, 1.251),
        *(
            (f"{what} ({share}) at most 1.25 times that of the bare relay, {rate} Hz",
             f"node/rates/{rate}/controller/{what}_{share}_us", 1.25 * floor, 1.251 * floor)
            for rate in ("333", "1000")
            for what, share, floor in (("latency", "p50", 800), ("latency", "p99", 800), ("jitter", "p50", 80),
                                       ("jitter", "p99", 80), ("jitter", "p999", 80))
        ),
        ("256 hands", f"batch/{GUARDED}/256", 10.0, 10.01),
        ("cost less than separate calls", "several/0.1/one_call_us", 49.9, 50.0),
        ("3 times its bare perceptron", "step/step_us", 21.0, 21.01),
        ("4 times a bare 14-128", "step/step_us", 30.0, 30.01),
    ],
)  # fmt: skip
def test_a_promise_is_kept_up_to_its_bound_and_broken_beyond(
    words: str, place: str, kept: float, broken: float
) -> None:
    for value, passed in ((kept, True), (broken, False)):
        results = hand_made()
        put(results, f"tracking/smooth/{CONTROLLER}/tick_p50_us", 10.0)  # a quarter of the peers'
        put(results, place, value)
        assert verdict(results, words) is passed


def test_the_tick_is_judged_by_the_faster_of_two_peers() -> None:
    results = hand_made()
    put(results, f"tracking/smooth/{CONTROLLER}/tick_p50_us", 11.0)
    put(results, "tracking/smooth/pink/tick_p50_us", 400.0)
    assert verdict(results, "at most a quarter") is False


def test_what_was_not_measured_is_neither_kept_nor_broken() -> None:
    results = hand_made() | {"steps": {}, "batch": {}, "several": {}, "step": {}, "node": None}
    results["tracking"] = {"smooth": {}, "beyond": {}}
    results["static"] = {"random": {}}
    assert {verdict.passed for verdict in judge(results)} == {None}


def test_an_own_row_that_was_left_out_of_a_run_with_a_network_is_said_to_be_not_in_it() -> None:
    results = hand_made()
    del results["static"]["random"][GUARDED]
    (said,) = (verdict for verdict in judge(results) if "median time" in verdict.criterion)
    assert (said.measured, said.passed) == ("not in this run", None)


STATIC = {"share_coarse": 0.95, "share_fine": 0.95, "fine_p50_us": 49.0, "fine_p99_us": 89.0}
SHARED = {"tick_p50_us": 39.0, "tick_p99_us": 59.0, "speed_max": 2.9, "second_difference": 0.009}
SMOOTH = SHARED | {
    "tick_p999_us": 79.0, "error_rms_mm": 0.009, "error_max_mm": 0.09, "target_rms_mm": 0.019, "target_max_mm": 0.19,
    "jerk_rms": 99.0, "outside_rad": 0.0,
}  # fmt: skip
BEYOND = SHARED | {
    "excess_p50_mm": -0.01, "excess_p99_mm": 0.39, "excess_max_mm": 0.89, "within_p99_mm": 4.9, "cost_growth": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "title", "own", "better"),
    [
        *((f"static/{start}", f"static, {start} starts", [GUARDED], STATIC) for start in ("random", "rest", "near")),
        ("calibrated/static", "calibrated hand", [GUARDED], STATIC),
        ("tracking/smooth", "smooth path", [CONTROLLER], SMOOTH),
        ("tracking/singular", "singular pass", [CONTROLLER], SMOOTH),
        ("tracking/beyond", "out of reach", [CONTROLLER, FREE], BEYOND),
    ],
)
def test_a_peer_that_is_better_in_any_column_of_any_table_is_told(
    folder: str, title: str, own: list[str], better: dict[str, float]
) -> None:
    assert better_peers(hand_made()) == []
    for key, value in better.items():
        results = hand_made()
        put(results, f"{folder}/mink/{key}", value)
        lines = [line for line in better_peers(results) if not line.startswith("many hands")]
        assert len(lines) == len(own), (key, lines)
        for name, line in zip(own, lines, strict=True):
            assert line.startswith(f"{title}, ") and ": mink " in line and f", {name} " in line


def test_the_best_of_several_better_peers_stands_beside_the_own_row() -> None:
    results = hand_made()
    put(results, "static/rest/pink/fine_p50_us", 45.0)
    put(results, "static/rest/mink/fine_p50_us", 44.0)
    put(results, "static/near/pink/share_fine", 0.95)
    put(results, "static/near/mink/share_fine", 0.99)
    assert better_peers(results) == [
        f"static, rest starts, time to 0.1 mm, p50: mink 44.0 us, {GUARDED} 50.0 us",
        f"static, near starts, hands within 0.1 mm: mink 99.0%, {GUARDED} 90.0%",
    ]


def test_a_peer_that_takes_many_hands_one_by_one_may_be_faster_for_few() -> None:
    results = hand_made()
    put(results, f"tracking/smooth/{CONTROLLER}/tick_p50_us", 5.0)
    put(results, "tracking/smooth/pink/tick_p50_us", 12.0)
    assert better_peers(results) == [
        f"many hands, 1 in one call, per hand and step: pink 12.0 us, {GUARDED} 40.0 us",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "total", "key"),
    [("static/random", "hands", "fine_p99_us"), ("tracking/singular", "ticks", "error_rms_mm")],
)
def test_a_peer_that_was_seen_on_a_part_alone_is_not_compared(folder: str, total: str, key: str) -> None:
    results = hand_made()
    put(results, f"{folder}/mink/{key}", 1e-6)
    assert len(better_peers(results)) == 1
    put(results, f"{folder}/mink/{total}", 60.0)
    assert better_peers(results) == []


def test_a_peer_that_gets_there_is_better_than_an_own_row_that_does_not() -> None:
    results = hand_made()
    put(results, f"static/random/{GUARDED}/fine_p99_us", math.inf)
    assert better_peers(results) == [f"static, random starts, time to 0.1 mm, p99: mink 90.0 us, {GUARDED} – us"]


def test_the_page_is_made_from_the_numbers_that_are_written_beside_it(tmp_path: Path) -> None:
    results = hand_made()
    put(results, "static/random/mink/fine_p99_us", math.inf)
    put(results, "tracking/smooth/mink/error_rms_mm", 0.0123456789)
    report.write_page(results, tmp_path)
    page, text = (tmp_path / "benchmark.md").read_text(), (tmp_path / record.FILE).read_text()
    plain = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert plain["static"]["random"]["mink"]["fine_p99_us"] is None
    assert plain["tracking"]["smooth"]["mink"]["error_rms_mm"] == 0.0123457
    assert report.text(record.read(tmp_path / record.FILE)) in page
    assert f"]({record.FILE})" in page and "runs/bench" not in page


def test_the_picture_of_tracking_shows_every_solver_by_its_distance_to_the_targets_as_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, drawn = hand_made(), {}
    put(results, f"tracking/smooth/{CONTROLLER}/target_rms_mm", 0.75)  # of its own late reference 0.01
    monkeypatch.setattr(plots, "_scatter", lambda points, *words, **more: drawn.update({words[3].name: points}))
    plots.draw(results, tmp_path)
    heights = {name: height for name, _, height in drawn["benchmark_tracking.png"]}
    assert heights == dict.fromkeys(results["tracking"]["smooth"], 0.02) | {CONTROLLER: 0.75}


def test_the_table_of_the_node_says_of_how_many_answers_its_latencies_are() -> None:
    results = hand_made()
    results["node"]["rates"]["333"]["controller"]["answers"] = 35.0
    head, _, _, row, *_ = (line.split("|") for line in report.node_table(results["node"]).splitlines())
    assert row[[cell.strip() for cell in head].index("answers")].strip() == "35.0"


def test_a_page_without_the_node_can_be_written(tmp_path: Path) -> None:
    report.write_page(hand_made() | {"node": None}, tmp_path)
    assert "bare relay |" not in (tmp_path / "benchmark.md").read_text()


def test_the_page_says_that_a_call_of_the_guarded_network_is_more_than_one_step(hand: Robot, tmp_path: Path) -> None:
    report.write_page(hand_made(), tmp_path)
    page = " ".join((tmp_path / "benchmark.md").read_text().split())
    introduction, steps = page.split("##")[0], page.split("## Guarded steps needed")[1].split("##")[0]
    for part in (introduction, steps):
        assert "up to 2 checked steps of damped least squares" in part
        assert f"8 steps of the network and 30 damped ones from each of {len(other_postures(hand))} postures" in part
