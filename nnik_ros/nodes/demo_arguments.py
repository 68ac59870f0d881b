"""The arguments of the demo."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from nnik_ros.arguments import Help, number, seed, whole_number
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.nodes.web_options import WebOptions
from nnik_ros.options import describe

_OF_LANDMARKS = ("human_hand", "hand_map", "frame_rate", "playback")


def read_arguments(description: str | None, words: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of `./run demo`; exits with code 2 and the reason where they cannot be used."""
    parser = _parser(description)
    arguments = parser.parse_args(words)
    for name in _OF_LANDMARKS:
        if arguments.landmarks is None and getattr(arguments, name) != parser.get_default(name):
            parser.error(f"argument --{name.replace('_', '-')}: is of a recorded hand, give that with --landmarks")
    return arguments


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run demo", description=description, formatter_class=Help)
    add = parser.add_argument
    add(
        "--headless",
        action="store_true",
        help="no page: play reachable targets, print a summary, exit 0 only if the hand followed",
    )
    add("--play", action="store_true", help="play the targets with the page open")
    add(
        "--seconds",
        type=number(above=0.0),
        help="end after this time; the default is 20 for a headless run, else never",
    )
    robot = parser.add_mutually_exclusive_group()
    robot.add_argument("--hand", choices=("right", "left"), default="right", help="which Allegro hand")
    robot.add_argument("--robot", help="another robot, by name or file, instead of the hand")
    add("--model", default="auto", help="network by name or file; auto: the robot's; none: damped least squares")
    add("--rate", type=_as(ControllerOptions, "rate"), default=333.0, help="rate of the control loop [Hz]")
    add(
        "--gain",
        type=_as(ControllerOptions, "closed_loop_gain"),
        default=4.0,
        help="closed_loop_gain of the controller, which takes the sag out of the weak drives [1/s]",
    )
    add(
        "--tolerance",
        type=number(above=0.0),
        help="distance from the target that counts as reached in a scripted run [mm]; default 1, or 5 for the median of "
        "--landmarks",
    )
    add("--seed", type=seed, default=0, help="of the scripted targets")
    add("--landmarks", type=Path, help="follow a recorded human hand (.csv, .npy); once with --headless, else repeated")
    add("--human-hand", choices=("right", "left"), default="", help="side of the recorded hand; default: the robot's")
    add("--hand-map", default="", help="file that says which fingers lead the robot; default: that of config/landmarks")
    add("--frame-rate", type=number(low=0.1, high=10000.0), default=30.0, help="of a recording without times [Hz]")
    add(
        "--playback", type=number(low=0.01, high=100.0), default=1.0, help="speed of the recording; 0.5 is half as fast"
    )
    add("--record", type=Path, help="record every tick of the controller into this file, for ./run replay")
    add(
        "--record-bag",
        type=Path,
        help="record the same and all topics of the controller into this rosbag2 folder (mcap)",
    )
    add("--host", default="127.0.0.1", help="address of the page; 0.0.0.0 opens it to the network")
    add(
        "--port",
        type=_as(WebOptions, "port"),
        default=8080,
        help="port of the page; the next free one when it is in use",
    )
    add("--domain", type=whole_number(0, 232), default=0, help="ROS_DOMAIN_ID; 0: a free one")
    add("--realtime", choices=("auto", "off"), default="auto", help="auto: SCHED_FIFO where it is permitted")
    parser.set_defaults(page_told=False)
    return parser


def _as(options: type, name: str) -> Callable[[str], float]:
    """The numbers that a node takes as its option of that name."""
    (info,) = (info for info in describe(options) if info.name == name)
    if info.type is int:
        return whole_number(int(info.low), int(info.high))
    return number(low=info.low, high=info.high)
