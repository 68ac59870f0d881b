"""Where each link of the URDF hangs: one rule for the check of self-collision, the simulation and the frames of targets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnik_ros.geometry import Array, transform
from nnik_ros.robot import Robot
from nnik_ros.urdf import FIXED

BASE = -1  # tip number of what is fixed to the base


class Place(NamedTuple):
    """What a link hangs on: joint `depth` of the chain of `tip`, or the base (-1, -1). T_carrier_link (4, 4): its pose in the
    frame that turns with that joint, or in the base frame. held: only while a joint that the robot does not list is at zero."""

    tip: int
    depth: int
    T_carrier_link: Array
    held: bool = False


def link_places(robot: Robot) -> dict[str, Place]:
    """The place of every link, in the order of the URDF.

    A link above or beside the base frame is left out where a moving joint lies between: there is no telling where it is.
    """
    carriers, fixed_above = _carriers(robot), _fixed_above(robot)
    found = {}
    for link in robot.urdf.links:
        T, moves, here = np.eye(4), False, link
        while here not in carriers and here not in fixed_above and here in robot.urdf.above:
            joint = robot.urdf.above[here]
            T, moves, here = joint.T_parent_joint @ T, moves or joint.kind != FIXED, joint.parent
        if here in carriers:
            tip, depth, T_carrier_here, _ = carriers[here]
            found[link] = Place(tip, depth, T_carrier_here @ T, moves)
        elif here in fixed_above and not moves:
            found[link] = Place(BASE, -1, fixed_above[here] @ T)
    return found


def _carriers(robot: Robot) -> dict[str, Place]:
    """The base, the link below each joint of the robot, and the tips, which calibration moves on their own."""
    kinematics, joints = robot.kinematics, robot.urdf.joints
    chain, identity = kinematics.topology.chain, np.eye(4)
    found = {robot.base_frame: Place(BASE, -1, identity)}
    for tip, depth in np.argwhere(chain >= 0).tolist():
        found[joints[robot.joint_names[chain[tip, depth]]].child] = Place(tip, depth, identity)
    for tip, link in enumerate(robot.tip_links):
        T_joint_tip = transform(kinematics.topology.tip_rotation[tip], kinematics.parameters.tip_offset[tip])
        found[link] = Place(tip, int((chain[tip] >= 0).sum()) - 1, T_joint_tip)
    return found


def _fixed_above(robot: Robot) -> dict[str, Array]:
    """T_base_link (4, 4) of the links above the base, as far up as joints are fixed."""
    found, T, here = {}, np.eye(4), robot.base_frame
    while here in robot.urdf.above and robot.urdf.above[here].kind == FIXED:
        joint = robot.urdf.above[here]
        T, here = T @ np.linalg.inv(joint.T_parent_joint), joint.parent
        found[here] = T
    return found
