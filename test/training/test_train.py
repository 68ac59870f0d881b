from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nnik_ros.errors import FileError
from nnik_ros.evaluate import FINE_TUNED_FROM
from nnik_ros.evaluate import main as evaluate_main
from nnik_ros.gate import Gate
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import OnnxPolicy, read_contract
from nnik_ros.paths import robot_file, share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.export import export, read_layers, write
from nnik_ros.training.loop import Training, away, unrolled_loss
from nnik_ros.training.network import StepNetwork
from nnik_ros.training.recipe import Mirror, TrainingOptions, default_model, load_recipe
from nnik_ros.training.samples import Samples, no_samples, sample
from nnik_ros.training.source import commit as commit_of_source
from nnik_ros.training.train import main

Write = Callable[..., Path]
PARTS = {"training": TrainingOptions, "mirror": Mirror, "gate": Gate}
RECIPES = sorted((share_dir() / "config" / "training").glob("*.yaml"))


def test_one_command_trains_exports_and_evaluates(
    tiny_recipe: Write,
    planar: Robot,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nnik_ros.training.train.commit", lambda: "0123456789ab")
    path = tiny_recipe()
    assert main([str(path), "--runs", str(tmp_path / "runs"), "--targets", "200"]) == 0
    policy = OnnxPolicy(tmp_path / "tiny.onnx", planar)
    facts = policy.contract.provenance
    assert facts["recipe_text"] == path.read_text() and facts["seed"] == 3 and facts["metrics"]["robots_fine_10"] > 0.1
    assert facts["commit"] == "0123456789ab"
    assert {p.name for p in (tmp_path / "runs" / "tiny").iterdir()} == {
        "recipe.yaml", "evaluation.txt", "metrics.json", "weights.npz", "curve.png", "checkpoint.pt"
    }  # fmt: skip
    assert json.loads((tmp_path / "runs" / "tiny" / "metrics.json").read_text())["progress"]
    capsys.readouterr()
    assert evaluate_main([str(tmp_path / "tiny.onnx"), "--targets", "200"]) == 0
    assert "robots_fine_10" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["weights.npz", "recipe.yaml", "evaluation.txt", "metrics.json", "curve.png"])
def test_a_result_that_a_full_disk_does_not_take_is_no_missed_gate(
    tiny_recipe: Write, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs" / "tiny"
    folder.mkdir(parents=True)
    (folder / name).symlink_to("/dev/full")
    assert main([str(tiny_recipe()), "--runs", str(tmp_path / "runs"), "--targets", "50"]) == 2
    assert f"{folder}: 1 problem\n  - cannot be written: No space left" in capsys.readouterr().err


def test_a_missed_gate_is_the_exit_code_of_training_and_evaluation(tiny_recipe: Write, tmp_path: Path) -> None:
    path = tiny_recipe(median=0.0001)
    assert main([str(path), "--runs", str(tmp_path / "runs"), "--targets", "200"]) == 1
    assert evaluate_main([str(tmp_path / "tiny.onnx"), "--targets", "200"]) == 1


def test_a_new_gate_leaves_the_weights_as_they_were_and_is_refused_for_another_recipe(
    tiny_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, model = tiny_recipe(), tmp_path / "tiny.onnx"
    command = [str(path), "--runs", str(tmp_path / "runs"), "--targets", "200"]
    assert main(command) == 0
    before, facts = read_layers(model), read_contract(model).provenance
    tiny_recipe(median=0.0001)
    assert main([*command, "--gate-only"]) == 1
    after, new_facts = read_layers(model), read_contract(model).provenance
    assert all(np.array_equal(a, b) for a, b in zip(before.weights, after.weights, strict=True))
    assert new_facts["gate"]["median_1"] == 0.0001 and new_facts["training_seconds"] == facts["training_seconds"]
    path.write_text(path.read_text().replace("seed: 3", "seed: 4"))
    assert main([*command, "--gate-only"]) == 2
    assert "differing in: seed" in capsys.readouterr().err


def test_weights_are_not_kept_for_a_robot_that_changed_since(
    tiny_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, text = tiny_recipe(), robot_file("planar_2r").read_text()
    urdf = robot_file("planar_2r").parent / "../../urdf/planar_2r.urdf"
    (tmp_path / "arm.urdf").write_text(urdf.read_text())
    robot = tmp_path / "planar_2r.yaml"
    robot.write_text(text.replace("../../urdf/planar_2r.urdf", "arm.urdf"))
    path.write_text(re.sub("robot: .*", f"robot: {robot}", path.read_text()))
    command = [str(path), "--runs", str(tmp_path / "runs"), "--targets", "200"]
    assert main(command) == 0
    (tmp_path / "arm.urdf").write_text(urdf.read_text().replace('xyz="5 0 0"', 'xyz="5.1 0 0"'))
    assert main([*command, "--gate-only"]) == 2
    assert "kinematics_digest" in capsys.readouterr().err


def test_weights_of_a_model_that_tells_no_recipe_are_not_kept(
    tiny_recipe: Write, planar: Robot, lively: Callable[[Robot], StepNetwork], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write(export(planar, lively(planar).layers()), planar, tmp_path / "tiny.onnx", {})
    assert main([str(tiny_recipe()), "--runs", str(tmp_path / "runs"), "--gate-only"]) == 2
    told = capsys.readouterr().err
    assert (
        "was made by another recipe than" in told and "differing in: model, name, network, robot, schema, seed" in told
    )


@pytest.mark.parametrize("run", [main, evaluate_main])
@pytest.mark.parametrize("number", ["4", "-20", "many", "999999999999"])
def test_too_few_or_too_many_targets_are_refused_before_anything_is_trained(
    tiny_recipe: Write, run: Callable[..., int], number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run([str(tiny_recipe()), "--targets", number])
    assert stopped.value.code == 2
    assert f"is '{number}', must be a whole number within [5, 1000000]" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--model", "--runs"])
@pytest.mark.parametrize("words", [[], ["--gate-only"]])
def test_what_cannot_be_written_is_refused_before_anything_is_trained_or_written(
    tiny_recipe: Write, tmp_path: Path, option: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    before = sorted(tmp_path.rglob("*"))
    place = str(tmp_path / "file" / "tiny.onnx")
    command = [str(tiny_recipe()), "--runs", str(tmp_path / "runs"), option, place, "--targets", "50", *words]
    assert main(command) == 2
    printed = capsys.readouterr()
    assert f"cannot be written: there is no folder {tmp_path / 'file'}" in printed.err and not printed.out
    assert sorted({*tmp_path.rglob("*")} - {tmp_path / "tiny.yaml"}) == before


def test_a_model_that_is_a_folder_is_refused_and_one_in_a_new_folder_is_written(
    tiny_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(tiny_recipe()), "--runs", str(tmp_path / "runs"), "--targets", "50", "--model"]
    assert main([*command, str(tmp_path)]) == 2
    assert f"{tmp_path}: 1 problem\n  - cannot be written: is a folder" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "a" / "b" / "new.onnx")]) == 0


@pytest.mark.parametrize("what", ["recipe", "robot file", "robot's URDF"])
def test_a_model_in_place_of_what_it_is_made_from_is_refused_before_anything_is_trained(
    tiny_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    robot, urdf, recipe = tmp_path / "arm.yaml", tmp_path / "arm.urdf", tiny_recipe()
    urdf.write_text((share_dir() / "urdf" / "planar_2r.urdf").read_text())
    robot.write_text(robot_file("planar_2r").read_text().replace("../../urdf/planar_2r.urdf", "arm.urdf"))
    path = {"recipe": recipe, "robot file": robot, "robot's URDF": urdf}[what]
    text = recipe.read_text().replace(str(robot_file("planar_2r")), "arm.yaml")
    recipe.write_text(text.replace("model: tiny.onnx", f"model: {path.name}"))
    before = {file: file.read_bytes() for file in (robot, urdf, recipe)}
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr()
    assert f"{path}: 1 problem\n  - cannot be written: is the {what}, which would be lost" in told.err and not told.out
    assert {file: file.read_bytes() for file in before} == before and not (tmp_path / "runs").exists()


def test_a_file_that_cannot_be_written_after_all_is_an_error_of_the_package(
    planar: Robot, lively: Callable[[Robot], StepNetwork], tmp_path: Path
) -> None:
    with pytest.raises(FileError, match=r"cannot be written: Is a directory"):
        write(export(planar, lively(planar).layers()), planar, tmp_path, {})


@pytest.mark.parametrize("folder", ["../../x", "a/b", "/x", "..", ".", " ", "a\\b", ".git", "a\nb", "x."])
def test_a_name_that_is_no_name_of_a_folder_is_refused(tiny_recipe: Write, folder: str) -> None:
    path = tiny_recipe()
    path.write_text(path.read_text().replace("name: tiny", f"name: {json.dumps(folder)}"))
    with pytest.raises(FileError, match=r"name: is .*, must be the name of a folder: letters, digits"):
        load_recipe(path)


def test_without_git_a_model_tells_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of_source() == ""


def test_the_commit_is_that_of_the_source_and_marked_when_what_decides_was_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=name", "-c", "user.email=name@example.org"]
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    (tmp_path / "urdf").mkdir()
    for name in ("urdf/arm.urdf", "README.md"):
        (tmp_path / name).write_text("first")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr("nnik_ros.training.source.share_dir", lambda: tmp_path)
    head = git("rev-parse", "HEAD")[:12]
    (tmp_path / "README.md").write_text("second")
    assert commit_of_source() == head
    (tmp_path / "urdf" / "arm.urdf").write_text("second")
    assert commit_of_source() == f"{head} with changes"


def test_a_model_without_a_gate_is_refused_with_the_missing_keys(
    planar: Robot, lively: Callable[[Robot], StepNetwork], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(export(planar, lively(planar).layers()), planar, tmp_path / "bare.onnx", {"gate": {"coarse": 0.1}})
    assert evaluate_main([str(tmp_path / "bare.onnx"), "--targets", "50"]) == 2
    assert "provenance.gate.fine: missing" in capsys.readouterr().err


def test_a_shipped_model_and_robot_are_evaluated_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate_main(["spatial_2j", "--robot", "spatial_2j", "--targets", "50"])
    assert "spatial_2j.onnx: robot spatial_2j, recipe spatial_2j, 50 targets" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "model 'nosuch' is unknown; shipped: allegro_left, "),
        (["no/such.onnx"], "model 'no/such.onnx': there is no such file"),
        (["./"], "model './': is a folder"),
        (["spatial_2j", "--robot", "nosuch"], "robot 'nosuch' is unknown; shipped: allegro_left, "),
        (["planar_2r", "nosuch"], "model 'nosuch' is unknown"),
    ],
)
def test_an_unknown_name_is_refused_before_anything_is_evaluated(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate_main([*words, "--targets", "5"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(message) and not printed.out


def test_a_fine_tuned_network_has_no_gate_and_is_told_as_such(
    planar: Robot, lively: Callable[[Robot], StepNetwork], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tuned.onnx"
    write(export(planar, lively(planar).layers()), planar, path, {FINE_TUNED_FROM: "planar_2r"})
    assert evaluate_main([str(path), "--targets", "50"]) == 2
    problem = "has no gate to be held against: it was fine-tuned from 'planar_2r'"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[1].startswith(f"  - {problem}")


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tiny_recipe: Write, planar: Robot) -> None:
    def weights(path: Path) -> list[float]:
        training = Training(load_recipe(path), planar)
        list(training.run())
        return [float(x) for w in training.network.layers().weights for x in w.ravel()]

    path = tiny_recipe()
    first = weights(path)
    assert first == weights(path)
    path.write_text(path.read_text().replace("seed: 3", "seed: 4"))
    assert first != weights(path)


def test_training_lowers_the_loss(tiny_recipe: Write, planar: Robot, rng: np.random.Generator) -> None:
    path = tiny_recipe()
    recipe = load_recipe(path)
    assert recipe.training is not None
    training = Training(replace(recipe, training=replace(recipe.training, iterations=150)), planar)
    list(training.run())
    fresh = StepNetwork(planar, recipe.hidden, torch.Generator().manual_seed(recipe.seed))
    q, target, *_ = sample(planar, replace(recipe.training, batch=500), rng, no_samples(planar))
    batch = torch.from_numpy(q.astype(np.float32)), torch.from_numpy(target.astype(np.float32))
    losses = [
        float(unrolled_loss(network, planar, recipe.training, *batch)[0].detach())
        for network in (fresh, training.network)
    ]
    assert losses[1] < losses[0] - 0.05


HARD = Samples(
    np.full((1, 2), 9.0), np.full((1, 1, 3), 9.0), np.full((1, 2), 8.0), np.ones(1, bool), np.ones((1, 1), bool)
)
"""What is drawn again: a sample of the planar arm whose numbers no other sample has."""


def test_shares_of_the_samples_are_those_of_the_recipe(
    tiny_recipe: Write, planar: Robot, rng: np.random.Generator
) -> None:
    path = tiny_recipe()
    shares = "near_share: 0.5\n  beyond_share: 0.3\n  hard_share: 0.25"
    path.write_text(path.read_text().replace("batch: 64", f"batch: 20000\n  {shares}"))
    options = load_recipe(path).training
    assert options is not None
    q, target, goal, reachable, missed = sample(planar, options, rng, HARD)
    drawn = (q == 9.0).all(1)
    assert drawn.mean() == pytest.approx(0.25, abs=0.02)
    assert (~reachable).mean() == pytest.approx(0.3 * 0.75, abs=0.02)
    distance = np.linalg.norm(planar.kinematics.tip_position(q) - target, axis=-1)[:, 0]
    assert (distance[reachable & ~drawn] < 0.5).mean() > 0.2
    assert np.abs(q[~drawn]).max() <= np.pi
    np.testing.assert_array_equal(missed[:, 0], drawn)
    np.testing.assert_array_equal((goal == 8.0).all(1), drawn)
    made = planar.kinematics.tip_position(goal)
    np.testing.assert_allclose(made[reachable & ~drawn], target[reachable & ~drawn])


def test_where_goals_are_shown_half_of_what_is_drawn_again_begins_elsewhere(
    tiny_recipe: Write, planar: Robot, rng: np.random.Generator
) -> None:
    options = options_of(tiny_recipe(), batch=20_000, hard_share=0.5, shown=1.0)
    q, target, goal, *_ = sample(planar, options, rng, HARD)
    again = (target == 9.0).all((1, 2))
    assert again.mean() == pytest.approx(0.5, abs=0.02)
    assert (q[again] == 9.0).all(1).mean() == pytest.approx(0.5, abs=0.02)
    assert (goal[again] == 8.0).all() and not (q[~again] == 9.0).any()


def test_how_far_a_tip_is_from_a_goal_is_the_root_mean_square_of_its_own_joints_in_ranges(
    rng: np.random.Generator,
) -> None:
    hand = load_robot(robot_file("allegro_right"))
    q, goal = (hand.random_joint_position(rng, 5) for _ in range(2))
    found = away(hand, *(torch.from_numpy(x.astype(np.float32)) for x in (q, goal))).numpy()
    ranges = ((q - goal) / (hand.upper - hand.lower)).reshape(5, 4, 4)
    np.testing.assert_allclose(found, np.sqrt((ranges**2).mean(-1) + 1e-4), rtol=1e-4)


@pytest.mark.parametrize("shown", [0.0, 5.0])
def test_the_goals_of_missed_targets_alone_are_shown_to_the_first_step(
    tiny_recipe: Write, planar: Robot, shown: float
) -> None:
    recipe = load_recipe(tiny_recipe())
    assert recipe.training is not None
    options = replace(recipe.training, iterations=20, beyond_share=0.3, steps=1, shown=shown)
    training = Training(replace(recipe, training=options), planar)
    training.iteration = 1
    loss, error = training._iterate()
    fresh = StepNetwork(planar, recipe.hidden, torch.Generator().manual_seed(recipe.seed))
    batch = sample(planar, options, np.random.default_rng(recipe.seed), no_samples(planar))
    q, target, goal = (torch.from_numpy(part.astype(np.float32)) for part in batch[:3])
    with torch.no_grad():
        plain = unrolled_loss(fresh, planar, options, q, target)[0].item()
        way = away(planar, fresh(q, target)[0], goal).numpy()
    missed = batch.reachable & (error[:, 0] > 1e-3 * planar.kinematics.reach[0])
    assert 0 < missed.sum() < batch.reachable.sum(), "some are missed, and some are not"
    assert loss == pytest.approx(plain + shown * (way[:, 0] * missed).mean(), rel=1e-4)
    kept = training.state()["hard"]
    np.testing.assert_array_equal(kept[4][:, 0], np.isin(kept[1][:, 0, 0], batch.target[missed, 0, 0]))


def test_goals_are_shown_from_a_twentieth_of_the_training_on(tiny_recipe: Write, planar: Robot) -> None:
    recipe = load_recipe(tiny_recipe())
    assert recipe.training is not None
    losses = []
    for shown in (0.0, 5.0):
        options = replace(recipe.training, iterations=40, hard_share=0.0, steps=1, shown=shown)
        training = Training(replace(recipe, training=options), planar)
        losses.append([training._iterate()[0] for _ in range(3)])
    assert losses[0][:2] == losses[1][:2] and losses[0][2] < losses[1][2]


def options_of(path: Path, **changes: float) -> TrainingOptions:
    options = load_recipe(path).training
    assert options is not None
    return replace(options, **changes)


def test_near_starts_lie_on_the_way_to_the_goal_as_often_close_as_far(tiny_recipe: Write, planar: Robot) -> None:
    options = options_of(tiny_recipe(), batch=20_000, near_share=1.0, beyond_share=0.0)
    q, target, *_ = sample(planar, options, np.random.default_rng(5), no_samples(planar))
    rng = np.random.default_rng(5)
    goal, anywhere = (planar.random_joint_position(rng, options.batch) for _ in range(2))
    np.testing.assert_allclose(planar.kinematics.tip_position(goal), target)
    share = (q - goal) / (anywhere - goal)
    np.testing.assert_allclose(share[:, 0], share[:, 1], rtol=1e-6)
    size = np.log10(share[:, 0])
    assert size.min() >= -2.5 - 1e-6 and size.max() <= 1e-6
    assert size.mean() == pytest.approx(-1.25, abs=0.02) and size.std() == pytest.approx(2.5 / 12**0.5, abs=0.02)


def test_the_pull_towards_home_is_the_mean_square_of_the_last_joints_from_home_in_ranges(
    tiny_recipe: Write, planar: Robot, rng: np.random.Generator
) -> None:
    network = StepNetwork(planar, (8,), torch.Generator().manual_seed(0))
    q, target = (torch.from_numpy(planar.random_joint_position(rng, 20).astype(np.float32)) for _ in range(2))
    target = network.tip_position(target)
    with torch.no_grad():
        free, pulled = (
            unrolled_loss(network, planar, options_of(tiny_recipe(), steps=1, posture=weight), q, target)[0].item()
            for weight in (0.0, 7.0)
        )
        last = network(q, target)[0].numpy()
    departure = (last - planar.home) / (planar.upper - planar.lower)
    assert pulled - free == pytest.approx(7.0 * (departure**2).mean(), rel=1e-4)


def test_what_went_worst_of_a_batch_is_kept_to_be_drawn_again(tiny_recipe: Write, planar: Robot) -> None:
    path = tiny_recipe()
    training = Training(load_recipe(path), planar)
    list(training.run(1))
    kept = [part.numpy() for part in training.state()["hard"]]
    recipe, options = load_recipe(path), options_of(path)
    q, target, _, reachable, _ = sample(planar, options, np.random.default_rng(recipe.seed), no_samples(planar))
    fresh = StepNetwork(planar, recipe.hidden, torch.Generator().manual_seed(recipe.seed))
    error = unrolled_loss(fresh, planar, options, *(torch.from_numpy(x.astype(np.float32)) for x in (q, target)))[1]
    worst = np.argsort(np.where(reachable, error[:, 0].numpy(), -1.0))[-8:]
    assert len(kept[0]) == 8
    np.testing.assert_array_equal(np.unique(kept[0], axis=0), np.unique(q[worst], axis=0))
    np.testing.assert_array_equal(np.unique(kept[1], axis=0), np.unique(target[worst], axis=0))


@pytest.mark.parametrize("beyond", [0.95, 1.0])
def test_a_target_that_was_displaced_is_never_kept_to_be_drawn_again(
    tiny_recipe: Write, planar: Robot, beyond: float
) -> None:
    path = tiny_recipe()
    path.write_text(path.read_text().replace("batch: 64", f"batch: 64\n  beyond_share: {beyond}"))
    recipe = load_recipe(path)
    training = Training(recipe, planar)
    list(training.run(1))
    options, rng = options_of(path, beyond_share=beyond), np.random.default_rng(recipe.seed)
    _, target, _, reachable, _ = sample(planar, options, rng, no_samples(planar))
    assert reachable.sum() < 8
    kept = training.state()["hard"][1].numpy()
    np.testing.assert_array_equal(np.unique(kept, axis=0), np.unique(target[reachable], axis=0))


def test_the_learning_rate_rises_over_100_iterations_and_falls_to_zero_along_a_cosine(
    tiny_recipe: Write, planar: Robot
) -> None:
    training = Training(load_recipe(tiny_recipe()), planar)
    for done, share in ((1, 0.01), (21, 0.21 * 0.5), (40, 0.4 * 0.5 * (1.0 - np.cos(np.pi / 40)))):
        list(training.run(done))
        rate = training.state()["optimizer"]["param_groups"][0]["lr"]
        assert rate == pytest.approx(0.003 * share, rel=1e-9), done


@pytest.mark.parametrize("what", ["loss", "gradient of the loss"])
def test_a_training_ends_at_the_first_loss_that_is_no_number_and_keeps_the_checkpoint(
    tiny_recipe: Write, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(tiny_recipe()), "--runs", str(tmp_path / "runs"), "--targets", "50"]
    assert main([*command, "--stop-after", "5"]) == 0
    checkpoint = tmp_path / "runs" / "tiny" / "checkpoint.pt"
    before, backward = checkpoint.read_bytes(), Training._backward

    def spoiled(self: Training, *batch: Array) -> tuple[float, Array]:
        loss, error = backward(self, *batch)
        if self.iteration == 11 and what == "loss":
            loss = float("nan")
        elif self.iteration == 11:
            self.network.weights[0].grad.fill_(float("nan"))
        return loss, error

    monkeypatch.setattr(Training, "_backward", spoiled)
    capsys.readouterr()
    assert main([*command, "--resume"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"the {what} of iteration 12 is nan: ") and not printed.out
    assert checkpoint.read_bytes() == before and not (tmp_path / "tiny.onnx").exists()


@pytest.mark.parametrize("weights", [(), (1.0, 2.0, 0.5, 3.0)])
def test_the_loss_is_the_documented_one_over_all_steps_and_tips(
    tiny_recipe: Write, rng: np.random.Generator, weights: tuple[float, ...]
) -> None:
    hand = load_robot(robot_file("allegro_right"))
    network = StepNetwork(hand, (8,), torch.Generator().manual_seed(0))
    options = options_of(tiny_recipe(), steps=3, tip_weights=weights)
    q, goal = (hand.random_joint_position(rng, 30) for _ in range(2))
    target = torch.from_numpy(hand.kinematics.tip_position(goal).astype(np.float32))
    start = torch.from_numpy(q.astype(np.float32))
    with torch.no_grad():
        found, error, first = unrolled_loss(network, hand, options, start, target)
        np.testing.assert_array_equal(first, network(start, target)[0])
        squares = []
        for _ in range(3):
            start = network(start, target)[0]
            tips = hand.kinematics.tip_position(start.numpy().astype(np.float64))
            squares.append(((tips - target.numpy()) ** 2).sum(-1) / hand.kinematics.reach.max() ** 2)
    d2 = np.array(squares)  # (3, 30, nt)
    counts = np.array(weights or [1.0] * hand.nt) * hand.nt / sum(weights or [1.0] * hand.nt)
    wanted = (counts * (4.0 * np.sqrt(d2 + 1e-8) + 0.05 * np.log(d2 + 1e-10))).mean()
    assert found.item() == pytest.approx(wanted, rel=2e-4)
    np.testing.assert_allclose(error.numpy(), np.sqrt(d2[-1]) * hand.kinematics.reach.max(), rtol=0, atol=1e-6)


def test_a_tip_that_counts_more_decides_more_of_the_loss() -> None:
    hand = load_robot(robot_file("allegro_right"))
    options = load_recipe(share_dir() / "config" / "training" / "allegro_right.yaml").training
    assert options is not None
    network = StepNetwork(hand, (8,), torch.Generator().manual_seed(0))
    goal = torch.from_numpy(hand.random_joint_position(np.random.default_rng(0), 8).astype(np.float32))
    q = goal.clone()
    q[:, 12:] = torch.from_numpy(hand.home.astype(np.float32))[12:]  # the thumb alone has a way to go
    target = network.tip_position(goal)
    light, heavy = (
        unrolled_loss(network, hand, replace(options, posture=0.0, tip_weights=weights), q, target)[0].item()
        for weights in ((), (1.0, 1.0, 1.0, 9.0))
    )
    assert heavy > light


def test_weights_for_another_number_of_tips_are_refused(tiny_recipe: Write, planar: Robot) -> None:
    path = tiny_recipe()
    path.write_text(path.read_text().replace("batch: 64", "batch: 64\n  tip_weights: [1, 2]"))
    with pytest.raises(FileError, match=r"training\.tip_weights: has 2, must have 1 or none"):
        Training(load_recipe(path), planar)


def test_a_chain_of_too_many_joints_for_a_network_is_refused_with_what_moves_it(
    tiny_recipe: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"j{i}" for i in range(13)]
    limit = '<limit lower="-1" upper="1" effort="1" velocity="1"/><axis xyz="0 0 1"/><origin xyz="0.1 0 0"/>'
    links = "".join(f'<link name="l{i}"/>' for i in range(14))
    joints = "".join(
        f'<joint name="{name}" type="revolute"><parent link="l{i}"/><child link="l{i + 1}"/>{limit}</joint>'
        for i, name in enumerate(names)
    )
    (tmp_path / "snake.urdf").write_text(f'<robot name="snake">{links}{joints}</robot>')
    driven = "".join(f"  - {{name: {name}, acceleration: 1.0}}\n" for name in names)
    (tmp_path / "snake.yaml").write_text(
        f"schema: 1\nname: snake\nurdf: snake.urdf\nbase_frame: l0\njoints:\n{driven}tips:\n  - {{name: tip, link: l13}}\n"
    )
    recipe = tiny_recipe()
    recipe.write_text(recipe.read_text().replace(str(robot_file("planar_2r")), "snake.yaml"))
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    assert "'snake' has a chain of 13 joints" in told and "at most 12" in told and "damped least squares" in told
    assert not (tmp_path / "tiny.onnx").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed: 3", "seed: 3\nmomentum: 0.9"), "momentum: unknown key"),
        (("batch: 64", "batch: 64\n  epochs: 3"), "training.epochs: unknown key"),
        (("hidden: [16]", "hidden: [0]"), "network.hidden"),
        (("hidden: [16]", "hidden: [true]"), r"network.hidden: is \[True\]"),
        (("seed: 3\n", ""), "seed: missing"),
        (("stay: 1", "stay: -1"), "gate.stay"),
        (("fine: 0.01", "fine: 0.2"), r"gate\.fine: is 0\.2, must be at most coarse, 0\.1 m"),
        (("batch: 64", "batch: 64\n  tip_weights: [1, 0]"), "training.tip_weights"),
        (("batch: 64", "batch: 64\n  tip_weights: [true]"), "training.tip_weights"),
        (("learning_rate: 0.003", "learning_rate: 0"), "training.learning_rate"),
    ],
)
def test_a_wrong_recipe_is_refused_by_key(tiny_recipe: Write, change: tuple[str, str], message: str) -> None:
    path = tiny_recipe()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(FileError, match=message):
        load_recipe(path)


@pytest.mark.parametrize("share", ["near_share", "beyond_share", "hard_share"])
def test_a_share_of_a_recipe_is_anything_from_none_to_all(tiny_recipe: Write, share: str) -> None:
    path = tiny_recipe()
    text = path.read_text()
    for value in (0.0, 1.0):
        path.write_text(text.replace("batch: 64", f"batch: 64\n  {share}: {value}"))
        assert getattr(load_recipe(path).training, share) == value
    for value in (-0.01, 1.01):
        path.write_text(text.replace("batch: 64", f"batch: 64\n  {share}: {value}"))
        with pytest.raises(FileError, match=rf"training\.{share}: is {value}, must be within \[0, 1\]"):
            load_recipe(path)


@pytest.mark.parametrize("words", [[], ["--gate-only"]])
def test_a_gate_in_millimetres_is_refused_before_anything_is_trained(
    tiny_recipe: Write, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny_recipe()  # of an arm of 10 m
    path.write_text(path.read_text().replace("coarse: 0.1, fine: 0.01", "coarse: 1.1, fine: 0.1"))
    assert main([str(path), "--runs", str(tmp_path / "runs"), *words]) == 2
    printed = capsys.readouterr()
    assert (
        "gate.coarse: is 1.1 m, must be at most 1 m, a tenth of the reach; lengths of a gate are in metres"
        in printed.err
    )
    assert not printed.out and not (tmp_path / "tiny.onnx").exists()


def test_a_model_with_a_gate_in_millimetres_is_not_evaluated(
    planar: Robot, lively: Callable[[Robot], StepNetwork], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = {f.name: 0.5 for f in fields(Gate)} | {"coarse": 10.0}
    write(export(planar, lively(planar).layers()), planar, tmp_path / "wide.onnx", {"gate": gate})
    assert evaluate_main([str(tmp_path / "wide.onnx"), "--targets", "50"]) == 2
    assert "provenance.gate.coarse: is 10 m, must be at most 1 m" in capsys.readouterr().err


def test_the_page_explains_every_key_of_a_recipe_and_its_defaults(tiny_recipe: Write) -> None:
    page = (share_dir() / "docs" / "training.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_0-9.]+)` \| ([^|]+) \|", page, re.MULTILINE))
    keys = {f"{name}.{f.name}" for name, kind in PARTS.items() for f in fields(kind)}
    assert set(rows) == keys | {"schema", "name", "robot", "model", "seed", "network.hidden", "network.shared"}
    options = load_recipe(tiny_recipe()).training
    numbers = {key: float(text) for key, text in rows.items() if re.fullmatch(r"[0-9.]+", text)}
    assert len(numbers) == 7 and all(getattr(options, key.split(".")[1]) == value for key, value in numbers.items())


def test_a_recipe_that_names_no_model_writes_it_beside_itself_and_a_shipped_one_among_the_models(
    tiny_recipe: Write,
) -> None:
    path = tiny_recipe()
    path.write_text(re.sub(r"^model: .*\n", "", path.read_text(), flags=re.MULTILINE))
    recipe = load_recipe(path)
    assert recipe.model == path.parent / f"{recipe.name}.onnx"
    shipped = share_dir() / "config" / "training" / "mine.yaml"
    assert (
        shipped.parent / default_model(shipped, "../../models", "mine")
    ).resolve() == share_dir() / "models" / "mine.onnx"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_names_a_shipped_robot_and_its_model_carries_the_recipe(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem and recipe.robot.is_file()
    assert read_contract(recipe.model).provenance["recipe_text"] == path.read_text()
