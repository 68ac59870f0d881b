"""The peers that solve a quadratic program a step: placo, pink, mink. Settings by `python -m benchmarks.sweep`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.solver import Call, Scene, Solver, tracker
from benchmarks.workloads import PERIOD
from nnik_ros.geometry import Array


def placo(
    scene: Scene, *, regularization: float = 1e-5, posture: float = 1e-8, track_regularization: float = 1e-6
) -> Solver:
    """One `solve` is one Gauss-Newton step under the joint limits; tracking adds velocity limits and a weak posture."""
    import placo as library

    def make(tracking: bool) -> Call:
        wrapper = library.RobotWrapper(scene.urdf, library.Flags.ignore_collisions)
        solver = library.KinematicsSolver(wrapper)
        solver.mask_fbase(True)
        solver.enable_joint_limits(True)
        offsets = np.array([wrapper.get_joint_offset(name) for name in scene.robot.joint_names])
        tasks = [solver.add_position_task(link, np.zeros(3)) for link in scene.robot.tip_links]
        for link, task in zip(scene.robot.tip_links, tasks, strict=True):
            task.configure(link, "soft", 1.0)
        solver.add_regularization_task(track_regularization if tracking else regularization)
        if tracking:
            solver.dt = PERIOD
            wrapper.set_velocity_limits(float(scene.robot.velocity.min()))
            solver.enable_velocity_limits(True)
            rest = solver.add_joints_task()
            middle = 0.5 * (scene.robot.lower + scene.robot.upper)
            rest.set_joints(dict(zip(scene.robot.joint_names, middle.tolist(), strict=True)))
            rest.configure("posture", "soft", posture)

        def call(q: Array, target: Array) -> Array:
            whole = wrapper.state.q
            whole[offsets] = q
            wrapper.state.q = whole
            wrapper.update_kinematics()
            for task, position in zip(tasks, target, strict=True):
                task.target_world = position
            solver.solve(True)
            result: Array = np.array(wrapper.state.q[offsets])
            return result

        return call

    return Solver(
        "placo", version("placo"), f"regularization {regularization:g}; tracking: velocity limits, posture {posture:g}, "
        f"regularization {track_regularization:g}", make(False), tracker(lambda: make(True)),
    )  # fmt: skip


def pink(
    scene: Scene,
    *,
    lm_damping: float = 1e-2,
    limit_gain: float = 0.95,
    posture: float = 3e-4,
    posture_gain: float = 0.005,
    track_damping: float = 0.1,
    qp: str = "daqp",
) -> Solver:
    """One `solve_ik` and its integration, with the joint and velocity limits of the URDF; limit_gain: share of the way to a
    joint limit that a call may go."""
    import pinocchio
    from pink import Configuration, solve_ik
    from pink.limits import ConfigurationLimit, VelocityLimit
    from pink.tasks import FrameTask, PostureTask

    model = pinocchio.buildModelFromUrdf(scene.urdf)
    limits = [ConfigurationLimit(model, limit_gain), VelocityLimit(model)]
    order = np.array([model.joints[model.getJointId(name)].idx_q for name in scene.robot.joint_names])

    def make(tracking: bool) -> Call:
        tasks: list[Any] = [
            FrameTask(
                link, position_cost=1.0, orientation_cost=0.0, lm_damping=track_damping if tracking else lm_damping
            )
            for link in scene.robot.tip_links
        ]
        tips = list(tasks)
        if tracking:
            rest = PostureTask(cost=posture, gain=posture_gain)
            rest.set_target(_reordered(0.5 * (scene.robot.lower + scene.robot.upper), order))
            tasks.append(rest)
        dt = PERIOD if tracking else 1.0
        configuration = Configuration(model, model.createData(), _reordered(scene.robot.home, order))

        def call(q: Array, target: Array) -> Array:
            configuration.update(_reordered(q, order))
            for task, position in zip(tips, target, strict=True):
                task.set_target(pinocchio.SE3(np.eye(3), position))
            velocity = solve_ik(configuration, tasks, dt, solver=qp, limits=limits, safety_break=False)
            configuration.integrate_inplace(velocity, dt)
            result: Array = configuration.q[order]
            return result

        return call

    return Solver(
        "pink", version("pin-pink"), f"{qp}, lm_damping {lm_damping:g}, limit gain {limit_gain:g}; "
        f"tracking: lm_damping {track_damping:g}, posture {posture:g} with gain {posture_gain:g}",
        make(False), tracker(lambda: make(True)),
    )  # fmt: skip


def mink(
    scene: Scene,
    *,
    lm_damping: float = 1e-2,
    limit_gain: float = 0.95,
    posture: float = 3e-4,
    posture_gain: float = 0.005,
    track_damping: float = 0.1,
    qp: str = "daqp",
) -> Solver:
    """One `solve_ik` and its integration on MuJoCo kinematics, with configuration and velocity limits; limit_gain as above."""
    import mink as library
    import mujoco

    model = mujoco.MjModel.from_xml_path(scene.urdf)
    order = np.array([model.joint(name).qposadr[0] for name in scene.robot.joint_names])

    def make(tracking: bool) -> Call:
        tasks: list[Any] = [
            library.FrameTask(
                link,
                "body",
                position_cost=1.0,
                orientation_cost=0.0,
                lm_damping=track_damping if tracking else lm_damping,
            )
            for link in scene.robot.tip_links
        ]
        tips = list(tasks)
        limits: list[Any] = [library.ConfigurationLimit(model, gain=limit_gain)]
        if tracking:
            rest = library.PostureTask(model, cost=posture, gain=posture_gain)
            rest.set_target(_reordered(0.5 * (scene.robot.lower + scene.robot.upper), order))
            tasks.append(rest)
            speeds = dict(zip(scene.robot.joint_names, scene.robot.velocity.tolist(), strict=True))
            limits.append(library.VelocityLimit(model, speeds))
        dt = PERIOD if tracking else 1.0
        configuration = library.Configuration(model)
        upright = library.SO3.identity()

        def call(q: Array, target: Array) -> Array:
            configuration.update(_reordered(q, order))
            for task, position in zip(tips, target, strict=True):
                task.set_target(library.SE3.from_rotation_and_translation(upright, position))
            velocity = library.solve_ik(configuration, tasks, dt, qp, limits=limits)
            configuration.integrate_inplace(velocity, dt)
            result: Array = configuration.q[order]
            return result

        return call

    return Solver(
        "mink", version("mink"), f"{qp}, lm_damping {lm_damping:g}, limit gain {limit_gain:g}; "
        f"tracking: lm_damping {track_damping:g}, posture {posture:g} with gain {posture_gain:g}",
        make(False), tracker(lambda: make(True)),
    )  # fmt: skip


def _reordered(q: Array, order: NDArray[np.int64]) -> Array:
    """q in the robot's order, placed where the library has each joint."""
    result = np.empty_like(q)
    result[order] = q
    return result
