"""The page about another hand: its example trains, and the network that comes out moves that robot."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import share_dir
from nnik_ros.robot import load_robot
from nnik_ros.training import compare, error_map
from nnik_ros.training.recipe import load_recipe
from nnik_ros.training.train import main


def test_the_numbers_on_the_page_are_within_the_gate_of_its_recipe() -> None:
    page = (share_dir() / "docs" / "robots.md").read_text(encoding="utf-8")
    gate = load_recipe(share_dir() / "examples" / "three_fingers" / "recipe.yaml").gate
    rows = {
        what: [float(number) for number in re.findall(r"[0-9.]+", found)]
        for what, found in re.findall(r"^\| (median|tips|hands)[^|]*\| ([^|]*)(?:mm|%) \|$", page, re.MULTILINE)
    }
    medians, (alone,), guarded = rows["median"], rows["tips"], rows["hands"]
    for number, most in zip(medians, (gate.median_1, gate.median_2, gate.median_3), strict=True):
        assert number * 1e-3 <= most
    assert alone / 100 >= gate.tips_fine
    for number, least in zip(guarded, (gate.robots_fine_5, gate.robots_fine_10), strict=True):
        assert number / 100 >= least


def test_the_example_of_another_hand_trains_to_a_network_that_reaches_its_targets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "three_fingers"
    shutil.copytree(share_dir() / "examples" / "three_fingers", folder)
    recipe = folder / "recipe.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("iterations: 600", "iterations: 25"))
    assert recipe.read_text() != text
    code = main([str(recipe), "--runs", str(tmp_path / "runs"), "--targets", "200"])
    assert code in (0, 1), "a miss of the gate is no surprise after so few iterations, anything else is"
    robot = load_robot(folder / "three_fingers.yaml")
    policy = OnnxPolicy(folder / "three_fingers.onnx", robot)
    rng = np.random.default_rng(0)
    q = np.tile(robot.home, (50, 1))
    target = robot.kinematics.tip_position(np.clip(q + rng.uniform(-0.2, 0.2, q.shape), robot.lower, robot.upper))
    for _ in range(10):
        q = policy.step(q, target)
    error = np.linalg.norm(robot.kinematics.tip_position(q) - target, axis=-1)
    assert np.quantile(error, 0.9) < 1e-4
    words = [str(folder / "three_fingers.onnx"), "--robot", str(folder / "three_fingers.yaml"), "--targets", "50"]
    capsys.readouterr()
    assert compare.main(words) == 0
    table = capsys.readouterr().out
    assert "## three_fingers" in table and "| three_fingers (own network) |" in table
    assert error_map.main([*words, "--folder", str(tmp_path / "maps")]) == 0
    assert (tmp_path / "maps" / "error_map_three_fingers.png").stat().st_size > 10_000
    for command in (compare.main, error_map.main):
        assert command([*words[:2], "planar_2r", *words[3:]]) == 2
        assert "robot: the network has 'three_fingers', the robot has 'planar_2r'" in capsys.readouterr().err
