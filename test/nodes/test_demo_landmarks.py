"""A recorded human hand leads the simulated hand through the node, and the report says how well."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.nodes.demo_landmarks import LandmarkScript, load_tip_path
from nnik_ros.paths import share_dir
from nnik_ros.retarget import TipPath
from nnik_ros.robot import Robot

EXAMPLE = share_dir() / "examples" / "landmarks" / "made_up_hand.csv"


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nnik_ros.nodes.demo", "--headless", *arguments],
        cwd=share_dir(), capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.timeout(300)
def test_the_example_is_followed_and_every_finger_is_reported() -> None:
    """Of three tries the best tells how well: while the machine stands still nobody follows."""
    assert any(median_of_the_example() < 5.0 for _ in range(3))


def median_of_the_example() -> float:
    """Distance of all tips from the path [mm]; the report is checked."""
    done = demo("--landmarks", str(EXAMPLE))
    rows = dict(re.findall(r"^(index|middle|ring|thumb) +([\d. ]+)$", done.stdout, re.MULTILINE))
    assert set(rows) == {"index", "middle", "ring", "thumb"}, done.stdout + done.stderr
    figures = {name: [float(word) for word in row.split()] for name, row in rows.items()}
    assert all(len(row) == 6 and row[:3] == sorted(row[:3]) and row[3:] == sorted(row[3:]) for row in figures.values())
    (median,) = re.findall(r"all tips +median ([\d.]+) mm from the path \(wanted 5 mm\)", done.stdout)
    assert re.search(r"^delay +\d+ ms$", done.stdout, re.MULTILINE)
    return float(median)


def test_a_robot_without_a_map_and_a_broken_recording_are_told_before_anything_starts(tmp_path: Path) -> None:
    done = demo("--robot", "planar_2r", "--landmarks", str(EXAMPLE))
    assert done.returncode == 2
    assert "shipped are allegro_left, allegro_right" in done.stderr
    (tmp_path / "a.csv").write_text("wrist_x\n1\n")
    done = demo("--landmarks", str(tmp_path / "a.csv"))
    assert done.returncode == 2
    assert "columns are missing" in done.stderr


def test_a_hand_that_is_late_by_a_known_time_is_reported_with_that_delay_and_no_error(robot: Robot) -> None:
    path = load_tip_path(EXAMPLE, robot, "", "", 30.0)
    script = play(robot, path, late=0.12)
    assert abs(script.delay() - 0.12) < 0.011
    assert np.nanmedian(script.errors()) > 0.005
    assert np.nanmedian(script.errors(script.delay())) < 0.001
    assert script.passed
    assert "delay            120 ms" in script.report()


def play(robot: Robot, path: TipPath, late: float) -> LandmarkScript:
    """A script whose robot's tips are where the path was `late` [s] before."""

    class Fake:
        nt, tip_names = robot.nt, robot.tip_names

        class kinematics:  # noqa: N801
            @staticmethod
            def tip_position(q: np.ndarray) -> np.ndarray:
                return q

    script = LandmarkScript(Fake(), path, 1.0, 0.005, repeat=False)  # type: ignore[arg-type]
    begin = 100.0
    for step in range(1000):
        now = begin + 0.02 * step
        script.advance(path.at(max(0.0, now - begin - 1.5 - late - 0.02)), now, True)  # sent a step before
        if script.finished:
            break
    assert script.finished
    return script
