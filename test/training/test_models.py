"""Every shipped network: it belongs to its robot, and reaches its targets alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.evaluate import main
from nnik_ros.gate import Gate
from nnik_ros.onnx_policy import OnnxPolicy, read_contract
from nnik_ros.paths import model_file, robot_file, share_dir, shipped
from nnik_ros.robot import load_robot
from nnik_ros.training import models_table
from nnik_ros.training.models_table import table

MODELS = shipped(share_dir() / "models", ".onnx")


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_network_reaches_held_out_targets_alone(name: str, rng: np.random.Generator) -> None:
    robot = load_robot(robot_file(read_contract(model_file(name)).robot))
    policy = OnnxPolicy(model_file(name), robot)
    gate = Gate(**policy.contract.provenance["gate"])
    q, goal = (robot.random_joint_position(rng, 1000) for _ in range(2))
    target = robot.kinematics.tip_position(goal)
    for _ in range(5):
        q = policy.step(q, target)
    error = np.linalg.norm(robot.kinematics.tip_position(q) - target, axis=-1)
    assert (error <= gate.coarse).mean() > 0.99


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_network_passes_the_gate_of_its_recipe(name: str) -> None:
    assert main([str(model_file(name))]) == 0


def test_the_table_of_networks_tells_what_their_contracts_tell() -> None:
    folder = share_dir() / "models"
    assert (folder / "README.md").read_text(encoding="utf-8") == table(folder)


def test_the_table_is_written_beside_the_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(model_file("planar_2r"), tmp_path / "models")
    monkeypatch.setattr(models_table, "share_dir", lambda: tmp_path)
    assert models_table.main([]) == 0
    text = (tmp_path / "models" / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if ".onnx |" in line]
    assert len(rows) == 1 and rows[0] in (share_dir() / "models" / "README.md").read_text(encoding="utf-8")


def test_a_table_that_a_full_disk_does_not_take_and_a_damaged_network_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "README.md").symlink_to("/dev/full")
    monkeypatch.setattr(models_table, "share_dir", lambda: tmp_path)
    assert models_table.main([]) == 2
    assert "README.md: 1 problem\n  - cannot be written: No space left" in capsys.readouterr().err
    (tmp_path / "models" / "damaged.onnx").write_bytes(b"no network")
    assert models_table.main([]) == 2
    assert "damaged.onnx: 1 problem\n  - is not a usable ONNX file" in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["--help", "models/allegro_right.onnx"])
def test_the_table_is_not_written_by_who_asks_how_it_is_made(argument: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models_table, "share_dir", lambda: pytest.fail("looked for models"))
    with pytest.raises(SystemExit):
        models_table.main([argument])
