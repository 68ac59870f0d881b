"""Joint states and tip poses of a rosbag2 (mcap or sqlite3) as arrays, without a ROS installation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import ReaderError

from nnik_ros.bag_reader import messages, opened
from nnik_ros.driver import JointMap
from nnik_ros.errors import FileError, InputError
from nnik_ros.geometry import Array, frozen
from nnik_ros.robot import Robot

JOINT_STATE, POSE_ARRAY, POSE_STAMPED = (
    "sensor_msgs/msg/JointState", "geometry_msgs/msg/PoseArray", "geometry_msgs/msg/PoseStamped",
)  # fmt: skip
TIP_TOPIC = "measured_tip_poses"  # where nobody names another
_LATEST = 2**63  # ns


@dataclass(frozen=True)
class Topics:
    """Where the recording lies. tips: one topic of PoseArray in the robot's tip order, or tip names to topics of PoseStamped
    (tips without a topic were not measured)."""

    joints: str
    tips: str | Mapping[str, str]

    def of_tips(self) -> tuple[str, ...]:
        return (self.tips,) if isinstance(self.tips, str) else tuple(self.tips.values())


@dataclass(frozen=True)
class BagData:
    """What a bag says, sorted by time, each stamp once, times [s] since `start` [ns].

    joint_stamp (n,), joint_position (n, nq) [rad] in the robot's order; tip_stamp (m,), tip_position (m, nt, 3) [m] in the
    base frame, NaN where a tip was not measured; joint_messages, tip_messages: how many there were; dropped: how many of
    them were not used, by reason; by_receipt: times are those of the recorder, because headers had none.
    """

    start: int
    joint_stamp: Array = field(repr=False)
    joint_position: Array = field(repr=False)
    tip_stamp: Array = field(repr=False)
    tip_position: Array = field(repr=False)
    joint_messages: int
    tip_messages: int
    dropped: Mapping[str, int]
    by_receipt: bool


class _Row(NamedTuple):
    stamp: int  # ns, of the header
    received: int  # ns
    value: Array


def read_bag(path: Path, robot: Robot, joints: JointMap, topics: Topics) -> BagData:
    """Read the folder of a rosbag2.

    Raises:
        FileError: no readable bag, a topic that is missing or of another type (with those that there are), poses in another
            frame than the robot's base, or no usable message on a topic.
    """
    dropped: Counter[str] = Counter()
    with opened(path) as reader:
        _check_topics(path, reader, robot, topics)
        joint_rows = [
            row for m in _messages(reader, topics.joints) if (row := _joint_row(m, joints, dropped)) is not None
        ]
        joint_messages = _count(reader, [topics.joints])
        tip_rows: list[_Row] = []
        for topic, place in _tip_topics(robot, topics):
            tip_rows += _tip_rows(path, robot, place, _messages(reader, topic), dropped)
        tip_messages = _count(reader, topics.of_tips())
    for what, rows in (("joint states", joint_rows), ("tip poses", tip_rows)):
        if not rows:
            reasons = "; ".join(f"{n} x {reason}" for reason, n in dropped.items()) or "the topic is empty"
            raise FileError(str(path), [f"no usable {what}: {reasons}"])
    by_receipt = any(row.stamp == 0 for row in (*joint_rows, *tip_rows))
    joint_time, q = _sorted(joint_rows, by_receipt, dropped, "joint state with a stamp that was there before")
    tip_time, tip = _sorted(
        _merged(tip_rows, by_receipt), by_receipt, dropped, "tip poses with a stamp that was there before"
    )
    start = int(joint_time[0])
    return BagData(
        start, frozen((joint_time - start) * 1e-9), frozen(q), frozen((tip_time - start) * 1e-9), frozen(tip),
        joint_messages, tip_messages, dict(dropped), by_receipt,
    )  # fmt: skip


def _check_topics(path: Path, reader: AnyReader, robot: Robot, topics: Topics) -> None:
    present = {connection.topic: connection.msgtype for connection in reader.connections}
    kind = POSE_ARRAY if isinstance(topics.tips, str) else POSE_STAMPED
    problems = []
    for topic, wanted in ((topics.joints, JOINT_STATE), *((topic, kind) for topic in topics.of_tips())):
        given = present.get(_absolute(topic))
        if given != wanted:
            others = ", ".join(sorted(name for name, found in present.items() if found == wanted)) or "none"
            is_there = "is not in the bag" if given is None else f"is {given}"
            problems.append(f"topic '{topic}' {is_there}; topics of {wanted}: {others}")
    if not isinstance(topics.tips, str):
        unknown = [name for name in topics.tips if name not in robot.tip_names]
        problems += [f"tip '{name}' is unknown; the robot has {', '.join(robot.tip_names)}" for name in unknown]
        if not topics.tips:
            problems.append("no topic of tip poses was given")
    if problems:
        raise FileError(str(path), problems)


def _absolute(topic: str) -> str:
    return f"/{topic.lstrip('/')}"


def _messages(reader: AnyReader, topic: str) -> Iterator[tuple[int, Any]]:
    """(receive time [ns], message)."""
    connections = [connection for connection in reader.connections if connection.topic == _absolute(topic)]
    for connection, received, data in messages(reader, connections):
        if not isinstance(received, int) or not 0 <= received < _LATEST:
            raise ReaderError(f"a message of {topic} was received at {received!r} ns")
        yield received, reader.deserialize(data, connection.msgtype)


def _count(reader: AnyReader, topics: Sequence[str]) -> int:
    names = {_absolute(topic) for topic in topics}
    return sum(connection.msgcount for connection in reader.connections if connection.topic in names)


def _tip_topics(robot: Robot, topics: Topics) -> Iterator[tuple[str, int | None]]:
    """(topic, tip), None where the topic holds all tips."""
    if isinstance(topics.tips, str):
        yield topics.tips, None
    else:
        for name, topic in topics.tips.items():
            yield topic, robot.tip_names.index(name)


def _joint_row(received: tuple[int, Any], joints: JointMap, dropped: Counter[str]) -> _Row | None:
    when, message = received
    if not joints.concerns(message.name):
        dropped["joint state of another robot"] += 1
        return None
    try:
        q = joints.joint_position(message.name, message.position)
    except InputError as error:
        dropped[f"joint state: {error}"] += 1
        return None
    return _Row(_stamp(message), when, q)


def _tip_rows(
    path: Path, robot: Robot, tip: int | None, messages: Iterator[tuple[int, Any]], dropped: Counter[str]
) -> Iterator[_Row]:
    for received, message in messages:
        frame = message.header.frame_id
        if frame.lstrip("/") != robot.base_frame:
            raise FileError(str(path), [f"tip poses are in frame '{frame}', must be in '{robot.base_frame}'"])
        poses = message.poses if tip is None else [message.pose]
        tips = range(robot.nt) if tip is None else [tip]
        if len(poses) != len(tips):
            dropped[f"tip poses: {len(poses)} of them, the robot has {robot.nt} tips"] += 1
            continue
        value = np.full((robot.nt, 3), math.nan)
        for place, pose in zip(tips, poses, strict=True):
            value[place] = pose.position.x, pose.position.y, pose.position.z
        value[~np.isfinite(value).all(-1)] = math.nan
        if np.isnan(value).all():
            dropped["tip poses: no finite position"] += 1
            continue
        yield _Row(_stamp(message), received, value)


def _stamp(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def _merged(rows: list[_Row], by_receipt: bool) -> list[_Row]:
    """Rows of different tips with one stamp become one; two of the same tip stay two."""
    merged: dict[int, _Row] = {}
    doubled = []
    for row in rows:
        time = row.received if by_receipt else row.stamp
        other = merged.get(time)
        if other is None:
            merged[time] = row
        elif (np.isnan(other.value) | np.isnan(row.value)).all():
            merged[time] = row._replace(value=np.where(np.isnan(row.value), other.value, row.value))
        else:
            doubled.append(row)
    return [*merged.values(), *doubled]


def _sorted(rows: list[_Row], by_receipt: bool, dropped: Counter[str], doubled: str) -> tuple[Any, Array]:
    """Times [ns] (n,), strictly rising, and values (n, ...)."""
    times = np.array([row.received if by_receipt else row.stamp for row in rows], dtype=np.int64)
    unique, first = np.unique(times, return_index=True)
    if len(unique) < len(times):
        dropped[doubled] += len(times) - len(unique)
    return unique, np.array([rows[i].value for i in first])
