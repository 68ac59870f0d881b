"""Train a network from a recipe: `python -m nnik_ros.training.train RECIPE`.

Writes the model with its contract, and a run folder with the resolved recipe, the metrics and the training curve.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from nnik_ros.errors import ContractError, NnikError
from nnik_ros.evaluate import evaluate, gate_table, measured, passes, provenance_fields, table
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import OnnxPolicy, read_contract
from nnik_ros.paths import share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.export import export, read_layers, write
from nnik_ros.training.mirror import mirrored
from nnik_ros.training.network import Layers, StepNetwork
from nnik_ros.training.recipe import Recipe, TrainingOptions, load_recipe

_DISTANCE_WEIGHT, _LOG_WEIGHT = 4.0, 0.05
_DISTANCE_FLOOR, _LOG_FLOOR = 1e-8, 1e-10  # squares of errors in reaches, where the loss goes flat
_WARM_UP = 100  # iterations
_HARD_OF_BATCH, _HARD_POOL = 8, 1024  # robots kept of each batch, and of all
_DECISIVE = ("nnik_ros/training", "nnik_ros/kinematics.py", "config/robots", "config/training", "urdf")
_REPORT_EVERY = 500  # iterations


class Progress(NamedTuple):
    iteration: int
    loss: float
    median: float  # m, after the last unrolled step


def train(recipe: Recipe, robot: Robot) -> Iterator[tuple[Progress, StepNetwork]]:
    """Train, handing out the network now and then and at the end; the same recipe gives the same weights."""
    options = recipe.training
    assert options is not None, "a mirrored recipe has nothing to train"
    network = StepNetwork(robot, recipe.hidden, torch.Generator().manual_seed(recipe.seed))
    rng = np.random.default_rng(recipe.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    hard: tuple[Array, Array] = np.empty((0, robot.nq)), np.empty((0, robot.nt, 3))
    for i in range(options.iterations):
        rate = min(1.0, (i + 1) / _WARM_UP) * 0.5 * (1.0 + math.cos(math.pi * i / options.iterations))
        optimizer.param_groups[0]["lr"] = options.learning_rate * rate
        q, target, reachable = sample(robot, options, rng, hard)
        loss, error = unrolled_loss(network, robot, options, _tensor(q), _tensor(target))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        worst = np.argsort(np.where(reachable, error.numpy().max(-1), 0.0))[-_HARD_OF_BATCH:]
        hard = (
            np.concatenate([hard[0], q[worst]])[-_HARD_POOL:],
            np.concatenate([hard[1], target[worst]])[-_HARD_POOL:],
        )
        if (i + 1) % _REPORT_EVERY == 0 or i + 1 == options.iterations:
            yield Progress(i + 1, float(loss.detach()), float(error.median())), network


def sample(
    robot: Robot, options: TrainingOptions, rng: np.random.Generator, hard: tuple[Array, Array]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Starts (batch, nq), targets (batch, nt, 3) and which are certainly reachable (batch,). A share of the starts is near
    the goal, from 0.3 % of the way to all of it, the others anywhere; a share of the targets is moved off, mostly out of
    reach; a share is drawn again from the `hard` starts and targets."""
    goal, q = (robot.random_joint_position(rng, options.batch) for _ in range(2))
    near = rng.random((options.batch, 1)) < options.near_share
    q = np.where(near, goal + 10.0 ** rng.uniform(-2.5, 0.0, near.shape) * (q - goal), q)
    beyond = rng.random(options.batch) < options.beyond_share
    shift = rng.normal(size=(options.batch, robot.nt, 3)) * options.beyond * robot.kinematics.reach[:, None]
    target = robot.kinematics.tip_position(goal) + beyond[:, None, None] * shift
    again = np.flatnonzero(rng.random(options.batch) < options.hard_share) if len(hard[0]) else np.arange(0)
    drawn = rng.integers(0, max(len(hard[0]), 1), len(again))
    q[again], target[again], beyond[again] = hard[0][drawn], hard[1][drawn], False
    return q, target, ~beyond


def unrolled_loss(
    network: StepNetwork, robot: Robot, options: TrainingOptions, q: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss over all steps, and the last step's errors (batch, nt) [m]. The distance pays for tips that are stuck, the
    logarithm for the last micrometres."""
    losses = []
    square = torch.empty(0)
    for k in range(options.steps + 1):
        q_next, tip = network(q, target) if k < options.steps else (q, network.tip_position(q))
        if k:
            square = ((tip - target) ** 2).sum(-1)
            relative = square / network.shape.reach**2
            distance = torch.sqrt(relative + _DISTANCE_FLOOR)
            losses.append(_DISTANCE_WEIGHT * distance.mean() + _LOG_WEIGHT * torch.log(relative + _LOG_FLOOR).mean())
        q = q_next
    loss = torch.stack(losses).mean()
    if options.posture:
        home, width = _tensor(robot.home), _tensor(robot.upper - robot.lower)
        loss = loss + options.posture * (((q - home) / width) ** 2).mean()
    return loss, square.detach().sqrt()


def _tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train", description="Train a network from a recipe.")
    parser.add_argument("recipe", type=Path, metavar="RECIPE")
    parser.add_argument("--model", type=Path, help="file to write (default: the recipe's)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of run folders")
    parser.add_argument("--targets", type=int, default=20_000, help="held-out targets of the evaluation")
    parser.add_argument(
        "--gate-only", action="store_true", help="keep the weights of the model, write the recipe's new gate"
    )
    options = parser.parse_args(arguments)
    try:
        recipe = load_recipe(options.recipe)
        path, folder = options.model or recipe.model, options.runs / recipe.name
        return 0 if run(recipe, path, folder, options.targets, gate_only=options.gate_only) else 1
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2


def run(recipe: Recipe, path: Path, folder: Path, targets: int, *, gate_only: bool = False) -> bool:
    """Train, mirror or keep the weights, export, evaluate and write everything; True when the gate is passed."""
    robot = load_robot(recipe.robot)
    folder.mkdir(parents=True, exist_ok=True)
    progress: list[Progress] = []
    layers, facts = _kept(recipe, path) if gate_only else _made(recipe, robot, progress)
    provenance: dict[str, Any] = {
        "recipe": recipe.name, "recipe_text": _text(recipe), "seed": recipe.seed, "gate": asdict(recipe.gate), **facts
    }  # fmt: skip
    exported = export(robot, layers)
    write(exported, robot, path, provenance)
    evaluation = evaluate(robot, OnnxPolicy(path, robot), targets)
    values = measured(evaluation, recipe.gate)
    provenance["metrics"] = provenance_fields(values)
    provenance["nodes"] = len(exported.model.graph.node)
    write(exported, robot, path, provenance)
    report = f"{table(evaluation, recipe.gate)}\n{gate_table(recipe.gate, values)}\n"
    print(report)
    np.savez(folder / "weights.npz", layers.bias, *layers.weights)
    (folder / "recipe.yaml").write_text(_text(recipe), encoding="utf-8")
    (folder / "evaluation.txt").write_text(report, encoding="utf-8")
    (folder / "metrics.json").write_text(
        json.dumps({**provenance, "progress": [p._asdict() for p in progress]}, indent=1), encoding="utf-8"
    )
    if progress:
        _plot(progress, folder / "curve.png")
    return all(passes(recipe.gate, values).values())


def _made(recipe: Recipe, robot: Robot, progress: list[Progress]) -> tuple[Layers, dict[str, Any]]:
    """New weights, and when and from what they were made."""
    commit, start = _commit(), time.monotonic()
    layers = mirrored(recipe, robot) if recipe.mirror else _trained(recipe, robot, progress)
    return layers, {"commit": commit, "training_seconds": round(time.monotonic() - start)}


def _kept(recipe: Recipe, path: Path) -> tuple[Layers, dict[str, Any]]:
    """The weights of the model, when its recipe differs in nothing but the gate, and when and from what they were made."""
    facts = read_contract(path).provenance
    documents = [yaml.safe_load(text) for text in (facts.get("recipe_text", ""), _text(recipe))]
    old, new = ({**document, "gate": None} if isinstance(document, dict) else {} for document in documents)
    if old != new:
        changed = ", ".join(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))
        problem = f"was made by another recipe than {recipe.path}, differing in: {changed}; train it again"
        raise ContractError(str(path), [problem])
    return read_layers(path), {key: facts[key] for key in ("commit", "training_seconds")}


def _text(recipe: Recipe) -> str:
    return recipe.path.read_text(encoding="utf-8")


def _trained(recipe: Recipe, robot: Robot, progress: list[Progress]) -> Layers:
    network = None
    for state, network in train(recipe, robot):  # noqa: B007, the last one counts
        progress.append(state)
        print(f"{state.iteration:7} loss {state.loss:8.4f} median {state.median * 1e3:.5f} mm", flush=True)
    assert network is not None, "a recipe has at least one iteration"
    return network.layers()


def _commit() -> str:
    """The commit of the source that trains, marked when what decides the result was changed since; empty outside of git."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = commit and _git("status", "--porcelain", "--", *_DECISIVE)
    return f"{commit} with changes" if changed else commit


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=share_dir(), capture_output=True, text=True, check=False
    ).stdout.strip()


def _plot(progress: list[Progress], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5), constrained_layout=True)
    iterations = [p.iteration for p in progress]
    left.plot(iterations, [p.loss for p in progress])
    left.set(xlabel="iteration", ylabel="loss")
    right.semilogy(iterations, [p.median * 1e3 for p in progress])
    right.set(xlabel="iteration", ylabel="median error after the last step [mm]")
    figure.savefig(path)
    pyplot.close(figure)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
