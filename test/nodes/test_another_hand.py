"""A hand that nobody has seen before, given as a bare URDF, moves in the demo: what docs/robots.md promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sourced import needs

from nnik_ros.collision import CollisionModel
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.paths import share_dir
from nnik_ros.robot import load_robot
from nnik_ros.states import Measurement, Targets

FINGER = """
<joint name="{f}_turn" type="revolute"><parent link="base"/><child link="{f}_0"/><origin xyz="{x} {y} 0.01" rpy="0 0 {yaw}"/>
  <axis xyz="0 0 1"/><limit lower="-0.6" upper="0.6" effort="1" velocity="6"/></joint>
<link name="{f}_0"/>
<joint name="{f}_flex" type="revolute"><parent link="{f}_0"/><child link="{f}_1"/><origin xyz="0.01 0 0.01"/>
  <axis xyz="0 -1 0"/><limit lower="-0.4" upper="1.2" effort="1" velocity="6"/></joint>
<link name="{f}_1"/>
<joint name="{f}_knee" type="revolute"><parent link="{f}_1"/><child link="{f}_2"/><origin xyz="0 0 0.04"/>
  <axis xyz="0 -1 0"/><limit lower="0.0" upper="1.4" effort="1" velocity="6"/></joint>
<link name="{f}_2"/>
<joint name="{f}_end" type="fixed"><parent link="{f}_2"/><child link="{f}_tip"/><origin xyz="0 0 0.03"/></joint>
<link name="{f}_tip"/>
"""
FINGERS = {"thumb": (0.03, 0.0, 0.0), "left": (-0.02, 0.03, 2.5), "right": (-0.02, -0.03, -2.5)}


@pytest.fixture
def hand(tmp_path: Path) -> Path:
    """The robot file of a hand without shapes, masses, simulation data, driver or network."""
    fingers = "".join(FINGER.format(f=f, x=x, y=y, yaw=yaw) for f, (x, y, yaw) in FINGERS.items())
    (tmp_path / "trident.urdf").write_text(f'<robot name="trident"><link name="base"/>{fingers}</robot>')
    joints = [
        f"  - {{name: {f}_{joint}, velocity: 4.0, acceleration: 40.0, home: {home}}}"
        for f in FINGERS for joint, home in (("turn", 0.0), ("flex", 0.2), ("knee", 0.5))
    ]  # fmt: skip
    tips = [f"  - {{name: {f}, link: {f}_tip}}" for f in FINGERS]
    lines = ["schema: 1", "name: trident", "urdf: trident.urdf", "base_frame: base", "joints:", *joints, "tips:", *tips]
    (tmp_path / "trident.yaml").write_text("\n".join(lines) + "\n")
    return tmp_path / "trident.yaml"


def test_a_hand_without_collision_shapes_reaches_its_targets(hand: Path) -> None:
    robot = load_robot(hand)
    controller = Controller(robot, None, ControllerOptions(rate=100.0), CollisionModel(robot))
    controller.start()
    q = robot.home
    goal = robot.kinematics.tip_position(robot.home + 0.2)
    for tick in range(400):
        result = controller.tick(0.01 * tick, Measurement(q, 0.01 * tick), Targets(goal, np.full(3, 0.01 * tick)))
        q = result.command
    assert np.linalg.norm(robot.kinematics.tip_position(q) - goal, axis=-1).max() < 0.0005


@needs("viser")
@pytest.mark.timeout(120)
def test_its_demo_opens_a_page_and_the_hand_is_heard(hand: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-u", "-m", "nnik_ros.nodes.demo", "--robot", str(hand), "--model", "none", "--port", "8550",
         "--seconds", "15"],
        cwd=share_dir(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "page: http://127.0.0.1:" in done.stdout
    assert re.search(r"IDLE .* Hz \| thumb -  left -  right - mm", done.stdout)


def test_a_scripted_demo_says_what_it_lacks(hand: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nnik_ros.nodes.demo", "--robot", str(hand), "--headless"],
        cwd=share_dir(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no simulation file for robot 'trident'" in done.stderr
