"""What an interactive marker looks like: a ball to be dragged anywhere, three arrows, and a menu."""

from __future__ import annotations

import math
from typing import NamedTuple

from geometry_msgs.msg import Quaternion
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import InteractiveMarker, InteractiveMarkerControl, Marker, MenuEntry

from nnik_ros.geometry import Array
from nnik_ros.nodes.conversions import pose_at
from nnik_ros.nodes.status_reader import state_color

TRIGGERS = {1: "start", 2: "pause", 3: "reset", 4: "home"}  # menu entry to service
ENABLE = 5
_SIZE, _ARROWS = 0.09, 0.2  # diameter of the ball and span of the arrows, of the finger's reach
_HALF = math.sqrt(0.5)
_ARROW_AXES = {
    "x": Quaternion(w=1.0, x=0.0, y=0.0, z=0.0),
    "y": Quaternion(w=_HALF, x=0.0, y=0.0, z=_HALF),
    "z": Quaternion(w=_HALF, x=0.0, y=-_HALF, z=0.0),
}


class Look(NamedTuple):
    """What a viewer has to be told anew when it changes. color: 0 to 255."""

    color: tuple[int, int, int]
    enabled: bool


def look_of(state: str, enabled: bool) -> Look:
    """The look of a tip in a state of the status."""
    return Look(state_color(state), enabled)


def tip_marker(name: str, frame: str, position: Array, reach: float, look: Look) -> InteractiveMarker:
    """The marker of a tip at (3,) [m] in `frame`; reach [m]: of its finger."""
    marker = InteractiveMarker(name=name, description=name, scale=_ARROWS * reach)
    marker.header.frame_id = frame  # no stamp: the viewer gives its poses in this frame
    marker.pose = pose_at(position)
    marker.controls = [_ball(_SIZE * reach, look), *(_arrow(axis) for axis in _ARROW_AXES)]
    marker.menu_entries = _menu(name, look.enabled)
    return marker


def _ball(size: float, look: Look) -> InteractiveMarkerControl:
    ball = Marker(type=Marker.SPHERE)
    ball.scale.x = ball.scale.y = ball.scale.z = size
    red, green, blue = (value / 255.0 for value in look.color)
    ball.color = ColorRGBA(r=red, g=green, b=blue, a=0.8 if look.enabled else 0.3)
    return InteractiveMarkerControl(
        name="ball", interaction_mode=InteractiveMarkerControl.MOVE_3D, always_visible=True, markers=[ball]
    )


def _arrow(axis: str) -> InteractiveMarkerControl:
    return InteractiveMarkerControl(
        name=axis, interaction_mode=InteractiveMarkerControl.MOVE_AXIS, orientation=_ARROW_AXES[axis]
    )


def _menu(name: str, enabled: bool) -> list[MenuEntry]:
    titles = {number: service.capitalize() for number, service in TRIGGERS.items()}
    titles[ENABLE] = f"[{'x' if enabled else ' '}] Enable {name}"
    return [MenuEntry(id=number, title=title, command_type=MenuEntry.FEEDBACK) for number, title in titles.items()]
