"""The process that sends: `python -m test.robustness.fuzzer NAMESPACE MESSAGES SEED RATE`; its last line is what it sent."""

from __future__ import annotations

import json
import sys
import time
from collections import deque

import numpy as np
import rclpy
from geometry_msgs.msg import PoseArray, PoseStamped
from sensor_msgs.msg import JointState

from nnik_ros.geometry import Array
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot
from test.robustness.fuzz_messages import Fuzz
from test.robustness.stand import TRUE_STATES


def main() -> int:
    namespace, messages, seed, rate = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    robot = load_robot(robot_file("allegro_right"))
    fuzz, rng = Fuzz(robot, seed), np.random.default_rng(seed + 1)
    rclpy.init(args=[])
    node = rclpy.create_node("fuzzer", namespace=namespace)
    truth: deque[Array] = deque(maxlen=1)
    node.create_subscription(JointState, TRUE_STATES, lambda m: truth.append(np.array(m.position)), 1)
    states = node.create_publisher(JointState, "joint_states", 3)
    arrays = node.create_publisher(PoseArray, "target_poses", 1)
    tips = [node.create_publisher(PoseStamped, f"{tip}/target_pose", 1) for tip in robot.tip_names]
    while any(publisher.get_subscription_count() == 0 for publisher in (states, arrays, *tips)):
        time.sleep(0.01)
    while not truth:  # joint states of anywhere else would be a lie that nobody can tell from the truth
        rclpy.spin_once(node, timeout_sec=0.1)
    begin, sent = time.monotonic(), 0
    while sent < messages:
        due = min(messages, int((time.monotonic() - begin) * rate) + 1)
        rclpy.spin_once(node, timeout_sec=0.0 if due > sent else 0.0005)
        for _ in range(min(due - sent, 50)):
            place = int(rng.integers(6))
            if place == 0:
                states.publish(fuzz.joint_state(truth[0]))
            elif place == 1:
                arrays.publish(fuzz.target_poses())
            else:
                tips[place - 2].publish(fuzz.target_pose(place - 2))
            sent += 1
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - begin, "kinds": fuzz.kinds}), flush=True)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
