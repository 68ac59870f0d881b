"""A simulated robot that follows at once, with RViz and the browser page: controller.launch.py with other defaults."""

from __future__ import annotations

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from nnik_ros.paths import share_dir

BOOLEANS = ["true", "false"]
DEFAULTS = (
    ("sim", "true", "Start the simulated robot"),
    ("start_paused", "false", "Send nothing until ~/start or ~/home is called"),
    ("rviz", "true", "Start RViz, with a marker to drag for every fingertip"),
    ("web", "true", "Start the browser page (Python package viser)"),
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, choices=BOOLEANS, description=text)
                for name, default, text in DEFAULTS
            ),
            DeclareLaunchArgument(
                "closed_loop_gain",
                default_value="4.0",
                description="Takes the sag out of the weak simulated drives [1/s]",
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(share_dir() / "launch" / "controller.launch.py"))
            ),
        ]
    )
