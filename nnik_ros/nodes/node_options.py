"""Settings of the nodes themselves: what they load, whom they talk to, and how their loop runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnik_ros.options import option

AUTO_MODEL, NO_MODEL = "auto", "none"


def robot_option() -> Any:
    """The option `robot` of every node."""
    return option("allegro_right", "Robot: a shipped name or the path of a YAML file.", live=False)


def namespace_option() -> Any:
    """The option `driver_namespace` of every node that speaks with the driver."""
    return option("", "Namespace of the driver's topics; empty: the profile's, '/': the root.", live=False)


def prefix_option() -> Any:
    """The option `frame_prefix` of every node that names frames."""
    return option(
        "", "Before the names of the hand's own frames, for instance 'left/'; as robot_state_publisher's.", live=False
    )


@dataclass(frozen=True)
class NodeOptions:
    """Settings of the controller node, beside those of the control tick."""

    robot: str = robot_option()
    model: str = option(
        AUTO_MODEL, "Network: a shipped name or the path of an ONNX file; auto: the shipped one of the robot, if any; "
        "none: damped least squares.",
    )  # fmt: skip
    calibration: str = option("", "Calibration of this one robot: the path of a YAML file; empty: none.", live=False)
    driver: str = option("simulated", "Driver profile: a shipped name or the path of a YAML file.", live=False)
    driver_namespace: str = namespace_option()
    frame_prefix: str = prefix_option()
    tf_timeout: float = option(
        0.5, "Oldest transform that takes a target to the base frame; 0: any age. Frames that never move have none.",
        unit="s", low=0.0, high=60.0, live=False,
    )  # fmt: skip
    autostart: bool = option(True, "Configure and activate without a lifecycle manager.", live=False)
    start_paused: bool = option(True, "Send nothing until ~/start or ~/home is called.", live=False)
    status_rate: float = option(
        15.0, "Rate of the status; a change is told at once.", unit="Hz", low=1.0, high=50.0, live=False
    )
    tip_pose_rate: float = option(50.0, "Rate of the measured tip poses.", unit="Hz", low=1.0, high=200.0, live=False)
    realtime_priority: int = option(
        0, "SCHED_FIFO priority of the loop; 0: ordinary scheduling.", low=0, high=98, live=False
    )
    lock_memory: bool = option(False, "Lock the process's memory, so that no page fault delays the loop.", live=False)
    keep_awake: bool = option(
        False, "Keep the processors out of idle states that they take long to wake from; costs power.", live=False
    )
    cpu_affinity: tuple[int, ...] = option(
        (), "Processors for the loop, for instance 2 or '2,3'; empty: any.", low=0, high=4095, live=False
    )
    spin: float = option(
        0.0, "Last part of each wait spent in a busy loop: steadier period, more processor time.", unit="s",
        low=0.0, high=0.001, live=False,
    )  # fmt: skip
    record: str = option(
        "",
        "Record the exact inputs and commands of every tick into this file, for ./run replay; empty: nothing.",
        live=False,
    )
    record_topic: bool = option(False, "Publish the same on the topic tape, so that a bag can be replayed.", live=False)


@dataclass(frozen=True)
class SimHandOptions:
    """Settings of the simulated hand."""

    robot: str = robot_option()
    driver: str = option("simulated", "Driver profile that the hand speaks.", live=False)
    driver_namespace: str = namespace_option()
    physics: str = option(
        "auto", "mujoco: the drive and weight of the real hand; stiff: joints that follow at once; auto: mujoco where the "
        "robot has simulation data.", choices=("auto", "mujoco", "stiff"), live=False,
    )  # fmt: skip
