"""All tips follow a path that was recorded into a bag: python follow_bag.py BAG [--topic tip_poses] [--speed 0.5].

Record the path with `ros2 bag record --topics tip_poses` while the hand is moved in any way. Needs the Python package rosbags.
"""

import argparse
import math
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.utilities import remove_ros_args
from rosbags.highlevel import AnyReader, AnyReaderError

RATE = 50.0  # Hz
THERE = {"REACHED", "UNREACHABLE", "COLLISION", "DISABLED"}  # states of a tip that comes no nearer to its target
REST = 0.5  # s for which the hand must be at the first place before the path begins


def read_path(bag, topic):
    """The recorded poses as (time since the first [s], PoseArray), oldest first."""
    with AnyReader([Path(bag)]) as reader:
        paths = [c for c in reader.connections if c.msgtype == "geometry_msgs/msg/PoseArray"]
        connections = [c for c in paths if c.topic.strip("/") == topic.strip("/")]
        if not connections:
            found = ", ".join(sorted(c.topic for c in paths)) or "none"
            raise SystemExit(f"{bag}: no topic {topic} of PoseArray; those that it has: {found}")
        rows = [(stamp, deserialize_message(data, PoseArray)) for _, stamp, data in reader.messages(connections)]
    if not rows:
        raise SystemExit(f"{bag}: nothing was recorded on {topic}")
    return [(1e-9 * (stamp - rows[0][0]), poses) for stamp, poses in rows]


class Follower(Node):
    """Brings the hand to the first place, then leads it along the path."""

    def __init__(self, path, speed):
        super().__init__("follower")
        self.path, self.speed = path, speed
        self.time, self.place = 0.0, 0
        self.rest = 0.0  # s that the hand has been at the first place; an older target's REACHED does not last as long
        self.there = False
        self.publisher = self.create_publisher(PoseArray, "target_poses", 1)
        self.create_subscription(DiagnosticStatus, "status", self.on_status, 1)
        self.create_timer(1.0 / RATE, self.step)

    @property
    def done(self):
        return self.time > self.path[-1][0] + 1.0  # the last place a little longer, so that the hand arrives

    def on_status(self, status):
        states = [pair.value for pair in status.values if pair.key.endswith(".state")]
        self.there = bool(states) and THERE.issuperset(states)

    def step(self):
        if self.publisher.get_subscription_count() == 0:
            return  # no controller yet
        while self.place + 1 < len(self.path) and self.path[self.place + 1][0] <= self.time:
            self.place += 1
        target = self.path[self.place][1]
        target.header.stamp = self.get_clock().now().to_msg()
        self.publisher.publish(target)
        if self.rest < REST:
            self.rest = self.rest + 1.0 / RATE if self.there else 0.0
            return
        self.time += self.speed / RATE


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bag")
    parser.add_argument("--topic", default="tip_poses")
    parser.add_argument("--speed", type=float, default=1.0, help="1: as recorded")
    arguments = parser.parse_args(remove_ros_args()[1:])  # a mistyped --speed must not move the hand at full speed
    if not 0.0 < arguments.speed < math.inf:
        parser.error(f"--speed is {arguments.speed}, must be a finite number above 0")
    try:
        path = read_path(arguments.bag, arguments.topic)
    except (AnyReaderError, OSError) as error:
        raise SystemExit(f"{arguments.bag}: is not a readable bag: {error}") from error
    rclpy.init()
    node = Follower(path, arguments.speed)
    print(f"{len(path)} places in {path[-1][0]:.1f} s, frame {path[0][1].header.frame_id}")
    try:
        while not node.done:
            rclpy.spin_once(node)
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        return
    print("arrived at the end of the path")


if __name__ == "__main__":
    main()
