"""`python -m benchmarks.camera`: what a camera's noise does to a hand that shall stand still, by how targets are filtered."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nnik_ros.collision import CollisionModel
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file
from nnik_ros.robot import load_robot
from nnik_ros.states import Measurement, Targets

ROBOT = "allegro_right"
_FRAME_RATE, _SECONDS, _SETTLED = 30.0, 12.0, 2.0  # Hz; s of a run, and of its begin, which does not count
_NOISE, _SINGLE = (0.0005, 0.001), 0.05  # m, of each coordinate; m, by which a single target of a tip is off


class Filter(NamedTuple):
    """speed: of the controller; frames: whose median is taken; time [s]: constant of the low-pass after it, 0 for none."""

    speed: float = 1.0
    frames: int = 1
    time: float = 0.0

    def __call__(self, seen: Array) -> Array:
        """Targets (n, nt, 3) [m] that are published for those that were seen, (n, nt, 3) [m]."""
        share = -np.expm1(-1.0 / (_FRAME_RATE * self.time)) if self.time else 1.0
        result = [seen[0]]
        for k in range(1, len(seen)):
            median = np.median(seen[max(0, k + 1 - self.frames) : k + 1], axis=0)
            result.append(result[-1] + share * (median - result[-1]))
        return np.array(result)


FILTERS: Mapping[str, Filter] = {
    "nothing": Filter(),
    "nothing, `speed` 0.3": Filter(speed=0.3),
    "low-pass, 0.1 s": Filter(time=0.1),
    "median of the last three targets": Filter(frames=3),
    "median of three, then low-pass, 0.1 s": Filter(frames=3, time=0.1),
}


class Stand:
    """A hand at home whose joints are where their commands are."""

    def __init__(self) -> None:
        self.robot = load_robot(robot_file(ROBOT))
        self._policy, self._collision = OnnxPolicy(model_file(ROBOT), self.robot), CollisionModel(self.robot)
        self.tips = self.robot.kinematics.tip_position(self.robot.home)

    def commands(self, filter_: Filter, off: Array) -> Array:
        """Commands (ticks, nq) [rad] while targets are seen off the tips by off (frames, nt, 3) [m]."""
        options = ControllerOptions(speed=filter_.speed)
        controller = Controller(self.robot, self._policy, options, self._collision)
        controller.start()
        published, q, commands = filter_(self.tips + off), self.robot.home, []
        for tick in range(int(len(off) / _FRAME_RATE * options.rate)):
            now = tick / options.rate
            frame = int(now * _FRAME_RATE)
            stamp = np.full(self.robot.nt, frame / _FRAME_RATE)
            result = controller.tick(now, Measurement(q, now), Targets(published[frame], stamp))
            assert result.command is not None
            q = result.command
            commands.append(q)
        return np.array(commands)

    def acceleration(self, filter_: Filter, noise: float) -> float:
        """Root mean square of the joints' acceleration over its limit, with noise [m] in each coordinate."""
        frames = int(_SECONDS * _FRAME_RATE)
        off = np.random.default_rng(0).normal(0.0, noise, (frames, *self.tips.shape))
        rate = ControllerOptions().rate
        shares = np.diff(self.commands(filter_, off), 2, axis=0) * rate**2 / self.robot.acceleration
        return float(np.sqrt(np.mean(shares[int(_SETTLED * rate) :] ** 2)))

    def single(self, filter_: Filter) -> float:
        """How far [m] a single target that is off towards the palm moves the first tip."""
        off = np.zeros((int(2 * _SETTLED * _FRAME_RATE), *self.tips.shape))
        off[int(_SETTLED * _FRAME_RATE), 0, 2] = -_SINGLE
        tips = self.robot.kinematics.tip_position(self.commands(filter_, off))
        return float(np.linalg.norm(tips[:, 0] - self.tips[0], axis=-1).max())


def table(stand: Stand) -> str:
    """The rows of the page about one's own node."""
    rows = []
    for name, filter_ in FILTERS.items():
        shares = " / ".join(f"{100.0 * stand.acceleration(filter_, noise):.0f} %" for noise in _NOISE)
        rows.append(f"| {name} | {shares} | {1e3 * stand.single(filter_):.0f} mm |")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    argparse.ArgumentParser(prog="camera", description=__doc__).parse_args(arguments)
    print(table(Stand()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
