"""The scripted part of the demo: reachable targets one after the other, and how well the simulated hand follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.robot import Robot
from nnik_ros.sim.hand import SimHand
from nnik_ros.sim.options import find_sim_file, load_sim_options

_CLEARANCE = 0.008  # m between the links of a target pose; the controller keeps a distance of its own
_LIMIT_SHARE = 0.05  # of a joint's range that a target pose keeps from its limits
_DWELL = 0.3  # s for which all tips stay at their targets before the next ones are sent
_ATTEMPTS = 5000
_SHARE = 0.99  # of the targets that must be reached
_POSE_TIME = 4.0  # s after which targets that were not reached count as missed
_TURNS = 3.0  # times the slowest joint's way from limit to limit: the same for slow robots


class Oracle:
    """Tips and contacts as MuJoCo sees them: an opinion that shares no code with the controller's kinematics."""

    def __init__(self, robot: Robot, robot_path: Path) -> None:
        """Raises NnikError: the robot has no simulation data."""
        file = find_sim_file(robot_path.parent / "simulation", robot.name)
        self._hand = SimHand(robot, load_sim_options(file, robot))
        self._hand.model.geom_margin[:] = 0.5 * _CLEARANCE
        self._shape = self._near(robot.home)  # what is near at home is the shape of the simplified links

    def tip_position(self, q: Array) -> Array:
        """q (nq,) [rad]; returns (nt, 3) [m] in the base frame."""
        self._hand.reset(q)
        return self._hand.tip_position()

    def is_free(self, q: Array) -> bool:
        """Whether the links keep their distance at q (nq,) [rad]."""
        return self._near(q) <= self._shape

    def _near(self, q: Array) -> set[tuple[int, int]]:
        """Pairs of shapes that are closer than the clearance."""
        self._hand.reset(q)
        return {(int(a), int(b)) for a, b in self._hand.data.contact.geom}


class Script:
    """Sends targets that some collision-free pose reaches, dwells on them, and measures. Times are of one clock [s]."""

    def __init__(self, robot: Robot, oracle: Oracle, rng: np.random.Generator, tolerance: float) -> None:
        """tolerance [m]: distance of a measured tip from its target that counts as reached."""
        self._robot, self._oracle, self._rng, self._tolerance = robot, oracle, rng, tolerance
        self._final: list[Array] = []  # (nt,) [m] of each target at its end: distance of the measured tips
        self._begin = self._inside_since = -np.inf
        self.target: Array | None = None  # to be sent now (nt, 3) [m]; None before the first and after the last
        self.finished = False  # whether nothing more will be sent
        self._pose = np.array(robot.home)
        slowest = float(((robot.upper - robot.lower) / robot.velocity).max())
        self._pose_time = max(_POSE_TIME, _TURNS * slowest)

    def advance(self, q: Array, now: float, more: bool) -> None:
        """Judge the measured joint position (nq,) [rad]; go on to the next targets when it is time (and `more`)."""
        if self.target is not None:
            error = np.linalg.norm(self._oracle.tip_position(q) - self.target, axis=-1)
            inside = bool(np.all(error <= self._tolerance))
            self._inside_since = min(self._inside_since, now) if inside else np.inf
            if now - self._inside_since < _DWELL and now - self._begin < self._pose_time:
                return
            self._final.append(error)
        self.target = self._next_target() if more else None
        self.finished = not more
        self._begin, self._inside_since = now, np.inf

    @property
    def judged(self) -> bool:
        """Whether there is a target of which it is known how it was followed."""
        return bool(self._final)

    @property
    def passed(self) -> bool:
        """Whether the hand followed."""
        return self._share() >= _SHARE

    def report(self) -> str:
        """What was reached, in a few lines, once something was judged."""
        error = np.ravel(self._final)
        p50, p95, largest = np.percentile(1e3 * error, (50, 95, 100))
        return "\n".join([
            f"targets sent     {len(error)}",
            f"reached          {100 * self._share():.1f} % (within {1e3 * self._tolerance:g} mm; wanted {100 * _SHARE:.0f} %)",
            f"final tip error  median {p50:.3f} mm, 95 % {p95:.3f} mm, largest {largest:.3f} mm (measured, by MuJoCo)",
        ])  # fmt: skip

    def _share(self) -> float:
        reached = np.ravel(self._final) <= self._tolerance
        return float(reached.mean()) if len(reached) else 0.0

    def _next_target(self) -> Array:
        """Tips of a random pose; the way there, joint by joint, is free of contacts."""
        margin = _LIMIT_SHARE * (self._robot.upper - self._robot.lower)
        for _ in range(_ATTEMPTS):
            pose = self._rng.uniform(self._robot.lower + margin, self._robot.upper - margin)
            if all(self._oracle.is_free(q) for q in np.linspace(pose, self._pose, 8)):
                self._pose = pose
                return self._oracle.tip_position(pose)
        raise InputError(f"no collision-free pose was found for '{self._robot.name}' in {_ATTEMPTS} attempts")
