"""Another robot is chosen on the page by clicks: it is drawn, follows a dragged target, and says what is out of reach."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from web_bench import PATIENCE, ROOT, Listener, drag, load_pictures, text

from nnik_ros.nodes.demo_processes import free_domain
from nnik_ros.nodes.web_chooser import Choice, ParameterClient, chosen, model_choices, robot_choices
from nnik_ros.nodes.web_node import WebNode
from nnik_ros.paths import model_file, robot_file, share_dir, shipped
from nnik_ros.robot import load_robot


class RunningDemo:
    """`./run demo` with its page, in a domain of its own."""

    def __init__(self, *arguments: str) -> None:
        self.domain = free_domain()
        command = [sys.executable, "-u", "-m", "nnik_ros.nodes.demo", "--port", "8450", "--domain", str(self.domain)]
        self.process = subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self.address = ""
        self._opened = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._opened.wait(60.0), f"no page: {''.join(self.lines)}"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(15.0)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(r"http://\S+", line):
                self.address = found[0]
                self._opened.set()


@pytest.fixture
def demo() -> Iterator[RunningDemo]:
    demo = RunningDemo()
    try:
        yield demo
    finally:
        demo.close()


def choose(arm: Listener, page: Any, present: str, wanted: str) -> None:
    """Open the list that shows `present` and click on `wanted`, as soon as the panel has unfolded."""

    def rows(_: Any = None) -> list[Any]:
        return [row for row in page.find_elements(By.CSS_SELECTOR, "[role=option]") if row.is_displayed()]

    def clicked() -> bool:
        load_pictures().dismiss_notice(page)  # a page that comes back warns anew, and the warning covers the list
        if not rows():
            next(box for box in boxes(page) if box.get_attribute("value") == present).click()
            WebDriverWait(page, 5.0).until(rows)  # a second click would close it
        next(row for row in rows() if row.text == wanted).click()
        return True

    arm.wait(patiently(clicked), f"the choice of {wanted}")


def shows(page: Any, label: str) -> bool:
    return any(box.get_attribute("value") == label for box in boxes(page))


def boxes(page: Any) -> list[Any]:
    return [box for box in page.find_elements(By.TAG_NAME, "input") if box.is_displayed()]


def patiently(condition: Callable[[], bool]) -> Callable[[], bool]:
    """Elements may go while the page is built anew."""

    def tried() -> bool:
        try:
            return condition()
        except (WebDriverException, StopIteration):
            return False

    return tried


@pytest.mark.timeout(600)
def test_the_arms_are_chosen_on_the_page_and_follow_as_the_hand_does(demo: RunningDemo) -> None:
    arm = Listener("planar_2r", demo.domain)
    try:
        with load_pictures().browser(1000, 720) as page:
            page.get(demo.address)
            arm.wait(patiently(lambda: shows(page, "allegro_right") and "thumb" in text(page)), "the hand's page")
            load_pictures().dismiss_notice(page)
            choose(arm, page, "allegro_right", "planar_2r")
            arm.wait(patiently(lambda: "thumb" not in text(page) and "idle" in text(page)), "the arm's page")
            arm.wait(lambda: arm.q is not None, "the arm's joints")
            assert shows(page, "own network")
            follow_a_drag_within_reach(arm, page)
            extend_beyond_reach(arm, page)
            choose(arm, page, "own network", "damped least squares")
            arm.wait(lambda: "damped least squares: in use" in text(page), "the other solver")
            choose(arm, page, "planar_2r", "spatial_2j")
            arm.wait(patiently(lambda: shows(page, "spatial_2j") and "idle" in text(page)), "the spatial arm's page")
            arm.wait(lambda: shows(page, own_solver("spatial_2j")), "the spatial arm's solver")
    finally:
        arm.close()
    assert demo.process.poll() is None
    assert [name for line in demo.lines for name in re.findall(r"demo: (\w+), chosen", line)] == [
        "planar_2r",
        "spatial_2j",
    ]


def follow_a_drag_within_reach(arm: Listener, page: Any) -> None:
    before = arm.tip()
    drag(arm, page, 0, 60)
    arm.wait(lambda: len(arm.targets) > 3, "targets of the drag")
    assert arm.targets[-1][1] < before[1] - 1.0, "down on the screen is down for an arm that is seen from above"
    arm.wait(lambda: bool(np.linalg.norm(arm.tip() - arm.targets[-1]) < 0.01), "the arm at its target")


def extend_beyond_reach(arm: Listener, page: Any) -> None:
    drag(arm, page, 60, -200)
    told = r"tip: target out of reach: ([\d.]+) mm beyond the closest point found"

    def stretched() -> bool:  # towards the newest target: the page may still be busy with the drag
        target = arm.targets[-1]
        distance = float(np.linalg.norm(target))
        found = re.search(told, text(page))
        return (
            distance > 11.0
            and bool(np.linalg.norm(arm.tip() - target * 10.0 / distance) < 0.05)
            and found is not None
            and abs(1e-3 * float(found[1]) - (distance - 10.0)) < 0.05
        )

    arm.wait(stretched, "the arm of 10 m stretched towards its target, and how far away that is")


def own_solver(robot: str) -> str:
    own = robot in shipped(share_dir() / "models", ".onnx")
    return "own network" if own else "damped least squares (no own network)"


def test_only_networks_that_fit_the_robot_are_offered() -> None:
    for name in ("allegro_left", "planar_2r", "spatial_2j"):
        choices = model_choices(load_robot(robot_file(name)))
        assert choices[-1].value == "none"
        assert chosen(choices, "auto").label == own_solver(name)
        assert chosen(choices, "none") == choices[-1]
    labels = [choice.label for choice in model_choices(load_robot(robot_file("planar_2r")))]
    assert labels == ["own network", "s4_planar_absolute", "s5_planar_incremental", "damped least squares"]


def test_a_network_and_a_robot_of_ones_own_are_shown_by_their_file_names(tmp_path: Path) -> None:
    choices = model_choices(load_robot(robot_file("planar_2r")))
    own = tmp_path / "mine.onnx"
    own.write_bytes(model_file("planar_2r").read_bytes())
    assert chosen(choices, str(own)) == ("mine", str(own))
    assert robot_choices("planar_2r") == robot_choices("allegro_left")
    assert robot_choices("some/hand.yaml")[0] == ("hand", "some/hand.yaml")
    assert robot_choices("planar_2r", "some/hand.yaml") == robot_choices("some/hand.yaml", "some/hand.yaml")
    assert {"hand", "my/hand.yaml"} < {choice.label for choice in robot_choices("some/hand.yaml", "my/hand.yaml")}


def test_one_label_stands_for_one_choice_also_where_a_file_is_called_as_a_shipped_one() -> None:
    for present in ("my/allegro_right.yaml", "my/hand.yaml", "planar_2r"):
        labels = {choice.label: choice.value for choice in robot_choices(present)}
        assert len(labels) == len(robot_choices(present))
        assert labels["allegro_right"] == "allegro_right"
        assert present in labels.values()
    choices = model_choices(load_robot(robot_file("planar_2r")))
    assert chosen(choices, "my/s4_planar_absolute.onnx").label not in [choice.label for choice in choices]


def test_a_network_of_ones_own_is_left_and_chosen_again() -> None:
    page, controller = WebNode(), Node("controller")
    controller.declare_parameter("model", "my/mine.onnx")
    executor = SingleThreadedExecutor()
    for node in (page, controller):
        executor.add_node(node)

    def until(condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline and not condition():
            executor.spin_once(timeout_sec=0.05)
        return condition()

    def uses(model: str) -> bool:
        return until(lambda: controller.get_parameter("model").value == model)

    try:
        assert until(lambda: page._panel._model.value == "mine")
        page._choose_model("damped least squares")
        assert uses("none")
        page._choose_model("mine")
        assert uses("my/mine.onnx"), page._note
        controller.set_parameters([Parameter("model", value="auto")])
        assert until(lambda: page._panel._model.value == "own network")
    finally:
        executor.shutdown()
        page.close()
        page.destroy_node()
        controller.destroy_node()


def test_questions_that_nobody_answers_do_not_pile_up_and_the_newest_is_answered_when_somebody_does() -> None:
    """The page asks once a second, and a controller that was killed is seen for a while, one that stands still for ever."""
    page, controller = Node("asking"), Node("standing_still")
    controller.declare_parameter("model", "none")
    executor = SingleThreadedExecutor()
    executor.add_node(page)
    client = ParameterClient(page, "standing_still")
    answers: list[str] = []
    try:
        assert client.appears(20.0)
        for _ in range(50):
            client.get("model", answers.append)
        assert len(client._get._pending_requests) <= 10
        assert answers == []
        executor.add_node(controller)
        end = time.monotonic() + 20.0
        while time.monotonic() < end and not answers:
            executor.spin_once(timeout_sec=0.05)
        assert answers[0] == "none"
    finally:
        executor.shutdown()
        page.destroy_node()
        controller.destroy_node()


def test_without_an_own_network_auto_is_damped_least_squares_whatever_else_was_in_use() -> None:
    choices = (Choice("damped least squares (no own network)", "none"), Choice("mine", "my/mine.onnx"))
    assert chosen(choices, "auto") == choices[0]


class Asker:
    """Gets and sets parameters in the domain of a demo."""

    def __init__(self, domain: int) -> None:
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._node = Node("asker", context=self._context)
        self._executor.add_node(self._node)

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def get(self, node: str, name: str) -> str:
        return self._ask(node, lambda client, then: client.get(name, then))

    def set(self, node: str, name: str, value: str) -> str:
        """Returns the reason of a refusal, '' when it was accepted."""
        return self._ask(node, lambda client, then: client.set(name, value, then))

    def until(self, node: str, name: str, value: str) -> None:
        """Wait until a node that may be started anew has this value."""
        end = time.monotonic() + PATIENCE
        while (found := self.get(node, name)) != value:
            assert time.monotonic() < end, f"{name} of {node} is '{found}'"

    def _ask(self, node: str, question: Callable[[ParameterClient, Callable[[str], None]], None]) -> str:
        """Asks again while nobody answers: who is asked may just be ending, or beginning."""
        answers: list[str] = []
        end = time.monotonic() + PATIENCE
        while not answers:
            assert time.monotonic() < end, f"no answer of {node}"
            client = ParameterClient(self._node, node)
            if client.appears(1.0):
                question(client, answers.append)
                again = time.monotonic() + 3.0
                while not answers and time.monotonic() < again:
                    self._executor.spin_once(timeout_sec=0.05)
        return answers[0]


@pytest.mark.timeout(300)
def test_a_robot_of_ones_own_is_offered_beside_others_and_comes_back_with_its_network(tmp_path: Path) -> None:
    shipped_file = robot_file("planar_2r")
    own, network = tmp_path / "my_arm.yaml", tmp_path / "mine.onnx"
    own.write_text(shipped_file.read_text().replace("../../urdf", str(shipped_file.parents[2] / "urdf")))
    network.write_bytes(model_file("planar_2r").read_bytes())
    demo = RunningDemo("--robot", str(own), "--model", str(network))
    asker = Asker(demo.domain)
    try:
        asker.until("controller", "model", str(network))
        assert asker.set("demo", "robot", "spatial_2j") == ""
        asker.until("web", "robot", "spatial_2j")
        asker.until("controller", "model", "auto")
        assert asker.get("web", "own_robot") == str(own)
        assert asker.set("demo", "robot", str(own)) == ""
        asker.until("web", "robot", str(own))
        asker.until("controller", "model", str(network))
    finally:
        asker.close()
        demo.close()


@pytest.mark.timeout(120)
def test_a_robot_that_cannot_be_shown_is_refused_and_the_demo_goes_on(demo: RunningDemo) -> None:
    asker = Asker(demo.domain)
    try:
        assert "robot 'alegro' is unknown; shipped: allegro_left" in asker.set("demo", "robot", "alegro")
        assert asker.get("demo", "robot") == "allegro_right"
    finally:
        asker.close()
    assert demo.process.poll() is None
