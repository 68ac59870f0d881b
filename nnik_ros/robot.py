"""A robot as data: joints and tips in order, limits, velocities, posture and kinematics, from a YAML beside a URDF."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnik_ros.errors import FileError, Problems
from nnik_ros.geometry import Array, frozen
from nnik_ros.kinematics import Kinematics, kinematics_of_chains
from nnik_ros.urdf import FIXED, Joint, Urdf, load_urdf
from nnik_ros.yaml_file import Section, load_mapping

SCHEMA = 1
_TIP_MOTION_OF_REACH = np.array(
    [3.0, 30.0, 3000.0]
)  # velocity, acceleration, jerk of a tip over its reach, where none are given


@dataclass(frozen=True)
class Robot:
    """A robot with `nq` actuated joints and `nt` tips, each tip on a chain of joints of its own.

    Arrays are read-only and in joint order: lower, upper, home [rad], velocity [rad/s], acceleration [rad/s^2], (nq,) each.
    Tip arrays (nt,): tip_velocity [m/s], tip_acceleration [m/s^2], tip_jerk [m/s^3] bound the motion of the references;
    tip_axis (nt, 3): unit axis of each tip's frame that points where the tip points.
    """

    name: str
    base_frame: str
    joint_names: tuple[str, ...]
    tip_names: tuple[str, ...]
    tip_links: tuple[str, ...]
    lower: Array = field(repr=False)
    upper: Array = field(repr=False)
    velocity: Array = field(repr=False)
    acceleration: Array = field(repr=False)
    home: Array = field(repr=False)
    tip_velocity: Array = field(repr=False)
    tip_acceleration: Array = field(repr=False)
    tip_jerk: Array = field(repr=False)
    tip_axis: Array = field(repr=False)
    kinematics: Kinematics = field(repr=False)
    urdf: Urdf = field(repr=False)
    urdf_path: Path = field(repr=False)

    @property
    def nq(self) -> int:
        return len(self.joint_names)

    @property
    def nt(self) -> int:
        return len(self.tip_names)

    def random_joint_position(self, rng: np.random.Generator, n: int) -> Array:
        """n joint positions, uniform within the limits: (n, nq) [rad]."""
        return rng.uniform(self.lower, self.upper, (n, self.nq))


def load_robot(path: Path) -> Robot:
    """Read `path` (YAML, for example config/robots/allegro_right.yaml) and the URDF that it names, relative to it.

    Raises:
        FileError: listing every unknown or missing key, unknown link or joint, wrong limit, shared or unused joint.
    """
    problems = Problems(str(path))
    document = Section(load_mapping(path), "", problems)
    document.integer("schema", low=SCHEMA, high=SCHEMA)
    name = document.text("name")
    document.text("description", "")
    urdf_name = document.text("urdf")
    base_frame = document.text("base_frame")
    joint_sections = document.sections("joints")
    tip_sections = document.sections("tips")
    joint_names = [section.text("name") for section in joint_sections]
    tips = [(section.text("name"), section.text("link")) for section in tip_sections]
    urdf_path = path.parent / urdf_name
    urdf = None
    if urdf_name:
        try:
            urdf = load_urdf(urdf_path)
        except FileError as error:
            for problem in error.problems:
                problems.add(f"{urdf_name}: {problem}")
    _report_duplicates(joint_names, "joints", problems)
    _report_duplicates([tip for tip, _ in tips], "tips", problems)
    limits = [_joint_limits(section, urdf.joints.get(joint) if urdf else None, joint, problems)
              for section, joint in zip(joint_sections, joint_names, strict=True)]  # fmt: skip
    tip_motion = np.array([_tip_motion(section) for section in tip_sections])
    tip_axis = np.array([_tip_axis(section) for section in tip_sections])
    for section in (*joint_sections, *tip_sections, document):
        section.finish()
    chains = _chains(urdf, base_frame, joint_names, tips, problems) if urdf else []
    problems.raise_if_any()
    assert urdf is not None
    kinematics = kinematics_of_chains(chains, joint_names)
    motion = np.where(np.isnan(tip_motion), _TIP_MOTION_OF_REACH * kinematics.reach[:, None], tip_motion)
    lower, upper, velocity, acceleration, home = (frozen(column) for column in np.array(limits).T)
    tip_velocity, tip_acceleration, tip_jerk = (frozen(column) for column in motion.T)
    return Robot(
        name, base_frame, tuple(joint_names), tuple(tip for tip, _ in tips), tuple(link for _, link in tips),
        lower, upper, velocity, acceleration, home, tip_velocity, tip_acceleration, tip_jerk, frozen(tip_axis),
        kinematics, urdf, urdf_path,
    )  # fmt: skip


def _joint_limits(section: Section, joint: Joint | None, name: str, problems: Problems) -> tuple[float, ...]:
    """(lower, upper, velocity, acceleration, home) of one joint: the URDF's limits unless the YAML gives others."""
    if joint is not None and joint.kind == FIXED:
        problems.add(f"{section.where}: joint '{name}' is fixed in the URDF, must be revolute or continuous")
        joint = None
    lower = section.number("lower", _finite(joint.lower if joint else -math.inf))
    upper = section.number("upper", _finite(joint.upper if joint else math.inf))
    velocity = section.number("velocity", _finite(joint.velocity if joint else math.inf), above=0.0)
    acceleration = section.number("acceleration", above=0.0)
    if joint is not None and lower >= upper:
        problems.add(f"{section.where}: lower {lower:g} must be below upper {upper:g}")
        return (0.0, 1.0, 1.0, 1.0, 0.0)
    home = section.number("home", 0.5 * (lower + upper), low=lower, high=upper)
    return lower, upper, velocity, acceleration, home


def _tip_motion(section: Section) -> tuple[float, ...]:
    """(velocity, acceleration, jerk) of one tip, nan where the file leaves the choice to the reach."""
    keys = ("velocity", "acceleration", "jerk")
    return tuple(section.number(key, above=0.0) if section.has(key) else math.nan for key in keys)


def _tip_axis(section: Section) -> Array:
    """The unit axis of a tip's frame that points: z unless the file names another."""
    values = section.items("axis", [0.0, 0.0, 1.0], length=3)
    numbers = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
    length = math.hypot(*numbers)
    if len(numbers) < 3 or not length > 0.0:
        section.wrong("axis", values, "three finite numbers, not all 0")
        return np.array([0.0, 0.0, 1.0])
    return np.array(numbers) / length


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _chains(
    urdf: Urdf, base: str, joint_names: list[str], tips: list[tuple[str, str]], problems: Problems
) -> list[list[Joint]]:
    chains: list[list[Joint]] = []
    owner: dict[str, str] = {}
    for name in joint_names:
        if name not in urdf.joints:
            problems.add(f"joints: '{name}' is not in the URDF; its joints: {', '.join(urdf.joints)}")
    for tip, link in tips:
        try:
            chain = urdf.chain(link, base)
        except KeyError as error:
            problems.add(f"tips: '{tip}': {error.args[0]}")
            continue
        for joint in (j for j in chain if j.kind != FIXED):
            if joint.name not in joint_names:
                problems.add(f"tips: '{tip}' hangs on joint '{joint.name}', which is not listed under joints")
            if joint.name in owner:
                problems.add(
                    f"tips: '{tip}' and '{owner[joint.name]}' share joint '{joint.name}'; each tip needs its own joints"
                )
            owner[joint.name] = tip
        chains.append(chain)
    for name in joint_names:
        if name in urdf.joints and name not in owner and len(chains) == len(tips):
            problems.add(f"joints: '{name}' moves no tip")
    return chains


def _report_duplicates(names: list[str], what: str, problems: Problems) -> None:
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        problems.add(f"{what}: '{name}' is given twice")
