"""The demo: simulated hand, controller and page in processes of their own, over DDS."""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from nnik_ros.errors import NnikError
from nnik_ros.nodes.demo_arguments import read_arguments
from nnik_ros.nodes.demo_monitor import LiveLine
from nnik_ros.nodes.demo_node import Demo
from nnik_ros.nodes.demo_processes import Processes, free_domain
from nnik_ros.nodes.process import Stop, ignore_signals, on_signals, shut_down
from nnik_ros.nodes.realtime import may_use_realtime
from nnik_ros.nodes.web_address import check_host, page_address
from nnik_ros.paths import given_path

_PATIENCE = 60.0  # s for what takes a few: processes start and find each other, a rate is told after a short script
_STEP = 0.02  # s between looks at the measured joints
_RECORDING_PATIENCE = 10.0  # s that a controller may need on a busy machine to write the end of its recording
_END_LINE = 200  # bytes at most of the last line of a recording
_RATE_ERROR = 0.01  # what the scripted run may miss of its rate
# the whole controller, since an ordinary thread of it that holds the interpreter lock would hold up its loop
_PROCESS_PRIORITY, _LOOP_PRIORITY = 20, 30


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def main(words: Sequence[str] | None = None) -> int:
    arguments = read_arguments(__doc__, words)
    if arguments.robot is None:
        arguments.robot = f"allegro_{arguments.hand}"
    arguments.begun_with = arguments.robot, arguments.model
    stop = Stop()
    on_signals(stop.set)
    domain = arguments.domain or free_domain()
    try:
        return _in_domain(arguments, domain, stop)
    finally:
        ignore_signals()


def _in_domain(arguments: argparse.Namespace, domain: int, stop: Stop) -> int:
    recorded = {"patience": _RECORDING_PATIENCE} if arguments.record or arguments.record_bag else {}
    with Processes(domain, **recorded) as processes:
        os.environ.update(
            {
                name: processes.variables[name]
                for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOG_DIR")
            }
        )
        try:
            return _run(arguments, processes, stop)
        except (NnikError, DemoError) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 2  # 1 says that it ran, and the hand did not follow
        finally:
            shut_down()


def _run(arguments: argparse.Namespace, processes: Processes, stop: Stop) -> int:
    """One robot after the other, as they are chosen on the page."""
    if arguments.record and given_path(str(arguments.record)).exists():
        raise DemoError(f"--record {arguments.record}: there is such a file already")
    if not arguments.headless:
        check_host(arguments.host)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    code, choice = _play(arguments, processes, stop)
    while choice is not None:
        processes.stop()
        arguments.robot, arguments.model = choice
        print(f"\ndemo: {arguments.robot}, chosen on the page", flush=True)
        code, choice = _play(arguments, processes, stop)
    if arguments.record and not _ended(arguments.record, processes):
        return code or 2
    for recording in filter(None, (arguments.record, arguments.record_bag)):
        print(f"recorded: ./run replay {shlex.quote(str(recording))}")
    return code


def _ended(recording: Path, processes: Processes) -> bool:
    """Whether the controller wrote its recording to the end; says so where it did not, as on a full disk."""
    processes.stop()
    if recording.is_file():
        with recording.open("rb") as file:
            file.seek(-min(_END_LINE, recording.stat().st_size), os.SEEK_END)
            if b'"end"' in file.read():
                return True
    said = [line for line in processes.log("controller").splitlines() if "the recording ends here" in line]
    print("\n".join([*said, f"demo: --record {recording}: the end of the recording is missing"]), file=sys.stderr)
    return False


def _play(arguments: argparse.Namespace, processes: Processes, stop: Stop) -> tuple[int, tuple[str, str] | None]:
    """The exit code, and the robot and network that were chosen on the page, if any."""
    node = Demo(arguments)  # first of all, so that a wrong name is told here and not by three processes
    executor = SingleThreadedExecutor()
    try:
        executor.add_node(node)
        _start_processes(arguments, processes)
        _wait_until_ready(node, executor, processes, stop)
        if not arguments.headless:
            _tell_page(arguments, processes, stop)
        node.monitor.begin()
        _watch(node, executor, processes, stop, _seconds(arguments))
        if node.script:
            _hear_rate(node, executor, processes, stop)
        return (_summary(node, arguments, stop.is_set()) if node.script else 0), node.choice
    finally:
        if arguments.record_bag:
            processes.stop()
        node.close(executor)
        executor.shutdown()
        node.destroy_node()


def _seconds(arguments: argparse.Namespace) -> float:
    if arguments.seconds is not None:
        return float(arguments.seconds)
    return 20.0 if arguments.headless and not arguments.landmarks else math.inf


def _start_processes(arguments: argparse.Namespace, processes: Processes) -> None:
    robot = {"robot": arguments.robot}
    realtime = arguments.realtime == "auto" and may_use_realtime()
    if not realtime:
        print(
            "demo: without real-time scheduling (see docs/safety.md), so a busy machine delays the loop",
            file=sys.stderr,
        )
    processes.start("sim_hand", "nnik_ros.nodes.sim_hand_node", robot, _PROCESS_PRIORITY * realtime)
    control = {
        **robot, "model": arguments.model, "driver": "simulated", "start_paused": False, "closed_loop_gain": arguments.gain,
        "rate": arguments.rate, "realtime_priority": _LOOP_PRIORITY * realtime, **_recording(arguments),
    }  # fmt: skip
    processes.start("controller", "nnik_ros.nodes.controller_node", control, _PROCESS_PRIORITY * realtime)
    if not arguments.headless:
        page = {
            **robot, "host": arguments.host, "port": arguments.port, "chooser": "demo", "own_robot": arguments.begun_with[0],
        }  # fmt: skip
        processes.start("web", "nnik_ros.nodes.web_node", page)


def _recording(arguments: argparse.Namespace) -> dict[str, object]:
    """What lets the controller record, if it shall."""
    file: dict[str, object] = {"record": str(arguments.record.resolve())} if arguments.record else {}
    return {**file, "record_topic": True} if arguments.record_bag else file


def _wait_until_ready(node: Demo, executor: SingleThreadedExecutor, processes: Processes, stop: Stop) -> None:
    """Until the hand's joints and the controller's status and statistics are heard."""
    limit = time.monotonic() + _PATIENCE
    heard = False
    while not (heard and node.monitor.status.state not in ("", "WAITING_STATE") and node.monitor.loop.ticks):
        executor.spin_once(timeout_sec=_STEP)
        heard = heard or node.measured() is not None
        _check(processes)
        if stop.is_set():
            return
        if time.monotonic() > limit:
            what = node.monitor.status.message if heard else "the simulated hand publishes no joint states"
            raise DemoError(f"not ready after {_PATIENCE:.0f} s: {what}\n{processes.log('controller')}")


def _check(processes: Processes) -> None:
    """Raises DemoError: one has ended."""
    if fallen := processes.fallen():
        raise DemoError(fallen)


def _tell_page(arguments: argparse.Namespace, processes: Processes, stop: Stop) -> None:
    """Print the address of the page, once; from then on the page keeps its port, unless that was taken meanwhile."""
    port = _port_of_page(processes, arguments, stop)
    if not arguments.page_told or port != arguments.port:
        domain = os.environ["ROS_DOMAIN_ID"]
        print(f"page: {page_address(arguments.host, port)}   (ROS_DOMAIN_ID={domain}, Ctrl-C ends)", flush=True)
    arguments.port, arguments.page_told = port, True


def _port_of_page(processes: Processes, arguments: argparse.Namespace, stop: Stop) -> int:
    """The page takes the next free port when the wanted one is in use; its log tells which."""
    marker = page_address(arguments.host, "")
    limit = time.monotonic() + _PATIENCE
    while time.monotonic() < limit and not stop.is_set():
        lines = [line for line in processes.log("web").splitlines() if "page of" in line and marker in line]
        if lines:
            return int(lines[-1].rsplit(":", 1)[1])
        _check(processes)
        time.sleep(0.05)
    if stop.is_set():
        return int(arguments.port)
    raise DemoError(f"the page did not open within {_PATIENCE:.0f} s:\n{processes.log('web')}")


def _watch(node: Demo, executor: SingleThreadedExecutor, processes: Processes, stop: Stop, seconds: float) -> None:
    """Show the live line, play the script; until another robot is chosen, or the script (else the time) is over."""
    live = LiveLine()
    begin = time.monotonic()
    next_look = begin
    try:
        while not stop.is_set() and node.choice is None:
            executor.spin_once(timeout_sec=max(0.0, next_look - time.monotonic()))
            now = time.monotonic()
            if now < next_look:
                continue
            next_look = now + _STEP
            _check(processes)
            if node.play(now, now - begin < seconds):
                return
            live.show(now, node.monitor.line())
    finally:
        live.end()


def _hear_rate(node: Demo, executor: SingleThreadedExecutor, processes: Processes, stop: Stop) -> None:
    """The rate lies between two diagnostics, a second apart: after a shorter script they are waited for."""
    limit = time.monotonic() + _PATIENCE
    while math.isnan(node.monitor.record().rate) and time.monotonic() < limit and not stop.is_set():
        executor.spin_once(timeout_sec=_STEP)
        _check(processes)


def _summary(node: Demo, arguments: argparse.Namespace, interrupted: bool) -> int:
    assert node.script is not None
    record = node.monitor.record()
    print(node.script.report() if node.script.judged else "no target was judged")
    rate = "-" if math.isnan(record.rate) else f"{record.rate:.2f}"
    print(f"loop rate        {rate} Hz (wanted {arguments.rate:g} within {100 * _RATE_ERROR:.0f} %)")
    print(f"missed periods   {record.missed}")
    passed = node.script.passed and abs(record.rate / arguments.rate - 1.0) <= _RATE_ERROR
    print("interrupted" if interrupted else "passed" if passed else "failed")
    return 130 if interrupted else 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
