"""What every command line asks that reads a recording of a hand."""

from __future__ import annotations

import argparse
from pathlib import Path


def bag_parser(prog: str, description: str, output: str) -> argparse.ArgumentParser:
    """Arguments for the bag, its robot, its driver and its joints; output: what is written."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("bag", type=Path, metavar="BAG", help="folder of a rosbag2 (mcap or sqlite3)")
    parser.add_argument("--robot", required=True, help="a shipped name or the path of a YAML file")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help=f"{output} to write")
    parser.add_argument(
        "--driver", default="simulated", help="whose joint names the recording has (default: the robot's own)"
    )
    parser.add_argument("--joints", default="", metavar="TOPIC", help="JointState topic (default: the driver's)")
    parser.add_argument("--truth", type=Path, help="true calibration of a simulated robot, to compare with")
    return parser
