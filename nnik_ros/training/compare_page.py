"""docs/seeds.md and its pictures, from a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnik_ros.training.compare import Comparison, Row, tables

_HEAD = """# The network beside other learned inverse kinematics

Every system below was trained here from its recipe in `config/training/seeds`, exported to the same contract and scored on
the same held-out targets, starts and paths as the package's own network. They are baselines, trained as their
descriptions say and, the learning by reinforcement above all, with small budgets: more training would better them.
{missing}
- S2: Q-learning with small steps of one joint, and soft actor-critic of all joints at once, both on the Allegro hand.
- S3: arm in space, least squares on joints and loss through forward kinematics, targets in and around the reach.
- S4: planar arm, target to joints, dense layers with dropout. It gives the same joints wherever the arm is.
- S5: planar arm, target and present joints to next joints; made for targets that advance in small steps, not for far ones.

Every network runs alone, from random starts, without guard and governor. A path is a smooth way in joint space whose
tips are the targets, 200 ticks and one step each: every point of it can be reached, and the largest joint motion tells
whether the joints jump. "Beyond the closest point" is the distance to a target out of reach over the least distance that
any solver or many runs of damped least squares found. Training and calling times are of a busy machine and only give an order.

Made by `python -m nnik_ros.training.compare --write --targets {targets}`; a baseline is trained by
`python -m nnik_ros.training.seeds config/training/seeds/NAME.yaml`.
"""
_NO_NETWORK = """
There is no network of the package's own yet for: {robots}. Its row is missing there, and nothing is claimed.
"""


def write_page(docs: Path, comparisons: Sequence[Comparison], targets: int) -> None:
    """Write the page and, for each robot, one picture of errors over steps and over the workspace."""
    (docs / "images").mkdir(parents=True, exist_ok=True)
    lonely = [c.robot.name for c in comparisons if not any(row.system == "own network" for row in c.rows)]
    parts = [_HEAD.format(targets=targets, missing=_NO_NETWORK.format(robots=", ".join(lonely)) if lonely else "")]
    for comparison in comparisons:
        name = comparison.robot.name
        image = f"seeds_{name}.png"
        picture(comparison, docs / "images" / image)
        parts.append(
            f"\n## {name}\n\n{tables(comparison)}\n![Errors of {name} over steps and workspace](images/{image})\n"
        )
    (docs / "seeds.md").write_text("".join(parts), encoding="utf-8")


def picture(comparison: Comparison, path: Path) -> None:
    """Median error over the steps of all rows, and for each the error of the first tip after ten steps over its targets."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = comparison.rows
    figure, axes = pyplot.subplots(1, 1 + len(rows), figsize=(4.5 + 3.2 * len(rows), 3.6), constrained_layout=True)
    reach = float(comparison.robot.kinematics.reach.max())
    for row in rows:
        medians = [np.median(error) / reach for error in row.errors.values()]
        axes[0].loglog(list(row.errors), np.maximum(medians, 1e-8), marker=".", label=row.name)
    axes[0].set(xlabel="steps", ylabel="median error, reaches")
    axes[0].legend(fontsize=7)
    target = comparison.tasks.target[:, 0]
    wide = np.sort(np.argsort(np.ptp(target, axis=0))[-2:])
    points = None
    for ax, row in zip(axes[1:], rows, strict=True):
        points = _map(ax, row, target[:, wide], reach)
        ax.set(title=row.name, xlabel=f"{'xyz'[wide[0]]} [m]", ylabel=f"{'xyz'[wide[1]]} [m]", aspect="equal")
    figure.colorbar(points, ax=axes[1:], label="log10 of the error after 10 steps, reaches")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _map(ax: Any, row: Row, target: Any, reach: float) -> Any:
    level = np.log10(np.maximum(row.errors[10][:, 0] / reach, 1e-7))
    return ax.scatter(*target.T, c=level, s=3, vmin=-7, vmax=0, cmap="viridis")
