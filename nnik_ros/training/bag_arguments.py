"""What every command line asks that reads a recording of a hand."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nnik_ros.arguments import Help, check_apart, check_writable
from nnik_ros.calibration import load_calibration
from nnik_ros.driver import JointMap, joint_map, load_driver
from nnik_ros.kinematics import Kinematics
from nnik_ros.paths import driver_file, robot_file
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.bag import BagData, Topics, read_bag


class Task(NamedTuple):
    """What the arguments of `bag_parser` name, all but the bag read and checked. truth: the true robot, when it is given."""

    robot: Robot
    joints: JointMap
    topics: Topics
    truth: Kinematics | None

    def read(self, bag: Path) -> BagData:
        """See `read_bag`."""
        return read_bag(bag, self.robot, self.joints, self.topics)


def bag_parser(prog: str, description: str, output: str) -> argparse.ArgumentParser:
    """Arguments for the bag, its robot, its driver and its joints; output: what is written."""
    parser = argparse.ArgumentParser(prog=prog, description=description, formatter_class=Help)
    parser.add_argument("bag", type=Path, metavar="BAG", help="folder of a rosbag2 (mcap or sqlite3)")
    parser.add_argument("--robot", required=True, help="a shipped name or the path of a YAML file")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help=f"{output} to write")
    parser.add_argument(
        "--driver", default="simulated", help="whose joint names the recording has (default: the robot's own)"
    )
    parser.add_argument("--joints", default="", metavar="TOPIC", help="JointState topic (default: the driver's)")
    parser.add_argument("--truth", type=Path, help="true calibration of a simulated robot, to compare with")
    return parser


def read_task(given: argparse.Namespace, tips: str | Mapping[str, str]) -> Task:
    """Read what was given, before anything is computed. tips: see `Topics`.

    Raises:
        InputError: an unknown name of a robot or a driver.
        FileError: a file cannot be read or does not fit, or the output cannot be written.
    """
    check_writable(given.output)
    robot = load_robot(robot_file(given.robot))
    driver = load_driver(driver_file(given.driver))
    read = {"the robot file": robot_file(given.robot), "the robot's URDF": robot.urdf_path}
    read |= {"the driver profile": driver_file(given.driver)} | ({"the truth": given.truth} if given.truth else {})
    check_apart(given.output, read)
    truth = load_calibration(given.truth, robot).apply(robot) if given.truth else None
    return Task(robot, joint_map(driver, robot), Topics(given.joints or driver.topic(driver.state), tips), truth)


def needs_truth(parser: argparse.ArgumentParser, given: argparse.Namespace, name: str) -> None:
    """End with an error of the parser when the option `name`, which is only compared, has nothing to be compared with."""
    if getattr(given, name) and not given.truth:
        parser.error(
            f"argument --{name}: is '{getattr(given, name)}', which is only compared with the truth: needs --truth"
        )
