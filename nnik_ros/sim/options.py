"""How a robot is simulated, as data: gravity, physics step and the drive of every joint."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnik_ros.errors import InputError, Problems
from nnik_ros.geometry import Array, frozen
from nnik_ros.robot import Robot
from nnik_ros.yaml_file import Section, compare_names, load_mapping

SCHEMA = 1


@dataclass(frozen=True)
class SimOptions:
    """Physics of one robot. Arrays are read-only and in the robot's joint order, (nq,) each.

    gravity (3,) [m/s^2] in the base frame; timestep [s]. The drive of a joint is a PD on position commands,
    torque = clip(stiffness (command - q) - damping dq, +-torque_limit), with stiffness [N m/rad], damping [N m s/rad],
    torque_limit [N m]; armature [kg m^2] is the inertia of gear and motor seen at the joint, friction [N m] its dry and
    viscosity [N m s/rad] its viscous friction, both outside the torque limit.
    """

    gravity: Array
    timestep: float
    self_contact: bool
    stiffness: Array = field(repr=False)
    damping: Array = field(repr=False)
    torque_limit: Array = field(repr=False)
    armature: Array = field(repr=False)
    friction: Array = field(repr=False)
    viscosity: Array = field(repr=False)


def load_sim_options(path: Path, robot: Robot) -> SimOptions:
    """Read the simulation file of `robot`; its joints may stand in any order.

    Raises:
        FileError: listing every unknown, missing or duplicate key, every joint that the robot lacks or the file leaves
            out, and every number outside its range.
    """
    problems = Problems(str(path))
    document = Section(load_mapping(path), "", problems)
    document.integer("schema", low=SCHEMA, high=SCHEMA)
    document.text("description", "")
    names = document.items("robots")
    if not all(isinstance(name, str) for name in names):
        document.wrong("robots", names, "a list of robot names")
    gravity = frozen(document.numbers("gravity", length=3))
    timestep = document.number("timestep", low=1e-5, high=0.01)
    self_contact = document.boolean("self_contact")
    rows = [_drive(section) for section in document.sections("joints")]
    document.finish()
    compare_names([name for name, _ in rows], robot.joint_names, "joints", problems, f"robot '{robot.name}'")
    problems.raise_if_any()
    drives = dict(rows)
    columns = (frozen(column) for column in np.array([drives[name] for name in robot.joint_names]).T)
    return SimOptions(gravity, timestep, self_contact, *columns)


def find_sim_file(folder: Path, robot_name: str) -> Path:
    """The simulation file of `folder` that lists `robot_name` under its key `robots`.

    Raises:
        InputError: no file lists it; the message names the robots that can be simulated.
        FileError: a file of the folder cannot be read.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.yaml")):
        robots = load_mapping(path).get("robots")
        found.update({name: path for name in robots if isinstance(name, str)} if isinstance(robots, list) else {})
    if robot_name not in found:
        known = ", ".join(found) or "none"
        raise InputError(f"{folder}: no simulation file for robot '{robot_name}'; there are some for: {known}")
    return found[robot_name]


def _drive(section: Section) -> tuple[str, list[float]]:
    """Name and numbers of a joint, in the order of the fields of `SimOptions`."""
    name = section.text("name")
    numbers = [
        section.number("stiffness", low=0.0),
        section.number("damping", low=0.0),
        section.number("torque_limit", above=0.0),
        section.number("armature", low=0.0),
        section.number("friction", low=0.0),
        section.number("viscosity", low=0.0),
    ]
    section.finish()
    return name, numbers
