"""The page in a real browser: headless Chromium draws it, drags a target, and the simulated hand follows over DDS."""

from __future__ import annotations

import importlib.util
import io
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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
from nnik_ros.nodes.demo_processes import Processes, free_domain
from nnik_ros.nodes.inbox import newest
from nnik_ros.nodes.web_scene import workspace_view
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot

ROOT = Path(__file__).resolve().parents[2]
ROBOT, TIP = "allegro_right", 0
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

    def __init__(self, domain: int) -> None:
        self.robot = load_robot(robot_file(ROBOT))
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
        order = [list(message.name).index(name) for name in self.robot.joint_names]
        self.q = np.array(message.position)[order]

    def _take_target(self, message: PoseStamped) -> None:
        p = message.pose.position
        self.targets.append(np.array([p.x, p.y, p.z]))


@pytest.fixture
def listener() -> Iterator[Listener]:
    domain = free_domain()
    robot = f"robot:={ROBOT}"
    with Processes(domain) as processes:
        processes.start("sim_hand", "nnik_ros.nodes.sim_hand_node", [robot])
        processes.start(
            "controller", "nnik_ros.nodes.controller_node", [robot, "start_paused:=false", "closed_loop_gain:=4.0"]
        )
        processes.start("web", "nnik_ros.nodes.web_node", [robot, "port:=8350"])
        heard = Listener(domain)
        heard.address = ""  # type: ignore[attr-defined]

        def opened() -> bool:
            lines = [line for line in processes.log("web").splitlines() if "page of" in line]
            heard.address = lines[0].split(": ")[-1] if lines else ""  # type: ignore[attr-defined]
            assert not processes.fallen(), processes.fallen()
            return bool(lines) and heard.q is not None

        try:
            heard.wait(opened, "the page did not open")
            yield heard
        finally:
            heard.close()


@pytest.fixture
def page(listener: Listener) -> Iterator[Any]:
    for program in ("chromium", "chromedriver"):
        assert shutil.which(program), f"{program} is missing: apt-get install chromium chromium-driver"
    pictures = load_pictures()
    with pictures.browser(1000, 720) as driver:
        driver.get(listener.address)  # type: ignore[attr-defined]
        listener.wait(lambda: bool(driver.find_elements(By.TAG_NAME, "canvas")), "no canvas")
        listener.wait(lambda: "thumb" in driver.find_element(By.TAG_NAME, "body").text, "no finger table")
        listener.wait(lambda: dark_share(driver) > 0.01, "the hand was not drawn")
        pictures.dismiss_notice(driver)
        yield driver


@pytest.mark.timeout(400)
def test_the_page_draws_the_hand_and_a_dragged_target_moves_it(listener: Listener, page: Any) -> None:
    assert listener.targets == []  # silent until a person acts
    before = listener.tip()
    canvas = page.find_element(By.TAG_NAME, "canvas")
    x, y = on_canvas(listener, canvas.size["width"], canvas.size["height"])
    drag = ActionChains(page, duration=200).move_to_element_with_offset(canvas, x, y).click_and_hold()
    for _ in range(6):
        drag = drag.move_by_offset(0, 10).pause(0.2)
    drag.release().perform()
    listener.wait(lambda: len(listener.targets) > 3, "the drag sent no target")
    assert np.linalg.norm(listener.targets[-1] - before) > 0.01
    listener.wait(
        lambda: float(np.linalg.norm(listener.tip() - listener.targets[-1])) < 0.003, "the hand did not follow"
    )


@pytest.mark.timeout(400)
def test_the_buttons_of_the_page_reach_the_controller(listener: Listener, page: Any) -> None:
    press = load_pictures().press
    press(page, "Pause")
    listener.wait(
        lambda: "paused" in page.find_element(By.TAG_NAME, "body").text.lower(), "pause did not reach the controller"
    )
    press(page, "Start")
    listener.wait(
        lambda: "idle" in page.find_element(By.TAG_NAME, "body").text.lower(), "start did not reach the controller"
    )


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
