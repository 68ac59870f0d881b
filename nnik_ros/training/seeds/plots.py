"""Pictures of a training: the curves, and wanted against reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnik_ros.evaluate import SEED
from nnik_ros.policy import Policy

_POINTS = 400


def plot_history(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    """Every curve over its epochs or episodes; a `val_` curve shares the axes of the one that it validates."""
    names = [name for name in curves if not name.startswith("val_")]
    figure, axes = _axes(max(len(names), 1))
    for ax, name in zip(axes, names, strict=False):
        ax.plot(curves[name], label="training")
        if f"val_{name}" in curves:
            ax.plot(curves[f"val_{name}"], label="held out")
            ax.legend()
        if min(curves[name], default=0.0) > 0.0:
            ax.set_yscale("log")
        ax.set(xlabel="epoch", ylabel=name)
    figure.savefig(path)


def plot_predictions(policy: Policy, path: Path) -> None:
    """Held-out targets and where one step from home brings the tips, each in its own axes and its two widest directions."""
    robot = policy.robot
    goal = robot.random_joint_position(np.random.default_rng(SEED), _POINTS)
    target = policy.kinematics.tip_position(goal)
    reached = policy.kinematics.tip_position(policy.step(np.broadcast_to(robot.home, goal.shape), target))
    figure, axes = _axes(robot.nt)
    for t, ax in enumerate(axes):
        wide = np.sort(np.argsort(np.ptp(target[:, t], axis=0))[-2:])
        pairs = np.stack([target[:, t, wide], reached[:, t, wide]], 1)
        for pair in pairs:
            ax.plot(*pair.T, color="0.8", linewidth=0.6, zorder=1)
        ax.scatter(*pairs[:, 0].T, s=6, label="target", zorder=2)
        ax.scatter(*pairs[:, 1].T, s=6, label="reached", zorder=2)
        across, up = (f"{'xyz'[i]} [m]" for i in wide)
        ax.set(title=robot.tip_names[t], xlabel=across, ylabel=up, aspect="equal")
        ax.legend(loc="upper right")
    figure.savefig(path)


def _axes(count: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * count, 4.0), layout="constrained")
    return figure, figure.subplots(1, count, squeeze=False)[0]
