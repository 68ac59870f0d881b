"""A controller that cannot work says why, naming what was given and what is allowed, and does not start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from node_bench import Lab

from nnik_ros.paths import driver_file, robot_file
from test.robustness.processes import Process


def refusal(lab: Lab, **parameters: object) -> str:
    process = lab.start("controller_node", "/refused", **{"model": "none", **parameters})
    assert process.exit_code() == 1, process.output
    assert "Traceback" not in process.output
    return process.output


def test_an_unknown_robot_is_refused_with_the_shipped_ones(lab: Lab) -> None:
    output = refusal(lab, robot="shadow")
    assert "'shadow'" in output
    assert "allegro_right" in output


def test_an_unknown_driver_is_refused_with_the_shipped_ones(lab: Lab) -> None:
    output = refusal(lab, driver="v9")
    assert "'v9'" in output
    assert "allegro_v4" in output
    assert "wonik_ros2_control" in output


def test_a_parameter_file_that_is_no_yaml_is_refused_with_its_path(log_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text("controller: [")
    process = Process("nnik_ros.nodes.controller_node", ["--ros-args", "--params-file", str(path)], log_dir)
    assert process.exit_code() == 1, process.output
    assert str(path) in process.output
    assert "Traceback" not in process.output


def test_a_namespace_that_no_topic_can_have_is_refused(lab: Lab) -> None:
    assert "'left-hand/joint_states'" in refusal(lab, driver_namespace="left-hand")


def test_a_missing_network_is_refused_with_its_path(lab: Lab) -> None:
    assert "/nowhere/net.onnx" in refusal(lab, model="/nowhere/net.onnx")


def test_a_file_that_is_no_network_is_refused(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("not a network")
    output = refusal(lab, model=path)
    assert str(path) in output
    assert "not a usable ONNX file" in output


def test_a_network_of_somebody_else_is_refused(lab: Lab, tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "foreign",
        [value("x", 1, ["n", 2])],
        [value("y", 1, ["n", 2])],
    )
    path = tmp_path / "foreign.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    assert "not a network of this package" in refusal(lab, model=path)


def test_a_broken_robot_file_is_refused_with_every_problem(lab: Lab, tmp_path: Path) -> None:
    document = yaml.safe_load(robot_file("allegro_right").read_text())
    document["urdf"] = str(robot_file("allegro_right").parent / document["urdf"])
    document["colour"] = "black"
    document["joints"][3]["velocity"] = "fast"
    document["tips"][0]["link"] = "no_such_link"
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(document))
    output = refusal(lab, robot=path)
    assert str(path) in output
    for problem in ("colour", "'fast'", "no_such_link"):
        assert problem in output


def test_a_driver_that_lacks_a_joint_of_the_robot_is_refused(lab: Lab, tmp_path: Path) -> None:
    document = yaml.safe_load(driver_file("allegro_v4").read_text())
    document["joints"][15]["robot"] = "joint_16.0"
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(document))
    output = refusal(lab, driver=path)
    assert "'joint_15.0'" in output
    assert "'joint_16.0'" in output


def test_all_bad_parameters_are_reported_together(lab: Lab) -> None:
    output = refusal(lab, rate=5000.0, tolerance="small", on_stale_state="panic", spin=1, speeed=0.5)
    assert "rate: is 5000.0, must be a finite number within [50, 1000] Hz" in output
    assert "tolerance: is 'small'" in output
    assert "on_stale_state: is 'panic', must be one of 'hold', 'stop'" in output
    assert "spin: is 1" in output
    assert "speeed: unknown parameter; allowed: rate" in output


def test_whole_numbers_are_taken_where_numbers_are_asked_for(lab: Lab) -> None:
    bench = lab.bench(rate=200, speed=1)
    bench.until("IDLE")
    bench.reach(bench.robot.kinematics.tip_position(bench.robot.home + 0.02))
    assert np.isfinite(bench.hand.q).all()


def test_a_simulated_hand_of_an_unknown_robot_is_refused(lab: Lab) -> None:
    process = lab.start("sim_hand_node", "/refused", robot="shadow")
    assert process.exit_code() == 1
    assert "allegro_right" in process.output


@pytest.mark.parametrize(
    ("viser", "said"),
    [("None", "import of viser halted"), ("SimpleNamespace(GuiApi=object, __version__='1.0.30')", "viser is 1.0.30")],
)
def test_a_page_without_its_package_or_with_an_old_one_says_what_to_install(viser: str, said: str) -> None:
    begin = f"import runpy, sys; from types import SimpleNamespace; sys.modules['viser'] = {viser}"
    program = f"{begin}; runpy.run_module('nnik_ros.nodes.web_node', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr and "pip install 'viser>=1.1'" in done.stderr
    assert "Traceback" not in done.stderr


def test_links_that_have_nothing_but_meshes_to_be_kept_apart_by_are_warned_of(lab: Lab, tmp_path: Path) -> None:
    robot = robot_file("allegro_right").read_text().replace("../../urdf/", "")
    (tmp_path / "robot.yaml").write_text(robot)
    shape = '<cylinder radius="0.012" length="0.0207"/></geometry></collision>'
    urdf = lab.robot.urdf_path.read_text()
    assert urdf.count(shape) >= 2
    meshes = urdf.replace(shape, '<mesh filename="package://hand/tip.stl"/></geometry></collision>', 2)
    (tmp_path / "allegro_right.urdf").write_text(meshes)
    bench = lab.bench(robot=str(tmp_path / "robot.yaml"))
    bench.until("IDLE")
    assert "nothing is kept from links that have no others: link_3.0, link_7.0; give them boxes" in bench.process.output
