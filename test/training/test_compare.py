"""The comparison and the contract printer."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.evaluate import STEPS
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import read_contract
from nnik_ros.paths import model_file, share_dir
from nnik_ros.robot import Robot
from nnik_ros.training import compare, compare_page, inspect_model
from nnik_ros.training.compare_page import write_page
from test.policies import Fixed

SEEDS = sorted((share_dir() / "models" / "seeds").glob("*.onnx"))


def test_the_tasks_are_the_same_every_time_and_the_paths_can_be_reached(planar: Robot) -> None:
    one, two = (compare.make_tasks(planar, 30) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert np.linalg.norm(one.path, axis=-1).max() <= 10.0 + 1e-9
    assert np.abs(one.beyond[..., 2]).max() == 0.0


def test_a_row_tells_what_a_known_solver_does(planar: Robot) -> None:
    tasks = compare.make_tasks(planar, 30)
    row = compare.score(Fixed(planar, np.array([0.0, 4.0])), tasks, "fixed", "test")
    tip = np.array([5.0 + 5.0 * np.cos(4.0), 5.0 * np.sin(4.0), 0.0])
    assert np.allclose(row.errors[1][:, 0], np.linalg.norm(tasks.target[:, 0] - tip, axis=-1))
    assert row.violation == pytest.approx(4.0 - np.pi)
    assert row.path_jump == 0.0, "the way from where the arm stands to the pose is no jump on the path"
    assert np.allclose(row.beyond[:, 0], np.linalg.norm(tasks.beyond[:, 0] - tip, axis=-1))


def known_row(planar: Robot, beyond: Array) -> compare.Row:
    """Errors of 4 m but after ten steps, then one each of 1 m, 5 mm, 0.5 mm and 0.05 mm."""
    tenth = np.array([[1.0], [5e-3], [5e-4], [5e-5]])
    errors = {k: tenth if k == 10 else np.full((4, 1), 4.0) for k in (*STEPS, compare.MANY)}
    path = np.full((5, 2, 1), 0.25)
    return compare.Row("known", "test", planar, errors, 0.0, path, 0.5, beyond, 7, 9.0, 1e-3)


def test_the_table_tells_shares_within_limits_and_the_excess_over_the_closest_point_out_of_reach(planar: Robot) -> None:
    closest, beyond = np.array([[0.0], [2.0], [3.0]]), np.array([[8.0], [2.5], [3.5]])
    tasks = compare.make_tasks(planar, 10)
    row = known_row(planar, beyond)
    comparison = compare.Comparison(planar, tasks, [row], [], closest)
    np.testing.assert_allclose(compare.excess(comparison, row), [0.5, 0.5])  # the first is within reach
    first, second = (
        line.split(" | ") for line in compare.tables(comparison).splitlines() if line.startswith("| known")
    )
    assert [cell.rstrip(" |") for cell in first[-3:]] == ["75.00 %", "50.00 %", "25.00 %"]
    assert second[2:5] == ["0.25 / 0.25", "0.500", "0.5 / 0.5"]


def test_the_largest_motion_in_a_tick_is_told(planar: Robot) -> None:
    class Alternating(Fixed):
        def step(self, q: Array, target: Array) -> Array:
            return np.where(q > 0.5, 0.25, 1.0) * np.ones(q.shape)

    row = compare.score(Alternating(planar, np.zeros(2)), compare.make_tasks(planar, 30), "alternating", "test")
    assert row.path_jump == pytest.approx(0.75)


def test_the_closest_point_of_the_planar_arm_is_that_of_its_disc(planar: Robot) -> None:
    tasks = compare.make_tasks(planar, 200)
    radius = np.linalg.norm(tasks.beyond[:, 0], axis=-1)
    assert np.allclose(tasks.closest[:, 0], np.maximum(radius - 10.0, 0.0), atol=0.02)


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_a_shipped_baseline_keeps_its_limits_and_carries_recipe_and_metrics(path: Path) -> None:
    (comparison,) = compare.compare([path], 20)
    row, classical = comparison.rows
    assert row.violation <= 0.0
    assert row.parameters > 1000
    assert classical.name == "damped least squares"
    facts = read_contract(path).provenance
    recipe = share_dir() / "config" / "training" / f"{facts['recipe']}.yaml"
    assert facts["recipe_text"] == recipe.read_text(encoding="utf-8")
    assert facts["metrics"]


def test_the_page_tells_which_baselines_carry_no_commit() -> None:
    page = " ".join((share_dir() / "docs" / "training.md").read_text(encoding="utf-8").split())
    without = [path.stem for path in SEEDS if "commit" not in read_contract(path).provenance]
    assert len(without) == len(SEEDS) == 9 and "all nine carry recipe and seed, none a commit" in page


def test_the_command_prints_one_row_for_each_network_and_writes_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main([str(SEEDS[0]), "--targets", "20"]) == 0
    printed = capsys.readouterr().out
    assert printed.count(f"| {SEEDS[0].stem} (S1) |") == 2
    comparisons = compare.compare([SEEDS[0]], 20)
    write_page(tmp_path, comparisons, 20)
    text = (tmp_path / "seeds.md").read_text()
    assert "no network of the package's own yet" in text
    assert (tmp_path / "images" / f"seeds_{comparisons[0].robot.name}.png").stat().st_size > 1000
    assert compare.main([str(tmp_path / "none.onnx")]) == 2


def test_a_shipped_network_is_compared_by_its_name_and_an_unknown_name_is_told_with_the_shipped_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert compare.main(["spatial_2j", "--targets", "20"]) == 0
    assert capsys.readouterr().out.count("| spatial_2j (own network) |") == 2
    assert compare.main(["spatial"]) == 2
    assert re.search("model 'spatial' is unknown; shipped: .*, spatial_2j;", capsys.readouterr().err)


@pytest.mark.parametrize("words", [[str(SEEDS[0])], ["--targets", "999"]], ids=["a network", "few targets"])
def test_a_part_of_the_comparison_never_replaces_the_page(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "compare", lambda paths, n, _: pytest.fail("was compared"))
    with pytest.raises(SystemExit) as stopped:
        compare.main([*words, "--write"])
    assert stopped.value.code == 2
    assert "--write" in capsys.readouterr().err


def test_the_page_of_all_networks_is_written_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(compare, "compare", lambda paths, n, _: [])
    monkeypatch.setattr(compare_page, "write_page", lambda docs, comparisons, targets, bands: written.append(targets))
    (command,) = re.findall(r"`\./run compare (--write[^`]*)`", (share_dir() / "docs" / "seeds.md").read_text())
    assert compare.main(command.split()) == 0
    assert compare.main(["--write"]) == 0
    assert written == [1000, 2000]


def test_a_page_that_cannot_be_written_is_told_before_and_after_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "seeds.md"
    monkeypatch.setattr(compare, "share_dir", lambda: tmp_path)
    monkeypatch.setattr(compare, "compare", lambda paths, n, _: pytest.fail("was compared"))
    assert compare.main(["--write"]) == 2
    assert f"{page}: 1 problem\n  - cannot be written: there is no folder" in capsys.readouterr().err
    page.parent.mkdir()
    page.symlink_to("/dev/full")
    monkeypatch.setattr(compare, "compare", lambda paths, n, _: [])
    assert compare.main(["--write"]) == 2
    assert f"{page.parent}: 1 problem\n  - cannot be written: No space left" in capsys.readouterr().err


def test_the_page_of_a_planar_arm_tells_how_straight_its_lines_are(tmp_path: Path) -> None:
    write_page(tmp_path, compare.compare([SEEDS[-1]], 20), 20)
    text = (tmp_path / "seeds.md").read_text().split("Straight lines")[1]
    rows = [line.split("|")[1:4] for line in text.splitlines() if line.startswith(("| s5", "| damped"))]
    away, rest = np.array([[float(cell.split("/")[0]) for cell in row[1:]] for row in rows]).T
    assert rest[1] < 0.01 < rest[0]
    assert away[1] < 0.01 < away[0]


def test_damped_least_squares_finds_no_worse_than_the_closest_point_in_most_runs(planar: Robot) -> None:
    tasks = compare.make_tasks(planar, 100)
    row = compare.score(DampedLeastSquares(planar), tasks, "damped", "classical")
    assert np.median(row.beyond - tasks.closest) < 0.5


def test_inspect_prints_joints_limits_and_recipe_of_a_shipped_network(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert inspect_model.main(["allegro_right"]) == 0
    text = capsys.readouterr().out
    contract = read_contract(model_file("allegro_right"))
    for word in (
        *contract.joint_names,
        *contract.tip_names,
        contract.kinematics_digest,
        "recipe: allegro_right",
        "hidden:",
    ):
        assert word in text
    assert inspect_model.main([str(tmp_path / "none.onnx")]) == 2


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("seeds/s5_planar_incremental", [4, 128, 64, 32, 16, 8, 2]),
        ("seeds/s3_spatial_tips", [3, 128, 128, 128, 3]),  # some weights are equal by chance
        ("allegro_right", [22, 144, 144, 144, 144, 9]),  # whose rows and columns stand in the file several times
    ],
)
def test_parameters_are_those_of_the_layers(name: str, sizes: list[int]) -> None:
    path = share_dir() / "models" / f"{name}.onnx"
    assert compare.parameter_count(path) == sum((a + 1) * b for a, b in pairwise(sizes))
