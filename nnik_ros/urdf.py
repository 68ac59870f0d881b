"""A strict reader of the URDF subset that this package needs: links, revolute and fixed joints, primitives.

What an arm above the hand may have besides, other joints, shapes and bodies, is read; whoever needs it judges it.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from nnik_ros.errors import FileError, Problems
from nnik_ros.geometry import Array, frozen, rotation_from_rpy, transform

REVOLUTE, CONTINUOUS, FIXED = "revolute", "continuous", "fixed"
SHAPES = ("box", "cylinder", "sphere", "mesh")
_JOINTS = (REVOLUTE, CONTINUOUS, FIXED, "prismatic", "planar", "floating")
_Named = TypeVar("_Named", "Link", "Joint")


@dataclass(frozen=True)
class Shape:
    """One primitive (or mesh) of a link. size: box (x, y, z), cylinder (radius, length), sphere (radius,), any other () [m]."""

    kind: str
    size: tuple[float, ...]
    T_link_shape: Array = field(repr=False)  # (4, 4)
    rgba: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Inertial:
    """mass [kg], pose of the inertial frame in the link (4, 4), inertia tensor in that frame (3, 3) [kg m^2]."""

    mass: float
    T_link_inertial: Array = field(repr=False)
    tensor: Array = field(repr=False)


@dataclass(frozen=True)
class Link:
    name: str
    inertial: Inertial | None
    visuals: tuple[Shape, ...]
    collisions: tuple[Shape, ...]


@dataclass(frozen=True)
class Joint:
    """A joint; `axis` is a unit vector in the joint frame, limits in rad, velocity in rad/s, effort in N m; mimic: the joint
    that it follows, empty if none."""

    name: str
    kind: str
    parent: str
    child: str
    T_parent_joint: Array = field(repr=False)  # (4, 4)
    axis: Array = field(repr=False)  # (3,)
    lower: float = -math.inf
    upper: float = math.inf
    velocity: float = math.inf
    effort: float = math.inf
    mimic: str = ""


@dataclass(frozen=True)
class Urdf:
    """A kinematic tree with one root link."""

    name: str
    root: str
    links: dict[str, Link]
    joints: dict[str, Joint]

    @cached_property
    def above(self) -> dict[str, Joint]:
        """The joint above each link but the root."""
        return {joint.child: joint for joint in self.joints.values()}

    def below(self, link: str) -> list[Joint]:
        """The joints that hang on a link itself, in the order of the file."""
        return [joint for joint in self.joints.values() if joint.parent == link]

    def chain(self, link: str, base: str) -> list[Joint]:
        """Joints from `base` down to `link`, in that order.

        Raises:
            KeyError: `link` or `base` is unknown, or `base` is not above `link`.
        """
        for name in (link, base):
            if name not in self.links:
                raise KeyError(f"link '{name}' is not in the URDF; its links: {', '.join(self.links)}")
        if not self.hangs_below(link, base):
            raise KeyError(f"link '{link}' does not hang below '{base}'")
        joints: list[Joint] = []
        while link != base:
            joints.append(self.above[link])
            link = joints[-1].parent
        return joints[::-1]

    def hangs_below(self, link: str, base: str) -> bool:
        """Whether a link is `base` or anywhere below it."""
        while link != base and link in self.above:
            link = self.above[link].parent
        return link == base


def load_urdf(path: Path) -> Urdf:
    """Read and check a URDF.

    Raises:
        FileError: with every problem found: broken XML, elements of xacro, duplicate or missing names, unknown links, a
            link with two parents, a loop, several roots, an unknown kind of joint, a zero axis, lower > upper, missing or
            non-numeric attributes.
    """
    problems = Problems(str(path))
    try:
        robot = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a name that no file can have
        reason = (
            "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or error
        )
        raise FileError(str(path), [f"cannot be read: {reason}"]) from error
    except ElementTree.ParseError as error:
        raise FileError(str(path), [f"is not valid XML: {error}"]) from error
    if other := _other_document(robot):
        raise FileError(str(path), [other])
    materials = _materials(robot, problems)
    links: dict[str, Link] = {}
    for element in robot.findall("link"):
        _put(links, _link(element, materials, problems), problems, "link")
    joints: dict[str, Joint] = {}
    for element in robot.findall("joint"):
        _put(joints, _joint(element, problems), problems, "joint")
    root = _check_tree(links, joints, problems)
    problems.raise_if_any()
    return Urdf(robot.get("name", path.stem), root, links, joints)


def _other_document(robot: ElementTree.Element) -> str:
    """Why a document is no URDF; empty if it may be one. Behind an element of xacro anything may stand, such as the shapes that
    keep fingers apart."""
    if robot.tag != "robot":
        return f"root element is <{robot.tag}>, must be <robot>"
    xacro = sorted({element.tag.partition("}")[2] for element in robot.iter() if "/xacro}" in element.tag})
    found = ", ".join(f"<xacro:{tag}>" for tag in xacro)
    return f"is xacro with {found}, must be the URDF that xacro makes of it (xacro FILE -o NAME.urdf)" if found else ""


def _put(table: dict[str, _Named], item: _Named, problems: Problems, what: str) -> None:
    if item.name in table:
        problems.add(f"{what} '{item.name}': name is given twice")
    table[item.name] = item


def _check_tree(links: dict[str, Link], joints: dict[str, Joint], problems: Problems) -> str:
    parent_of: dict[str, str] = {}
    for joint in joints.values():
        for role, link in (("parent", joint.parent), ("child", joint.child)):
            if link not in links:
                problems.add(f"joint '{joint.name}': {role} link '{link}' does not exist")
        if joint.child in parent_of:
            problems.add(f"link '{joint.child}': has two parents, '{parent_of[joint.child]}' and '{joint.parent}'")
        parent_of[joint.child] = joint.parent
    for link in links:
        seen = {link}
        here = link
        while here in parent_of:
            here = parent_of[here]
            if here in seen:
                problems.add(f"link '{link}': the chain above it is a loop")
                break
            seen.add(here)
    roots = [link for link in links if link not in parent_of]
    if len(roots) != 1:
        problems.add(f"must have exactly one root link, has {len(roots)}: {', '.join(roots) or 'none'}")
    return roots[0] if roots else ""


def _joint(element: ElementTree.Element, problems: Problems) -> Joint:
    name = _name(element, "joint", problems)
    where = f"joint '{name}'"
    kind = element.get("type", "")
    if kind not in _JOINTS:
        problems.add(f"{where}: type is '{kind}', must be one of {', '.join(_JOINTS)}")
        kind = FIXED
    ends = {}
    for role in ("parent", "child"):
        end = element.find(role)
        ends[role] = end.get("link", "") if end is not None else ""
        if not ends[role]:
            problems.add(f"{where}: <{role} link=...> is missing")
    axis_element = element.find("axis")
    axis = np.array(_floats(axis_element, "xyz", 3, where, problems, (1.0, 0.0, 0.0)))
    length = math.hypot(*axis)  # its squares need not be numbers
    if not 1e-9 <= length < math.inf:
        if kind in (REVOLUTE, CONTINUOUS):
            problems.add(f"{where}: axis is {'zero' if length < 1.0 else 'too long'}")
        axis, length = np.array([1.0, 0.0, 0.0]), 1.0
    numbers = dict.fromkeys(("lower", "upper", "velocity", "effort"), math.inf) | {"lower": -math.inf}
    limit = element.find("limit")
    if limit is not None:
        for key in numbers:
            if limit.get(key) is not None:
                (numbers[key],) = _floats(limit, key, 1, where, problems, (0.0,))
    if kind == REVOLUTE:
        if limit is None or limit.get("lower") is None or limit.get("upper") is None:
            problems.add(f"{where}: a revolute joint needs <limit lower=... upper=...>")
        elif numbers["lower"] > numbers["upper"]:  # equal ones lock it; who drives it judges that
            problems.add(
                f"{where}: lower limit {numbers['lower']:g} must not be above upper limit {numbers['upper']:g}"
            )
    mimic = element.find("mimic")
    return Joint(
        name, kind, ends["parent"], ends["child"], frozen(_origin(element, where, problems)),
        frozen(axis / length), **numbers, mimic="" if mimic is None else mimic.get("joint") or "?",
    )  # fmt: skip


def _link(element: ElementTree.Element, materials: dict[str, tuple[float, ...]], problems: Problems) -> Link:
    name = _name(element, "link", problems)
    where = f"link '{name}'"
    shapes = {
        tag: tuple(_shape(child, where, materials, problems) for child in element.findall(tag))
        for tag in ("visual", "collision")
    }
    inertial = element.find("inertial")
    return Link(
        name, None if inertial is None else _inertial(inertial, where, problems), shapes["visual"], shapes["collision"]
    )


def _inertial(element: ElementTree.Element, where: str, problems: Problems) -> Inertial:
    (mass,) = _floats(element.find("mass"), "value", 1, where, problems)
    tensor_element = element.find("inertia")
    xx, xy, xz, yy, yz, zz = (
        _floats(tensor_element, key, 1, where, problems)[0] for key in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")
    )
    tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return Inertial(mass, frozen(_origin(element, where, problems)), frozen(tensor))


def _shape(
    element: ElementTree.Element, where: str, materials: dict[str, tuple[float, ...]], problems: Problems
) -> Shape:
    geometry = element.find("geometry")
    child = geometry[0] if geometry is not None and len(geometry) else None
    kind = child.tag if child is not None else ""
    size: tuple[float, ...] = ()
    if kind == "box":
        size = _floats(child, "size", 3, where, problems)
    elif kind == "cylinder":
        size = (*_floats(child, "radius", 1, where, problems), *_floats(child, "length", 1, where, problems))
    elif kind == "sphere":
        size = _floats(child, "radius", 1, where, problems)
    material = element.find("material")
    rgba = None
    if material is not None:
        inline = _color(material, where, problems)
        rgba = inline or materials.get(material.get("name", ""))
    return Shape(kind, size, frozen(_origin(element, where, problems)), rgba)  # type: ignore[arg-type]


def _materials(robot: ElementTree.Element, problems: Problems) -> dict[str, tuple[float, ...]]:
    found = {}
    for material in robot.findall("material"):
        color = _color(material, f"material '{material.get('name', '')}'", problems)
        if color is not None:
            found[material.get("name", "")] = color
    return found


def _color(material: ElementTree.Element, where: str, problems: Problems) -> tuple[float, ...] | None:
    color = material.find("color")
    return None if color is None else _floats(color, "rgba", 4, where, problems)


def _origin(element: ElementTree.Element, where: str, problems: Problems) -> Array:
    origin = element.find("origin")
    xyz = _floats(origin, "xyz", 3, where, problems, (0.0, 0.0, 0.0))
    rpy = _floats(origin, "rpy", 3, where, problems, (0.0, 0.0, 0.0))
    return transform(rotation_from_rpy(rpy), xyz)


def _floats(
    element: ElementTree.Element | None,
    key: str,
    n: int,
    where: str,
    problems: Problems,
    default: tuple[float, ...] | None = None,
) -> tuple[float, ...]:
    """n finite numbers of an attribute; `default` when it is absent (None: it must be there)."""
    text = element.get(key) if element is not None else None
    if text is None:
        if default is None:
            problems.add(f"{where}: attribute '{key}' is missing")
        return default or (0.0,) * n
    try:
        values = tuple(float(word) for word in text.split())
    except ValueError:
        values = ()
    if len(values) != n or not all(math.isfinite(value) for value in values):
        problems.add(f'{where}: {key}="{text}" must be {n} finite number{"s" if n > 1 else ""}')
        return default or (0.0,) * n
    return values


def _name(element: ElementTree.Element, what: str, problems: Problems) -> str:
    name = element.get("name", "")
    if not name:
        problems.add(f"a <{what}> has no name")
    return name
