"""The tips' targets on the page: one ball with arrows per tip, dragged by any viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import viser

from nnik_ros.geometry import Array
from nnik_ros.nodes.web_scene import Color, View
from nnik_ros.robot import Robot


class TargetHandles:
    """Balls that a person drags in the plane of the screen, with arrows for the single axes.

    `on_drag(tip, position (3,) [m])` is called for every move of a person, never for moves by the program. A ball in
    somebody's hand is left alone by `place`, so that viewers and scripts do not tear at it.
    """

    def __init__(
        self, server: viser.ViserServer, robot: Robot, view: View, on_drag: Callable[[int, Array], None]
    ) -> None:
        self._on_drag = on_drag
        self._grabbed: dict[int, int] = {}  # tip: client that holds it
        self._offset = np.zeros((robot.nt, 3))  # from the grabbed point to the ball's centre
        self._position = np.zeros((robot.nt, 3))
        self._gizmos: list[Any] = []
        self._balls: list[Any] = []
        for tip, name in enumerate(robot.tip_names):
            self._add(server, tip, f"/targets/{name}", name, view)

    def place(self, tip: int, position: Array) -> None:
        """Show the target (3,) [m] of a tip, unless somebody is dragging it."""
        if tip in self._grabbed or np.linalg.norm(position - self._position[tip]) < 1e-5:
            return
        self._position[tip] = position
        self._gizmos[tip].position = position

    def paint(self, tip: int, color: Color) -> None:
        self._balls[tip].color = color

    def release(self, client: int) -> None:
        """A viewer has gone, with whatever it held."""
        self._grabbed = {tip: owner for tip, owner in self._grabbed.items() if owner != client}

    def set_visible(self, visible: bool) -> None:
        for gizmo in self._gizmos:
            gizmo.visible = visible

    def _add(self, server: viser.ViserServer, tip: int, path: str, name: str, view: View) -> None:
        gizmo = server.scene.add_transform_controls(
            path,
            scale=0.17 * view.handle,
            line_width=2.0,
            disable_rotations=True,
            disable_sliders=True,
            depth_test=False,
            opacity=0.75,
        )
        ball = server.scene.add_icosphere(f"{path}/ball", radius=0.055 * view.handle, opacity=0.8, cast_shadow=False)
        server.scene.add_label(
            f"{path}/name",
            name,
            position=(0.0, 0.0, 0.085 * view.handle),
            anchor="bottom-center",
            font_screen_scale=0.9,
        )
        self._gizmos.append(gizmo)
        self._balls.append(ball)

        async def drag_ball(event: Any) -> None:
            if event.phase == "start":
                self._offset[tip] = self._position[tip] - np.asarray(event.start_position)
            elif event.phase == "update":
                position = np.asarray(event.end_position) + self._offset[tip]
                gizmo.position = position
                self._moved(tip, position)
            self._grab(tip, event)

        async def drag_arrow(event: Any) -> None:
            if event.phase == "update":
                self._moved(tip, np.array(gizmo.position, dtype=np.float64))
            self._grab(tip, event)

        ball.on_drag(drag_ball)
        gizmo.on_update(drag_arrow)

    def _grab(self, tip: int, event: Any) -> None:
        if event.phase == "end":
            self._grabbed.pop(tip, None)
        else:
            self._grabbed[tip] = event.client_id

    def _moved(self, tip: int, position: Array) -> None:
        self._position[tip] = position
        self._on_drag(tip, position)
