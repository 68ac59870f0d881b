"""Settings of the interactive markers."""

from __future__ import annotations

from dataclasses import dataclass

from nnik_ros.options import option


@dataclass(frozen=True)
class MarkerOptions:
    """Settings of the node `tip_markers`."""

    robot: str = option("allegro_right", "Robot: a shipped name or the path of a YAML file.", live=False)
    driver: str = option(
        "simulated", "Driver profile whose joint states are passed on under the robot's names.", live=False
    )
    driver_namespace: str = option(
        "", "Namespace of the driver's topics; empty: the profile's, '/': the root.", live=False
    )
    frame_prefix: str = option(
        "", "Before the names of the hand's own frames, for instance 'left/'; as robot_state_publisher's.", live=False
    )
    controller: str = option("controller", "Name of the controller node whose services the menu calls.", live=False)
    update_rate: float = option(
        30.0, "Rate at which markers follow and targets repeat.", unit="Hz", low=5.0, high=100.0, live=False
    )
