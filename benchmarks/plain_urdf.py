"""The geometry of a hand, calibrated or not, as the plainest URDF that every peer reads: joints, tips, limits, no shapes."""

from __future__ import annotations

from collections.abc import Iterable

from nnik_ros.geometry import Array, rotation_about_axis, rpy_from_rotation
from nnik_ros.kinematics import Kinematics
from nnik_ros.robot import Robot

_BODY = '<inertial><mass value="0.05"/><inertia ixx="1e-5" ixy="0" ixz="0" iyy="1e-5" iyz="0" izz="1e-5"/></inertial></link>'


def plain_urdf(robot: Robot, kinematics: Kinematics) -> str:
    """One link for each joint, named like it with `_link`, and one for each tip; joint zeros are folded into the origins."""
    p = kinematics.parameters
    lines = [
        f'<robot name="{robot.name}">',
        '<mujoco><compiler fusestatic="false" discardvisual="true"/></mujoco>',
        f'<link name="{robot.base_frame}">{_BODY}',
    ]
    for tip, chain in enumerate(kinematics.topology.chain):
        parent = robot.base_frame
        for j in chain[chain >= 0]:
            name, axis = robot.joint_names[j], kinematics.topology.axis[j]
            rotation = p.joint_origin_rotation[j] @ rotation_about_axis(axis, p.joint_zero[j])
            lines += [
                f'<link name="{name}_link">{_BODY}',
                f'<joint name="{name}" type="revolute"><parent link="{parent}"/><child link="{name}_link"/>',
                f'{_origin(p.joint_origin_position[j], rotation)}<axis xyz="{_words(axis)}"/>',
                f'<limit {_limits(robot, int(j))} effort="1"/></joint>',
            ]
            parent = f"{name}_link"
        lines += [
            f'<link name="{robot.tip_links[tip]}">{_BODY}',
            f'<joint name="{robot.tip_links[tip]}_joint" type="fixed"><parent link="{parent}"/>'
            f'<child link="{robot.tip_links[tip]}"/>',
            f"{_origin(p.tip_offset[tip], kinematics.topology.tip_rotation[tip])}</joint>",
        ]
    return "\n".join([*lines, "</robot>\n"])


def _origin(position: Array, rotation: Array) -> str:
    return f'<origin xyz="{_words(position)}" rpy="{_words(rpy_from_rotation(rotation))}"/>'


def _words(values: Iterable[float]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _limits(robot: Robot, joint: int) -> str:
    values = (("lower", robot.lower), ("upper", robot.upper), ("velocity", robot.velocity))
    return " ".join(f'{name}="{float(value[joint])!r}"' for name, value in values)
