"""The demo's processes end with it, whatever happens to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnik_ros.nodes.demo_processes import Processes, free_domain

ROOT = Path(__file__).resolve().parents[2]
STUBBORN = (
    "import signal, sys, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)\n"
)


@pytest.fixture
def stubborn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that does not end when asked."""
    (tmp_path / "stubborn_child.py").write_text(STUBBORN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "stubborn_child"


def test_a_child_that_ignores_the_polite_signal_is_gone_within_two_seconds(stubborn: str) -> None:
    with Processes(free_domain()) as processes:
        processes.start("stubborn", stubborn, [])
        wait_for(lambda: "up" in processes.log("stubborn"))
        begin = time.monotonic()
    assert time.monotonic() - begin < 2.0
    assert living("stubborn_child") == []


def test_a_child_that_falls_is_named_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "falling_child.py").write_text("raise SystemExit('no such robot')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Processes(free_domain()) as processes:
        processes.start("falling", "falling_child", [])
        wait_for(lambda: bool(processes.fallen()))
        assert re.search(r"falling ended with exit code 1:\nno such robot", processes.fallen())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_the_whole_demo_within_two_seconds(number: signal.Signals) -> None:
    for process in demo("--headless", "--seconds", "600"):
        begin = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 130
        assert time.monotonic() - begin < 2.5
        assert children_in_session(process.pid) == []


def test_an_unknown_robot_is_told_before_anything_starts() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nnik_ros.nodes.demo", "--headless", "--robot", "alegro"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "robot 'alegro' is unknown; shipped: allegro_left, allegro_right" in done.stderr


def demo(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A demo whose hand is heard."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "nnik_ros.nodes.demo", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "NNIK_DEMO_TEST": str(os.getpid())},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert any(" Hz | " in line for line in process.stdout)
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: object, limit: float = 20.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def living(word: str) -> list[str]:
    """Command lines of this machine that contain the word."""
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if word in line]


def children_in_session(parent: int) -> list[str]:
    """Processes that carry the mark that `demo` set and are no demo themselves."""
    found = []
    mark = f"NNIK_DEMO_TEST={os.getpid()}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != parent:
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in variables:
                found.append(entry.name)
    return found
