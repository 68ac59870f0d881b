"""Which results of the node the page of the benchmark is made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import node
from nnik_ros.robot import Robot

KEYS = ("jitter_p50_us", "jitter_p99_us", "jitter_p999_us", "latency_p50_us", "latency_p99_us")


@pytest.fixture
def unmeasured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the results go, which nobody measures."""

    def rate(*_: Any) -> dict[str, dict[str, float]]:
        return {kind: dict.fromkeys(KEYS, 1.0) for kind in ("relay", "controller")}

    monkeypatch.setattr(node, "_rate", rate)
    monkeypatch.setattr(node, "RESULTS", tmp_path / "node.json")
    for function in ("init", "try_shutdown"):
        monkeypatch.setattr(node.rclpy, function, lambda: None)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ["node.json"]),
        (["--quick"], ["node-partial.json"]),
        (["--robot", "allegro_left"], ["node-partial.json"]),
    ],
    ids=["whole", "quick", "another robot"],
)
def test_only_a_whole_run_of_the_node_is_kept_for_the_page(
    words: list[str], names: list[str], unmeasured: Path
) -> None:
    assert node.main(words) == 0
    assert [path.name for path in unmeasured.iterdir()] == names


def test_results_of_the_node_that_a_full_disk_does_not_take_are_shown_and_told(
    unmeasured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (unmeasured / "node.json").symlink_to("/dev/full")
    assert node.main([]) == 2
    printed = capsys.readouterr()
    assert "node.json: 1 problem\n  - cannot be written: No space left" in printed.err and "relay" in printed.out


def test_an_unknown_robot_is_refused_with_the_shipped_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert node.main(["--robot", "alegro"]) == 2
    assert "robot 'alegro' is unknown; shipped: allegro_left, allegro_right" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["relay", "controller"])
def test_a_turn_of_either_node_gives_every_figure_of_the_table(kind: str, robot: Robot) -> None:
    tries = (node._turn(robot, kind, 333, 1.0) for _ in range(3))  # the machine may stand still for the second of one
    figures = next((figures for figures in tries if figures["answers"] > 0.0), {"answers": 0.0})
    assert figures["answers"] > 0.0 and figures["commands"] > 0.0
    assert all(np.isfinite(figures[key]) for key in (*KEYS, "compute_p50_us", "late_share", "cpu_share"))
