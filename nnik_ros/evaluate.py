"""How well a network does on targets that it never saw: one table for each model, and its gate.

`python -m nnik_ros.evaluate [MODEL...]` prints the tables (default: every model of the package) and ends with 1 when a
model misses its gate. The gate is part of the training recipe and travels in the model's provenance.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnik_ros.arguments import Help, whole_number
from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.closest import closest_distance
from nnik_ros.errors import ContractError, NnikError, Problems
from nnik_ros.gate import Gate, check_gate, gate_table, passes, read_gate
from nnik_ros.geometry import Array, distance
from nnik_ros.guarded_solver import GuardedSolver
from nnik_ros.onnx_policy import OnnxPolicy, read_contract
from nnik_ros.paths import model_file, robot_file, share_dir, shipped
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot, load_robot
from nnik_ros.yaml_file import Section

FINE_TUNED_FROM = "fine_tuned_from"  # key of a provenance, of the network before training.finetune
STEPS = (1, 2, 3, 5, 10)
SEED = 20_260_101  # of the held-out targets; training draws from the recipe's seed
_LEAST_TARGETS = 5
_MOST_TARGETS = 1_000_000
_CHUNK = 1000  # robots in one call
_NEAR = 0.1  # rad
_STAY_STEPS, _STAY_ROBOTS = 1000, 100
_BEYOND_STEPS, _BEYOND_STARTS, _BEYOND = 60, 32, 0.2


class Score(NamedTuple):
    """Errors (n, nt) [m] after each of STEPS, and the largest excess over a joint limit [rad] in any step."""

    errors: Mapping[int, Array]
    violation: float


@dataclass(frozen=True)
class Evaluation:
    """scores[start][solver]; stay [m]; beyond[solver]: excess distances (n,) [m] of tips with unreachable targets."""

    robot: Robot
    scores: Mapping[str, Mapping[str, Score]]
    stay: float
    beyond: Mapping[str, Array]


def evaluate(robot: Robot, network: Policy, n: int = 20_000) -> Evaluation:
    """Score `network`, alone and guarded, and damped least squares on n held-out targets (fewer from easy starts)."""
    rng = np.random.default_rng(SEED)
    damped = DampedLeastSquares(robot, network.kinematics)
    solvers: dict[str, Policy] = {"network": network, "guarded": GuardedSolver(network, damped), "damped": damped}
    scores: dict[str, dict[str, Score]] = {}
    for start, count in (("random", n), ("near", n // 5), ("home", n // 5)):
        goal = robot.random_joint_position(rng, count)
        q = {
            "random": robot.random_joint_position(rng, count),
            "near": np.clip(goal + rng.uniform(-_NEAR, _NEAR, goal.shape), robot.lower, robot.upper),
            "home": np.broadcast_to(robot.home, goal.shape),
        }[start]
        target = network.kinematics.tip_position(goal)
        scores[start] = {name: _score(policy, q, target) for name, policy in solvers.items()}
    return Evaluation(robot, scores, _stay(network, rng), _beyond(solvers, damped, rng, max(n // 100, 20)))


def measured(evaluation: Evaluation, gate: Gate) -> dict[str, float]:
    """The value of every key of the gate but coarse and fine, in the gate's units."""
    errors = {solver: score.errors for solver, score in evaluation.scores["random"].items()}
    network, guarded = errors["network"], errors["guarded"]
    return {
        **{f"median_{k}": float(np.median(network[k], axis=0).max()) for k in (1, 2, 3)},
        "tips_coarse": float((network[5] <= gate.coarse).mean(0).min()),
        "tips_fine": float((network[5] <= gate.fine).mean(0).min()),
        "guarded_coarse": float((guarded[5] <= gate.coarse).mean(0).min()),
        "robots_fine_5": float((guarded[5].max(1) <= gate.fine).mean()),
        "robots_fine_10": float((guarded[10].max(1) <= gate.fine).mean()),
        "stay": evaluation.stay,
        "beyond": float(np.quantile(evaluation.beyond["guarded"], 0.99)),
    }


def table(evaluation: Evaluation, gate: Gate) -> str:
    """The evaluation as text, lengths in millimetres."""
    coarse, fine = f"{gate.coarse * 1e3:g} mm", f"{gate.fine * 1e3:g} mm"
    lines = [
        f"{'start':8}{'solver':9}{'step':>5}{'median mm':>12}{'p99 mm':>12}"
        f"{'tips ' + coarse:>15}{'tips ' + fine:>15}{'all ' + coarse:>15}{'all ' + fine:>15}"
    ]
    for start, solvers in evaluation.scores.items():
        for solver, score in solvers.items():
            for k, error in score.errors.items():
                shares = [
                    (e <= limit).mean() * 100 for e in (error, error.max(1)) for limit in (gate.coarse, gate.fine)
                ]
                lines.append(
                    f"{start:8}{solver:9}{k:5}{np.median(error) * 1e3:12.5f}{np.quantile(error, 0.99) * 1e3:12.5f}"
                    + "".join(f"{share:13.3f} %" for share in shares)
                )
    violation = max(score.violation for solvers in evaluation.scores.values() for score in solvers.values())
    lines.append(f"largest violation of a joint limit: {violation:.1e} rad")
    for solver, excess in evaluation.beyond.items():
        p50, p99 = np.quantile(excess, (0.5, 0.99)) * 1e3
        beyond = f"{p50:.4f} / {p99:.4f} mm beyond the closest point (median / p99 of {len(excess)})"
        lines.append(f"out of reach, {solver}: {beyond}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="evaluate", description="Score networks on held-out targets.", formatter_class=Help
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="shipped names or ONNX files (default: all shipped)")
    parser.add_argument(
        "--robot", help="a shipped name or the path of a YAML file (default: the shipped one that the contract names)"
    )
    parser.add_argument("--targets", type=number_of_targets, default=20_000, help="held-out targets from random starts")
    options = parser.parse_args(arguments)
    try:
        models = options.models or shipped(share_dir() / "models", ".onnx")
        tasks = [_task(model_file(name), options.robot) for name in models]
        reports = [_report(task, options.targets) for task in tasks]
        return 0 if all(reports) else 1
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2


def number_of_targets(text: str) -> int:
    """Of an argument. Raises argparse.ArgumentTypeError: no number, too few for the easier starts, which get a fifth, or
    more than the memory holds."""
    return whole_number(_LEAST_TARGETS, _MOST_TARGETS)(text)


class _Task(NamedTuple):
    """A network that can be evaluated."""

    policy: OnnxPolicy
    gate: Gate


def _task(path: Path, robot: str | None) -> _Task:
    """Raises ContractError: a network of another robot, or without a gate."""
    contract = read_contract(path)
    policy = OnnxPolicy(path, load_robot(robot_file(robot or contract.robot)))
    if "gate" not in contract.provenance:
        origin = contract.provenance.get(FINE_TUNED_FROM)
        why = "" if origin is None else f": it was fine-tuned from '{origin}' to one real hand, evaluate that network"
        raise ContractError(str(path), [f"has no gate to be held against{why}"])
    problems = Problems(str(path), ContractError)
    gate = read_gate(Section(contract.provenance["gate"], "provenance.gate", problems))
    check_gate(gate, policy.robot, problems, "provenance.gate")
    problems.raise_if_any()
    return _Task(policy, gate)


def _report(task: _Task, targets: int) -> bool:
    """Print the tables of one model; True when it passes its gate."""
    policy, gate = task
    robot, recipe = policy.robot, policy.contract.provenance.get("recipe")
    evaluation = evaluate(robot, policy, targets)
    values = measured(evaluation, gate)
    print(f"{policy.path.name}: robot {robot.name}, recipe {recipe}, {targets} targets")
    print(table(evaluation, gate))
    print(gate_table(gate, values), flush=True)
    print()
    return all(passes(gate, values).values())


def _score(policy: Policy, q: Array, target: Array) -> Score:
    robot = policy.robot
    errors: dict[int, list[Array]] = {k: [] for k in STEPS}
    violation = 0.0
    for first in range(0, len(q), _CHUNK):
        here, goal = q[first : first + _CHUNK], target[first : first + _CHUNK]
        for k in range(1, max(STEPS) + 1):
            here = policy.step(here, goal)
            violation = max(violation, float((robot.lower - here).max()), float((here - robot.upper).max()))
            if k in errors:
                errors[k].append(distance(policy.kinematics.tip_position(here), goal))
    return Score({k: np.concatenate(parts) for k, parts in errors.items()}, violation)


def _stay(network: Policy, rng: np.random.Generator) -> float:
    """Largest tip error [m] while the network goes on stepping at targets that it stands on."""
    q = network.robot.random_joint_position(rng, _STAY_ROBOTS)
    target = network.kinematics.tip_position(q)
    largest = 0.0
    for _ in range(_STAY_STEPS):
        q = network.step(q, target)
        largest = max(largest, float(distance(network.kinematics.tip_position(q), target).max()))
    return largest


def _beyond(
    solvers: Mapping[str, Policy], damped: DampedLeastSquares, rng: np.random.Generator, n: int
) -> dict[str, Array]:
    """Excess over the closest point [m] of each solver; the closest point is the best of a search of its own, for damped runs
    end in corners of the limits, of many damped runs, and of the solvers' own."""
    robot = damped.robot
    shift = robot.random_displacement(rng, n, _BEYOND)
    target = damped.kinematics.tip_position(robot.random_joint_position(rng, n)) + shift
    starts = robot.random_joint_position(rng, n * _BEYOND_STARTS).reshape(_BEYOND_STARTS, n, robot.nq)
    best = final_distance(damped, starts, target, _BEYOND_STEPS).min(0)
    first = robot.random_joint_position(rng, n)
    final = {name: final_distance(policy, first, target, _BEYOND_STEPS) for name, policy in solvers.items()}
    best = np.min([best, closest_distance(damped, target, rng), *final.values()], axis=0)
    unreachable = best > 1e-3 * damped.kinematics.reach
    return {name: (reached - best)[unreachable] for name, reached in final.items()}


def final_distance(policy: Policy, q: Array, target: Array, steps: int) -> Array:
    """Distance (..., m, nt) [m] of every tip after `steps` from q (..., m, nq) towards target (m, nt, 3)."""
    target = np.broadcast_to(target, (*q.shape[:-1], *target.shape[-2:]))
    for _ in range(steps):
        q = policy.step(q, target)
    return distance(policy.kinematics.tip_position(q), target)


def provenance_fields(values: Mapping[str, float]) -> dict[str, Any]:
    """Measured values, rounded to what the sample supports, for a model's provenance."""
    return {key: float(f"{value:.4g}") if value < 0.1 else round(value, 6) for key, value in values.items()}


if __name__ == "__main__":
    sys.exit(main())
