"""Samples for supervised training out of a recording of a real robot.

A recorded pose gives joints q and the tips that belong to them. Every pose can be the goal of every other one: the start is
the q of one, the target the measured tips of another, the label the q of that other. Because each finger has joints of its
own, goals are drawn for each finger apart, which makes far more hand poses than were recorded, and measurements with a
missing tip stay useful for the other fingers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array, frozen
from nnik_ros.robot import Robot
from nnik_ros.training.recording import Recording

_PAUSE = 10.0  # of the usual interval between measurements: so long a pause counts as


class Samples(NamedTuple):
    """q (n, nq) [rad]: where the joints are; tip_target (n, nt, 3) [m]: as measured; q_goal (n, nq) [rad]: the joints at which
    they were measured; tip (n, nt, 3) [m]: measured at q, NaN where it was not."""

    q: Array
    tip_target: Array
    q_goal: Array
    tip: Array


def recorded_samples(
    recording: Recording, robot: Robot, n: int, rng: np.random.Generator, *, near_share: float = 0.4, near: float = 0.2
) -> Samples:
    """n samples; for `near_share` of them, each finger's goal is drawn among its poses within `near` [rad] of the start in
    every joint (the closest pose when there is none).

    Raises:
        InputError: a tip was never measured.
    """
    measured = recording.measured
    missing = [name for name, there in zip(robot.tip_names, measured.sum(0), strict=True) if not there]
    if missing:
        raise InputError(f"the recording has no measurement of {', '.join(missing)}")
    start = rng.integers(0, len(recording.q), n)
    is_near = rng.random(n) < near_share
    q_goal, target = np.empty((n, robot.nq)), np.empty((n, robot.nt, 3))
    for t, chain in enumerate(robot.kinematics.topology.chain):
        joints, poses = chain[chain >= 0], np.flatnonzero(measured[:, t])
        goal = poses[rng.integers(0, len(poses), n)]
        for i in np.flatnonzero(is_near):
            goal[i] = _near(recording.q[:, joints], poses, int(start[i]), near, rng)
        q_goal[:, joints], target[:, t] = recording.q[goal][:, joints], recording.tip[goal, t]
    return Samples(recording.q[start], target, q_goal, recording.tip[start])


def split(recording: Recording, held_out: float = 0.2, block: float = 2.0) -> NDArray[np.bool_]:
    """Which poses (n,) are held out: whole blocks of `block` [s], because neighbours in time are nearly the same pose; shorter
    blocks where the recording is short. Time in which nothing was measured does not count."""
    interval = np.diff(recording.stamp)
    # a few glimpses, or a rhythm of them, such as of a tip that hides every few seconds, may miss every fifth of all blocks
    seen = np.minimum(interval, _PAUSE * np.median(interval)) if len(interval) else interval
    time = np.concatenate([[0.0], np.cumsum(seen)])
    length = min(block, time[-1] / 20.0) or 1.0
    every = max(2, round(1.0 / held_out))
    _, place = np.unique((time / length).astype(np.int64), return_inverse=True)
    return np.asarray(place % every == every - 1)


def part(recording: Recording, rows: NDArray[np.bool_]) -> Recording:
    """The poses of `rows` (n,) alone."""
    return replace(
        recording, stamp=frozen(recording.stamp[rows]), q=frozen(recording.q[rows]), dq=frozen(recording.dq[rows]),
        tip=frozen(recording.tip[rows]),
    )  # fmt: skip


def _near(q: Array, poses: NDArray[np.int64], start: int, near: float, rng: np.random.Generator) -> int:
    """A pose of one finger, q (m, joints), near that of the row `start`."""
    distance = np.abs(q[poses] - q[start]).max(-1)
    candidates = poses[distance <= near]
    return int(candidates[rng.integers(0, len(candidates))] if len(candidates) else poses[distance.argmin()])
