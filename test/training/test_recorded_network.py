"""A recipe that names a recording trains a network for the robot that was recorded, as it really is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnik_ros.errors import FileError, InputError
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.alignment import followed
from nnik_ros.training.record_simulation import Measurements, write_bag
from nnik_ros.training.recording import Recording, Report
from nnik_ros.training.seeds.base import load_seed_recipe
from nnik_ros.training.seeds.methods import METHODS
from nnik_ros.training.seeds.recorded import Source, recorded_sets
from nnik_ros.training.train import main

OFFSET = 0.2  # rad, by which the second joint's encoder of the recorded arm is off
LATE, NOISE = 0.03, 1e-4  # s, of the tips' stamps; m
RECIPE = """
schema: 1
name: recorded
system: S1
method: reach
robot: {robot}
model: recorded.onnx
seed: 1
hidden: [32, 32]
training:
  loss: joints
  samples: 3000
  iterations: 800
  batch: 64
  learning_rate: 0.005
  recording:
    bag: {bag}
"""


def closed_form(a: Array, b: Array) -> Array:
    """The tip (n, 1, 3) [m] of two links of 5 m."""
    return 5.0 * np.stack([np.cos(a) + np.cos(a + b), np.sin(a) + np.sin(a + b), 0.0 * a], -1)[:, None]


@pytest.fixture
def recipe(tmp_path: Path, planar: Robot) -> Path:
    """Beside the bag of an arm that bends one way alone, whose tip was measured where it truly was."""
    time = np.arange(0.0, 60.0, 0.02)
    encoder = np.stack([1.5 * np.sin(0.9 * time), 1.5 + 1.0 * np.sin(1.7 * time)], -1)
    tip = closed_form(encoder[:, 0], encoder[:, 1] + OFFSET)
    tip += np.random.default_rng(3).normal(0.0, NOISE, tip.shape)
    write_bag(tmp_path / "bag", planar, Measurements(time, encoder, time + LATE, tip), "mcap")
    path = tmp_path / "recorded.yaml"
    path.write_text(RECIPE.format(robot=robot_file("planar_2r"), bag="bag"))
    return path


def test_a_network_trained_from_a_recording_knows_the_recorded_arm_not_the_described_one(
    recipe: Path, tmp_path: Path, planar: Robot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path.parent)  # the bag is found from the recipe
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr().out
    assert "3000 joint states" in printed and "tip measurements kept" in printed and "late by 30.0" in printed
    policy = OnnxPolicy(tmp_path / "recorded.onnx", planar)
    facts = policy.contract.provenance
    assert facts["recipe_text"] == recipe.read_text() and facts["system"] == "S1"
    rng = np.random.default_rng(4)
    a, b = rng.uniform(-1.2, 1.2, 200), rng.uniform(0.8, 2.2, 200)
    q = policy.step(np.zeros((200, 2)), closed_form(a, b + OFFSET))
    error = np.abs(q - np.stack([a, b], -1))
    assert np.median(error, axis=0).max() < 0.25 * OFFSET
    assert {"training_history.png", "predictions.png"} <= {path.name for path in (tmp_path / "runs/recorded").iterdir()}


def test_a_target_is_labelled_with_the_joints_of_its_time_though_its_stamp_is_late(
    recipe: Path, tmp_path: Path, planar: Robot, rng: np.random.Generator
) -> None:
    source = Source("bag", "simulated", "", "measured_tip_poses")
    (training, _), _ = recorded_sets(source, tmp_path, planar, (500, 10), rng)
    wrong = training.tip_target - closed_form(training.q_goal[:, 0], training.q_goal[:, 1] + OFFSET)
    assert np.median(np.linalg.norm(wrong, axis=-1)) < 4.0 * NOISE  # of 0.4 m with the joints of the stamps


def hand_in_motion(seconds: int, rng: np.random.Generator) -> tuple[Robot, Array, Array, Array]:
    """A hand, times [s], its joints [rad] and its tips [m] with noise."""
    robot = load_robot(robot_file("allegro_right"))
    time, knots = np.arange(0.0, float(seconds), 0.02), np.arange(seconds + 2.0)
    points = robot.random_joint_position(rng, len(knots))
    q = np.stack([np.interp(time, knots, column) for column in points.T], -1)
    return robot, time, q, robot.kinematics.tip_position(q) + rng.normal(0.0, NOISE, (len(q), 4, 3))


def record_exchanged(recipe: Path, folder: Path, robot: Robot, measurements: Measurements) -> None:
    """Let the recipe learn from these of the hand."""
    write_bag(folder / "exchanged", robot, measurements, "mcap")
    text = recipe.read_text().replace("bag: bag", "bag: exchanged")
    recipe.write_text(text.replace(str(robot_file("planar_2r")), str(robot_file("allegro_right"))))


def test_a_recording_with_exchanged_tips_teaches_nothing_and_names_them(
    recipe: Path, tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    robot, time, q, tip = hand_in_motion(20, rng)
    record_exchanged(recipe, tmp_path, robot, Measurements(time, q, time, tip[:, [2, 1, 0, 3]]))
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    assert "measurements of 'index' look like those of 'ring'" in told and not (tmp_path / "recorded.onnx").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("bag: bag", "bag: nowhere"), "metadata.yaml): there is no such folder"),
        (("bag: bag", "bag: bag\n    tips: other"), "topic 'other' is not in the bag"),
        (("bag: bag", "bag: bag\n    driver: nobody"), "driver 'nobody' is unknown"),
        (("bag: bag", "bag: bag\n    rate: 3"), "training.recording.rate: unknown key"),
        (("bag: bag", "topic: bag"), "training.recording.bag: missing"),
        (
            ("samples: 3000", "samples: 3000\n  around_share: 0.5"),
            "training.around_share: is 0.5, must be within [0, 0]",
        ),
    ],
)
def test_a_recording_that_cannot_be_used_is_refused_before_anything_is_trained_or_written(
    recipe: Path, tmp_path: Path, change: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe.write_text(recipe.read_text().replace(*change))
    before = sorted(tmp_path.iterdir())
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and not printed.out
    assert sorted(tmp_path.iterdir()) == before


def test_tips_that_were_computed_from_the_joints_teach_nothing_and_are_refused(
    recipe: Path, tmp_path: Path, planar: Robot, capsys: pytest.CaptureFixture[str]
) -> None:
    time = np.arange(0.0, 60.0, 0.02)
    q = np.stack([1.5 * np.sin(0.9 * time), 1.5 + 1.0 * np.sin(1.7 * time)], -1)
    write_bag(tmp_path / "computed", planar, Measurements(time, q, time, closed_form(q[:, 0], q[:, 1])), "mcap")
    recipe.write_text(recipe.read_text().replace("bag: bag", "bag: computed"))
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    assert "were computed from the joints" in capsys.readouterr().err


def test_an_encoder_that_stands_still_while_its_tip_moves_teaches_nothing_and_is_named(
    recipe: Path, tmp_path: Path, planar: Robot, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    time = np.arange(0.0, 60.0, 0.02)
    q = np.stack([1.5 * np.sin(0.9 * time), 1.5 + 0.4 * np.sin(1.7 * time)], -1)
    tip = closed_form(q[:, 0], q[:, 1]) + rng.normal(0.0, NOISE, (len(q), 1, 3))
    q[:, 1] = 1.5
    write_bag(tmp_path / "still", planar, Measurements(time, q, time, tip), "mcap")
    recipe.write_text(recipe.read_text().replace("bag: bag", "bag: still"))
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    assert "the joints do not tell where the tips are" in told and "these joints never moved: joint_2" in told
    assert "more than 5% of the reach remain for 'tip' " in told
    assert not (tmp_path / "recorded.onnx").exists()


def test_a_stretch_over_which_the_tracker_stood_still_is_left_out_and_told(
    recipe: Path, tmp_path: Path, planar: Robot, rng: np.random.Generator
) -> None:
    time = np.arange(0.0, 60.0, 0.02)
    q = np.stack([1.5 * np.sin(0.9 * time), 1.5 + 1.0 * np.sin(1.7 * time)], -1)
    tip = closed_form(q[:, 0], q[:, 1]) + rng.normal(0.0, NOISE, (len(q), 1, 3))
    tip[1000:1400] = tip[1000]
    write_bag(tmp_path / "stopped", planar, Measurements(time, q, time, tip), "mcap")
    source = Source("stopped", "simulated", "", "measured_tip_poses")
    sets, told = recorded_sets(source, tmp_path, planar, (3000, 500), rng)
    for samples in sets:
        wrong = samples.tip_target - closed_form(samples.q_goal[:, 0], samples.q_goal[:, 1])
        assert np.linalg.norm(wrong, axis=-1).max() < 0.06 * 10.0
    (dropped,) = (line for line in told.splitlines() if "elsewhere than the joints tell" in line)
    assert 300 < int(dropped.split()[1]) <= 400


@pytest.mark.parametrize(("elsewhere", "refused"), [(0.16, False), (0.24, True)])
def test_a_fifth_of_the_measurements_of_a_tip_may_be_elsewhere_however_few_they_are(
    planar: Robot, rng: np.random.Generator, elsewhere: float, refused: bool
) -> None:
    q = planar.random_joint_position(rng, 600)
    tip = closed_form(q[:, 0], q[:, 1])
    tip[: int(elsewhere * 300)] += 2.0  # m
    tip[300:] = np.nan
    recording = Recording(np.arange(600.0), q, 0.0 * q, tip, Report(599.0, 600, 600, 300, 300, {}, False))
    if refused:
        with pytest.raises(InputError, match=r"remain for 'tip' 24% of the measurements; at most 20% of a tip's"):
            followed(recording, planar)
    else:
        assert followed(recording, planar).measured.sum() == 300 - 48


def test_a_clock_that_jumps_on_the_way_teaches_nothing(
    recipe: Path, tmp_path: Path, planar: Robot, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    time = np.arange(0.0, 60.0, 0.02)
    q = np.stack([1.5 * np.sin(0.9 * time), 1.5 + 1.0 * np.sin(1.7 * time)], -1)
    tip = closed_form(q[:, 0], q[:, 1]) + rng.normal(0.0, NOISE, (len(q), 1, 3))
    stamp = time + 0.15 * (time > 40.0)
    write_bag(tmp_path / "jumped", planar, Measurements(time, q, stamp, tip), "mcap")
    recipe.write_text(recipe.read_text().replace("bag: bag", "bag: jumped"))
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    assert "or did an encoder, the tracker or one of the clocks stop or jump?" in capsys.readouterr().err


def test_exchanged_joints_with_parallel_axes_are_not_taken_for_another_geometry(
    recipe: Path, tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    robot, time, q, tip = hand_in_motion(30, rng)
    q[:, [2, 3]] = q[:, [3, 2]]  # of the index finger
    record_exchanged(recipe, tmp_path, robot, Measurements(time, q, time, tip))
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    assert "remain for 'index' " in told and "'middle'" not in told and "are joints exchanged" in told


def test_a_joint_that_hardly_moved_is_told_and_an_arm_that_did_not_move_teaches_nothing(
    recipe: Path, tmp_path: Path, planar: Robot, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Source("moved", "simulated", "", "measured_tip_poses")
    time = np.arange(0.0, 60.0, 0.02)
    for name, first in (("moved", 1.5 * np.sin(0.9 * time)), ("still", 0.01 * np.sin(0.9 * time))):
        q = np.stack([first, np.full_like(time, 1.5)], -1)
        tip = closed_form(q[:, 0], q[:, 1]) + rng.normal(0.0, NOISE, (len(q), 1, 3))
        write_bag(tmp_path / name, planar, Measurements(time, q, time, tip), "mcap")
    assert "these joints hardly moved: joint_2 by 0.0 deg" in recorded_sets(source, tmp_path, planar, (50, 10), rng)[1]
    recipe.write_text(recipe.read_text().replace("bag: bag", "bag: still"))
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    assert "nothing can be learned from the recording" in told
    assert "these joints hardly moved: joint_1 by 1.1 deg, joint_2 by 0.0 deg" in told


def test_other_methods_take_no_recording(recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("method: reach", "method: absolute"))
    with pytest.raises(FileError, match=r"training\.recording: unknown key"):
        load_seed_recipe(recipe, METHODS)
