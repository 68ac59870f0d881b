"""Tests of what only a ROS 2 installation has, which run where one is sourced, and what is missing there makes them fail; and
tests of programs that need what no ROS 2 installation brings."""

from __future__ import annotations

import os

import pytest

from test.conftest import ABSENT


def where_sourced(what: str, found: bool) -> pytest.MarkDecorator:
    """For tests that need a part of ROS 2 which is not on PyPI; found: whether it is here."""
    reason = f"{what} is part of ROS 2 and not on PyPI: runs where a ROS 2 is sourced"
    return pytest.mark.skipif(not found and "ROS_DISTRO" not in os.environ, reason=reason)


def needs(*packages: str) -> pytest.MarkDecorator:
    """For tests that start programs which import these; a test that imports one itself needs no mark (`test/conftest.py`)."""
    missing = [name for name in packages if name in ABSENT]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}, which `./run test` installs")
