"""The controller of a real (or elsewhere simulated) robot."""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from nnik_ros.paths import robot_file, share_dir, shipped
from nnik_ros.robot import load_robot

CONFIG = share_dir() / "config"
ROBOTS = ", ".join(shipped(CONFIG / "robots", ".yaml"))
DRIVERS = ", ".join(shipped(CONFIG / "drivers", ".yaml"))
BOOLEANS = ["true", "false"]
ARGUMENTS = (
    DeclareLaunchArgument("robot", default_value="allegro_right", description=f"Robot: {ROBOTS}, or the path of a YAML file"),
    DeclareLaunchArgument(
        "model", default_value="auto", description="Network: auto, none (damped least squares), a shipped name, or an ONNX file"
    ),
    DeclareLaunchArgument("calibration", default_value="", description="Calibration of this one robot: a YAML file, or empty"),
    DeclareLaunchArgument("driver", default_value="simulated", description=f"Driver: {DRIVERS}, or the path of a YAML file"),
    DeclareLaunchArgument(
        "driver_namespace", default_value="", description="Namespace of the driver; empty: the profile's, '/': the root"
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the controller, for instance 'right'"),
    DeclareLaunchArgument(
        "start_paused", default_value="true", choices=BOOLEANS, description="Send nothing until ~/start is called"
    ),
    DeclareLaunchArgument(
        "parameters", default_value=str(CONFIG / "controller.yaml"), description="Parameter file, under the other arguments"
    ),
    DeclareLaunchArgument(
        "state_publisher", default_value="false", choices=BOOLEANS, description="Start robot_state_publisher"
    ),
    DeclareLaunchArgument(
        "joint_states", default_value="joint_states", description="Topic of the joint states for robot_state_publisher"
    ),
    DeclareLaunchArgument("rviz", default_value="false", choices=BOOLEANS, description="Start RViz"),
    DeclareLaunchArgument("rviz_config", default_value="", description="RViz configuration; empty: RViz's own default"),
)  # fmt: skip
TEXTS = ("robot", "model", "calibration", "driver", "driver_namespace")


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    def value(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    robot = load_robot(robot_file(value("robot")))
    description = Path(robot.urdf_path).read_text(encoding="utf-8")
    rviz = ["-d", value("rviz_config")] if value("rviz_config") else []
    given = {name: ParameterValue(value(name), value_type=str) for name in TEXTS}
    return [
        Node(
            package="nnik_ros",
            executable="controller_node",
            namespace=value("namespace"),
            parameters=[value("parameters"), {**given, "start_paused": value("start_paused") == "true"}],
            output="screen",
            emulate_tty=True,
        ),
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            namespace=value("namespace"),
            parameters=[{"robot_description": ParameterValue(description, value_type=str)}],
            remappings=[("joint_states", value("joint_states"))],
            condition=IfCondition(value("state_publisher")),
        ),
        Node(package="rviz2", executable="rviz2", arguments=rviz, condition=IfCondition(value("rviz"))),
    ]
