"""The keys of the files that connect a hand are those that the pages beside them tell of."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnik_ros.driver import load_driver
from nnik_ros.errors import FileError
from nnik_ros.paths import share_dir
from nnik_ros.robot import load_robot
from nnik_ros.sim.options import load_sim_options

CONFIG = share_dir() / "config"
NONSENSE = "nonsense"


def told(page: Path, heading: str) -> set[str]:
    """Keys of the table below a heading; after `a.b` in the same row, `c` and `.c` are short for `a.c`."""
    section = page.read_text().partition(f"# {heading}\n")[2].partition("\n## ")[0]
    keys: set[str] = set()
    for cell in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE):
        first, *others = re.findall(r"`([^`]*)`", cell)
        before = first.rpartition(".")[0]
        keys |= {first} | {
            f"{before}.{key.removeprefix('.')}" if before and not key.startswith(before) else key for key in others
        }
    return keys


def known(load: Callable[[Path], Any], file: Path, document: dict[str, Any], parts: list[str]) -> set[str]:
    """Keys that a loader allows, as it tells them of a key that it does not know in each of the parts."""
    for part in parts:
        place = document[part.removesuffix("[]")] if part else document
        (place[0] if part.endswith("[]") else place)[NONSENSE] = 1
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(FileError) as caught:
        load(file)
    keys = set()
    for problem in caught.value.problems:
        match = re.fullmatch(rf"(.*?)\.?{NONSENSE}: unknown key; allowed: (.*)", problem)
        assert match, problem
        part = match[1].replace("[0]", "[]")
        keys |= {f"{part}.{key}" if part else key for key in match[2].split(", ")}
    return keys


def without_parts(keys: set[str]) -> set[str]:
    return {key for key in keys if not any(other.startswith((f"{key}.", f"{key}[")) for other in keys)}


def test_the_keys_of_a_robot_are_those_of_the_page(tmp_path: Path) -> None:
    document = yaml.safe_load((CONFIG / "robots" / "spatial_2j.yaml").read_text())
    document["urdf"] = str(share_dir() / "urdf" / "spatial_2j.urdf")
    keys = known(load_robot, tmp_path / "robot.yaml", document, ["", "joints[]", "tips[]"])
    assert told(CONFIG / "robots" / "README.md", "Robots") == keys


def test_the_keys_of_a_driver_are_those_of_the_page(tmp_path: Path) -> None:
    document = yaml.safe_load((CONFIG / "drivers" / "joint_trajectory_controller.yaml").read_text())
    keys = known(load_driver, tmp_path / "driver.yaml", document, ["", "state", "command"])
    assert told(CONFIG / "drivers" / "README.md", "Driver profiles") == without_parts(keys)


def test_the_keys_of_a_simulation_are_those_of_the_page(tmp_path: Path) -> None:
    robot = load_robot(CONFIG / "robots" / "spatial_2j.yaml")
    document = yaml.safe_load((CONFIG / "robots" / "simulation" / "spatial_2j.yaml").read_text())

    def load(path: Path) -> Any:
        return load_sim_options(path, robot)

    keys = known(load, tmp_path / "simulation.yaml", document, ["", "joints[]"])
    assert told(CONFIG / "robots" / "README.md", "Simulation") == without_parts(keys)
