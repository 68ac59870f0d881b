"""Learning curves of several seeds, and the band that the page draws from them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.errors import FileError
from nnik_ros.paths import robot_file, share_dir
from nnik_ros.training import compare
from nnik_ros.training.compare_page import write_page
from nnik_ros.training.seeds.learning_curves import FILE, load_curves_recipe, main, read_curves

BASELINE = """
schema: 1
name: {name}
system: S2
method: {method}
robot: {robot}
seed: 9
hidden: [8]
training: {training}
"""
ACTING = ("tiny", "q_learning", "{env_steps: 5000, step: 0.1, batch: 8}")
IDLE = ("idle", "q_learning", "{env_steps: 5000, step: 0.1, batch: 300}")
STILL = ("still", "reach", "{loss: tips, samples: 50, iterations: 2, batch: 8, learning_rate: 0.01}")
SHIPPED = share_dir() / "config" / "training" / "curves" / "reinforcement.yaml"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    for folder in ("seeds", "curves"):
        (tmp_path / folder).mkdir()
    for name, method, training in (ACTING, STILL, IDLE):
        text = BASELINE.format(name=name, method=method, robot=robot_file("allegro_right"), training=training)
        (tmp_path / "seeds" / f"{name}.yaml").write_text(text)
    path = tmp_path / "curves" / "some.yaml"
    path.write_text("schema: 1\nrecipes: [tiny]\nseeds: [4, 5, 6]\nenv_steps: 200\n")
    return path


def test_every_seed_gives_curves_of_its_own_and_the_same_ones_again(recipe: Path, tmp_path: Path) -> None:
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        assert main([str(recipe), "--output", str(file)]) == 0
    assert files[0].read_text() == files[1].read_text()
    found = read_curves(files[0])["tiny"]
    assert found["seeds"] == [4, 5, 6] and found["env_steps"] == 200
    rows = found["curves"]["final error, mm"]
    assert len(rows) == 3 and len({tuple(row) for row in rows}) == 3
    assert all(3 <= len(row) <= 10 for row in rows)  # 200 actions in episodes of 50 at most
    assert json.loads(files[0].read_text())["recipe_text"] == recipe.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[4, 5, 6]", "[4, 4]"), "seeds: is .* must be at least two different whole numbers"),
        (("[4, 5, 6]", "[4]"), "seeds: is"),
        (("[4, 5, 6]", "[4, true]"), "seeds: is"),
        (("[tiny]", "[idle]"), r"env_steps: is 200, must be at least 304 .*, for idle"),
        (("[tiny]", "[still]"), "recipes: still does not act in an environment"),
        (("env_steps: 200", "env_steps: 0"), "env_steps: is 0"),
        (("env_steps: 200", "env_steps: 200\nsteps: 3"), "steps: unknown key"),
    ],
)
def test_a_wrong_recipe_of_curves_is_refused_by_key(recipe: Path, change: tuple[str, str], message: str) -> None:
    recipe.write_text(recipe.read_text().replace(*change))
    with pytest.raises(FileError, match=message):
        load_curves_recipe(recipe)


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_trained(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nnik_ros.training.seeds.learning_curves.learn", lambda _: pytest.fail("it was trained"))
    assert main([str(recipe), "--output", str(tmp_path / "none" / "curves.json")]) == 2
    assert f"cannot be written: there is no folder {tmp_path / 'none'}" in capsys.readouterr().err


def test_curves_that_a_full_disk_does_not_take_are_told(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(recipe), "--output", "/dev/full"]) == 2
    assert "/dev/full: 1 problem\n  - cannot be written: No space left" in capsys.readouterr().err


def test_the_shipped_curves_are_of_the_shipped_recipe_with_at_least_three_seeds() -> None:
    recipe = load_curves_recipe(SHIPPED)
    file = share_dir() / "models" / "seeds" / FILE
    found = read_curves(file)
    assert json.loads(file.read_text())["recipe_text"] == SHIPPED.read_text()
    assert list(found) == [base.name for base in recipe.recipes]
    for band in found.values():
        assert len(band["seeds"]) >= 3 and band["seeds"] == list(recipe.seeds)
        assert all(len(rows) == len(recipe.seeds) for rows in band["curves"].values())


def test_the_page_tells_seeds_actions_and_spread(tmp_path: Path) -> None:
    rows = [[9.0] * 10, [30.0] * 10, [60.0] * 10]
    bands = {"s2_allegro_dqn": {"seeds": [1, 2, 3], "env_steps": 4000, "curves": {"final error, mm": rows}}}
    comparisons = compare.compare([share_dir() / "models" / "seeds" / "s2_allegro_dqn.onnx"], 20)
    pictures = []
    for given in (bands, None):
        write_page(tmp_path, comparisons, 20, given)
        pictures.append((tmp_path / "images" / "seeds_curves.png").read_bytes())
        text = (tmp_path / "seeds.md").read_text()
        assert ("means of 3 seeds" in text and "4,000 actions each" in text) == (given is not None)
        assert ("s2_allegro_dqn 33 (9 to 60)" in text) == (given is not None)
    assert pictures[0] != pictures[1]


def test_a_file_of_another_origin_holds_no_curves(tmp_path: Path) -> None:
    assert read_curves(tmp_path / "absent.json") == {}
    (tmp_path / "other.json").write_text(json.dumps(np.arange(3).tolist()))
    with pytest.raises(FileError, match="holds no learning curves"):
        read_curves(tmp_path / "other.json")
