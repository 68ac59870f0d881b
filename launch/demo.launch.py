"""A simulated robot, its controller, RViz, and the page that steers the tips."""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from nnik_ros.paths import share_dir, shipped

SHARE = share_dir()
ROBOTS = shipped(SHARE / "config" / "robots", ".yaml")
BOOLEANS = ["true", "false"]


def generate_launch_description() -> LaunchDescription:
    robot = ParameterValue(LaunchConfiguration("robot"), value_type=str)
    namespace = LaunchConfiguration("namespace")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "robot", default_value="allegro_right", choices=ROBOTS, description="Robot to simulate"
            ),
            DeclareLaunchArgument(
                "model",
                default_value="auto",
                description="Network: auto, none, a shipped name, or the path of an ONNX file",
            ),
            DeclareLaunchArgument("namespace", default_value="", description="Namespace of all nodes"),
            DeclareLaunchArgument("rviz", default_value="true", choices=BOOLEANS, description="Start RViz"),
            DeclareLaunchArgument("web", default_value="true", choices=BOOLEANS, description="Start the web page"),
            Node(
                package="nnik_ros",
                executable="sim_hand_node",
                namespace=namespace,
                parameters=[{"robot": robot}],
                output="screen",
                emulate_tty=True,
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(SHARE / "launch" / "controller.launch.py")),
                launch_arguments={
                    "robot": LaunchConfiguration("robot"),
                    "model": LaunchConfiguration("model"),
                    "namespace": namespace,
                    "driver": "simulated",
                    "start_paused": "false",
                    "state_publisher": "true",
                    "rviz": LaunchConfiguration("rviz"),
                }.items(),
            ),
            Node(
                package="nnik_ros",
                executable="web_node",
                namespace=namespace,
                parameters=[{"robot": robot}],
                output="screen",
                emulate_tty=True,
                condition=IfCondition(LaunchConfiguration("web")),
            ),
        ]
    )
