"""Makes the README's picture from the running demo: ./run demo must be installed, Chromium and its driver too."""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parent.parent
SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pose", default="pinch", help="button of the page that is pressed first")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "demo.png")
    arguments = parser.parse_args()
    with running_demo() as address, browser(1280, 860) as page:
        page.get(address)
        wait = WebDriverWait(page, 180)
        wait.until(lambda page: page.find_elements(By.TAG_NAME, "canvas"))
        wait.until(lambda page: "finger" in page.find_element(By.TAG_NAME, "body").text)
        dismiss_notice(page)
        press(page, arguments.pose)
        wait.until(lambda page: page.find_element(By.TAG_NAME, "body").text.lower().count("reached") >= 4)
        time.sleep(6.0)  # for the plots to fill
        page.save_screenshot(str(arguments.output))
    return 0


@contextlib.contextmanager
def running_demo() -> Iterator[str]:
    """The address of a demo's page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nnik_ros.nodes.demo"], cwd=ROOT, stdout=subprocess.PIPE, text=True
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


def press(page: webdriver.Chrome, label: str) -> None:
    page.find_element(By.XPATH, f"//button[normalize-space()='{label}']").click()


def dismiss_notice(page: webdriver.Chrome) -> None:
    """The page warns that WebGL runs in software, which is meant here."""
    for button in page.find_elements(By.CSS_SELECTOR, ".mantine-Notification-closeButton"):
        button.click()


if __name__ == "__main__":
    sys.exit(main())
