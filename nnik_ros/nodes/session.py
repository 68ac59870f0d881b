"""All that exists while the controller is configured: its topics, its loop, and what passes between them."""

from __future__ import annotations

import gc
import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray, PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.geometry import Array
from nnik_ros.nodes.chores import Chores
from nnik_ros.nodes.commands import MESSAGE_OF, CommandOutput
from nnik_ros.nodes.control_loop import ControlLoop
from nnik_ros.nodes.conversions import type_name
from nnik_ros.nodes.frames import Frames, TfLookup
from nnik_ros.nodes.inbox import Inbox, newest, state_inbox
from nnik_ros.nodes.intake import Refusals, StateIntake, TargetIntake
from nnik_ros.nodes.loading import Loaded
from nnik_ros.nodes.node_options import NodeOptions
from nnik_ros.nodes.other_publishers import OtherPublishers
from nnik_ros.nodes.realtime import RealtimeReport, apply_realtime, keep_awake, prepare_interpreter, release_interpreter
from nnik_ros.nodes.receivers import Receivers
from nnik_ros.nodes.statistics import DataStatistics, TimedNetwork
from nnik_ros.nodes.tape_writer import make_controller
from nnik_ros.policy import Policy
from nnik_ros.states import Measurement, Targets, TickResult

_WARM_UP_TICKS = 50
_COLLECT = 1.0  # s between garbage collections


class Session:
    """The control thread owns the controller, the inputs and the commands. Other threads ask through the methods
    that queue requests for its next tick, and read `result`, which is replaced as a whole."""

    def __init__(self, node: Node, loaded: Loaded, options: NodeOptions, control: ControllerOptions) -> None:
        self.robot = loaded.robot
        self.loaded = loaded
        self.result: TickResult | None = None
        self.fault = ""
        self.realtime = RealtimeReport()
        self._awake = ExitStack()  # what the loop's processors are kept awake by
        self._node, self._log = node, node.get_logger()
        self.refusals = Refusals(self._log.warning)
        self._options, self._cpus = options, loaded.cpus
        self._warm_up(loaded, control)
        self._policy = loaded.policy
        self._enabled = [True] * loaded.robot.nt
        self._requests: deque[Callable[[], None]] = deque()
        self.chores = Chores()
        self.chores.add(gc.collect, _COLLECT)
        self._on_change: Callable[[], None] = lambda: None
        self._command: Array | None = None  # what the hand holds, as long as this controller is started
        self.seen: tuple[Array, Time] | None = None  # newest believed joint position (nq,) [rad] and its stamp
        self._state_sent = math.nan  # s, wall clock: when it was sent
        self._signature: tuple[bytes, int] = (b"", 0)
        with ExitStack() as parts:  # what was made before something fails does not stay
            self._connect(control, parts)
            self._parts = parts.pop_all()
        self.loop = ControlLoop(
            1.0 / control.rate, self._tick, self._on_error, spin=options.spin, setup=self._set_up_thread,
            meanwhile=self.chores.serve,
        )  # fmt: skip
        self.data = DataStatistics(self.robot.nt, self.loop.period)
        # a second controller that tells its status here hears the same services and targets, whatever hand it moves
        alone = {self._output.topic: type_name(MESSAGE_OF[loaded.driver.command_type])}
        alone[node.resolve_topic_name("status")] = type_name(DiagnosticStatus)
        if not loaded.driver.other_joints:
            alone[self._states.topic] = type_name(JointState)
        self.others = OtherPublishers(node, alone, self._log.warning)

    def _connect(self, control: ControllerOptions, parts: ExitStack) -> None:
        """The recording and the topics; what ends them goes to `parts`."""
        node, loaded, options = self._node, self.loaded, self._options
        driver, namespace = loaded.driver, options.driver_namespace
        self._controller, end_recording = make_controller(node, loaded, options, control)
        parts.callback(end_recording)
        self._states = state_inbox(node, driver, namespace)
        parts.callback(self._states.destroy, node)
        self._all_targets = Inbox(node, PoseArray, "target_poses", newest(1))
        parts.callback(self._all_targets.destroy, node)
        self._tip_targets: list[Inbox[PoseStamped]] = []
        for tip in loaded.robot.tip_names:
            self._tip_targets.append(Inbox(node, PoseStamped, f"{tip}/target_pose", newest(1)))
            parts.callback(self._tip_targets[-1].destroy, node)
        self._output = CommandOutput(node, driver, loaded.joints, driver.topic(driver.command, namespace), control.rate)
        parts.callback(self._output.destroy, node)
        self._tf = TfLookup(node, options.tf_timeout)
        parts.callback(self._tf.close)
        self._state = StateIntake(loaded.robot, loaded.joints, self._states.topic, self.refusals)
        frames = Frames(loaded.robot, self._tf, options.frame_prefix)
        self.base_frame = frames.base
        self._targets = TargetIntake(loaded.robot, frames, self.refusals)

    # from the executor's thread

    @property
    def state_topic(self) -> str:
        return self._states.topic

    @property
    def passed_over(self) -> Sequence[str]:
        """Joints of others on a shared state topic, of the last message that had none of the robot's."""
        return self._state.passed_over

    @property
    def state_timeout(self) -> float:
        """[s]"""
        return self._controller.options.state_timeout

    @property
    def target_topic(self) -> str:
        return self._all_targets.topic

    @property
    def targets(self) -> Array:
        """Newest targets (nt, 3) [m] in the base frame, nan where there is none."""
        return self._targets.targets.position

    @property
    def enabled(self) -> tuple[bool, ...]:
        """Switches of the tips, as they were last asked for."""
        return tuple(self._enabled)

    @property
    def command_topic(self) -> str:
        return self._output.topic

    @property
    def command_receivers(self) -> Receivers:
        return self._output.receivers

    @property
    def benched(self) -> bool:
        """Whether the network is out of use, because it did not help for long."""
        return self._controller.benched

    def start_loop(self, on_change: Callable[[], None]) -> None:
        """Begin to tick; `on_change` is called by the control thread after a change of any state."""
        self._on_change = on_change
        self.realtime = RealtimeReport()
        prepare_interpreter()
        # what waited there may be of any age; not in the thread, which may take its time to begin, for what is sent as soon as
        # the activation is answered counts
        for inbox in (self._states, self._all_targets, *self._tip_targets):
            inbox.take()
        self.loop.start()

    def stop_loop(self) -> None:
        """End after the running tick; the last command holds."""
        self.loop.stop()
        self._awake.close()
        self._serve_requests()  # a start that came too late must not wait for the next activation
        self._controller.forget()
        self._output.forget()
        self._state.forget()
        self._targets.clear()
        self.data.forget()
        self.result = self._command = None
        release_interpreter()

    def destroy(self) -> None:
        self._parts.close()

    def follow(self) -> None:
        self._requests.append(self._controller.start)

    def pause(self) -> None:
        self._requests.append(self._controller.pause)

    def home(self) -> None:
        self._requests.append(self._controller.home)

    def reset(self) -> None:
        self._requests.extend((self._controller.reset, self._targets.clear))

    def enable(self, tip: int, enabled: bool) -> None:
        self._enabled[tip] = enabled
        wanted = self.enabled
        self._requests.append(lambda: self._controller.set_enabled(wanted))

    def change_options(self, options: ControllerOptions) -> None:
        """Raises InputError: a number of weights that does not fit the robot's tips."""
        options.tip_speed(self.robot.nt)
        options.tip_pointing(self.robot.nt)
        self._requests.append(lambda: self._controller.set_options(options))

    def change_policy(self, policy: Policy | None) -> None:
        def change() -> None:
            self._policy = policy
            self._controller.set_policy(policy)

        self._requests.append(change)

    # in the control thread

    def _set_up_thread(self) -> None:
        options = self._options
        apply_realtime(options.realtime_priority, options.lock_memory, self._cpus, self.realtime)
        if options.keep_awake:
            self._awake.enter_context(keep_awake(self.realtime))
        for text in self.realtime.got:
            self._log.info(text)
        for text in self.realtime.refused:
            self._log.warning(text)

    def _tick(self, now: float) -> None:
        self._serve_requests()
        sent = self._take_inputs(now)
        measurement = self._state.measured(commanded=self._command is not None)
        result = self._controller.tick(now, measurement, self._targets.targets)
        if result.command is not None:
            self._command = result.command
        elif not self._controller.started:
            self._command = None
        went_out = self._output.put(result.command)
        inference = self._policy.take_spent() if isinstance(self._policy, TimedNetwork) else math.nan
        self.data.record(result, went_out, inference, self._state_sent, sent)
        self.result = result
        self.fault = ""
        signature = (result.tip_state.tobytes(), len(self.refusals.reasons))
        if signature != self._signature:
            self._signature = signature
            self._on_change()

    def _serve_requests(self) -> None:
        while self._requests:
            self._requests.popleft()()

    def _take_inputs(self, now: float) -> list[float]:
        """Returns when the targets that came were sent [s, wall clock]. Messages of others, and refused ones, have no age."""
        for state, sent in self._states.take_sent():
            believed = self._state.take(state, now, self._command, self._controller.options.max_lead)
            if believed is not None:
                self.seen, self._state_sent = (believed.q, state.header.stamp), sent
        known, oldest = self._state.measurement, now - self._controller.options.state_timeout
        q = known.q if known is not None and known.stamp >= oldest else None  # what moves may be anywhere by now
        targets_sent: list[float] = []
        for poses, sent in self._all_targets.take_sent():
            if self._targets.take_all(self._all_targets.topic, poses, now, q):
                targets_sent.append(sent)
        # after the array: of two targets at once the particular one counts
        for tip, inbox in enumerate(self._tip_targets):
            for pose, sent in inbox.take_sent():
                if self._targets.take_one(inbox.topic, tip, pose, now, q):
                    targets_sent.append(sent)
        return targets_sent

    def _on_error(self, error: Exception) -> None:
        if not rclpy.ok():
            self.loop.request_stop()
            return
        fault = f"internal error, the last command holds: {type(error).__name__}: {error}"
        if fault != self.fault:
            self.fault = fault
            self._log.error(fault, throttle_duration_sec=1.0)
            self._on_change()

    @staticmethod
    def _warm_up(loaded: Loaded, control: ControllerOptions) -> None:
        """First calls are slow; they are made on a controller that is thrown away."""
        controller = Controller(loaded.robot, loaded.policy, control, loaded.collision)
        controller.start()
        home = loaded.robot.home
        targets = Targets(loaded.robot.kinematics.tip_position(home) + 0.005, np.zeros(loaded.robot.nt))
        for _ in range(_WARM_UP_TICKS):
            controller.tick(0.0, Measurement(home, 0.0), targets)
        if isinstance(loaded.policy, TimedNetwork):
            loaded.policy.take_spent()  # it is of no tick
