from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.errors import ContractError, FileError
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file, share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.export import export, write
from nnik_ros.training.mirror import mirrored
from nnik_ros.training.network import StepNetwork
from nnik_ros.training.recipe import load_recipe
from nnik_ros.training.train import main

JOINTS = np.where(np.isin(np.arange(16), (0, 4, 8)), -1.0, 1.0)
AXES = np.array([1.0, -1.0, 1.0])
RECIPE = share_dir() / "config" / "training" / "allegro_left.yaml"


def test_the_left_hand_steps_as_the_mirrored_right_hand(rng: np.random.Generator) -> None:
    right, left = (
        OnnxPolicy(model_file(f"allegro_{s}"), load_robot(robot_file(f"allegro_{s}"))) for s in ("right", "left")
    )
    q = right.robot.random_joint_position(rng, 500)
    target = right.kinematics.tip_position(right.robot.random_joint_position(rng, 500))
    difference = np.abs(left.step(q * JOINTS, target * AXES) - right.step(q, target) * JOINTS).max(-1)
    assert np.quantile(difference, 0.95) < 1e-5
    assert difference.max() < 1e-2


def test_the_command_makes_the_mirror_image_of_a_network_and_keeps_it_under_a_new_gate(
    tiny_recipe: Callable[..., Path], planar: Robot, lively: Callable[[Robot], StepNetwork], tmp_path: Path,
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    source, path, words = tiny_recipe(), tmp_path / "image.yaml", ["--runs", str(tmp_path / "runs"), "--targets", "5"]
    head = "schema: 1\nname: image\nrobot: {}\nmodel: image.onnx\nmirror: {{recipe: tiny.yaml, axis: y, joints: {}}}\n"
    gate = source.read_text()[source.read_text().index("gate:") :]
    path.write_text(head.format(robot_file("planar_2r"), "[joint_1, joint_2]") + gate)
    write(export(planar, lively(planar).layers()), planar, tmp_path / "tiny.onnx", {"recipe_text": source.read_text()})
    q = planar.random_joint_position(rng, 50)
    target = planar.kinematics.tip_position(planar.random_joint_position(rng, 50))
    for own, maker in ([], "first"), (["--gate-only"], "second"):
        monkeypatch.setattr("nnik_ros.training.train.commit", lambda maker=maker: maker)
        assert main([str(path), *words, *own]) == 0
        trained, image = (OnnxPolicy(tmp_path / f"{name}.onnx", planar) for name in ("tiny", "image"))
        np.testing.assert_allclose(image.step(-q, target * AXES), -trained.step(q, target), rtol=0, atol=1e-4)
        assert image.contract.provenance["commit"] == "first"
    capsys.readouterr()
    assert main([str(path), *words, "--model", str(source)]) == 2
    assert f"{source}: 1 problem\n  - cannot be written: is the recipe to mirror" in capsys.readouterr().err


def mirror_recipe(path: Path, *changes: tuple[str, str]) -> Path:
    """The recipe of the left hand, written elsewhere with changes."""
    text = RECIPE.read_text().replace("../robots", str(RECIPE.parents[1] / "robots"))
    text = text.replace("recipe: allegro_right.yaml", f"recipe: {RECIPE.with_name('allegro_right.yaml')}")
    for change in changes:
        assert change[0] in text
        text = text.replace(*change)
    path.write_text(text)
    return path


def test_a_mirrored_network_is_not_mirrored_again_and_the_trained_one_is_named(tmp_path: Path) -> None:
    path = mirror_recipe(tmp_path / "again.yaml", ("robots/allegro_left", "robots/allegro_right"),
                         ("training/allegro_right.yaml", "training/allegro_left.yaml"))  # fmt: skip
    recipe = load_recipe(path)
    with pytest.raises(
        FileError, match=r"'allegro_left' is mirrored itself, name the trained one: .*allegro_right\.yaml"
    ):
        mirrored(recipe, load_robot(recipe.robot))


def test_a_robot_with_other_joints_is_no_mirror_image(tmp_path: Path) -> None:
    path = mirror_recipe(tmp_path / "arm.yaml", ("robots/allegro_left", "robots/planar_2r"),
                         ('["joint_0.0", "joint_4.0", "joint_8.0"]', "[joint_1]"))  # fmt: skip
    recipe = load_recipe(path)
    with pytest.raises(FileError, match="'allegro_right' has another number of joints or tips than 'planar_2r'"):
        mirrored(recipe, load_robot(recipe.robot))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"joint_0.0", ', ""), "differ"),
        (("axis: y", "axis: x"), "differ"),
        (('"joint_0.0"', '"thumb"'), "thumb unknown"),
    ],
)
def test_signs_that_do_not_mirror_the_robot_are_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    recipe = load_recipe(mirror_recipe(tmp_path / "left.yaml", change))
    with pytest.raises(FileError, match=message):
        mirrored(recipe, load_robot(recipe.robot))


def test_a_robot_with_other_joint_limits_is_no_mirror_image() -> None:
    recipe = load_recipe(RECIPE)
    robot = load_robot(recipe.robot)
    upper = robot.upper - 1e-5 * np.eye(16)[5]
    with pytest.raises(FileError, match=r"the joint limits of .* differ by 1e-05 rad"):
        mirrored(recipe, replace(robot, upper=upper))


@pytest.mark.parametrize(
    ("change", "message"),
    [(("seed: 1", "seed: 2"), "differing in: .*seed"), (("name: allegro_right", "name: none"), "no such file")],
)
def test_a_source_of_another_recipe_or_none_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    right = RECIPE.with_name("allegro_right.yaml").read_text().replace("../robots", str(RECIPE.parents[1] / "robots"))
    model = share_dir() / "models" / "allegro_right.onnx"
    (tmp_path / "right.yaml").write_text(
        f"model: {model if 'seed' in change[0] else 'none.onnx'}\n{right}".replace(*change)
    )
    text = RECIPE.read_text().replace("../robots", str(RECIPE.parents[1] / "robots"))
    (tmp_path / "left.yaml").write_text(text.replace("allegro_right.yaml", str(tmp_path / "right.yaml")))
    recipe = load_recipe(tmp_path / "left.yaml")
    with pytest.raises(ContractError, match=message):
        mirrored(recipe, load_robot(recipe.robot))
