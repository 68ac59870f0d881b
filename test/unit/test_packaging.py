"""What is installed is what the package needs, and one fact stands in one place."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

import pytest

from test.conftest import BESIDE_ROS, EVERYTHING_IS_HERE

ROOT = Path(__file__).resolve().parents[2]
DATA_FOLDERS = ("config", "urdf", "models", "launch")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package installed by pip under a prefix of its own, from a copy of the sources."""
    folder = tmp_path_factory.mktemp("install")
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--prefix"]
    subprocess.run([*command, str(folder / "prefix"), str(source)], check=True, capture_output=True)
    return folder / "prefix"


def test_an_installation_finds_every_data_file_of_the_sources(installation: Path) -> None:
    share = installation / "share" / "nnik_ros"
    wanted = {
        path.relative_to(ROOT) for folder in DATA_FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()
    }
    wanted = {path for path in wanted if path.name != "README.md" and "__pycache__" not in path.parts}
    assert {path.relative_to(share) for path in share.rglob("*") if path.is_file()} >= wanted


def test_an_installation_holds_every_module_and_the_marker_that_shows_type_checkers_their_annotations(
    installation: Path,
) -> None:
    (site,) = installation.glob("lib/python3.*/site-packages")
    wanted = {path.relative_to(ROOT) for path in (ROOT / "nnik_ros").rglob("*.py")} | {Path("nnik_ros/py.typed")}
    found = {path.relative_to(site) for path in (site / "nnik_ros").rglob("*") if path.is_file()}
    assert {path for path in found if "__pycache__" not in path.parts} == wanted


def test_an_installed_package_loads_its_shipped_robots_from_anywhere(installation: Path, tmp_path: Path) -> None:
    (site,) = installation.glob("lib/python3.*/site-packages")
    code = (
        "from nnik_ros.paths import robot_file; from nnik_ros.robot import load_robot;"
        "robot = load_robot(robot_file('allegro_right')); print(robot.nq, robot.urdf_path.resolve())"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(site)!r}); {code}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.startswith("16 ")
    assert str(installation) in result.stdout


def test_the_version_of_the_manifest_heads_the_change_log() -> None:
    version = ElementTree.parse(ROOT / "package.xml").getroot().findtext("version")
    newest = re.search(r"^(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == version


def dependencies(kind: str) -> set[str]:
    return {str(element.text) for element in ElementTree.parse(ROOT / "package.xml").getroot().iter(kind)}


def imported(files: Iterable[Path]) -> set[str]:
    return {name for path in files for name in re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE)}


def test_every_ros_package_that_a_node_imports_is_a_dependency_of_the_manifest() -> None:
    ros = {
        "rclpy",
        "std_srvs",
        "builtin_interfaces",
        "tf2_ros",
        "launch",
        "launch_ros",
        "interactive_markers",
        "rcl_interfaces",
    }
    modules = imported([*(ROOT / "nnik_ros" / "nodes").glob("*.py"), *(ROOT / "launch").glob("*.py")])
    wanted = {name for name in modules if name.endswith("_msgs") or name in ros}
    assert {"tf2_ros", "rclpy", "sensor_msgs"} <= wanted
    package_of = {"tf2_ros": "tf2_ros_py"}  # tf2_ros itself is the library for C++
    assert {package_of.get(name, name) for name in wanted} <= dependencies("exec_depend")


def test_the_build_type_is_no_dependency_for_rosdep_does_not_know_it() -> None:
    root = ElementTree.parse(ROOT / "package.xml").getroot()
    assert root.findtext("export/build_type") == "ament_python"
    assert "ament_python" not in {element.text for element in root if "depend" in element.tag}


def test_every_package_that_the_tests_need_is_a_dependency_of_the_manifest() -> None:
    keys = {"pytest": "python3-pytest", "hypothesis": "python3-hypothesis", "scipy": "python3-scipy", "PIL": "python3-pil",
            "selenium": "python3-selenium"}  # fmt: skip
    wanted = {keys[name] for name in imported((ROOT / "test").rglob("*.py")) & keys.keys()}
    assert wanted == set(keys.values())
    assert dependencies("test_depend") == wanted | {"python3-pytest-timeout"}  # of the option in pyproject.toml


ROS_ALONE = """
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
absent = classmethod(lambda cls, name, *rest: None if name.partition(".")[0] in {absent} else find(name, *rest))
PathFinder.find_spec = absent
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def with_ros_alone(*tests: str, owner: bool) -> subprocess.CompletedProcess[str]:
    """Tests where nothing is installed that a ROS 2 does not bring; owner: of the run that should have installed it."""
    variables = {name: value for name, value in os.environ.items() if name != EVERYTHING_IS_HERE}
    return subprocess.run(
        [sys.executable, "-c", ROS_ALONE.format(absent=BESIDE_ROS), "-p", "no:cacheprovider", *tests], cwd=ROOT,
        env={**variables, EVERYTHING_IS_HERE: "1"} if owner else variables, capture_output=True, text=True,
    )  # fmt: skip


def test_in_the_run_that_installs_everything_what_is_missing_is_a_failure() -> None:
    done = with_ros_alone(
        "test/unit/test_onnx_bytes.py", "test/unit/test_kinematics.py", "-k", "torch or onnx", owner=True
    )
    assert "No module named 'onnx'" in done.stdout, done.stdout
    assert "skipped" not in done.stdout
    assert re.search(r"= .*\b1 error in ", done.stdout), done.stdout


def test_where_only_what_the_manifest_names_is_installed_tests_that_need_more_are_skipped_and_say_so() -> None:
    tests = ["test/unit/test_onnx_bytes.py", "test/unit/test_kinematics.py", "test/training/test_step.py"]
    done = with_ros_alone(*tests, "test/training/test_series.py", "-k", "torch or onnx or step or series", owner=False)
    assert done.returncode == 0, done.stdout  # the series are numbers alone
    for where, what in (("test_kinematics", "torch"), ("test_step", "torch"), ("test_onnx_bytes", "onnx")):
        assert re.search(rf"{where}.*needs {what}, which `./run test` installs", done.stdout)


def test_where_a_package_is_installed_a_test_that_fails_to_import_from_it_is_not_skipped(tmp_path: Path) -> None:
    hides = (
        "def test(monkeypatch):\n    monkeypatch.setitem(__import__('sys').modules, 'onnx', None)\n    import onnx\n"
    )
    texts = ("import onnx.no_such_part\n", "def test():\n    import onnx.no_such_part\n", hides)
    for number, text in enumerate(texts):
        (tmp_path / f"test_{number}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "test.conftest"]
    command += ["--continue-on-collection-errors", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert re.search(r"= 2 failed, 1 error in ", done.stdout), done.stdout
