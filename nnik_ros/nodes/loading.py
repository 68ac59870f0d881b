"""Everything that a node loads by name before it starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from nnik_ros.calibration import load_calibration
from nnik_ros.collision import CollisionModel
from nnik_ros.driver import Driver, JointMap, joint_map, load_driver
from nnik_ros.errors import InputError, NnikError
from nnik_ros.kinematics import Kinematics
from nnik_ros.nodes.node_options import AUTO_MODEL, NO_MODEL, NodeOptions
from nnik_ros.nodes.realtime import checked_cpus
from nnik_ros.nodes.statistics import TimedNetwork
from nnik_ros.paths import driver_file, given_path, model_file, robot_file, share_dir, shipped
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot, load_robot


class Loaded(NamedTuple):
    """What a controller works with: `robot` is calibrated, `described` is as its files tell."""

    robot: Robot
    described: Robot
    driver: Driver
    joints: JointMap
    policy: Policy | None
    collision: CollisionModel
    cpus: frozenset[int]


def load_named_robot(name: str) -> tuple[Robot, Path]:
    """The robot and its file.

    Raises:
        NnikError: unknown name, broken file, or a tip whose name cannot stand in a topic.
    """
    path = robot_file(name)
    robot = load_robot(path)
    for tip in robot.tip_names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", tip):
            raise InputError(
                f"{path}: tip '{tip}' cannot stand in a topic name; use letters, digits and underscores, a letter first"
            )
    return robot, path


def load_named_driver(name: str, robot: Robot, namespace: str = "") -> tuple[Driver, JointMap]:
    """namespace: of its topics; empty: the profile's.

    Raises:
        NnikError: unknown name, broken file, a profile that does not fit the robot, or topics of no possible name.
    """
    driver = load_driver(driver_file(name))
    joints = joint_map(driver, robot)
    for channel in (driver.state, driver.command):
        driver.topic(channel, namespace)
    return driver, joints


def prefixed(frame: str, prefix: str) -> str:
    """A frame of the robot as TF names it.

    Raises:
        InputError: a prefix that no frame can begin with.
    """
    if prefix.startswith("/") or any(map(str.isspace, prefix)):
        raise InputError(f"frame_prefix: is '{prefix}', must be without spaces and not begin with '/', such as 'left/'")
    return prefix + frame


def load_kinematics(calibration: str, robot: Robot) -> Kinematics:
    """The robot's kinematics with a calibration file, its own where no file is given.

    Raises:
        NnikError: missing or broken file, or a calibration of another robot.
    """
    if not calibration:
        return robot.kinematics
    return load_calibration(given_path(calibration), robot).apply(robot)


def load_policy(name: str, robot: Robot, kinematics: Kinematics) -> Policy | None:
    """The network of that name, None for damped least squares. robot: as described; kinematics: as calibrated.

    Raises:
        NnikError: unknown name, or a network that does not belong to the robot.
    """
    if name == NO_MODEL:
        return None
    if name == AUTO_MODEL:
        if robot.name not in shipped(share_dir() / "models", ".onnx"):
            return None
        name = robot.name
    path = model_file(name)
    return TimedNetwork(path, robot, None if kinematics is robot.kinematics else kinematics)


def load(options: NodeOptions) -> Loaded:
    """Raises NnikError for whatever cannot be used; the messages of independent parts come together."""
    described, _ = load_named_robot(options.robot)
    kinematics = described.kinematics
    problems: list[NnikError] = []
    with _collected(problems):
        kinematics = load_kinematics(options.calibration, described)
    with _collected(problems):
        driver, joints = load_named_driver(options.driver, described, options.driver_namespace)
    with _collected(problems):
        policy = load_policy(options.model, described, kinematics)
    with _collected(problems):
        cpus = checked_cpus(options.cpu_affinity)
    with _collected(problems):
        prefixed(described.base_frame, options.frame_prefix)
    if problems:
        raise problems[0] if len(problems) == 1 else InputError("\n".join(map(str, problems)))
    robot = replace(described, kinematics=kinematics)
    return Loaded(robot, described, driver, joints, policy, CollisionModel(robot), cpus)


@contextmanager
def _collected(problems: list[NnikError]) -> Iterator[None]:
    try:
        yield
    except NnikError as error:
        problems.append(error)
