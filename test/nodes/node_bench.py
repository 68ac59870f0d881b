"""Nodes in processes of their own, and a bench in the test's process that talks to them."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from nnik_ros.driver import Driver, joint_map, load_driver
from nnik_ros.nodes.commands import MESSAGE_OF, read_command
from nnik_ros.paths import driver_file
from nnik_ros.robot import Robot
from test.robustness.messages import pose_array as pose_array
from test.robustness.messages import pose_stamped as pose_stamped
from test.robustness.processes import PATIENCE, Process, ros_arguments
from test.robustness.questions import ask

_numbers = itertools.count()
_HEARD = 1000  # commands that wait while the test's process does not get its turn


class Station:
    """A node in the test's process with a thread that serves it; what it hears is kept under the topic's name."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.node = rclpy.create_node("station", namespace=namespace)
        self.heard: dict[str, list[Any]] = {}
        self._ears: dict[str, Any] = {}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self._publishers: dict[str, Any] = {}

    def listen(self, kind: type[Any], topic: str, qos: Any = 10) -> list[Any]:
        """All messages of a topic from the time on at which its publisher is discovered, which may take seconds."""
        if topic not in self.heard:
            self.heard[topic] = []
            take = self.heard[topic].append
            self._ears[topic] = self.node.create_subscription(kind, topic, lambda message: take(message), qos)
        return self.heard[topic]

    def would_hear(self, topic: str) -> bool:
        """Whether a publisher of the topic is discovered: from now on silence means something."""
        return bool(self._ears[topic].get_publisher_count() > 0)

    def publish(self, topic: str, message: Any) -> None:
        """Publish, once somebody listens."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(type(message), topic, 1)
        publisher = self._publishers[topic]
        wait_for(lambda: publisher.get_subscription_count() > 0, f"somebody to listen to {topic}")
        publisher.publish(message)

    def call(self, kind: type[Any], service: str, request: Any = None) -> Any:
        return ask(self.node, kind, service, request or kind.Request(), wait_for)

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()

    def _spin(self) -> None:
        while not self._end.is_set():
            self._executor.spin_once(timeout_sec=0.05)


class PerfectHand:
    """Speaks a driver profile and stands where the last command put it, at once."""

    def __init__(
        self, station: Station, robot: Robot, driver: Driver, start: np.ndarray, names: list[str] | None = None
    ):
        self.q = np.array(start, dtype=float)
        self.commands: list[np.ndarray] = []
        self.messages: list[Any] = []
        self.silent = False
        self.disturb: Callable[[JointState], None] = lambda message: None
        self._driver, self._joints = driver, joint_map(driver, robot)
        self._names = names or list(self._joints.names)
        kind = MESSAGE_OF[driver.command_type]
        self._node = station.node
        self._publisher = station.node.create_publisher(JointState, driver.topic(driver.state), driver.state.depth)
        self._ear = station.node.create_subscription(kind, driver.topic(driver.command), self._take, _HEARD)
        station.node.create_timer(0.01, self._publish)

    @property
    def connected(self) -> bool:
        """Whether a controller is discovered: from now on every command is heard."""
        return bool(self._ear.get_publisher_count() > 0)

    def fall_deaf(self) -> None:
        """Hear no more commands."""
        self._node.destroy_subscription(self._ear)

    def _take(self, message: Any) -> None:
        self.messages.append(message)
        self.q = read_command(self._driver, self._joints, message)
        self.commands.append(self.q)

    def _publish(self) -> None:
        if self.silent:
            return
        by_name = dict(zip(self._joints.names, self._joints.to_array(self.q), strict=True))
        message = JointState(name=list(self._names), position=[float(by_name[name]) for name in self._names])
        self.disturb(message)
        self._publisher.publish(message)


class Bench:
    """A controller in a process, a hand, and what a test asks of both."""

    def __init__(self, station: Station, robot: Robot, hand: PerfectHand | None, process: Process) -> None:
        self.station, self.robot, self.process = station, robot, process
        self._hand = hand
        self.statuses: list[DiagnosticStatus] = station.listen(DiagnosticStatus, "status")

    @property
    def hand(self) -> PerfectHand:
        assert self._hand is not None
        return self._hand

    @property
    def values(self) -> dict[str, str]:
        """The newest status; waits for the first."""
        wait_for(lambda: bool(self.statuses), "a status", self.process)
        return {pair.key: pair.value for pair in self.statuses[-1].values}

    @property
    def message(self) -> str:
        wait_for(lambda: bool(self.statuses), "a status", self.process)
        return str(self.statuses[-1].message)

    def state(self, key: str = "state") -> str:
        """A value of the newest status; empty when it has none, as that of an inactive controller."""
        return self.values.get(key, "")

    def until(self, state: str, key: str = "state", meanwhile: Callable[[], None] = lambda: None) -> None:
        """Until a value of the status is `state`; `meanwhile` is repeated as long as it is not."""

        def arrived() -> bool:
            meanwhile()
            return self.state(key) == state

        wait_for(arrived, f"{key} {state}", self.process, every=0.02)

    def trigger(self, name: str) -> Trigger.Response:
        return self.station.call(Trigger, f"controller/{name}")

    def enable(self, tip: str, enabled: bool) -> SetBool.Response:
        return self.station.call(SetBool, f"{tip}/enable", SetBool.Request(data=enabled))

    def send(self, goal: np.ndarray) -> None:
        """One message with targets (nt, 3) [m] for all tips."""
        self.station.publish("target_poses", pose_array(self.robot.base_frame, goal))

    def reach(self, goal: np.ndarray) -> None:
        """Send targets (nt, 3) [m] until the hand is there and the status says so."""

        def there() -> bool:
            self.send(goal)
            near = np.linalg.norm(self.tips() - goal, axis=-1).max() < 0.0006
            return bool(near) and self.state("state") == "REACHED"

        wait_for(there, f"REACHED, and the hand at its goal, {goal.round(4).tolist()}", self.process, every=0.02)

    def set_out(self, goal: np.ndarray, way: float) -> None:
        """Send targets until a joint has moved by `way` [rad]."""
        start = self.hand.q.copy()

        def moved() -> bool:
            self.send(goal)
            return bool(np.abs(self.hand.q - start).max() > way)

        wait_for(moved, "motion", self.process)

    def come_to_rest(self) -> np.ndarray:
        """The joint position (nq,) [rad] of the hand once it stands still."""

        def rests() -> bool:
            before = self.hand.q
            self.count_statuses(3)
            return bool(np.abs(self.hand.q - before).max() < 1e-6)

        wait_for(rests, "the hand to rest", self.process)
        return self.hand.q.copy()

    def fall_silent(self) -> int:
        """The number of commands once no more come."""

        def silent() -> bool:
            before = len(self.hand.commands)
            self.count_statuses(3)
            return len(self.hand.commands) == before

        wait_for(silent, "the controller to fall silent", self.process)
        return len(self.hand.commands)

    def tips(self) -> np.ndarray:
        """Where the hand's joints put the tips (nt, 3) [m]."""
        return self.robot.kinematics.tip_position(self.hand.q)

    def count_statuses(self, n: int) -> None:
        """Let n more statuses come: the passing of time, as the controller sees it."""
        before = len(self.statuses)
        wait_for(lambda: len(self.statuses) >= before + n, f"{n} statuses", self.process)


def wait_for(
    condition: Callable[[], Any],
    what: str,
    process: Process | None = None,
    *,
    every: float = 0.01,
    limit: float = PATIENCE,
) -> None:
    """Fails with `what` (and the process's output) when the condition does not hold within the limit."""
    end = time.monotonic() + limit
    while not condition():
        log = f"; output:\n{process.output}" if process else ""
        assert process is None or process.alive, f"the process ended while the test waited for {what}{log}"
        assert time.monotonic() < end, f"waited {limit} s for {what}{log}"
        threading.Event().wait(every)


def diagnostics_of(arrays: list[DiagnosticArray], part: str) -> dict[str, str]:
    """The newest values of one part of the diagnostics."""
    (status,) = (status for status in arrays[-1].status if status.name.endswith(f": {part}"))
    return {pair.key: pair.value for pair in status.values}


class Lab:
    """Starts nodes and stations, and ends all of them."""

    def __init__(self, robot: Robot, log_dir: Path) -> None:
        self.robot, self.log_dir = robot, log_dir
        self._open: list[Process | Station] = []

    def station(self) -> Station:
        """A station in a namespace that no other one has."""
        station = Station(f"/test_{os.getpid()}_{next(_numbers)}")
        self._open.append(station)
        return station

    def start(self, module: str, namespace: str, **parameters: Any) -> Process:
        """A node of the package, which checks the fields of every message that it makes."""
        process = Process(
            f"nnik_ros.nodes.{module}", ros_arguments(namespace, parameters), self.log_dir,
            environment={"ROS_PYTHON_CHECK_FIELDS": "1"},
        )  # fmt: skip
        self._open.append(process)
        return process

    def bench(
        self,
        driver: str = "simulated",
        *,
        described: Robot | None = None,
        names: list[str] | None = None,
        **parameters: Any,
    ) -> Bench:
        """A controller that follows with damped least squares, and a perfect hand that stands at home; described: a shipped
        robot, this lab's by default."""
        robot, station = described or self.robot, self.station()
        hand = PerfectHand(station, robot, load_driver(driver_file(driver)), robot.home, names)
        settings = {
            "model": "none",
            "robot": robot.name,
            "driver": driver,
            "start_paused": False,
            "status_rate": 50,
            "rate": 100,
            **parameters,
        }
        return Bench(station, robot, hand, self.start("controller_node", station.namespace, **settings))

    def close(self) -> None:
        for part in reversed(self._open):
            part.close()
