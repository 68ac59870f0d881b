"""The rows of this package: network alone, guarded network, damped least squares, and the whole controller tick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.solver import Absent, Call, Scene, Solver, Tick, tracker
from benchmarks.workloads import RATE
from nnik_ros import onnx_policy
from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.collision import CollisionModel
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import NnikError
from nnik_ros.escape import POSTURES
from nnik_ros.geometry import Array
from nnik_ros.guarded_solver import ANEW, CLASSICAL, POLISHING, GuardedSolver
from nnik_ros.policy import Policy
from nnik_ros.states import Measurement, Targets

NETWORK, GUARDED, DAMPED, CONTROLLER = "network alone", "guarded network", "damped least squares", "controller tick"
FREE = "controller, fingers may cross"
GUARDED_CALL = (
    f"a step of the network, up to {POLISHING} checked steps of damped least squares after it and, where a tip stands still "
    f"far from its target, {ANEW} steps of the network and {CLASSICAL} damped ones from each of {POSTURES} postures"
)
_SETTINGS = {
    NETWORK: "one step a call, one step a tick",
    GUARDED: f"a call: {GUARDED_CALL}; a tick: one checked step of the network or of damped least squares, nothing anew",
    DAMPED: "one step a call, one step a tick",
}


def load_policies(scene: Scene, model: Path) -> tuple[dict[str, Policy], list[Absent]]:
    """The batched steps by name; those with a network only where `model` can be used for this robot."""
    calibrated = None if scene.kinematics is scene.robot.kinematics else scene.kinematics
    damped = DampedLeastSquares(scene.robot, calibrated)
    try:
        network = onnx_policy.OnnxPolicy(model, scene.robot, calibrated)
    except NnikError as error:
        return {DAMPED: damped}, [Absent(name, str(error)) for name in (NETWORK, GUARDED)]
    return {NETWORK: network, GUARDED: GuardedSolver(network, damped), DAMPED: damped}, []


def load_own(scene: Scene, model: Path, version: str) -> tuple[list[Solver], list[Absent]]:
    """All rows of this package for the hand of `scene`."""
    policies, absent = load_policies(scene, model)
    solvers = [
        Solver(name, version, _SETTINGS[name], policy.step, _follow(policy), ours=True)
        for name, policy in policies.items()
    ]
    network = policies.get(NETWORK)
    for name, checks, settings in (
        (CONTROLLER, True, "as shipped: governor, guard, limits, collision check"),
        (FREE, False, "as shipped, but collision_check: false"),
    ):
        solvers.append(Solver(name, version, settings, None, _control(scene, network, checks), ours=True))
    return solvers, absent


class ControlledHand:
    """The controller with a hand that stands where it was told to one tick ago."""

    def __init__(self, scene: Scene, network: Policy | None, collision_check: bool, q: Array) -> None:
        options = ControllerOptions(rate=RATE, target_timeout=0.0, collision_check=collision_check)
        self._controller = Controller(scene.robot, network, options, CollisionModel(scene.robot))
        self._controller.start()
        self._q, self._now = q, 0.0
        self._stamps = np.zeros(scene.robot.nt)

    def tick(self, target: Array) -> tuple[Array, Array]:
        """See `solver.Tick`."""
        self._now += 1.0 / RATE
        result = self._controller.tick(self._now, Measurement(self._q, self._now), Targets(target, self._stamps))
        assert result.command is not None
        self._q = result.command
        return self._q, result.reference


def _control(scene: Scene, network: Policy | None, collision_check: bool) -> Callable[[Array], Tick]:
    return lambda q: ControlledHand(scene, network, collision_check, q).tick


def _follow(policy: Policy) -> Callable[[Array], Tick]:
    """As in a control loop, where nothing starts anew from elsewhere."""
    step: Call = policy.guard.step if isinstance(policy, GuardedSolver) else policy.step
    return tracker(lambda: step)
