"""The launch files, where ROS 2's launch is installed: what they start, and what they say to a wrong argument.

launch and launch_ros are part of ROS 2 and not on PyPI. robot_state_publisher and rviz2 are stood in for by programs that
write down how they were called, so no display is needed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticStatus
from node_bench import Station, pose_stamped, wait_for
from rcl_interfaces.srv import GetParameters
from sensor_msgs.msg import JointState
from sourced import where_sourced

from nnik_ros.paths import robot_file, share_dir, shipped
from nnik_ros.robot import load_robot
from test.robustness.processes import PATIENCE

ROOT = share_dir()
INSTALLED = importlib.util.find_spec("launch_ros") is not None
pytestmark = where_sourced("launch_ros", INSTALLED)
NODES = ("controller_node", "sim_hand_node", "web_node", "marker_node")
START = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

file, *words = sys.argv[1:]
service = LaunchService(argv=words)  # as `ros2 launch FILE` does
arguments = [word.split(":=") for word in words]
include = IncludeLaunchDescription(PythonLaunchDescriptionSource(file), launch_arguments=arguments)
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""
AROUND = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration


def generate_launch_description():
    controller = PythonLaunchDescriptionSource("{controller}")
    namespace = {{"namespace": LaunchConfiguration("place")}}.items()
    return LaunchDescription(
        [DeclareLaunchArgument("place"), IncludeLaunchDescription(controller, launch_arguments=namespace)]
    )
"""
PUSHED = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import PushRosNamespace


def generate_launch_description():
    controller = IncludeLaunchDescription(PythonLaunchDescriptionSource("{controller}"))
    pushed = PushRosNamespace(LaunchConfiguration("place"))
    return LaunchDescription([DeclareLaunchArgument("place"), GroupAction([pushed, controller])])
"""
SET = """
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import SetParameter


def generate_launch_description():
    controller = IncludeLaunchDescription(PythonLaunchDescriptionSource("{controller}"))
    return LaunchDescription([SetParameter("use_sim_time", False), controller])
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ament prefix whose programs are the nodes of the source tree, and stand-ins for the others."""
    prefix = tmp_path_factory.mktemp("prefix")
    programs = {"nnik_ros": NODES, "robot_state_publisher": ("robot_state_publisher",), "rviz2": ("rviz2",)}
    for package, names in programs.items():
        index = prefix / "share" / "ament_index" / "resource_index" / "packages" / package
        index.parent.mkdir(parents=True, exist_ok=True)
        index.touch()
        (prefix / "lib" / package).mkdir(parents=True)
        for name in names:
            own = f'exec {sys.executable} -m nnik_ros.nodes.{name} "$@"'
            other = f'echo "$@" > {prefix}/{name}.txt; exec sleep 1000'
            path = prefix / "lib" / package / name
            path.write_text(f"#!/bin/sh\n{own if package == 'nnik_ros' else other}\n")
            path.chmod(0o755)
    return prefix


class Launched:
    """A launch file in a process of its own."""

    def __init__(self, prefix: Path, log: Path, file: Path, *arguments: str) -> None:
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        ament = [str(prefix), os.environ.get("AMENT_PREFIX_PATH", "")]
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1", "ROS_LOG_DIR": str(log),
            "AMENT_PREFIX_PATH": os.pathsep.join(filter(None, ament)), "OVERRIDE_LAUNCH_PROCESS_OUTPUT": "log",
        }  # fmt: skip
        self._output = log / "output.txt"
        with self._output.open("wb") as file_handle:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, str(file), *arguments], env=environment, stdout=file_handle,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def exit_code(self) -> int:
        return self._process.wait(PATIENCE)

    def interrupt(self) -> None:
        """What Ctrl-C in a terminal does: everything that was started hears it."""
        os.killpg(self._process.pid, signal.SIGINT)

    def close(self) -> None:
        if self.alive:
            self.interrupt()
        try:
            self._process.wait(15.0)
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(self._process.pid, number)
                except ProcessLookupError:
                    break


@pytest.fixture
def launch_file(prefix: Path, tmp_path: Path) -> Iterator[type]:
    started: list[Launched] = []

    def start(name: str | Path, *arguments: str) -> Launched:
        started.append(Launched(prefix, tmp_path, ROOT / name, *arguments))
        return started[-1]

    yield start  # type: ignore[misc]
    for launched in started:
        launched.close()


def values_of(statuses: list[DiagnosticStatus]) -> dict[str, str]:
    return {pair.key: pair.value for pair in statuses[-1].values} if statuses else {}


def state_of(statuses: list[DiagnosticStatus]) -> str:
    return values_of(statuses).get("state", "")


def test_the_demo_starts_a_hand_that_waits_for_targets_and_rviz_with_the_robots_view(
    launch_file, prefix, lab, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    station: Station = lab.station()
    statuses = station.listen(DiagnosticStatus, "status")
    given = (
        f"namespace:={station.namespace}",
        "web:=false",
        "rate:=100",
        "model:=none",
        "hand:=left",
        "frame_prefix:=lab/left/",
    )
    launched = launch_file("launch/demo.launch.py", *given)
    wait_for(lambda: state_of(statuses) == "IDLE", "the controller to wait for targets", launched)
    assert statuses[-1].hardware_id == "allegro_left"
    rviz = prefix / "rviz2.txt"
    wait_for(lambda: rviz.is_file() and rviz.read_text().strip(), "RViz", launched)
    words = rviz.read_text().split()
    assert f"__ns:={station.namespace}" in words
    view = yaml.safe_load(Path(words[words.index("-d") + 1]).read_text())["Visualization Manager"]
    assert view["Global Options"]["Fixed Frame"] == "lab/left/palm_link"
    assert [entry["TF Prefix"] for entry in view["Displays"] if "TF Prefix" in entry] == ["lab/left"]
    assert 0.2 < view["Views"]["Current"]["Distance"] < 1.0
    assert not re.search(r"Value: /", (ROOT / "config" / "robot.rviz").read_text()), "a topic of the view is absolute"
    publisher = (prefix / "robot_state_publisher.txt").read_text()
    assert "joint_states:=measured_joints" in publisher
    (file,) = re.findall(r"--params-file (\S+)", publisher)
    ((node, values),) = yaml.safe_load(Path(file).read_text()).items()
    assert node == f"{station.namespace}/robot_state_publisher"
    urdf = load_robot(robot_file("allegro_left")).urdf_path.read_text()
    assert values == {"ros__parameters": {"robot_description": urdf, "frame_prefix": "lab/left/"}}
    assert not list(tmp_path.glob("launch_params_*")), "which nobody would remove"
    topics = dict(station.node.get_topic_names_and_types())
    wait_for(
        lambda: f"{station.namespace}/tip_markers/update" in dict(station.node.get_topic_names_and_types()),
        f"the markers, among {sorted(topics)}", launched,
    )  # fmt: skip


def test_a_controller_without_a_robot_says_that_it_waits_for_one(launch_file, lab) -> None:
    station: Station = lab.station()
    statuses = station.listen(DiagnosticStatus, "status")
    given = (f"namespace:={station.namespace}", "driver:=allegro_v5", "robot:=allegro_v5_a_right", "model:=none")
    launched = launch_file("launch/controller.launch.py", *given)
    wait_for(lambda: state_of(statuses) == "WAITING_STATE", "the controller to wait", launched)
    assert "allegroHand_0/joint_states" in statuses[-1].message


def test_robot_and_driver_of_a_parameter_file_are_those_of_all_nodes(launch_file, lab, tmp_path: Path) -> None:
    station: Station = lab.station()
    statuses = station.listen(DiagnosticStatus, "status")
    spoken = station.listen(JointState, "allegroHand_0/joint_states")
    path = tmp_path / "mine.yaml"
    named = {"robot": "allegro_v5_b_left", "driver": "allegro_v5", "model": "none"}
    path.write_text(yaml.safe_dump({"/**/controller": {"ros__parameters": named}}))
    given = (
        f"namespace:={station.namespace}",
        f"parameters:={path}",
        "sim:=true",
        "physics:=stiff",
        "start_paused:=false",
    )
    launched = launch_file("launch/controller.launch.py", *given)
    wait_for(lambda: state_of(statuses) == "IDLE", "the controller to run", launched)
    assert statuses[-1].hardware_id == "allegro_v5_b_left"
    wait_for(lambda: spoken, "joint states", launched)
    assert spoken[-1].name[0] == "joint_0_0", "the simulated hand was another one"


def test_of_a_parameter_file_for_two_hands_each_one_gets_its_own_section(launch_file, lab, tmp_path: Path) -> None:
    """Both once got the robot and driver of the last one."""
    station: Station = lab.station()
    statuses = station.listen(DiagnosticStatus, "left/status")
    spoken = station.listen(JointState, "left/allegroHand_0/joint_states")
    left = {"robot": "allegro_v5_b_left", "driver": "allegro_v5", "model": "none", "start_paused": False}
    right = {"robot": "planar_2r", "driver": "joint_state", "driver_namespace": "elsewhere"}
    path = tmp_path / "both.yaml"
    sections = {
        f"{station.namespace}/left": {"controller": {"ros__parameters": left}},
        f"{station.namespace}/right/controller": {"ros__parameters": right},
        "camera": {"driver": {"ros__parameters": {"rate": 30}}},
    }
    path.write_text(yaml.safe_dump(sections, sort_keys=False))
    around = tmp_path / "around.launch.py"
    around.write_text(PUSHED.format(controller=ROOT / "launch" / "controller.launch.py"))
    words = (f"parameters:={path}", "namespace:=left", "sim:=true", "physics:=stiff")
    launched = launch_file(around, f"place:={station.namespace}", *words)
    wait_for(lambda: state_of(statuses) == "IDLE", "the controller to run", launched)
    assert statuses[-1].hardware_id == "allegro_v5_b_left"
    wait_for(lambda: spoken, "joint states", launched)
    assert spoken[-1].name[0] == "joint_0_0", "the simulated hand was another one"


def test_two_hands_live_side_by_side_and_a_target_of_one_leaves_the_other_alone(launch_file, lab) -> None:
    station: Station = lab.station()
    sides = ("right", "left")
    statuses = {side: station.listen(DiagnosticStatus, f"/{side}/status") for side in sides}
    launched = launch_file("examples/two_hands.launch.py")
    wait_for(lambda: all(state_of(heard) == "IDLE" for heard in statuses.values()), "two hands", launched)
    assert {side: heard[-1].hardware_id for side, heard in statuses.items()} == {
        side: f"allegro_{side}" for side in sides
    }
    target = pose_stamped("left/palm_link", (0.09, -0.05, 0.05))

    def index_of(side: str) -> str:
        return values_of(statuses[side]).get("index.state", "")

    wait_for(
        lambda: station.publish("/left/index/target_pose", target) or index_of("left") in ("TRACKING", "REACHED"),
        "the left hand to take its target", launched,
    )  # fmt: skip
    heard = len(statuses["right"])
    wait_for(  # a finger that had a target once is never idle again
        lambda: len(statuses["right"]) > heard + 10 and index_of("right") == "IDLE", "the right hand to be idle", launched
    )  # fmt: skip


@pytest.mark.parametrize("everywhere", ["by the parameter file", "by the launch file around it"])
def test_arguments_go_before_the_parameter_file_also_where_something_is_set_for_every_node(
    launch_file, lab, tmp_path: Path, everywhere: str
) -> None:
    """rcl took them with what is set for every node, and so before the parameter file: a hand once had its full speed."""
    station: Station = lab.station()
    statuses = station.listen(DiagnosticStatus, "status")
    around, path = tmp_path / "around.launch.py", tmp_path / "mine.yaml"
    around.write_text(SET.format(controller=ROOT / "launch" / "controller.launch.py"))
    sections = {"/**/controller": {"ros__parameters": {"robot": "planar_2r", "driver": "joint_state", "speed": 1.0}}}
    if everywhere == "by the parameter file":
        sections = {"/**": {"ros__parameters": {"use_sim_time": False}}, **sections}
    path.write_text(yaml.safe_dump(sections, sort_keys=False))
    given = ("robot:=allegro_left", "driver:=allegro_v4", "speed:=0.1", "model:=none", f"parameters:={path}")
    file = "launch/controller.launch.py" if everywhere == "by the parameter file" else around
    launched = launch_file(file, f"namespace:={station.namespace}", *given)
    wait_for(lambda: bool(statuses), "the controller", launched)
    asked = GetParameters.Request(names=["robot", "driver", "speed"])
    robot, driver, speed = station.call(GetParameters, "controller/get_parameters", asked).values
    assert (robot.string_value, driver.string_value, speed.double_value) == ("allegro_left", "allegro_v4", 0.1)


def test_the_parameter_file_is_read_by_the_nodes_beside_the_controller_that_it_names(
    launch_file, lab, tmp_path: Path
) -> None:
    """What is there for every node may be the controller's, and another node would refuse it. Arguments go first."""
    station: Station = lab.station()
    path = tmp_path / "mine.yaml"
    sections = {
        "/**": {"speed": 0.2, "model": "none"},
        f"{station.namespace}/web": {"port": 18080, "robot": "planar_2r"},
        "/**/sim_hand": {"physics": "stiff"},
    }
    path.write_text(yaml.safe_dump({name: {"ros__parameters": values} for name, values in sections.items()}))
    given = (f"namespace:={station.namespace}", f"parameters:={path}", "robot:=allegro_left", "sim:=true", "web:=true")
    launched = launch_file("launch/controller.launch.py", *given)
    wait_for(lambda: "page of allegro_left: http://127.0.0.1:18080" in launched.output, "the page", launched)
    asked = {"sim_hand": ["robot", "physics"], "controller": ["robot", "model"]}
    told = {
        node: [
            v.string_value
            for v in station.call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=names)).values
        ]
        for node, names in asked.items()
    }
    assert told == {"sim_hand": ["allegro_left", "stiff"], "controller": ["allegro_left", "none"]}


def started_with(namespace: str, **arguments: str) -> list[str]:
    """The command lines of all nodes of a hand in a pushed namespace, word by word."""
    from launch import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch.substitutions import TextSubstitution
    from launch_ros.actions import PushRosNamespace

    context = LaunchContext()
    PushRosNamespace(namespace).execute(context)
    context.launch_configurations.update(arguments)
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / "controller.launch.py"))
    started = [entity.visit(context) for entity in source.get_launch_description(context).entities][-1]
    return [part.text for node in started for word in node.cmd for part in word if isinstance(part, TextSubstitution)]


def view_of(namespace: str, **arguments: str) -> Path:
    """The file of the view that its RViz is started with."""
    (path,) = (word for word in started_with(namespace, **arguments, rviz="true") if word.endswith(".rviz"))
    return Path(path)


def test_files_are_written_for_the_nodes_that_are_started_alone(tmp_path: Path, monkeypatch) -> None:
    import launch.logging

    monkeypatch.setattr(launch.logging.launch_config, "_log_dir", str(tmp_path))
    assert started_with("left", robot="allegro_right").count("--ros-args") == 1
    assert not list(tmp_path.glob("left.*"))
    started_with("left", robot="allegro_right", view="true", sim="true")
    names = ("robot_state_publisher", "sim_hand", "tip_markers")
    assert sorted(path.name for path in tmp_path.glob("left.*")) == [f"left.{name}.arguments.yaml" for name in names]


def test_hands_in_pushed_namespaces_have_each_a_view_of_their_own(tmp_path: Path, monkeypatch) -> None:
    """Both RViz of two equal hands once got the view of the hand that was started last."""
    import launch.logging

    monkeypatch.setattr(launch.logging.launch_config, "_log_dir", str(tmp_path))
    places = ("left", "right", "lab/left", "lab_left")
    paths = [view_of(place, robot="allegro_right", frame_prefix=f"{place}/") for place in places]
    views = [yaml.safe_load(path.read_text())["Visualization Manager"] for path in paths]
    frames = [view["Global Options"]["Fixed Frame"] for view in views]
    assert frames == [f"{place}/palm_link" for place in places]


def test_another_robot_is_simulated_in_its_drivers_dialect_and_brings_a_tip_to_its_target(launch_file, lab) -> None:
    station: Station = lab.station()
    folder = ROOT / "examples" / "three_fingers"
    statuses = station.listen(DiagnosticStatus, "status")
    spoken = station.listen(JointState, "gripper/joint_states")
    files = (f"robot:={folder}/three_fingers.yaml", f"driver:={folder}/driver.yaml")
    launched = launch_file(
        "launch/controller.launch.py", *files, f"namespace:={station.namespace}", "sim:=true", "start_paused:=false",
    )  # fmt: skip
    wait_for(lambda: state_of(statuses) == "IDLE", "the controller to wait for targets", launched)
    wait_for(lambda: spoken, "joint states", launched)
    assert spoken[-1].name[0] == "c0"
    target = pose_stamped(
        "flange", load_robot(folder / "three_fingers.yaml").kinematics.tip_position(np.full(9, 0.2))[1]
    )
    wait_for(
        lambda: station.publish("b/target_pose", target) or values_of(statuses).get("b.state") == "REACHED",
        "the tip b at its target", launched,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        ("hand:=middle", ["right", "left"]),
        ("sim:=perhaps", ["true", "false"]),
        ("robot:=shadow", shipped(ROOT / "config" / "robots", ".yaml")),
        ("driver:=telepathy", shipped(ROOT / "config" / "drivers", ".yaml")),
        ("model:=gpt", shipped(ROOT / "models", ".onnx")),
        ("rate:=5000", ["50", "1000"]),
        ("rate:=fast", ["50", "1000"]),
        ("rate:=[", ["rate", "50", "1000"]),
        ("rate:=2026-13-45", ["rate", "50", "1000"]),
        ("speed:=1e-1", ["YAML", "text", "0.1"]),
        ("namespace:=left-hand", ["letters", "digits", "underscores"]),
        ("namespace:=/left/", ["letters", "digits", "underscores"]),
        ("realtime_priority:=99", ["0", "98"]),
        ("lock_memory:=maybe", ["true", "false"]),
        ("physics:=magic", ["auto", "mujoco", "stiff"]),
        ("rviz_config:=nowhere.rviz", ["no such file"]),
        ("parameters:=/dev/null/parameters.yaml", ["no such file"]),
        ("parameters:=~nobody_of_this_name/mine.yaml", ["no such home folder"]),
        ("frame_prefix:=/left/", ["spaces", "begin"]),
        ("driver_namespace:=left-hand", ["letters", "digits", "underscores"]),
        ("cpu_affinity:=two", ["4095"]),
    ],
)
def test_a_wrong_argument_starts_nothing_and_lists_what_is_allowed(
    launch_file, argument: str, allowed: list[str]
) -> None:
    launched = launch_file("launch/controller.launch.py", argument)
    assert launched.exit_code() != 0
    assert all(re.search(rf"\b{re.escape(word)}\b", launched.output) for word in allowed), launched.output
    assert argument.split(":=")[1] in launched.output


def test_a_prefix_that_rviz_cannot_put_before_its_frames_starts_no_rviz(launch_file) -> None:
    launched = launch_file("launch/controller.launch.py", "frame_prefix:=left_", "rviz:=true")
    assert launched.exit_code() != 0
    assert "must end with '/'" in launched.output


@pytest.mark.parametrize("name", ["controller.launch.py", "demo.launch.py"])
def test_a_misspelt_argument_starts_nothing_and_lists_the_right_ones(launch_file, name: str) -> None:
    launched = launch_file(f"launch/{name}", "speeed:=0.1")
    assert launched.exit_code() != 0
    assert re.search(r"speeed: unknown argument; allowed: .*\bspeed\b", launched.output)
    assert "process started" not in launched.output


@pytest.mark.parametrize(
    ("name", "content"), [("parameters", "controller: ["), ("calibration", "schema: 1\nrobot: planar_2r\n")]
)
def test_a_file_that_cannot_be_used_starts_nothing_and_is_named(
    launch_file, tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    launched = launch_file("launch/controller.launch.py", f"{name}:={path}")
    assert launched.exit_code() != 0
    assert str(path) in launched.output
    assert "process started" not in launched.output


def test_a_parameter_file_that_has_nothing_for_the_controller_starts_nothing_and_its_sections_are_named(
    launch_file, tmp_path: Path
) -> None:
    """rcl passes over the section, and with its `speed` the hand would move at full speed."""
    path = tmp_path / "mine.yaml"
    path.write_text("controller: {ros__parameters: {speed: 0.1}}\nweb: {ros__parameters: {port: 8081}}\n")
    launched = launch_file("launch/controller.launch.py", "namespace:=left", f"parameters:={path}")
    assert launched.exit_code() != 0
    assert f"{path}': has nothing for /left/controller: its sections are for /controller, /web" in launched.output
    assert "process started" not in launched.output


def test_a_driver_of_another_robot_starts_nothing_and_both_are_named(launch_file) -> None:
    launched = launch_file("launch/controller.launch.py", "driver:=allegro_v5", "robot:=planar_2r")
    assert launched.exit_code() != 0
    assert "'allegro_v5' with robot 'planar_2r'" in launched.output
    assert "process started" not in launched.output


def test_a_parameter_file_below_the_home_folder_is_used(
    launch_file, lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("/**: {ros__parameters: {start_paused: false, model: none}}")
    station: Station = lab.station()
    statuses = station.listen(DiagnosticStatus, "status")
    given = ("parameters:=~/mine.yaml", f"namespace:={station.namespace}", "sim:=true", "physics:=stiff")
    launched = launch_file("launch/controller.launch.py", *given)
    wait_for(lambda: state_of(statuses) == "IDLE", "a controller that is not paused", launched)


def test_a_launch_file_around_it_may_have_arguments_of_its_own(launch_file, lab, tmp_path: Path) -> None:
    (tmp_path / "around.launch.py").write_text(AROUND.format(controller=ROOT / "launch" / "controller.launch.py"))
    station: Station = lab.station()
    statuses = station.listen(DiagnosticStatus, "status")
    launched = launch_file(tmp_path / "around.launch.py", f"place:={station.namespace}")
    wait_for(lambda: state_of(statuses) == "WAITING_STATE", "the controller", launched)


def test_ctrl_c_ends_everything_cleanly(launch_file, lab) -> None:
    station: Station = lab.station()
    statuses = station.listen(DiagnosticStatus, "status")
    given = (f"namespace:={station.namespace}", "sim:=true", "view:=true", "web:=true", "model:=none")
    launched = launch_file("launch/controller.launch.py", *given)
    wait_for(lambda: state_of(statuses) == "PAUSED", "the controller", launched)
    wait_for(lambda: "markers of" in launched.output, "the markers", launched)
    wait_for(lambda: "page of" in launched.output, "the page", launched)
    launched.interrupt()
    assert launched.exit_code() == 0, launched.output
    assert "Traceback" not in launched.output
    assert "failed to terminate" not in launched.output
    for name in NODES:
        assert re.search(rf"\[{name}-\d\]: process has finished cleanly", launched.output), launched.output


@pytest.mark.parametrize("name", ["controller.launch.py", "demo.launch.py"])
def test_every_argument_has_a_description(name: str) -> None:
    from launch import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    description = PythonLaunchDescriptionSource(str(ROOT / "launch" / name)).get_launch_description(LaunchContext())
    arguments = {argument.name: argument.description for argument in description.get_launch_arguments()}
    wanted = {
        "hand", "robot", "driver", "model", "rate", "namespace", "realtime_priority", "lock_memory", "cpu_affinity", "rviz",
        "sim",
        "web", "start_paused", "physics", "parameters",
    }  # fmt: skip
    assert wanted <= set(arguments)
    assert all(text and "no description" not in text.lower() for text in arguments.values())
    assert [name for name, text in arguments.items() if text.lower().count("empty") > 1] == [], (
        "two meanings of nothing"
    )
