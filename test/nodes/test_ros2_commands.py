"""The `ros2` commands that the pages tell to type are typed here, against a simulated right hand in the root namespace and a
left one beside it. The command is part of ROS 2 and not on PyPI."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_bench import Lab, wait_for
from sourced import where_sourced

from nnik_ros.paths import share_dir

ROOT = share_dir()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES if page.name != "LOG.md").replace("\\\n", " ")
CALLS = sorted(set(re.findall(r"^ros2 service call .*", TEXT, re.MULTILINE)))
PUBLISHED = sorted(set(re.findall(r"^ros2 topic pub .*", TEXT, re.MULTILINE)))
LOOKS = sorted(set(re.findall(r"`(ros2 topic (?:echo [^`]*|list))`", TEXT)))
with_ros2 = where_sourced("the command ros2", bool(shutil.which("ros2")))


def test_the_pages_have_such_commands() -> None:
    assert len(CALLS) >= 4
    assert len(PUBLISHED) >= 2
    assert len(LOOKS) >= 3


@pytest.fixture(scope="module")
def states(module_lab: Lab) -> dict[str, str]:
    """The newest state of both index fingers."""
    newest: dict[str, str] = {}
    station = module_lab.station()

    def keep(side: str, message: DiagnosticStatus) -> None:
        newest[side] = next((pair.value for pair in message.values if pair.key == "index.state"), "")

    for side, namespace in (("right", "/"), ("left", "/left")):
        module_lab.start("sim_hand_node", namespace, robot=f"allegro_{side}", physics="stiff")
        settings = {"robot": f"allegro_{side}", "start_paused": False, "rate": 100, "model": "none"}
        module_lab.start("controller_node", namespace, **settings)
        topic = f"{namespace.rstrip('/')}/status"
        station.node.create_subscription(DiagnosticStatus, topic, lambda message, s=side: keep(s, message), 10)
    wait_for(lambda: list(newest.values()) == ["IDLE", "IDLE"], "two hands", limit=60.0)
    return newest


@with_ros2
@pytest.mark.parametrize("command", PUBLISHED)
def test_a_published_pose_is_reached_by_the_hand_that_is_meant(states: dict[str, str], command: str) -> None:
    side = "left" if "/left/" in command else "right"
    typed = subprocess.Popen(shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: states[side] == "REACHED", f"the {side} index at its target", limit=40.0)
    finally:
        typed.terminate()
        typed.communicate()


@with_ros2
@pytest.mark.parametrize("command", CALLS)
def test_a_called_service_accepts(states: dict[str, str], command: str) -> None:
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=40.0)
    assert "success=True" in done.stdout, done.stdout + done.stderr


@with_ros2
@pytest.mark.parametrize("command", LOOKS)
def test_what_is_looked_at_is_there(states: dict[str, str], command: str) -> None:
    once = [] if "--once" in command or command.endswith("list") else ["--once"]
    told: list[str] = []

    def looked() -> bool:  # a first look may come before the command has discovered the topic
        done = subprocess.run([*shlex.split(command), *once], capture_output=True, text=True, timeout=40.0)
        told.append(done.stdout + done.stderr)
        return re.search(r"^(/status|name: /controller|poses:)$", done.stdout, re.MULTILINE) is not None

    wait_for(looked, f"what {command} tells", limit=40.0)
    assert "Traceback" not in told[-1]
