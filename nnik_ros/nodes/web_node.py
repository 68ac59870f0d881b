"""The node `web`: a page that shows the robot and its targets, and steers both."""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import Any

import numpy as np

try:
    import viser
except ModuleNotFoundError as error:  # no rosdep key exists, so a workspace may lack it
    raise SystemExit(f"web: {error}; the page needs the Python package viser: pip install 'viser>=1.1'") from error
if not hasattr(viser.GuiApi, "main_panel"):
    raise SystemExit(f"web: viser is {viser.__version__}, must be 1.1 or newer: pip install 'viser>=1.1'")
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Point, PoseArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from nnik_ros.errors import InputError
from nnik_ros.nodes.calls import Calls
from nnik_ros.nodes.commands import MESSAGE_OF, read_command
from nnik_ros.nodes.conversions import positions_of
from nnik_ros.nodes.inbox import Inbox, newest, state_inbox
from nnik_ros.nodes.loading import load_named_driver, load_named_robot, prefixed
from nnik_ros.nodes.other_targets import hear_targets, stamp_of, target_sender
from nnik_ros.nodes.parameters import Parameters
from nnik_ros.nodes.process import run_node
from nnik_ros.nodes.status_reader import NO_LOOP, SILENT, STATUS_LIFE, no_status, read_loop, read_status, state_color
from nnik_ros.nodes.web_address import check_host, free_port, page_address
from nnik_ros.nodes.web_chooser import ParameterClient, chosen, model_choices, robot_choices
from nnik_ros.nodes.web_options import WebOptions
from nnik_ros.nodes.web_panel import SERVICES, Actions, Offers, Panel
from nnik_ros.nodes.web_presets import load_presets
from nnik_ros.nodes.web_scene import RobotScene, show_all, workspace_view
from nnik_ros.nodes.web_steering import Steering
from nnik_ros.nodes.web_targets import TargetHandles

_PANEL_PERIOD, _PLOT_PERIOD = 0.1, 0.15  # s
_MODEL_PERIOD = 1.0  # s
_PATIENCE = 2.0  # s, for another node that has just begun
_NOTE_TIME = 6.0  # s, that an answer is shown
_TIPS_LIFE = 1.0  # s, that the tips which the controller told last are shown


class _Server(viser.ViserServer):  # type: ignore[misc]  # viser has no types
    """A page that nobody can have published on the internet."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        return None


class WebNode(Node):  # type: ignore[misc]
    """Draws in a timer of its executor. What people do arrives in the page's threads and takes `_lock`."""

    def __init__(self) -> None:
        super().__init__("web", automatically_declare_parameters_from_overrides=True)
        options = Parameters(self, WebOptions, fixed=lambda: True).options(WebOptions)
        check_host(options.host)
        self._robot, path = load_named_robot(options.robot)
        self._base_frame = prefixed(self._robot.base_frame, options.frame_prefix)
        self._presets = {preset.name: preset for preset in load_presets(path, self._robot)}
        self._lock = threading.Lock()
        self._note, self._note_until = "", 0.0
        self._status, self._loop = no_status(self._robot.tip_names), NO_LOOP
        self._status_until = math.inf
        self._tips, self._tips_until = self._robot.kinematics.tip_position(self._robot.home), 0.0
        self._next_panel = self._next_plot = 0.0
        send = target_sender(self, self._robot.tip_names)
        self._steering = Steering(self._robot.nt, lambda tip, position: send(tip, self._base_frame, position))
        self._connect_topics(options)
        self._build_page(options)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # it draws and steers whatever the ROS time does
        self.create_timer(1.0 / options.frame_rate, self._draw, clock=steady)
        self.create_timer(_MODEL_PERIOD, self._follow_model, clock=steady)
        address = page_address(options.host, self._server.get_port())
        self.get_logger().info(f"page of {self._robot.name}: {address}")

    def close(self) -> None:
        self._server.stop()

    # construction

    def _connect_topics(self, options: WebOptions) -> None:
        robot = self._robot
        self._driver, self._joints = load_named_driver(options.driver, robot)
        namespace, kind = options.driver_namespace, MESSAGE_OF[self._driver.command_type]
        self._states = state_inbox(self, self._driver, namespace)
        self._commands: Inbox[Any] = Inbox(self, kind, self._driver.topic(self._driver.command, namespace), newest(1))
        hear_targets(self, robot.tip_names, self._heard)
        self.create_subscription(PoseArray, "tip_poses", self._take_tips, newest(1))
        self.create_subscription(DiagnosticStatus, "status", self._take_status, newest(1))
        self.create_subscription(DiagnosticArray, "diagnostics", self._take_diagnostics, newest(5))
        self._triggers = {
            name: self.create_client(Trigger, f"{options.controller}/{name.lower()}") for name in SERVICES
        }
        self._calls = Calls()
        self._enablers = [self.create_client(SetBool, f"{tip}/enable") for tip in robot.tip_names]
        self._controller = ParameterClient(self, options.controller)
        self._chooser = ParameterClient(self, options.chooser) if options.chooser else None
        self._models = model_choices(robot)
        self._robots = robot_choices(options.robot, *filter(None, [options.own_robot]))

    def _build_page(self, options: WebOptions) -> None:
        robot, view = self._robot, workspace_view(self._robot)
        self._server = _Server(options.host, free_port(options.host, options.port), label=robot.name, verbose=False)
        self._scene = RobotScene(self._server, robot, view)
        self._handles = TargetHandles(self._server, robot, view, self._on_drag)
        actions = Actions(
            self._call_service, self._enable, self._play, self._scene.set_ghost_visible, self._scene.set_trails_visible,
            self._handles.set_visible, self._choose_robot, self._choose_model,
        )  # fmt: skip
        present = next(choice.label for choice in self._robots if choice.value == options.robot)
        offers = Offers(
            tuple(self._presets), present, tuple(choice.label for choice in self._robots) if self._chooser else (),
            tuple(choice.label for choice in self._models),
        )  # fmt: skip
        self._panel = Panel(self._server, robot.name, robot.tip_names, offers, actions)
        self._server.on_client_connect(lambda client: show_all(client, view))
        self._server.on_client_disconnect(self._on_leave)
        self._scene.show_measured(robot.home)
        self._scene.show_commanded(robot.home)
        for tip in range(robot.nt):
            self._handles.place(tip, self._tips[tip])

    # what people do

    def _on_drag(self, tip: int, position: Any) -> None:
        with self._lock:
            self._steering.drag(tip, position)

    def _on_leave(self, client: viser.ClientHandle) -> None:
        """Nobody looks any more: nobody means the targets any more."""
        self._handles.release(client.client_id)
        if not self._server.get_clients():
            with self._lock:
                self._steering.release()

    def _play(self, name: str) -> None:
        with self._lock:
            self._steering.play(self._presets[name], time.monotonic())

    def _call_service(self, name: str) -> None:
        if name != "Start":
            with self._lock:
                self._steering.release()
        self._call(self._triggers[name], Trigger.Request(), name.lower())

    def _choose_robot(self, label: str) -> None:
        """Whoever changes the robot ends this node; the page comes back with the next one."""
        (name,) = (choice.value for choice in self._robots if choice.label == label)

        def answered(refusal: str) -> None:
            if refusal:
                self._panel.show_robot()
            self._tell(f"{label}: {refusal}" if refusal else f"{label} is being started")

        if self._chooser is None or not self._chooser.appears(_PATIENCE):
            answered("nobody is there to change the robot")
        else:
            self._chooser.set("robot", name, answered)

    def _choose_model(self, label: str) -> None:
        name = next((choice.value for choice in self._models if choice.label == label), None)
        if name is None or not self._controller.appears(_PATIENCE):
            self._tell(f"{label}: no controller is there to take it")
        else:
            self._controller.set("model", name, lambda refusal: self._tell(f"{label}: {refusal or 'in use'}"))

    def _follow_model(self) -> None:
        """Somebody else may choose the network too."""
        if self._controller.ready:
            self._controller.get("model", self._show_model)

    def _show_model(self, model: str) -> None:
        """A network that was not offered so far can be chosen again from now on."""
        choice = chosen(self._models, model)
        if choice not in self._models:
            self._models = (*self._models, choice)
        self._panel.show_model(choice.label)

    def _enable(self, tip: int, enabled: bool) -> None:
        self._call(self._enablers[tip], SetBool.Request(data=enabled), "enable")

    def _call(self, client: Any, request: Any, what: str) -> None:
        """Called in a thread of the page; the answer is handled by the executor."""
        if not client.service_is_ready():
            self._tell(f"{what}: no controller answers at {client.srv_name}")
            return
        self._calls.add(client, request, self._tell)

    def _tell(self, note: str) -> None:
        self._note, self._note_until = note, time.monotonic() + _NOTE_TIME

    # what arrives

    def _heard(self, tip: int, header: Header, p: Point) -> None:
        known = header.frame_id == self._base_frame  # the page knows no other frames
        with self._lock:
            self._steering.heard(tip, np.array((p.x, p.y, p.z)) if known else None, stamp_of(header), time.monotonic())

    def _take_tips(self, message: PoseArray) -> None:
        """The controller knows the calibration of the hand, the page does not."""
        if len(message.poses) == self._robot.nt:
            self._tips, self._tips_until = positions_of(message), time.monotonic() + _TIPS_LIFE

    def _take_status(self, message: DiagnosticStatus) -> None:
        self._status = read_status(message, self._robot.tip_names)
        self._status_until = time.monotonic() + STATUS_LIFE

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        self._loop = read_loop(message) or self._loop

    # what the page shows

    def _draw(self) -> None:
        now = time.monotonic()
        self._calls.go_on()
        with self._lock:
            self._steering.update(now)
            goals = [self._steering.goal(tip, now) for tip in range(self._robot.nt)]
        measured, commanded = self._measured(), self._commanded()
        with self._server.atomic():
            if measured is not None:
                if now > self._tips_until:  # no controller tells them
                    self._tips = self._robot.kinematics.tip_position(measured)
                self._scene.show_measured(measured)
                self._scene.extend_trails(self._tips)
            for tip, goal in enumerate(goals):  # targets are set, and followed, whether or not the joints are heard
                self._handles.place(tip, self._tips[tip] if goal is None else goal)
            if commanded is not None:
                self._scene.show_commanded(commanded)
            self._show_status(now)

    def _show_status(self, now: float) -> None:
        if now > self._status_until:
            self._status, self._loop = no_status(self._robot.tip_names, SILENT), NO_LOOP
        if now >= self._next_panel:
            self._next_panel = now + _PANEL_PERIOD
            for tip, status in enumerate(self._status.tips):
                self._handles.paint(tip, state_color(status.state))
            self._panel.show_status(self._status, self._loop, self._note if now < self._note_until else "")
        if now >= self._next_plot and self._status.state:
            self._next_plot = now + _PLOT_PERIOD
            self._panel.plot(now, self._status, self._loop)

    def _measured(self) -> Any:
        """Newest joint position (nq,) [rad], None when nothing usable came since the last call."""
        newest_q = None
        for message in self._states.take():
            try:
                if self._joints.concerns(message.name):
                    newest_q = self._joints.joint_position(message.name, message.position)
            except InputError as error:
                self._tell(f"joint states: {error}")
        return newest_q

    def _commanded(self) -> Any:
        newest_q = None
        for message in self._commands.take():
            try:
                newest_q = read_command(self._driver, self._joints, message)
            except InputError as error:
                self._tell(f"commands: {error}")
        return newest_q


def main() -> int:
    return run_node(WebNode)


if __name__ == "__main__":
    sys.exit(main())
