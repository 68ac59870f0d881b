"""Where a network is not exact yet: `python -m nnik_ros.training.error_map [MODEL...]` draws, for each tip, the error over the
workspace, and how the targets that it misses lie to joint limits and stretched poses (default: the right hand's)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnik_ros.arguments import Help, check_writable, writing
from nnik_ros.errors import NnikError
from nnik_ros.evaluate import SEED, number_of_targets
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import OnnxPolicy, read_contract
from nnik_ros.paths import model_file, robot_file, share_dir
from nnik_ros.policy import Policy
from nnik_ros.robot import load_robot

_EARLY, _LATE = 2, 5  # steps
_FINE = 1e-4  # m
_CHUNK = 1000


@dataclass(frozen=True)
class Runs:
    """n random runs of the network alone. place (n, nt, 2) [m]: targets, in the plane that a tip's targets spread along;
    early, late (n, nt) [m]: errors after 2 and 5 steps; of the posture that a target was taken from: margin (n, nt), distance
    of the closest joint to a limit, in ranges, and singular (n, nt) [m/rad], the Jacobian's smallest singular value."""

    place: Array
    early: Array
    late: Array
    margin: Array
    singular: Array

    @property
    def missed(self) -> Any:
        """Targets that are not reached after 5 steps: (n, nt)."""
        return self.late > _FINE


def runs(policy: Policy, n: int) -> Runs:
    """Step from random joint positions to the tips of others."""
    robot, kinematics = policy.robot, policy.kinematics
    rng = np.random.default_rng(SEED)
    goal, q = robot.random_joint_position(rng, n), robot.random_joint_position(rng, n)
    tips = kinematics.tips(goal)
    errors = {}
    for k in range(1, _LATE + 1):
        q = np.concatenate([policy.step(q[i : i + _CHUNK], tips.position[i : i + _CHUNK]) for i in range(0, n, _CHUNK)])
        errors[k] = np.linalg.norm(kinematics.tip_position(q) - tips.position, axis=-1)
    chain = kinematics.topology.chain
    share = (goal - robot.lower) / (robot.upper - robot.lower)
    margin: Array = np.where(chain >= 0, np.minimum(share, 1.0 - share)[:, chain], 1.0).min(-1)
    smallest = np.minimum(3, (chain >= 0).sum(-1)) - 1  # of a finger with fewer joints the others are 0 in every pose
    values = np.linalg.svd(tips.jacobian, compute_uv=False)
    singular: Array = values[:, np.arange(robot.nt), smallest].astype(float)
    place = np.stack([_flat(tips.position[:, t]) for t in range(robot.nt)], 1)
    return Runs(place, errors[_EARLY], errors[_LATE], margin, singular)


def text(found: Runs, names: Sequence[str]) -> str:
    """Of each tip: targets missed, and how many of them lie close to a limit and close to a stretched pose."""
    lines = [f"{'tip':8}{'missed':>8}{'joint within 5 % of a limit':>30}{'smallest singular value < 5 mm/rad':>38}"]
    for t, name in enumerate(names):
        missed = found.missed[:, t]
        parts = [
            f"{condition[missed].sum()} ({condition.mean() * 100:.0f} % of all targets)"
            for condition in (found.margin[:, t] < 0.05, found.singular[:, t] < 0.005)
        ]
        lines.append(f"{name:8}{missed.sum():8}{parts[0]:>30}{parts[1]:>38}")
    return "\n".join(lines)


def draw(found: Runs, names: Sequence[str], path: Path) -> None:
    """Above the largest error after two steps over the workspace, below the targets missed after five.

    Raises:
        FileError: it cannot be written.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(names), 6.8), layout="constrained")
    axes = figure.subplots(2, len(names), squeeze=False)
    shade: Any = None
    largest, steepest = (_decade(values.max() * 1e3, 100.0) for values in (found.early, found.singular))
    for t, name in enumerate(names):
        missed, place = found.missed[:, t], found.place[:, t] * 1e3
        shade = axes[0, t].hexbin(
            place[:, 0], place[:, 1], found.early[:, t] * 1e3 + 1e-6, gridsize=32, reduce_C_function=np.max,
            norm=LogNorm(1e-3, largest), cmap="viridis",
        )  # fmt: skip
        axes[0, t].plot(*place[missed].T, "o", color="red", markersize=4, fillstyle="none")
        axes[0, t].set(title=f"{name}: {missed.sum()} missed", xlabel="[mm]", aspect="equal")
        axes[1, t].loglog(found.margin[:, t] * 100, found.singular[:, t] * 1e3, ",", color="0.7")
        axes[1, t].plot(found.margin[missed, t] * 100, found.singular[missed, t] * 1e3, "o", color="red", markersize=4)
        axes[1, t].set(xlabel="closest joint to a limit [% of its range]", xlim=(1e-3, 50), ylim=(1e-2, steepest))
    axes[0, 0].set_ylabel(f"[mm]; red: missed after {_LATE} steps")
    axes[1, 0].set_ylabel("smallest singular value [mm/rad]")
    figure.colorbar(shade, ax=axes[0], label=f"largest error after {_EARLY} steps [mm]")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=80)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="error_map", description="Draw where networks are not exact yet.", formatter_class=Help
    )
    parser.add_argument(
        "models",
        nargs="*",
        default=["allegro_right"],
        metavar="MODEL",
        help="shipped names or files (default: %(default)s)",
    )
    parser.add_argument(
        "--robot", help="a shipped name or the path of a YAML file (default: the shipped one that the contract names)"
    )
    parser.add_argument("--targets", type=number_of_targets, default=20_000, help="held-out targets")
    parser.add_argument("--folder", type=Path, default=share_dir() / "docs" / "images", help="where the pictures go")
    options = parser.parse_args(arguments)
    try:
        paths = [model_file(name) for name in options.models]
        places = [options.folder / f"error_map_{path.stem}.png" for path in paths]
        for place in places:
            check_writable(place, makes_folder=True)
        policies = [
            OnnxPolicy(path, load_robot(robot_file(options.robot or read_contract(path).robot))) for path in paths
        ]
        for policy, place in zip(policies, places, strict=True):
            found, names = runs(policy, options.targets), policy.robot.tip_names
            print(f"{policy.path.name}, {options.targets} targets\n{text(found, names)}")
            draw(found, names, place)
        return 0
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2


def _decade(value: float, least: float) -> float:
    """The power of ten that a value needs, so that of a large robot nothing is cut off; hands share one scale."""
    return float(max(least, 10.0 ** np.ceil(np.log10(max(value, least)))))


def _flat(points: Array) -> Array:
    """Coordinates (n, 2) [m] in the plane that points (n, 3) spread along most."""
    centered = points - points.mean(0)
    _, _, directions = np.linalg.svd(centered[:2000], full_matrices=False)
    flat: Array = centered @ directions[:2].T
    return flat


if __name__ == "__main__":
    sys.exit(main())
