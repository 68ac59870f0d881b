"""Makes the pictures of the page from the running demo: ./run demo must be installed, Chromium and its driver too."""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from nnik_ros.geometry import Array
from nnik_ros.nodes.web_scene import workspace_view
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot

ROOT = Path(__file__).resolve().parent.parent
FIELD_OF_VIEW = np.deg2rad(75.0)  # of the page's camera, vertical
SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help=f"{', '.join(PICTURES)} (default: all)")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.pictures if name not in PICTURES]
    if unknown:
        parser.error(f"there is no picture '{unknown[0]}'; there are {', '.join(PICTURES)}")
    for name in arguments.pictures or PICTURES:
        PICTURES[name](arguments.folder / f"{name}.png")
        print(f"{name}.png")
    return 0


def hand(output: Path) -> None:
    """The hand in a pinch, all targets reached."""
    with running_demo() as address, browser(1280, 860) as page:
        wait = opened(page, address, "finger")
        press(page, "pinch index")
        wait.until(lambda page: text(page).lower().count("reached") >= 4)
        time.sleep(6.0)  # for the plots to fill
        page.save_screenshot(str(output))


def planar_arm(output: Path) -> None:
    """The planar arm, stretched towards a target that is out of its reach."""
    robot = load_robot(robot_file("planar_2r"))
    with running_demo("--robot", "planar_2r") as address, browser(1280, 860) as page:
        wait = opened(page, address, "planar_2r")
        wait.until(lambda page: "idle" in text(page))
        canvas = page.find_element(By.TAG_NAME, "canvas")
        size = canvas.size["width"], canvas.size["height"]
        tip = robot.kinematics.tip_position(robot.home)[0]
        drag(page, on_canvas(robot, tip, *size), (90, -110))
        wait.until(lambda page: "out of reach" in text(page))
        time.sleep(6.0)
        page.save_screenshot(str(output))


PICTURES = {"demo": hand, "planar_arm": planar_arm}


@contextlib.contextmanager
def running_demo(*arguments: str) -> Iterator[str]:
    """The address of a demo's page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nnik_ros.nodes.demo", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"http://\S+", line):
                yield found[0]
                return
        raise RuntimeError(f"the demo ended with exit code {process.wait()}")
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def browser(width: int, height: int) -> Iterator[webdriver.Chrome]:
    """Headless Chromium that draws WebGL without a graphics card."""
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--hide-scrollbars",
        f"--window-size={width},{height}",
        *SOFTWARE_GL,
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def opened(page: webdriver.Chrome, address: str, word: str) -> Any:
    """Open the page and wait until it shows `word`; what to wait on from there."""
    page.get(address)
    wait = WebDriverWait(page, 180)
    wait.until(lambda page: page.find_elements(By.TAG_NAME, "canvas"))
    wait.until(lambda page: word in text(page))
    dismiss_notice(page)
    return wait


def text(page: webdriver.Chrome) -> str:
    return str(page.find_element(By.TAG_NAME, "body").text)


def on_canvas(robot: Robot, point: Array, width: int, height: int) -> tuple[int, int]:
    """Where the page's first camera sees a point (3,) [m]: pixels from the middle of the canvas, right and down."""
    view = workspace_view(robot)
    forward = -view.direction
    right = np.cross(forward, view.up)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    ray = point - (view.center + view.distance * view.direction)
    scale = 0.5 * height / np.tan(0.5 * FIELD_OF_VIEW) / float(ray @ forward)
    return round(scale * float(ray @ right)), round(scale * float(ray @ down))


def drag(page: webdriver.Chrome, place: tuple[int, int], way: tuple[int, int], steps: int = 6) -> None:
    """Press at a place of the canvas (pixels from its middle) and move `way` pixels before letting go."""
    canvas = page.find_element(By.TAG_NAME, "canvas")
    chain = ActionChains(page, duration=200).move_to_element_with_offset(canvas, *place).click_and_hold()
    for step in range(steps):
        part = [round(w * (step + 1) / steps) - round(w * step / steps) for w in way]
        chain = chain.move_by_offset(*part).pause(0.2)
    chain.release().perform()


def press(page: webdriver.Chrome, label: str) -> None:
    page.find_element(By.XPATH, f"//button[normalize-space()='{label}']").click()


def dismiss_notice(page: webdriver.Chrome) -> None:
    """The page warns that WebGL runs in software, which is meant here."""
    for button in page.find_elements(By.CSS_SELECTOR, ".mantine-Notification-closeButton"):
        button.click()


if __name__ == "__main__":
    sys.exit(main())
