"""A recording whose stamps agree: by how much those of the tips are late, and whether anything but the joints told the tips."""

from __future__ import annotations

import numpy as np

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.robot import Robot
from nnik_ros.training.bag import BagData
from nnik_ros.training.calibration_check import check_measured
from nnik_ros.training.calibration_fit import Data, Priors, fit
from nnik_ros.training.recorded_samples import split
from nnik_ros.training.recording import Recording, RecordingOptions, align, without

AXIS_PRIOR = 0.02  # rad
_ROUNDS, _SETTLED, _POSES = 5, 1e-4, 500  # of the delay, the second in s
_LEAST_MEASUREMENTS = 50  # of each tip; 19 numbers are fitted to it, outliers are told by the spread of the others
_LOST = 0.05  # reaches; more than any tracker is off, or a finger bends
_MOST_LOST = (
    0.2  # of a tip's measurements, beside sudden outliers; two exchanged joints with parallel axes lose a third
)
_COMPUTED, _COMPUTED_POSES = 1e-6, 200  # m; nothing measures a tip that well
_NEIGHBOURS = 20  # joint states to either side, of which one may have been told as tips, later than its own stamp


def aligned(bag: BagData, robot: Robot, options: RecordingOptions) -> tuple[Recording, float]:
    """The recording, and the delay [s] of the tips' stamps that stands in it, settled by rough fits of the geometry.

    Raises:
        InputError: see `align` and `check_measured`.
    """
    delay = 0.0
    for _ in range(_ROUNDS):
        recording = align(bag, robot, options, delay)
        check_measured(recording, robot, _LEAST_MEASUREMENTS)
        late = fit(robot.kinematics, fit_data(recording, _POSES), Priors()).delay
        delay += late
        if abs(late) < _SETTLED:
            break
    return align(bag, robot, options, delay), delay


def fit_data(recording: Recording, most: int | None = None) -> Data:
    """All poses that are not held out, or at most `most` of them evenly over the recording."""
    rows = np.flatnonzero(~split(recording))
    rows = rows if most is None else rows[:: -(-len(rows) // most)]
    return Data(recording.q[rows], recording.dq[rows], recording.tip[rows])


def followed(recording: Recording, robot: Robot) -> Recording:
    """The measurements where the joints tell the tips with a geometry near the description.

    Raises:
        InputError: too many of a tip are elsewhere, as where an encoder stands still, joints are exchanged or a clock jumps.
    """
    rough = fit(robot.kinematics, fit_data(recording, _POSES), Priors(axis=AXIS_PRIOR))
    q = recording.q - rough.delay * recording.dq
    left = np.linalg.norm(rough.kinematics.tip_position(q) - recording.tip, axis=-1)
    elsewhere = left > _LOST * robot.kinematics.reach  # a NaN compares false
    share = elsewhere.sum(0) / recording.measured.sum(0)
    if (share <= _MOST_LOST).all():
        return without(recording, elsewhere, "elsewhere than the joints tell with any geometry near the description")
    lost = [f"'{robot.tip_names[t]}' {share[t]:.0%}" for t in np.flatnonzero(share > _MOST_LOST)]
    still = [name for name, moved in zip(robot.joint_names, np.ptp(recording.q, axis=0), strict=True) if moved == 0.0]
    raise InputError(
        "the joints do not tell where the tips are: with any geometry near the description more than "
        f"{_LOST:.0%} of the reach remain for {', '.join(lost)} of the measurements; at most {_MOST_LOST:.0%} of a tip's are "
        "left out\n  - are joints exchanged, or did an encoder, the tracker or one of the clocks stop or jump?"
        + (f"\n  - these joints never moved: {', '.join(still)}" if still else "")
    )


def check_independent(bag: BagData, recording: Recording, robot: Robot, delay: float) -> None:
    """Raises InputError: the tips were computed from the joints, by the description or by a calibration of it.

    Then a geometry near the description explains them to a micrometre: at the joints of their time or, where a controller told
    them with a stamp of its own, at those of a joint state shortly before. delay [s]: that `recording` is aligned with.
    """
    rows = np.arange(0, len(recording.q), -(-len(recording.q) // _COMPUTED_POSES))
    tip = recording.tip[rows]
    rough = fit(robot.kinematics, Data(recording.q[rows], recording.dq[rows], tip), Priors(axis=AXIS_PRIOR))
    time = recording.stamp[rows] - delay - rough.delay
    near = np.searchsorted(bag.joint_stamp, time)[:, None] + np.arange(-_NEIGHBOURS, _NEIGHBOURS + 1)
    q: Array = bag.joint_position[np.clip(near, 0, len(bag.joint_stamp) - 1)]  # (m, neighbours, nq)
    off = np.linalg.norm(rough.kinematics.tip_position(q) - tip[:, None], axis=-1)
    q = q[np.arange(len(q)), np.nanmax(off, axis=-1).argmin(1)]
    told = fit(robot.kinematics, Data(q, np.zeros_like(q), tip), Priors(axis=AXIS_PRIOR, delay=0.0))
    if min(rough.noise, told.noise) < _COMPUTED:
        raise InputError(
            "the tips were computed from the joints (they agree with the description, or with a calibration of it, to a "
            "micrometre): such a recording cannot tell how the robot differs from its description; record tips that a "
            "tracker or a camera measured"
        )
