"""The second way of calibration: a network that learned from a recording how the real tips depart from the described ones."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nnik_ros.errors import InputError
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file, share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training import finetune as command
from nnik_ros.training import record_simulation
from nnik_ros.training.bag import BagData
from nnik_ros.training.correction import tuned
from nnik_ros.training.disturbed import Disturbance, DisturbedRobot, disturbed
from nnik_ros.training.export import write
from nnik_ros.training.finetune import Finetuned, FinetuneOptions, alone_error, check_learned, finetune, misfit
from nnik_ros.training.train import main as train_main

LATE = 0.01  # s
OPTIONS = FinetuneOptions(iterations=1000)


@pytest.fixture(scope="module")
def real(hand: Robot) -> DisturbedRobot:
    return disturbed(hand, Disturbance(math.radians(3.0), 2e-3, math.radians(0.5)), np.random.default_rng(21))


@pytest.fixture(scope="module")
def learned(hand: Robot, real: DisturbedRobot) -> Finetuned:
    return finetune(recorded(real, 3000), hand, OPTIONS)


def recorded(real: DisturbedRobot, n: int) -> BagData:
    """Slow poses; tips of the true geometry with noise, outliers and late stamps."""
    robot, rng = real.nominal, np.random.default_rng(22)
    points = robot.random_joint_position(rng, n // 30 + 3)
    time = np.arange(n) * 0.02

    def encoder(at: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(at / 0.6, np.arange(len(points)), column) for column in points.T], -1)

    tip = real.calibration.apply(robot).tip_position(encoder(time))
    tip = tip + rng.normal(0.0, 1e-4, tip.shape)
    wrong = rng.random(tip.shape[:2]) < 0.02
    tip[wrong] += rng.uniform(-0.05, 0.05, (int(wrong.sum()), 3))
    return BagData(0, time, encoder(time), time + LATE, tip, n, n, {}, False)


@pytest.mark.parametrize("model", ["allegro_right", "seeds/s1_allegro_dense"])
def test_a_fine_tuned_network_brings_the_true_tips_much_closer_and_keeps_its_contract(
    hand: Robot, real: DisturbedRobot, learned: Finetuned, tmp_path: Path, model: str
) -> None:
    policy = OnnxPolicy(model_file(str(share_dir() / "models" / f"{model}.onnx")), hand)
    path = tmp_path / "tuned.onnx"
    write(tuned(policy, learned.correction), hand, path, {"gate": {}})
    true = real.calibration.apply(hand)
    before, after = (
        alone_error(network, true, 300) for network in (policy, OnnxPolicy(path, hand))
    )  # loading runs the probe
    if model == "allegro_right":
        assert np.median(before) > 5e-3
        assert np.median(after) < 3e-4 and np.quantile(after, 0.99) < 3e-3
    else:  # what its own residual of several millimetres leaves to be gained
        assert np.median(after) < 0.8 * np.median(before)


def test_the_correction_is_the_departure_of_the_true_tips(
    hand: Robot, real: DisturbedRobot, learned: Finetuned, rng: np.random.Generator
) -> None:
    q = hand.random_joint_position(rng, 500)
    departure = real.calibration.apply(hand).tip_position(q) - hand.kinematics.tip_position(q)
    rest = np.linalg.norm(learned.correction.numpy(q) - departure, axis=-1)
    assert np.median(rest) < 0.05 * np.median(np.linalg.norm(departure, axis=-1))


def test_a_small_misfit_counts_by_its_square_a_large_one_by_its_length_and_a_missing_one_not() -> None:
    width = 3e-4
    guess = torch.zeros(4, 1, 3)
    guess[:, 0, 0] = torch.tensor([0.5, 1.0, 100.0, 1e6]) * width
    found = misfit(guess, torch.zeros(4, 1, 3), torch.tensor([1.0, 1.0, 1.0, 0.0]).reshape(4, 1, 1)).item()
    assert found == pytest.approx((0.125 + 0.5 + 99.5) / 12)


def test_late_stamps_are_found_out(learned: Finetuned) -> None:
    assert learned.delay == pytest.approx(LATE, abs=5e-4)


def test_held_out_measurements_come_down_to_about_their_noise(learned: Finetuned) -> None:
    before, after = (np.nanmedian(errors, axis=0) for errors in (learned.before, learned.after))
    assert before.min() > 2e-3 and after.max() < 4e-4


def test_the_same_recording_and_seed_give_the_same_numbers(hand: Robot, real: DisturbedRobot, tmp_path: Path) -> None:
    policy = OnnxPolicy(model_file("allegro_right"), hand)
    found = []
    for i in range(2):
        correction = finetune(recorded(real, 1500), hand, FinetuneOptions(iterations=20)).correction
        write(tuned(policy, correction), hand, tmp_path / f"{i}.onnx", {})
        found.append((tmp_path / f"{i}.onnx").read_bytes())
    assert found[0] == found[1] != policy.path.read_bytes()


def test_a_recording_with_too_little_is_refused(hand: Robot, real: DisturbedRobot) -> None:
    with pytest.raises(
        InputError, match=r"too few usable tip measurements, at least 1250 of each tip are needed: index"
    ):
        finetune(recorded(real, 900), hand, OPTIONS)


@pytest.mark.filterwarnings("error")
def test_a_tip_that_was_seen_for_a_moment_alone_is_named_before_anything_is_learned(
    hand: Robot, real: DisturbedRobot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_learned", lambda *_: pytest.fail("it was learned from"))
    bag = recorded(real, 7000)
    tip = bag.tip_position.copy()
    tip[1300:, 2] = np.nan
    bag = replace(bag, joint_stamp=0.1 * bag.joint_stamp, tip_stamp=0.1 * bag.tip_stamp, tip_position=tip)
    with pytest.raises(InputError, match="seen for too short a time: 'ring'; of each tip"):
        finetune(bag, hand, OPTIONS)


def spoiled(bag: BagData, robot: Robot, how: str) -> BagData:
    q, tip = bag.joint_position.copy(), bag.tip_position.copy()
    if how == "degrees":
        q = np.degrees(q)
    elif how == "millimetres":
        tip *= 1e3
    elif how == "absurd joints":
        q[:] = 1e300
    elif how == "absurd tips":
        tip[:] = 1e300
    elif how == "frozen":
        q[:] = robot.home
    elif how == "one frozen":
        q[:, 5] = robot.home[5]
    elif how == "exchanged":
        tip = tip[:, [1, 0, 2, 3]]
    elif how == "computed":
        tip = robot.kinematics.tip_position(q)
    return replace(bag, joint_position=q, tip_position=tip)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("degrees", "are angles in degrees"),
        ("millimetres", "too few usable tip measurements.*: index 0"),
        ("absurd joints", "none of 3000 joint states can be one of 'allegro_right'"),
        ("absurd tips", "farther away than the finger is long"),
        ("frozen", "hardly moved: joint_0.0 by 0.0 deg.*joint_15.0 by 0.0 deg"),
        ("one frozen", "hardly moved: joint_5.0 by 0.0 deg; move"),
        ("exchanged", "measurements of 'index' look like those of 'middle'"),
        ("computed", "computed from the joints"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_recording_that_cannot_be_of_the_robot_is_refused_before_anything_is_learned(
    hand: Robot, real: DisturbedRobot, how: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_learned", lambda *_: pytest.fail("it was learned from"))
    late = 0.0 if how == "computed" else LATE
    bag = replace(recorded(real, 3000), tip_stamp=np.arange(3000) * 0.02 + late)
    with pytest.raises(InputError, match=rf"(?s){message}"):
        finetune(spoiled(bag, hand, how), hand, OPTIONS)


def test_a_recording_of_the_other_hand_is_refused_with_the_tips_that_tell_it(real: DisturbedRobot) -> None:
    with pytest.raises(
        InputError, match=r"'index' by \d+ mm.*'thumb'.*is the recording of another robot or of the other"
    ):
        finetune(recorded(real, 3000), load_robot(robot_file("allegro_left")), OPTIONS)


@pytest.mark.filterwarnings("ignore:All-NaN")
def test_a_correction_that_explains_nothing_is_refused_and_a_good_one_is_not(hand: Robot, learned: Finetuned) -> None:
    check_learned(learned, hand)
    for after in (learned.before * 0.9, learned.before * np.nan):
        with pytest.raises(InputError, match=r"does not explain the recording.*index .* of 6.\d\d mm"):
            check_learned(learned._replace(after=np.where(np.arange(4) == 0, after, learned.after)), hand)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a spatial arm, with the truth beside it."""
    path = tmp_path_factory.mktemp("recorded") / "bag"
    assert record_simulation.main(["--robot", "spatial_2j", "--output", str(path), "--duration", "25"]) == 0
    return path


@pytest.fixture(scope="module")
def tuned_file(bag: Path) -> Path:
    path = bag.parent / "tuned.onnx"
    words = ["--robot", "spatial_2j", "--model", "spatial_2j", "--iterations", "600"]
    assert command.main([str(bag), *words, "--output", str(path)]) == 0
    return path


@pytest.mark.parametrize(
    ("option", "given", "message"),
    [
        ("--truth", "no.yaml", "no.yaml: 1 problem\n  - cannot be read: No such file"),
        ("--truth", "broken.yaml", "broken.yaml: 1 problem\n  - must be a mapping"),
        ("--calibration", "no.yaml", "no.yaml: 1 problem\n  - cannot be read: No such file"),
        ("--model", "tuned.onnx", "tuned already, take the network that it was made from: 'spatial_2j'"),
        ("--output", "", "cannot be written: is a folder"),
        ("--output", "no/new.onnx", "cannot be written: there is no folder"),
        ("--robot", "nobody", "robot 'nobody' is unknown; shipped: "),
    ],
)
def test_a_mistyped_truth_is_refused_before_anything_is_trained_or_written(
    bag: Path, tuned_file: Path, tmp_path: Path, option: str, given: str, message: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(command, "finetune", lambda *_: pytest.fail("it was trained"))
    (tmp_path / "tuned.onnx").write_bytes(tuned_file.read_bytes())
    (tmp_path / "old.onnx").write_text("kept")
    (tmp_path / "broken.yaml").write_text("- 1")
    words = {"--robot": "spatial_2j", "--model": "spatial_2j", "--output": str(tmp_path / "old.onnx")}
    words = {**words, "--truth": f"{bag}.truth.yaml", option: given if option == "--robot" else str(tmp_path / given)}
    before = sorted(tmp_path.iterdir())
    assert command.main([str(bag), *(word for pair in words.items() for word in pair)]) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "old.onnx").read_text() == "kept"


def test_the_network_that_is_tuned_is_not_overwritten(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "finetune", lambda *_: pytest.fail("it was trained"))
    network, before = tmp_path / "own.onnx", model_file("spatial_2j").read_bytes()
    network.write_bytes(before)
    words = ["--robot", "spatial_2j", "--model", str(network), "--output", str(network)]
    assert command.main([str(bag), *words]) == 2
    assert (
        f"{network}: 1 problem\n  - cannot be written: is the network, which would be lost" in capsys.readouterr().err
    )
    assert network.read_bytes() == before


@pytest.mark.parametrize(
    ("option", "given", "allowed"),
    [
        ("--iterations", "0", "a whole number not below 1"),
        ("--iterations", "-5", "a whole number not below 1"),
        ("--seed", "-1", "a whole number within [0, 2147483647]"),
        ("--calibration", "a.yaml", "needs --truth"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(
    tmp_path: Path, option: str, given: str, allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bag", "--robot", "spatial_2j", "--model", "spatial_2j", "--output", str(tmp_path / "new.onnx")]
    with pytest.raises(SystemExit) as stopped:
        command.main([*words, option, given])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert f"argument {option}: is '{given}'" in message and allowed in message and not list(tmp_path.iterdir())


def test_what_explains_nothing_is_told_and_not_written(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--robot", "spatial_2j", "--model", "spatial_2j", "--output", str(tmp_path / "new.onnx")]
    assert command.main([str(bag), *words, "--iterations", "1"]) == 2
    assert "does not explain the recording" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_the_command_writes_a_network_of_the_recorded_robot_and_compares_it_with_the_truth(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tuned.onnx"
    words = [str(bag), "--robot", "spatial_2j", "--model", "spatial_2j", "--output", str(file), "--iterations", "600"]
    assert command.main([*words, "--truth", f"{bag}.truth.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    medians = {line.split("  ")[0]: float(line.split()[-3]) for line in lines if line.startswith(("as desc", "fine-t"))}
    assert medians["fine-tuned"] < 0.2 * medians["as described"]
    facts = OnnxPolicy(file, load_robot(robot_file("spatial_2j"))).contract.provenance
    assert facts["fine_tuned_on"] == "bag" and facts["recipe"] == "spatial_2j"
    assert "metrics" not in facts and "gate" not in facts, "measured of another network"
    (before, after), *_ = facts["held_out_medians"].values()
    assert after < 0.5 * before
    recipe = share_dir() / "config" / "training" / "spatial_2j.yaml"
    assert train_main([str(recipe), "--gate-only", "--model", str(file), "--targets", "20"]) == 2
    assert "was fine-tuned from spatial_2j, which would be lost" in capsys.readouterr().err
    assert command.main([*words[:-2], "--model", "allegro_right"]) == 2
