"""A process of its own that hears every command and every true joint state, and answers on its standard output.

It reads lines: "window" is answered with one line of JSON (the findings since the last one), "new_hand" with "{}".
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState

from nnik_ros.driver import joint_map, load_driver
from nnik_ros.errors import InputError
from nnik_ros.nodes.commands import MESSAGE_OF, read_command
from nnik_ros.paths import driver_file, robot_file
from nnik_ros.robot import load_robot
from test.robustness.judge import Judge

_DEPTH = 2000  # commands that wait here while this process does not get its turn


def main() -> int:
    arguments = _arguments()
    robot = load_robot(robot_file(arguments.robot))
    driver = load_driver(driver_file(arguments.driver))
    joints = joint_map(driver, robot)
    judge, lock = Judge(robot, arguments.period), threading.Lock()

    def on_state(message: JointState, info: Any) -> None:
        if not joints.concerns(message.name):
            return
        with lock:
            judge.state(info["source_timestamp"] * 1e-9, joints.joint_position(message.name, message.position))

    def on_command(message: Any, info: Any) -> None:
        with lock:
            sent, number = info["source_timestamp"] * 1e-9, info["publication_sequence_number"]
            try:
                judge.command(sent, number, read_command(driver, joints, message))
            except InputError:
                judge.malformed()

    rclpy.init(args=[])
    node = rclpy.create_node("observer", namespace=arguments.namespace)
    node.create_subscription(JointState, arguments.states, on_state, QoSProfile(depth=_DEPTH))
    node.create_subscription(MESSAGE_OF[driver.command_type], arguments.commands, on_command, QoSProfile(depth=_DEPTH))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    ended = threading.Event()
    threading.Thread(target=_answer, args=(judge, lock, ended), daemon=True).start()
    while not ended.is_set():
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


def _answer(judge: Judge, lock: threading.Lock, ended: threading.Event) -> None:
    for line in sys.stdin:
        with lock:
            answer: dict[str, Any] = {}
            if line.strip() == "window":
                answer = judge.window().to_dict()
            elif line.strip() == "new_hand":
                judge.new_hand()
        print(json.dumps(answer), flush=True)
    ended.set()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("robot", "driver", "namespace", "states", "commands"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--period", type=float, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
