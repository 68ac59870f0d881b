"""Tip targets as fast as asked for: `python -m test.robustness.flood NAMESPACE RATE SECONDS`; prints how many it sent."""

from __future__ import annotations

import math
import sys
import time

import numpy as np
import rclpy
from geometry_msgs.msg import PoseArray

from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot
from test.robustness.messages import pose_array


def main() -> int:
    namespace, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    robot = load_robot(robot_file("allegro_right"))
    bend = np.array([0.0, 0.3, 0.2, 0.1] * 4)
    shares = 0.5 + 0.5 * np.sin(np.arange(400) * 2.0 * math.pi / 400)
    poses = [
        pose_array(
            robot.base_frame, robot.kinematics.tip_position(np.clip(robot.home + s * bend, robot.lower, robot.upper))
        )
        for s in shares
    ]
    rclpy.init(args=[])
    node = rclpy.create_node("flood", namespace=namespace)
    publisher = node.create_publisher(PoseArray, "target_poses", 1)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    begin, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - begin) < seconds:
        while sent < elapsed * rate:
            publisher.publish(poses[int(elapsed * 400 / 1.5) % 400])
            sent += 1
        time.sleep(0.0005)
    print(sent, flush=True)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
