"""What the tests of the page share: ears on its domain, a browser, and where the page draws what."""

from __future__ import annotations

import importlib.util
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from PIL import Image
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from sensor_msgs.msg import JointState

from nnik_ros.geometry import Array
from nnik_ros.nodes.inbox import newest
from nnik_ros.nodes.web_scene import workspace_view
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot

ROOT = Path(__file__).resolve().parents[2]
TIP = 0
PATIENCE = 90.0  # s; WebGL in software on a busy machine
FIELD_OF_VIEW = np.deg2rad(75.0)  # vertical; the page's default


def load_pictures() -> Any:
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs" / "make_pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Listener:
    """Hears the joints and the targets of one tip."""

    def __init__(self, robot: str, domain: int) -> None:
        self.robot = load_robot(robot_file(robot))
        self.q: Array | None = None
        self.targets: list[Array] = []
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = Node("listener", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._node.create_subscription(JointState, "joint_states", self._take_states, newest(1))
        self._node.create_subscription(
            PoseStamped, f"{self.robot.tip_names[TIP]}/target_pose", self._take_target, newest(10)
        )

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, what
            self._executor.spin_once(timeout_sec=0.05)

    def tip(self) -> Array:
        assert self.q is not None
        return np.asarray(self.robot.kinematics.tip_position(self.q)[TIP])

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _take_states(self, message: JointState) -> None:
        if set(message.name) != set(self.robot.joint_names):
            return  # another robot stood there before
        order = [list(message.name).index(name) for name in self.robot.joint_names]
        self.q = np.array(message.position)[order]

    def _take_target(self, message: PoseStamped) -> None:
        p = message.pose.position
        self.targets.append(np.array([p.x, p.y, p.z]))


def on_canvas(listener: Listener, width: int, height: int) -> tuple[int, int]:
    """Where the page's first camera sees the measured tip: pixels from the middle of the canvas, right and down."""
    view = workspace_view(listener.robot)
    eye = view.center + view.distance * view.direction
    forward = -view.direction
    right = np.cross(forward, view.up)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    ray = listener.tip() - eye
    scale = 0.5 * height / np.tan(0.5 * FIELD_OF_VIEW) / float(ray @ forward)
    return round(scale * float(ray @ right)), round(scale * float(ray @ down))


def dark_share(page: Any) -> float:
    """Share of dark pixels left of the panel: the hand's links are dark, the empty page is white."""
    picture = np.asarray(Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("L"))
    return float((picture[:, : picture.shape[1] // 2] < 70).mean())


def text(page: Any) -> str:
    return str(page.find_element(By.TAG_NAME, "body").text)


def drag(listener: Listener, page: Any, right: int, down: int) -> None:
    """Take the ball at the tip and move it by so many pixels."""
    canvas = page.find_element(By.TAG_NAME, "canvas")
    x, y = on_canvas(listener, canvas.size["width"], canvas.size["height"])
    chain = ActionChains(page, duration=200).move_to_element_with_offset(canvas, x, y).click_and_hold()
    for step in range(6):
        part = [round(way * (step + 1) / 6) - round(way * step / 6) for way in (right, down)]
        chain = chain.move_by_offset(*part).pause(0.2)
    chain.release().perform()
