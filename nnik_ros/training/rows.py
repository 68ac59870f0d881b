"""What of a robot stands in the step: its kinematics as a sum of sines, its limits, and constant matrices.

The step works on rows, one for each tip of each robot of the batch. Lengths are in units of the robot's reach, vectors in a
frame of the tip's own. A quantity of every joint of the chain stands in a row `spread`: for the first joint x, y, z (of a
vector, or thrice the same number), then for the second joint, and so on, for three joints at least (a shorter chain is
padded), and four spare columns. So the whole step needs products of entries and products with constant matrices, but no array
of more than two axes: where a single hand is stepped every operation costs about the same, whatever its size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.kinematics import Frames, jacobian
from nnik_ros.robot import Robot
from nnik_ros.training.series import Series, series_of, side_by_side
from nnik_ros.training.solve import SPARE, SolveConstants, solve_constants

SMALLEST_SQUARE = 1e-14  # of an error in reaches: added under roots, so that no size is 0
_REST = (
    1e-3  # square of the slope below which the jump fades: at the closest point of an unreachable target there is none
)
_TURN, _FULL_CIRCLE = 2.0 * math.pi, 1e-6  # rad, and how much of it a description may round off
_NEGLIGIBLE = 1e-9  # of the reach; a term of the series below is what a description rounds off
_NEXT = np.array([1, 2, 0])  # the axis after x, y, z
_MOST_JOINTS = 12  # of a chain; its series takes 5 GB and a minute then, and three times as much with each one more
_LEAST_JOINTS = 3  # in a spread row, which has to hold three rows of a matrix


class Layout(NamedTuple):
    """How each tip sees the world. frame (nt, 3, 3): its frame in the base frame, orthonormal columns, perhaps left-handed;
    origin (nt, 3) [m]; sign (nt, depth) of its joints. A mirror image of a robot has the mirrored layout."""

    frame: Array
    origin: Array
    sign: Array


class Constants(NamedTuple):
    """The step's matrices; n columns of a spread row, k of a whole row, nt tips.

    frequency (nq, terms), phase (terms,): angles; known (terms + 3 nt + nq, nt * k): the rows as a sum of their sines, of the
    targets and of the joint positions, -1 and 1 at the limits; expand (nt, raw, k), offset (nt, 1, k): the sum of sines from
    tips and slopes; given (3 nt + nq, nt * k): the rest; tip (nt * k, 3 nt), tip_origin (3 nt,): from the rows to the tips;
    slope, sums (n, n): sum over each joint; back (nt * n, nq): from spread steps to those of the robot's joints.
    """

    frequency: Any
    phase: Any
    known: Any
    expand: Any
    offset: Any
    given: Any
    tip: Any
    tip_origin: Any
    slope: Any
    sums: Any
    back: Any
    solve: SolveConstants


@dataclass(frozen=True)
class Rows:
    """Shapes, limits and constants of one robot's step.

    lower, upper (nq,) [rad]: rounded inwards to float32; turn (nq,) [rad]: a full circle for joints that can turn one, else
    0; real (nt, depth): whether a chain has this joint; reach [m]: unit of length inside the step.
    """

    robot: Robot
    layout: Layout
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    turn: NDArray[np.float32]
    real: NDArray[np.bool_]
    reach: float

    @property
    def nt(self) -> int:
        return len(self.real)

    @property
    def depth(self) -> int:
        return self.real.shape[1]

    @property
    def joints(self) -> int:
        """Joints in a spread row."""
        return max(self.depth, _LEAST_JOINTS)

    @property
    def width(self) -> int:
        """Columns of a spread row."""
        return 3 * self.joints + SPARE

    @property
    def turning(self) -> bool:
        """Whether any joint can turn a full circle."""
        return bool(self.turn.any())

    @property
    def bearing(self) -> bool:
        """Whether every joint can turn a full circle. Beside a joint with stops the bearing lures: the arm folds over the axis,
        its tip in line with the target, and rests on the stops with the whole arm on the wrong side."""
        return bool((self.turn > 0).all())

    @property
    def sizes(self) -> int:
        """Features of the size of an error: 1, or 2 with its logarithm, by which robots that turn reach more targets."""
        return 1 + self.turning

    @property
    def pieces(self) -> list[int]:
        """A row: error, slopes (and the error again) and joint positions, spread; for the perceptron alone: joint positions,
        tip, target and a 1 for this tip among the others; arms, spread, where all joints turn."""
        return [self.width] * 3 + [self.depth + 6 + self.nt] + [self.width] * self.bearing

    @property
    def feature_index(self) -> NDArray[np.int64]:
        """Where the features that the perceptron learns from stand in what the step gives it, copies left out: slope (and
        bearing) of each joint; direction; position of each joint; tip, target, which tip; size of the error and, where a joint
        turns, its logarithm."""
        each, others = 3 * np.arange(self.depth), self.pieces[3] + self.sizes
        spread = 1 + self.bearing
        rest = spread * self.width + np.concatenate([np.arange(3), self.width + np.arange(others)])
        return np.concatenate([*[i * self.width + each for i in range(spread)], rest])

    @property
    def output_index(self) -> NDArray[np.int64]:
        """Which of the perceptron's outputs (jump and metric of each joint, damping and, where all turn, share of the bearing)
        stands where in what the step takes; -1: none."""
        spread = np.append(np.repeat(np.arange(self.joints), 3), [-1] * SPARE)
        spread = np.where(spread < self.depth, spread, -1)
        first = [0, self.depth, *[2 * self.depth + 1] * self.bearing]
        pieces = [np.where(spread < 0, -1, spread + i) for i in first]
        pieces[1][-SPARE:] = 2 * self.depth
        return np.concatenate(pieces)

    @property
    def output_sizes(self) -> list[int]:
        """Pieces of what the step takes, spread: jump; metric, with the damping in the spare columns; share of the bearing."""
        return [self.width] * (2 + self.bearing)

    @property
    def given(self) -> int:
        """Features that the step gives the perceptron, copies included."""
        return (2 + self.bearing) * self.width + self.pieces[3] + self.sizes

    @property
    def inputs(self) -> int:
        return len(self.feature_index)

    @property
    def outputs(self) -> int:
        return (2 + self.bearing) * self.depth + 1

    def raw(self, xp: Any, frames: Frames) -> Any:
        """Tip, slopes and, where all joints turn, arms across the axes of each tip: (..., nt, raw), in the base frame."""
        lead = _open(frames.tip_position.shape[:-2])
        J = jacobian(xp, frames)
        parts = [frames.tip_position, xp.reshape(J, (*lead, self.nt, 3 * self.depth))]
        if self.bearing:
            slope, axis = xp.swapaxes(J, -1, -2), frames.joint_axis
            across = (slope * axis[..., _NEXT] - slope[..., _NEXT] * axis)[..., _NEXT]  # slope x axis
            parts.append(xp.reshape(across, (*lead, self.nt, 3 * self.depth)))
        return xp.concatenate(parts, -1)

    def from_frames(self, xp: Any, expand: Any, offset: Any, frames: Frames) -> Any:
        """What the sines tell, from frames (batch, ...): (batch, nt * k)."""
        every = self.raw(xp, frames)[..., None, :] @ expand + offset
        return xp.reshape(every, (-1, self.nt * sum(self.pieces)))

    @cached_property
    def constants(self) -> Constants:
        """In float64."""
        expand, offset = self._expand()
        series = self._series(expand, offset)
        goal, tip = self._goal_and_tip()
        place, back = self._places()
        given = np.concatenate([goal, place])
        block = np.zeros((self.width, self.width))
        for i in range(self.joints):
            block[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = 1.0
        # the direction is of a vector written out once for each joint, the square of the slope is of three copies each
        slope = block * math.sqrt(self.joints / (3.0 * _REST))
        return Constants(
            series.frequency, series.phase, np.concatenate([series.weight, given]), expand, offset, given, tip,
            self.layout.origin.ravel(), slope, block, back, solve_constants(self.joints),
        )  # fmt: skip

    def _expand(self) -> tuple[Array, Array]:
        """From raw rows to rows."""
        width, raw = self.width, 3 + 3 * self.depth * (1 + self.bearing)
        expand, offset = np.zeros((self.nt, raw, sum(self.pieces))), np.zeros((self.nt, 1, sum(self.pieces)))
        for t in range(self.nt):
            turn = self.layout.frame[t] / self.reach  # from a row in the base frame to one in the tip's
            origin = self.layout.origin[t] @ turn
            for start in self._errors:
                expand[t, :3, start : start + 3] = -turn
            offset[t, 0, width - 1] = math.sqrt(self.joints * SMALLEST_SQUARE)
            for i in range(self.depth):
                slopes = 3 + i + self.depth * np.arange(3)
                expand[t, slopes, width + 3 * i : width + 3 * i + 3] = turn * self.layout.sign[t, i]
                if self.bearing:
                    arm = 3 + 3 * self.depth + 3 * i + np.arange(3)
                    start = sum(self.pieces[:4]) + 3 * i
                    expand[t, arm, start : start + 3] = turn
            here = 3 * width + self.depth
            expand[t, :3, here : here + 3] = turn
            offset[t, 0, here : here + 6] = np.tile(-origin, 2)
            offset[t, 0, here + 6 + t] = 1.0
            for i in range(self.depth):
                offset[t, 0, self._place_columns(i)] = -self._middle[t, i]
        return expand, offset

    def _series(self, expand: Array, offset: Array) -> Series:
        kinematics = self.robot.kinematics

        def row(t: int, q: Array) -> Array:
            raw = self.raw(np, kinematics.frames(q))[..., t, :]
            result: Array = raw @ expand[t] + offset[t, 0]
            return result

        chains = kinematics.topology.chain
        parts = [
            series_of(lambda q, t=t: row(t, q), chain[chain >= 0], kinematics.nq)  # type: ignore[misc]
            for t, chain in enumerate(chains)
        ]
        whole = side_by_side(parts)
        used = np.abs(whole.weight).max(1) > _NEGLIGIBLE
        return Series(whole.frequency[:, used], whole.phase[used], whole.weight[used])

    def _goal_and_tip(self) -> tuple[Array, Array]:
        k, width = sum(self.pieces), self.width
        goal, tip = np.zeros((3 * self.nt, self.nt * k)), np.zeros((self.nt * k, 3 * self.nt))
        for t in range(self.nt):
            turn = self.layout.frame[t] / self.reach
            here = slice(3 * t, 3 * t + 3)
            for column in (*self._errors, 3 * width + self.depth + 3):
                goal[here, t * k + column : t * k + column + 3] = turn
            start = t * k + 3 * width + self.depth
            tip[start : start + 3, here] = self.layout.frame[t].T * self.reach
        return goal, tip

    def _places(self) -> tuple[Array, Array]:
        chain, k = self.robot.kinematics.topology.chain, sum(self.pieces)
        place, back = np.zeros((self.robot.nq, self.nt * k)), np.zeros((self.nt * self.width, self.robot.nq))
        for t, i in zip(*np.nonzero(self.real), strict=True):
            place[chain[t, i], t * k + self._place_columns(i)] = self._slope_of_place[t, i]
            back[t * self.width + 3 * i + np.arange(3), chain[t, i]] = self.layout.sign[t, i]
        return place, back

    @property
    def _errors(self) -> list[int]:
        """Where the error stands in a row: once for each joint, and once after the slopes."""
        return [*range(0, 3 * self.joints, 3), self.width + 3 * self.joints]

    def _place_columns(self, i: int) -> NDArray[np.int64]:
        """Where the position of the i-th joint stands in a row."""
        return np.append(2 * self.width + 3 * i + np.arange(3), 3 * self.width + i)

    @property
    def _bounds(self) -> tuple[Array, Array]:
        """Limits (nt, depth) [rad] of the chains' joints; of joints that turn a full circle, a circle beyond."""
        chain = np.maximum(self.robot.kinematics.topology.chain, 0)
        turn = self.turn.astype(np.float64)
        return (self.lower - turn)[chain], (self.upper + turn)[chain]

    @property
    def _slope_of_place(self) -> Array:
        """Of each joint's position in units of its limits: (nt, depth) [1/rad]."""
        lower, upper = self._bounds
        slope: Array = self.real * self.layout.sign * 2.0 / (upper - lower)
        return slope

    @property
    def _middle(self) -> Array:
        """Middle of each joint's limits in units of half their width: (nt, depth)."""
        lower, upper = self._bounds
        middle: Array = 0.5 * (lower + upper) * self._slope_of_place
        return middle


def own_layout(robot: Robot) -> Layout:
    """Each tip in the frame of its chain's first joint."""
    first = robot.kinematics.topology.chain[:, 0]
    frame = np.asarray(robot.kinematics.parameters.joint_origin_rotation)[first]
    shape = robot.kinematics.topology.chain.shape
    return Layout(frame, np.asarray(robot.kinematics.first_joint_position), np.ones(shape))


def rows_of(robot: Robot, layout: Layout | None = None) -> Rows:
    """What the step of `robot` needs.

    Raises:
        InputError: a chain of so many joints that its series would not fit into memory.
    """
    if robot.kinematics.depth > _MOST_JOINTS:
        raise InputError(
            f"robot '{robot.name}' has a chain of {robot.kinematics.depth} joints, a network can have at most {_MOST_JOINTS}; "
            "damped least squares moves it without one"
        )
    lower, upper = float32_limits(robot)
    turn = np.where(robot.upper - robot.lower >= _TURN - _FULL_CIRCLE, _TURN, 0.0).astype(np.float32)
    return Rows(
        robot, layout or own_layout(robot), lower, upper, turn, robot.kinematics.topology.chain >= 0,
        float(robot.kinematics.reach.max()),
    )  # fmt: skip


def float32_limits(robot: Robot) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The joint limits (nq,) [rad], rounded inwards."""
    return _inwards(robot.lower, 1.0), _inwards(robot.upper, -1.0)


def _open(lead: tuple[int, ...]) -> tuple[int, ...]:
    """The batch axes of a shape, the first one left open."""
    return (-1, *lead[1:]) if lead else lead


def _inwards(limit: Array, direction: float) -> NDArray[np.float32]:
    """Nearest float32 that is not outside of the limit."""
    rounded = limit.astype(np.float32)
    outside = (limit - rounded) * direction > 0
    return np.where(outside, np.nextafter(rounded, np.float32(direction * np.inf)), rounded)
