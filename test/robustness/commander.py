"""Somebody else who commands the hand: `python -m test.robustness.commander NAMESPACE SECONDS Q...`."""

from __future__ import annotations

import sys
import time

import rclpy
from sensor_msgs.msg import JointState


def main() -> int:
    namespace, seconds, position = sys.argv[1], float(sys.argv[2]), [float(word) for word in sys.argv[3:]]
    rclpy.init(args=[])
    node = rclpy.create_node("commander", namespace=namespace)
    publisher = node.create_publisher(JointState, "joint_cmd", 3)
    while publisher.get_subscription_count() < 2:  # the hand and the observer
        time.sleep(0.01)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        publisher.publish(JointState(position=position))
        time.sleep(0.01)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
