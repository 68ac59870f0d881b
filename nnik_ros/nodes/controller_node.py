"""The node `controller`: a lifecycle node around the control loop."""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool, Trigger

from nnik_ros.collision import links_of_meshes_alone
from nnik_ros.compiled import COMPILED
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import InputError, NnikError
from nnik_ros.nodes.loading import load, load_policy
from nnik_ros.nodes.node_options import AUTO_MODEL, NodeOptions
from nnik_ros.nodes.parameters import Parameters
from nnik_ros.nodes.process import run_node
from nnik_ros.nodes.reporter import Reporter
from nnik_ros.nodes.session import Session

RCLError: type[Exception] = rclpy_implementation.RCLError
_STATES_IN_TIMEOUT = 1.5  # at least, on time
SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE, TransitionCallbackReturn.ERROR,
)  # fmt: skip
_Transition = Callable[["ControllerNode", LifecycleState], TransitionCallbackReturn]


def _told(otherwise: TransitionCallbackReturn) -> Callable[[_Transition], _Transition]:
    """Decorator: log what a transition raises, and end it so; rclpy would swallow it, and nobody would learn why."""

    def decorate(transition: _Transition) -> _Transition:
        @functools.wraps(transition)
        def run(node: ControllerNode, state: LifecycleState) -> TransitionCallbackReturn:
            try:
                return transition(node, state)
            except Exception:
                node.get_logger().error(f"internal error:\n{traceback.format_exc()}")
                return otherwise

        return run

    return decorate


class ControllerNode(LifecycleNode):  # type: ignore[misc]  # rclpy has no types
    """Topics, services and lifecycle; the work is done in a `Session` between configure and cleanup."""

    def __init__(self) -> None:
        super().__init__("controller", automatically_declare_parameters_from_overrides=True)
        self._session: Session | None = None
        self._ticking = self._shut_down = False
        self._reporter: Reporter | None = None
        self._disabled: set[str] = set()  # tips; a switch outlives the session
        self._entities: list[Callable[[], Any]] = []
        self._settings = Parameters(
            self, ControllerOptions, NodeOptions, fixed=lambda: self._session is not None, on_live=self._on_live
        )
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._on_change_state
        if self._settings.options(NodeOptions).autostart:
            self._start_by_itself()

    def close(self) -> None:
        """Deactivate and shut down; the last command holds."""
        if self._ticking:
            self.trigger_deactivate()
        if not self._shut_down:
            self.trigger_shutdown()

    # lifecycle

    def _start_by_itself(self) -> None:
        if self.trigger_configure() != SUCCESS or self.trigger_activate() != SUCCESS:
            self.destroy_node()
            raise InputError("controller: not started, for the reason above")

    def _on_change_state(self, request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        """The rclpy of Jazzy raises on a transition that the present state does not have, and leaves the caller alone."""
        try:
            result: ChangeState.Response = self._change_state(request, response)
        except RCLError as error:
            wanted = request.transition.label or request.transition.id
            self.get_logger().warning(f"transition {wanted} is not possible in this state: {error}")
            response.success = False
            return response
        return result

    @_told(FAILURE)
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._configure(self._settings.options(NodeOptions))
        except NnikError as error:
            self.get_logger().error(str(error))
            return FAILURE
        return SUCCESS

    def _configure(self, options: NodeOptions) -> None:
        loaded = load(options)
        control = self._settings.options(ControllerOptions)
        self._session = Session(self, loaded, options, control)
        try:
            self._reporter = Reporter(self, self._session, options)
            self._create_services(self._session)
            self._keep_switches(self._session)
        except Exception:
            self._remove_session()
            raise
        network = loaded.robot.name if options.model == AUTO_MODEL else options.model
        solver = "damped least squares" if loaded.policy is None else f"network '{network}'"
        if loaded.policy is None and options.model == AUTO_MODEL:
            self.get_logger().warning(
                f"no network is shipped for robot '{loaded.robot.name}': damped least squares moves it"
            )
        between = 1.0 / loaded.driver.rate
        if control.state_timeout < _STATES_IN_TIMEOUT * between:
            self.get_logger().warning(
                f"state_timeout is {control.state_timeout:g} s, and driver {loaded.driver.name} sends joint states every "
                f"{between:.3g} s: raise it, or STALE_STATE will come and go"
            )
        if meshes := links_of_meshes_alone(loaded.robot):
            self.get_logger().warning(
                f"collision meshes are not looked at, and nothing is kept from links that have no others: {', '.join(meshes)}; "
                "give them boxes, cylinders or spheres in the URDF"
            )
        if not COMPILED:
            self.get_logger().warning(
                "numba is not installed, or switched off: a tick takes milliseconds; pip install numba, or a rate of 100 Hz"
            )
        self.get_logger().info(
            f"{loaded.robot.name} with {solver}; driver {loaded.driver.name}: "
            f"states from {self._session.state_topic}, commands to {self._session.command_topic}"
        )

    def _keep_switches(self, session: Session) -> None:
        kept = [name for name in session.robot.tip_names if name in self._disabled]
        for name in kept:
            session.enable(session.robot.tip_names.index(name), False)
        if kept:
            self.get_logger().info(f"still disabled: {', '.join(kept)}")

    @_told(ERROR)
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        assert self._session is not None and self._reporter is not None
        if not self._settings.options(NodeOptions).start_paused:
            self._session.follow()
        self._ticking = True  # also where it fails in the middle: what was begun has to be ended
        self._reporter.begin()
        self._session.start_loop(self._reporter.tell_soon)
        return super().on_activate(state)

    @_told(ERROR)
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_ticking()
        return super().on_deactivate(state)

    @_told(ERROR)
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._remove_session()
        return SUCCESS

    @_told(ERROR)
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._stop_ticking()
        self._remove_session()
        self._shut_down = True
        return SUCCESS

    @_told(FAILURE)
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a transition that raised: unconfigured, as after a cleanup, so that it can be configured anew."""
        self._shut_down = True  # finalized, if this fails too
        self._stop_ticking()
        self._remove_session()
        self._shut_down = False
        return SUCCESS

    def _stop_ticking(self) -> None:
        if self._session is not None and self._reporter is not None and self._ticking:
            self._session.stop_loop()
            self._ticking = False
            self._reporter.end()

    def _remove_session(self) -> None:
        if self._session is not None:
            for destroy in self._entities:
                destroy()
            self._entities.clear()
            if self._reporter is not None:
                self._reporter.destroy()
            self._session.destroy()
            self._session = self._reporter = None

    # services

    def _create_services(self, session: Session) -> None:
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
            (self._disabled.discard if request.data else self._disabled.add)(tip_name)
            response.success = True
            response.message = f"{tip_name}: {'enabled' if request.data else 'disabled'}"
            self.get_logger().info(response.message)
            return response

        return callback

    def _on_live(self, names: set[str]) -> None:
        if self._session is None:
            return
        loaded, model = self._session.loaded, self._settings.options(NodeOptions).model
        # a model of the same name, too: its file may be another one, and a benched one comes back
        load_model = "model" in names  # all that may be refused comes before any change
        policy = load_policy(model, loaded.described, loaded.robot.kinematics) if load_model else None
        self._session.change_options(self._settings.options(ControllerOptions))
        if load_model:
            self._session.change_policy(policy)


def main() -> int:
    return run_node(ControllerNode)


if __name__ == "__main__":
    sys.exit(main())
