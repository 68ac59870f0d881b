"""A robot without weight or drive, for those that have no simulation data."""

from __future__ import annotations

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.robot import Robot

_BANDWIDTH = 100.0  # rad/s of the critically damped joint; the drive of a stiff arm


class StiffHand:
    """Each joint follows its command as a critically damped second-order system, stopped at the joint limits."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self.q: Array = np.array(robot.home)
        self.dq: Array = np.zeros(robot.nq)
        self._command = self.q.copy()

    def command(self, q: Array) -> None:
        """q (nq,) [rad]: where the joints go until the next command."""
        self._command = np.array(q)

    def step(self, dt: float) -> None:
        """Let dt [s] pass: the closed-form solution, so any dt is stable."""
        w, decay = _BANDWIDTH, np.exp(-_BANDWIDTH * dt)
        gap = self.q - self._command
        slope = self.dq + w * gap
        free = self._command + (gap + slope * dt) * decay
        self.dq = (self.dq - w * slope * dt) * decay
        self.q = np.clip(free, self._robot.lower, self._robot.upper)
        self.dq[self.q != free] = 0.0
