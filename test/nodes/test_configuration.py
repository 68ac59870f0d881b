"""The parameter file and the launch files say what the code says."""

from __future__ import annotations

import pytest
import yaml
from node_bench import Lab

from nnik_ros.controller_options import ControllerOptions
from nnik_ros.nodes.node_options import NodeOptions
from nnik_ros.options import describe
from nnik_ros.paths import share_dir

CONFIG = share_dir() / "config" / "controller.yaml"
INFOS = [*describe(NodeOptions), *describe(ControllerOptions)]


def test_the_parameter_file_holds_every_option_with_its_default() -> None:
    (parameters,) = yaml.safe_load(CONFIG.read_text()).values()
    assert parameters["ros__parameters"] == {info.name: info.plain for info in INFOS}


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_the_parameter_file_tells_what_each_option_is(info) -> None:
    words = " ".join(CONFIG.read_text().replace("#", " ").split())
    assert info.doc in words
    if info.low > float("-inf") or info.choices:
        assert info.allowed in words


def test_the_parameter_file_reaches_a_controller_in_any_namespace(lab: Lab, tmp_path) -> None:
    document = yaml.safe_load(CONFIG.read_text())
    (parameters,) = document.values()
    parameters["ros__parameters"]["robot"] = "named_in_the_file"
    path = tmp_path / "controller.yaml"
    path.write_text(yaml.safe_dump(document))
    for namespace in ("/", "/left/arm"):
        process = lab.start("controller_node", namespace, params_file=path)
        assert process.exit_code() == 1
        assert "'named_in_the_file'" in process.output
