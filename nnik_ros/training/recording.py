"""A recording of a real robot as a data set: joints at the times of the tip poses, without what cannot be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnik_ros.calibration import LARGEST_ANGLE
from nnik_ros.driver import JointMap
from nnik_ros.errors import InputError
from nnik_ros.geometry import Array, frozen
from nnik_ros.robot import Robot
from nnik_ros.training.bag import BagData, Topics, read_bag
from nnik_ros.training.units import wrong_unit

_SLOPE = 0.01  # s to either side for the joint velocity; averages over the noise of an encoder
_WINDOW = 5  # measurements to either side that a measurement is compared with
_SPREADS = 8.0  # times the spread of its neighbours is an outlier
SPREAD_PER_MAD = 1.4826  # of a normal distribution
_FARTHEST = 1.3  # reaches; the tips of a robot with other lengths still lie within


@dataclass(frozen=True)
class RecordingOptions:
    """longest_gap [s]: between two joint states, over which joints are interpolated; outlier [m]: least sudden departure of a
    tip from where the joints put it that counts as an outlier."""

    longest_gap: float = 0.05
    outlier: float = 0.005


@dataclass(frozen=True)
class Report:
    """What became of a recording. duration [s]; measurements: of single tips; kept: of them; dropped: by reason."""

    duration: float
    joint_messages: int
    tip_messages: int
    measurements: int
    kept: int
    dropped: Mapping[str, int]
    by_receipt: bool

    def text(self) -> str:
        lines = [
            f"{self.duration:.1f} s, {self.joint_messages} joint states, {self.tip_messages} messages of tip poses",
            f"{self.kept} of {self.measurements} tip measurements kept",
        ]
        lines += [f"  dropped {n:6}  {reason}" for reason, n in sorted(self.dropped.items(), key=lambda item: -item[1])]
        if self.by_receipt:
            lines.append("headers without a stamp: times of receipt are used")
        return "\n".join(lines)


@dataclass(frozen=True)
class Recording:
    """The data set, read-only and sorted by time. stamp (n,) [s] of the tip poses; q (n, nq) [rad] and dq (n, nq) [rad/s] at
    that time; tip (n, nt, 3) [m] in the base frame, NaN where a tip was not measured or was refused."""

    stamp: Array = field(repr=False)
    q: Array = field(repr=False)
    dq: Array = field(repr=False)
    tip: Array = field(repr=False)
    report: Report

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which tips were measured: (n, nt)."""
        return measured_tips(self.tip)


def measured_tips(tip: Array) -> NDArray[np.bool_]:
    """Which of the tips (..., nt, 3) are no NaN: (..., nt)."""
    return np.asarray(np.isfinite(tip).all(-1))


def read_recording(
    path: Path, robot: Robot, joints: JointMap, topics: Topics, options: RecordingOptions | None = None
) -> Recording:
    """Read and align a rosbag2.

    Raises:
        FileError: see `read_bag`.
        InputError: see `align`.
    """
    return align(read_bag(path, robot, joints, topics), robot, options or RecordingOptions())


def align(bag: BagData, robot: Robot, options: RecordingOptions, tip_delay: float = 0.0) -> Recording:
    """Joints at the times of the tip poses, linear between two joint states. tip_delay [s]: by which the stamps of the tip
    poses are late (by the clock of the joints).

    Raises:
        InputError: no joint state can be one of the robot, or joints and tips were not recorded at the same time.
    """
    dropped = dict(bag.dropped)
    bag = _possible(bag, robot, dropped)
    time = bag.tip_stamp - tip_delay
    covered = _covered(time, bag.joint_stamp, options.longest_gap)
    if not covered.any():
        raise InputError(
            f"no tip pose lies between two joint states: joints from {bag.joint_stamp[0]:.3f} to {bag.joint_stamp[-1]:.3f} s, "
            f"tips from {time[0]:.3f} to {time[-1]:.3f} s, longest gap {options.longest_gap:g} s"
        )
    q = _interpolated(bag, time)
    slope = (_interpolated(bag, time + _SLOPE) - _interpolated(bag, time - _SLOPE)) / (2.0 * _SLOPE)
    tip = bag.tip_position.copy()
    before = measured_tips(tip)
    _drop(tip, ~covered[:, None], f"no joint states within {options.longest_gap:g} s around it", dropped)
    with np.errstate(over="ignore"):  # an absurd number is far, too
        too_far: NDArray[np.bool_] = (
            np.linalg.norm(tip - robot.kinematics.first_joint_position, axis=-1) > _FARTHEST * robot.kinematics.reach
        )
    described = robot.kinematics.tip_position(q)
    _drop(tip, too_far, f"farther away than the finger is long{_why_far(tip, too_far, described, robot)}", dropped)
    _drop(tip, _outliers(tip - described, options.outlier), "sudden departure from the joints", dropped)
    rows = np.isfinite(tip).any((1, 2))
    report = Report(
        float(time[-1] - time[0]), bag.joint_messages, bag.tip_messages, int(before.sum()),
        int(measured_tips(tip).sum()), dropped, bag.by_receipt,
    )  # fmt: skip
    return Recording(frozen(bag.tip_stamp[rows]), frozen(q[rows]), frozen(slope[rows]), frozen(tip[rows]), report)


def without(recording: Recording, wrong: NDArray[np.bool_], reason: str) -> Recording:
    """The recording without the measurements `wrong` (n, nt), which its report then tells with the reason."""
    tip, dropped = recording.tip.copy(), dict(recording.report.dropped)
    _drop(tip, wrong, reason, dropped)
    rows = np.isfinite(tip).any((1, 2))
    report = replace(recording.report, kept=int(measured_tips(tip).sum()), dropped=dropped)
    return Recording(
        frozen(recording.stamp[rows]), frozen(recording.q[rows]), frozen(recording.dq[rows]), frozen(tip[rows]), report
    )


def _possible(bag: BagData, robot: Robot, dropped: dict[str, int]) -> BagData:
    """Without joint states farther beyond the joint limits than a calibration may turn a joint's zero."""
    lower, upper = robot.lower - LARGEST_ANGLE, robot.upper + LARGEST_ANGLE
    possible = np.asarray(((bag.joint_position >= lower) & (bag.joint_position <= upper)).all(-1))
    if possible.all():
        return bag
    reason = (
        f"a joint is more than {LARGEST_ANGLE:g} rad beyond its limits: are angles in degrees, or joints exchanged?"
    )
    if not possible.any():
        raise InputError(f"none of {len(possible)} joint states can be one of '{robot.name}': {reason}")
    dropped[f"joint state: {reason}"] = int((~possible).sum())
    return replace(
        bag, joint_stamp=frozen(bag.joint_stamp[possible]), joint_position=frozen(bag.joint_position[possible])
    )


def _covered(time: Array, stamp: Array, longest_gap: float) -> NDArray[np.bool_]:
    """Whether two joint states stand around each time, near enough to each other: (m,)."""
    after = np.searchsorted(stamp, time, side="left")
    inside = (after > 0) & (after < len(stamp))
    here = np.clip(after, 1, len(stamp) - 1) if len(stamp) > 1 else np.zeros_like(after)
    gap = stamp[here] - stamp[here - 1]
    exact = np.isin(time, stamp)
    covered: NDArray[np.bool_] = (inside & (gap <= longest_gap)) | exact
    return covered


def _interpolated(bag: BagData, time: Array) -> Array:
    """Joint positions at time (m,): (m, nq)."""
    return np.stack([np.interp(time, bag.joint_stamp, column) for column in bag.joint_position.T], -1)


def _why_far(tip: Array, too_far: NDArray[np.bool_], described: Array, robot: Robot) -> str:
    """What to say of tips (m, nt, 3) of which some (m, nt) are too far away: their unit, where the joints tell it."""
    if not too_far.any():
        return ""
    with np.errstate(over="ignore"):
        unit = wrong_unit(np.where(too_far[..., None], tip, np.nan), described, robot.kinematics.reach)
    return f": they are in {unit}, must be in metres" if unit else ""


def _drop(tip: Array, wrong: NDArray[np.bool_], reason: str, dropped: dict[str, int]) -> None:
    found = wrong & measured_tips(tip)
    if found.any():
        dropped[f"tip measurement: {reason}"] = int(found.sum())
        tip[found] = np.nan


def _outliers(departure: Array, least: float) -> NDArray[np.bool_]:
    """Measurements (m, nt) that are off their neighbours. departure (m, nt, 3): of the tips from where the joints put them by
    the uncalibrated kinematics; it changes slowly, however fast the hand moves."""
    wrong = np.zeros(departure.shape[:2], dtype=bool)
    for tip in range(departure.shape[1]):
        rows = np.flatnonzero(measured_tips(departure)[:, tip])
        if len(rows) <= 2 * _WINDOW:
            continue
        values = departure[rows, tip]
        padded = np.concatenate([values[_WINDOW:0:-1], values, values[-2 : -_WINDOW - 2 : -1]])
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _WINDOW + 1, axis=0)  # (m, 3, window)
        middle = np.median(windows, -1)
        spread = np.median(np.linalg.norm(windows - middle[..., None], axis=1), -1) * SPREAD_PER_MAD
        wrong[rows, tip] = np.linalg.norm(values - middle, axis=-1) > np.maximum(least, _SPREADS * spread)
    return wrong
