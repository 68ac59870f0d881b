"""A MuJoCo model built in memory from a robot and its URDF: no mesh, no second description to keep equal."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from nnik_ros.errors import InputError
from nnik_ros.geometry import quat_wxyz_from_rotation
from nnik_ros.link_places import link_places
from nnik_ros.robot import Robot
from nnik_ros.sim.options import SimOptions
from nnik_ros.urdf import REVOLUTE, Joint, Link, Shape

VISUAL_GROUP, COLLISION_GROUP = 2, 3
_STIFF = (0.004, 1.0)  # stops and contacts yield for 4 ms: hard to the eye, and still several physics steps long
_MUJOCO_PER_URDF_SIZE = {"box": (0.5, 0.5, 0.5), "sphere": (1.0, 0.0, 0.0), "cylinder": (1.0, 0.5, 0.0)}  # half lengths
_ROUNDING = 1e-5  # of the largest moment: exporters print six digits
_LEAST_MOMENT = 1e-13  # kg m^2: of a point too, for MuJoCo moves no body without
_LEAST_INERTIA = 1e-12  # kg m^2, for a joint to turn: more than a few points have of their own
_GREY = (0.5, 0.5, 0.5, 1.0)


def build_model(robot: Robot, options: SimOptions) -> Any:
    """An mjModel whose world is the robot's base frame.

    Bodies (see `body_name`) and joints carry the URDF's names, actuators stand in the robot's joint order. URDF joints below
    the base that the robot does not list are held at zero. A collision cylinder counts as the capsule of its radius and length.

    Raises:
        InputError: a body that cannot be, a joint that turns no inertia, or MuJoCo refuses the model, for instance for a moving
            link without mass.
    """
    spec = _empty_spec(robot.name, options)
    base = spec.worldbody.add_body(name=body_name(robot.base_frame))
    _fill_body(base, robot.urdf.links[robot.base_frame])
    _add_children(base, robot.base_frame, robot, options)
    for i, name in enumerate(robot.joint_names):
        _add_drive(spec, name, options, i)
    _exclude_neighbours(spec, robot)
    if impossible := [why for link in _links(robot) if (why := _impossible(robot.urdf.links[link]))]:
        raise InputError(f"robot '{robot.name}' cannot be simulated: {'; '.join(impossible)}")
    try:
        model = spec.compile()
    except ValueError as error:
        raise InputError(f"robot '{robot.name}' cannot be simulated: {error}") from error
    if light := [name for name in robot.joint_names if model.dof_M0[model.joint(name).dofadr[0]] < _LEAST_INERTIA]:
        raise InputError(
            f"robot '{robot.name}' cannot be simulated: no inertia is turned by {', '.join(light)}: the links below need "
            "some, or the drive an armature"
        )
    return model


def body_name(link: str) -> str:
    """What the body of a link is called: as the link, but MuJoCo keeps the name `world` for a body of its own."""
    return "link world" if link == "world" else link


def _empty_spec(name: str, options: SimOptions) -> Any:
    spec = mujoco.MjSpec()
    spec.modelname = name
    spec.compiler.degree = False
    spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE
    spec.option.gravity = options.gravity
    spec.option.timestep = options.timestep
    # the drive's damping is stiff for the light links of a finger
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    if not options.self_contact:
        spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    return spec


def _links(robot: Robot) -> list[str]:
    return [link for link in robot.urdf.links if robot.urdf.hangs_below(link, robot.base_frame)]


def _add_children(body: Any, link: str, robot: Robot, options: SimOptions) -> None:
    """Hang everything below `link`."""
    for joint in robot.urdf.below(link):
        T = joint.T_parent_joint
        child = body.add_body(name=body_name(joint.child), pos=T[:3, 3], quat=quat_wxyz_from_rotation(T[:3, :3]))
        if joint.name in robot.joint_names:
            _add_joint(child, joint, options, robot.joint_names.index(joint.name))
        _fill_body(child, robot.urdf.links[joint.child])
        _add_children(child, joint.child, robot, options)


def _add_joint(body: Any, joint: Joint, options: SimOptions, i: int) -> None:
    limited = joint.kind == REVOLUTE  # URDF knows no limits of a continuous joint, even where some are written down
    body.add_joint(
        name=joint.name,
        type=mujoco.mjtJoint.mjJNT_HINGE,
        axis=joint.axis,
        limited=mujoco.mjtLimited.mjLIMITED_TRUE if limited else mujoco.mjtLimited.mjLIMITED_FALSE,
        range=(joint.lower, joint.upper) if limited else (0.0, 0.0),
        solref_limit=_STIFF,
        armature=options.armature[i],
        frictionloss=options.friction[i],
        damping=options.viscosity[i],
    )


def _impossible(link: Link) -> str:
    """Why no body has this inertia; empty if one may have, or none is given."""
    if link.inertial is None:
        return ""
    mass, moments = link.inertial.mass, np.linalg.eigvalsh(link.inertial.tensor)
    if mass >= 0 and moments[0] >= -_ROUNDING * moments[2] and moments[0] + moments[1] >= moments[2] * (1 - _ROUNDING):
        return ""
    return (
        f"link '{link.name}': mass {mass:g} with principal moments {', '.join(f'{m:.3g}' for m in moments)} is not a possible "
        "body (mass and moments must not be negative, no moment may exceed the sum of the other two)"
    )


def _fill_body(body: Any, link: Link) -> None:
    if link.inertial is not None:
        T = link.inertial.T_link_inertial
        tensor = T[:3, :3] @ link.inertial.tensor @ T[:3, :3].T
        body.explicitinertial = True
        body.mass = link.inertial.mass
        body.ipos = T[:3, 3]
        moments, axes = np.linalg.eigh(tensor)
        if moments[0] > _LEAST_MOMENT and moments[0] + moments[1] > moments[2] * (1 + _ROUNDING):
            body.fullinertia = [*np.diag(tensor), tensor[0, 1], tensor[0, 2], tensor[1, 2]]
        else:  # a point, a thin rod or plate, which MuJoCo takes by its principal moments alone, and those without rounding
            a, b, c = np.maximum(moments, _LEAST_MOMENT if link.inertial.mass > 0.0 else 0.0)
            body.inertia = [a, b, min(a + b, c)]
            body.iquat = quat_wxyz_from_rotation(axes * np.linalg.det(axes))
    for shape in link.visuals:
        _add_geom(body, shape, VISUAL_GROUP, collides=False)
    for shape in link.collisions:
        _add_geom(body, shape, COLLISION_GROUP, collides=True)


def _add_geom(body: Any, shape: Shape, group: int, *, collides: bool) -> None:
    if shape.kind == "mesh":
        return
    kinds = {
        "box": mujoco.mjtGeom.mjGEOM_BOX,
        "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
        "cylinder": mujoco.mjtGeom.mjGEOM_CAPSULE if collides else mujoco.mjtGeom.mjGEOM_CYLINDER,
    }
    size = np.zeros(3)
    size[: len(shape.size)] = shape.size
    size *= _MUJOCO_PER_URDF_SIZE[shape.kind]
    body.add_geom(
        type=kinds[shape.kind],
        size=size,
        pos=shape.T_link_shape[:3, 3],
        quat=quat_wxyz_from_rotation(shape.T_link_shape[:3, :3]),
        rgba=shape.rgba or _GREY,
        group=group,
        contype=int(collides),
        conaffinity=int(collides),
        solref=_STIFF,
    )


def _add_drive(spec: Any, joint: str, options: SimOptions, i: int) -> None:
    """The PD as one actuator. MuJoCo clips its force, so damping is inside the limit, as in the loop of the real host."""
    gain, bias = np.zeros(10), np.zeros(10)
    gain[0] = options.stiffness[i]
    bias[1], bias[2] = -options.stiffness[i], -options.damping[i]
    limit = options.torque_limit[i]
    spec.add_actuator(
        name=joint,
        target=joint,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        gainprm=gain,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        biasprm=bias,
        forcelimited=mujoco.mjtLimited.mjLIMITED_TRUE,
        forcerange=(-limit, limit),
    )


def _exclude_neighbours(spec: Any, robot: Robot) -> None:
    """No contact across one joint. MuJoCo does this too, but not for neighbours of a piece fixed to the world."""
    places = link_places(robot)
    pieces: dict[tuple[int, int], list[str]] = {}
    for link in _links(robot):
        pieces.setdefault(places[link][:2], []).append(link)
    for joint in (robot.urdf.joints[name] for name in robot.joint_names):
        for one in pieces[places[joint.parent][:2]]:
            for other in pieces[places[joint.child][:2]]:
                spec.add_exclude(bodyname1=body_name(one), bodyname2=body_name(other))
