"""The node `controller`: a lifecycle node around the control loop."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import MarkerArray

from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import InputError, NnikError
from nnik_ros.nodes.conversions import fill_poses
from nnik_ros.nodes.loading import load, load_policy
from nnik_ros.nodes.markers import marker_array
from nnik_ros.nodes.node_options import AUTO_MODEL, NodeOptions
from nnik_ros.nodes.parameters import Parameters
from nnik_ros.nodes.process import run_node
from nnik_ros.nodes.session import Session
from nnik_ros.nodes.status import controller_status, inactive_status, input_status, loop_status
from nnik_ros.states import TipState

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_CLOSEST_STATUSES = 0.01  # s; a state that flickers must not flood the status
_LOGGED = frozenset({
    TipState.WAITING_STATE, TipState.PAUSED, TipState.STALE_STATE, TipState.STALE_TARGET, TipState.FAULT, TipState.HOMING
})  # fmt: skip


class ControllerNode(LifecycleNode):  # type: ignore[misc]  # rclpy has no types
    """Topics, services and lifecycle; the work is done in a `Session` between configure and cleanup."""

    def __init__(self) -> None:
        super().__init__("controller", automatically_declare_parameters_from_overrides=True)
        self._session: Session | None = None
        self._ticking = False
        self._last_status = -1.0
        self._last_logged: TipState | None = None
        self._told_benched = False
        self._entities: list[Callable[[], Any]] = []
        self._settings = Parameters(
            self, ControllerOptions, NodeOptions, fixed=lambda: self._session is not None, on_live=self._on_live
        )
        if self._settings.options(NodeOptions).autostart:
            self._start_by_itself()

    def close(self) -> None:
        """Deactivate and shut down; the last command holds."""
        if self._ticking:
            self.trigger_deactivate()
        self.trigger_shutdown()

    # lifecycle

    def _start_by_itself(self) -> None:
        if self.trigger_configure() != SUCCESS or self.trigger_activate() != SUCCESS:
            self.destroy_node()
            raise InputError("controller: not started, for the reason above")

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._configure(self._settings.options(NodeOptions))
        except NnikError as error:
            self.get_logger().error(str(error))
            return FAILURE
        except Exception:  # rclpy would swallow it, and nobody would learn why the node did not start
            self.get_logger().error(f"internal error:\n{traceback.format_exc()}")
            return FAILURE
        return SUCCESS

    def _configure(self, options: NodeOptions) -> None:
        loaded = load(options)
        self._session = Session(self, loaded, options, self._settings.options(ControllerOptions))
        self._create_entities(options, self._session)
        network = loaded.robot.name if options.model == AUTO_MODEL else options.model
        solver = "damped least squares" if loaded.policy is None else f"network '{network}'"
        if loaded.policy is None and options.model == AUTO_MODEL:
            self.get_logger().warning(
                f"no network is shipped for robot '{loaded.robot.name}': damped least squares moves it"
            )
        self.get_logger().info(
            f"{loaded.robot.name} with {solver}; driver {loaded.driver.name}: "
            f"states from {self._session.state_topic}, commands to {self._session.command_topic}"
        )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        assert self._session is not None
        if not self._settings.options(NodeOptions).start_paused:
            self._session.follow()
        self._session.start_loop(self._tell_change)
        self._ticking = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_ticking()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._remove_session()
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_ticking()
        self._remove_session()
        return SUCCESS

    def _stop_ticking(self) -> None:
        if self._session is not None and self._ticking:
            self._session.stop_loop()
            self._ticking = False
            self._last_logged = None
            self._publish_status()

    def _remove_session(self) -> None:
        if self._session is not None:
            for destroy in self._entities:
                destroy()
            self._entities.clear()
            self._session.destroy()
            self._session = None

    # topics and services

    def _create_entities(self, options: NodeOptions, session: Session) -> None:
        self._status_publisher = self.create_publisher(DiagnosticStatus, "status", 1)
        self._pose_publisher = self.create_publisher(PoseArray, "tip_poses", 1)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "diagnostics", 1)
        self._marker_publisher = self.create_publisher(MarkerArray, "markers", 1)
        publishers = (self._status_publisher, self._pose_publisher, self._diagnostics_publisher, self._marker_publisher)
        for publisher in publishers:
            self._entities.append(lambda publisher=publisher: self.destroy_publisher(publisher))  # type: ignore[misc]
        self._tip_poses = PoseArray()
        self._tip_poses.header.frame_id = session.robot.base_frame
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        for rate, callback in (
            (options.status_rate, self._publish_status),
            (options.tip_pose_rate, self._publish_tip_poses),
            (options.status_rate, self._publish_markers),
            (1.0, self._publish_diagnostics),
        ):
            timer = self.create_timer(
                1.0 / rate, callback, clock=steady
            )  # it tells its state whatever the ROS time does
            self._entities.append(lambda timer=timer: self.destroy_timer(timer))  # type: ignore[misc]
        actions = {"start": session.follow, "pause": session.pause, "reset": session.reset, "home": session.home}
        for name, action in actions.items():
            self._add_service(Trigger, f"~/{name}", self._trigger(name, action))
        for tip, tip_name in enumerate(session.robot.tip_names):
            self._add_service(SetBool, f"{tip_name}/enable", self._enable(session, tip, tip_name))

    def _add_service(self, kind: Any, name: str, callback: Callable[[Any, Any], Any]) -> None:
        service = self.create_service(kind, name, callback)
        self._entities.append(lambda: self.destroy_service(service))

    def _trigger(self, name: str, action: Callable[[], None]) -> Callable[[Any, Any], Any]:
        def callback(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            response.success = self._ticking
            response.message = f"{name}: accepted" if self._ticking else f"{name}: the controller is not active"
            if self._ticking:
                action()
                self.get_logger().info(response.message)
            return response

        return callback

    def _enable(self, session: Session, tip: int, tip_name: str) -> Callable[[Any, Any], Any]:
        def callback(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
            session.enable(tip, request.data)
            response.success = True
            response.message = f"{tip_name}: {'enabled' if request.data else 'disabled'}"
            self.get_logger().info(response.message)
            return response

        return callback

    def _on_live(self, names: set[str]) -> None:
        if self._session is None:
            return
        if "model" in names:
            loaded = self._session.loaded
            model = self._settings.options(NodeOptions).model
            self._session.change_policy(load_policy(model, loaded.described, loaded.robot.kinematics))
        self._session.change_options(self._settings.options(ControllerOptions))

    # what it tells

    def _tell_change(self) -> None:
        if time.monotonic() - self._last_status >= _CLOSEST_STATUSES:
            self._publish_status()

    def _publish_status(self) -> None:
        session = self._session
        if session is None:
            return
        self._last_status = time.monotonic()
        name, robot, result = self.get_fully_qualified_name(), session.robot, session.result
        if result is None:
            self._status_publisher.publish(
                inactive_status(name, robot.name, "the loop does not run; activate the node")
            )
            return
        waits_for = self._waits_for(session, result.hand_state)
        status = controller_status(
            name, robot.name, robot.tip_names, result, waits_for, session.refusals, session.fault
        )
        self._status_publisher.publish(status)
        if session.benched and not self._told_benched:
            self.get_logger().warning(
                "the network did not help for long and is benched: damped least squares stands in (parameter bench_after)"
            )
        self._told_benched = session.benched
        logged = result.hand_state if result.hand_state in _LOGGED else TipState.TRACKING
        if logged is not self._last_logged:
            self._last_logged = logged
            self.get_logger().info(f"{result.hand_state.name}: {status.message}")

    def _waits_for(self, session: Session, state: TipState) -> str:
        if state in (TipState.WAITING_STATE, TipState.STALE_STATE):
            return f"{session.state_topic} has {self.count_publishers(session.state_topic)} publishers"
        if state is TipState.PAUSED:
            return f"call {self.get_fully_qualified_name()}/start"
        return f"targets on {session.target_topic}" if state is TipState.IDLE else ""

    def _publish_tip_poses(self) -> None:
        session = self._session
        if session is None or session.result is None or session.measured is None:
            return
        kinematics, q = session.robot.kinematics, session.measured
        self._tip_poses.header.stamp = self.get_clock().now().to_msg()
        fill_poses(self._tip_poses, session.result.measured_tip_position, kinematics.tip_rotation(q))
        self._pose_publisher.publish(self._tip_poses)

    def _publish_markers(self) -> None:
        session = self._session
        if session is None or session.result is None or not self._marker_publisher.get_subscription_count():
            return
        now = self.get_clock().now().to_msg()
        self._marker_publisher.publish(marker_array(session.robot, session.result, session.targets, now))

    def _publish_diagnostics(self) -> None:
        session = self._session
        if session is None:
            return
        name, robot, loop = self.get_fully_qualified_name(), session.robot.name, session.loop
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [
            loop_status(
                name, robot, loop.period, loop.statistics.summary(), session.realtime, session.command_receivers
            ),
            input_status(name, robot, session.refusals),
        ]
        self._diagnostics_publisher.publish(message)


def main() -> int:
    return run_node(ControllerNode)


if __name__ == "__main__":
    sys.exit(main())
