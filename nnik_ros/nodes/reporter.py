"""All that the controller tells: by its control thread, between ticks, while the loop runs, and by timers while it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseArray
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from nnik_ros.geometry import Array
from nnik_ros.nodes.conversions import fill_poses, type_name
from nnik_ros.nodes.markers import marker_array
from nnik_ros.nodes.node_options import NodeOptions
from nnik_ros.nodes.session import Session
from nnik_ros.nodes.status import (
    controller_status,
    inactive_status,
    input_status,
    loop_status,
    others_in_words,
    publisher_status,
    publishers_in_words,
    statistics_status,
)
from nnik_ros.states import TickResult, TipState

_CLOSEST_STATUSES = 0.01  # s; a state that flickers must not flood the status
_SLOW = 1.0  # s between statistics
_LAST_WORD = Duration(seconds=0.5)  # at most, for the last status to arrive
_OF_JOINT_STATES = frozenset({TipState.WAITING_STATE, TipState.STALE_STATE})
_LOGGED = frozenset({
    TipState.WAITING_STATE, TipState.PAUSED, TipState.STALE_STATE, TipState.STALE_TARGET, TipState.FAULT, TipState.HOMING
})  # fmt: skip


class Reporter:
    """Publishes for one session, from its beginning to its end."""

    def __init__(self, node: Node, session: Session, options: NodeOptions) -> None:
        self._node, self._session, self._log = node, session, node.get_logger()
        self._name = node.get_fully_qualified_name()
        self._last_logged: TipState | None = None
        self._told_benched = False
        self._told_seen: tuple[Array, Time] | None = None
        self._status = node.create_publisher(DiagnosticStatus, "status", 1)
        self._poses = node.create_publisher(PoseArray, "tip_poses", 1)
        self._markers = node.create_publisher(MarkerArray, "markers", 1)
        self._diagnostics = node.create_publisher(DiagnosticArray, "diagnostics", 1)
        self._statistics = node.create_publisher(DiagnosticStatus, "statistics", 1)
        self._tip_poses = PoseArray()
        self._tip_poses.header.frame_id = session.base_frame
        chores = session.chores
        self._status_chore = chores.add(self.tell_status, 1.0 / options.status_rate)
        chores.add(self._tell_tip_poses, 1.0 / options.tip_pose_rate)
        chores.add(self._tell_markers, 1.0 / options.status_rate)
        looks = (session.others.look, session.command_receivers.look)
        for call in (*looks, self._tell_diagnostics, self._tell_statistics):
            chores.add(call, _SLOW)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # it tells its state whatever the ROS time does
        self._timers = [
            node.create_timer(1.0 / options.status_rate, self.tell_status, clock=steady),
            *(node.create_timer(_SLOW, call, clock=steady) for call in (*looks, self._tell_diagnostics_at_once)),
        ]

    def begin(self) -> None:
        """The control thread tells from now on: a timer would wake a thread that takes the interpreter from it."""
        for timer in self._timers:
            timer.cancel()

    def tell_soon(self) -> None:
        """Something changed."""
        self._status_chore.hurry(_CLOSEST_STATUSES)

    def end(self) -> None:
        """The loop has stopped."""
        self._last_logged = None
        self.tell_status()
        for timer in self._timers:
            timer.reset()

    def destroy(self) -> None:
        self._status.wait_for_all_acked(_LAST_WORD)  # a message may be gone with its publisher before it was read
        for timer in self._timers:
            self._node.destroy_timer(timer)
        for publisher in (self._status, self._poses, self._markers, self._diagnostics, self._statistics):
            self._node.destroy_publisher(publisher)

    def tell_status(self) -> None:
        session = self._session
        robot, result = session.robot, session.result
        if result is None:
            why = "the loop does not run; activate the node"
            self._status.publish(inactive_status(self._name, robot.name, why, robot.tip_names, session.enabled))
            return
        status = controller_status(
            self._name, robot.name, robot.tip_names, session.enabled, result, self._waits_for(result.hand_state),
            session.refusals, self._warnings(result), session.fault,
        )  # fmt: skip
        self._status.publish(status)
        if session.benched and not self._told_benched:
            self._log.warning(
                "the network did not help for long and is benched: damped least squares stands in (parameter bench_after)"
            )
        self._told_benched = session.benched
        logged = result.hand_state if result.hand_state in _LOGGED else TipState.TRACKING
        if logged is not self._last_logged:
            self._last_logged = logged
            self._log.info(f"{result.hand_state.name}: {status.message}")

    def _warnings(self, result: TickResult) -> list[str]:
        """What keeps the hand from doing as it is told, outside of this node."""
        session, age = self._session, result.state_age
        warnings = [session.others.message]
        # while nothing is sent, no state would tell that the driver has gone
        if result.hand_state not in _OF_JOINT_STATES and age > session.state_timeout:
            warnings.append(f"the last joint states on {session.state_topic} are {age:.2f} s old")
        if result.command is not None and self._session.command_receivers.count == 0:
            warnings.append(f"nobody receives {self._session.command_topic}")
        return list(filter(None, warnings))

    def _waits_for(self, state: TipState) -> str:
        session = self._session
        if state in _OF_JOINT_STATES:
            topic = session.state_topic
            types = [info.topic_type for info in self._node.get_publishers_info_by_topic(topic)]
            others = others_in_words(session.passed_over, session.loaded.joints.names)
            # a driver may be there and send, only slower than that
            longest = f"; state_timeout is {session.state_timeout:g} s" if state is TipState.STALE_STATE else ""
            return f"{topic} has {publishers_in_words(types, type_name(JointState))}{others}{longest}"
        if state is TipState.PAUSED:
            return f"call {self._name}/start"
        return f"targets on {session.target_topic}" if state is TipState.IDLE else ""

    def _tell_tip_poses(self) -> None:
        seen, kinematics = self._session.seen, self._session.robot.kinematics
        if self._session.result is None or seen is None or seen is self._told_seen:
            return
        self._told_seen, (q, stamp) = seen, seen
        # the tips were there when the joints were; some drivers do not tell when
        self._tip_poses.header.stamp = stamp if stamp.sec or stamp.nanosec else self._now()
        fill_poses(self._tip_poses, kinematics.tip_position(q), kinematics.tip_rotation(q))
        self._poses.publish(self._tip_poses)

    def _tell_markers(self) -> None:
        session = self._session
        if session.result is not None and self._markers.get_subscription_count():
            header = Header(frame_id=session.base_frame, stamp=self._now())
            self._markers.publish(marker_array(session.robot, session.result, session.targets, header))

    def _tell_diagnostics_at_once(self) -> None:
        for _ in self._tell_diagnostics():
            pass

    def _tell_diagnostics(self) -> Iterator[None]:
        """In parts, as the statistics: at 1 kHz a tick leaves no time for all of it."""
        session, name, robot = self._session, self._name, self._session.robot.name
        loop, message = session.loop, DiagnosticArray()
        message.status.append(
            loop_status(
                name, robot, loop.period, loop.statistics.summary(), session.realtime, session.command_receivers.count
            )
        )
        yield
        message.status.append(input_status(name, robot, session.refusals))
        message.status.append(publisher_status(name, robot, session.others))
        yield
        message.header.stamp = self._now()
        self._diagnostics.publish(message)

    def _tell_statistics(self) -> Iterator[None]:
        session = self._session
        loop, data = session.loop.statistics.summary(), session.data.summary()  # of one moment
        yield
        message = statistics_status(
            self._name, session.robot.name, session.robot.tip_names, loop, data, session.refusals, session.benched,
        )  # fmt: skip
        yield
        self._statistics.publish(message)

    def _now(self) -> Any:
        return self._node.get_clock().now().to_msg()
