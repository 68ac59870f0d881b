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
from selenium.webdriver.common.by import By
from sensor_msgs.msg import JointState

from nnik_ros.geometry import Array
from nnik_ros.nodes.inbox import newest
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot

ROOT = Path(__file__).resolve().parents[2]
TIP = 0
PATIENCE = 90.0  # s; WebGL in software on a busy machine


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


def dark_share(page: Any) -> float:
    """Share of dark pixels left of the panel: the hand's links are dark, the empty page is white."""
    picture = np.asarray(Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("L"))
    return float((picture[:, : picture.shape[1] // 2] < 70).mean())


def text(page: Any) -> str:
    return str(page.find_element(By.TAG_NAME, "body").text)


def drag(listener: Listener, page: Any, right: int, down: int) -> None:
    """Take the ball at the tip and move it by so many pixels."""
    pictures = load_pictures()
    canvas = page.find_element(By.TAG_NAME, "canvas")
    place = pictures.on_canvas(listener.robot, listener.tip(), canvas.size["width"], canvas.size["height"])
    pictures.drag(page, place, (right, down))
