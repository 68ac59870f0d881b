"""The index tip goes round in a circle, a centimetre off where it was: one PoseStamped 50 times a second, until Ctrl-C."""

import argparse
import contextlib
import math

import rclpy
from geometry_msgs.msg import PoseArray, PoseStamped
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

RATE = 50.0  # Hz
PERIOD = 4.0  # s for one round
RADIUS, OFFSET = 0.012, 0.01  # m
RAMP = 2.0  # s in which the circle grows, so that the first target is where the tip already is


class Circle(Node):
    def __init__(self):
        super().__init__("circle")
        self.center = None  # Point
        self.frame = ""
        self.time = 0.0
        self.publisher = self.create_publisher(PoseStamped, "index/target_pose", 1)
        self.create_subscription(PoseArray, "tip_poses", self.on_tips, 1)
        self.create_timer(1.0 / RATE, self.step)

    def on_tips(self, tips):
        if self.center is None:  # the index is the first of the poses
            self.center, self.frame = tips.poses[0].position, tips.header.frame_id
            self.get_logger().info("the circle begins")

    def step(self):
        if self.center is None:
            return  # no controller was heard yet
        self.time += 1.0 / RATE
        ramp = min(1.0, self.time / RAMP)
        angle = 2.0 * math.pi * self.time / PERIOD
        target = PoseStamped()
        target.header.frame_id = self.frame
        target.header.stamp = self.get_clock().now().to_msg()
        target.pose.position.x = self.center.x + ramp * (RADIUS * math.cos(angle) - OFFSET)
        target.pose.position.y = self.center.y + ramp * RADIUS * math.sin(angle)
        target.pose.position.z = self.center.z - ramp * OFFSET
        target.pose.orientation.w = 1.0
        self.publisher.publish(target)


def main():
    # what is mistyped, a namespace for instance, must not move another hand
    argparse.ArgumentParser(description=__doc__).parse_args(remove_ros_args()[1:])
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        rclpy.spin(Circle())  # once it ends, the target grows stale and the finger holds


if __name__ == "__main__":
    main()
