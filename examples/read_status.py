"""Prints what the controller says of the hand and of every finger, whenever a state changes, until Ctrl-C."""

import argparse
import contextlib
import math

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args


class StatusReader(Node):
    def __init__(self):
        super().__init__("status_reader")
        self.last = {}
        self.create_subscription(DiagnosticStatus, "status", self.on_status, 1)

    def on_status(self, status):
        values = {pair.key: pair.value for pair in status.values}
        states = {key: value for key, value in values.items() if key.endswith("state")}
        if states == self.last:
            return
        self.last = states
        print(f"{status.hardware_id}: {values['state']} ({status.message})", flush=True)
        for key, state in states.items():
            finger = key.removesuffix(".state")
            if finger != key:
                error = 1e3 * float(values[f"{finger}.measured_error"])  # nan: it follows no target
                off = "" if math.isnan(error) else f"{error:7.2f} mm off, by {values[f'{finger}.solver']}"
                print(f"  {finger:8} {state:12} {off}".rstrip(), flush=True)


def main():
    argparse.ArgumentParser(description=__doc__).parse_args(remove_ros_args()[1:])
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C is Python's alone
    with contextlib.suppress(KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        rclpy.spin(StatusReader())


if __name__ == "__main__":
    main()
