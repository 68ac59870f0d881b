"""What every solver of the package looks like: one increment from the present joints towards the targets."""

from __future__ import annotations

from typing import Protocol

from nnik_ros.geometry import Array
from nnik_ros.kinematics import Kinematics
from nnik_ros.robot import Robot


class Policy(Protocol):
    """A batched, stateless step. `kinematics` is the geometry it works with (the calibrated one, if any)."""

    name: str
    robot: Robot
    kinematics: Kinematics

    def step(self, q: Array, target: Array) -> Array:
        """q (..., nq) [rad], target (..., nt, 3) [m] in the base frame; returns the next q (..., nq) [rad] within limits.

        Raises:
            InputError: one of another shape, where the solver is one of this package.
        """
        ...
