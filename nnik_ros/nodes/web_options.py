"""Settings of the browser page."""

from __future__ import annotations

from dataclasses import dataclass

from nnik_ros.nodes.node_options import namespace_option, prefix_option, robot_option
from nnik_ros.options import option


@dataclass(frozen=True)
class WebOptions:
    """Settings of the node `web`."""

    robot: str = robot_option()
    driver: str = option("simulated", "Driver profile whose joint states and commands are drawn.", live=False)
    driver_namespace: str = namespace_option()
    frame_prefix: str = prefix_option()
    controller: str = option("controller", "Name of the controller node whose services the buttons call.", live=False)
    chooser: str = option(
        "", "Name of the node whose parameter `robot` changes the robot, as the demo does; empty: it stays.", live=False
    )
    own_robot: str = option(
        "", "Another robot that can be chosen there, beside the shipped ones: the path of a YAML file.", live=False
    )
    host: str = option("127.0.0.1", "Address that the page listens on; 0.0.0.0 opens it to the network.", live=False)
    port: int = option(
        8080, "Port of the page; the next free one is taken when it is in use.", low=1, high=65535, live=False
    )
    frame_rate: float = option(
        30.0, "Rate at which the drawing follows the robot.", unit="Hz", low=1.0, high=60.0, live=False
    )
