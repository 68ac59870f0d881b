"""Named poses of a robot for the page's buttons: joint positions in a file, tips by forward kinematics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnik_ros.errors import Problems
from nnik_ros.geometry import Array, frozen
from nnik_ros.paths import share_dir
from nnik_ros.robot import Robot
from nnik_ros.yaml_file import Section, is_number, load_mapping, report_duplicates

SCHEMA = 1


@dataclass(frozen=True)
class Preset:
    """A button. tip_position (n, nt, 3) [m]: the places that the tips visit in turn, each for `seconds` [s]."""

    name: str
    seconds: float
    tip_position: Array


def load_presets(robot_file: Path, robot: Robot) -> tuple[Preset, ...]:
    """The presets of `robot`, which was read from `robot_file`; none when there is no file with presets.

    Raises:
        FileError: listing every unknown key, name given twice, wrong number of joint positions, and position outside the
            robot's limits.
    """
    path = presets_file(robot_file)
    if path is None:
        return ()
    problems = Problems(str(path))
    document = Section(load_mapping(path), "", problems)
    document.integer("schema", low=SCHEMA, high=SCHEMA)
    presets = tuple(_preset(section, robot, problems) for section in document.sections("presets"))
    document.finish()
    report_duplicates([preset.name for preset in presets], "presets", problems)
    problems.raise_if_any()
    return presets


def presets_file(robot_file: Path) -> Path | None:
    """`presets/` beside the robot's file, a file of the same name; for a shipped robot, the shipped one. Not by the robot's
    name: one's own robot may be called as a shipped one."""
    own = robot_file.parent / "presets" / robot_file.name
    if own.is_file():
        return own
    config = share_dir() / "config"
    shipped_robot, shipped = config / "robots" / robot_file.name, config / "presets" / robot_file.name
    same = shipped_robot.is_file() and shipped_robot.samefile(robot_file)
    return shipped if same and shipped.is_file() else None


def _preset(section: Section, robot: Robot, problems: Problems) -> Preset:
    name = section.text("name")
    seconds = section.number("seconds", 1.0, above=0.0)
    rows = section.items("joint_positions")
    section.finish()
    q = [_joint_position(row, f"{section.where}.joint_positions[{i}]", robot, problems) for i, row in enumerate(rows)]
    if not rows:
        section.wrong("joint_positions", rows, "at least one row of joint positions")
    return Preset(name, seconds, frozen(robot.kinematics.tip_position(np.array(q).reshape(-1, robot.nq))))


def _joint_position(row: object, where: str, robot: Robot, problems: Problems) -> Array:
    if not isinstance(row, list) or len(row) != robot.nq or not all(map(is_number, row)):
        problems.add(f"{where}: must be {robot.nq} finite numbers [rad], in the robot's joint order")
        return robot.home
    q = np.array(row, dtype=np.float64)
    for i in np.flatnonzero(~((q >= robot.lower) & (q <= robot.upper))):
        problems.add(
            f"{where}: {robot.joint_names[i]} is {q[i]:g}, must be within [{robot.lower[i]:g}, {robot.upper[i]:g}] rad"
        )
    return q
