"""Everything that a node loads by name before it starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from nnik_ros.collision import CollisionModel
from nnik_ros.driver import Driver, JointMap, joint_map, load_driver
from nnik_ros.errors import InputError, NnikError
from nnik_ros.nodes.node_options import AUTO_MODEL, NO_MODEL, NodeOptions
from nnik_ros.nodes.realtime import parse_cpus
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import driver_file, model_file, robot_file
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot, load_robot


class Loaded(NamedTuple):
    """What a controller works with."""

    robot: Robot
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
            raise InputError(f"{path}: tip '{tip}' cannot stand in a topic name; use letters, digits and underscores")
    return robot, path


def load_named_driver(name: str, robot: Robot) -> tuple[Driver, JointMap]:
    """Raises NnikError: unknown name, broken file, or a profile that does not fit the robot."""
    driver = load_driver(driver_file(name))
    return driver, joint_map(driver, robot)


def load_policy(name: str, robot: Robot) -> Policy | None:
    """The network of that name, None for damped least squares.

    Raises:
        NnikError: unknown name, or a network that does not belong to the robot.
    """
    if name == NO_MODEL:
        return None
    if name == AUTO_MODEL:
        try:
            path = model_file(robot.name)
        except InputError:
            return None
        return OnnxPolicy(path, robot)
    return OnnxPolicy(model_file(name), robot)


def load(options: NodeOptions) -> Loaded:
    """Raises NnikError for whatever cannot be used; messages of independent parts come together."""
    robot, _ = load_named_robot(options.robot)
    problems: list[NnikError] = []
    try:
        driver, joints = load_named_driver(options.driver, robot)
    except NnikError as error:
        problems.append(error)
    try:
        policy = load_policy(options.model, robot)
    except NnikError as error:
        problems.append(error)
    try:
        cpus = parse_cpus(options.cpu_affinity)
    except NnikError as error:
        problems.append(error)
    if problems:
        raise problems[0] if len(problems) == 1 else InputError("\n".join(map(str, problems)))
    return Loaded(robot, driver, joints, policy, CollisionModel(robot), cpus)
