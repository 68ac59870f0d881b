"""docs/seeds.md and its pictures, from a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnik_ros.evaluate import SEED
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot
from nnik_ros.training.compare import Comparison, Row, tables
from nnik_ros.training.seeds.incremental import follow_line

_HEAD = """# The network beside other learned inverse kinematics

Every system below was trained here from its recipe in `config/training/seeds`, exported to the same contract and scored on
the same held-out targets, starts and paths as the package's own network. They are baselines, trained as their
descriptions say and, the learning by reinforcement above all, with small budgets: more training would better them.
{missing}
- S1: Allegro hand, tips to joints, least squares on simulated poses; feedforward and recurrent.
- S2: Allegro hand, Q-learning with small steps of one joint: as described (`dqn`: discount 0.99, rate 0.01) it does not learn
  within this budget, with discount 0.5 and rate 0.001 (`dqn_short`) it does. Soft actor-critic (`sac`) moves all
  joints at once.
- S3: arm in space, least squares on joints and loss through forward kinematics, targets in and around the reach. The latter is
  nearer than the package's own network after one step, which that one is not trained for, and stays there.
- S4: planar arm, target to joints, dense layers with dropout. It gives the same joints wherever the arm is.
- S5: planar arm, target and present joints to next joints; made for targets that advance in small steps, not for far ones.

Every network runs alone, from random starts, without guard and governor. A path is a smooth way in joint space whose
tips are the targets, 200 ticks and one step each: every point of it can be reached, and the largest joint motion tells
whether the joints jump on it: those of the package's own network may, alone, into another posture, which the controller
then makes a motion within its limits; those of S1 do not. "Beyond the closest point" is the distance to a target out of reach
over the least distance that any solver or the search for the closest points (`nnik_ros/closest.py`) found. The maps show
the targets of all tips in the base frame. What the package's own networks leave, and where, stands in
[models/README.md](../models/README.md): the thumb near its stretched pose, the arm in space beside its yaw axis. Training
and calling times are of a machine with other work and only give an order.

Made by `./run compare --write --targets {targets}`; a baseline is trained by
`./run train config/training/seeds/NAME.yaml`.
"""
_NO_NETWORK = """
There is no network of the package's own yet for: {robots}. Its row is missing there, and nothing is claimed.
"""
_LINES, _LINE_TICKS, _LINE_STEP = 50, 150, 0.02  # lines, ticks of each, reaches in a tick
_LINE_HEAD = """
Straight lines: {lines} lines between random points, the target advances in the direction of the end by a fiftieth of the reach
a tick, one step of the network each, as a governor moves it; lengths in m, median / 99th percentile.

| Network | Distance from the line on the way | Distance from its end |
|---|---|---|
"""


def write_page(
    docs: Path, comparisons: Sequence[Comparison], targets: int, bands: Mapping[str, Any] | None = None
) -> None:
    """Write the page and, for each robot, one picture of errors over steps and over the workspace. bands: learning curves of
    several seeds by the baseline's name, see `learning_curves.read_curves`."""
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
        if comparison.robot.nq == 2:
            parts.append(_line_table(comparison))
    if curves(comparisons, docs / "images" / "seeds_curves.png", bands or {}):
        parts.append(
            f"\n## Training curves\n{_band_text(bands or {})}\n![Training curves of the baselines](images/seeds_curves.png)\n"
        )
    (docs / "seeds.md").write_text("".join(parts), encoding="utf-8")


def picture(comparison: Comparison, path: Path) -> None:
    """Median error over the steps of all rows, and for each the errors after ten steps over the targets of all tips."""
    from matplotlib.figure import Figure

    rows = comparison.rows
    figure = Figure(figsize=(4.5 + 3.2 * len(rows), 3.6), layout="constrained")
    axes = figure.subplots(1, 1 + len(rows))
    reach = float(comparison.robot.kinematics.reach.max())
    for row in rows:
        medians = [np.median(error) / reach for error in row.errors.values()]
        axes[0].loglog(list(row.errors), np.maximum(medians, 1e-8), marker=".", label=row.name)
    axes[0].set(xlabel="steps", ylabel="median error, reaches")
    axes[0].legend(fontsize=7)
    target = comparison.tasks.target.reshape(-1, 3)
    wide = np.sort(np.argsort(np.ptp(target, axis=0))[-2:])
    points: Any = None
    for ax, row in zip(axes[1:], rows, strict=True):
        points = _map(ax, row, target[:, wide], reach)
        ax.set(title=row.name, xlabel=f"{'xyz'[wide[0]]} [m]", ylabel=f"{'xyz'[wide[1]]} [m]", aspect="equal")
    figure.colorbar(points, ax=axes[1:], extend="both", label="log10 of the error after 10 steps, reaches")
    figure.savefig(path, dpi=80)


def _map(ax: Any, row: Row, target: Any, reach: float) -> Any:
    level = np.log10(np.maximum(row.errors[10].ravel() / reach, 1e-9))
    order = np.argsort(level)  # the largest on top
    return ax.scatter(*target[order].T, c=level[order], s=3, vmin=-7, vmax=0, cmap="viridis")


def curves(comparisons: Sequence[Comparison], path: Path, bands: Mapping[str, Any]) -> bool:
    """The curves of every model that carries some, with what was held out, or its curves of several seeds where there are such;
    False when there is no model with curves."""
    found = [
        (row.name, policy.contract.provenance["curves"])
        for comparison in comparisons
        for row, policy in zip(comparison.rows, comparison.policies, strict=True)
        if isinstance(policy, OnnxPolicy) and policy.contract.provenance.get("curves")
    ]
    if not found:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(found), 5.0), layout="constrained")
    axes = figure.subplots(2, len(found), squeeze=False)
    for column, (name, values) in zip(axes.T, found, strict=True):
        kinds = [kind for kind in values if not kind.startswith("val_")]
        for ax, kind in zip(column, kinds, strict=False):
            if name in bands and kind in bands[name]["curves"]:
                _band(ax, kind, bands[name])
            else:
                _single(ax, kind, values)
            ax.set(title=name if ax is column[0] else "")
            ax.legend(fontsize=7)
        for ax in column[len(kinds) :]:
            ax.axis("off")
    figure.savefig(path, dpi=80)
    return True


def _single(ax: Any, kind: str, values: Mapping[str, Any]) -> None:
    for curve in (kind, f"val_{kind}"):
        if curve in values:
            ax.plot(np.linspace(0, 100, len(values[curve])), values[curve], label=curve)
    ax.set(xlabel="% of the training")


def _band(ax: Any, kind: str, band: Mapping[str, Any]) -> None:
    """Mean of the seeds and the band in which all lie."""
    length = min(len(row) for row in band["curves"][kind])
    rows = np.array([row[:length] for row in band["curves"][kind]])
    actions = np.linspace(0, band["env_steps"], length)
    ax.fill_between(actions, rows.min(0), rows.max(0), alpha=0.3)
    ax.plot(actions, rows.mean(0), label=f"{kind}, {len(rows)} seeds")
    ax.set(xlabel="actions")


def _band_text(bands: Mapping[str, Any]) -> str:
    """What the bands are, for the page; empty without any."""
    if not bands:
        return ""
    rows = [
        f"{name} {np.mean(ends):.0f} ({min(ends):.0f} to {max(ends):.0f})"
        for name, band in bands.items()
        for ends in [[np.mean(row[-5:]) for row in band["curves"]["final error, mm"]]]
    ]
    first = next(iter(bands.values()))  # one recipe gives all of them the same seeds and budget
    seeds, actions = len(first["seeds"]), first["env_steps"]
    return (
        f"\nReinforcement learning differs from seed to seed: its curves are means of {seeds} seeds with the band that all "
        f"lie in,\nof {actions:,} actions each. Tip error at the end of an episode over the last twelfth, mm, mean (least to "
        f"largest):\n{', '.join(rows)}. Made by\n`.venv/jazzy/bin/python -m nnik_ros.training.seeds.learning_curves` from "
        "`config/training/curves/reinforcement.yaml`.\n"
    )


def _line_table(comparison: Comparison) -> str:
    lines = [_LINE_HEAD.format(lines=_LINES)]
    for row, policy in zip(comparison.rows, comparison.policies, strict=True):
        away, rest = _lines(policy, comparison.robot)
        pairs = [f"{np.median(e):.3f} / {np.quantile(e, 0.99):.3f}" for e in (away, rest)]
        lines.append(f"| {row.name} | {' | '.join(pairs)} |\n")
    return "".join(lines)


def _lines(policy: Policy, robot: Robot) -> tuple[Array, Array]:
    """Distances [m] from the line, all ticks of all lines, and from its end; each line starts in a bent arm at rest."""
    rng = np.random.default_rng(SEED)
    away, rest = [], []
    for _ in range(_LINES):
        q, goal = rng.uniform([-1.5, 0.6], [1.5, 2.2], (2, 2))
        start, end = robot.kinematics.tip_position(np.array([q, goal]))[:, 0]
        line = follow_line(policy, q, end, _LINE_STEP * float(robot.kinematics.reach.max()), _LINE_TICKS)
        direction = (end - start) / np.linalg.norm(end - start)
        along = np.clip((line.tip - start) @ direction, 0.0, np.linalg.norm(end - start))
        away.append(np.linalg.norm(line.tip - start - along[:, None] * direction, axis=-1))
        rest.append(np.linalg.norm(line.tip[-1] - end))
    return np.concatenate(away), np.array(rest)
