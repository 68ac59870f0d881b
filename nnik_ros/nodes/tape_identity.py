"""What tells whether a recording and a replay work with the same robot, network and calibration."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from nnik_ros.onnx_policy import OnnxPolicy

TAPE_TOPIC = "tape"


def file_identity(path: Path, *others: Path) -> dict[str, str]:
    """Where a file lies, and a digest of its content and that of the files that belong to it."""
    return _identity(path, digest(path, *others))


def describe_policy(policy: Any) -> dict[str, str] | None:
    """The file of a network, None for damped least squares."""
    return _identity(policy.path, policy.digest) if isinstance(policy, OnnxPolicy) else None


def digest(*paths: Path) -> str:
    """Of the content of files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _identity(path: Path, sha256: str) -> dict[str, str]:
    return {"file": str(path.resolve()), "sha256": sha256}


def versions() -> dict[str, str]:
    """What the numbers may depend on."""
    return {"python": sys.version.split()[0], "numpy": np.__version__, "onnxruntime": onnxruntime.__version__}
