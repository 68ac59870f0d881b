"""Tests of what only a ROS 2 installation has. Where one is sourced they run, and what is missing there makes them fail."""

from __future__ import annotations

import os

import pytest


def where_sourced(what: str, found: bool) -> pytest.MarkDecorator:
    """For tests that need a part of ROS 2 which is not on PyPI; found: whether it is here."""
    reason = f"{what} is part of ROS 2 and not on PyPI: runs where a ROS 2 is sourced"
    return pytest.mark.skipif(not found and "ROS_DISTRO" not in os.environ, reason=reason)
