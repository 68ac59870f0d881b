"""A robot that is not as its description says: stands for a real one in recordings and tests."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nnik_ros.calibration import Calibration, calibration_of, rotation_from_vector
from nnik_ros.geometry import Array, frozen, transform
from nnik_ros.kinematics import kinematics_of_chains
from nnik_ros.robot import Robot
from nnik_ros.urdf import FIXED


@dataclass(frozen=True)
class Disturbance:
    """Largest errors, each number uniform within +- these: joint_offset [rad], length [m] of every joint origin and tip in
    each direction, axis [rad] of every joint frame about each direction."""

    joint_offset: float
    length: float
    axis: float


@dataclass(frozen=True)
class DisturbedRobot:
    """true: the robot as it was built, its joint angles are the real ones; joint_zero (nq,) [rad]: real angle minus the
    encoder's; calibration: what a perfect calibration would find."""

    nominal: Robot
    true: Robot
    joint_zero: Array
    calibration: Calibration

    def encoder(self, q: Array) -> Array:
        """What the encoders tell at the real angles q (..., nq) [rad]."""
        return q - self.joint_zero

    def real(self, encoder: Array) -> Array:
        """The real angles [rad] of what the encoders tell (..., nq)."""
        return encoder + self.joint_zero


def disturbed(robot: Robot, disturbance: Disturbance, rng: np.random.Generator) -> DisturbedRobot:
    """Move every joint origin and every tip of the URDF, turn every joint frame and every encoder."""
    joints = dict(robot.urdf.joints)
    ends = set(robot.tip_links)
    for name, joint in robot.urdf.joints.items():
        shift = rng.uniform(-disturbance.length, disturbance.length, 3)
        turn = rng.uniform(-disturbance.axis, disturbance.axis, 3)
        if joint.kind == FIXED and joint.child not in ends:
            continue
        rotation = joint.T_parent_joint[:3, :3]
        if joint.kind != FIXED:
            rotation = rotation @ rotation_from_vector(turn)
        joints[name] = replace(joint, T_parent_joint=frozen(transform(rotation, joint.T_parent_joint[:3, 3] + shift)))
    urdf = replace(robot.urdf, joints=joints)
    chains = [urdf.chain(link, robot.base_frame) for link in robot.tip_links]
    true = replace(robot, urdf=urdf, kinematics=kinematics_of_chains(chains, list(robot.joint_names)))
    zero = frozen(rng.uniform(-disturbance.joint_offset, disturbance.joint_offset, robot.nq))
    parameters = true.kinematics.parameters._replace(joint_zero=zero)
    return DisturbedRobot(robot, true, zero, calibration_of(robot, parameters, "truth of a simulated robot"))
