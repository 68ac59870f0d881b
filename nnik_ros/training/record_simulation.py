"""Record a simulated robot that is not as its description says: `python -m nnik_ros.training.record_simulation`.

Writes what a real hand and a tracker would give, encoder angles and tip poses, into a rosbag2, and beside it what is true.
"""

from __future__ import annotations

import argparse
import math
import os
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from nnik_ros.arguments import Help, check_writable, number, seed, writing
from nnik_ros.errors import FileError, InputError, NnikError
from nnik_ros.geometry import Array
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot
from nnik_ros.sim.hand import SimHand
from nnik_ros.sim.options import SimOptions, find_sim_file, load_sim_options
from nnik_ros.training.bag import JOINT_STATE, POSE_ARRAY, POSE_STAMPED, TIP_TOPIC
from nnik_ros.training.disturbed import Disturbance, DisturbedRobot, disturbed

JOINT_TOPIC = "joint_states"
_START = 1_700_000_000_000_000_000  # ns; stamps of a recording are dates
_SECOND = 10**9
_MARGIN = 0.05  # of the range that the motion keeps from the joint limits
_LARGEST_OUTLIER = 0.05  # m
_LARGEST_OFFSET, _LARGEST_TURN, _LARGEST_LENGTH = 28.0, 16.0, 50.0  # deg, deg, mm; a calibration file can hold them
_LONGEST_DELAY, _LONGEST = 60_000.0, 3600.0  # ms, s
_STORES = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}


@dataclass(frozen=True)
class RecordOptions:
    """duration [s]; joint_rate, tip_rate [Hz]; waypoint [s]: time from one random pose to the next; noise [m]: standard
    deviation of each coordinate of a tip; outliers: share of the tip measurements that are up to 5 cm off; lost: share that
    is not finite; tip_delay [s]: by which the stamps of the tip poses are late; moving: joints that move, all when None."""

    duration: float = 60.0
    joint_rate: float = 333.0
    tip_rate: float = 60.0
    waypoint: float = 1.0
    noise: float = 1e-4
    outliers: float = 0.01
    lost: float = 0.005
    tip_delay: float = 0.0
    moving: tuple[str, ...] | None = None


class Measurements(NamedTuple):
    """joint_stamp (n,) [s], encoder (n, nq) [rad], tip_stamp (m,) [s], tip (m, nt, 3) [m]."""

    joint_stamp: Array
    encoder: Array
    tip_stamp: Array
    tip: Array


def measure(hand: DisturbedRobot, sim: SimOptions, options: RecordOptions, rng: np.random.Generator) -> Measurements:
    """Move the hand through random poses and read encoders and tips, each at its own rate."""
    simulated = SimHand(hand.true, sim)
    motion = _motion(hand.nominal, options, rng)
    simulated.reset(hand.real(motion(0.0)))
    joints = [(k / options.joint_rate, True) for k in range(int(options.duration * options.joint_rate))]
    tips = [((k + 0.5) / options.tip_rate, False) for k in range(int(options.duration * options.tip_rate))]
    rows: dict[bool, list[tuple[float, Array]]] = {True: [], False: []}
    last = 0.0
    for time, is_joint in sorted([*joints, *tips]):
        simulated.step(time - last)
        last = time
        value = hand.encoder(simulated.q) if is_joint else simulated.tip_position()
        rows[is_joint].append((simulated.time, value))
        if is_joint:
            simulated.command(hand.real(motion(time)))
    joint_stamp, encoder = (np.array(column) for column in zip(*rows[True], strict=True))
    tip_stamp, tip = (np.array(column) for column in zip(*rows[False], strict=True))
    return Measurements(joint_stamp, encoder, tip_stamp + options.tip_delay, _measured(tip, options, rng))


def write_bag(
    path: Path, robot: Robot, data: Measurements, storage: str = "mcap", *, single_tips: bool = False
) -> None:
    """Write a rosbag2. single_tips: one PoseStamped topic per tip, `<tip>/measured_pose`, instead of one PoseArray.

    Raises:
        InputError: the bag exists already.
        FileError: it cannot be written.
    """
    _check_new(path)
    store = get_typestore(Stores.ROS2_JAZZY)
    tip_messages = _single_messages if single_tips else _tip_messages
    try:
        with writing(path), Writer(path, version=9, storage_plugin=_STORES[storage]) as writer:
            messages = _joint_messages(writer, store, robot, data) + tip_messages(writer, store, robot, data)
            for stamp, connection, message in sorted(messages, key=lambda item: item[0]):
                writer.write(connection, stamp, store.serialize_cdr(message, connection.msgtype))
    except sqlite3.Error as error:
        raise FileError(str(path), [f"cannot be written: {error}"]) from error


def _check_new(path: Path) -> None:
    if os.path.lexists(path):
        raise InputError(f"{path} exists already; a recording is never overwritten")
    check_writable(path)


def _motion(robot: Robot, options: RecordOptions, rng: np.random.Generator) -> Any:
    """Joint position as a function of time: minimum jerk from one random pose to the next, starting at home."""
    n = math.ceil(options.duration / options.waypoint) + 1
    margin = _MARGIN * (robot.upper - robot.lower)
    points = rng.uniform(robot.lower + margin, robot.upper - margin, (n, robot.nq))
    points[0] = robot.home
    if options.moving is not None:
        unknown = set(options.moving) - set(robot.joint_names)
        if unknown:
            raise InputError(
                f"unknown joints {', '.join(sorted(unknown))}; the robot has {', '.join(robot.joint_names)}"
            )
        points = np.where([name in options.moving for name in robot.joint_names], points, robot.home)

    def at(time: float) -> Array:
        k = min(int(time / options.waypoint), n - 2)
        s = min(time / options.waypoint - k, 1.0)
        position: Array = points[k] + (points[k + 1] - points[k]) * s**3 * (10.0 - 15.0 * s + 6.0 * s * s)
        return position

    return at


def _measured(tip: Array, options: RecordOptions, rng: np.random.Generator) -> Array:
    """Noise, outliers and lost tips on true positions (m, nt, 3)."""
    measured = tip + rng.normal(0.0, options.noise, tip.shape)
    wrong = rng.random(tip.shape[:2]) < options.outliers
    measured[wrong] += rng.uniform(-_LARGEST_OUTLIER, _LARGEST_OUTLIER, (int(wrong.sum()), 3))
    measured[rng.random(tip.shape[:2]) < options.lost] = math.nan
    return measured


def _header(store: Any, stamp: float, frame: str) -> tuple[int, Any]:
    types = store.types
    nanoseconds = _START + round(stamp * _SECOND)
    time = types["builtin_interfaces/msg/Time"](sec=nanoseconds // _SECOND, nanosec=nanoseconds % _SECOND)
    return nanoseconds, types["std_msgs/msg/Header"](stamp=time, frame_id=frame)


def _joint_messages(writer: Writer, store: Any, robot: Robot, data: Measurements) -> list[tuple[int, Any, Any]]:
    connection = writer.add_connection(f"/{JOINT_TOPIC}", JOINT_STATE, typestore=store)
    make, empty = store.types[JOINT_STATE], np.zeros(0)
    messages = []
    for stamp, q in zip(data.joint_stamp, data.encoder, strict=True):
        when, header = _header(store, stamp, "")
        message = make(header=header, name=list(robot.joint_names), position=q, velocity=empty, effort=empty)
        messages.append((when, connection, message))
    return messages


def _tip_messages(writer: Writer, store: Any, robot: Robot, data: Measurements) -> list[tuple[int, Any, Any]]:
    connection = writer.add_connection(f"/{TIP_TOPIC}", POSE_ARRAY, typestore=store)
    messages = []
    for stamp, tips in zip(data.tip_stamp, data.tip, strict=True):
        when, header = _header(store, stamp, robot.base_frame)
        poses = [_pose(store, position) for position in tips]
        messages.append((when, connection, store.types[POSE_ARRAY](header=header, poses=poses)))
    return messages


def _single_messages(writer: Writer, store: Any, robot: Robot, data: Measurements) -> list[tuple[int, Any, Any]]:
    connections = [
        writer.add_connection(f"/{name}/measured_pose", POSE_STAMPED, typestore=store) for name in robot.tip_names
    ]
    messages = []
    for stamp, tips in zip(data.tip_stamp, data.tip, strict=True):
        for connection, position in zip(connections, tips, strict=True):
            when, header = _header(store, stamp, robot.base_frame)
            message = store.types[POSE_STAMPED](header=header, pose=_pose(store, position))
            messages.append((when, connection, message))
    return messages


def _pose(store: Any, position: Array) -> Any:
    types = store.types
    x, y, z = position.tolist()
    return types["geometry_msgs/msg/Pose"](
        position=types["geometry_msgs/msg/Point"](x=x, y=y, z=z),
        orientation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        _check_new(given.output)
        truth = given.output.with_name(f"{given.output.name}.truth.yaml")
        check_writable(truth)
        path = robot_file(given.robot)
        robot = load_robot(path)
        sim = load_sim_options(find_sim_file(path.parent / "simulation", robot.name), robot)
        rng = np.random.default_rng(given.seed)
        limits = Disturbance(
            math.radians(given.joint_offset_deg), given.length_error_mm * 1e-3, math.radians(given.axis_error_deg)
        )
        hand = disturbed(robot, limits, rng)
        options = RecordOptions(
            duration=given.duration,
            noise=given.noise_mm * 1e-3,
            outliers=given.outliers,
            tip_delay=given.tip_delay_ms * 1e-3,
        )
        write_bag(given.output, robot, measure(hand, sim, options, rng), given.storage, single_tips=given.single_tips)
        hand.calibration.write(truth)
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{given.output}: {given.duration:g} s of {robot.name}; what is true: {truth}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="record_simulation",
        description="Record a simulated robot whose geometry differs from its description.",
        formatter_class=Help,
    )
    add = parser.add_argument
    add("--robot", required=True, help="a shipped name or the path of a YAML file")
    add("--output", required=True, type=Path, metavar="BAG", help="folder to write; BAG.truth.yaml beside it")
    add("--storage", choices=sorted(_STORES), default="mcap", help="of the bag")
    add("--single-tips", action="store_true", help="one PoseStamped topic per tip instead of one PoseArray")
    offset, turn, length = (number(low=0.0, high=high) for high in (_LARGEST_OFFSET, _LARGEST_TURN, _LARGEST_LENGTH))
    add("--joint-offset-deg", type=offset, default=3.0, help="largest joint zero offset")
    add("--length-error-mm", type=length, default=2.0, help="largest error of a length, each direction")
    add("--axis-error-deg", type=turn, default=0.0, help="largest error of a joint axis, each direction")
    add("--noise-mm", type=length, default=0.1, help="standard deviation of each coordinate of a tip")
    add("--outliers", type=number(low=0.0, high=1.0), default=0.01, help="share of tip measurements up to 5 cm off")
    delay = number(low=-_LONGEST_DELAY, high=_LONGEST_DELAY)
    add("--tip-delay-ms", type=delay, default=0.0, help="by which the stamps of the tip poses are late")
    add("--duration", type=number(low=1.0, high=_LONGEST), default=60.0, help="seconds")
    add("--seed", type=seed, default=1, help="of geometry, motion and noise")
    return parser


if __name__ == "__main__":
    sys.exit(main())
