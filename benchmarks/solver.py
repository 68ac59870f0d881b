"""What takes part: one shape for whole solvers and for single steps, for this package and for its peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.kinematics import Kinematics
from nnik_ros.robot import Robot

Call = Callable[[Array, Array], Array]  # q (nq,) [rad], target (nt, 3) [m] -> q (nq,)
# target (nt, 3) [m] -> the next command (nq,) [rad] and the reference (nt, 3) [m] it follows: the target or a governed one
Tick = Callable[[Array], tuple[Array, Array]]


class Scene(NamedTuple):
    """The hand to solve for: kinematics is the robot's own or the calibrated one; urdf: the same geometry as a file."""

    robot: Robot
    kinematics: Kinematics
    urdf: str


class Solver(NamedTuple):
    """solve: one call of the solver, repeated until the targets are reached; whole: one call iterates inside.

    track: makes a tick that follows from a start (nq,) [rad] at 333 Hz; None: no part in tracking. settings: the ones used.
    """

    name: str
    version: str
    settings: str
    solve: Call | None
    track: Callable[[Array], Tick] | None
    whole: bool = False
    ours: bool = False


class Absent(NamedTuple):
    """A solver that takes no part, and why."""

    name: str
    why: str


def tracker(make: Callable[[], Call]) -> Callable[[Array], Tick]:
    """Follow with one call a tick, each from the last result."""

    def start(q: Array) -> Tick:
        call, state = make(), [np.array(q)]

        def tick(target: Array) -> tuple[Array, Array]:
            state[0] = call(state[0], target)
            return state[0], target

        return tick

    return start
