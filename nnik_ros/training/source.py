"""Which source trains a network, for the network to tell."""

from __future__ import annotations

import subprocess

from nnik_ros.paths import share_dir

_DECISIVE = ("nnik_ros", "config/robots", "config/training", "urdf")


def commit() -> str:
    """The commit of the source that trains, marked when what decides the result was changed since; empty outside of git."""
    head = _git("rev-parse", "--short=12", "HEAD")
    changed = head and _git("status", "--porcelain", "--", *_DECISIVE)
    return f"{head} with changes" if changed else head


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    try:
        return subprocess.run(command, cwd=share_dir(), capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # no git at all
        return ""
