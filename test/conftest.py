"""What a shell has told this process to ignore is not ignored by the processes that tests start. Robots for all of them."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from nnik_ros.paths import robot_file, share_dir, shipped
from nnik_ros.robot import Robot, load_robot

# Under `nohup`, or in the background of a script, a run ignores these, and so would its children, who are to end by them.
# Unlike what is ignored, a handler does not pass on to them.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)


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
