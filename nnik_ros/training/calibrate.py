"""Calibrate a robot from a recording: `python -m nnik_ros.training.calibrate BAG --robot R --output FILE`.

The recording is a rosbag2 with joint states and with tips that something other than the joints measured. The file that comes
out is what the controller loads; the network stays as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nnik_ros.arguments import check_apart, number
from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.calibration import Calibration, calibration_of, too_large
from nnik_ros.errors import InputError, NnikError
from nnik_ros.geometry import Array
from nnik_ros.kinematics import Kinematics
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot
from nnik_ros.training.alignment import AXIS_PRIOR, aligned, check_independent, fit_data
from nnik_ros.training.bag import TIP_TOPIC, BagData
from nnik_ros.training.bag_arguments import bag_parser, needs_truth, read_task
from nnik_ros.training.calibration_check import (
    check_judged,
    check_seen,
    hardly_moved,
    little_motion,
    of_another_robot,
    true_error_table,
)
from nnik_ros.training.calibration_fit import Fit, Priors, fit
from nnik_ros.training.recorded_samples import split
from nnik_ros.training.recording import Recording, RecordingOptions

_LEAST_USED = 0.7  # share of the measurements that the calibrated robot must explain
_LONGER = "record for longer, or with less noise, and make sure that it is of this robot and this side"
_DESCRIBE = "mount or home joints with such zeros anew; lengths and axes like these belong into the URDF"
_DISTANCE_OF_NOISE = 1.538  # the median length of three coordinates with a standard deviation of 1
_POSES, _SEED = 500, 1  # random poses for the uncertainty of the tips


@dataclass(frozen=True)
class CalibrateOptions:
    """axes: fit the directions of the joint axes too, without which a tenth of a degree costs tenths of a millimetre;
    precision [m]: largest 95th percentile of a tip's uncertainty over the joints' range; largest_noise [m]: of a coordinate of
    a measured tip around the calibrated robot."""

    axes: bool = True
    precision: float = 2e-4
    largest_noise: float = 1e-3
    recording: RecordingOptions = field(default_factory=RecordingOptions)


@dataclass(frozen=True)
class Result:
    """before, after (m, nt) [m]: distance of the held-out measured tips from the robot as described and as calibrated;
    uncertainty (nt,) [m]: 95th percentile over the joints' range; moved (nq,) [rad]: over what the joints moved."""

    robot: Robot
    calibration: Calibration
    fit: Fit
    recording: Recording
    before: Array
    after: Array
    uncertainty: Array
    moved: Array

    def text(self) -> str:
        zero = np.degrees(self.calibration.joint_zero)
        spread = np.degrees(self.fit.joint_zero_uncertainty)
        lines = [
            self.recording.report.text(),
            f"{int(self.fit.used.sum())} measurements fitted; outliers, and a fifth that is held out, are not among them",
            f"noise of a measured tip {self.fit.noise * 1e3:.3f} mm, its stamps are late by {self.fit.delay * 1e3:.2f} ms",
            "",
            "                held-out measurements, mm            uncertainty",
            "               as described       as calibrated      anywhere, mm",
            "tip            median       p95    median       p95",
        ]
        for t, name in enumerate(self.robot.tip_names):
            columns = [
                np.nanquantile(errors[:, t], p) * 1e3 for errors in (self.before, self.after) for p in (0.5, 0.95)
            ]
            lines.append(f"{name:12}" + "".join(f"{x:10.3f}" for x in columns) + f"{self.uncertainty[t] * 1e3:16.4f}")
        lines += ["", "joint                 zero deg    +- deg   moved deg"]
        for i, name in enumerate(self.robot.joint_names):
            lines.append(f"{name:20}{zero[i]:10.3f}{spread[i]:10.3f}{np.degrees(self.moved[i]):12.1f}")
        return "\n".join(lines)


def calibrate(bag: BagData, robot: Robot, options: CalibrateOptions, source: str) -> Result:
    """Fit the geometry of `robot` to `bag`; a fifth of the recording is held out.

    Raises:
        InputError: the data does not determine the tips, is not explained by any geometry near the description, or was
            computed from the joints.
    """
    recording, result = _fit(bag, robot, options)
    held_out = split(recording)
    q, tip = recording.q[held_out], recording.tip[held_out]
    before, after = (np.linalg.norm(k.tip_position(q) - tip, axis=-1) for k in (robot.kinematics, result.kinematics))
    moved = np.ptp(recording.q, axis=0)
    poses = robot.random_joint_position(np.random.default_rng(_SEED), _POSES)
    uncertainty: Array = np.quantile(result.tip_uncertainty(poses), 0.95, axis=0)
    _check_explained(recording, robot, result, after, options)
    _check_determined(recording, robot, uncertainty, moved, options)
    calibration = calibration_of(robot, result.kinematics.parameters, source)
    _check_size(calibration)
    return Result(robot, calibration, result, recording, before, after, uncertainty, moved)


def _fit(bag: BagData, robot: Robot, options: CalibrateOptions) -> tuple[Recording, Fit]:
    """Fit all poses but the held-out ones; the fit's delay is the whole one."""
    recording, delay = aligned(bag, robot, options.recording)
    check_seen(recording, robot)
    check_judged(recording, robot, split(recording))
    check_independent(bag, recording, robot, delay)
    result = fit(robot.kinematics, fit_data(recording), Priors(axis=AXIS_PRIOR if options.axes else 0.0))
    return recording, replace(result, delay=delay + result.delay)


def _check_explained(recording: Recording, robot: Robot, result: Fit, after: Array, options: CalibrateOptions) -> None:
    share = result.used.sum() / recording.measured[~split(recording)].sum()
    noise = np.nanmedian(after, axis=0) / _DISTANCE_OF_NOISE  # of each tip, whose fault the others do not hide
    wrong = [f"{robot.tip_names[t]} {noise[t] * 1e3:.2f} mm" for t in np.flatnonzero(noise > options.largest_noise)]
    if share >= _LEAST_USED and result.noise <= options.largest_noise and not wrong:
        return
    raise InputError(
        f"no geometry near the description explains the recording: {share * 100:.0f} % of the measurements fit, within a noise "
        f"of {result.noise * 1e3:.2f} mm; {_LEAST_USED * 100:.0f} % and {options.largest_noise * 1e3:g} mm are needed"
        + (f", of every tip; what was held out has {', '.join(wrong)}" if wrong else "")
        + "".join(f"\n  - {hint}" for hint in of_another_robot(recording, robot))
    )


def _check_determined(
    recording: Recording, robot: Robot, uncertainty: Array, moved: Array, options: CalibrateOptions
) -> None:
    wrong = uncertainty > options.precision
    if not wrong.any():
        return
    tips = [f"{robot.tip_names[t]} {uncertainty[t] * 1e3:.2f} mm" for t in np.flatnonzero(wrong)]
    little = wrong[robot.kinematics.tip_of_joint] & hardly_moved(moved, robot)
    hints = of_another_robot(recording, robot)
    hints.append(little_motion(little, moved, robot) or _LONGER)
    raise InputError(
        f"the recording does not determine the tips to {options.precision * 1e3:g} mm over 95 % of the joints' range: "
        f"{', '.join(tips)}" + "".join(f"\n  - {hint}" for hint in hints)
    )


def _check_size(calibration: Calibration) -> None:
    if problems := too_large(calibration):
        raise InputError(
            "the fitted geometry is too far from the description for a calibration"
            + "".join(f"\n  - {problem}" for problem in [*problems, _DESCRIBE])
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    needs_truth(parser, given, "model")
    try:
        task = read_task(given, _tips(given.tips))
        network = model_file(given.model) if given.model else None
        if network:
            check_apart(given.output, {"the network": network})
            OnnxPolicy(network, task.robot)  # is read again with the calibration; what is wrong with it is told now
        options = CalibrateOptions(
            not given.no_axes,
            given.precision_mm * 1e-3,
            given.largest_noise_mm * 1e-3,
            RecordingOptions(given.longest_gap),
        )
        result = calibrate(task.read(given.bag), task.robot, options, given.bag.name)
        comparison = _comparison(result, task.truth, network) if task.truth else ""
        result.calibration.write(given.output)
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2
    print(result.text())
    if comparison:
        print(f"\n{comparison}")
    print(f"\n{given.output}: written; the controller takes it as its parameter 'calibration'")
    return 0


def _comparison(result: Result, truth: Kinematics, network: Path | None) -> str:
    """True errors with and without the calibration, of damped least squares and of the network when one is named."""
    robot = result.robot
    policies: dict[str, Policy] = {}
    for name, kinematics in (("as described", robot.kinematics), ("as calibrated", result.calibration.apply(robot))):
        policies[f"{name}, damped least squares"] = DampedLeastSquares(robot, kinematics)
        if network:
            policies[f"{name}, network"] = OnnxPolicy(network, robot, kinematics)
    return true_error_table(policies, truth)


def _parser() -> argparse.ArgumentParser:
    parser = bag_parser("calibrate", "Calibrate a robot's geometry from a recording.", "calibration")
    parser.add_argument(
        "--tips", nargs="+", default=[TIP_TOPIC], metavar="TOPIC",
        help="one PoseArray topic in tip order (default: %(default)s), or TIP=TOPIC of PoseStamped for each tip",
    )  # fmt: skip
    parser.add_argument("--no-axes", action="store_true", help="hold the directions of the joint axes as described")
    parser.add_argument(
        "--longest-gap", type=number(low=0.0), default=0.05, help="s between joint states, to interpolate over"
    )
    parser.add_argument(
        "--precision-mm", type=number(above=0.0), default=0.2, help="uncertainty of a tip that is accepted"
    )
    parser.add_argument(
        "--largest-noise-mm", type=number(above=0.0), default=1.0, help="noise of a measured tip that is accepted"
    )
    parser.add_argument(
        "--model", default="", help="with --truth: a network to compare too, a shipped name or an ONNX file"
    )
    return parser


def _tips(words: Sequence[str]) -> str | dict[str, str]:
    """Raises InputError: neither one topic nor TIP=TOPIC everywhere."""
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    if not all("=" in word for word in words):
        raise InputError(f"--tips {' '.join(words)}: give one PoseArray topic, or TIP=TOPIC for each tip")
    return dict(word.split("=", 1) for word in words)


if __name__ == "__main__":
    sys.exit(main())
