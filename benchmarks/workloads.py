"""What the solvers are asked to do: static targets, moving targets, targets out of reach; the same for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnik_ros.collision import CollisionModel
from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.kinematics import KinematicParameters, Kinematics
from nnik_ros.robot import Robot

RATE = 333.0  # Hz
PERIOD = 1.0 / RATE
STARTS = ("random", "rest", "near")
_NEAR = 0.1  # rad
_PEAK = 3.0  # rad/s, of the fastest joint on the smooth path
_EASE = 0.3  # s
_STRETCHED = 0.03  # rad; bend of the last two joints of each finger at the tightest point of the singular pass
_WIDTHS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)  # of the joints' range
_TRIES = 8
_CLEAR = 0.004  # m
_LOOK = 12  # ticks between two looks at the clearance
_BEYOND = 0.03  # m; how far the excursions lead outwards


class Static(NamedTuple):
    """start (n, nq) [rad], target (n, nt, 3) [m], reachable within the limits."""

    start: Array
    target: Array


class Path(NamedTuple):
    """start (nq,) [rad]; target (n, nt, 3) [m], one a tick; joint_speed: largest of the posture that made it [rad/s]."""

    start: Array
    target: Array
    joint_speed: float


def static_problems(robot: Robot, kinematics: Kinematics, rng: np.random.Generator, n: int) -> dict[str, Static]:
    """Targets of random postures, from three kinds of starts: anywhere, at mid-range, within 0.1 rad of a solution."""
    goal = robot.random_joint_position(rng, n)
    target = kinematics.tip_position(goal)
    near = np.clip(goal + rng.uniform(-_NEAR, _NEAR, goal.shape), robot.lower, robot.upper)
    rest = np.tile(0.5 * (robot.lower + robot.upper), (n, 1))
    starts = {"random": robot.random_joint_position(rng, n), "rest": rest, "near": near}
    return {name: Static(starts[name], target) for name in STARTS}


def smooth_path(robot: Robot, rng: np.random.Generator, ticks: int) -> Path:
    """Every joint swings as a sum of two sines, as widely as the fingers stay apart, at up to 3 rad/s."""
    return _path(robot, _apart(robot, lambda width: _swing(robot, rng, ticks, width)))


def singular_path(robot: Robot, rng: np.random.Generator, ticks: int) -> Path:
    """As before, but the last two joints of every finger pass three times within 0.03 rad of the stretched finger."""
    bend = _STRETCHED + 0.8 * (0.5 + 0.5 * np.cos(2 * np.pi * 3 * np.arange(ticks) / ticks))
    last = np.concatenate([chain[chain >= 0][-2:] for chain in robot.kinematics.topology.chain])

    def make(width: float) -> Array:
        q = _swing(robot, rng, ticks, width)
        q[:, last] = np.clip(bend[:, None], robot.lower[last], robot.upper[last])
        return q

    return _path(robot, _apart(robot, make))


def beyond_path(robot: Robot, rng: np.random.Generator, ticks: int) -> Path:
    """The smooth path with two excursions of all tips, 30 mm outwards from where a stretched finger ends, and back."""
    path = smooth_path(robot, rng, ticks)
    base = base_positions(robot.kinematics)
    away = path.target - base
    distance = np.linalg.norm(away, axis=-1, keepdims=True)
    outside = (robot.kinematics.reach[:, None] + _BEYOND) / distance
    share = np.sin(2 * np.pi * np.arange(ticks) / ticks)[:, None, None] ** 2  # out of reach in the middle of each half
    return path._replace(target=base + away * (1.0 + share * np.maximum(outside - 1.0, 0.0)))


def base_positions(kinematics: Kinematics) -> Array:
    """Where the second joint of each finger stands in mid air: the point that its reach is measured from, (nt, 3) [m]."""
    frames = kinematics.frames(np.zeros(kinematics.nq))
    position: Array = frames.joint_position[:, min(1, kinematics.depth - 1)]
    return position


def calibrated(kinematics: Kinematics, rng: np.random.Generator) -> Kinematics:
    """A hand as built: joint zeros off by up to 0.05 rad, joints by up to 1 mm, tips by up to 2 mm."""
    old = kinematics.parameters
    return kinematics.calibrated(
        KinematicParameters(
            old.joint_origin_position + rng.uniform(-0.001, 0.001, old.joint_origin_position.shape),
            old.joint_origin_rotation,
            old.joint_zero + rng.uniform(-0.05, 0.05, old.joint_zero.shape),
            old.tip_offset + rng.uniform(-0.002, 0.002, old.tip_offset.shape),
        )
    )


def _apart(robot: Robot, make: Callable[[float], Array]) -> Array:
    """The widest of a few random motions (ticks, nq) in which no finger comes near another one or the palm."""
    model = CollisionModel(robot)
    for width in _WIDTHS:
        for _ in range(_TRIES):
            q = make(width)
            if all(model.distances(pose).min(initial=np.inf) > _CLEAR for pose in q[::_LOOK]):
                return q
    raise InputError(f"{robot.name}: no random motion keeps the fingers apart")


def _swing(robot: Robot, rng: np.random.Generator, ticks: int, width: float) -> Array:
    """width: share of the joints' range."""
    time = np.arange(ticks) * PERIOD
    time = np.where(time < _EASE, 0.5 * time**2 / _EASE, time - 0.5 * _EASE)  # begins at rest
    frequency, phase = rng.uniform(0.2, 0.6, (2, robot.nq)), rng.uniform(0, 2 * np.pi, (2, robot.nq))
    waves = np.sin(2 * np.pi * frequency * time[:, None, None] + phase)  # (ticks, 2, nq)
    half = 0.5 * (robot.upper - robot.lower)
    q = 0.5 * (robot.upper + robot.lower) + width * half * (0.7 * waves[:, 0] + 0.3 * waves[:, 1])
    too_fast = np.abs(np.gradient(q, PERIOD, axis=0)).max(axis=0) / _PEAK
    middle = 0.5 * (robot.upper + robot.lower)
    swing: Array = middle + (q - middle) / np.maximum(1.0, too_fast)
    return swing


def _path(robot: Robot, q: Array) -> Path:
    return Path(q[0].copy(), robot.kinematics.tip_position(q), float(np.abs(np.diff(q, axis=0)).max() / PERIOD))
