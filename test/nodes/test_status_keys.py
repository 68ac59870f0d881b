"""The keys of what the controller tells are those that the documents tell of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.limits import Limit, limit_names
from nnik_ros.nodes.control_loop import LoopStatistics
from nnik_ros.nodes.intake import Refusals
from nnik_ros.nodes.statistics import DataStatistics, Spread
from nnik_ros.nodes.status import controller_status, inactive_status, statistics_status
from nnik_ros.robot import Robot
from nnik_ros.states import Targets

DOCS = Path(__file__).resolve().parents[2] / "docs"
TARGETS = Targets(np.full((4, 3), np.nan), np.full(4, -np.inf))


def told(page: Path, heading: str) -> set[str]:
    """The keys in the first column of the table below a heading."""
    section = page.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`([^`]*)`", row)}


def keys(status: DiagnosticStatus, robot: Robot, finger: str) -> set[str]:
    """As a page names them: the names of a finger, a solver, a topic and a kind of refusal in angle brackets."""
    spread = "|".join(Spread._fields)
    result = {re.sub(rf"^(.*)_({spread})_ms$", r"\1_...", pair.key) for pair in status.values}
    result = {re.sub(rf"\b({'|'.join(robot.tip_names)})\b", finger, key) for key in result}
    result = {re.sub(r"^(solver\..*)\.\w+$", r"\1.<SOLVER>", key) for key in result}
    return {re.sub(r"^refused\..*", "refused.<topic>.<kind>", key) for key in result}


def refusals() -> Refusals:
    result = Refusals(print)
    result.refuse("/target_poses", "count", "3 poses, must be 4")
    return result


def test_the_keys_of_the_status_are_those_of_the_page(robot: Robot) -> None:
    result = Controller(robot, None, ControllerOptions()).tick(0.0, None, TARGETS)
    enabled = [True] * robot.nt
    status = controller_status("/controller", robot.name, robot.tip_names, enabled, result, "", refusals(), "", "")
    page = DOCS / "tutorials" / "3_your_own_node.md"
    assert keys(status, robot, "<finger>") == told(page, "What comes back")
    silent = inactive_status("/controller", robot.name, "inactive", robot.tip_names, enabled)
    assert keys(silent, robot, "<finger>") == {"state", "<finger>.enabled"}


def test_the_page_names_every_limit() -> None:
    words = (DOCS / "tutorials" / "3_your_own_node.md").read_text()
    assert missing(limit_names(-1), words) == []
    assert len(limit_names(-1)) == len(list(Limit)) >= 6


def test_the_keys_of_the_statistics_are_those_of_the_page(robot: Robot) -> None:
    loop, data = LoopStatistics(0.003).summary(), DataStatistics(robot.nt, 0.003).summary()
    status = statistics_status("/controller", robot.name, robot.tip_names, loop, data, refusals(), False)
    assert keys(status, robot, "<tip>") == told(DOCS / "robustness.md", "Statistics")


def missing(names: Iterable[str], text: str) -> list[str]:
    return [name for name in names if f"`{name}`" not in text]
