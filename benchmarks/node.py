"""`python -m benchmarks.node [--quick]`: the controller node beside a bare relay of the same architecture, in the same run.

Both are processes of their own with the package's `ControlLoop` and inboxes; the relay publishes what it was last sent and
computes nothing: what it shows is the floor of machine, middleware and interpreter. A third process sends joint states and
tip targets and measures. Nodes take turns; every figure is the median over the turns.

Period error: how far the begins of two ticks were from a period apart, as the loop itself measured it over its last 5 s; late:
share of the deadlines that were missed. Both nodes run with the same real-time options, those that this user may use; with
--keep-awake, which is for a look and not for the page, the machine enters no deep idle state either.

Latency: a target that steps aside comes with its send time, while the commands rest; the first command that moves again ends
the time. The controller's governor begins to move in the same tick. The posture of the free degrees, which moves on for seconds
after a target is reached, is switched off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray
from rclpy.node import Node
from sensor_msgs.msg import JointState

from nnik_ros.arguments import Help, check_writable, writing
from nnik_ros.errors import NnikError
from nnik_ros.geometry import Array
from nnik_ros.nodes.conversions import pose_at
from nnik_ros.nodes.inbox import Inbox, newest
from nnik_ros.nodes.realtime import RealtimeReport, keep_awake, may_use_realtime
from nnik_ros.paths import driver_file, robot_file
from nnik_ros.robot import Robot, load_robot

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "runs" / "bench" / "node.json"
RATES = (333, 1000)
_KINDS = ("relay", "controller")
_SHIFT = 0.002  # m, of the targets, one way and back
_LISTEN = 5e-5  # s between two looks for a command
_PATIENCE = 60.0  # s
_MOVED = 5e-7  # rad
_AT_REST = 20  # commands that did not move, before the next target


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="bench-node", description="The controller node beside a bare relay.", formatter_class=Help
    )
    parser.add_argument("--quick", action="store_true", help="one short turn each")
    parser.add_argument("--keep-awake", action="store_true", help="as the controller's option of that name")
    parser.add_argument("--robot", default="allegro_right", help="a shipped robot")
    options = parser.parse_args(arguments)
    turns, seconds = (1, 5.0) if options.quick else (5, 10.0)
    as_published = options.robot == parser.get_default("robot") and not options.keep_awake
    whole = not options.quick and as_published  # what the page may be made from
    file = RESULTS if whole else RESULTS.with_name("node-partial.json")
    try:
        check_writable(file, makes_folder=True)
        robot = load_robot(robot_file(options.robot))
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2
    awake = RealtimeReport()
    with keep_awake(awake) if options.keep_awake else nullcontext():
        if awake.refused:
            print(*awake.refused, file=sys.stderr)
            return 2
        results = _measured(robot, turns, seconds)
    from benchmarks import acceptance, report

    print(report.node_table(results))
    verdicts = list(acceptance.judge_node({"node": results}))
    print("\n" + report.verdict_table(verdicts))
    try:
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(results, indent=1))
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _measured(robot: Robot, turns: int, seconds: float) -> dict[str, object]:
    rclpy.init()
    try:
        results = {
            "load_before": os.getloadavg()[0], "turns": turns, "seconds": seconds, "date": time.strftime("%Y-%m-%d"),
            "rates": {str(rate): _rate(robot, rate, turns, seconds) for rate in RATES},
        }  # fmt: skip
    finally:
        rclpy.try_shutdown()
    return {**results, "realtime": _realtime(), "load_after": os.getloadavg()[0]}


def _rate(robot: Robot, rate: int, turns: int, seconds: float) -> dict[str, dict[str, float]]:
    scores: dict[str, list[dict[str, float]]] = {kind: [] for kind in _KINDS}
    for turn in range(turns):
        for kind in _KINDS if turn % 2 == 0 else _KINDS[::-1]:
            scores[kind].append(_turn(robot, kind, rate, seconds))
    return {
        kind: {key: float(np.median([score[key] for score in all_])) for key in all_[0]}
        for kind, all_ in scores.items()
    }


def _turn(robot: Robot, kind: str, rate: int, seconds: float) -> dict[str, float]:
    namespace = f"/bench_{kind}_{rate}"
    with tempfile.TemporaryDirectory() as folder:
        driver = Path(folder) / "driver.yaml"  # as fast as the loop, so that every tick is heard
        driver.write_text(driver_file("simulated").read_text().replace("rate: 333.0", f"rate: {float(rate)}"))
        return _turn_with(robot, kind, _command(kind, namespace, robot, rate, driver), namespace, rate, seconds)


def _turn_with(
    robot: Robot, kind: str, command: Sequence[str], namespace: str, rate: int, seconds: float
) -> dict[str, float]:
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)})
    probe = Probe(robot, namespace, kind)
    try:
        probe.begin()
        before = probe.statistics()
        used = _cpu_seconds(process.pid)
        started = time.monotonic()
        latencies, commands = probe.measure(seconds)
        share = (_cpu_seconds(process.pid) - used) / (time.monotonic() - started)
        return {**_latency(latencies, commands), **_loop(before, probe.statistics()), "cpu_share": share}
    finally:
        probe.close()
        process.terminate()
        process.wait()


def _command(kind: str, namespace: str, robot: Robot, rate: int, driver: Path) -> list[str]:
    values: dict[str, object] = {"rate": float(rate), "robot": robot.name, "driver": driver, "spin": 0.0, **_realtime()}
    if kind == "controller":
        values |= {"status_rate": 15.0, "start_paused": "false", "target_timeout": 0.0, "state_timeout": 2.0,
                   "posture_rate": 0.0}  # fmt: skip
    module = "benchmarks.relay" if kind == "relay" else "nnik_ros.nodes.controller_node"
    ros = ["--ros-args", "-r", f"__ns:={namespace}", "--log-level", "warn"]
    return [sys.executable, "-m", module, *ros, *(word for k, v in values.items() for word in ("-p", f"{k}:={v}"))]


def _realtime() -> dict[str, object]:
    """The last processor for the loop, and priority and locked memory where this user may use them."""
    allowed = may_use_realtime()
    return {
        "realtime_priority": 80 if allowed else 0, "lock_memory": str(allowed).lower(),
        "cpu_affinity": max(os.sched_getaffinity(0)),
    }  # fmt: skip


def _cpu_seconds(number: int) -> float:
    fields = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _latency(latencies: Sequence[float], commands: int) -> dict[str, float]:
    latency = np.array(latencies or [np.nan]) * 1e6
    return {
        **{f"latency_{name}_us": float(np.percentile(latency, share)) for share, name in ((50, "p50"), (99, "p99"))},
        "commands": float(commands), "answers": float(len(latencies)),
    }  # fmt: skip


def _loop(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What the loop measured, between two of its own statistics."""
    missed, ticks = (after[key] - before[key] for key in ("missed", "ticks"))
    spreads = {
        f"{what}_{share}_us": 1e3 * after[f"{key}_{share}_ms"]
        for what, key in (("jitter", "period_error"), ("compute", "compute")) for share in ("p50", "p99", "p999")
    }  # fmt: skip
    return {**spreads, "late_share": missed / max(1.0, missed + ticks)}


class Probe:
    """Plays the hand (it stands where it is told to) and the sender of targets."""

    def __init__(self, robot: Robot, namespace: str, kind: str) -> None:
        self._node = Node("probe", namespace=namespace)
        self._robot, self._kind = robot, kind
        self._q: Array = robot.home.copy()
        self._states = self._node.create_publisher(JointState, "joint_states", 3)
        self._targets = self._node.create_publisher(PoseArray, "target_poses", 1)
        self._commands: Inbox[JointState] = Inbox(self._node, JointState, "joint_cmd", newest(10))
        self._statistics: Inbox[DiagnosticStatus] = Inbox(self._node, DiagnosticStatus, "statistics", newest(1))
        self._home = robot.kinematics.tip_position(self._q)
        self._state = JointState(name=list(robot.joint_names))

    def begin(self) -> None:
        """Wait until the node answers joint states and a first target with commands."""
        finish = time.monotonic() + _PATIENCE
        while not self._commands.take():
            self._send_state()
            self._send_target(0.0)
            time.sleep(0.02)
            if time.monotonic() > finish:
                raise TimeoutError(f"{self._kind}: no command within {_PATIENCE:g} s")
        time.sleep(0.5)
        self._commands.take()

    def measure(self, seconds: float) -> tuple[list[float], int]:
        """Latencies [s] and how many commands came."""
        latencies: list[float] = []
        rng = np.random.default_rng(0)
        finish = time.monotonic() + seconds
        side, resting, commands = 0.0, 0, 0
        sent: float | None = None
        next_target = finish  # until the hand is at rest
        while time.monotonic() < finish:
            for message in self._commands.take():
                commands += 1
                q = np.array(message.position)
                moved = float(np.abs(q - self._q).max())
                self._q = q
                self._send_state()
                resting = resting + 1 if moved <= _MOVED else 0
                if sent is not None and moved > _MOVED:
                    latencies.append(time.monotonic() - sent)
                    sent = None
            if sent is None and resting < _AT_REST:
                next_target = time.monotonic() + rng.uniform(0.0, 0.003)  # at any place in the loop's period
            elif sent is None and time.monotonic() > next_target:
                side = _SHIFT - side
                sent = time.monotonic()
                self._send_target(side)
            time.sleep(_LISTEN)
        return latencies, commands

    def statistics(self) -> dict[str, float]:
        """The next statistics of the node itself."""
        self._statistics.take()
        finish = time.monotonic() + _PATIENCE
        while time.monotonic() < finish:
            for message in self._statistics.take():
                return {pair.key: float(pair.value) for pair in message.values if pair.key not in ("benched",)}
            for command in self._commands.take():  # the hand goes on meanwhile
                self._q = np.array(command.position)
                self._send_state()
            time.sleep(_LISTEN)
        raise TimeoutError(f"{self._kind}: no statistics within {_PATIENCE:g} s")

    def close(self) -> None:
        self._node.destroy_node()

    def _send_state(self) -> None:
        self._state.header.stamp = self._node.get_clock().now().to_msg()
        self._state.position = self._q.tolist()
        self._states.publish(self._state)

    def _send_target(self, side: float) -> None:
        message = PoseArray(poses=list(map(pose_at, self._home + (0.0, 0.0, side - _SHIFT))))
        message.header.frame_id = self._robot.base_frame
        self._targets.publish(message)


if __name__ == "__main__":
    sys.exit(main())
