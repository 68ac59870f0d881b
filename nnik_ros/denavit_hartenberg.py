"""Robots from Denavit-Hartenberg parameters: a serial chain written as URDF with plain geometry.

Convention: standard (distal) parameters, each link one transform Rz(theta) Tz(d) Tx(a) Rx(alpha), joint i about the z
axis of frame i-1. Source: Denavit and Hartenberg, A Kinematic Notation for Lower-Pair Mechanisms Based on Matrices,
Journal of Applied Mechanics 22 (1955); in this form Siciliano et al., Robotics (2009), section 2.8.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from xml.sax.saxutils import quoteattr

import numpy as np

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array, rotation_about_axis, rpy_from_rotation

_HEAD = """<?xml version="1.0"?>
<robot name={name}>
  <!-- Written by nnik_ros.denavit_hartenberg; change the parameters, not this text. -->
  <material name="link"><color rgba="0.85 0.45 0.15 1"/></material>
  <material name="hinge"><color rgba="0.25 0.26 0.28 1"/></material>
  <material name="tip"><color rgba="0.88 0.88 0.84 1"/></material>
"""


@dataclass(frozen=True)
class DhLink:
    """One revolute link: a, d [m]; alpha, theta offset [rad], added to the joint position; lower, upper [rad];
    velocity [rad/s]; effort [N m]; mass [kg], spread over a rod from the joint to the end of the link."""

    a: float
    alpha: float = 0.0
    d: float = 0.0
    theta: float = 0.0
    lower: float = -math.pi
    upper: float = math.pi
    velocity: float = 1.0
    effort: float = 1000.0
    mass: float = 1.0


def urdf_from_dh(name: str, links: Sequence[DhLink], radius: float) -> str:
    """URDF text of the chain: `base_link`, `joint_1` ... `joint_n` moving `link_1` ... `link_n`, and `tip` at its end.

    radius [m]: of the drawn rods. The base frame is frame 0 of the convention, `tip` has the pose of frame n.

    Raises:
        InputError: no link, a radius or mass that is not positive, a number that is not finite, lower >= upper.
    """
    _check(links, radius)
    parts = [_HEAD.format(name=quoteattr(name)), '  <link name="base_link"/>\n']
    parent, rotation, position = "base_link", np.eye(3), (0.0, 0.0, 0.0)  # frame i-1, seen from the link before it
    for i, link in enumerate(links, start=1):
        rotation = rotation @ rotation_about_axis((0, 0, 1), link.theta)
        parts.append(_joint(f"joint_{i}", parent, f"link_{i}", rotation, position, link))
        parts.append(_link(f"link_{i}", link, radius))
        parent, rotation, position = f"link_{i}", rotation_about_axis((1, 0, 0), link.alpha), (link.a, 0.0, link.d)
    parts.append(_joint("joint_tip", parent, "tip", rotation, position, None))
    parts.append(
        f'  <link name="tip">\n    <visual><geometry><sphere radius="{_number(1.2 * radius)}"/></geometry>'
        '<material name="tip"/></visual>\n  </link>\n</robot>\n'
    )
    return "".join(parts)


def _check(links: Sequence[DhLink], radius: float) -> None:
    if not links:
        raise InputError("a Denavit-Hartenberg chain needs at least one link")
    if not (math.isfinite(radius) and radius > 0.0):
        raise InputError(f"radius is {radius}, must be finite and positive [m]")
    for i, link in enumerate(links):
        for key in fields(link):
            if not math.isfinite(getattr(link, key.name)):
                raise InputError(f"links[{i}].{key.name} is {getattr(link, key.name)}, must be finite")
        for key_name in ("velocity", "effort", "mass"):
            if getattr(link, key_name) <= 0.0:
                raise InputError(f"links[{i}].{key_name} is {getattr(link, key_name)}, must be positive")
        if link.lower >= link.upper:
            raise InputError(f"links[{i}]: lower {link.lower:g} must be below upper {link.upper:g}")


def _joint(name: str, parent: str, child: str, rotation: Array, position: Sequence[float], link: DhLink | None) -> str:
    """A revolute joint about z with the limits of `link`, a fixed one when there is none."""
    kind = "fixed" if link is None else "revolute"
    text = (
        f'  <joint name="{name}" type="{kind}">\n'
        f'    <parent link="{parent}"/><child link="{child}"/>{_origin(position, rpy_from_rotation(rotation))}\n'
    )
    if link is not None:
        numbers = {key: _number(getattr(link, key)) for key in ("lower", "upper", "effort", "velocity")}
        text += f'    <axis xyz="0 0 1"/><limit {" ".join(f"{k}={quoteattr(v)}" for k, v in numbers.items())}/>\n'
    return text + "  </joint>\n"


def _link(name: str, link: DhLink, radius: float) -> str:
    """A hub about the joint axis and a straight rod to the link's end, which lies at (a, 0, d) of the joint frame."""
    length = math.hypot(link.a, link.d)
    middle = (0.5 * link.a, 0.0, 0.5 * link.d)
    along = (0.0, math.atan2(link.a, link.d) if length else 0.0, 0.0)
    across, axial = link.mass * (3 * radius**2 + length**2) / 12, link.mass * radius**2 / 2  # solid cylinder
    hub = f'<geometry><cylinder radius="{_number(1.6 * radius)}" length="{_number(2.6 * radius)}"/></geometry>'
    place = _origin(middle, along)
    rod = f'{place}<geometry><cylinder radius="{_number(radius)}" length="{_number(length)}"/></geometry>'
    lines = [
        f'<inertial>{place}<mass value="{_number(link.mass)}"/><inertia ixx="{_number(across)}" ixy="0" ixz="0" '
        f'iyy="{_number(across)}" iyz="0" izz="{_number(axial)}"/></inertial>',
        f'<visual>{hub}<material name="hinge"/></visual>',
    ]
    if length:
        lines += [f'<visual>{rod}<material name="link"/></visual>', f"<collision>{rod}</collision>"]
    else:
        lines += [f'<collision><geometry><sphere radius="{_number(radius)}"/></geometry></collision>']
    return f'  <link name="{name}">\n' + "".join(f"    {line}\n" for line in lines) + "  </link>\n"


def _origin(xyz: Sequence[float], rpy: Sequence[float]) -> str:
    return f'<origin xyz="{" ".join(map(_number, xyz))}" rpy="{" ".join(map(_number, rpy))}"/>'


def _number(value: float) -> str:
    return f"{value + 0.0:.15g}"  # + 0.0: no "-0"
