"""A robot as data: joints and tips in order, limits, velocities, posture and kinematics, from a YAML beside a URDF."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnik_ros.errors import FileError, InputError, Problems
from nnik_ros.geometry import Array, frozen
from nnik_ros.kinematics import Kinematics, kinematics_of_chains
from nnik_ros.urdf import CONTINUOUS, FIXED, REVOLUTE, SHAPES, Joint, Urdf, load_urdf
from nnik_ros.yaml_file import Section, load_mapping, report_duplicates

SCHEMA = 1
_TIP_MOTION_OF_REACH = np.array(
    [3.0, 30.0, 3000.0]
)  # velocity, acceleration, jerk of a tip over its reach, where none are given
_LEAST_REACH, _LARGEST = 1e-6, 1e6  # m
_POSES, _MOVES = 256, 1e-6  # random poses, and the spread [m] of a tip's coordinate over them that is motion
_MOST_TURNED = 4.0 * math.pi  # rad from zero
_UNKNOWN = (-1e9, 1e9, 1e9)  # lower, upper, velocity of a joint whose URDF is not known: nothing is outside of them


@dataclass(frozen=True, eq=False)  # arrays have no single truth value: one is equal to itself alone, and can be a key
class Robot:
    """A robot with `nq` actuated joints and `nt` tips, each tip on a chain of joints of its own.

    Arrays are read-only and in joint order: lower, upper, home, preferred (where the free degree of a finger is pulled to)
    [rad], velocity [rad/s], acceleration [rad/s^2], (nq,) each.
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
    preferred: Array = field(repr=False)
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

    def calibrated_or_own(self, kinematics: Kinematics | None) -> Kinematics:
        """The calibrated geometry, the robot's own where there is none.

        Raises:
            InputError: the kinematics of another robot.
        """
        if kinematics is None:
            return self.kinematics
        if not all(map(np.array_equal, kinematics.topology, self.kinematics.topology)):
            raise InputError(
                f"the kinematics ({kinematics.nq} joints, {kinematics.nt} tips) must be that of robot '{self.name}' "
                f"({self.nq} joints, {self.nt} tips), as described or calibrated: it has other chains or joint axes"
            )
        return kinematics

    def random_joint_position(self, rng: np.random.Generator, n: int) -> Array:
        """n joint positions, uniform within the limits: (n, nq) [rad]."""
        return rng.uniform(self.lower, self.upper, (n, self.nq))

    def random_displacement(self, rng: np.random.Generator, n: int, reaches: float) -> Array:
        """n displacements of the tips, normal with a deviation of `reaches` along each axis that the joints move a tip along,
        none along the others: a planar arm stays in its plane, where it can miss the closest point. (n, nt, 3) [m]."""
        displacement: Array = (
            rng.normal(size=(n, self.nt, 3)) * reaches * self.kinematics.reach[:, None] * self.tip_moves
        )
        return displacement

    @cached_property
    def tip_moves(self) -> NDArray[np.bool_]:
        """Which coordinates of each tip the joints can change at all: (nt, 3); x and y of an arm in that plane."""
        tips = self.kinematics.tip_position(self.random_joint_position(np.random.default_rng(0), _POSES))
        return frozen(np.ptp(tips, axis=0) > _MOVES, bool)


def load_robot(path: Path | str) -> Robot:
    """Read `path` (YAML, for example config/robots/allegro_right.yaml) and the URDF that it names, relative to it.

    Raises:
        FileError: listing every unknown or missing key, unknown link or joint, wrong limit, shared or unused joint, and tip
            without a reach. Of a URDF that cannot be read only its own problems, not what follows from them.
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
    urdf_path = Path(path).parent / urdf_name
    urdf = _urdf(urdf_path, urdf_name, problems) if urdf_name else None
    report_duplicates(joint_names, "joints", problems)
    report_duplicates([tip for tip, _ in tips], "tips", problems)
    limits = [_joint_limits(section, urdf.joints.get(joint) if urdf else None, joint, problems)
              for section, joint in zip(joint_sections, joint_names, strict=True)]  # fmt: skip
    tip_motion = np.array([_tip_motion(section) for section in tip_sections])
    tip_axis = np.array([_tip_axis(section) for section in tip_sections])
    for section in (*joint_sections, *tip_sections, document):
        section.finish()
    chains = _chains(urdf, base_frame, joint_names, tips, problems) if urdf else []
    if urdf:
        _check_shapes(urdf, base_frame, problems)
    problems.raise_if_any()
    assert urdf is not None
    kinematics = _kinematics(chains, joint_names, [tip for tip, _ in tips], problems)
    motion = np.where(np.isnan(tip_motion), _TIP_MOTION_OF_REACH * kinematics.reach[:, None], tip_motion)
    lower, upper, velocity, acceleration, home, preferred = (frozen(column) for column in np.array(limits).T)
    tip_velocity, tip_acceleration, tip_jerk = (frozen(column) for column in motion.T)
    return Robot(
        name, base_frame, tuple(joint_names), tuple(tip for tip, _ in tips), tuple(link for _, link in tips),
        lower, upper, velocity, acceleration, home, preferred, tip_velocity, tip_acceleration, tip_jerk, frozen(tip_axis),
        kinematics, urdf, urdf_path,
    )  # fmt: skip


def _urdf(path: Path, name: str, problems: Problems) -> Urdf | None:
    try:
        return load_urdf(path)
    except FileError as error:
        for problem in error.problems:
            problems.add(f"{name}: {problem}")
        return None


def _joint_limits(section: Section, joint: Joint | None, name: str, problems: Problems) -> tuple[float, ...]:
    """(lower, upper, velocity, acceleration, home, preferred) of one joint: the URDF's limits, or narrower ones of the YAML.

    joint: None where the URDF is not known; what it could say is then not missed.
    """
    if joint is not None and (why := _unfit(joint, "revolute or continuous")):
        problems.add(f"{section.where}: joint '{name}' {why}")
        joint = None
    urdf_lower, urdf_upper, urdf_velocity = (joint.lower, joint.upper, joint.velocity) if joint else _UNKNOWN
    lower = section.number("lower", _finite(urdf_lower))
    upper = section.number("upper", _finite(urdf_upper))
    if joint is not None and urdf_velocity <= 0.0 and not section.has("velocity"):
        problems.add(f"{section.where}.velocity: missing, and that of the URDF is {urdf_velocity:g}, must be above 0")
        urdf_velocity = _UNKNOWN[-1]
    velocity = section.number("velocity", _finite(urdf_velocity), above=0.0)
    acceleration = section.number("acceleration", above=0.0)
    if joint is not None:
        for key, limit in (("lower", lower), ("upper", upper)):
            if joint.kind == REVOLUTE and not urdf_lower <= limit <= urdf_upper:
                section.wrong(key, limit, f"within the URDF's [{urdf_lower!r}, {urdf_upper!r}] rad")
            elif abs(limit) > _MOST_TURNED:
                section.wrong(key, limit, "within two turns of zero: is it in degrees?")
    sound = section.sound("lower", "upper")
    ordered = lower < upper
    if sound and not ordered:
        problems.add(f"{section.where}: lower {lower:g} must be below upper {upper:g}")
    low, high = (lower, upper) if sound and ordered else (-math.inf, math.inf)
    home, preferred = (section.number(key, 0.5 * (lower + upper), low=low, high=high) for key in ("home", "preferred"))
    return lower, upper, velocity, acceleration, home, preferred


def _unfit(joint: Joint, allowed: str) -> str:
    """Why nobody can drive a joint; empty if somebody can."""
    if joint.kind not in (REVOLUTE, CONTINUOUS):
        return f"is {joint.kind} in the URDF, must be {allowed}"
    if joint.kind == REVOLUTE and joint.lower == joint.upper:
        return f"cannot move in the URDF, whose limits are both {joint.lower:g} rad: give it limits there, or make it fixed"
    return f"follows '{joint.mimic}' in the URDF (<mimic>), must move on its own" if joint.mimic else ""


def _tip_motion(section: Section) -> tuple[float, ...]:
    """(velocity, acceleration, jerk) of one tip, nan where the file leaves the choice to the reach."""
    keys = ("velocity", "acceleration", "jerk")
    return tuple(section.number(key, above=0.0) if section.has(key) else math.nan for key in keys)


def _tip_axis(section: Section) -> Array:
    """The unit axis of a tip's frame that points: z unless the file names another."""
    axis = section.numbers("axis", [0.0, 0.0, 1.0], length=3) or [0.0, 0.0, 1.0]
    length = math.hypot(*axis)
    if not 0.0 < length < math.inf:
        section.wrong("axis", axis, "three finite numbers, not all 0")
        return np.array([0.0, 0.0, 1.0])
    return np.array(axis) / length


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _chains(
    urdf: Urdf, base: str, joint_names: list[str], tips: list[tuple[str, str]], problems: Problems
) -> list[list[Joint]]:
    """The joints from the base to each tip, as far as there are such."""
    for name in joint_names:
        if name and name not in urdf.joints:
            problems.add(f"joints: '{name}' is not in the URDF; its joints: {', '.join(urdf.joints)}")
    above = _joints_above(urdf, base, tips, problems)
    hanging: dict[str, list[str]] = {}  # on each moving joint, tips
    for tip, chain in above.items():
        moving = [joint.name for joint in chain if joint.kind != FIXED]
        if not moving:
            problems.add(f"tips: '{tip}' hangs on no joint; each tip needs its own joints")
        for name in moving:
            hanging.setdefault(name, []).append(tip)
    wrist = _wrist(above)
    for name, tips_below in hanging.items():
        if len(tips_below) > 1:
            which = " and ".join(f"'{tip}'" for tip in tips_below)
            problem = f"tips: {which} share joint '{name}'; each tip needs its own joints"
            if name in wrist:
                problem += f": leave it out and take a base_frame that it moves, such as '{wrist[name]}'"
            problems.add(problem)
        elif name not in joint_names:
            # of a list with a name that cannot be read nobody knows what it lacks
            lacking = "" if "" in joint_names else "is not listed under joints"
            if why := _unfit(urdf.joints[name], "revolute, continuous or fixed") or lacking:
                problems.add(f"tips: '{tips_below[0]}' hangs on joint '{name}', which {why}")
    for name in joint_names:
        if name in urdf.joints and name not in hanging and len(above) == len(tips):
            problems.add(f"joints: '{name}' moves no tip")
    return list(above.values())


def _wrist(above: dict[str, list[Joint]]) -> dict[str, str]:
    """The joints that all tips share before each has some of its own, and for each a base frame that leaves them all out."""
    moving = [[joint for joint in chain if joint.kind != FIXED] for chain in above.values()]
    shared: list[Joint] = []
    for joints in zip(*moving, strict=False):
        if len({joint.name for joint in joints}) > 1:
            break
        shared.append(joints[0])
    own = all(len(joints) > len(shared) for joints in moving)
    return {joint.name: shared[-1].child for joint in shared} if own else {}


def _check_shapes(urdf: Urdf, base: str, problems: Problems) -> None:
    """A shape of the hand that nobody can draw or keep apart must be told; one of an arm above it need not be known."""
    for link in urdf.links.values():
        for shape in (*link.visuals, *link.collisions):
            if not urdf.hangs_below(link.name, base):
                continue
            if shape.kind not in SHAPES:
                problems.add(f"link '{link.name}': geometry is '{shape.kind}', must be one of {', '.join(SHAPES)}")
            elif any(length <= 0.0 for length in shape.size):
                size = " x ".join(f"{length:g}" for length in shape.size)
                problems.add(f"link '{link.name}': a {shape.kind} of {size} m, every length must be above 0")


def _joints_above(urdf: Urdf, base: str, tips: list[tuple[str, str]], problems: Problems) -> dict[str, list[Joint]]:
    """For each tip that hangs below the base, the joints between the two."""
    known = base in urdf.links
    chains: dict[str, list[Joint]] = {}
    lost: dict[str, str] = {}
    for tip, link in tips:
        try:
            chains[tip] = urdf.chain(link, base if known else urdf.root)
        except KeyError as error:
            lost[tip] = error.args[0]
    if base and not known:
        problems.add(f"base_frame: link '{base}' is not in the URDF; its links: {', '.join(urdf.links)}")
    elif len(lost) > 1 and not chains and all(link in urdf.links for _, link in tips):
        problems.add(f"base_frame: no tip hangs below '{base}'; the root of the URDF is '{urdf.root}'")
        return {}
    for tip, problem in lost.items():
        problems.add(f"tips: '{tip}': {problem}")
    return chains if known else {}


def _kinematics(
    chains: list[list[Joint]], joint_names: list[str], tip_names: list[str], problems: Problems
) -> Kinematics:
    """Raises FileError: a tip without a reach, whose reference could not move, or one beyond all numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        kinematics = kinematics_of_chains(chains, joint_names)
        reach = kinematics.reach
        start = np.linalg.norm(kinematics.first_joint_position, axis=-1)
    for tip, length, distance in zip(tip_names, reach.tolist(), start.tolist(), strict=True):
        if not _LEAST_REACH <= length <= _LARGEST:
            problems.add(
                f"tips: '{tip}': its reach is {length:g} m from its first joint, must be within "
                f"[{_LEAST_REACH:g}, {_LARGEST:g}] m"
            )
        elif not distance <= _LARGEST:
            problems.add(
                f"tips: '{tip}': its first joint is {distance:g} m from the base, must be at most {_LARGEST:g} m"
            )
    problems.raise_if_any()
    return kinematics
