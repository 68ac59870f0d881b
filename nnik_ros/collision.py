"""Self-collision: distances between the capsules of the links, cheap enough for every tick.

A cylinder (with round ends) or sphere of the URDF becomes a capsule, a box a row of parallel capsules that fill it. Meshes are
passed over.
Links of one finger are not checked against each other: their joint limits keep them apart. Joints below the base that the
robot does not list count as at zero.
"""

from __future__ import annotations

import copy
import itertools

import numpy as np
from numpy.typing import NDArray

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.kernels import capsules
from nnik_ros.kinematics import Kinematics
from nnik_ros.link_places import BASE, link_places
from nnik_ros.robot import Robot
from nnik_ros.urdf import Shape

_SAMPLES = 1000
_STARTS, _STEPS = 2, 20  # of a search for the smallest clearance of a pair: from its nearest samples
_NEVER_CLOSER = 0.01  # m; a pair of which no smaller clearance was found is looked at for larger margins alone
_CAPSULES_ACROSS = 5  # along the middle side of a box: so many, or fewer if they are a radius apart then
_GAP = 0.01  # m; more of them, until they are no farther apart than this or a radius: no finger slips through a plate
_MOST_ACROSS = 100  # so much for a plate of a metre; what is larger by far costs no hours


class CollisionModel:
    """Pairs of capsules that may touch, and the tips (fingers) that they belong to."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
        found = _capsules(robot)
        self._place = np.array([(tip, depth) for tip, depth, _, _ in found], dtype=np.int64).reshape(-1, 2)
        self._ends = np.array([ends for _, _, ends, _ in found]).reshape(-1, 2, 3)  # in the frame of its joint
        radius = np.array([radius for _, _, _, radius in found])
        pairs = [
            (i, j)
            for i, j in itertools.combinations(range(len(found)), 2)
            if found[i][0] != found[j][0] and not _neighbours(found[i][:2], found[j][:2])
        ]
        every: NDArray[np.int64] = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        self._pairs, self._radii = every, radius[every].sum(axis=-1)
        self._tip_of_joint = robot.kinematics.tip_of_joint
        self.set_kinematics(robot.kinematics)
        # what touches at home is the shape of the simplified links, not a collision that anything could avoid;
        # what stays far apart in every pose need not be looked at in every tick
        clear = self.distances(robot.home) > 0.0
        self._all = every[clear], self._radii[clear], self._smallest(robot)[clear]
        self._choose(0.0)

    def watching(self, margin: float) -> CollisionModel:
        """The model with the pairs that can come closer than a margin [m]: itself, or a copy of other pairs."""
        other = copy.copy(self)
        other._choose(margin)
        return self if len(other._pairs) == len(self._pairs) else other

    def _choose(self, margin: float) -> None:
        pairs, radii, smallest = self._all
        used = smallest < max(_NEVER_CLOSER, margin)
        self._pairs, self._radii = pairs[used], radii[used]
        self.pair_tips = self._place[self._pairs, 0]  # (pairs, 2) tip numbers, -1 for the base

    def _smallest(self, robot: Robot) -> Array:
        """The smallest clearance of every pair (pairs,) [m] that was found: of random samples, and by descent from the nearest
        of them, for many pairs meet only in corners of the joint limits that few samples come to."""
        samples = robot.random_joint_position(np.random.default_rng(0), _SAMPLES)
        sampled = self.distances(samples)
        smallest: Array = sampled.min(axis=0, initial=np.inf)
        far = smallest >= _NEVER_CLOSER
        nearest = np.argpartition(sampled[:, far], _STARTS - 1, axis=0)[:_STARTS]
        starts = np.ascontiguousarray(samples[nearest.T])  # (pairs, _STARTS, nq)
        smallest[far] = capsules.nearest(
            starts, robot.lower, robot.upper, *self._model, self._place, self._ends,
            self._pairs[far], self._radii[far], _NEVER_CLOSER, _STEPS,
        )  # fmt: skip
        return smallest

    def set_kinematics(self, kinematics: Kinematics) -> None:
        """Use another geometry, a calibrated one; the pairs stay."""
        self._model = kinematics.model

    @property
    def pairs(self) -> tuple[NDArray[np.int64], Array, NDArray[np.int64], Array]:
        """As `kernels.capsules` takes them: place (capsules, 2), ends (capsules, 2, 3), pairs (pairs, 2), radii (pairs,)."""
        return self._place, self._ends, self._pairs, self._radii

    def distances(self, q: Array) -> Array:
        """q (..., nq) [rad]; returns the clearance of every pair (..., pairs) [m], negative where they overlap.

        Raises:
            InputError: another number of joints.
        """
        nq = len(self._tip_of_joint)
        if q.shape[-1:] != (nq,):
            raise InputError(f"joint positions have shape {q.shape}, must end with {nq} joints")
        rows = np.ascontiguousarray(q, dtype=np.float64).reshape(-1, nq)
        clearance: Array = capsules.clearances_at(rows, *self._model, self._place, self._ends, self._pairs, self._radii)
        return clearance.reshape(*q.shape[:-1], len(self._pairs))

    def joints_of(self, pairs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Joints (nq,) of the fingers of chosen pairs (pairs,)."""
        chosen = np.zeros(self._tip_of_joint.max() + 2, dtype=bool)  # the last one, -1, is the base
        chosen[self.pair_tips[pairs]] = True
        return chosen[self._tip_of_joint]


def links_of_meshes_alone(robot: Robot) -> list[str]:
    """Links of the hand whose collision shapes are meshes alone: nobody looks at these, and nothing is kept from them."""
    kinds = {link: {shape.kind for shape in robot.urdf.links[link].collisions} for link in link_places(robot)}
    return [link for link, found in kinds.items() if found == {"mesh"}]


def _neighbours(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """The base and the first link of a finger are joined, and swing about each other without touching."""
    (tip_1, depth_1), (tip_2, depth_2) = first, second
    return (tip_1 == BASE and depth_2 == 0) or (tip_2 == BASE and depth_1 == 0)


def _capsules(robot: Robot) -> list[tuple[int, int, Array, float]]:
    """(tip, depth in its chain, ends (2, 3) in the joint frame [m], radius [m]) of every collision shape."""
    found = []
    for link, place in link_places(robot).items():
        for shape in robot.urdf.links[link].collisions:
            for ends, radius in _shape_capsules(shape):
                T = place.T_carrier_link @ shape.T_link_shape
                found.append((place.tip, place.depth, ends @ T[:3, :3].T + T[:3, 3], radius))
    return found


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
    across = size[middle] - 2 * radius  # between the axes of the outermost
    dense, sparse = (int(np.ceil(across / gap)) + 1 for gap in (radius, max(radius, _GAP)))
    n = min(max(min(_CAPSULES_ACROSS, dense), sparse), _MOST_ACROSS)
    offsets = np.linspace(-1, 1, n) * across / 2 if n > 1 else np.zeros(1)
    half = size[long] / 2 - radius
    capsules: list[tuple[Array, float]] = []
    for offset in offsets:
        ends = np.zeros((2, 3))
        ends[:, middle] = offset
        ends[:, long] = -half, half
        capsules.append((ends, float(radius)))
    return capsules
