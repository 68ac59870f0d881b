"""What the pages of docs/ tell to type can be typed: Python runs, commands exist, examples and arguments are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.driver import joint_map, load_driver
from nnik_ros.nodes.marker_options import MarkerOptions
from nnik_ros.nodes.node_options import SimHandOptions
from nnik_ros.nodes.web_options import WebOptions
from nnik_ros.options import describe
from nnik_ros.robot import load_robot
from nnik_ros.tape_checks import CALLS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md")) + [
    ROOT / "docs" / name for name in ("robots.md", "migration.md", "safety.md")
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_there_are_python_blocks_to_run() -> None:
    assert sum(bool(blocks(page, "python")) for page in PAGES) >= 3


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path) -> None:
    code = "\n".join(blocks(page, "python"))
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    listed = subprocess.run([sys.executable, ROOT / "run", "help"], capture_output=True, text=True, check=True).stdout
    known = {line.split()[0] for line in listed.splitlines() if line.startswith("  ")}
    assert set(re.findall(r"\./run ([a-z-]+)", text)) <= known
    missing = [path for path in re.findall(r"\bexamples/[\w./]+\b", text) if not (ROOT / path).exists()]
    assert [path for path in missing if not path.endswith(".onnx")] == [], "a network is made by following the page"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_launch_arguments_of_a_page_exist(page: Path) -> None:
    sources = "".join((ROOT / "launch" / name).read_text() for name in ("controller.launch.py", "demo.launch.py"))
    given = set()
    for command in re.findall(r"ros2 launch nnik_ros (?:[^\n`]|\\\n)*", page.read_text()):
        given |= set(re.findall(r"(\w+):=", command))
    assert {name for name in given if f'"{name}"' not in sources} == set()


def test_every_file_that_the_robot_page_gives_as_an_argument_lies_there_from_the_folder_of_the_sources() -> None:
    text = (ROOT / "docs" / "robots.md").read_text()
    folders = {"PWD": "", **dict(re.findall(r"^(\w+)=(\S+)$", text, re.MULTILINE))}
    given = re.findall(r":=\$(\w+)/([\w./]+\.yaml)", text)
    assert len(given) >= 4
    assert [name for folder, name in given if not (ROOT / folders[folder] / name).exists()] == []


@pytest.mark.parametrize(
    ("node", "kind"), [("sim_hand_node", SimHandOptions), ("marker_node", MarkerOptions), ("web_node", WebOptions)]
)
def test_every_parameter_of_a_node_is_told_and_no_other(node: str, kind: type) -> None:
    page = (ROOT / "docs" / "tutorials" / "2_with_rviz.md").read_text()
    (row,) = re.findall(rf"^\| `{node}` \| (.*) \|$", page, re.MULTILINE)
    infos = {info.name: info for info in describe(kind)}
    choices = {choice for info in infos.values() for choice in info.choices}
    assert set(re.findall(r"`(\w+)`", row)) - choices == set(infos)
    for name, default in re.findall(r"`(\w+)` \((\d+)", row):
        assert float(default) == infos[name].default


def test_every_call_that_a_recording_may_hold_is_told_and_no_other() -> None:
    page = (ROOT / "docs" / "tutorials" / "6_record_and_replay.md").read_text()
    (told,) = re.findall(r'^- `\{"call": \.\.\.\}`: ([\w, ]+)', page, re.MULTILINE)
    assert set(re.split(r", | or ", told.split(", with")[0])) == set(CALLS)


def test_the_yaml_of_the_robot_page_is_the_example_of_the_folder() -> None:
    folder = ROOT / "examples" / "three_fingers"
    files = "".join(path.read_text() for path in folder.rglob("*.yaml"))
    words = set(re.split(r"\s+", files))
    for block in blocks(ROOT / "docs" / "robots.md", "yaml"):
        told = [word for line in block.splitlines() for word in line.split("#")[0].split() if re.search(r"\w", word)]
        assert {word for word in told if word.strip("{}[],") not in {w.strip("{}[],") for w in words}} == set()


def test_the_example_robot_and_its_driver_fit_each_other() -> None:
    folder = ROOT / "examples" / "three_fingers"
    robot = load_robot(folder / "three_fingers.yaml")
    joints = joint_map(load_driver(folder / "driver.yaml"), robot)
    assert (robot.nq, robot.nt) == (9, 3)
    assert [robot.joint_names[i] for i in joints.robot_index[:3]] == ["c_spread", "c_root", "c_middle"]
    tips = robot.kinematics.tip_position(robot.home)
    turn = np.array([[-0.5, -np.sqrt(0.75)], [np.sqrt(0.75), -0.5]])  # by 120 degrees, from one finger to the next
    np.testing.assert_allclose(tips[1, :2], turn @ tips[0, :2], atol=1e-6)
