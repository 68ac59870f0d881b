"""What the command of the benchmark refuses, and what it leaves of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench, peers, record, report
from benchmarks.acceptance import Verdict
from benchmarks.solver import Absent

NODE = {"rates": {}, "date": "today", "load_before": 0.0, "load_after": 0.0, "turns": 5, "seconds": 10.0}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with a page, whose results nobody measures."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "benchmark.md").write_text("the page")
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "runs")
    monkeypatch.setattr(report, "text", lambda results: f"node of {results['node']['date']}")
    monkeypatch.setattr(bench, "judge", lambda results: [])
    monkeypatch.setattr(report.plots, "draw", lambda results, folder: [])
    return tmp_path


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The robots that were measured; nothing really is."""
    robots: list[str] = []

    def run(robot: Any, *_: Any, **__: Any) -> dict[str, Any]:
        robots.append(robot.name)
        return {"header": {}}

    monkeypatch.setattr(bench, "run", run)
    return robots


@pytest.mark.parametrize(
    "words", [["--quick"], ["--only", "placo"], ["--robot", "allegro_left"], ["--model", "allegro_right"]], ids=" ".join
)
def test_a_part_of_the_benchmark_never_replaces_the_page(
    words: list[str], root: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main([*words, "--write"])
    assert stopped.value.code == 2
    assert words[0] in capsys.readouterr().err
    assert not measured
    assert (root / "docs" / "benchmark.md").read_text() == "the page"


def test_a_run_in_which_a_solver_is_missing_never_replaces_the_page(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "load_peers", lambda scene: ([], [*peers.NOT_HERE, Absent("placo", "not installed")]))
    (root / "docs" / record.FILE).write_text(record.written({"node": NODE}))
    assert bench.main(["--write"]) == 2
    said = capsys.readouterr().err
    assert "placo: not installed" in said and "guarded network" in said  # whose file is not in this tree
    assert peers.NOT_HERE[0].name not in said
    assert (root / "docs" / "benchmark.md").read_text() == "the page"


def test_the_page_keeps_the_results_of_the_node_until_there_are_others(root: Path, measured: list[str]) -> None:
    page, numbers = root / "docs" / "benchmark.md", root / "docs" / record.FILE
    numbers.write_text(record.written({"node": NODE}))
    for _ in range(2):
        assert bench.main(["--write"]) == 0
        assert "node of today" in page.read_text()
        assert json.loads(numbers.read_text())["node"] == NODE
    (root / "runs" / "node.json").write_text(json.dumps(NODE | {"date": "tomorrow"}))
    assert bench.main(["--write"]) == 0
    assert "node of tomorrow" in page.read_text()
    assert measured == [bench.ROBOT] * 3


def test_a_run_for_oneself_is_not_judged_by_the_node_of_the_page(
    root: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "docs" / record.FILE).write_text(record.written({"node": NODE}))
    seen: list[Any] = []
    monkeypatch.setattr(report, "text", lambda results: seen.append(results["node"]))
    monkeypatch.setattr(
        bench, "judge", lambda results: [Verdict("node", "", None if results["node"] is None else False)]
    )
    assert bench.main([]) == 0
    own = NODE | {"date": "here"}
    (root / "runs" / "node.json").write_text(json.dumps(own))
    assert bench.main([]) == 1
    assert seen == [None, own]


def test_a_page_without_the_node_is_refused_before_anything_is_measured(
    root: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--write"]) == 2
    assert "./run bench-node" in capsys.readouterr().err
    assert not measured


def test_results_that_cannot_be_written_are_refused_before_anything_is_measured_and_told_after_they_are(
    root: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page, numbers = root / "docs" / "benchmark.md", root / "docs" / record.FILE
    numbers.write_text(record.written({"node": NODE}))
    page.unlink()
    page.symlink_to("/dev/full")
    assert bench.main(["--write"]) == 2
    printed = capsys.readouterr()
    assert f"{page.parent}: 1 problem\n  - cannot be written: No space left" in printed.err
    assert "node of today" in printed.out and measured == [bench.ROBOT]
    (root / "a file").touch()
    monkeypatch.setattr(bench, "RESULTS", root / "a file")
    assert bench.main([]) == 2
    assert "cannot be written: there is no folder" in capsys.readouterr().err and measured == [bench.ROBOT]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--robot", "nosuch"], "allegro_left"),
        (["--model", "nosuch.onnx", "--only", "network"], "'nosuch.onnx': there is no such file"),
        (["--model", "planar_2r"], "planar_2r"),
        (["--only", "damped", "xyz"], "--only xyz"),
        (["--only", "xyz"], "'controller tick'"),
    ],
    ids=" ".join,
)
def test_what_names_nothing_is_refused_with_what_there_is(
    words: list[str], said: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([*words, "--quick"]) == 2
    assert said in capsys.readouterr().err
    assert not (root / "runs").exists()
