"""Forward kinematics and Jacobians of all tips at once, written once for every array library.

The functions work on any batch shape and on any library whose arrays know `@` and broadcasting; its namespace is passed
as `xp` (numpy or torch), and `Chains` holds arrays of that library. `Kinematics` is the numpy face of the same code.

Source of the formulas: Lynch and Park, Modern Robotics (2017): product of link transforms, section 4.1; Rodrigues'
formula, eq. 3.51; geometric Jacobian columns axis x (tip - joint), section 5.1.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array, frozen, skew, transform
from nnik_ros.kernels import chains
from nnik_ros.urdf import FIXED, Joint

_NEXT = np.array([1, 2, 0])  # the axis after x, y, z


class KinematicParameters(NamedTuple):
    """What calibration may change: the geometry of one robot, in joint and tip order.

    joint_origin_position (nq, 3) [m] and joint_origin_rotation (nq, 3, 3): pose of each joint frame in the frame of the
    joint before it (or the base); joint_zero (nq,) [rad]: added to the encoder's angle; tip_offset (nt, 3) [m]: tip in
    the frame of its chain's last joint.
    """

    joint_origin_position: Any
    joint_origin_rotation: Any
    joint_zero: Any
    tip_offset: Any


class Topology(NamedTuple):
    """What calibration never changes. chain (nt, depth): joint indices from base to tip, shorter chains padded with -1 at
    the end; axis (nq, 3): unit axis in the joint frame; tip_rotation (nt, 3, 3): tip frame in its last joint's frame."""

    chain: NDArray[np.int64]
    axis: Array
    tip_rotation: Array


class Chains(NamedTuple):
    """Constants of the forward kinematics. The rotation of joint d in the frame of the joint before it is
    `a + sin(q) b + cos(q) c`; from there the vector `link` leads on to the next joint or to the tip.

    a, b, c: (nt, depth, 3, 3); columns: (nt, depth, 3, 2), link and axis side by side; from_here:
    (depth, depth), sums the links from each joint to the tip; zero: (nt, depth) [rad]; start: (nt, 3), the first joint.
    """

    index: Any  # (nt, depth), padding points to joint 0
    a: Any
    b: Any
    c: Any
    columns: Any
    from_here: Any
    zero: Any
    start: Any


class Frames(NamedTuple):
    """tip_position (..., nt, 3) [m]; joint_rotation (..., nt, depth, 3, 3), arm [m] and joint_axis (..., nt, depth, 3):
    rotation of every joint, moved by that joint, way from there to the tip, and unit axis; all in the base frame."""

    tip_position: Any
    joint_rotation: Any
    arm: Any
    joint_axis: Any

    @property
    def joint_position(self) -> Any:
        """Origin of every joint in the base frame: (..., nt, depth, 3) [m]."""
        return self.tip_position[..., None, :] - self.arm


class Tips(NamedTuple):
    """position (..., nt, 3) [m] in the base frame; jacobian (..., nt, 3, depth) [m/rad], columns in chain order, zero where
    padded."""

    position: Array
    jacobian: Array


def build_chains(xp: Any, topology: Topology, parameters: KinematicParameters) -> Chains:
    """Fold parameters into the constants of `forward_kinematics`; differentiable in the parameters."""
    index = np.maximum(topology.chain, 0)
    real = topology.chain >= 0
    dtype = parameters.joint_origin_position.dtype

    def constant(value: Any) -> Any:
        return xp.asarray(np.ascontiguousarray(value), dtype=dtype)

    nt, depth = index.shape
    last = real.sum(1)[:, None] - 1
    following = np.where(np.arange(depth) < last, np.roll(index, -1, 1), len(topology.axis) + np.arange(nt)[:, None])
    axis = np.where(real[..., None], topology.axis[index], 0.0)
    outer = axis[..., :, None] * axis[..., None, :]
    across = np.eye(3) * real[..., None, None] - outer  # a padded joint turns nothing
    outer = outer + np.eye(3) * ~real[..., None, None]
    rotation = parameters.joint_origin_rotation[index]
    link = xp.concatenate([parameters.joint_origin_position, parameters.tip_offset], axis=0)[following][..., None]
    if not real.all():
        mask = real[..., None, None].astype(np.float64)
        rotation = rotation * constant(mask) + constant(np.eye(3) * (1.0 - mask))
        link = link * constant(mask)
    blocks = rotation @ constant(np.concatenate([outer, skew(axis), across], axis=-1))  # Rodrigues
    return Chains(
        index, blocks[..., :3], blocks[..., 3:6], blocks[..., 6:],
        xp.concatenate([link, constant(axis[..., None])], axis=3), constant(np.triu(np.ones((depth, depth)))),
        parameters.joint_zero[index], parameters.joint_origin_position[index[:, 0]],
    )  # fmt: skip


def forward_kinematics(xp: Any, chains: Chains, q: Any) -> Frames:
    """All frames of the robot at q (..., nq) [rad]; q and chains in the same library and precision."""
    angle = (q[..., chains.index] + chains.zero)[..., None, None]  # (..., nt, depth, 1, 1)
    local = chains.a + xp.sin(angle) * chains.b + xp.cos(angle) * chains.c  # (..., nt, depth, 3, 3)
    rotations = [local[..., :1, :, :]]
    for d in range(1, local.shape[-3]):
        rotations.append(rotations[-1] @ local[..., d : d + 1, :, :])
    rotation = xp.concatenate(rotations, -3)  # (..., nt, depth, 3, 3)
    columns = rotation @ chains.columns
    arm = chains.from_here @ columns[..., 0]  # (..., nt, depth, 3), from each joint to the tip
    tip = arm[..., 0, :] + chains.start
    return Frames(tip, rotation, arm, columns[..., 1])


def jacobian(xp: Any, frames: Frames) -> Any:
    """Position Jacobian of every tip by the joints of its own chain: (..., nt, 3, depth) [m/rad], zero where padded."""
    axis, arm = frames.joint_axis, frames.arm
    moment = axis * arm[..., _NEXT] - axis[..., _NEXT] * arm  # the cross product, its rows out of turn
    return xp.swapaxes(moment[..., _NEXT], -1, -2)


@dataclass(frozen=True, eq=False)  # arrays have no single truth value: one is equal to itself alone, and can be a key
class Kinematics:
    """Kinematics of a robot in numpy, float64. Joint positions of another number of joints raise InputError."""

    topology: Topology = field(repr=False)
    parameters: KinematicParameters = field(repr=False)
    chains: Chains = field(repr=False)

    @staticmethod
    def build(topology: Topology, parameters: KinematicParameters) -> Kinematics:
        parameters = KinematicParameters(*(frozen(value) for value in parameters))
        chains = build_chains(np, topology, parameters)
        return Kinematics(topology, parameters, Chains(*(frozen(value, value.dtype) for value in chains)))

    @property
    def nq(self) -> int:
        return len(self.topology.axis)

    @property
    def nt(self) -> int:
        return len(self.topology.chain)

    @property
    def depth(self) -> int:
        """Joints of the longest chain."""
        return self.topology.chain.shape[1]

    @cached_property
    def tip_of_joint(self) -> NDArray[np.int64]:
        """The tip that each joint moves: (nq,)."""
        tips = np.empty(self.nq, dtype=np.int64)
        for tip, joints in enumerate(self.topology.chain):
            tips[joints[joints >= 0]] = tip
        return frozen(tips, np.int64)

    @property
    def first_joint_position(self) -> Array:
        """Origin of the first joint of every chain in the base frame: (nt, 3) [m]."""
        position: Array = self.chains.start
        return position

    @cached_property
    def reach(self) -> Array:
        """Length of each stretched chain, first joint to tip: (nt,) [m]."""
        lengths = np.linalg.norm(self.parameters.joint_origin_position, axis=-1)
        after_first = np.where(self.topology.chain[:, 1:] >= 0, lengths[self.topology.chain[:, 1:]], 0.0).sum(-1)
        return frozen(after_first + np.linalg.norm(self.parameters.tip_offset, axis=-1))

    def calibrated(self, parameters: KinematicParameters) -> Kinematics:
        """The same robot with other geometry.

        Raises:
            InputError: an array of another shape, or not finite.
        """
        for name, old, new in zip(parameters._fields, self.parameters, parameters, strict=True):
            if np.shape(new) != np.shape(old):
                raise InputError(f"{name} must be finite and of shape {np.shape(old)}, has shape {np.shape(new)}")
            if not np.isfinite(new).all():
                raise InputError(f"{name} must be finite, has {np.ravel(new)[~np.isfinite(np.ravel(new))][0]}")
        return Kinematics.build(self.topology, parameters)

    def frames(self, q: Array) -> Frames:
        """q (..., nq) [rad]."""
        return forward_kinematics(np, self.chains, self._checked(q))

    def tip_position(self, q: Array) -> Array:
        """q (..., nq) [rad]; returns (..., nt, 3) [m] in the base frame."""
        position: Array = chains.tip_positions(self._rows(q), *self.model)
        return position.reshape(*q.shape[:-1], self.nt, 3)

    def tips(self, q: Array) -> Tips:
        """q (..., nq) [rad]; tips and Jacobians together, at little more than the cost of one."""
        position, jacobian = chains.tips(self._rows(q), *self.model)
        batch = q.shape[:-1]
        return Tips(position.reshape(*batch, self.nt, 3), jacobian.reshape(*batch, self.nt, 3, self.depth))

    def directions(self, q: Array, axis: Array) -> Tips:
        """Where an axis (nt, 3) of every tip's frame points at q (nq,) [rad], in the base frame, and its derivatives."""
        in_last_joint = np.ascontiguousarray((self.topology.tip_rotation @ axis[..., None])[..., 0])
        return Tips(*chains.directions(self._rows(q).reshape(self.nq), *self.model, in_last_joint))

    @cached_property
    def model(self) -> tuple[NDArray[np.int64], Array, Array]:
        """What `kernels.chains` knows of the robot: chain (nt, depth), constants (nt, depth, 34), start (nt, 3)."""
        own, shape = self.chains, self.topology.chain.shape
        matrices = [x.reshape(*shape, 9) for x in (own.a, own.b, own.c)]
        columns = [own.columns[..., 0], own.columns[..., 1], own.zero[..., None]]
        return self.topology.chain, frozen(np.concatenate([*matrices, *columns], axis=-1)), own.start

    def rows(self, q: Array, target: Array, dtype: type = np.float64) -> tuple[NDArray[Any], NDArray[Any]]:
        """q (..., nq) and target (..., nt, 3), broadcast to it, as the kernels take them: (n, nq) and (n, nt, 3).

        Raises:
            InputError: one of another shape.
        """
        rows, wanted = self._rows(q, dtype), (*q.shape[:-1], self.nt, 3)
        if target.shape != wanted:
            target = _batched(target, wanted)
        return rows, np.ascontiguousarray(target, dtype=dtype).reshape(len(rows), self.nt, 3)

    def _rows(self, q: Array, dtype: type = np.float64) -> Array:
        rows: Array = np.ascontiguousarray(self._checked(q), dtype=dtype).reshape(-1, self.nq)
        return rows

    def _checked(self, q: Array) -> Array:
        if q.shape[-1:] != (self.nq,):
            raise InputError(f"joint positions have shape {q.shape}, must end with {self.nq} joints")
        return q

    def tip_rotation(self, q: Array) -> Array:
        """q (..., nq) [rad]; returns (..., nt, 3, 3), the tip frames in the base frame."""
        rotation: Array = self.frames(q).joint_rotation[..., -1, :, :] @ self.topology.tip_rotation
        return rotation

    def joint_pose(self, q: Array, tip: int, depth: int) -> Array:
        """The frame that turns with joint `depth` of a tip's chain at q (nq,) [rad]: (4, 4) in the base frame."""
        frames = self.frames(q)
        return transform(frames.joint_rotation[tip, depth], frames.joint_position[tip, depth])

    def digest(self) -> str:
        """SHA-256 of topology and geometry at 1e-9, so that a network can tell the robot that it was trained for."""
        numbers = [np.asarray(value).round(9).ravel() + 0.0 for value in (*self.topology, *self.parameters)]
        text = json.dumps([[format(x, ".9f") for x in value.tolist()] for value in numbers])
        return hashlib.sha256(text.encode()).hexdigest()


def _batched(target: Array, shape: tuple[int, ...]) -> Array:
    """Targets (..., nt, 3), repeated along the batch of shape (..., nt, 3) alone: tips and coordinates stand for themselves."""
    with suppress(ValueError):
        if target.shape[-2:] == shape[-2:]:
            return np.broadcast_to(target, shape)
    raise InputError(f"targets have shape {target.shape}, must have {shape}, or less in front of {shape[-2:]}")


def kinematics_of_chains(chains: list[list[Joint]], joint_names: list[str]) -> Kinematics:
    """Fold fixed joints into their neighbours. chains: for each tip the URDF joints from base to tip; every joint of
    `joint_names` stands in exactly one chain."""
    nq, nt = len(joint_names), len(chains)
    rows = [[joint_names.index(joint.name) for joint in chain if joint.kind != FIXED] for chain in chains]
    depth = max(len(row) for row in rows)
    chain_index = np.full((nt, depth), -1)
    origin, axis, tip = np.zeros((nq, 4, 4)), np.zeros((nq, 3)), np.zeros((nt, 4, 4))
    for t, chain in enumerate(chains):
        chain_index[t, : len(rows[t])] = rows[t]
        T_joint_here = transform(np.eye(3), np.zeros(3))
        for joint in chain:
            T_joint_here = T_joint_here @ joint.T_parent_joint
            if joint.kind != FIXED:
                i = joint_names.index(joint.name)
                origin[i], axis[i] = T_joint_here, joint.axis
                T_joint_here = np.eye(4)
        tip[t] = T_joint_here
    return Kinematics.build(
        Topology(frozen(chain_index, np.int64), frozen(axis), frozen(tip[:, :3, :3])),
        KinematicParameters(origin[:, :3, 3], origin[:, :3, :3], np.zeros(nq), tip[:, :3, 3]),
    )
