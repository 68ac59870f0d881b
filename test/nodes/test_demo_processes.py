"""The demo's processes end with it, whatever happens to it."""

from __future__ import annotations

import functools
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from node_bench import Lab
from sourced import needs

from nnik_ros.errors import InputError
from nnik_ros.nodes.demo import _summary, _tell_page
from nnik_ros.nodes.demo_arguments import read_arguments
from nnik_ros.nodes.demo_landmarks import LandmarkScript
from nnik_ros.nodes.demo_processes import Processes, free_domain
from nnik_ros.nodes.demo_script import Oracle, Script
from nnik_ros.nodes.process import Stop
from nnik_ros.nodes.web_address import check_host, free_port, page_address
from nnik_ros.paths import robot_file
from nnik_ros.retarget import TipPath
from nnik_ros.robot import load_robot
from test.robustness.processes import PATIENCE, flood_with_signals

ROOT = Path(__file__).resolve().parents[2]
STUBBORN = "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)\n"

IMPORTING = """
import time
print("up", flush=True)
while True:
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        pass
"""

TELLING = (
    "import rclpy\nfrom rclpy.node import Node\nrclpy.init()\n"
    "node = Node('telling', automatically_declare_parameters_from_overrides=True)\n"
    "print(repr(node.get_parameter('given').value), flush=True)\n"
)


@pytest.fixture
def stubborn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that does not end when asked."""
    (tmp_path / "stubborn_child.py").write_text(STUBBORN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "stubborn_child"


def test_a_child_that_ignores_the_polite_signal_is_killed_within_two_seconds(stubborn: str) -> None:
    """Of three tries the quickest counts, as below."""

    def seconds_to_kill() -> float:
        with Processes(free_domain()) as processes:
            processes.start("stubborn", stubborn, {})
            wait_for(lambda: "up" in processes.log("stubborn"))
            (child,) = processes._children
            begin = time.monotonic()
        spent = time.monotonic() - begin
        assert child.process.returncode == -signal.SIGKILL
        assert living("stubborn_child") == []
        return spent

    assert any(seconds_to_kill() < 2.0 for _ in range(3))


def test_a_child_that_is_still_importing_ends_when_asked_although_libraries_lose_interrupts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "importing_child.py").write_text(IMPORTING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Processes(free_domain(), patience=20.0) as processes:
        processes.start("importing", "importing_child", {})
        wait_for(lambda: "up" in processes.log("importing"))
        (child,) = processes._children
    assert child.process.returncode == -signal.SIGTERM  # not killed


def test_a_child_that_falls_is_named_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "falling_child.py").write_text("raise SystemExit('no such robot')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Processes(free_domain()) as processes:
        processes.start("falling", "falling_child", {})
        wait_for(lambda: bool(processes.fallen()))
        assert re.search(r"falling ended with exit code 1:\nno such robot", processes.fallen())


@pytest.mark.parametrize(
    "given",
    [
        "/hands/my hand #2/r.jsonl",
        "/hands/a: b.yaml",
        "[new].yaml",
        "5",
        "yes",
        "~",
        "",
        'a "b" \\n c',
        "händ",
        7,
        2.5,
        True,
    ],
)
def test_a_child_gets_each_parameter_as_it_was_given_whatever_stands_in_it(
    given: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "telling_child.py").write_text(TELLING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with Processes(free_domain()) as processes:
        processes.start("telling", "telling_child", {"given": given})
        wait_for(lambda: bool(processes.fallen()))
        assert processes.log("telling").splitlines()[-1] == repr(given)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_ends_the_whole_demo_without_waiting_for_anything(number: signal.Signals) -> None:
    """Of three tries the quickest counts: what else the machine does can only lengthen one."""
    patience_with_children = 1.2  # s
    assert any(seconds_to_end(number) < patience_with_children + 5.0 * seconds_of_a_bare_node() for _ in range(3))


def seconds_to_end(number: signal.Signals) -> float:
    """From the signal to the end of the demo, which takes all its processes along."""
    for process in demo("--headless", "--seconds", "600"):
        begin = time.monotonic()
        process.send_signal(number)
        assert process.wait(PATIENCE) == 130
        spent = time.monotonic() - begin
        assert children_in_session(process.pid) == []
    return spent


def seconds_of_a_bare_node() -> float:
    """How long a process takes that begins and ends with ROS: some 0.28 s where nothing else runs."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "import rclpy; rclpy.init(); rclpy.shutdown()"], check=True)
    return time.monotonic() - begin


def test_signals_that_come_until_its_end_end_the_demo() -> None:
    """One that interrupted the handler of another waited for its lock for ever, and the hand moved on; on Kilted one that came
    while ROS ended killed the demo."""
    for process in demo("--headless", "--robot", "planar_2r", "--seconds", "600"):
        flood_with_signals(process)
        assert process.wait(PATIENCE) == 130
        assert children_in_session(process.pid) == []


def test_under_nohup_the_demo_outlives_its_terminal() -> None:
    nohup = functools.partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)
    for process in demo("--headless", "--seconds", "600", before=nohup):
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 130


def test_a_domain_is_given_to_one_demo_only_also_before_its_nodes_have_begun() -> None:
    """Two that were started at once were given the same one now and then, and moved one another's hands."""
    program = (
        "from nnik_ros.nodes.demo_processes import free_domain\nprint(*(free_domain() for _ in range(20)), flush=True)"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    both = [
        subprocess.Popen([sys.executable, "-c", f"{program}\ninput()"], cwd=ROOT, text=True, **pipes) for _ in range(2)
    ]
    given = [domain for one in both if one.stdout for domain in one.stdout.readline().split()]
    for one in both:
        one.communicate("\n")
    assert len(given) == len(set(given)) == 40


def test_an_unknown_robot_is_told_before_anything_starts() -> None:
    done = finished("--headless", "--robot", "alegro")
    assert done.returncode == 2
    assert "robot 'alegro' is unknown; shipped: allegro_left, allegro_right" in done.stderr


def test_an_empty_name_of_a_robot_is_no_robot() -> None:
    done = finished("--headless", "--robot", "")
    assert done.returncode == 2
    assert "robot '' is unknown; shipped: allegro_left, allegro_right" in done.stderr


@pytest.mark.parametrize("option", ["--record", "--hand-map"])
def test_a_name_that_is_too_long_for_a_file_is_refused(option: str) -> None:
    recorded = ROOT / "examples" / "landmarks" / "made_up_hand.csv"
    done = finished("--headless", "--landmarks", str(recorded), option, "x" * 300)
    assert done.returncode == 2
    assert done.stderr.endswith("x' cannot be looked at: File name too long\n")


def test_a_run_shorter_than_a_second_is_judged_by_a_rate_too() -> None:
    done = finished("--headless", "--robot", "planar_2r", "--seconds", "0.1")
    (rate,) = re.findall(r"loop rate +(\S+) Hz", done.stdout)
    assert float(rate) > 0.0


@pytest.mark.parametrize("recorded", [False, True])
def test_a_run_that_is_interrupted_before_its_first_target_ended_says_that_none_was_judged(
    recorded: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    file = robot_file("planar_2r")
    robot = load_robot(file)
    script: Any = Script(robot, Oracle(robot, file), np.random.default_rng(1), 1e-3)
    if recorded:
        path = TipPath(np.array([0.0, 1.0]), np.zeros((2, 1, 3)))
        script = LandmarkScript(robot, path, 1.0, 0.005, repeat=False)
    script.advance(robot.home, 0.0, more=True)  # the first target is sent
    monitor = SimpleNamespace(record=lambda: SimpleNamespace(rate=math.nan, missed=0))
    node: Any = SimpleNamespace(script=script, monitor=monitor)
    arguments: Any = SimpleNamespace(rate=333.0)
    assert script.target is not None and _summary(node, arguments, interrupted=True) == 130
    printed = capsys.readouterr().out
    assert "no target was judged\nloop rate        - Hz" in printed and printed.endswith("interrupted\n")
    assert not re.search(r"\b(nan|inf)\b|reached", printed)


def test_a_page_on_an_address_that_is_not_here_is_refused_before_anything_starts() -> None:
    done = finished("--host", "nosuch.invalid")
    assert done.returncode == 2
    assert done.stderr.startswith("demo: host 'nosuch.invalid' cannot be resolved: ")
    assert "must be a name or address of this machine" in done.stderr


@pytest.mark.parametrize(
    ("host", "words"),
    [("", "cannot be resolved"), ("x" * 300, "cannot be resolved"), ("192.0.2.1", "is no address of this machine")],
)
def test_a_host_is_refused_with_the_reason(host: str, words: str) -> None:
    with pytest.raises(InputError, match=f"host '{host}' {words}: .+; must be "):
        check_host(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_the_addresses_of_this_machine_are_taken(host: str) -> None:
    check_host(host)


def test_the_next_port_is_taken_when_one_is_in_use_and_none_behind_the_last() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert taken < free_port("127.0.0.1", taken) < taken + 100
    with socket.create_server(("127.0.0.1", 65535)), pytest.raises(InputError, match="port: none from 65535 to 65535"):
        free_port("127.0.0.1", 65535)


@needs("viser")
def test_the_page_says_at_once_that_no_port_is_free(lab: Lab) -> None:
    """It once waited for ever for a server that had ended, and no signal ended it."""
    with socket.create_server(("127.0.0.1", 65535)):
        process = lab.start("web_node", lab.station().namespace, port=65535)
        assert process.exit_code() == 1
        assert "port: none from 65535 to 65535 is free on host '127.0.0.1': Address already in use" in process.output


def test_the_address_of_the_page_is_told_again_only_where_its_port_was_taken_during_a_change_of_robot(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    arguments = read_arguments("", [])
    told = []
    for port in (8081, 8081, 8082, 8082):
        log = f"[INFO] [1.5] [web]: page of hand: http://127.0.0.1:{port}"
        _tell_page(arguments, SimpleNamespace(log=lambda name, log=log: log), Stop())  # type: ignore[arg-type]
        told.append(re.findall(r"http://\S+", capsys.readouterr().out))
    assert told == [["http://127.0.0.1:8081"], [], ["http://127.0.0.1:8082"], []]


def test_an_address_is_told_as_a_browser_takes_it() -> None:
    assert page_address("127.0.0.1", 8080) == "http://127.0.0.1:8080"
    assert page_address("::1", 8080) == "http://[::1]:8080"


@needs("viser")
def test_the_node_of_the_page_says_at_once_that_it_cannot_listen(lab: Lab) -> None:
    process = lab.start("web_node", lab.station().namespace, host="192.0.2.1")
    assert process.exit_code() == 1
    assert "host '192.0.2.1' is no address of this machine" in process.output


def finished(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A demo that refuses to start, or ends by itself."""
    command = [sys.executable, "-m", "nnik_ros.nodes.demo", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


def demo(*arguments: str, before: Callable[[], object] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A demo whose hand is heard. before: called in its process at first."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "nnik_ros.nodes.demo", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "NNIK_DEMO_TEST": str(os.getpid())}, preexec_fn=before,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert any(" Hz | " in line for line in process.stdout)
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: object) -> None:
    deadline = time.monotonic() + PATIENCE
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
