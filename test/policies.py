"""Policies whose answers a test knows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.kinematics import Kinematics
from nnik_ros.robot import Robot


class Proposal:
    """Returns what a test wants of q (..., nq) and target (..., nt, 3)."""

    name = "proposal"

    def __init__(self, robot: Robot, proposal: Callable[[Array, Array], Array]) -> None:
        self.robot, self._proposal = robot, proposal
        self.kinematics: Kinematics = robot.kinematics

    def step(self, q: Array, target: Array) -> Array:
        return self._proposal(q, target)


class Fixed(Proposal):
    """Goes to one pose at once, wherever it is sent."""

    def __init__(self, robot: Robot, pose: Array) -> None:
        super().__init__(robot, lambda q, target: np.broadcast_to(pose, q.shape).copy())
