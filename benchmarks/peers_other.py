"""The peers beside those with a quadratic program: Pinocchio with damped least squares, roboticstoolbox, dex-retargeting."""

from __future__ import annotations

import copy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.solver import Call, Scene, Solver, tracker
from benchmarks.workloads import PERIOD
from nnik_ros.geometry import Array


def pinocchio(
    scene: Scene,
    *,
    damping: float = 1e-3,
    floor: float = 1e-4,
    largest: float = 3.0,
    track_damping: float = 30.0,
    track_floor: float = 1e-2,
) -> Solver:
    """A damped step on Pinocchio's Jacobians as a user writes it; damping grows with the error (in units of 0.1 m)."""
    import pinocchio as pin

    model = pin.buildModelFromUrdf(scene.urdf)
    data = model.createData()
    order = np.array([model.joints[model.getJointId(name)].idx_q for name in scene.robot.joint_names])
    frames = [model.getFrameId(link) for link in scene.robot.tip_links]
    chains = scene.kinematics.topology.chain
    columns = [order[chain[chain >= 0]] for chain in chains]
    lower, upper = model.lowerPositionLimit, model.upperPositionLimit
    world = pin.ReferenceFrame.LOCAL_WORLD_ALIGNED

    def step(q: Array, target: Array, damping: float, floor: float, largest: float) -> Array:
        here = np.empty_like(q)
        here[order] = q
        pin.computeJointJacobians(model, data, here)
        pin.updateFramePlacements(model, data)
        for frame, joints, goal in zip(frames, columns, target, strict=True):
            error = 10.0 * (goal - data.oMf[frame].translation)
            J = 10.0 * pin.getFrameJacobian(model, data, frame, world)[:3, joints]
            damped = J @ J.T + (damping * (error @ error) + floor**2) * np.eye(3)
            dq = J.T @ np.linalg.solve(damped, error)
            here[joints] += dq * min(1.0, largest / max(float(np.abs(dq).max()), 1e-12))
        clipped = np.minimum(np.maximum(here, lower), upper)
        result: Array = clipped[order]
        return result

    fastest = PERIOD * float(scene.robot.velocity.min())
    return Solver(
        "pinocchio + DLS", version("pin"), f"damping {damping:g} e^2 + {floor:g}^2, step at most {largest:g} rad; tracking: "
        f"damping {track_damping:g} e^2 + {track_floor:g}^2, step at most the velocity limit",
        lambda q, target: step(q, target, damping, floor, largest),
        tracker(lambda: lambda q, target: step(q, target, track_damping, track_floor, fastest)),
    )  # fmt: skip


def roboticstoolbox(
    scene: Scene,
    *,
    tolerance: float = 1e-9,
    k: float = 1e-5,
    method: str = "sugihara",
    track_k: float = 0.001,
    track_method: str = "chan",
    track_tolerance: float = 1e-15,
    track_searches: int = 10,
    searches: int = 100,
) -> Solver:
    """C++ Levenberg-Marquardt with restarts, one call a finger. Without success it returns a random posture, the start of a
    search that it did not begin: for the next call as good as any, but no command; in tracking such a finger stays."""
    import roboticstoolbox as library

    robot = library.Robot.URDF(str(Path(scene.urdf).resolve()))
    fingers = [_renumbered(library, robot.ets(end=link)) for link in scene.robot.tip_links]
    chains = [chain[chain >= 0] for chain in scene.kinematics.topology.chain]
    mask = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    pose = np.eye(4)

    def make(k: float, method: str, tolerance: float, searches: int, *, stay: bool) -> Call:
        def call(q: Array, target: Array) -> Array:
            result = np.array(q)
            for finger, joints, goal in zip(fingers, chains, target, strict=True):
                pose[:3, 3] = goal
                found = finger.ik_LM(
                    pose, q0=q[joints], ilimit=30, slimit=searches, tol=tolerance, mask=mask, k=k, method=method
                )
                if found.success or not stay:
                    result[joints] = found.q
            return result

        return call

    def following() -> Call:
        solve = make(track_k, track_method, track_tolerance, track_searches, stay=True)

        def call(q: Array, target: Array) -> Array:
            return np.clip(solve(q, target), scene.robot.lower, scene.robot.upper)

        return call

    return Solver(
        "roboticstoolbox", version("roboticstoolbox-python"), f"ik_LM {method} k {k:g}, tolerance {tolerance:g}, {searches} "
        f"searches; tracking: {track_method} k {track_k:g}, tolerance {track_tolerance:g}, {track_searches} searches, clipped, "
        "stays without success", make(k, method, tolerance, searches, stay=False), tracker(following), whole=True,
    )  # fmt: skip


def dex_retargeting(
    scene: Scene,
    *,
    norm_delta: float = 1e-7,
    huber_delta: float = 0.02,
    ftol: float = 1e-14,
    track_norm_delta: float = 1e-7,
    default: bool = False,
) -> Solver:
    """Position retargeting (SLSQP). default: as its examples configure it."""
    from dex_retargeting.optimizer import PositionOptimizer
    from dex_retargeting.robot_wrapper import RobotWrapper
    from dex_retargeting.seq_retarget import SeqRetargeting

    names = list(scene.robot.joint_names)
    hands = np.arange(scene.robot.nt)
    limits = np.stack([scene.robot.lower, scene.robot.upper], axis=1)

    def make(norm_delta: float) -> Call:
        robot = RobotWrapper(scene.urdf)
        optimizer = PositionOptimizer(
            robot, names, list(scene.robot.tip_links), hands, **({} if default else
            {"huber_delta": huber_delta, "norm_delta": norm_delta}),
        )  # fmt: skip
        retargeting = SeqRetargeting(optimizer, has_joint_limits=True)
        if not default:
            optimizer.set_joint_limit(limits, epsilon=0.0)
            optimizer.opt.set_ftol_abs(ftol)
            optimizer.opt.set_maxeval(300)
        place = np.array([robot.dof_joint_names.index(name) for name in names])

        def call(q: Array, target: Array) -> Array:
            retargeting.last_qpos = q.astype(np.float32)
            found: Array = np.asarray(retargeting.retarget(target)[place], dtype=np.float64)
            return found

        return call

    settings = (
        f"norm_delta {norm_delta:g}, huber_delta {huber_delta:g}, ftol {ftol:g}, limits without slack; "
        f"tracking: norm_delta {track_norm_delta:g}"
    )
    return Solver(
        f"dex-retargeting{' (default)' if default else ''}", version("dex_retargeting"), "as shipped" if default else settings,
        make(norm_delta), tracker(lambda: make(track_norm_delta)), whole=True,
    )  # fmt: skip


def dex_default(scene: Scene) -> Solver:
    return dex_retargeting(scene, default=True)


def _renumbered(library: Any, transforms: Any) -> Any:
    """A finger as a robot of its own: the C++ solver takes its joints to be numbered from 0."""
    parts = [copy.deepcopy(part) for part in transforms]
    for number, part in enumerate(part for part in parts if part.isjoint):
        part.jindex = number
    return library.ETS(parts)
