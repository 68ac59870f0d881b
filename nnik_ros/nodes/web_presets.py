"""Named poses of a robot for the page's buttons: joint positions in a file, tips by forward kinematics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnik_ros.errors import Problems
from nnik_ros.geometry import Array, frozen
from nnik_ros.robot import Robot
from nnik_ros.yaml_file import Section, load_mapping

SCHEMA = 1


@dataclass(frozen=True)
class Preset:
    """A button. tip_position (n, nt, 3) [m]: the places that the tips visit in turn, each for `seconds` [s]."""

    name: str
    seconds: float
    tip_position: Array


def load_presets(folder: Path, robot: Robot) -> tuple[Preset, ...]:
    """The presets of `robot` from `folder`/<robot name>.yaml; none when there is no such file.

    Raises:
        FileError: listing every unknown key, wrong number of joint positions, and position outside the robot's limits.
    """
    path = folder / f"{robot.name}.yaml"
    if not path.is_file():
        return ()
    problems = Problems(str(path))
    document = Section(load_mapping(path), "", problems)
    document.integer("schema", low=SCHEMA, high=SCHEMA)
    presets = tuple(_preset(section, robot, problems) for section in document.sections("presets"))
    document.finish()
    problems.raise_if_any()
    return presets


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
    numbers = isinstance(row, list) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in row)
    if not numbers or len(row) != robot.nq:  # type: ignore[arg-type]
        problems.add(f"{where}: must be {robot.nq} numbers [rad], in the robot's joint order")
        return robot.home
    q = np.array(row, dtype=np.float64)
    for i in np.flatnonzero(~((q >= robot.lower) & (q <= robot.upper))):
        problems.add(
            f"{where}: {robot.joint_names[i]} is {q[i]:g}, must be within [{robot.lower[i]:g}, {robot.upper[i]:g}] rad"
        )
    return q
