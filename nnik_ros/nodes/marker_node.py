"""The node `tip_markers`: one interactive marker per fingertip for RViz, which steers the tip while it is dragged."""

from __future__ import annotations

import functools
import math
import sys
import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point, PoseArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import InteractiveMarkerFeedback as Feedback

from nnik_ros.errors import InputError
from nnik_ros.nodes.conversions import pose_at, positions_of
from nnik_ros.nodes.inbox import newest
from nnik_ros.nodes.loading import load_named_robot, prefixed
from nnik_ros.nodes.marker_joints import MeasuredJoints
from nnik_ros.nodes.marker_options import MarkerOptions
from nnik_ros.nodes.marker_shapes import ENABLE, TRIGGERS, Look, look_of, tip_marker
from nnik_ros.nodes.marker_steering import DragSteering
from nnik_ros.nodes.other_targets import hear_targets, stamp_of, target_sender
from nnik_ros.nodes.parameters import Parameters
from nnik_ros.nodes.process import run_node
from nnik_ros.nodes.status_reader import SILENT, STATUS_LIFE, no_status, read_status

NAMESPACE = "tip_markers"  # of the topics between a viewer and this node
_PAINT_PERIOD = 0.5  # s; a repainted marker closes its menu, so a flickering state must not repaint all the time
_STILL = 2e-4  # m; a viewer is not told of less
_FEEDBACK_DEPTH = 100  # messages of viewers that wait


class MarkerNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Everything happens in the callbacks of one executor thread."""

    def __init__(self) -> None:
        super().__init__("tip_markers", automatically_declare_parameters_from_overrides=True)
        options = Parameters(self, MarkerOptions, fixed=lambda: True).options(MarkerOptions)
        self._robot, _ = load_named_robot(options.robot)
        self._base_frame = prefixed(self._robot.base_frame, options.frame_prefix)
        nt = self._robot.nt
        self._status = no_status(self._robot.tip_names)
        self._status_until = math.inf
        self._enabled = [True] * nt
        self._measured = self._robot.kinematics.tip_position(self._robot.home)  # (nt, 3)
        self._shown = np.full((nt, 3), np.inf)
        self._looks: list[Look | None] = [None] * nt
        self._next_paint = 0.0
        self._steering = DragSteering(nt, target_sender(self, self._robot.tip_names))
        self._joints = MeasuredJoints(self, self._robot, options.driver, options.driver_namespace)
        self._server = _marker_server(self)
        self._connect(options.controller)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # markers follow whatever the ROS time does
        self.create_timer(1.0 / options.update_rate, self._update, clock=steady)
        self.get_logger().info(f"markers of {', '.join(self._robot.tip_names)}: {self.get_namespace()} {NAMESPACE}")

    def close(self) -> None:
        self._server.shutdown()

    def _connect(self, controller: str) -> None:
        names = self._robot.tip_names
        hear_targets(self, names, self._heard)
        self.create_subscription(PoseArray, "tip_poses", self._take_tips, newest(1))
        self.create_subscription(DiagnosticStatus, "status", self._take_status, newest(1))
        self._triggers = {
            number: self.create_client(Trigger, f"{controller}/{name}") for number, name in TRIGGERS.items()
        }
        self._enablers = [self.create_client(SetBool, f"{tip}/enable") for tip in names]

    # what people do

    def _on_feedback(self, feedback: Feedback) -> None:
        tip, now = self._robot.tip_names.index(feedback.marker_name), time.monotonic()
        kind = feedback.event_type
        if kind == Feedback.POSE_UPDATE:
            self._drag(tip, feedback, now)
        elif kind == Feedback.KEEP_ALIVE:
            self._steering.keep(tip, now)
        elif kind == Feedback.MOUSE_UP:
            self._steering.let_go(tip, now)
        elif kind == Feedback.MENU_SELECT:
            self._choose(tip, feedback.menu_entry_id)

    def _drag(self, tip: int, feedback: Feedback, now: float) -> None:
        p = feedback.pose.position
        place = np.array((p.x, p.y, p.z))
        if not np.isfinite(place).all():
            self._shown[tip] = np.inf  # the server has put it there, so it has to be put back
            return
        self._shown[tip] = place
        frame = feedback.header.frame_id or self._base_frame
        if not self._steering.drag(tip, frame, place, now):
            self.get_logger().warning(
                f"{feedback.marker_name}: another publisher steers it, so dragging does nothing",
                throttle_duration_sec=2.0,
            )

    def _choose(self, tip: int, entry: int) -> None:
        if entry == ENABLE:
            wanted = not self._enabled[tip]
            self._call(self._enablers[tip], SetBool.Request(data=wanted), functools.partial(self._set, tip, wanted))
        elif entry in self._triggers:
            if TRIGGERS[entry] != "start":
                self._steering.release()
            self._call(self._triggers[entry], Trigger.Request(), lambda: None)

    def _call(self, client: Any, request: Any, then: Any) -> None:
        if not client.service_is_ready():
            self.get_logger().warning(f"no controller answers at {client.srv_name}")
            return

        def answered(future: Any) -> None:
            answer = future.result()
            self.get_logger().info(answer.message)
            if answer.success:
                then()

        client.call_async(request).add_done_callback(answered)

    def _set(self, tip: int, enabled: bool) -> None:
        self._enabled[tip] = enabled

    # what arrives

    def _heard(self, tip: int, header: Header, p: Point) -> None:
        self._steering.heard(tip, np.array((p.x, p.y, p.z)), stamp_of(header), time.monotonic())

    def _take_tips(self, message: PoseArray) -> None:
        if len(message.poses) == self._robot.nt:
            self._measured = positions_of(message)

    def _take_status(self, message: DiagnosticStatus) -> None:
        self._status = read_status(message, self._robot.tip_names)
        self._status_until = time.monotonic() + STATUS_LIFE
        for tip, status in enumerate(self._status.tips):
            if status.enabled is not None:
                self._enabled[tip] = status.enabled

    # what is shown

    def _update(self) -> None:
        now = time.monotonic()
        self._steering.update(now)
        self._joints.pass_on()
        if now > self._status_until:
            self._status = no_status(self._robot.tip_names, SILENT)
        paint = now >= self._next_paint
        if paint:
            self._next_paint = now + _PAINT_PERIOD
        for tip in range(self._robot.nt):
            if not self._steering.holds(tip):  # a marker that is told anything slips out of the hand that drags it
                self._show(tip, paint)
        self._server.applyChanges()

    def _show(self, tip: int, paint: bool) -> None:
        position = self._measured[tip]
        look = look_of(self._status.tips[tip].state, self._enabled[tip])
        name = self._robot.tip_names[tip]
        if paint and look != self._looks[tip]:
            reach = float(self._robot.kinematics.reach[tip])
            marker = tip_marker(name, self._base_frame, position, reach, look)
            self._server.insert(marker, feedback_callback=self._on_feedback)
            self._looks[tip] = look
        elif np.linalg.norm(position - self._shown[tip]) > _STILL:
            self._server.setPose(name, pose_at(position))
        else:
            return
        self._shown[tip] = position


def _marker_server(node: Node) -> Any:
    """Raises InputError where the package is not installed; it is part of ROS 2, not of PyPI."""
    try:
        from interactive_markers import InteractiveMarkerServer
    except ImportError as error:
        raise InputError(
            "the ROS 2 package interactive_markers is not installed: apt install ros-$ROS_DISTRO-interactive-markers; "
            "the browser page steers without it"
        ) from error
    # as deep as RViz's publisher: the default keeps but the newest message, and a marker that is let go gets two at once
    return InteractiveMarkerServer(node, NAMESPACE, feedback_sub_qos=QoSProfile(depth=_FEEDBACK_DEPTH))


def main() -> int:
    return run_node(MarkerNode)


if __name__ == "__main__":
    sys.exit(main())
