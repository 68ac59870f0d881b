"""The page in a real browser: headless Chromium draws it, drags a target, and the simulated hand follows over DDS."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from sourced import needs
from web_bench import Listener, dark_share, drag, load_pictures, text

from nnik_ros.nodes.demo_processes import Processes, free_domain

ROBOT = "allegro_right"

pytestmark = needs("viser")


@pytest.fixture
def listener() -> Iterator[Listener]:
    domain = free_domain()
    robot = {"robot": ROBOT}
    with Processes(domain) as processes:
        processes.start("sim_hand", "nnik_ros.nodes.sim_hand_node", robot)
        processes.start(
            "controller", "nnik_ros.nodes.controller_node", {**robot, "start_paused": False, "closed_loop_gain": 4.0}
        )
        processes.start("web", "nnik_ros.nodes.web_node", {**robot, "port": 8350})
        heard = Listener(ROBOT, domain)
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
        listener.wait(lambda: "thumb" in text(driver), "no finger table")
        listener.wait(lambda: dark_share(driver) > 0.01, "the hand was not drawn")
        pictures.dismiss_notice(driver)
        yield driver


@pytest.mark.timeout(400)
def test_the_page_draws_the_hand_and_a_dragged_target_moves_it(listener: Listener, page: Any) -> None:
    assert listener.targets == []  # silent until a person acts
    before = listener.tip()
    drag(listener, page, 0, 60)
    listener.wait(lambda: len(listener.targets) > 3, "the drag sent no target")
    assert np.linalg.norm(listener.targets[-1] - before) > 0.01
    listener.wait(
        lambda: float(np.linalg.norm(listener.tip() - listener.targets[-1])) < 0.003, "the hand did not follow"
    )


@pytest.mark.timeout(400)
def test_the_buttons_of_the_page_reach_the_controller(listener: Listener, page: Any) -> None:
    press = load_pictures().press
    press(page, "Pause")
    listener.wait(lambda: "paused" in text(page).lower(), "pause did not reach the controller")
    press(page, "Start")
    listener.wait(lambda: "idle" in text(page).lower(), "start did not reach the controller")
