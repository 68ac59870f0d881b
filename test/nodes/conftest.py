"""Fixtures of the node tests: a context in a domain of its own, and labs that end what they started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# before rclpy reads them; the workers of a parallel run must not hear each other
os.environ["ROS_DOMAIN_ID"] = str(
    int(os.environ.get("ROS_DOMAIN_ID", "43")) + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
)
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import pytest
import rclpy
from node_bench import Bench, Lab

import nnik_ros.controller  # noqa: F401  # compiles the loops of a tick: no test waits for that
from nnik_ros.nodes.demo_processes import reserve_domain
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot

reserve_domain(int(os.environ["ROS_DOMAIN_ID"]))  # before the first test: no demo of another worker takes it


@pytest.fixture(scope="session", autouse=True)
def ros() -> Iterator[None]:
    rclpy.init()
    yield
    rclpy.shutdown()


@pytest.fixture(scope="session")
def robot() -> Robot:
    return load_robot(robot_file("allegro_right"))


@pytest.fixture(scope="session")
def log_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@pytest.fixture
def lab(robot: Robot, log_dir: Path) -> Iterator[Lab]:
    lab = Lab(robot, log_dir)
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def module_lab(robot: Robot, log_dir: Path) -> Iterator[Lab]:
    """A lab whose nodes serve all tests of a module."""
    lab = Lab(robot, log_dir)
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def bench(module_lab: Lab) -> Bench:
    """A hand and its controller for all tests of a module; targets live for ever."""
    bench = module_lab.bench(target_timeout=0.0)
    bench.until("IDLE")
    return bench
