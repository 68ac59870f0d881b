"""A training that is interrupted and resumed, or spread over processes, against one that runs through."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch

from nnik_ros.errors import FileError, NnikError
from nnik_ros.onnx_policy import read_contract
from nnik_ros.paths import robot_file, share_dir
from nnik_ros.robot import Robot
from nnik_ros.training.checkpoint import CHECKPOINT, load_checkpoint
from nnik_ros.training.export import read_layers
from nnik_ros.training.group import ALONE, Group
from nnik_ros.training.loop import Training, away, unrolled_loss
from nnik_ros.training.network import Layers, StepNetwork
from nnik_ros.training.recipe import load_recipe
from nnik_ros.training.samples import no_samples, sample
from nnik_ros.training.train import main

Write = Callable[..., Path]
OPTIONS = "  hard_share: 0.2\n  steps: 1\n  shown: 2.0\n"


@pytest.fixture
def command(tiny_recipe: Write, tmp_path: Path) -> list[str]:
    """Trains the tiny robot with starts drawn again, so that everything that a checkpoint holds decides the weights."""
    path = tiny_recipe()
    path.write_text(path.read_text().replace("training:\n", "training:\n" + OPTIONS))
    return [str(path), "--runs", str(tmp_path / "runs"), "--targets", "50"]


def own_robot(recipe: Path, folder: Path) -> tuple[Path, Path]:
    """A robot file and a URDF of the recipe's own, to be changed."""
    shipped = robot_file("planar_2r")
    robot, urdf = folder / "planar_2r.yaml", folder / "planar_2r.urdf"
    urdf.write_text((shipped.parents[2] / "urdf" / urdf.name).read_text())
    robot.write_text(shipped.read_text().replace("../../urdf/", ""))
    recipe.write_text(recipe.read_text().replace(str(shipped), str(robot)))
    return robot, urdf


def arrays(layers: Layers) -> list[np.ndarray]:
    return [*layers.biases, *layers.weights]


def test_a_checkpoint_that_a_full_disk_does_not_take_ends_the_training_with_its_name_and_the_old_one_stays(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--stop-after", "5"]) == 0
    folder = tmp_path / "runs" / "tiny"
    before = (folder / CHECKPOINT).read_bytes()
    (folder / f"{CHECKPOINT}.new").symlink_to("/dev/full")
    assert main([*command, "--resume"]) == 2
    assert f"{folder / CHECKPOINT}: 1 problem\n  - cannot be written: No space left" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [CHECKPOINT]
    assert (folder / CHECKPOINT).read_bytes() == before


class TestResume:
    @pytest.mark.parametrize("stops", [[17], [1, 39], [40]])
    def test_an_interrupted_and_resumed_training_ends_in_the_same_bits(
        self, command: list[str], tmp_path: Path, stops: list[int]
    ) -> None:
        whole, parts = tmp_path / "whole.onnx", tmp_path / "parts.onnx"
        assert main([*command, "--model", str(whole)]) == 0
        for i, stop in enumerate(stops):
            command_now = [*command, "--model", str(parts), *["--resume"] * (i > 0)]
            assert main([*command_now, "--stop-after", str(stop)]) == 0
        if stops != [40]:
            assert not parts.exists()
            assert main([*command, "--model", str(parts), "--resume"]) == 0
        for one, other in zip(arrays(read_layers(whole)), arrays(read_layers(parts)), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_a_resumed_training_tells_the_time_the_sources_and_the_course_of_all_its_parts(
        self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for at, source in ((5, "first"), (10, "first"), (40, "second")):
            clock = SimpleNamespace(monotonic=chain([1000.0], repeat(1125.0)).__next__)  # each part takes 125 s
            monkeypatch.setattr("nnik_ros.training.train.time", clock)
            monkeypatch.setattr("nnik_ros.training.train.commit", lambda source=source: source)
            assert main([*command, "--stop-after", str(at), *["--resume"] * (at > 5)]) == 0
        model, folder = tmp_path / "tiny.onnx", tmp_path / "runs" / "tiny"
        facts, metrics = read_contract(model).provenance, json.loads((folder / "metrics.json").read_text())
        assert facts["commit"] == "first, from iteration 10 second" and facts["training_seconds"] == 375
        assert facts["nodes"] == len(onnx.load(model).graph.node)
        assert [progress["iteration"] for progress in metrics["progress"]] == [5, 10, 40]
        loss, median = (metrics["progress"][1][key] for key in ("loss", "median"))
        told = f"10 of 40  loss {loss:8.4f}  median {1e3 * median:.5f} mm  12 min 30 s left"
        assert f"[#####               ]      {told}\n" in capsys.readouterr().out
        layers = read_layers(model)
        with np.load(folder / "weights.npz") as stored:
            for array, written in zip((*layers.weights, *layers.biases), stored.values(), strict=True):
                np.testing.assert_array_equal(array, written)

    def test_a_finished_run_is_not_resumed(self, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(command) == 0
        assert main([*command, "--resume"]) == 2
        assert "is finished, its model is written" in capsys.readouterr().err

    @pytest.mark.parametrize("number", ["0", "-1", "many"])
    def test_to_stop_before_the_first_iteration_is_refused_and_leaves_the_finished_run(
        self, command: list[str], tmp_path: Path, number: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        checkpoint = tmp_path / "runs" / "tiny" / CHECKPOINT
        assert main(command) == 0
        before = checkpoint.read_bytes()
        with pytest.raises(SystemExit) as stopped:
            main([*command, "--stop-after", number])
        assert stopped.value.code == 2
        assert f"--stop-after: is '{number}', must be a whole number not below 1" in capsys.readouterr().err
        assert checkpoint.read_bytes() == before

    def test_a_run_folder_without_a_checkpoint_is_refused(
        self, command: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*command, "--resume"]) == 2
        assert f"{CHECKPOINT}: 1 problem\n  - is not there: nothing to resume" in capsys.readouterr().err

    def test_a_checkpoint_of_another_recipe_or_robot_is_refused_with_what_differs(
        self, command: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*command, "--stop-after", "5"]) == 0
        path = Path(command[0])
        text = path.read_text()
        other = text.replace("seed: 3", "seed: 4").replace("planar_2r", "spatial_2j")
        path.write_text(other.replace("coarse: 0.1,", "coarse: 0.05,"))  # that robot is smaller
        assert main([*command, "--resume"]) == 2
        message = capsys.readouterr().err
        assert "is of another recipe" in message and "differing in: robot, seed" in message
        assert "was trained for another description of spatial_2j" in message

    @pytest.mark.parametrize(
        ("change", "differing"),
        [
            (("home: 0.4", "home: 0.4, lower: -2.0"), "lower"),
            (("home: 0.4", "home: 0.4, upper: 2.0"), "upper"),
            (("home: 0.4", "home: 0.5"), "home"),
            (('"5 0 0', '"5.1 0 0'), "kinematics"),
        ],
    )
    def test_a_robot_that_changed_since_the_checkpoint_is_refused_with_what_differs(
        self, command: list[str], tmp_path: Path, change: tuple[str, str], differing: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        robot, urdf = own_robot(Path(command[0]), tmp_path)
        assert main([*command, "--stop-after", "5"]) == 0
        texts = [file.read_text().replace(*change) for file in (robot, urdf)]
        assert texts != [robot.read_text(), urdf.read_text()]
        robot.write_text(texts[0])
        urdf.write_text(texts[1])
        assert main([*command, "--resume"]) == 2
        message = f"was trained for another description of planar_2r, differing in: {differing}; train without --resume"
        assert message in capsys.readouterr().err

    def test_what_decides_nothing_of_the_training_may_change(self, command: list[str], tmp_path: Path) -> None:
        robot, _ = own_robot(Path(command[0]), tmp_path)
        assert main([*command, "--stop-after", "5"]) == 0
        text = robot.read_text()
        robot.write_text(text.replace("acceleration: 20.0", "acceleration: 21.0"))
        assert robot.read_text() != text
        assert main([*command, "--resume"]) == 0

    @pytest.mark.parametrize("spoil", ["size", "missing", "optimizer"])
    def test_weights_of_another_network_are_refused(
        self, command: list[str], tmp_path: Path, spoil: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*command, "--stop-after", "5"]) == 0
        file = tmp_path / "runs" / "tiny" / CHECKPOINT
        document = torch.load(file, weights_only=True)
        weights = document["training"]["network"]
        if spoil == "size":
            weights["weights.0"] = weights["weights.0"][..., :-1]
        elif spoil == "optimizer":
            document["training"]["optimizer"]["param_groups"][0]["params"].pop()
        else:
            del document["training"]["hard"]
        torch.save(document, file)
        assert main([*command, "--resume"]) == 2
        assert f"{CHECKPOINT}: 1 problem\n  - does not fit the network of its recipe: " in capsys.readouterr().err

    def test_a_checkpoint_of_an_older_schema_is_refused_as_such(
        self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([*command, "--stop-after", "5"]) == 0
        torch.save({"schema": 1, "kinematics_digest": "0"}, tmp_path / "runs" / "tiny" / CHECKPOINT)
        assert main([*command, "--resume"]) == 2
        assert "schema: is 1, must be 4" in capsys.readouterr().err

    def test_a_new_gate_does_not_hinder_resuming(self, command: list[str]) -> None:
        assert main([*command, "--stop-after", "5"]) == 0
        path = Path(command[0])
        path.write_text(path.read_text().replace("median_2: 10", "median_2: 9"))
        assert main([*command, "--resume"]) == 0

    @pytest.mark.parametrize("damage", [b"", b"no checkpoint", None])
    def test_a_damaged_checkpoint_is_refused(
        self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: bytes | None
    ) -> None:
        assert main([*command, "--stop-after", "5"]) == 0
        file = tmp_path / "runs" / "tiny" / CHECKPOINT
        file.write_bytes(file.read_bytes()[:-300] if damage is None else damage)
        assert main([*command, "--resume"]) == 2
        assert "is no checkpoint of this package, or damaged" in capsys.readouterr().err

    def test_a_checkpoint_with_any_bytes_changed_is_refused_or_the_same(
        self, command: list[str], tmp_path: Path, planar: Robot
    ) -> None:
        assert main([*command, "--stop-after", "5"]) == 0
        folder, rng, recipe = tmp_path / "runs" / "tiny", np.random.default_rng(1), load_recipe(Path(command[0]))
        content = np.frombuffer((folder / CHECKPOINT).read_bytes(), np.uint8)
        whole, refused = load_checkpoint(folder, recipe, planar), 0
        for i in range(60):
            damaged, start = content.copy(), int(rng.integers(0, len(content) - 500))
            damaged[start : start + 500] = 0 if i % 2 else rng.integers(0, 256, 500)
            (folder / CHECKPOINT).write_bytes(damaged.tobytes())
            try:
                read = load_checkpoint(folder, recipe, planar)
            except FileError as error:
                refused += "is no checkpoint of this package, or damaged" in str(error)
            else:
                for name, weight in whole.training["network"].items():
                    torch.testing.assert_close(read.training["network"][name], weight, rtol=0, atol=0)
        assert refused > 50

    def test_a_mirrored_recipe_has_nothing_to_resume(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        recipe = share_dir() / "config" / "training" / "allegro_left.yaml"
        assert main([str(recipe), "--resume", "--runs", str(tmp_path), "--model", str(tmp_path / "no.onnx")]) == 2
        assert "is made in one go" in capsys.readouterr().err
        assert not list(tmp_path.iterdir())


class TestSeveralProcesses:
    def torchrun(self, command: list[str], *words: str) -> subprocess.CompletedProcess[str]:
        start = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "nnik_ros.training.train"]
        return subprocess.run(
            [sys.executable, *start, *command, *words], cwd=share_dir(), capture_output=True, text=True, timeout=100
        )

    def test_two_processes_end_where_one_does_up_to_rounding_and_one_of_them_writes(
        self, command: list[str], tmp_path: Path, planar: Robot
    ) -> None:
        one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
        assert main([*command, "--model", str(one)]) == 0
        first = self.torchrun(command, "--model", str(two), "--stop-after", "25")
        assert first.returncode == 0, first.stderr
        assert first.stdout.count("stopped after iteration 25 of 40") == 1
        second = self.torchrun(command, "--model", str(two), "--resume")
        assert second.returncode == 0, second.stderr
        assert second.stdout.count("loss") == 1
        fresh = arrays(StepNetwork(planar, (16,), torch.Generator().manual_seed(3)).layers())
        for a, b, start in zip(arrays(read_layers(one)), arrays(read_layers(two)), fresh, strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-3 * np.abs(a - start).max() + 1e-7)

    def test_what_the_first_process_refuses_ends_all_of_them(self, command: list[str]) -> None:
        done = self.torchrun(command, "--resume")
        assert done.returncode != 0
        assert done.stderr.count("is not there: nothing to resume") == 1

    def test_each_process_works_on_its_share_of_the_batch(self) -> None:
        shares = [list(range(7))[Group(rank, 3, ALONE.device).share()] for rank in range(3)]
        assert sorted(i for share in shares for i in share) == list(range(7)) and {len(share) for share in shares} == {
            2,
            3,
        }

    def test_a_batch_smaller_than_the_group_is_refused(self, command: list[str], planar: Robot) -> None:
        with pytest.raises(FileError, match=r"training.batch: is 64, must be at least the number of processes, 65"):
            Training(load_recipe(Path(command[0])), planar, Group(0, 65, ALONE.device))


def test_a_step_on_another_device_mixes_in_no_tensor_of_main_memory(any_robot: Robot, command: list[str]) -> None:
    """`meta` is a device without data, and refuses what lies elsewhere, as a GPU does."""
    options = load_recipe(Path(command[0])).training
    assert options is not None
    network = StepNetwork(any_robot, (8,), torch.Generator().manual_seed(1)).on(torch.device("meta"))
    q, target, *_ = sample(any_robot, options, np.random.default_rng(1), no_samples(any_robot))
    batch = (torch.from_numpy(part.astype(np.float32)).to("meta") for part in (q, target))
    with Group(0, 1, torch.device("meta")).default_device():
        loss, error, first = unrolled_loss(network, any_robot, options, *batch)
        (loss + away(any_robot, first, first.detach()).mean()).backward()
    assert loss.is_meta and error.shape == (len(q), any_robot.nt)
    assert all(parameter.grad.is_meta for parameter in network.parameters())


def test_an_error_of_the_first_process_is_told_as_it_is_when_alone() -> None:
    def refuse() -> None:
        raise FileError("here", ["wrong"])

    with pytest.raises(NnikError, match="wrong"):
        ALONE.of_first(refuse)
