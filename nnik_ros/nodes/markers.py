"""Targets, tips and errors as markers for RViz."""

from __future__ import annotations

import math

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from nnik_ros.geometry import Array
from nnik_ros.nodes.status_reader import state_color
from nnik_ros.robot import Robot
from nnik_ros.states import TickResult, TipState

_SIZE = 0.05  # diameter of a target, of the finger's reach


def marker_array(robot: Robot, result: TickResult, targets: Array, header: Header) -> MarkerArray:
    """Per tip: a ball at its target, a smaller one at the measured tip, and a line between them, coloured by the tip's state.

    targets (nt, 3) [m] in the base frame, nan where there is none: those markers are deleted. header: of all markers, with the
    base frame as TF names it.
    """
    markers = []
    for tip, name in enumerate(robot.tip_names):
        color = [value / 255.0 for value in state_color(TipState(int(result.tip_state[tip])).name)]
        size = _SIZE * float(robot.kinematics.reach[tip])
        target, measured = _point(targets[tip]), _point(result.measured_tip_position[tip])
        for kind, points, shape, scale, alpha in (
            ("target", [target], Marker.SPHERE, size, 0.5),
            ("tip", [measured], Marker.SPHERE, 0.6 * size, 1.0),
            ("error", [target, measured], Marker.LINE_STRIP, 0.1 * size, 1.0),
        ):
            known = [point for point in points if point is not None]
            markers.append(_marker(f"{name}/{kind}", header, shape, scale, (*color, alpha), known))
            if len(known) < len(points):
                markers[-1].action = Marker.DELETE
    return MarkerArray(markers=markers)


def _marker(
    namespace: str, header: Header, shape: int, scale: float, color: tuple[float, ...], points: list[Point]
) -> Marker:
    marker = Marker(header=header, ns=namespace, type=shape, action=Marker.ADD)
    marker.scale.x = marker.scale.y = marker.scale.z = scale
    marker.color = ColorRGBA(**dict(zip("rgba", color, strict=True)))
    if shape == Marker.SPHERE:
        if points:
            marker.pose.position = points[0]
    else:
        marker.points = points
    return marker


def _point(position: Array) -> Point | None:
    x, y, z = position.tolist()
    return Point(x=x, y=y, z=z) if math.isfinite(x + y + z) else None
