"""Self-collision: distances between the capsules of the links, cheap enough for every tick.

A cylinder (with round ends) or sphere of the URDF becomes a capsule, a box a row of parallel capsules that fill it.
Links of one finger are not checked against each other: their joint limits keep them apart.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from nnik_ros import kernels
from nnik_ros.geometry import Array
from nnik_ros.kinematics import Kinematics
from nnik_ros.robot import Robot
from nnik_ros.series import Series, constant, series_of, side_by_side
from nnik_ros.urdf import FIXED, Shape

_BASE = -1  # tip number of what is fixed to the base
_SAMPLES = 1000
_NEVER_CLOSER = 0.01  # m; a pair whose clearance was larger in all samples is dropped
_CAPSULES_ACROSS = 5  # at most, along the middle side of a box


class CollisionModel:
    """Pairs of capsules that may touch, and the tips (fingers) that they belong to."""

    def __init__(self, robot: Robot) -> None:
        capsules = sorted(_capsules(robot), key=lambda capsule: capsule[0])  # in the order of the series of their ends
        self._tip = np.array([tip for tip, _, _, _ in capsules], dtype=np.int64)
        self._frame = np.array([max(depth, 0) for _, depth, _, _ in capsules], dtype=np.int64)
        self._ends = np.array([ends for _, _, ends, _ in capsules]).reshape(-1, 2, 3)  # in the frame of its joint
        self._radius = np.array([radius for _, _, _, radius in capsules])
        self._on_base = self._tip == _BASE
        pairs = [
            (i, j)
            for i, j in itertools.combinations(range(len(capsules)), 2)
            if self._tip[i] != self._tip[j] and not _neighbours(capsules[i][:2], capsules[j][:2])
        ]
        self._tip_of_joint = robot.kinematics.tip_of_joint
        self._pairs = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        self._radii = self._radius[self._pairs].sum(axis=-1)
        self.set_kinematics(robot.kinematics)
        sampled = self.distances(robot.random_joint_position(np.random.default_rng(0), _SAMPLES))
        # what touches at home is the shape of the simplified links, not a collision that anything could avoid;
        # what stays far apart in every sampled pose need not be looked at in every tick
        used = (self.distances(robot.home) > 0.0) & (sampled.min(axis=0) < _NEVER_CLOSER)
        self._pairs, self._radii = self._pairs[used], self._radii[used]
        self.pair_tips = self._tip[self._pairs]  # (pairs, 2) tip numbers, -1 for the base

    def set_kinematics(self, kinematics: Kinematics) -> None:
        """Use another geometry, a calibrated one; the pairs stay."""
        self._kinematics = kinematics
        self._lever = self._levers()  # (nt,) [m]
        self._ends_of = self._series_of_ends()

    def distances(self, q: Array) -> Array:
        """q (..., nq) [rad]; returns the clearance of every pair (..., pairs) [m], negative where they overlap."""
        many = int(np.prod(q.shape[:-1]))
        ends = self._ends_of.at(q).reshape(many, len(self._tip), 2, 3)
        clearance: Array = kernels.clearances(ends, self._pairs, self._radii).reshape(*q.shape[:-1], len(self._pairs))
        return clearance

    def largest_closing(self, q: Array, q_next: Array) -> float:
        """An upper bound [m] of how much any pair can close in a step from q to q_next (nq,) [rad]: the two fingers that move
        most."""
        bound: float = kernels.largest_closing(q, q_next, self._tip_of_joint, self._lever)
        return bound

    def gradients(self, q: Array, pairs: NDArray[np.int64]) -> Array:
        """How the clearance of some pairs (n,) grows with the joints at q (nq,) [rad]: (n, nq) [m/rad]."""
        ends, series = self._ends_of.at(q).reshape(-1, 2, 3), self._ends_of
        return kernels.clearance_gradients(ends, self._pairs[pairs], series.slopes(q), series.weight)

    def _series_of_ends(self) -> Series:
        """Both ends of all capsules in the base frame, (capsules, 2, 3) in a row."""
        kinematics = self._kinematics
        series = [constant(self._ends[self._on_base].ravel(), kinematics.nq)]
        for tip, chain in enumerate(kinematics.topology.chain):
            mine = np.flatnonzero(self._tip == tip)

            def ends(q: Array, tip: int = tip, mine: NDArray[np.int64] = mine) -> Array:
                frames = kinematics.frames(q)
                R, p = (value[:, tip, self._frame[mine]] for value in (frames.joint_rotation, frames.joint_position))
                moved: Array = self._ends[mine] @ np.swapaxes(R, -1, -2) + p[..., None, :]
                return moved.reshape(len(q), -1)

            if len(mine):
                series.append(series_of(ends, chain[chain >= 0], kinematics.nq))
        return side_by_side(series)

    def _levers(self) -> Array:
        """Farthest that a point of each finger can be from any of its joints: the chain stretched to its longest capsule."""
        kinematics = self._kinematics
        chain = kinematics.topology.chain
        lengths = np.linalg.norm(kinematics.parameters.joint_origin_position, axis=-1)
        along = np.where(chain > -1, lengths[chain], 0.0)
        along[:, 0] = 0.0
        beyond = np.zeros(kinematics.nt)
        np.maximum.at(beyond, self._tip, np.where(self._on_base, 0.0, np.linalg.norm(self._ends, axis=-1).max(axis=-1)))
        levers: Array = along.sum(axis=-1) + beyond
        return levers


def _neighbours(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """The base and the first link of a finger are joined, and swing about each other without touching."""
    (tip_1, depth_1), (tip_2, depth_2) = first, second
    return (tip_1 == _BASE and depth_2 == 0) or (tip_2 == _BASE and depth_1 == 0)


def _capsules(robot: Robot) -> list[tuple[int, int, Array, float]]:
    """(tip, depth in its chain, ends (2, 3) in the joint frame [m], radius [m]) of every collision shape."""
    found = []
    for link in robot.urdf.links.values():
        tip, depth, T_joint_link = _place(robot, link.name)
        for shape in link.collisions:
            for ends, radius in _shape_capsules(shape):
                T = T_joint_link @ shape.T_link_shape
                found.append((tip, depth, ends @ T[:3, :3].T + T[:3, 3], radius))
    return found


def _place(robot: Robot, link: str) -> tuple[int, int, Array]:
    """The tip and joint (by depth) that carry a link, and the link's pose in that joint's frame; (-1, -1, ...) on the base."""
    try:
        chain = robot.urdf.chain(link, robot.base_frame)
    except KeyError:  # above the base frame: does not move against it, and is not part of what moves
        return _BASE, -1, np.eye(4)
    T = np.eye(4)
    last = None
    for joint in chain:
        T = T @ joint.T_parent_joint
        if joint.kind != FIXED:
            last, T = joint.name, np.eye(4)
    if last is None:
        return _BASE, -1, T
    number = robot.joint_names.index(last)
    tip, depth = np.argwhere(robot.kinematics.topology.chain == number)[0]
    return int(tip), int(depth), T


def _shape_capsules(shape: Shape) -> list[tuple[Array, float]]:
    if shape.kind == "sphere":
        return [(np.zeros((2, 3)), shape.size[0])]
    if shape.kind == "cylinder":
        radius, length = shape.size
        return [(np.array([[0, 0, -length / 2], [0, 0, length / 2]]), radius)]
    if shape.kind == "box":
        return _box_capsules(np.array(shape.size))
    return []


def _box_capsules(size: Array) -> list[tuple[Array, float]]:
    """Parallel capsules along the longest side that fill a box up to its rounded edges."""
    thin, middle, long = np.argsort(size)
    radius = size[thin] / 2
    n = max(1, min(_CAPSULES_ACROSS, int(np.ceil((size[middle] - 2 * radius) / radius)) + 1))
    offsets = np.linspace(-1, 1, n) * (size[middle] / 2 - radius) if n > 1 else np.zeros(1)
    half = size[long] / 2 - radius
    capsules: list[tuple[Array, float]] = []
    for offset in offsets:
        ends = np.zeros((2, 3))
        ends[:, middle] = offset
        ends[:, long] = -half, half
        capsules.append((ends, float(radius)))
    return capsules
