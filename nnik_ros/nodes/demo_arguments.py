"""The arguments of the demo."""

from __future__ import annotations

import argparse
from pathlib import Path


def demo_parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of `./run demo`."""
    parser = argparse.ArgumentParser(
        prog="run demo", description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add(
        "--headless",
        action="store_true",
        help="no page: play reachable targets, print a summary, exit 0 only if the hand followed",
    )
    add("--play", action="store_true", help="play the targets with the page open")
    add("--seconds", type=float, help="end after this time; the default is 20 for a headless run, else never")
    add("--hand", choices=("right", "left"), default="right", help="which Allegro hand")
    add("--robot", help="another robot, by name or file, instead of the hand")
    add("--model", default="auto", help="network by name or file; auto: the robot's; none: damped least squares")
    add("--rate", type=float, default=333.0, help="rate of the control loop [Hz]")
    add(
        "--gain",
        type=float,
        default=4.0,
        help="closed_loop_gain of the controller, which takes the sag out of the weak drives [1/s]",
    )
    add(
        "--tolerance",
        type=float,
        help="distance from the target that counts as reached in a scripted run [mm]; default 1, or 5 for the median of "
        "--landmarks",
    )
    add("--seed", type=int, default=0, help="of the scripted targets")
    add("--landmarks", type=Path, help="follow a recorded human hand (.csv, .npy); once with --headless, else repeated")
    add("--human-hand", choices=("right", "left"), default="", help="side of the recorded hand; default: the robot's")
    add("--hand-map", default="", help="file that says which fingers lead the robot; default: that of config/landmarks")
    add("--frame-rate", type=float, default=30.0, help="of a recording without times [Hz]")
    add("--playback", type=float, default=1.0, help="speed of the recording; 0.5 is half as fast")
    add("--record", type=Path, help="record every tick of the controller into this file, for ./run replay")
    add(
        "--record-bag",
        type=Path,
        help="record the same and all topics of the controller into this rosbag2 folder (mcap)",
    )
    add("--host", default="127.0.0.1", help="address of the page; 0.0.0.0 opens it to the network")
    add("--port", type=int, default=8080, help="port of the page; the next free one when it is in use")
    add("--domain", type=int, default=0, help="ROS_DOMAIN_ID; 0: a free one")
    add("--realtime", choices=("auto", "off"), default="auto", help="auto: SCHED_FIFO where it is permitted")
    parser.set_defaults(page_told=False)
    return parser
