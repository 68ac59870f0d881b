"""A recorded human hand as the demo's script: its fingertips as targets, and how well the simulated hand followed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.landmarks import read_hand_motion
from nnik_ros.paths import given_path, share_dir
from nnik_ros.retarget import TipPath, load_hand_map, retarget
from nnik_ros.robot import Robot

_APPROACH = 1.5  # s for the way to the first targets, which is not judged
_DELAYS = np.arange(0.0, 0.5, 0.01)  # s that are tried as the delay of the hand


def load_tip_path(file: Path, robot: Robot, hand_map: str, side: str, rate: float) -> TipPath:
    """The targets of `robot` from a recording. hand_map: a file; '' for the shipped one of the robot.

    Raises:
        NnikError: the recording or the map cannot be used, or none is shipped for this robot.
    """
    path = given_path(hand_map) if hand_map else share_dir() / "config" / "landmarks" / f"{robot.name}.yaml"
    if not path.is_file():
        shipped = ", ".join(sorted(p.stem for p in (share_dir() / "config" / "landmarks").glob("*.yaml")))
        raise InputError(
            f"no file says which fingers lead robot '{robot.name}': there is no {path}; shipped are {shipped}; "
            "name your own with --hand-map"
        )
    return retarget(read_hand_motion(file, rate), robot, load_hand_map(path, robot), side)


class LandmarkScript:
    """Waits at the first targets, then plays all of them, over and over if asked. Times are of one clock [s]."""

    def __init__(self, robot: Robot, path: TipPath, speed: float, tolerance: float, *, repeat: bool) -> None:
        """speed: 1 plays as recorded; tolerance [m]: what the median distance from the path may be."""
        self._robot, self._path, self._speed, self._repeat = robot, path, speed, repeat
        self._tolerance = tolerance
        first = np.isfinite(path.target).all(axis=(1, 2)).argmax()
        self._first = float(path.time[first])
        self._begin = math.nan
        # to be sent now (nt, 3) [m], nan for a tip that was not seen; None after the end
        self.target: Array | None = np.array(path.target[first])
        self._steps: list[tuple[float, Array, Array]] = []  # time, measured tips, target

    @property
    def finished(self) -> bool:
        """Whether nothing more will be sent."""
        return self.target is None

    def advance(self, q: Array, now: float, more: bool) -> None:
        """Judge the measured joint position (nq,) [rad] and go on to the targets of `now`."""
        if self.target is None:
            return
        if math.isnan(self._begin):
            self._begin = now + _APPROACH
        place = (now - self._begin) * self._speed
        if place > 0.0:
            self._steps.append((now, self._robot.kinematics.tip_position(q), self.target))
        length = float(self._path.time[-1]) - self._first
        if not more or (place >= length and not self._repeat):
            self.target = None
        else:
            self.target = self._path.at(self._first + max(0.0, place % length if self._repeat else place))

    def errors(self, delay: float = 0.0) -> Array:
        """(n, nt) [m]: measured tips from the targets that were sent `delay` [s] before, in every step that was judged."""
        if not self._steps:
            return np.zeros((0, self._robot.nt))
        time, tips, targets = (np.array(column) for column in zip(*self._steps, strict=True))
        columns = targets.reshape(len(time), -1).T
        before = np.stack([np.interp(time - delay, time, column) for column in columns], axis=-1).reshape(targets.shape)
        error: Array = np.linalg.norm(tips - before, axis=-1)[time - time[0] >= delay]
        return error

    def delay(self) -> float:
        """How far the hand is behind [s]: the delay at which it is closest to its targets."""
        return float(min(_DELAYS.tolist(), key=lambda delay: _median(self.errors(delay))))

    def report(self) -> str:
        """Per finger: distance from the target of the moment, and from the path, with the delay taken out."""
        delay = self.delay()
        now, path = 1e3 * self.errors(), 1e3 * self.errors(delay)
        rows = [
            f"delay            {1e3 * delay:.0f} ms",
            "tip error [mm]   from the target of the moment    from the path, delay taken out",
            "                 median     95 %  largest         median     95 %  largest",
        ]
        for tip, name in enumerate(self._robot.tip_names):
            rows.append(f"{name:<14}{_spread(now[:, tip])}      {_spread(path[:, tip])}")
        rows.append(
            f"all tips         median {_median(path):.2f} mm from the path (wanted {1e3 * self._tolerance:g} mm)"
        )
        return "\n".join(rows)

    @property
    def judged(self) -> bool:
        """Whether there is a target of which it is known how it was followed."""
        return bool(np.isfinite(self.errors()).any())

    @property
    def passed(self) -> bool:
        """Whether the hand followed the path."""
        return _median(self.errors(self.delay())) <= self._tolerance


def _median(errors: Array) -> float:
    return float(np.nanmedian(errors)) if np.isfinite(errors).any() else math.inf


def _spread(errors: Array) -> str:
    seen = errors[np.isfinite(errors)]
    figures = np.percentile(seen, (50, 95, 100)) if len(seen) else (math.nan,) * 3
    return "".join(f"{value:>9.2f}" for value in figures)
