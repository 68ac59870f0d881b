"""A policy whose answers a test knows."""

from __future__ import annotations

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.kinematics import Kinematics
from nnik_ros.robot import Robot


class Fixed:
    """Goes to one pose at once, wherever it is sent."""

    name = "fixed"

    def __init__(self, robot: Robot, q: Array) -> None:
        self.robot, self._q = robot, q
        self.kinematics: Kinematics = robot.kinematics

    def step(self, q: Array, target: Array) -> Array:
        return np.broadcast_to(self._q, q.shape).copy()
