from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot

if TYPE_CHECKING:
    from nnik_ros.training.network import StepNetwork

TINY = """
schema: 1
name: tiny
robot: {robot}
model: tiny.onnx
seed: 3
network:
  hidden: [16]
training:
  iterations: 40
  batch: 64
  learning_rate: 0.003
gate: {{coarse: 0.1, fine: 0.01, median_1: {median}, median_2: 10, median_3: 10, tips_coarse: 0.3, tips_fine: 0.1,
  guarded_coarse: 0.3, robots_fine_5: 0.1, robots_fine_10: 0.1, stay: 1, beyond: 10}}
"""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    if "torch" in sys.modules:  # not all of these tests need it
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture
def tiny_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe that trains a planar arm within a second; text is appended, median is a key of its gate."""

    def write(text: str = "", *, median: float = 10.0) -> Path:
        path = tmp_path / "tiny.yaml"
        path.write_text(TINY.format(robot=robot_file("planar_2r"), median=median) + text)
        return path

    return write


@pytest.fixture
def lively() -> Callable[[Robot], StepNetwork]:
    """An untrained network in which every bias counts."""
    import torch

    from nnik_ros.training.network import StepNetwork

    def make(robot: Robot) -> StepNetwork:
        network = StepNetwork(robot, (16, 16), torch.Generator().manual_seed(5))
        with torch.no_grad():
            for bias in network.biases[:-1]:
                bias.normal_(generator=torch.Generator().manual_seed(6))
        return network

    return make
