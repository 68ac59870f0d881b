"""The three-dimensional part of the page: the robot from its URDF, measured and commanded, and the trails of its tips."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import viser

from nnik_ros.geometry import Array, quat_wxyz_from_rotation, rotation_about_axis
from nnik_ros.robot import Robot
from nnik_ros.urdf import FIXED, Joint, Shape

Color = tuple[int, int, int]
TIP_COLORS: tuple[Color, ...] = (
    (230, 85, 60),
    (45, 140, 235),
    (240, 170, 30),
    (150, 90, 220),
    (30, 170, 130),
    (200, 80, 150),
)
GHOST_COLOR: Color = (60, 130, 255)
_GREY: Color = (150, 152, 156)
# a ghost slightly thinner than the body hides in it until the two differ, instead of flickering on its surface
_GHOST_OPACITY, _GHOST_THINNER = 0.3, 0.003  # thinner: share of the workspace's radius
_TRAIL_LENGTH = 45
_CAMERA_DISTANCE = 1.45  # in radii of the workspace, at least
_HALF_VIEW = 0.7  # tangent of half the angle that a viewer's camera sees, with a little room at the rim


class View(NamedTuple):
    """What the page needs to know of a robot's workspace: centre (3,) and radius [m] of the ball that its tips roam, and
    the camera's direction from the centre (3,), its distance [m] and its up vector (3,). handle [m]: a length to which the
    targets' balls are in proportion."""

    center: Array
    radius: float
    direction: Array
    up: Array
    distance: float
    handle: float


def tip_color(tip: int) -> Color:
    return TIP_COLORS[tip % len(TIP_COLORS)]


def workspace_view(robot: Robot) -> View:
    """A view that shows the whole robot; a flat workspace is looked at from straight above."""
    q = robot.random_joint_position(np.random.default_rng(0), 200)
    tips = robot.kinematics.tip_position(q).reshape(-1, 3)
    points = np.concatenate([tips, _roots(robot)])
    low, high = points.min(0), points.max(0)
    extent = high - low
    flat = int(np.argmin(extent))
    if extent[flat] < 0.02 * extent.max():
        direction = np.eye(3)[flat]
        up = np.eye(3)[2 if flat != 2 else 1]
    else:
        direction, up = np.array([1.0, 0.62, 0.32]), np.array([0.0, 0.0, 1.0])
    center = 0.5 * (low + high)
    radius = 0.5 * float(np.linalg.norm(extent))
    direction = direction / np.linalg.norm(direction)
    along = (points - center) @ direction
    aside = np.linalg.norm(points - center - along[:, None] * direction, axis=-1)
    distance = max(_CAMERA_DISTANCE * radius, float((along + aside / _HALF_VIEW).max()))
    reach = float(robot.kinematics.reach.min())  # far less than the radius where the base frame is far from the fingers
    return View(center, radius, direction, up, distance, min(radius, 2.0 * reach))


def _roots(robot: Robot) -> Array:
    """Where the drawing begins (n, 3) [m]: the base frame, or what hangs on it first where nothing is drawn there."""
    found, waiting = [], [(robot.base_frame, np.eye(4))]
    for link, T_base_link in waiting:
        if robot.urdf.links[link].visuals:
            found.append(T_base_link[:3, 3])
            continue
        waiting.extend((joint.child, T_base_link @ joint.T_parent_joint) for joint in robot.urdf.below(link))
    return np.array(found or [np.zeros(3)])


class RobotScene:
    """Draws the robot twice: what was measured as a solid body, what was commanded as a translucent ghost around it."""

    def __init__(self, server: viser.ViserServer, robot: Robot, view: View) -> None:
        _set_stage(server, view)
        self._measured = _Body(server, robot, "/measured", None, 0.0)
        self._ghost = _Body(server, robot, "/commanded", GHOST_COLOR, -_GHOST_THINNER * view.radius)
        self._trails = [_Trail(server, f"/trails/{name}", tip_color(i), view) for i, name in enumerate(robot.tip_names)]

    def show_measured(self, q: Array) -> None:
        """q (nq,) [rad]."""
        self._measured.pose(q)

    def show_commanded(self, q: Array) -> None:
        """q (nq,) [rad]."""
        self._ghost.pose(q)

    def extend_trails(self, tip_position: Array) -> None:
        """tip_position (nt, 3) [m]."""
        for trail, position in zip(self._trails, tip_position, strict=True):
            trail.extend(position)

    def set_ghost_visible(self, visible: bool) -> None:
        self._ghost.root.visible = visible

    def set_trails_visible(self, visible: bool) -> None:
        for trail in self._trails:
            trail.node.visible = visible


class _Body:
    """One drawing of the robot. Links hang in each other as the URDF says, so a new pose changes rotations alone."""

    def __init__(self, server: viser.ViserServer, robot: Robot, root: str, color: Color | None, growth: float) -> None:
        self._server, self._robot = server, robot
        self._color, self._growth = color, growth
        self._joints: dict[str, tuple[Any, Joint]] = {}
        self._shown = np.full(robot.nq, np.nan)
        self.root = server.scene.add_frame(root, show_axes=False)
        self._add_link(robot.base_frame, root)

    def pose(self, q: Array) -> None:
        for i, name in enumerate(self._robot.joint_names):
            if abs(q[i] - self._shown[i]) < 1e-4:
                continue
            handle, joint = self._joints[name]
            handle.wxyz = quat_wxyz_from_rotation(
                joint.T_parent_joint[:3, :3] @ rotation_about_axis(joint.axis, float(q[i]))
            )
            self._shown[i] = q[i]

    def _add_link(self, link: str, path: str) -> None:
        shapes = self._robot.urdf.links[link].visuals
        for i, shape in enumerate(shapes):
            self._add_shape(shape, f"{path}/shape_{i}")
        for joint in self._robot.urdf.below(link):
            T = joint.T_parent_joint
            child = f"{path}/{joint.child}"
            handle = self._server.scene.add_frame(
                child, show_axes=False, position=T[:3, 3], wxyz=quat_wxyz_from_rotation(T[:3, :3])
            )
            if joint.kind != FIXED and joint.name in self._robot.joint_names:
                self._joints[joint.name] = (handle, joint)
            self._add_link(joint.child, child)

    def _add_shape(self, shape: Shape, path: str) -> None:
        rgba = shape.rgba or (*(c / 255 for c in _GREY), 1.0)
        color = self._color or tuple(round(255 * c) for c in rgba[:3])
        common: dict[str, Any] = {
            "color": color,
            "position": shape.T_link_shape[:3, 3],
            "wxyz": quat_wxyz_from_rotation(shape.T_link_shape[:3, :3]),
            "opacity": _GHOST_OPACITY if self._color else None,
            "cast_shadow": not self._color,
            "receive_shadow": not self._color,
        }
        scene, grown = self._server.scene, self._grown
        if shape.kind == "box":
            scene.add_box(path, dimensions=np.array([grown(side) for side in shape.size]), **common)
        elif shape.kind == "cylinder":
            radius, height = 0.5 * grown(2 * shape.size[0]), grown(shape.size[1])
            scene.add_cylinder(path, radius=radius, height=height, **common)
        elif shape.kind == "sphere":
            scene.add_icosphere(path, radius=0.5 * grown(2 * shape.size[0]), **common)

    def _grown(self, width: float) -> float:
        """What is thin keeps half of its width [m]: below zero it would be drawn inside out, and around the body."""
        return max(width + 2 * self._growth, 0.5 * width)


class _Trail:
    """The last places of one tip as a line that fades towards its old end."""

    def __init__(self, server: viser.ViserServer, path: str, color: Color, view: View) -> None:
        self._points: deque[Array] = deque(maxlen=_TRAIL_LENGTH)
        self._least = 0.002 * view.radius
        fade = np.linspace(0.0, 1.0, _TRAIL_LENGTH - 1)[:, None, None]
        colors = 235 * (1 - fade) + fade * np.asarray(color)
        self.node = server.scene.add_line_segments(
            path,
            np.zeros((_TRAIL_LENGTH - 1, 2, 3)),
            np.broadcast_to(colors, (_TRAIL_LENGTH - 1, 2, 3)).astype(np.uint8),
            thickness=3.0,
            thickness_units="screen",
        )

    def extend(self, position: Array) -> None:
        if not self._points:
            self._points.extend([position] * _TRAIL_LENGTH)
        elif np.linalg.norm(position - self._points[-1]) < self._least:
            return
        self._points.append(position)
        line = np.array(self._points)
        self.node.points = np.stack([line[:-1], line[1:]], axis=1).astype(np.float32)


def _set_stage(server: viser.ViserServer, view: View) -> None:
    """Light, floor and camera, in proportion to the workspace."""
    server.scene.set_up_direction(tuple(view.up))
    server.scene.configure_default_lights(True, cast_shadow=False)
    along = int(np.argmax(np.abs(view.up)))
    if not np.any(view.direction == 1.0):  # a floor seen from the side; a flat workspace has none
        floor = view.center - 1.0 * view.radius * view.up
        server.scene.add_grid(
            "/floor", 6 * view.radius, 6 * view.radius, plane=("yz", "xz", "xy")[along], position=floor,
            cell_size=0.2 * view.radius, section_size=view.radius, cell_color=(226, 229, 234),
            section_color=(208, 213, 220), shadow_opacity=0.0,
        )  # fmt: skip
    camera = server.initial_camera
    camera.look_at = tuple(view.center)
    camera.position = tuple(view.center + view.distance * view.direction)
    camera.up = tuple(view.up)
    camera.near, camera.far = _clipping(view)


def show_all(client: viser.ClientHandle, view: View) -> None:
    """Let a viewer see the whole workspace; one that comes back after another robot still stands where that one was."""
    camera = client.camera
    with client.atomic():
        camera.near, camera.far = _clipping(view)
        camera.up_direction = tuple(view.up)
        camera.position = tuple(view.center + view.distance * view.direction)
        camera.look_at = tuple(view.center)


def _clipping(view: View) -> tuple[float, float]:
    return 0.01 * view.radius, 100.0 * view.radius
