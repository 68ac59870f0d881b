"""The demo: simulated hand, controller and page in processes of their own, over DDS."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
import rclpy
from geometry_msgs.msg import Pose, PoseArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from nnik_ros.errors import NnikError
from nnik_ros.geometry import Array
from nnik_ros.nodes.demo_arguments import demo_parser
from nnik_ros.nodes.demo_monitor import LiveLine, Monitor
from nnik_ros.nodes.demo_processes import Processes, free_domain, may_use_realtime
from nnik_ros.nodes.demo_script import Oracle, Script
from nnik_ros.nodes.inbox import Inbox, newest
from nnik_ros.nodes.loading import load_named_driver, load_named_robot

_START_LIMIT = 30.0  # s for processes to start and find each other
_STEP = 0.02  # s between looks at the measured joints
_SHARE, _RATE_ERROR = 0.99, 0.01  # what the scripted run must reach
# the whole controller, since an ordinary thread of it that holds the interpreter lock would hold up its loop
_PROCESS_PRIORITY, _LOOP_PRIORITY = 20, 30


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


class Demo(Node):  # type: ignore[misc]
    """The demo's own ears and, in a scripted run, its mouth."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__("demo")
        self.robot, path = load_named_robot(arguments.robot)
        driver, self._joints = load_named_driver("simulated", self.robot)
        self._states = Inbox(self, JointState, driver.topic(driver.state), newest(1))
        self.monitor = Monitor(self, self.robot)
        self.script: Script | None = None
        if arguments.headless or arguments.play:
            rng = np.random.default_rng(arguments.seed)
            self.script = Script(self.robot, Oracle(self.robot, path), rng, 1e-3 * arguments.tolerance)
            self._publisher = self.create_publisher(PoseArray, "target_poses", 1)

    def measured(self) -> Array | None:
        """Newest joint position (nq,) [rad]; None when nothing new came."""
        for message in self._states.take():
            return self._joints.joint_position(message.name, message.position)
        return None

    def send(self, target: Array) -> None:
        """target (nt, 3) [m]."""
        message = PoseArray()
        message.header.frame_id = self.robot.base_frame
        message.header.stamp = self.get_clock().now().to_msg()
        for position in target.tolist():
            pose = Pose()
            pose.position.x, pose.position.y, pose.position.z = position
            message.poses.append(pose)
        self._publisher.publish(message)


def main(words: Sequence[str] | None = None) -> int:
    arguments = demo_parser(__doc__).parse_args(words)
    arguments.robot = arguments.robot or f"allegro_{arguments.hand}"
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    domain = arguments.domain or free_domain()
    with Processes(domain) as processes:
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
            return 1
        finally:
            rclpy.try_shutdown()


def _run(arguments: argparse.Namespace, processes: Processes, stop: threading.Event) -> int:
    load_named_robot(arguments.robot)  # a wrong name is told here, not by three processes
    if arguments.record and arguments.record.exists():
        raise DemoError(f"--record {arguments.record}: there is such a file already")
    _start_processes(arguments, processes)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Demo(arguments)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    _wait_until_ready(node, executor, processes, stop)
    if not arguments.headless:
        port = _port_of_page(processes, arguments, stop)
        domain = os.environ["ROS_DOMAIN_ID"]
        print(f"page: http://{arguments.host}:{port}   (ROS_DOMAIN_ID={domain}, Ctrl-C ends)", flush=True)
    seconds = arguments.seconds if arguments.seconds is not None else (20.0 if arguments.headless else math.inf)
    node.monitor.begin()
    _watch(node, executor, processes, stop, seconds)
    code = _summary(node, arguments, stop.is_set()) if node.script else 0
    if arguments.record:
        print(f"recorded: ./run replay {arguments.record}")
    return code


def _start_processes(arguments: argparse.Namespace, processes: Processes) -> None:
    robot = f"robot:={arguments.robot}"
    realtime = arguments.realtime == "auto" and may_use_realtime()
    if not realtime:
        print("demo: without real-time scheduling (see the README), so a busy machine delays the loop", file=sys.stderr)
    processes.start("sim_hand", "nnik_ros.nodes.sim_hand_node", [robot], _PROCESS_PRIORITY * realtime)
    control = [
        robot, f"model:={arguments.model}", "driver:=simulated", "start_paused:=false", f"closed_loop_gain:={arguments.gain}",
        f"rate:={arguments.rate}", f"realtime_priority:={_LOOP_PRIORITY * realtime}", *_recording(arguments),
    ]  # fmt: skip
    processes.start("controller", "nnik_ros.nodes.controller_node", control, _PROCESS_PRIORITY * realtime)
    if not arguments.headless:
        page = [robot, f"host:={arguments.host}", f"port:={arguments.port}"]
        processes.start("web", "nnik_ros.nodes.web_node", page)


def _recording(arguments: argparse.Namespace) -> list[str]:
    """What lets the controller record, if it shall."""
    return [f"record:={arguments.record.resolve()}", "record_topic:=true"] if arguments.record else []


def _wait_until_ready(
    node: Demo, executor: SingleThreadedExecutor, processes: Processes, stop: threading.Event
) -> None:
    """Until the hand's joints and the controller's status and statistics are heard."""
    limit = time.monotonic() + _START_LIMIT
    heard = False
    while not (heard and node.monitor.status.state not in ("", "WAITING_STATE") and node.monitor.loop.ticks):
        executor.spin_once(timeout_sec=_STEP)
        heard = heard or node.measured() is not None
        if fallen := processes.fallen():
            raise DemoError(fallen)
        if stop.is_set():
            return
        if time.monotonic() > limit:
            what = node.monitor.status.message if heard else "the simulated hand publishes no joint states"
            raise DemoError(f"not ready after {_START_LIMIT:.0f} s: {what}\n{processes.log('controller')}")


def _port_of_page(processes: Processes, arguments: argparse.Namespace, stop: threading.Event) -> int:
    """The page takes the next free port when the wanted one is in use; its log tells which."""
    marker = f"http://{arguments.host}:"
    limit = time.monotonic() + _START_LIMIT
    while time.monotonic() < limit and not stop.is_set():
        lines = [line for line in processes.log("web").splitlines() if "page of" in line and marker in line]
        if lines:
            return int(lines[-1].rsplit(":", 1)[1])
        if fallen := processes.fallen():
            raise DemoError(fallen)
        stop.wait(0.05)
    if stop.is_set():
        return int(arguments.port)
    raise DemoError(f"the page did not open within {_START_LIMIT:.0f} s:\n{processes.log('web')}")


def _watch(
    node: Demo, executor: SingleThreadedExecutor, processes: Processes, stop: threading.Event, seconds: float
) -> None:
    """Show the live line, play the script; until `seconds` are over and the last target is judged."""
    live = LiveLine()
    begin = time.monotonic()
    next_look = begin
    try:
        while not stop.is_set():
            executor.spin_once(timeout_sec=max(0.0, next_look - time.monotonic()))
            now = time.monotonic()
            if now < next_look:
                continue
            next_look = now + _STEP
            if fallen := processes.fallen():
                raise DemoError(fallen)
            if node.script is not None:
                q = node.measured()
                if q is not None:
                    node.script.advance(q, now, now - begin < seconds)
                if node.script.target is not None:
                    node.send(node.script.target)
            if now - begin >= seconds and (node.script is None or node.script.target is None):
                return
            live.show(now, node.monitor.line())
    finally:
        live.end()


def _summary(node: Demo, arguments: argparse.Namespace, interrupted: bool) -> int:
    assert node.script is not None
    error, reached = node.script.verdict()
    record = node.monitor.record()
    share = float(reached.mean()) if len(reached) else 0.0
    held = abs(record.rate / arguments.rate - 1.0) <= _RATE_ERROR
    p50, p95, largest = np.percentile(1e3 * error, (50, 95, 100)) if len(error) else (math.nan,) * 3
    print(f"targets sent     {len(error)}")
    print(f"reached          {100 * share:.1f} % (within {arguments.tolerance:g} mm; wanted {100 * _SHARE:.0f} %)")
    print(f"final tip error  median {p50:.3f} mm, 95 % {p95:.3f} mm, largest {largest:.3f} mm (measured, by MuJoCo)")
    print(f"loop rate        {record.rate:.2f} Hz (wanted {arguments.rate:g} within {100 * _RATE_ERROR:.0f} %)")
    print(f"missed periods   {record.missed}")
    passed = share >= _SHARE and held
    print("interrupted" if interrupted else "passed" if passed else "failed")
    return 130 if interrupted else 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
