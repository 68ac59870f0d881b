"""How the benchmark uses its peers, by libraries that are made up here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import peers_other
from benchmarks.solver import Scene
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot


class _Finger:
    """Solves what lies below 1 m; of all else it returns a posture that has nothing to do with start or target."""

    def __init__(self, parts: Any = None, end: str = "") -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def ik_LM(  # noqa: N802
        self, pose: np.ndarray, q0: np.ndarray, **options: Any
    ) -> SimpleNamespace:
        found = bool(pose[2, 3] < 1.0)
        return SimpleNamespace(q=q0 + 0.01 if found else np.full_like(q0, 0.3), success=found)


def test_a_finger_that_roboticstoolbox_does_not_solve_stays_where_it_is_along_a_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = SimpleNamespace(Robot=SimpleNamespace(URDF=lambda file: SimpleNamespace(ets=_Finger)), ETS=_Finger)
    monkeypatch.setitem(sys.modules, "roboticstoolbox", library)
    monkeypatch.setattr(peers_other, "version", lambda name: "1")
    robot = load_robot(robot_file("allegro_right"))
    solver = peers_other.roboticstoolbox(Scene(robot, robot.kinematics, "hand.urdf"))
    start = 0.5 * (robot.lower + robot.upper)
    target = np.zeros((robot.nt, 3))
    target[1, 2] = 2.0
    assert solver.track is not None
    command, reference = solver.track(start)(target)
    unsolved = robot.kinematics.tip_of_joint == 1
    assert np.array_equal(command[unsolved], start[unsolved])
    assert command[~unsolved] == pytest.approx(start[~unsolved] + 0.01)
    assert reference is target
