"""One table of many networks: `./run compare [MODEL...]` (default: every shipped one).

All networks of a robot meet the same held-out targets, starts and paths, each alone, without controller and guard; damped
least squares stands beside them. With --write the table goes into docs/seeds.md, with its pictures.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from nnik_ros.arguments import Help, check_writable, writing
from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.closest import closest_distance
from nnik_ros.contract import OPTIONAL_INPUTS
from nnik_ros.errors import NnikError
from nnik_ros.evaluate import SEED, STEPS, final_distance, number_of_targets
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import OnnxPolicy, read_contract
from nnik_ros.paths import model_file, robot_file, share_dir
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot, load_robot

MANY = 100  # steps, for networks that move little at a time
_BEYOND, _UNREACHABLE = 0.3, 1e-3  # reaches: of a shift; the least distance that counts as out of reach
_PATHS, _TICKS = 20, 200
_TIMED = 300  # calls
_PAGE_TARGETS = 1000  # at least, for the page


class Tasks(NamedTuple):
    """What every solver of a robot is asked: starts q (n, nq) with reachable targets (n, nt, 3); targets of which most are out
    of reach, with the distance of the closest point (m, nt), see `closest_distance`; paths (ticks, p, nt, 3) of reachable
    targets with their starts (p, nq)."""

    q: Array
    target: Array
    beyond: Array
    closest: Array
    path_start: Array
    path: Array


@dataclass(frozen=True)
class Row:
    """One network on the tasks of its robot. errors[k]: (n, nt) [m] after k steps; violation [rad]: largest excess over a
    limit; path_error (ticks, p, nt) [m], one step a tick; path_jump [rad]: largest motion of a joint in one tick;
    beyond: (m, nt) [m], distances to unreachable targets after MANY steps; call [s]: median of single calls."""

    name: str
    system: str
    robot: Robot
    errors: dict[int, Array]
    violation: float
    path_error: Array
    path_jump: float
    beyond: Array
    parameters: int
    training: float
    call: float


class Comparison(NamedTuple):
    """Rows of one robot, with their solvers; closest (m, nt) [m]: the least distance that the search for closest
    points or any solver found."""

    robot: Robot
    tasks: Tasks
    rows: list[Row]
    policies: list[Policy]
    closest: Array


def make_tasks(robot: Robot, n: int) -> Tasks:
    """n reachable targets and n // 10 others, the same for the same robot and n."""
    rng = np.random.default_rng(SEED)
    goal, q = (robot.random_joint_position(rng, n) for _ in range(2))
    forward = robot.kinematics.tip_position
    m = max(n // 10, 10)
    shift = robot.random_displacement(rng, m, _BEYOND)
    beyond = forward(robot.random_joint_position(rng, m)) + shift
    closest = closest_distance(DampedLeastSquares(robot), beyond, rng)
    ends = robot.random_joint_position(rng, 2 * _PATHS).reshape(2, _PATHS, robot.nq)
    way = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, _TICKS + 1) / _TICKS)
    path = forward(ends[0] + way[:, None, None] * (ends[1] - ends[0]))
    return Tasks(q, forward(goal), beyond, closest, ends[0], path)


def score(policy: Policy, tasks: Tasks, name: str, system: str, parameters: int = 0, training: float = np.nan) -> Row:
    """One row."""
    robot = policy.robot
    errors, q, violation = {}, tasks.q, 0.0
    for k in range(1, MANY + 1):
        q = policy.step(q, tasks.target)
        violation = max(violation, float((robot.lower - q).max()), float((q - robot.upper).max()))
        if k in (*STEPS, MANY):
            errors[k] = np.linalg.norm(policy.kinematics.tip_position(q) - tasks.target, axis=-1)
    # a network that does not look at the present joints goes to its own posture first, which is no jump on the way
    q, path_error, jump = policy.step(tasks.path_start, tasks.path[0]), [], 0.0
    for target in tasks.path:
        q, before = policy.step(q, target), q
        jump = max(jump, float(np.abs(q - before).max()))
        path_error.append(np.linalg.norm(policy.kinematics.tip_position(q) - target, axis=-1))
    start = robot.random_joint_position(np.random.default_rng(SEED + 1), len(tasks.beyond))
    beyond = final_distance(policy, start, tasks.beyond, MANY)
    return Row(
        name,
        system,
        robot,
        errors,
        violation,
        np.array(path_error),
        jump,
        beyond,
        parameters,
        training,
        _call(policy, tasks),
    )


def score_model(policy: OnnxPolicy, path: Path, tasks: Tasks) -> Row:
    """The row of a network file."""
    facts = policy.contract.provenance
    system = str(facts.get("system", "own network"))
    return score(policy, tasks, path.stem, system, parameter_count(path), float(facts.get("training_seconds", np.nan)))


def parameter_count(path: Path) -> int:
    """Trained numbers of a network file. In the own networks the first and last layer have rows and columns several times, and
    some of zeros."""
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    trained = {key: x for key, x in arrays.items() if key.startswith(("weight", "bias")) and key not in OPTIONAL_INPUTS}
    is_baseline = "system" in read_contract(path).provenance
    return sum(x.size if is_baseline else _different(x) for x in trained.values())


def _different(x: Array) -> int:
    """Numbers of an array (..., in, out) without copies and zeros among its rows and columns."""
    for axis in (-2, -1) if x.ndim > 1 else (-1,):
        kept = np.unique(x, axis=axis)
        x = np.compress(np.moveaxis(kept, axis, 0).reshape(kept.shape[axis], -1).any(1), kept, axis)
    return int(x.size)


def compare(paths: Sequence[Path], n: int, robot_name: str = "") -> list[Comparison]:
    """Score the networks, robot by robot. robot_name: of all of them, a shipped name or a file; empty: each contract's.

    Raises:
        NnikError: a file that is no network of this package, of another robot, or of one that is not shipped.
    """
    by_robot: dict[str, list[Path]] = {}
    for path in paths:
        by_robot.setdefault(robot_name or read_contract(path).robot, []).append(path)
    comparisons = []
    for name, files in by_robot.items():
        robot = load_robot(robot_file(name))
        tasks = make_tasks(robot, n)
        networks = [OnnxPolicy(path, robot) for path in files]
        damped = DampedLeastSquares(robot)
        rows = [score_model(policy, path, tasks) for policy, path in zip(networks, files, strict=True)]
        rows.append(score(damped, tasks, "damped least squares", "classical"))
        closest = np.min([tasks.closest, *(row.beyond for row in rows)], axis=0)
        comparisons.append(Comparison(robot, tasks, rows, [*networks, damped], closest))
    return comparisons


def excess(comparison: Comparison, row: Row) -> Array:
    """Distance to unreachable targets over the closest one [m], one value a tip."""
    unreachable = comparison.closest > _UNREACHABLE * comparison.robot.kinematics.reach
    difference: Array = (row.beyond - comparison.closest)[unreachable]
    return difference


def tables(comparison: Comparison) -> str:
    """Two Markdown tables: errors over steps; limits, path, out of reach and cost."""
    unit, scale = ("mm", 1e3) if comparison.robot.kinematics.reach.max() < 2.0 else ("m", 1.0)
    steps = (*STEPS, MANY)
    head = f"| Network | {' | '.join(f'{k} step{chr(115) * (k > 1)}' for k in steps)} | within 1 % of reach | 1 mm | 0.1 mm |\n"
    lines = [head, "|---" * (len(steps) + 4) + "|\n"]
    for row in comparison.rows:
        pairs = [
            f"{_short(np.median(e) * scale)} / {_short(np.quantile(e, 0.99) * scale)}" for e in row.errors.values()
        ]
        relative = row.errors[10] / comparison.robot.kinematics.reach
        shares = [np.mean(relative <= 0.01), *(np.mean(row.errors[10] <= limit) for limit in (1e-3, 1e-4))]
        lines.append(f"| {_title(row)} | {' | '.join(pairs)} | {' | '.join(f'{s * 100:.2f} %' for s in shares)} |\n")
    lines.append(
        f"\n| Network | Largest limit violation, rad | Error along a path, {unit} | Largest joint motion in a tick, rad "
        f"| Beyond the closest point, {unit} | Parameters | Training, s | One call, ms |\n" + "|---" * 8 + "|\n"
    )
    for row in comparison.rows:
        over = excess(comparison, row)
        pairs = [
            f"{_short(np.median(e) * scale)} / {_short(np.quantile(e, 0.99) * scale)}" for e in (row.path_error, over)
        ]
        training = f"{row.training:.0f}" if np.isfinite(row.training) else "-"
        lines.append(
            f"| {_title(row)} | {max(row.violation, 0.0):.1g} | {pairs[0]} | {row.path_jump:.3f} | {pairs[1]} "
            f"| {row.parameters or '-'} | {training} | {row.call * 1e3:.2f} |\n"
        )
    return f"Errors in {unit}, median / 99th percentile of the tips; shares after 10 steps.\n\n" + "".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        folder, docs = share_dir() / "models", share_dir() / "docs"
        if options.write:
            check_writable(docs / "seeds.md")
        named = [model_file(name) for name in options.models]
        models = named or [*sorted(folder.glob("*.onnx")), *sorted((folder / "seeds").glob("*.onnx"))]
        comparisons = compare(models, options.targets, options.robot)
        for comparison in comparisons:
            print(f"## {comparison.robot.name}\n\n{tables(comparison)}")
        if options.write:
            from nnik_ros.training.compare_page import write_page
            from nnik_ros.training.seeds.learning_curves import FILE as CURVES_FILE
            from nnik_ros.training.seeds.learning_curves import read_curves

            curves = read_curves(folder / "seeds" / CURVES_FILE)
            with writing(docs):
                write_page(docs, comparisons, options.targets, curves)
        return 0
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compare", description="One table of many networks.", formatter_class=Help)
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="a shipped name or the path of an ONNX file (default: those of models/ and models/seeds/)",
    )
    parser.add_argument(
        "--robot",
        default="",
        help="a shipped name or the path of a YAML file (default: the shipped ones that contracts name)",
    )
    parser.add_argument("--targets", type=number_of_targets, default=2000, help="held-out targets of each robot")
    parser.add_argument(
        "--write", action="store_true", help="write docs/seeds.md and its pictures, of all shipped networks"
    )
    options = parser.parse_args(arguments)
    if options.robot and not options.models:
        parser.error(f"--robot is '{options.robot}': name its networks")
    if options.write and (options.models or options.targets < _PAGE_TARGETS):
        parser.error(f"--write replaces the page of all networks: name none, and give at least {_PAGE_TARGETS} targets")
    return options


def _title(row: Row) -> str:
    return row.name if row.system == "classical" else f"{row.name} ({row.system})"


def _short(value: Any) -> str:
    """Two digits, short enough for a table."""
    if abs(value) < 1e-9:
        return "0"
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value >= 1e-4 else f"{value:.0e}"


def _call(policy: Policy, tasks: Tasks) -> float:
    times = []
    for i in range(_TIMED):
        start = time.perf_counter()
        policy.step(tasks.q[i % len(tasks.q)], tasks.target[i % len(tasks.q)])
        times.append(time.perf_counter() - start)
    return float(np.median(times))


if __name__ == "__main__":
    sys.exit(main())
