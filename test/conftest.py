"""What a shell has told this process to ignore is not ignored by the processes that tests start. What is not installed beside
ROS 2 skips the tests that need it. Robots for all of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.paths import robot_file, share_dir, shipped
from nnik_ros.robot import Robot, load_robot

# Under `nohup`, or in the background of a script, a run ignores these, and so would its children, who are to end by them.
# Unlike what is ignored, a handler does not pass on to them.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

# `./run test` installs them, and says so; where `colcon test` runs, only what package.xml names is sure to be there
BESIDE_ROS = {"gymnasium", "matplotlib", "onnx", "rosbags", "stable_baselines3", "torch", "viser"}
ABSENT = {name for name in BESIDE_ROS if find_spec(name) is None}  # what is there and fails to import is an error
EVERYTHING_IS_HERE = "NNIK_EVERYTHING_IS_HERE"
if EVERYTHING_IS_HERE in os.environ:
    ABSENT.clear()


def skip_where_missing(node: pytest.Item | pytest.Collector, error: BaseException | None) -> None:
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if missing in ABSENT:
        pytest.skip(f"{node.nodeid} needs {missing}, which `./run test` installs", allow_module_level=True)


class Module(pytest.Module):
    """A module of tests; visibly skipped where it needs what is missing."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            return super().collect()
        except (self.CollectError, SystemExit) as error:
            skip_where_missing(self, error.__cause__)
            raise


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    try:
        return (yield)
    except ModuleNotFoundError as error:
        skip_where_missing(pyfuncitem, error)
        raise


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    return Module.from_parent(parent, path=module_path)


@pytest.fixture(scope="session", params=shipped(share_dir() / "config" / "robots", ".yaml"))
def any_robot(request: pytest.FixtureRequest) -> Robot:
    return load_robot(robot_file(request.param))


@pytest.fixture(scope="session")
def hand() -> Robot:
    return load_robot(robot_file("allegro_right"))


@pytest.fixture(scope="session")
def planar() -> Robot:
    return load_robot(robot_file("planar_2r"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
