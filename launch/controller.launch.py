"""The controller of one robot, real or simulated, with RViz and the browser page where they are wanted."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import launch.logging
import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from nnik_ros.calibration import load_calibration
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import InputError, NnikError, Problems
from nnik_ros.nodes.loading import load_named_driver, prefixed
from nnik_ros.nodes.node_options import AUTO_MODEL, NO_MODEL, NodeOptions, SimHandOptions
from nnik_ros.nodes.parameter_file import parameters_of, sections_of_others, with_last_word
from nnik_ros.options import OptionInfo, describe
from nnik_ros.paths import driver_file, given_path, model_file, robot_file, share_dir, shipped
from nnik_ros.robot import Robot, load_robot
from nnik_ros.yaml_file import number_in_text

CONFIG = share_dir() / "config"
BOOLEANS = ("true", "false")
AS_IN_FILE = "Without this argument: what the parameter file says, as shipped"
ROBOT = "allegro_right"  # where neither an argument nor the parameter file names another
_NAMESPACE = re.compile(r"/|/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
OF_ROS2_LAUNCH = ("launch-prefix", "launch-prefix-filter")
FILES = ("parameters", "rviz_config", "calibration")
# parameters of the controller that are arguments too; an empty argument leaves the parameter file's value
PASSED_ON = tuple(
    info
    for info in [*describe(NodeOptions), *describe(ControllerOptions)]
    if info.name in {
        "model", "calibration", "driver", "driver_namespace", "frame_prefix", "start_paused", "autostart", "rate", "speed",
        "closed_loop_gain", "realtime_priority", "lock_memory", "keep_awake", "cpu_affinity", "spin",
    }
)  # fmt: skip
PHYSICS = next(info for info in describe(SimHandOptions) if info.name == "physics")
OTHERS = ("sim_hand", "tip_markers", "web")  # nodes beside the controller that the parameter file may name


def _choice(name: str, default: str, description: str, choices: Iterable[str] = BOOLEANS) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(name, default_value=default, choices=list(choices), description=description)


def _passed_on(info: OptionInfo) -> DeclareLaunchArgument:
    names = {"driver": shipped(CONFIG / "drivers", ".yaml"), "model": shipped(share_dir() / "models", ".onnx")}
    listed = f" Shipped: {', '.join(names[info.name])}." if info.name in names else ""
    allowed = "" if info.type is str else f" Allowed: {info.allowed}."
    default = str(info.plain).lower() if info.type is bool else str(info.plain)
    text = f"{info.doc}{listed}{allowed} {AS_IN_FILE} '{default}'."
    return DeclareLaunchArgument(info.name, default_value="", description=text)


ARGUMENTS = (
    _choice("hand", "right", "Side of the Allegro hand, where no other robot is named", ("right", "left")),
    DeclareLaunchArgument(
        "robot",
        default_value="",
        description=f"Robot: {', '.join(shipped(CONFIG / 'robots', '.yaml'))}, or the path of a YAML file. Without "
        "this argument: what the parameter file says, as shipped 'allegro_right', or the Allegro hand of the given side",
    ),
    _choice("sim", "false", "true: start a simulated robot that speaks the driver's dialect; false: a real one is there"),
    _choice("physics", "", f"{PHYSICS.doc} {AS_IN_FILE} '{PHYSICS.default}'.", ("", *PHYSICS.choices)),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of all nodes, for instance 'right'"),
    *map(_passed_on, PASSED_ON),
    DeclareLaunchArgument(
        "parameters",
        default_value=str(CONFIG / "controller.yaml"),
        description=f"Parameter file of the controller and of {', '.join(OTHERS)}; the arguments go first",
    ),
    _choice("rviz", "false", "Start RViz, with what it shows: the robot, its targets, a marker to drag for every fingertip"),
    _choice("view", "false", "Start robot_state_publisher and the markers alone, for an RViz elsewhere"),
    DeclareLaunchArgument("rviz_config", default_value="", description="RViz configuration; empty: the shipped view"),
    _choice("web", "false", "Start the browser page (Python package viser)"),
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    given, parameters, robot = _checked(context)
    hand = {name: given[name] for name in ("robot", "driver", "driver_namespace")}
    frames = {"frame_prefix": given["frame_prefix"]}
    physics = {"physics": given["physics"]} if given["physics"] else {}
    namespace, file = given["namespace"], Path(given["parameters"])
    controller, publisher = (_node_name(context, namespace, node) for node in ("controller", "robot_state_publisher"))

    def beside(executable: str, node: str, arguments: Mapping[str, str]) -> Node:
        name = _node_name(context, namespace, node)
        values = {**parameters_of(file, name, by_name=True), **arguments}
        return _node(executable, namespace, _arguments_file(context, name, [], values))

    own = [str(file), *_arguments_file(context, controller, [file], parameters)]
    nodes = [_node("controller_node", namespace, own)]
    if given["sim"] == "true":
        nodes.append(beside("sim_hand_node", "sim_hand", {**hand, **physics}))
    if given["web"] == "true":
        nodes.append(beside("web_node", "web", {**hand, **frames}))
    if "true" in (given["rviz"], given["view"]):
        description = Path(robot.urdf_path).read_text(encoding="utf-8")
        described = {"robot_description": description, **frames}
        nodes += [
            beside("marker_node", "tip_markers", {**hand, **frames}),
            Node(
                package="robot_state_publisher",
                executable="robot_state_publisher",
                namespace=namespace,
                parameters=_arguments_file(context, publisher, [], described),
                remappings=[("joint_states", "measured_joints")],
            ),
        ]
    if given["rviz"] == "true":
        view = given["rviz_config"] or str(_view(robot, controller, given["frame_prefix"]))
        nodes.append(Node(package="rviz2", executable="rviz2", namespace=namespace, arguments=["-d", view]))
    return nodes


def _node(executable: str, namespace: str, parameters: Sequence[object]) -> Node:
    return Node(
        package="nnik_ros",
        executable=executable,
        namespace=namespace,
        parameters=parameters,
        output="screen",
        emulate_tty=True,
    )


def _checked(context: LaunchContext) -> tuple[dict[str, str], dict[str, object], Robot]:
    """What is given for every argument or else by the parameter file, what of it the controller does not find there, and the
    robot.

    Raises:
        NnikError: naming every wrong argument and what is allowed.
    """
    given = {argument.name: str(LaunchConfiguration(argument.name).perform(context)) for argument in ARGUMENTS}
    for name in FILES:
        if given[name]:
            given[name] = str(given_path(given[name]))  # no shell expands the ~ of `parameters:=~/mine.yaml`
    problems = Problems("launch arguments")
    _check_names(context, problems)
    named = not given["namespace"] or _NAMESPACE.fullmatch(given["namespace"]) is not None
    if not named:
        allowed = "letters, digits and underscores between slashes, no digit first"
        problems.add(f"namespace: is '{given['namespace']}', must be {allowed}")
    parameters = _parameters(given, problems)
    file = Path(given["parameters"])
    controller, *beside = (_node_name(context, given["namespace"], node) for node in ("controller", *OTHERS))
    in_file = parameters_of(file, controller)
    others = sections_of_others(file, [controller, *beside])
    if others and named:
        sections = f"its sections are for {', '.join(others)}, and '/**/controller' is for every one"
        problems.add(f"parameters '{file}': has nothing for {controller}: {sections}")
    _fill_in(given, in_file)
    if given["robot"] != in_file.get("robot", ROBOT):
        parameters["robot"] = given["robot"]
    _check_files(given, problems)
    problems.raise_if_any()
    robot = load_robot(robot_file(given["robot"]))
    _check_together(robot, given)
    return given, parameters, robot


def _node_name(context: LaunchContext, namespace: str, node: str) -> str:
    """The full name of a node; a launch file around this one may have pushed a namespace."""
    pushed = context.launch_configurations.get("ros_namespace")
    return f"{make_namespace_absolute(prefix_namespace(pushed, namespace)).rstrip('/')}/{node}"


def _fill_in(given: dict[str, str], in_file: dict[str, object]) -> None:
    """What all nodes have to agree on, and the controller alone would read in the parameter file."""
    shipped_robot = {ROBOT: f"allegro_{given['hand']}"}
    for name, default in (("robot", ROBOT), ("driver", "simulated"), ("driver_namespace", ""), ("frame_prefix", "")):
        if not given[name]:
            value = str(in_file.get(name, default))
            given[name] = shipped_robot.get(value, value) if name == "robot" else value


def _check_names(context: LaunchContext, problems: Problems) -> None:
    """launch itself passes over a misspelt name. A launch file around this one has arguments that are not known here."""
    folder = share_dir() / "launch"
    if "nnik_ros" not in sys.argv and not any(Path(word).resolve().parent == folder.resolve() for word in sys.argv):
        return
    allowed = [argument.name for argument in ARGUMENTS]
    for name in (word.partition(":=")[0] for word in context.argv):
        if name not in (*allowed, *OF_ROS2_LAUNCH):
            problems.add(f"{name}: unknown argument; allowed: {', '.join(allowed)}")


def _parameters(given: dict[str, str], problems: Problems) -> dict[str, object]:
    """Parameters out of the arguments that are not empty."""
    parameters: dict[str, object] = {}
    for info in PASSED_ON:
        if not given[info.name]:
            continue
        value = _value(info, given[info.name])
        if not info.accepts(value):
            hint = number_in_text(value) if info.type is float else ""
            problems.add(f"{info.name}: is '{given[info.name]}', must be {info.allowed}{hint}")
        else:
            parameters[info.name] = str(value) if info.type is str or info.many else info.type(value)
    return parameters


def _value(info: OptionInfo, text: str) -> object:
    """None where it is no YAML."""
    if info.type is str or info.many:
        return text
    try:
        return yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):  # ValueError: a date that there is not
        return None


def _check_files(given: dict[str, str], problems: Problems) -> None:
    model = given["model"] if given["model"] not in (AUTO_MODEL, NO_MODEL) else ""
    for find, value in ((robot_file, given["robot"]), (driver_file, given["driver"]), (model_file, model)):
        try:
            if value:
                find(value)
        except NnikError as error:
            problems.add(str(error))
    for name in FILES:
        if given[name] and not Path(given[name]).is_file():
            problems.add(f"{name} '{given[name]}': there is no such file")
        elif name == "parameters":
            try:
                yaml.safe_load(Path(given[name]).read_text(encoding="utf-8"))
            except (OSError, ValueError, yaml.YAMLError) as error:
                problems.add(f"{name} '{given[name]}': {error}")


def _check_together(robot: Robot, given: dict[str, str]) -> None:
    """Raises NnikError: what was found does not belong together."""
    load_named_driver(given["driver"], robot, given["driver_namespace"])
    prefix = given["frame_prefix"]
    prefixed(robot.base_frame, prefix)
    if prefix and not prefix.endswith("/") and given["rviz"] == "true":
        raise InputError(f"frame_prefix: is '{prefix}', must end with '/': RViz finds no other robot")
    if given["calibration"]:
        load_calibration(Path(given["calibration"]), robot)


def _arguments_file(
    context: LaunchContext, node: str, files: list[Path], parameters: Mapping[str, object]
) -> list[str]:
    """Parameters that go before those of `files`, as a parameter file of their own, if there are any. A dictionary would become
    a section '/**', and so be overruled by a file wherever `SetParameter`, in a launch file around this one, begins with such a
    section."""
    if not parameters:
        return []
    of_all = context.launch_configurations.get("global_params") or []
    before = [*files, *(Path(entry) for entry in of_all if not isinstance(entry, tuple))]
    return [str(_written(node, "arguments.yaml", with_last_word(parameters, node, before)))]


def _written(node: str, what: str, text: str) -> Path:
    """A file of this launch. It is named as its node, in full: a launch file around this one may start several."""
    path = Path(launch.logging.launch_config.log_dir) / f"{node.strip('/').replace('/', '.')}.{what}"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} could not be written: {error}") from error
    return path


def _view(robot: Robot, controller: str, prefix: str) -> Path:
    """The shipped view, looking at this robot's base frame from a distance that fits its size."""
    document = yaml.safe_load((CONFIG / "robot.rviz").read_text(encoding="utf-8"))
    manager = document["Visualization Manager"]
    size = float(robot.kinematics.reach.max())
    manager["Global Options"]["Fixed Frame"] = prefixed(robot.base_frame, prefix)
    manager["Views"]["Current"]["Distance"] = 3.5 * size
    manager["Displays"][1]["TF Prefix"] = prefix.removesuffix("/")  # RViz puts a '/' behind it
    manager["Displays"][0]["Cell Size"] = 10.0 ** round(-0.5 + float(f"{size:e}".split("e")[1]))
    return _written(controller, "rviz", yaml.safe_dump(document, sort_keys=False))
