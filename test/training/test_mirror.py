from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.errors import ContractError, FileError
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file, share_dir
from nnik_ros.robot import load_robot
from nnik_ros.training.mirror import mirrored
from nnik_ros.training.recipe import load_recipe

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
    upper = robot.upper - 0.01 * np.eye(16)[5]
    with pytest.raises(FileError, match=r"the joint limits of .* differ by 0\.01 rad"):
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
