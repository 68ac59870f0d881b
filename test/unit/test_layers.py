"""The folder tells the budget: what a file may import follows from where it lies."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "nnik_ros"
CORE = {"numpy", "yaml"}
LIBRARY_OF = {"onnx_policy.py": "onnxruntime", "compiled.py": "numba", "bag_reader.py": "rosbags"}
FENCES = {
    "sim": CORE | {"mujoco"},
    "training": CORE | {"torch", "onnx", "matplotlib", "gymnasium", "stable_baselines3", "rosbags", "scipy"},
}
ROS = {
    "rclpy", "sensor_msgs", "geometry_msgs", "std_msgs", "std_srvs", "diagnostic_msgs", "trajectory_msgs",
    "visualization_msgs", "builtin_interfaces", "rcl_interfaces", "lifecycle_msgs", "tf2_ros", "viser", "interactive_markers",
}  # fmt: skip
INNER_ORDER = [
    "errors", "yaml_file", "options", "compiled", "kernels.points", "kernels.joints", "kernels.chains", "kernels.references",
    "kernels.fingers", "kernels.free_degree", "kernels.progress", "kernels.capsules", "kernels.motion", "geometry", "urdf",
    "kinematics", "robot", "link_places", "calibration", "contract", "policy", "limits", "baseline", "guard", "goal_stream",
    "governor", "collision", "controller_options", "states", "measured_hand", "trust", "motion", "holding", "escape", "way_out",
    "guarded_solver", "closest", "posture", "controller",
]  # fmt: skip
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules = (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if node.module in ("nnik_ros", "nnik_ros.kernels")
                else [node.module or ""]
            )
            found.update(modules)
    return found


def foreign(path: Path) -> set[str]:
    tops = {name.split(".")[0] for name in imports(path)}
    return tops - set(sys.stdlib_module_names) - {"nnik_ros", "__future__"}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_imports_only_what_its_folder_allows(path: Path) -> None:
    if path.parts[0] == "nodes":
        assert not foreign(path) & {"torch", "onnx", "matplotlib", "gymnasium"}
    elif path.parts[0] in FENCES:
        assert foreign(path) <= FENCES[path.parts[0]]
    elif path.name in LIBRARY_OF:
        assert foreign(path) <= CORE | {LIBRARY_OF[path.name]}
    else:
        assert foreign(path) <= CORE


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_file_outside_nodes_imports_ros_or_a_node(path: Path) -> None:
    if path.parts[0] != "nodes":
        assert not foreign(path) & ROS
        assert not any(name.startswith("nnik_ros.nodes") for name in imports(path))


@pytest.mark.parametrize("module", INNER_ORDER)
def test_the_core_imports_only_what_stands_before_it(module: str) -> None:
    allowed = {f"nnik_ros.{name}" for name in INNER_ORDER[: INNER_ORDER.index(module)]}
    assert {
        name for name in imports(Path(*module.split(".")).with_suffix(".py")) if name.startswith("nnik_ros")
    } <= allowed


def test_the_controller_and_the_network_load_without_ros_torch_or_mujoco() -> None:
    code = "import sys, nnik_ros.controller, nnik_ros.onnx_policy; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"rclpy", "torch", "mujoco", "onnx", "matplotlib"} & set(loaded)


def test_the_page_for_contributors_names_every_file_with_a_library_of_its_own() -> None:
    page = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
    rows = dict(re.findall(r"^\| `nnik_ros/(\w+\.py)` \| (\w+)", page, re.MULTILINE))
    assert rows == LIBRARY_OF
