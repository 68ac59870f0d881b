"""A hand driver as data: what it calls its joints, in which order its arrays stand, and on which topics it speaks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnik_ros.errors import InputError, Problems
from nnik_ros.geometry import Array, frozen
from nnik_ros.robot import Robot
from nnik_ros.yaml_file import Section, load_mapping, report_duplicates

SCHEMA = 1
JOINT_STATE, FLOAT64_MULTI_ARRAY, JOINT_TRAJECTORY = "joint_state", "float64_multi_array", "joint_trajectory"
COMMAND_TYPES = (JOINT_STATE, FLOAT64_MULTI_ARRAY, JOINT_TRAJECTORY)
_NAMED = 3  # joints in a message, of each kind
_TOPIC = re.compile(r"(~?/)?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True)
class Channel:
    """One topic of a driver. The topic is relative to the driver's namespace unless it begins with a slash; `reliable` and
    `depth` are the driver's own quality of service."""

    topic: str
    depth: int
    reliable: bool


@dataclass(frozen=True)
class Driver:
    """A driver profile. Joint pairs stand in the order of the driver's arrays; none: the robot's own names and order.

    namespace: where the driver's relative topics lie by default; rate [Hz]: of its states, and the most commands that it
    wants; other_joints: the state topic is shared with other robots, their joints are passed over; point_duration [s]:
    time_from_start of the single point of a joint trajectory.
    """

    name: str
    description: str
    namespace: str
    rate: float
    state: Channel
    other_joints: bool
    command: Channel
    command_type: str
    point_duration: float
    driver_joints: tuple[str, ...]
    robot_joints: tuple[str, ...]

    def topic(self, channel: Channel, namespace: str = "") -> str:
        """The topic of `channel` as a node asks for it; `namespace` replaces the profile's own ("/" is the root, "" the own).

        Raises:
            InputError: it is no name that a topic may have.
        """
        prefix = namespace or self.namespace
        alone = channel.topic.startswith("/") or not prefix
        topic = channel.topic if alone else f"{prefix.rstrip('/')}/{channel.topic}"
        if not _TOPIC.fullmatch(topic):
            raise InputError(
                f"driver '{self.name}': topic '{topic}' must consist of letters, digits and underscores between slashes"
            )
        return topic


@dataclass(frozen=True)
class JointMap:
    """A driver's joints beside a robot's: pure functions between its messages and q (nq,) [rad] in the robot's order.

    names: the driver's joints in its array order; robot_index (n,): the robot joint that each of them stands for.
    """

    driver: str
    names: tuple[str, ...]
    robot_index: NDArray[np.int64] = field(repr=False)
    other_joints: bool = False

    def indices(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Where each robot joint stands in a state message with these names: (nq,).

        Raises:
            InputError: naming joints that are missing, doubled and unknown.
        """
        place = {name: i for i, name in enumerate(names)}
        wrong = _first_of("missing", [name for name in self.names if name not in place])
        if len(place) != len(names):
            wrong += _first_of("doubled", [name for name, count in Counter(names).items() if count > 1])
        if not self.other_joints:
            unknown = _first_of("unknown", [name for name in place if name not in self.names])
            wrong += [*unknown, "a profile with other_joints passes over joints of others"] if unknown else []
        if wrong:
            raise InputError(f"joint names do not fit driver '{self.driver}': {', '.join(wrong)}")
        result = np.empty(len(self.names), dtype=np.int64)
        result[self.robot_index] = [place[name] for name in self.names]
        return result

    def concerns(self, names: Sequence[str]) -> bool:
        """Whether a state message is meant for this robot at all; on a shared topic, one without its joints is not."""
        return not self.other_joints or not set(self.names).isdisjoint(names)

    def joint_position(self, names: Sequence[str], position: Sequence[float]) -> Array:
        """q (nq,) [rad] of a state message, by name in any order.

        Raises:
            InputError: wrong names, or not one finite position for each of them.
        """
        return self.pick(position, self.indices(names), len(names))

    def pick(self, position: ArrayLike, indices: NDArray[np.int64], count: int) -> Array:
        """q (nq,) [rad] out of `count` positions, with `indices` from `indices(names)`.

        Raises:
            InputError: another number of positions, or one that is not finite.
        """
        values = np.asarray(position, dtype=np.float64)
        if values.shape != (count,):
            raise InputError(f"{count} joint names but {values.size} positions")
        q: Array = values[indices]
        if not np.isfinite(q).all():
            raise InputError("a joint position is not finite")
        return q

    def to_array(self, q: Array) -> Array:
        """q (nq,) [rad] in the order of the driver's arrays (n,)."""
        result: Array = q[self.robot_index]
        return result

    def from_array(self, values: ArrayLike) -> Array:
        """The reverse of `to_array`: a command array (n,) as q (nq,) [rad].

        Raises:
            InputError: another length, or a value that is not finite.
        """
        array = np.asarray(values, dtype=np.float64)
        if array.shape != self.robot_index.shape:
            raise InputError(f"a command has {len(self.robot_index)} values, got {array.size}")
        if not np.isfinite(array).all():
            raise InputError("a command value is not finite")
        q = np.empty_like(array)
        q[self.robot_index] = array
        return q


def load_driver(path: Path | str) -> Driver:
    """Read a driver profile (see config/drivers/README.md).

    Raises:
        FileError: listing every unknown or missing key and every wrong value.
    """
    problems = Problems(str(path))
    document = Section(load_mapping(path), "", problems)
    document.integer("schema", low=SCHEMA, high=SCHEMA)
    state, command = document.section("state"), document.section("command")
    command_type = command.text("type", choices=COMMAND_TYPES)
    pairs = _joint_pairs(document, problems)
    driver = Driver(
        name=document.text("name"),
        description=document.text("description"),
        namespace=document.text("namespace", ""),
        rate=document.number("rate", above=0.0, high=10000.0),
        state=_channel(state),
        other_joints=state.boolean("other_joints", False),
        command=_channel(command),
        command_type=command_type,
        point_duration=command.number("point_duration", above=0.0) if command_type == JOINT_TRAJECTORY else 0.0,
        driver_joints=tuple(name for name, _ in pairs),
        robot_joints=tuple(joint for _, joint in pairs),
    )
    for section in (state, command, document):
        section.finish()
    problems.raise_if_any()
    return driver


def joint_map(driver: Driver, robot: Robot) -> JointMap:
    """Bind a profile to a robot.

    Raises:
        FileError: a robot joint that the profile lacks, or one of the profile that the robot lacks.
    """
    robot_joints = driver.robot_joints or robot.joint_names
    problems = Problems(f"driver '{driver.name}' with robot '{robot.name}'")
    if lacking := [joint for joint in robot.joint_names if joint not in robot_joints]:
        problems.add(f"the driver has no joint for the robot's {_quoted(lacking)}")
    if strange := [joint for joint in robot_joints if joint not in robot.joint_names]:
        problems.add(f"the robot has no joint for the driver's {_quoted(strange)}")
    problems.raise_if_any()
    index = frozen([robot.joint_names.index(joint) for joint in robot_joints], np.int64)
    return JointMap(driver.name, driver.driver_joints or robot.joint_names, index, driver.other_joints)


def _first_of(what: str, names: Sequence[str]) -> list[str]:
    """Not all of many: what is missing must not push out of a message what is there instead."""
    more = len(names) - _NAMED
    return [f"{what} {name}" for name in names[:_NAMED]] + ([f"{more} more {what}"] if more > 0 else [])


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _channel(section: Section) -> Channel:
    return Channel(section.text("topic"), section.integer("depth", low=1, high=1000), section.boolean("reliable"))


def _joint_pairs(document: Section, problems: Problems) -> list[tuple[str, str]]:
    """(driver joint, robot joint) in array order; empty where the profile takes the robot's own."""
    if not document.has("joints"):
        document.items("joints", [])
        return []
    pairs = []
    for section in document.sections("joints"):
        pairs.append((section.text("driver"), section.text("robot")))
        section.finish()
    for what, names in (("driver", [name for name, _ in pairs]), ("robot", [joint for _, joint in pairs])):
        report_duplicates(names, f"joints: {what}", problems)
    return pairs
