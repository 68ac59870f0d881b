"""Self-collision: distances between the capsules of the links, cheap enough for every tick.

A cylinder (with round ends) or sphere of the URDF becomes a capsule, a box a row of parallel capsules that fill it.
Links of one finger are not checked against each other: their joint limits keep them apart.
Segment distance after Ericson, Real-Time Collision Detection (2005), section 5.1.9.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array
from nnik_ros.kinematics import Frames
from nnik_ros.robot import Robot
from nnik_ros.urdf import FIXED, Shape

_BASE = -1  # tip number of what is fixed to the base
_TINY = 1e-15  # m^2 and m^4; below, a segment is a point and two segments are parallel
_SAMPLES = 1000
_NEVER_CLOSER = 0.01  # m; a pair whose clearance was larger in all samples is dropped
_CAPSULES_ACROSS = 5  # at most, along the middle side of a box


class CollisionModel:
    """Pairs of capsules that may touch, and the tips (fingers) that they belong to."""

    def __init__(self, robot: Robot) -> None:
        self._kinematics = robot.kinematics
        capsules = _capsules(robot)
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
        self._lever = self._levers()  # (nt,) [m]
        self._pairs = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        poses = robot.random_joint_position(np.random.default_rng(0), _SAMPLES)
        sampled = np.array([self.distances(self._kinematics.frames(q)) for q in poses]).reshape(_SAMPLES, -1)
        at_home = self.distances(self._kinematics.frames(robot.home))
        # what touches at home is the shape of the simplified links, not a collision that anything could avoid;
        # what stays far apart in every sampled pose need not be looked at in every tick
        self._pairs = self._pairs[(at_home > 0.0) & (sampled.min(axis=0) < _NEVER_CLOSER)]
        self.pair_tips = self._tip[self._pairs]  # (pairs, 2) tip numbers, -1 for the base

    def distances(self, frames: Frames) -> Array:
        """frames of one joint position; returns the clearance of every pair (pairs,) [m], negative where they overlap."""
        ends = self._ends_in_base(frames)[self._pairs]  # (pairs, 2, 2, 3)
        clearance: Array = segment_distance(ends[:, 0], ends[:, 1]) - self._radius[self._pairs].sum(axis=-1)
        return clearance

    def largest_closing(self, dq: Array) -> float:
        """An upper bound [m] of how much any pair can close in a step dq (nq,) [rad]: the two fingers that move most."""
        turns = np.zeros(self._kinematics.nt)
        np.add.at(turns, self._tip_of_joint, np.abs(dq))
        return float(np.sort(turns * self._lever)[-2:].sum())

    def gradients(self, frames: Frames, pairs: NDArray[np.int64]) -> Array:
        """How the clearance of some pairs (n,) grows with the joints at `frames`: (n, nq) [m/rad]."""
        ends = self._ends_in_base(frames)[self._pairs[pairs]]
        points = np.stack(closest_points(ends[:, 0], ends[:, 1]), axis=1)  # (n, 2, 3)
        gap = points[:, 0] - points[:, 1]
        normal = gap / np.maximum(np.sqrt(_dot(gap, gap)), _TINY)[:, None]
        gradient = np.zeros((len(pairs), self._kinematics.nq))
        for row, pair in enumerate(self._pairs[pairs]):
            for side, capsule in enumerate(pair):
                if self._on_base[capsule]:
                    continue
                tip, moving = self._tip[capsule], slice(self._frame[capsule] + 1)
                arm = points[row, side] - frames.joint_position[tip, moving]
                turn = np.cross(frames.joint_axis[tip, moving], arm) @ normal[row]
                gradient[row, self._kinematics.topology.chain[tip, moving]] += turn if side == 0 else -turn
        return gradient

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

    def _ends_in_base(self, frames: Frames) -> Array:
        R, p = frames.joint_rotation[self._tip, self._frame], frames.joint_position[self._tip, self._frame]
        ends = self._ends @ np.swapaxes(R, -1, -2) + p[:, None, :]
        return np.where(self._on_base[:, None, None], self._ends, ends)


def segment_distance(first: Array, second: Array) -> Array:
    """Smallest distance between segments given by their two ends: (..., 2, 3) [m] each, returns (...) [m]."""
    near_first, near_second = closest_points(first, second)
    gap = near_first - near_second
    distance: Array = np.sqrt(_dot(gap, gap))
    return distance


def closest_points(first: Array, second: Array) -> tuple[Array, Array]:
    """Where two segments, given by their two ends (..., 2, 3) [m] each, come closest: (..., 3) [m] on each of them."""
    start = first[..., 0, :] - second[..., 0, :]
    vectors = np.stack([first[..., 1, :] - first[..., 0, :], second[..., 1, :] - second[..., 0, :], start], axis=-2)
    products = vectors @ np.swapaxes(vectors, -1, -2)  # all dot products of d1, d2, r at once
    a, b, c = products[..., 0, 0], products[..., 0, 1], products[..., 0, 2]
    e, f = products[..., 1, 1], products[..., 1, 2]
    denominator = a * e - b * b
    crossing = denominator > _TINY
    s = np.where(crossing, _unit(b * f - c * e, denominator), 0.0)
    t = b * s + f
    t_unit = _unit(t, e)
    s = np.where(crossing & (t >= 0.0) & (t <= e), s, _unit(b * t_unit - c, a))
    near_first: Array = first[..., 0, :] + s[..., None] * vectors[..., 0, :]
    near_second: Array = second[..., 0, :] + t_unit[..., None] * vectors[..., 1, :]
    return near_first, near_second


def _dot(u: Array, v: Array) -> Array:
    product: Array = (u * v).sum(axis=-1)
    return product


def _unit(numerator: Array, denominator: Array) -> Array:
    """The quotient, kept within [0, 1]; 0 for a segment without length."""
    quotient: Array = np.minimum(np.maximum(numerator / np.maximum(denominator, _TINY), 0.0), 1.0)
    return quotient


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
