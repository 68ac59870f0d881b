"""Settings of the interactive markers."""

from __future__ import annotations

from dataclasses import dataclass

from nnik_ros.nodes.node_options import namespace_option, prefix_option, robot_option
from nnik_ros.options import option


@dataclass(frozen=True)
class MarkerOptions:
    """Settings of the node `tip_markers`."""

    robot: str = robot_option()
    driver: str = option(
        "simulated", "Driver profile whose joint states are passed on under the robot's names.", live=False
    )
    driver_namespace: str = namespace_option()
    frame_prefix: str = prefix_option()
    controller: str = option("controller", "Name of the controller node whose services the menu calls.", live=False)
    update_rate: float = option(
        30.0, "Rate at which markers follow and targets repeat.", unit="Hz", low=5.0, high=100.0, live=False
    )
