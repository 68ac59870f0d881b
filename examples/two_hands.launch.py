"""Two simulated hands side by side, each with its controller, in namespaces of their own.

ros2 launch examples/two_hands.launch.py, then publish on /right/target_poses and /left/index/target_pose. With real hands:
sim:=false, and a driver and driver_namespace for each, which begins with a slash unless the driver runs in that namespace, too.
"""

from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from nnik_ros.paths import share_dir

CONTROLLER = str(share_dir() / "launch" / "controller.launch.py")


def hand(side):
    arguments = {"hand": side, "namespace": side, "frame_prefix": f"{side}/", "sim": "true", "start_paused": "false"}
    include = IncludeLaunchDescription(PythonLaunchDescriptionSource(CONTROLLER), launch_arguments=arguments.items())
    return GroupAction([include])  # its arguments end with it and do not reach the other hand


def generate_launch_description():
    return LaunchDescription([hand("right"), hand("left")])
