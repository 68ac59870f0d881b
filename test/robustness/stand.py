"""A stand: controller, simulated hand, line and observer in a namespace of their own; and the workshop that owns them."""

from __future__ import annotations

import itertools
import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

import nnik_ros.controller  # noqa: F401  # compiles the loops of a tick: no row waits for that
from nnik_ros.driver import load_driver
from nnik_ros.geometry import Array
from nnik_ros.paths import driver_file, robot_file
from nnik_ros.robot import load_robot
from test.robustness.bench_node import Executor, PromiseError, Sender, StateLine, StatusLog, wait_for
from test.robustness.judge import Findings
from test.robustness.messages import pose_array
from test.robustness.processes import PATIENCE, Observer, Process, ros_arguments
from test.robustness.questions import ask

CONTROLLER, SIM_HAND = "nnik_ros.nodes.controller_node", "nnik_ros.nodes.sim_hand_node"
TRUE_STATES = "hand/joint_states"
_STILL = 0.003  # rad, of a command that holds
_numbers = itertools.count()


class Workshop:
    """Starts processes and stands, and ends all of them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self.executor = Executor()
        self._open: list[Process | Stand] = []
        self.robot = load_robot(robot_file("allegro_right"))

    def start(
        self, module: str, namespace: str, parameters: Mapping[str, Any], remaps: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> Process:  # fmt: skip
        process = Process(module, ros_arguments(namespace, parameters, remaps or {}), self.folder, before=before)
        self._open.append(process)
        return process

    @property
    def stands(self) -> list[Stand]:
        return [part for part in self._open if isinstance(part, Stand)]

    def program(self, module: str, *arguments: str) -> Process:
        """A helper of the tests in a process of its own."""
        process = Process(module, arguments, self.folder)
        self._open.append(process)
        return process

    def observer(self, namespace: str, robot: str, driver: str, states: str, rate: float) -> Observer:
        profile = load_driver(driver_file(driver))
        period = math.ceil(rate / profile.rate - 0.1) / rate
        arguments = {
            "robot": robot, "driver": driver, "namespace": namespace, "states": states,
            "commands": profile.topic(profile.command), "period": str(period),
        }  # fmt: skip
        words = [word for key, value in arguments.items() for word in (f"--{key}", value)]
        observer = Observer("test.robustness.observer", words, self.folder)
        self._open.append(observer)
        return observer

    def stand(
        self, driver: str = "simulated", *, robot: str = "", hand: bool = True, line: bool = True, **parameters: Any
    ) -> Stand:
        """robot: a shipped one, this workshop's by default."""
        stand = Stand(self, robot or self.robot.name, driver, hand=hand, line=line, parameters=parameters)
        self._open.append(stand)
        return stand

    def discard(self, part: Process | Stand) -> None:
        part.close()
        with suppress(ValueError):
            self._open.remove(part)

    def close(self) -> None:
        for part in self._open[::-1]:  # stands take themselves off the list
            part.close()
        self._open.clear()
        self.executor.close()
        self._folder.cleanup()


class Stand:
    """Follows by default with the shipped network. With a line, the states pass through this process on their way."""

    def __init__(
        self, workshop: Workshop, robot: str, driver: str, *, hand: bool, line: bool, parameters: Mapping[str, Any]
    ) -> None:
        self.workshop, self.robot = workshop, load_robot(robot_file(robot))
        self.namespace = f"/stand_{os.getpid()}_{next(_numbers)}"
        self.parameters = {
            "robot": robot, "driver": driver, "start_paused": False, "status_rate": 50, "target_timeout": 0.5, **parameters
        }  # fmt: skip
        self._given = {"robot": robot, "driver": driver}
        self.node = workshop.executor.node("bench", self.namespace)
        self.status = StatusLog(self.node)
        self.sender = Sender(self.node, "target_poses", self.robot.base_frame)
        profile = load_driver(driver_file(driver))
        self._remaps = {"joint_states": TRUE_STATES} if line else {}
        self.line = StateLine(self.node, TRUE_STATES, profile.topic(profile.state)) if line else None
        states = TRUE_STATES if line else profile.topic(profile.state)
        rate = float(self.parameters.get("rate", 333.0))
        self.observer = workshop.observer(self.namespace, robot, driver, states, rate)
        self.sim = self.start_sim() if hand else None
        self.controller = self.start_controller()
        self.may_end = False  # whether the end of the controller is what a row asks for
        self.found: list[Findings] = []  # windows taken since the row began
        self._publishers: dict[str, Any] = {}
        self._flip = 0

    # processes

    def start_sim(self) -> Process:
        return self.workshop.start(SIM_HAND, self.namespace, self._given, self._remaps)

    def start_controller(self, **changed: Any) -> Process:
        return self.workshop.start(CONTROLLER, self.namespace, {**self.parameters, **changed})

    def close(self) -> None:
        self.sender.close()
        self.workshop.executor.remove(self.node)
        for process in (self.controller, self.sim, self.observer):
            if process is not None:
                self.workshop.discard(process)

    # what a row asks

    def publish(self, topic: str, message: Any, qos: Any = 1) -> None:
        """Publish once somebody listens."""
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(type(message), topic, qos)
        publisher = self._publishers[topic]
        wait_for(lambda: publisher.get_subscription_count() > 0, f"somebody to listen to {topic}")
        publisher.publish(message)

    def call(self, kind: type[Any], service: str, request: Any = None, limit: float = PATIENCE) -> Any:
        return ask(self.node, kind, service, request or kind.Request(), partial(wait_for, limit=limit))

    def trigger(self, name: str) -> Trigger.Response:
        return self.call(Trigger, f"controller/{name}")

    def enable(self, tip: str, enabled: bool) -> SetBool.Response:
        return self.call(SetBool, f"{tip}/enable", SetBool.Request(data=enabled))

    def set_parameters(self, **values: Any) -> tuple[bool, str]:
        request = SetParametersAtomically.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        )
        result = self.call(SetParametersAtomically, "controller/set_parameters_atomically", request).result
        return bool(result.successful), str(result.reason)

    def change(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.call(ChangeState, "controller/change_state", request).success)

    def wait(self, condition: Callable[[], Any], what: str, limit: float = PATIENCE) -> float:
        """See `wait_for`; does not wait for a controller that has ended."""

        def holds() -> bool:
            if not self.controller.alive and not self.may_end:
                raise PromiseError(f"the controller ended while this waited for {what}")
            return bool(condition())

        return wait_for(holds, what, limit)

    def until(self, state: str, key: str = "state", limit: float = PATIENCE) -> float:
        """Seconds until a fresh status shows `state`."""
        before = self.status.count
        return self.wait(
            lambda: self.status.count > before and self.status.values.get(key) == state,
            f"{key} {state}; the status says {self.status.message!r}", limit,
        )  # fmt: skip

    def hand(self) -> Array:
        """Joints (nq,) [rad] of the hand itself."""
        line = self.line
        if line is None:
            raise PromiseError("this stand has no line")
        wait_for(lambda: line.newest is not None, "joint states of the hand")
        assert line.newest is not None
        return np.array(line.newest.position)

    def goal(self, share: float = 1.0) -> Array:
        """Targets (nt, 3) [m] of a pose some 0.3 rad from home."""
        q = self.robot.home + share * np.array([0.05, 0.3, 0.2, 0.1] * 3 + [-0.1, 0.2, 0.2, 0.1])
        return self.robot.kinematics.tip_position(np.clip(q, self.robot.lower, self.robot.upper))

    def moving_path(self, t: float) -> Array:
        """All tips on a smooth reachable way, some 0.4 rad within 1.6 s."""
        return self.goal(0.5 + 0.5 * math.sin(4.0 * t))

    def moves(self, duration: float = 0.6) -> None:
        """Let the targets move, and see the commands move with them."""
        self.sender.path = self.moving_path
        self.until_moving()
        self.until_observed()
        time.sleep(duration)

    def until_moving(self) -> None:
        self.wait(lambda: self.status.values.get("state") in ("TRACKING", "LIMITED", "FALLBACK", "REACHED"), "motion")

    def until_observed(self) -> None:
        """The observer may discover the controller and the hand seconds later than they discover each other."""

        def observed() -> bool:
            found = self.look()
            return bool(found.command and (found.hand or self.sim is None))

        self.wait(observed, "the observer to hear the controller and the hand")

    def rests(self) -> None:
        """Stand at a goal, without any further target."""
        self.follows()
        self.sender.path = None
        self.until("STALE_TARGET")
        self.come_to_rest()

    def come_to_rest(self, limit: float = 5.0) -> float:
        """Seconds until the commands stood still."""
        self.look()

        def still() -> bool:
            self.count_statuses(5)  # of a controller that does not get its turn no commands come either
            return self.look().travel < 5e-4

        return self.wait(still, "the commands to rest", limit)

    def count_statuses(self, n: int) -> None:
        """Let n more statuses come: the passing of time, as the controller sees it."""
        before = self.status.count
        self.wait(lambda: self.status.count >= before + n, f"{n} statuses")

    def follows(self, limit: float = PATIENCE) -> float:
        """Seconds until all tips reached a goal other than the last one. The hand must really have moved."""
        self._flip = 1 - self._flip
        goal = self.goal(float(self._flip))
        self.sender.path = lambda t: goal
        time.sleep(0.1)
        before = self.status.count
        return self.wait(
            lambda: self.status.count > before and self._is_at(goal),
            f"all tips at a fresh goal; the status says {self.status.message!r}", limit,
        )  # fmt: skip

    def _is_at(self, goal: Array) -> bool:
        """Whether the controller says so, and the commands themselves agree."""
        if any(self.status.values.get(f"{tip}.state") != "REACHED" for tip in self.robot.tip_names):
            return False
        found = self.look()
        if not found.command or (self.sim is not None and not found.hand):  # the observer may discover them late
            return False
        off = self.robot.kinematics.tip_position(np.array(found.command)) - goal
        return bool(np.linalg.norm(off, axis=-1).max() < 0.001)

    def observer_command(self) -> Array:
        """The last command (nq,) [rad], as observed; what was found stays for the row's own judgement."""
        command = self.look().command
        if not command:
            raise PromiseError("no command was ever observed")
        return np.array(command)

    def look(self) -> Findings:
        """The findings since the last look, kept for the judgement of the row."""
        self.found.append(self.observer.window())
        return self.found[-1]

    def holds(self) -> float:
        """How far [rad] the command moved since the last look. Raises PromiseError when that is no holding."""
        travel = self.look().travel
        if travel > _STILL:
            raise PromiseError(f"the command moved by {travel:.4f} rad")
        return travel

    def send_goal(self, goal: Array) -> None:
        self.publish("target_poses", pose_array(self.robot.base_frame, goal))
