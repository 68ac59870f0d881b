"""The table of models/README.md, from the contracts of the files: `python -m nnik_ros.training.models_table` writes it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nnik_ros.arguments import writing
from nnik_ros.errors import NnikError
from nnik_ros.onnx_policy import read_contract
from nnik_ros.paths import share_dir

_HEAD = """# Networks

Each file carries its contract (robot, joints, limits, recipe, seed, commit, metrics) and refuses to run on another robot.
The table is made from the contracts by `.venv/jazzy/bin/python -m nnik_ros.training.models_table`; every number is of held-out
targets from random starts, the medians and shares of single tips for the network alone and the worst tip.

| File | Robot | Recipe | Median error after 1 / 2 / 3 steps | Tips reached in 5 | All tips reached in 5 / 10, guarded | Nodes |
|---|---|---|---|---|---|---|
"""
_TAIL = """
The gates of the recipes are what was aimed at, or what these networks reach, shares rounded down and lengths rounded up.
Steps with guard are those of `GuardedSolver`. Aimed at, for the hands: 99.9 % of the tips reached in 5 steps of the network
alone, all tips of a hand in 5 guarded steps for 99.9 % and in 10 for 99.99 % of the targets, and out of reach, guarded, within
0.5 mm of the closest point in the 99th percentile. All of it is met, most narrowly by the v5's left hand of type A, alone by
99.92 % of its tips; the table shows the worst finger, which is the thumb. Out of reach the networks alone end 0.8 to 2.8 mm
beyond the closest point (99th percentile). All of this is told by `./run evaluate`. What they miss is the rim of the workspace,
mostly the thumb's, where a finger is stretched and a joint stands at its limit: see the map in docs/LOG.md.

What the arm in space does not reach in five steps lies beside the axis of its yaw, half of it within 7 mm, where the yaw hardly
moves the tip. Out of reach its network alone ends 5 mm beyond the closest point (99th percentile), that of the planar arm,
within its plane, 213 mm of its 10 m of reach; guarded both end within 0.1 mm of the closest point.

At a target that they stand on the networks alone stay for 1000 steps. Of 20,000 cases of each robot, of which
`./run evaluate` looks at 100, hands stay within 0.004 mm, the planar arm, of 10 m of reach, and the arm in space within
0.04 mm.
"""


def table(folder: Path) -> str:
    """The text of the README of `folder`."""
    return _HEAD + "".join(_row(path) for path in sorted(folder.glob("*.onnx"))) + _TAIL


def _row(path: Path) -> str:
    contract = read_contract(path)
    facts = contract.provenance
    metrics, gate = facts["metrics"], facts["gate"]
    medians = " / ".join(f"{metrics[f'median_{k}'] * 1e3:.3g}" for k in (1, 2, 3))
    guarded = " / ".join(f"{metrics[f'robots_fine_{k}'] * 100:.2f}" for k in (5, 10))
    return (
        f"| {path.name} | {contract.robot} | config/training/{facts['recipe']}.yaml | {medians} mm "
        f"| {metrics['tips_fine'] * 100:.2f} % within {gate['fine'] * 1e3:g} mm | {guarded} % | {facts['nodes']} |\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    argparse.ArgumentParser(prog="models_table", description=__doc__).parse_args(arguments)
    try:
        models = share_dir() / "models"
        text = table(models)
        with writing(models / "README.md"):
            (models / "README.md").write_text(text, encoding="utf-8")
        return 0
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
