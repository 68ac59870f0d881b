"""The geometry of one real robot, as differences to its description: what a calibration file holds.

A network needs no new training for it: `Calibration.apply` gives the kinematics whose constants go into the network's
optional inputs, see `nnik_ros.onnx_policy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike

from nnik_ros.errors import FileError, InputError, Problems
from nnik_ros.geometry import Array, frozen, quat_wxyz_from_rotation, rotation_about_axis
from nnik_ros.kinematics import KinematicParameters, Kinematics
from nnik_ros.robot import Robot
from nnik_ros.yaml_file import Section, compare_names, load_mapping

SCHEMA = 1
LARGEST_ANGLE = 0.5  # rad; a larger difference is another robot, or degrees taken for radians
LARGEST_SHIFT = 0.1  # m; a larger one is another robot, or millimetres taken for metres
_DIGITS = 9  # nanometres and nanoradians


@dataclass(frozen=True)
class Calibration:
    """Differences of one robot to the description whose digest is `kinematics_digest`; arrays are read-only.

    joint_zero (nq,) [rad]: added to the encoder's angle; joint_origin_shift (nq, 3) [m]: of each joint origin, in the frame
    that the description gives it in; joint_origin_turn (nq, 3) [rad]: rotation vector of each joint frame, in the joint
    frame; tip_shift (nt, 3) [m]: of each tip, in the frame of its last joint; source: where the numbers come from.
    """

    robot: str
    kinematics_digest: str
    joint_names: tuple[str, ...]
    tip_names: tuple[str, ...]
    joint_zero: Array = field(repr=False)
    joint_origin_shift: Array = field(repr=False)
    joint_origin_turn: Array = field(repr=False)
    tip_shift: Array = field(repr=False)
    source: str = ""

    def apply(self, robot: Robot) -> Kinematics:
        """The kinematics of `robot` with these differences.

        Raises:
            InputError: the calibration is of another robot.
        """
        wrong = list(_differences(self, robot))
        if wrong:
            raise InputError("the calibration does not fit the robot: " + "; ".join(wrong))
        nominal = robot.kinematics.parameters
        turn = np.array([rotation_from_vector(vector) for vector in self.joint_origin_turn])
        return robot.kinematics.calibrated(
            KinematicParameters(
                nominal.joint_origin_position + self.joint_origin_shift,
                nominal.joint_origin_rotation @ turn,
                nominal.joint_zero + self.joint_zero,
                nominal.tip_offset + self.tip_shift,
            )
        )

    def write(self, path: Path) -> None:
        """Write the file that `load_calibration` reads.

        Raises:
            FileError: a number is beyond what it reads, or the file cannot be written.
        """
        if problems := too_large(self):
            raise FileError(str(path), problems)
        try:
            path.write_text(_text(self), encoding="utf-8")
        except OSError as error:
            raise FileError(str(path), [f"cannot be written: {error.strerror}"]) from error


def calibration_of(robot: Robot, parameters: KinematicParameters, source: str = "") -> Calibration:
    """The differences of `parameters` to the description of `robot`."""
    nominal = robot.kinematics.parameters
    turn = np.swapaxes(nominal.joint_origin_rotation, -1, -2) @ parameters.joint_origin_rotation
    return Calibration(
        robot.name, robot.kinematics.digest(), robot.joint_names, robot.tip_names,
        frozen(parameters.joint_zero - nominal.joint_zero),
        frozen(parameters.joint_origin_position - nominal.joint_origin_position),
        frozen([vector_from_rotation(matrix) for matrix in turn]),
        frozen(parameters.tip_offset - nominal.tip_offset),
        source,
    )  # fmt: skip


def load_calibration(path: Path | str, robot: Robot) -> Calibration:
    """Read the calibration of `robot`; joints and tips may stand in any order.

    Raises:
        FileError: listing every missing, unknown or wrong key, every number outside its range, and every way in which the
            file belongs to another robot or to another description of it.
    """
    problems = Problems(str(path))
    document = Section(load_mapping(path), "", problems)
    document.integer("schema", low=SCHEMA, high=SCHEMA)
    name, digest = document.text("robot"), document.text("kinematics_digest")
    source = document.text("source", "")
    joints = [_joint(section) for section in document.sections("joints")]
    tips = [_tip(section) for section in document.sections("tips")]
    document.finish()
    for key, rows, names in (("joints", joints, robot.joint_names), ("tips", tips, robot.tip_names)):
        compare_names([row_name for row_name, _ in rows], names, key, problems)
    if not problems:
        values = [np.array([dict(rows)[name] for name in names]) for rows, names in
                  ((joints, robot.joint_names), (tips, robot.tip_names))]  # fmt: skip
        calibration = Calibration(
            name, digest, robot.joint_names, robot.tip_names, frozen(values[0][:, 0]), frozen(values[0][:, 1:4]),
            frozen(values[0][:, 4:7]), frozen(values[1]), source,
        )  # fmt: skip
        for problem in _differences(calibration, robot):
            problems.add(problem)
    problems.raise_if_any()
    return calibration


def too_large(calibration: Calibration) -> list[str]:
    """The differences that no file may hold, in words."""
    c, found = calibration, []
    for what, names, values, largest, unit in (
        ("zero", c.joint_names, c.joint_zero[:, None], LARGEST_ANGLE, "rad"),
        ("origin_shift", c.joint_names, c.joint_origin_shift, LARGEST_SHIFT, "m"),
        ("origin_turn", c.joint_names, c.joint_origin_turn, LARGEST_ANGLE, "rad"),
        ("shift", c.tip_names, c.tip_shift, LARGEST_SHIFT, "m"),
    ):
        written = np.round(values, _DIGITS)
        for i in np.flatnonzero(~(np.abs(written) <= largest).all(-1)):  # a NaN compares false
            numbers = ", ".join(f"{value:.4g}" for value in written[i])
            found.append(f"{what} of '{names[i]}': is {numbers} {unit}, must be within [{-largest:g}, {largest:g}]")
    return found


def rotation_from_vector(vector: ArrayLike) -> Array:
    """Rotation matrix (3, 3) of a rotation vector (3,) [rad]."""
    angle = float(np.linalg.norm(vector))
    return np.eye(3) if angle == 0.0 else rotation_about_axis(np.asarray(vector) / angle, angle)


def vector_from_rotation(rotation: ArrayLike) -> Array:
    """Rotation vector (3,) [rad], no longer than pi, of a rotation matrix (3, 3)."""
    quat = quat_wxyz_from_rotation(rotation)
    sine = float(np.linalg.norm(quat[1:]))
    # below 1e-12 the angle is twice the vector part
    return quat[1:] * (2.0 if sine < 1e-12 else 2.0 * np.arctan2(sine, quat[0]) / sine)


def _joint(section: Section) -> tuple[str, list[float]]:
    """Name and zero, three of the shift, three of the turn of one joint."""
    name = section.text("name")
    zero = section.number("zero", low=-LARGEST_ANGLE, high=LARGEST_ANGLE)
    shift = _vector(section, "origin_shift", LARGEST_SHIFT, [0.0, 0.0, 0.0])
    turn = _vector(section, "origin_turn", LARGEST_ANGLE, [0.0, 0.0, 0.0])
    section.finish()
    return name, [zero, *shift, *turn]


def _tip(section: Section) -> tuple[str, list[float]]:
    name, shift = section.text("name"), _vector(section, "shift", LARGEST_SHIFT)
    section.finish()
    return name, shift


def _vector(section: Section, key: str, largest: float, default: list[float] | None = None) -> list[float]:
    values = section.numbers(key, default, length=3)
    if any(abs(value) > largest for value in values):
        section.wrong(key, values, f"3 numbers within [{-largest:g}, {largest:g}]")
    return values or [0.0, 0.0, 0.0]


def _differences(calibration: Calibration, robot: Robot) -> Iterator[str]:
    """In which ways the calibration belongs to something else than `robot`."""
    for what, given, wanted in (
        ("robot", calibration.robot, robot.name),
        ("joints", calibration.joint_names, robot.joint_names),
        ("tips", calibration.tip_names, robot.tip_names),
    ):
        if given != wanted:
            yield f"{what}: is {given}, the robot has {wanted}"
    if calibration.robot == robot.name and calibration.kinematics_digest != (digest := robot.kinematics.digest()):
        yield (
            f"kinematics_digest: is '{calibration.kinematics_digest[:12]}...', the description of '{robot.name}' has "
            f"'{digest[:12]}...': it has changed since, calibrate again"
        )


def _text(calibration: Calibration) -> str:
    """The file: one line for each joint and tip."""
    c = calibration
    head = {"schema": SCHEMA, "robot": c.robot, "kinematics_digest": c.kinematics_digest, "source": c.source}
    if not c.source:
        del head["source"]
    joints = [
        {"name": name, "zero": zero, "origin_shift": shift, "origin_turn": turn}
        for name, zero, shift, turn in zip(
            c.joint_names,
            _rounded(c.joint_zero),
            _rounded(c.joint_origin_shift),
            _rounded(c.joint_origin_turn),
            strict=True,
        )
    ]
    tips = [{"name": name, "shift": shift} for name, shift in zip(c.tip_names, _rounded(c.tip_shift), strict=True)]
    lines = ["# Geometry of one robot: differences to its description, in rad and m. Read by the controller."]
    lines.append(yaml.safe_dump(head, sort_keys=False, width=120).rstrip())
    for key, rows in (("joints", joints), ("tips", tips)):
        lines.append(f"{key}:")
        lines += [
            f"  - {yaml.safe_dump(row, sort_keys=False, default_flow_style=True, width=1000).strip()}" for row in rows
        ]
    return "\n".join(lines) + "\n"


def _rounded(values: Array) -> Any:
    return (np.round(values, _DIGITS) + 0.0).tolist()
