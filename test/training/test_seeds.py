"""Every baseline, tiny: recipe to a network under the contract."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.errors import FileError
from nnik_ros.gate import Gate
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import robot_file, share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.seeds.__main__ import main
from nnik_ros.training.seeds.base import SeedRecipe, load_seed_recipe
from nnik_ros.training.seeds.csv_data import Table, read_table, write_table
from nnik_ros.training.seeds.dense import dense_module
from nnik_ros.training.seeds.incremental import IncrementalOptions, follow_line, grid_samples
from nnik_ros.training.seeds.methods import METHODS
from nnik_ros.training.seeds.plots import plot_predictions
from nnik_ros.training.seeds.q_learning import improve
from nnik_ros.training.seeds.spatial import ReachOptions, samples
from nnik_ros.training.train import main as train_main

RECIPES = sorted((share_dir() / "config" / "training" / "seeds").glob("*.yaml"))
TINY = {
    "absolute": (
        "planar_2r",
        "{samples: 400, test_samples: 50, epochs: 3, batch: 32, learning_rate: 0.003, dropout: 0.1}",
    ),
    "incremental": (
        "planar_2r",
        "{grid: 1.0, copies: 5, noise: 0.1, epochs: 3, batch: 32, learning_rates: [0.01, 0.001]}",
    ),
    "reach": ("spatial_2j", "{loss: tips, samples: 200, iterations: 20, batch: 32, learning_rate: 0.003}"),
    "q_learning": ("allegro_right", "{env_steps: 150, step: 0.1, batch: 16}"),
    "actor_critic": ("allegro_right", "{env_steps: 120, step: 0.2, warm_up: 60, batch: 16}"),
}
Write = Callable[..., Path]


@pytest.fixture
def write_tiny(tmp_path: Path) -> Write:
    """Writes the tiny recipe of a method."""

    def write(method: str, **changes: object) -> Path:
        robot, training = TINY.get(method, ("planar_2r", "{}"))
        values = {
            "schema": 1,
            "name": "tiny",
            "system": "S0",
            "method": method,
            "robot": str(robot_file(robot)),
            "seed": 2,
        }
        lines = [
            f"{key}: {value}" for key, value in {**values, "hidden": "[16, 8]", "training": training, **changes}.items()
        ]
        path = tmp_path / "tiny.yaml"
        path.write_text("\n".join([*lines, f"model: {tmp_path / 'tiny.onnx'}"]))
        return path

    return write


def weights(path: Path) -> dict[str, bytes]:
    return {t.name: t.raw_data for t in onnx.load(path).graph.initializer if t.name.startswith(("weight", "bias"))}


@pytest.mark.parametrize("method", METHODS)
def test_a_baseline_trains_into_a_network_that_its_robot_accepts(
    method: str, write_tiny: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnik_ros.training.seeds.__main__.commit", lambda: "0123456789ab")
    assert main([str(write_tiny(method)), "--runs", str(tmp_path / "runs")]) == 0
    robot = load_robot(robot_file(TINY[method][0]))
    policy = OnnxPolicy(tmp_path / "tiny.onnx", robot)
    assert policy.contract.provenance["system"] == "S0"
    assert policy.contract.provenance["commit"] == "0123456789ab"
    Gate(**policy.contract.provenance["gate"])
    q = robot.random_joint_position(np.random.default_rng(5), 200)
    q_next = policy.step(q, 3.0 * robot.kinematics.tip_position(q[::-1]))
    assert np.all((q_next >= robot.lower) & (q_next <= robot.upper))
    run = tmp_path / "runs" / "tiny"
    assert {"training_history.png", "predictions.png", "metrics.json", "recipe.yaml"} <= {p.name for p in run.iterdir()}
    assert all(np.isfinite(curve).all() for curve in json.loads((run / "metrics.json").read_text())["curves"].values())


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_baseline_and_another_seed_another(
    method: str, write_tiny: Write, tmp_path: Path
) -> None:
    """Also in a run folder in which one was trained before."""
    found = []
    for folder, seed in (("one", 2), ("two", 2), ("one", 3), ("one", 2)):
        assert main([str(write_tiny(method, seed=seed)), "--runs", str(tmp_path / folder)]) == 0
        found.append(weights(tmp_path / "tiny.onnx"))
    assert found[0]
    assert found[0] == found[1] == found[3]
    assert found[0] != found[2]


def test_the_picture_of_predictions_shows_every_tip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, path: figures.append(figure))
    hand = load_robot(robot_file("allegro_right"))
    plot_predictions(DampedLeastSquares(hand), tmp_path / "predictions.png")
    (figure,) = figures
    assert [ax.get_title() for ax in figure.axes] == list(hand.tip_names)
    q = hand.random_joint_position(np.random.default_rng(0), 4000)
    middle = hand.kinematics.tip_position(q).mean(0)  # (nt, 3)
    for t, ax in enumerate(figure.axes):
        targets = np.asarray(ax.collections[0].get_offsets())
        shown = ["xyz".index(label[0]) for label in (ax.get_xlabel(), ax.get_ylabel())]
        np.testing.assert_allclose(targets.mean(0), middle[t, shown], atol=0.01)


def test_the_command_of_the_own_networks_trains_a_baseline_too(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(write_tiny("reach")), "--runs", str(tmp_path / "runs")]
    assert main(command) == 0
    by_itself = weights(tmp_path / "tiny.onnx")
    assert train_main([*command, "--model", str(tmp_path / "same.onnx")]) == 0
    assert weights(tmp_path / "same.onnx") == by_itself
    for unwanted in (["--resume"], ["--stop-after", "3"], ["--gate-only"]):
        assert train_main([*command, *unwanted]) == 2
    assert "a baseline is made in one go" in capsys.readouterr().err


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_names_an_existing_robot_and_carries_its_own_name(path: Path) -> None:
    recipe = load_seed_recipe(path, METHODS)
    assert recipe.name == path.stem
    assert load_robot(recipe.robot).nq


def test_the_page_explains_every_key_of_every_baseline_and_its_defaults(write_tiny: Write) -> None:
    page = (share_dir() / "config" / "training" / "seeds" / "README.md").read_text(encoding="utf-8")
    head, *parts = re.split(r"^## `(\w+)`$", page, flags=re.MULTILINE)
    texts = {"": head, **dict(zip(parts[::2], parts[1::2], strict=True))}
    tables = {name: dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE)) for name, text in texts.items()}
    assert set(tables) == {"", *METHODS}
    names = {f.name for f in fields(SeedRecipe)} - {"path", "options"}
    assert set(tables[""]) == {"schema", "training", *names}
    for method in METHODS:
        rows = tables[method]
        given = yaml.safe_load(TINY[method][1]) | {"env_steps": 5000}  # enough for the default `warm_up`
        required = {key: given[key] for key, default in rows.items() if default == "required"}
        options = load_seed_recipe(write_tiny(method, training=json.dumps(required)), METHODS).options
        assert set(rows) == {f.name for f in fields(options)}
        for key in set(rows) - set(required):
            value = getattr(options, key)
            assert rows[key] == ("none" if value in (None, ()) else json.dumps(value)), f"{method}: {key}"


def test_every_fault_of_a_recipe_is_named_at_once(write_tiny: Write, capsys: pytest.CaptureFixture[str]) -> None:
    training = "{samples: -1, test_samples: 50, epochs: 3, batch: 32, learning_rate: 7, momentum: 1}"
    assert main([str(write_tiny("absolute", hidden="[0]", training=training))]) == 2
    told = capsys.readouterr().err
    for word in ("training.samples", "training.learning_rate", "training.momentum: unknown key", "hidden"):
        assert word in told
    assert main([str(write_tiny("guessing"))]) == 2
    assert "actor_critic" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "training", "told"),
    [
        ("q_learning", "{env_steps: 5000, step: 1, batch: 128, replay: 10}", "replay: is 10, must be at least the batch, 128"),
        ("q_learning", "{env_steps: 1, step: 1, batch: 8}", "env_steps: is 1, must be at least 50 (an episode 50; 8 before"),
        ("q_learning", "{env_steps: 90, step: 1, batch: 128}", "env_steps: is 90, must be at least 132 (an episode 50; 128 "),
        ("actor_critic", "{env_steps: 90, step: 1, warm_up: 99}", "env_steps: is 90, must be at least 101 (an episode 50; 99 "),
    ],
)  # fmt: skip
def test_a_budget_that_trains_nothing_is_refused_with_both_values(
    write_tiny: Write, method: str, training: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write_tiny(method, training=training))]) == 2
    assert f"training.{told}" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["q_learning", "actor_critic"])
def test_the_least_budget_ends_an_episode_and_changes_the_weights(
    write_tiny: Write, tmp_path: Path, method: str
) -> None:
    found = []
    for rate in (1e-9, 0.01):
        numbers = {"q_learning": "{env_steps: 68, batch: 64", "actor_critic": "{env_steps: 62, batch: 16, warm_up: 60"}
        path = write_tiny(method, training=f"{numbers[method]}, step: 0.1, learning_rate: {rate:.9f}}}")
        assert main([str(path), "--runs", str(tmp_path / "runs")]) == 0
        found.append(weights(tmp_path / "tiny.onnx"))
    assert found[0] != found[1]


@pytest.mark.parametrize(("last", "value"), [(1.0, 3.0), (0.0, 3.0 + 0.5 * 100.0)])
def test_the_value_learned_is_the_reward_and_only_of_episodes_that_go_on_what_follows(
    last: float, value: float
) -> None:
    network, slow = dense_module([1, 2]), dense_module([1, 2])
    with torch.no_grad():
        for module, bias in ((network, 0.0), (slow, 100.0)):
            module[0].weight.zero_()
            module[0].bias.fill_(bias)
    optimizer = torch.optim.SGD(network[0:1].parameters(), lr=0.5)
    seen, action = torch.zeros(4, 1), torch.zeros(4, dtype=torch.int64)
    batch = seen, action, torch.full((4,), 3.0), seen, torch.full((4,), last)
    for _ in range(150):
        improve(network, slow, optimizer, batch, 0.5)
    assert network(seen[:1])[0].tolist() == pytest.approx([value, 0.0], abs=1e-3)


@pytest.mark.parametrize("method", ["incremental", "absolute", "reach", "q_learning"])
def test_a_baseline_that_comes_to_no_number_ends_there_and_writes_nothing(
    write_tiny: Write, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    relu = torch.nn.functional.relu
    monkeypatch.setattr(torch.nn.functional, "relu", lambda x, *_, **__: relu(x) * float("nan"))
    assert main([str(write_tiny(method)), "--runs", str(tmp_path / "runs")]) == 2
    assert "the loss of " in capsys.readouterr().err
    assert not (tmp_path / "tiny.onnx").exists()


def test_an_actor_that_comes_to_no_number_ends_there_and_writes_nothing(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = "{env_steps: 500, step: 0.2, warm_up: 60, batch: 16, train_every: 1, learning_rate: 1.0}"
    assert main([str(write_tiny("actor_critic", training=training)), "--runs", str(tmp_path / "runs")]) == 2
    assert "the actor of action " in capsys.readouterr().err
    assert not (tmp_path / "tiny.onnx").exists()


def test_an_actor_leaves_nothing_among_the_temporary_files(
    write_tiny: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert main([str(write_tiny("actor_critic")), "--runs", str(tmp_path / "runs")]) == 0
    assert [path.name for path in temporary.iterdir()] == []


@pytest.mark.parametrize("option", ["--model", "--runs"])
def test_a_baseline_that_cannot_be_written_is_refused_before_it_is_trained(
    write_tiny: Write, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tiny("reach")
    command = [str(path), "--runs", str(tmp_path / "runs"), option, str(path / "inside.onnx")]
    assert main(command) == 2
    assert f"cannot be written: there is no folder {path}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("method", "name"), [("reach", "metrics.json"), ("reach", "predictions.png"), ("absolute", "sets_made_here")]
)
def test_a_result_of_a_baseline_that_a_full_disk_does_not_take_is_told(
    write_tiny: Write, tmp_path: Path, method: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_tiny(method)
    folder = tmp_path / "runs" / yaml.safe_load(path.read_text())["name"]
    folder.mkdir(parents=True)
    (folder / name).symlink_to("/dev/full")
    assert main([str(path), "--runs", str(tmp_path / "runs")]) == 2
    assert f"{folder}: 1 problem\n  - cannot be written: No space left" in capsys.readouterr().err


def test_a_table_comes_back_from_its_files_bit_for_bit(tmp_path: Path, rng: np.random.Generator) -> None:
    table = Table(rng.normal(size=(20, 2)), rng.normal(size=(20, 3)) * 1e-7)
    write_table(tmp_path, "train", table, ["x", "y"], ["a", "b", "c"])
    again = read_table(tmp_path, "train", ["x", "y"], ["a", "b", "c"])
    assert np.array_equal(again.inputs, table.inputs)
    assert np.array_equal(again.outputs, table.outputs)


@pytest.mark.parametrize(("text", "told"), [
    ("x,z\n1,2\n", "columns"), ("x,y\n1\n", "line 2: is '1', must be 2 finite numbers"), ("x,y\n", "at least one"),
    ("x,y\n1,2\n3,nan\n", "line 3: is '3,nan', must be 2 finite numbers"), ("x,y\n1,2\n\n", "line 3: is '', must be"),
    ("x,y\n1,2\n3,4\n", "samples"), ("", "columns: are ''"), ("x,y\n1,b\n", "line 2: is '1,b', must be 2 finite"),
    ("x,y\n1;2\n", "line 2: is '1;2', must be 2 finite numbers with commas between them"),
])  # fmt: skip
def test_a_damaged_table_is_refused_with_the_reason(text: str, told: str, tmp_path: Path) -> None:
    write_table(tmp_path, "train", Table(np.ones((1, 2)), np.ones((1, 1))), ["x", "y"], ["a"])
    (tmp_path / "train_inputs.csv").write_text(text)
    with pytest.raises(FileError, match=told):
        read_table(tmp_path, "train", ["x", "y"], ["a"])


def test_a_byte_order_mark_as_spreadsheets_write_it_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    table = Table(np.ones((1, 2)), np.ones((1, 1)))
    write_table(tmp_path, "train", table, ["x", "y"], ["a"])
    (tmp_path / "train_inputs.csv").write_text("x,y\n1,1\n", encoding="utf-8-sig")
    assert np.array_equal(read_table(tmp_path, "train", ["x", "y"], ["a"]).inputs, table.inputs)


@pytest.mark.parametrize("value", [1e300, 5e3])
def test_a_target_that_lies_many_reaches_off_is_refused_by_its_line(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    targets = np.tile([[4.0, 5.0], [5.0, 4.0]], (100, 1))
    targets[7, 0] = value
    for part in ("train", "test"):
        table = Table(targets, np.tile([[0.3, 0.7]], (200, 1)))
        write_table(tmp_path / "runs" / "tiny", part, table, ["x", "y"], ["joint_1", "joint_2"])
    assert main([str(write_tiny("absolute")), "--runs", str(tmp_path / "runs")]) == 2
    printed = capsys.readouterr().err
    assert "train_inputs.csv: 1 problem\n  - line 9: the target of 'tip' is " in printed
    assert "must be at most 100 m, 10 times the reach" in printed and not (tmp_path / "tiny.onnx").exists()


def test_an_absolute_network_learns_from_the_files_that_lie_in_its_run_folder(
    write_tiny: Write, tmp_path: Path
) -> None:
    folder = tmp_path / "runs" / "tiny"
    only = Table(np.tile([[4.0, 5.0], [5.0, 4.0]], (100, 1)), np.tile([[0.3, 0.7]], (200, 1)))
    for part in ("train", "test"):
        write_table(folder, part, only, ["x", "y"], ["joint_1", "joint_2"])
    training = "{samples: 10, test_samples: 10, epochs: 60, batch: 20, learning_rate: 0.01}"
    assert main([str(write_tiny("absolute", training=training)), "--runs", str(tmp_path / "runs")]) == 0
    policy = OnnxPolicy(tmp_path / "tiny.onnx", load_robot(robot_file("planar_2r")))
    assert np.allclose(policy.step(np.zeros(2), np.array([[4.0, 5.0, 0.0]])), [0.3, 0.7], atol=0.05)


def test_sets_that_somebody_laid_over_those_made_here_are_named_and_stay(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(write_tiny("absolute")), "--runs", str(tmp_path / "runs")]
    folder = tmp_path / "runs" / "tiny"
    for _ in range(2):  # sets that were made here are made anew
        assert main(words) == 0
    own = "joint_1,joint_2\n" + "0.3,0.7\n" * len((folder / "train_inputs.csv").read_text().splitlines()[1:])
    (folder / "train_outputs.csv").write_text(own)
    assert main(words) == 2
    assert "nor overwritten: train_outputs.csv; remove sets_made_here to train with" in capsys.readouterr().err
    assert (folder / "train_outputs.csv").read_text() == own
    (folder / "sets_made_here").unlink()
    assert main(words) == 0
    assert (folder / "train_outputs.csv").read_text() == own


def test_a_test_set_of_ones_own_is_not_overwritten_where_the_training_set_is_missing(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs" / "tiny"
    write_table(folder, "test", Table(np.ones((9, 2)), np.ones((9, 2))), ["x", "y"], ["joint_1", "joint_2"])
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main([str(write_tiny("absolute")), "--runs", str(tmp_path / "runs")]) == 2
    assert "train_inputs.csv" in capsys.readouterr().err
    assert all(path.read_bytes() == held for path, held in before.items())


def test_joints_of_a_table_beyond_their_limits_are_refused_as_degrees(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = Table(np.ones((200, 2)), np.tile([[0.3, -3.1]], (200, 1)))
    folder = tmp_path / "runs" / "tiny"
    for part, scale in (("train", 1.0), ("test", [1.0, 57.3])):
        write_table(folder, part, inside._replace(outputs=inside.outputs * scale), ["x", "y"], ["joint_1", "joint_2"])
    assert main([str(write_tiny("absolute")), "--runs", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    assert "test_outputs.csv: 1 problem" in told and "joint_1" not in told and not (tmp_path / "tiny.onnx").exists()
    assert "joint_2: from -177.63 to -177.63, must be within [-3.14159, 3.14159] rad; are they in degrees?" in told


@pytest.mark.parametrize(("part", "factor", "unit"), [("train", 1e3, "millimetres"), ("test", 1e2, "centimetres")])
def test_targets_of_a_table_in_another_unit_than_metres_are_refused_by_what_the_joints_tell(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], rng: np.random.Generator, part: str,
    factor: float, unit: str,
) -> None:  # fmt: skip
    folder = tmp_path / "runs" / "tiny"
    for each in ("train", "test"):
        a, b = rng.uniform(-3.0, 3.0, (2, 200))
        tip = 5.0 * np.column_stack([np.cos(a) + np.cos(a + b), np.sin(a) + np.sin(a + b)])
        table = Table(tip * factor if each == part else tip, np.column_stack([a, b]))
        write_table(folder, each, table, ["x", "y"], ["joint_1", "joint_2"])
    assert main([str(write_tiny("absolute")), "--runs", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    assert f"{part}_inputs.csv: 1 problem\n  - targets are in {unit}, must be in metres" in told
    assert not (tmp_path / "tiny.onnx").exists()


@pytest.mark.parametrize("value", [3.0, 0.1])  # the mean of many 0.1 is another number, their spread then about 1e-17
def test_a_table_whose_targets_never_change_in_a_coordinate_is_refused(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    folder = tmp_path / "runs" / "tiny"
    table = Table(np.column_stack([np.linspace(1.0, 2.0, 200), np.full(200, value)]), np.tile([[0.3, 0.7]], (200, 1)))
    for part in ("train", "test"):
        write_table(folder, part, table, ["x", "y"], ["joint_1", "joint_2"])
    assert main([str(write_tiny("absolute")), "--runs", str(tmp_path / "runs")]) == 2
    assert f"train_inputs.csv: 1 problem\n  - y: is {value:g} in every sample" in capsys.readouterr().err
    assert not (tmp_path / "tiny.onnx").exists()


def test_an_absolute_network_gives_the_same_joints_from_everywhere(
    write_tiny: Write, tmp_path: Path, planar: Robot
) -> None:
    assert main([str(write_tiny("absolute")), "--runs", str(tmp_path / "runs")]) == 0
    policy = OnnxPolicy(tmp_path / "tiny.onnx", planar)
    q = planar.random_joint_position(np.random.default_rng(1), 10)
    q_next = policy.step(q, np.broadcast_to([[3.0, 4.0, 0.0]], (10, 1, 3)))
    assert np.ptp(q_next, axis=0).max() == 0.0


def test_a_prediction_tells_joints_whose_closed_form_tip_is_the_reached_point(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_tiny("absolute"))
    assert main([path, "--runs", str(tmp_path / "runs")]) == 0
    capsys.readouterr()
    assert main([path, "--predict", "3", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    a, b = (float(line.split()[1]) for line in lines[:2])
    tip = 5.0 * np.array([np.cos(a) + np.cos(a + b), np.sin(a) + np.sin(a + b)])
    assert float(lines[2].split("error ")[1].split()[0]) == pytest.approx(np.linalg.norm(tip - [3, 4]), rel=1e-3)
    assert main([path, "--predict", "3"]) == 2
    with pytest.raises(SystemExit) as stopped:
        main([path, "--predict", "nan", "1"])
    assert stopped.value.code == 2
    assert "--predict: is 'nan', must be a finite number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("robot", "grid", "told"),
    [
        ("allegro_right", 0.4, "poses of the 16 joints, must make at least 10"),
        (
            "planar_2r",
            0.01,
            "which makes 395641 poses of the 2 joints, must make at least 10, and with all copies, here 50",
        ),
        ("planar_2r", 10.0, "which makes 1 poses of the 2 joints, must make at least 10"),
    ],
)
def test_a_grid_of_too_few_or_too_many_poses_is_refused_before_it_is_made(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], robot: str, grid: float, told: str
) -> None:
    training = f"{{grid: {grid}, copies: 50, noise: 0.1, epochs: 1, batch: 32, learning_rates: [0.01]}}"
    recipe = write_tiny("incremental", training=training, robot=str(robot_file(robot)))
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    printed = capsys.readouterr().err
    assert f"training.grid: is {grid:g} rad" in printed and told in printed and not (tmp_path / "tiny.onnx").exists()


def test_a_small_grid_holds_a_pose_out_too(write_tiny: Write, tmp_path: Path) -> None:
    training = "{grid: 2.0, copies: 2, noise: 0.1, epochs: 1, batch: 32, learning_rates: [0.01]}"
    recipe = write_tiny("incremental", training=training, seed=5)  # for which none of the 16 poses is drawn
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 0
    assert np.isfinite(
        json.loads((tmp_path / "runs" / "tiny" / "metrics.json").read_text())["curves"]["val_loss"]
    ).all()


def test_a_joint_that_is_not_the_robots_is_refused_in_the_upper_half(
    write_tiny: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_tiny("absolute", training=TINY["absolute"][1].replace("}", ", upper_half: [joint_2, elbow]}"))
    assert main([str(recipe), "--runs", str(tmp_path / "runs")]) == 2
    assert "training.upper_half: elbow unknown; allowed: joint_1, joint_2" in capsys.readouterr().err
    assert not (tmp_path / "tiny.onnx").exists() and not (tmp_path / "runs").exists()


def test_the_incremental_grid_holds_every_pose_with_its_copies_and_the_closed_form_target(
    planar: Robot, rng: np.random.Generator
) -> None:
    options = IncrementalOptions(0.4, 20, 0.1, 1, 1, (0.01,))
    inputs, outputs = grid_samples(planar, options, np.array([0, 1]), rng)
    assert len(np.unique(outputs, axis=0)) == 16 * 16
    assert len(outputs) == 16 * 16 * 20
    a, b = outputs.T
    tip = 5.0 * np.stack([np.cos(a) + np.cos(a + b), np.sin(a) + np.sin(a + b)], 1)
    assert np.allclose(inputs[:, :2], tip)
    assert 0.09 < np.abs(inputs[:, 2:] - outputs).max() <= 0.1


def test_a_followed_line_is_straight_and_advances_by_unit_steps(planar: Robot) -> None:
    class Exact:
        """Elbow-up closed form of the planar arm."""

        name, robot, kinematics = "exact", planar, planar.kinematics

        def step(self, q: Array, target: Array) -> Array:
            x, y = target[0, :2]
            b = np.arccos(np.clip((x * x + y * y - 50.0) / 50.0, -1.0, 1.0))
            return np.array([np.arctan2(y, x) - np.arctan2(5.0 * np.sin(b), 5.0 + 5.0 * np.cos(b)), b])

    line = follow_line(Exact(), np.array([0.4, 1.2]), np.array([2.0, 7.0, 0.0]), 1.0, 8)
    assert np.allclose(line.tip, line.target, atol=1e-9)
    lengths = np.linalg.norm(np.diff(line.target, axis=0), axis=-1)
    assert lengths[0] == pytest.approx(1.0)
    assert lengths[-1] == 0.0
    assert np.allclose(line.target[-1], [2.0, 7.0, 0.0])


def test_a_recurrent_network_gives_in_the_file_what_its_turns_give_by_hand(write_tiny: Write, tmp_path: Path) -> None:
    training = TINY["reach"][1].replace("{", "{turns: 3, ")
    path = write_tiny("reach", hidden="[12]", training=training)
    assert main([str(path), "--runs", str(tmp_path / "runs")]) == 0
    robot = load_robot(robot_file("spatial_2j"))
    target = np.array([[0.2, -0.1, 0.3]])
    initializers = onnx.load(tmp_path / "tiny.onnx").graph.initializer
    w = {t.name: onnx.numpy_helper.to_array(t).astype(np.float64) for t in initializers if "_" in t.name}
    seen = target / robot.kinematics.reach @ w["weight_input"] + w["bias_input"]
    state = np.zeros(12)
    for i in range(3):
        state = np.tanh(seen + (state @ w["weight_state"] + w["bias_state"]) * (i > 0))
    unit = np.tanh(state @ w["weight_output"] + w["bias_output"])[0]
    expected = 0.5 * (robot.lower + robot.upper) + 0.5 * (robot.upper - robot.lower) * unit
    assert np.allclose(OnnxPolicy(tmp_path / "tiny.onnx", robot).step(robot.home, target), expected, atol=1e-4)
    assert main([str(write_tiny("reach", training=training)), "--runs", str(tmp_path / "runs")]) == 2


def test_without_targets_around_the_reach_every_label_reaches_its_target() -> None:
    robot = load_robot(robot_file("allegro_right"))
    target, q = samples(robot, ReachOptions("joints", 20, 0.0, 1.5, 1, 1, 0.1, 0), 20, np.random.default_rng(3))
    assert np.allclose(robot.kinematics.tip_position(q), target)


def test_labels_around_the_reach_come_as_close_as_the_stretched_arm(rng: np.random.Generator) -> None:
    robot = load_robot(robot_file("spatial_2j"))
    options = ReachOptions("joints", 300, 1.0, 1.5, 1, 1, 0.1, 0)
    target, q = samples(robot, options, 300, rng)
    distance = np.linalg.norm(robot.kinematics.tip_position(q) - target, axis=-1)[:, 0]
    radius = np.linalg.norm(target[:, 0], axis=-1)
    outside = radius > 0.56
    assert outside.sum() > 100
    assert np.median(distance[outside] - (radius[outside] - 0.55)) < 0.001
    assert np.all(distance[outside] > radius[outside] - 0.5501)
