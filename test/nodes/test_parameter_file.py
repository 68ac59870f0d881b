"""What a parameter file holds for a node, beside what rcl gives to a real node."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.node import Node

from nnik_ros.nodes.parameter_file import parameters_of, sections_of_others, with_last_word

TWO_HANDS = """
/left/controller: {ros__parameters: {robot: allegro_left, driver: allegro_v4}}
/right/controller: {ros__parameters: {robot: allegro_right, speed: 0.2}}
"""
NESTED = """
right: {controller: {ros__parameters: {robot: allegro_right, speed: 0.2}}}
left: {controller: {ros__parameters: {robot: allegro_left}}, web: {ros__parameters: {port: 8081}}}
lab: {left: {controller: {ros__parameters: {robot: planar_2r}}}}
"""
ORDERED = """
/left/controller: {ros__parameters: {robot: allegro_left, speed: 0.1}}
/**: {ros__parameters: {speed: 0.3, driver: simulated}}
/*/controller: {ros__parameters: {driver: allegro_v4}}
"""
WILD = """
'*': {ros__parameters: {a: 1}}
/*/*: {ros__parameters: {b: 2}}
'**/left/controller': {ros__parameters: {c: 3}}
'**': {controller: {ros__parameters: {d: 4}}}
/lab/**: {ros__parameters: {e: 5}}
left/**/controller: {ros__parameters: {f: 6}}
"""


def started_with(text: str, namespace: str, folder: Path) -> tuple[Path, Node]:
    """A parameter file, and a node that rcl gives what it reads there."""
    path = folder / "parameters.yaml"
    path.write_text(text)
    return path, Node(
        "controller", namespace=namespace, cli_args=["--ros-args", "--params-file", str(path)],
        automatically_declare_parameters_from_overrides=True, start_parameter_services=False, enable_rosout=False,
    )  # fmt: skip


@pytest.mark.parametrize("namespace", ["/", "/left", "/right", "/lab/left"])
@pytest.mark.parametrize("text", [TWO_HANDS, NESTED, ORDERED, WILD], ids=["two hands", "nested", "ordered", "wild"])
def test_a_parameter_file_is_read_as_rcl_reads_it(text: str, namespace: str, tmp_path: Path) -> None:
    path, node = started_with(text, namespace, tmp_path)
    own = ("use_sim_time", "start_type_description_service")
    given = {name: value.value for name, value in node.get_parameters_by_prefix("").items() if name not in own}
    assert parameters_of(path, node.get_fully_qualified_name()) == given
    node.destroy_node()


@pytest.mark.parametrize("namespace", ["/", "/left", "/right"])
@pytest.mark.parametrize("text", [TWO_HANDS, NESTED, ORDERED, WILD])
@pytest.mark.parametrize("before", [[], ["-p", "use_sim_time:=false"]])
def test_what_has_the_last_word_is_what_rcl_gives_the_node(
    before: list[str], text: str, namespace: str, tmp_path: Path
) -> None:
    own, last = tmp_path / "parameters.yaml", tmp_path / "last.yaml"
    own.write_text(text)
    wanted = {
        "speed": 0.05,
        "driver": "1e3",
        "robot": "true",
        "model": "ä: '0' 🖐 \x7f\x92",
        "rate": 1e-6,
        "f": 7,
        "lock_memory": True,
    }
    node = f"{namespace.rstrip('/')}/controller"
    last.write_text(with_last_word(wanted, node, [own]), encoding="utf-8")
    files = [word for path in (own, last) for word in ("--params-file", str(path))]
    started = Node(
        "controller", namespace=namespace, cli_args=["--ros-args", *before, *files],
        automatically_declare_parameters_from_overrides=True, start_parameter_services=False, enable_rosout=False,
    )  # fmt: skip
    assert {name: started.get_parameter(name).value for name in wanted} == wanted
    started.destroy_node()


@pytest.mark.parametrize("namespace", ["/", "/left", "/lab/left"])
@pytest.mark.parametrize("text", [
    "controller: {ros__parameters: {speed: 0.1}}", "/left: {controller: {ros__parameters: {speed: 0.1}}}",
    "nnik: {ros__parameters: {speed: 0.1}}", "/*/controller: {ros__parameters: {speed: 0.1}}",
])  # fmt: skip
def test_a_file_of_which_rcl_gives_a_node_nothing_is_told_with_the_names_in_it(
    text: str, namespace: str, tmp_path: Path
) -> None:
    path, node = started_with(text, namespace, tmp_path)
    others = sections_of_others(path, [node.get_fully_qualified_name()])
    assert bool(others) is not node.has_parameter("speed")
    node.destroy_node()
    assert all(other.split("/")[-1] in text for other in others)


@pytest.mark.parametrize(
    "text",
    [
        "left: [", "", "- 1", "left: 1", "/left/controller: {robot: allegro_left}", "1: {2: 3}",
        "/left/controller: {ros__parameters: }", "/left/controller: {ros__parameters: [1]}",
    ],
)  # fmt: skip
def test_nothing_is_found_in_what_is_no_parameter_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text(text)
    for file in (path, tmp_path / "missing.yaml"):
        assert parameters_of(file, "/left/controller") == {}
        assert sections_of_others(file, ["/left/controller"]) == []
