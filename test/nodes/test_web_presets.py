"""The page's buttons: poses of the robot that they lie beside, and of no other one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.collision import CollisionModel
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import FileError
from nnik_ros.nodes.web_presets import load_presets, presets_file
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file, share_dir, shipped
from nnik_ros.robot import load_robot
from nnik_ros.states import Measurement, Targets, TipState

CONFIG = share_dir() / "config"
GRIPPER = share_dir() / "examples" / "three_fingers" / "three_fingers.yaml"
FIRST_ROW = "presets[0].joint_positions[0]"
NUMBERS = f"{FIRST_ROW}: must be 16 finite numbers [rad], in the robot's joint order"
POSE = [0.0] * 12 + [0.5] + [0.0] * 3
HEAD = "schema: 1\npresets:\n"


def row(name: str, position: object = POSE) -> str:
    return f"  - {{name: {name}, joint_positions: [{position}]}}\n"


@pytest.fixture
def own_hand(tmp_path: Path) -> Path:
    """A copy of a shipped robot outside the package, under the same name."""
    for folder, pattern in ((CONFIG / "robots", "allegro_right.yaml"), (share_dir() / "urdf", "allegro_right.urdf")):
        target = tmp_path / folder.relative_to(share_dir())
        target.mkdir(parents=True)
        shutil.copy(folder / pattern, target)
    return tmp_path / "config" / "robots" / "allegro_right.yaml"


def with_presets(robot: Path, text: str) -> Path:
    (robot.parent / "presets").mkdir()
    (robot.parent / "presets" / robot.name).write_text(text)
    return robot


@pytest.mark.parametrize("name", shipped(CONFIG / "robots", ".yaml"))
def test_every_shipped_robot_has_presets_however_its_file_is_named(name: str, tmp_path: Path) -> None:
    path = robot_file(name)
    assert presets_file(path) == CONFIG / "presets" / f"{name}.yaml"
    assert load_presets(path, load_robot(path))
    (tmp_path / f"{name}.yaml").symlink_to(path)  # as an installation with --symlink-install has it
    assert presets_file(tmp_path / f"{name}.yaml") == CONFIG / "presets" / f"{name}.yaml"


@pytest.mark.parametrize("name", [name for name in shipped(CONFIG / "robots", ".yaml") if name.startswith("allegro")])
def test_every_hand_goes_through_its_poses_and_each_finger_has_a_pinch_that_leaves_a_gap_of_millimetres(
    name: str,
) -> None:
    robot = load_robot(robot_file(name))
    collision = CollisionModel(robot)
    presets = {preset.name: preset for preset in load_presets(robot_file(name), robot)}
    controller = Controller(
        robot, OnnxPolicy(model_file(name), robot), ControllerOptions(target_timeout=0.0), collision
    )
    controller.start()
    q, begin = robot.home, 0
    for preset in presets.values():
        for place in preset.tip_position:
            for tick in range(begin, begin + 500):
                now = tick / 333.0
                result = controller.tick(now, Measurement(q, now), Targets(place, np.full(robot.nt, now)))
                q = result.command
            begin += 500
            assert (result.tip_state == TipState.REACHED).all(), f"{preset.name}: {result.messages(robot.tip_names)}"
        if preset.name.startswith("pinch"):
            pad = robot.tip_names.index("thumb"), robot.tip_names.index(preset.name.split()[1])
            assert np.linalg.norm(np.subtract(*result.tip_position[list(pad)])) < 0.031
            assert 0.002 < collision.distances(q).min() < 0.005
    assert {f"pinch {finger}" for finger in ("index", "middle", "ring")} < presets.keys()


def test_no_shipped_file_with_presets_is_without_its_robot() -> None:
    assert set(shipped(CONFIG / "presets", ".yaml")) <= set(shipped(CONFIG / "robots", ".yaml"))


def test_ones_own_robot_with_the_name_of_a_shipped_one_has_none_of_its_presets(own_hand: Path) -> None:
    robot = load_robot(own_hand)
    assert robot.name == "allegro_right"
    assert load_presets(own_hand, robot) == ()
    with_presets(own_hand, HEAD + row("flat"))
    assert [preset.name for preset in load_presets(own_hand, robot)] == ["flat"]


def test_the_example_has_presets_beside_its_file() -> None:
    robot = load_robot(GRIPPER)
    opened, grasp = load_presets(GRIPPER, robot)
    assert (opened.name, opened.seconds, grasp.name, grasp.seconds) == ("open", 1.0, "grasp", 0.8)
    distances = [np.linalg.norm(np.diff(tips[[0, 1]], axis=0)) for tips in grasp.tip_position]
    assert distances[1] < 0.5 * distances[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (row("flat") + row("fist") + row("flat"), "presets: 'flat' is given twice"),
        (row("flat", [10**400, *POSE[1:]]), NUMBERS),
        (row("flat", "0.0"), NUMBERS),
        (row("flat", [9.0, *POSE[1:]]), f"{FIRST_ROW}: joint_0.0 is 9, must be within [-0.47, 0.47] rad"),
    ],
)  # fmt: skip
def test_presets_that_cannot_be_used_are_refused(text: str, problem: str, own_hand: Path) -> None:
    robot = load_robot(own_hand)
    with pytest.raises(FileError) as error:
        load_presets(with_presets(own_hand, HEAD + text), robot)
    assert error.value.problems == (problem,)
