"""Train a network from a recipe: `python -m nnik_ros.training.train RECIPE`.

Writes the model with its contract, and a run folder with the recipe, checkpoint, metrics and the training curve. Several
processes train together under `torchrun --standalone --nproc_per_node=N -m nnik_ros.training.train RECIPE`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnik_ros.arguments import Help, check_apart, check_writable, whole_number, writing
from nnik_ros.errors import FileError, NnikError
from nnik_ros.evaluate import evaluate, measured, number_of_targets, provenance_fields, table
from nnik_ros.gate import gate_table, passes
from nnik_ros.onnx_policy import OnnxPolicy, read_contract
from nnik_ros.robot import Robot
from nnik_ros.training.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    decisive,
    load_checkpoint,
    restore,
    save_checkpoint,
    trained_layers,
)  # fmt: skip
from nnik_ros.training.export import export, write
from nnik_ros.training.group import ALONE, Group, joined, leave
from nnik_ros.training.loop import Progress, Training
from nnik_ros.training.mirror import mirrored
from nnik_ros.training.network import Layers
from nnik_ros.training.recipe import Recipe, load_recipe, robot_of
from nnik_ros.training.rows import Layout
from nnik_ros.training.source import commit
from nnik_ros.yaml_file import load_mapping


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train", description="Train a network from a recipe.", formatter_class=Help)
    parser.add_argument("recipe", type=Path, metavar="RECIPE")
    parser.add_argument("--model", type=Path, help="file to write (default: the recipe's)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of run folders")
    parser.add_argument("--targets", type=number_of_targets, default=20_000, help="held-out targets of the evaluation")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--resume", action="store_true", help="go on from the checkpoint of the run folder")
    kind.add_argument(
        "--gate-only", action="store_true", help="keep the weights of the model, write the recipe's new gate"
    )
    parser.add_argument(
        "--stop-after", type=whole_number(1), metavar="N", help="stop after iteration N, to be resumed later"
    )
    options = parser.parse_args(arguments)
    with joined() as group:
        try:
            if "method" in load_mapping(options.recipe):
                return _baseline(options, group)
            recipe = load_recipe(options.recipe)
            path, folder = options.model or recipe.model, options.runs / recipe.name
            if options.gate_only or recipe.mirror:
                how = "--gate-only" if options.gate_only else "a mirrored recipe"
                _check_alone(options, how, group)
                return 0 if remake(recipe, path, folder, options.targets, gate_only=options.gate_only) else 1
            passed = run(recipe, path, folder, options.targets, group, resume=options.resume, until=options.stop_after)
            return 0 if passed else 1
        except NnikError as error:
            if group.leads:
                print(error, file=sys.stderr)
            return 2


def run(
    recipe: Recipe, path: Path, folder: Path, targets: int, group: Group = ALONE, *,
    resume: bool = False, until: int | None = None,
) -> bool:  # fmt: skip
    """Train, from the folder's checkpoint when `resume`, to the end or to iteration `until`; at the end the first process
    exports, evaluates and writes everything. False when the gate is missed.

    Raises:
        FileError: the checkpoint cannot be resumed, see `load_checkpoint`, or the model or the run folder cannot be written.
    """
    group.of_first(lambda: _check_places(path, folder))
    robot = robot_of(recipe)
    group.of_first(lambda: _check_kept(path, recipe, robot))
    training = Training(recipe, robot, group)
    before = None
    if resume:
        before = group.of_first(lambda: load_checkpoint(folder, recipe, robot))
        restore(training, before, folder)
    checkpoint = _trained(training, recipe, folder, before, until)
    if not group.leads:
        return True
    if not training.finished:
        total = training.options.iterations
        print(f"stopped after iteration {training.iteration} of {total}; --resume goes on from {folder / CHECKPOINT}")
        return True
    facts = {"commit": checkpoint.commit, "training_seconds": round(checkpoint.seconds)}
    passed = publish(recipe, robot, training.network.layers(), facts, (path, folder), targets)
    _write_metrics(path, folder, recipe, training.progress)
    save_checkpoint(folder, checkpoint._replace(finished=True))
    return passed


def remake(recipe: Recipe, path: Path, folder: Path, targets: int, *, gate_only: bool) -> bool:
    """What needs no training: mirror, or keep the weights under a new gate, then as `run`."""
    _check_places(path, folder)
    robot = robot_of(recipe)
    _check_kept(path, recipe, robot)
    start = time.monotonic()
    layers, layout = mirrored(recipe, robot) if recipe.mirror else (None, None)
    facts: dict[str, Any] = {"commit": commit(), "training_seconds": round(time.monotonic() - start)}
    if gate_only or layers is None:
        layers, facts = _kept(recipe, robot, path)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    passed = publish(recipe, robot, layers, facts, (path, folder), targets, layout)
    _write_metrics(path, folder, recipe, [])
    return passed


def publish(
    recipe: Recipe, robot: Robot, layers: Layers, facts: Mapping[str, Any], places: tuple[Path, Path], targets: int,
    layout: Layout | None = None,
) -> bool:  # fmt: skip
    """Export, evaluate, and write the model with its contract and the run folder; True when the gate is passed."""
    path, folder = places
    provenance: dict[str, Any] = {
        "recipe": recipe.name, "recipe_text": _text(recipe), "seed": recipe.seed, "gate": asdict(recipe.gate), **facts
    }  # fmt: skip
    exported = export(robot, layers, layout)
    write(exported, robot, path, provenance)
    evaluation = evaluate(robot, OnnxPolicy(path, robot), targets)
    values = measured(evaluation, recipe.gate)
    provenance["metrics"] = provenance_fields(values)
    provenance["nodes"] = len(exported.model.graph.node)
    write(exported, robot, path, provenance)
    report = f"{table(evaluation, recipe.gate)}\n{gate_table(recipe.gate, values)}\n"
    print(report)
    with writing(folder):
        np.savez(folder / "weights.npz", *layers.weights, *layers.biases)
        (folder / "recipe.yaml").write_text(_text(recipe), encoding="utf-8")
        (folder / "evaluation.txt").write_text(report, encoding="utf-8")
    return all(passes(recipe.gate, values).values())


def _check_places(path: Path, folder: Path) -> None:
    """Raises FileError, before a training: the model or what lies in the run folder cannot be written."""
    for place in (path, folder / CHECKPOINT):
        check_writable(place, makes_folder=True)


def _check_kept(path: Path, recipe: Recipe, robot: Robot) -> None:
    """Raises FileError: the model would replace what it is made from."""
    read = {"the recipe": recipe.path, "the robot file": recipe.robot, "the robot's URDF": robot.urdf_path}
    check_apart(path, read | ({"the recipe to mirror": recipe.mirror.recipe} if recipe.mirror else {}))


def _check_alone(options: argparse.Namespace, how: str, group: Group) -> None:
    if options.resume or options.stop_after is not None or group.size > 1:
        problem = "is made in one go: run it in one process, without --resume and --stop-after"
        raise FileError(str(options.recipe), [f"{how} {problem}"])


def _baseline(options: argparse.Namespace, group: Group) -> int:
    """Train one of the learned baselines, which have recipes of their own."""
    from nnik_ros.training.seeds.__main__ import main as train_baseline

    _check_alone(options, "a baseline", group)
    if options.gate_only:
        raise FileError(str(options.recipe), ["a baseline has no gate"])
    model = [] if options.model is None else ["--model", str(options.model)]
    return train_baseline([str(options.recipe), "--runs", str(options.runs), *model])


def _trained(
    training: Training, recipe: Recipe, folder: Path, before: Checkpoint | None, until: int | None
) -> Checkpoint:
    """Train on; the first process prints how it goes and keeps the folder's checkpoint. Returns the last one."""
    origin, start = commit(), time.monotonic()
    if before is not None and before.commit != origin:
        origin = f"{before.commit}, from iteration {training.iteration} {origin}"

    def checkpoint() -> Checkpoint:
        seconds = time.monotonic() - start + (before.seconds if before is not None else 0.0)
        return Checkpoint(_text(recipe), decisive(training.robot), False, origin, seconds, training.state())

    leads, first = training.group.leads, training.iteration
    if leads:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
    for state in training.run(until):
        if leads:
            print(_line(training, state, time.monotonic() - start, first), flush=True)
            save_checkpoint(folder, checkpoint())
    return checkpoint()


def _line(training: Training, state: Progress, seconds: float, first: int) -> str:
    """How it goes, and how much longer; `seconds` have passed since iteration `first`."""
    total = training.options.iterations
    left = seconds / (state.iteration - first) * (total - state.iteration)
    bar = "#" * round(20 * state.iteration / total)
    words = (
        f"loss {state.loss:8.4f}  median {state.median * 1e3:.5f} mm  {int(left // 60)} min {int(left % 60):02} s left"
    )
    return f"[{bar:20}] {state.iteration:7} of {total}  {words}"


def _kept(recipe: Recipe, robot: Robot, path: Path) -> tuple[Layers, dict[str, Any]]:
    """The weights of the model, when its recipe differs in nothing but the gate and its robot in nothing, and when and from
    what they were made."""
    layers, facts = trained_layers(path, recipe, robot)
    return layers, {key: facts[key] for key in ("commit", "training_seconds")}


def _write_metrics(path: Path, folder: Path, recipe: Recipe, progress: Sequence[Progress]) -> None:
    """metrics.json: what the model's contract tells of its making, the recipe with its defaults, the curve; curve.png."""
    document = {
        **read_contract(path).provenance, "hidden": recipe.hidden, "shared": recipe.shared,
        "training": asdict(recipe.training) if recipe.training else None, "progress": [p._asdict() for p in progress],
    }  # fmt: skip
    with writing(folder):
        (folder / "metrics.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
        if progress:
            _plot(progress, folder / "curve.png")


def _text(recipe: Recipe) -> str:
    return recipe.path.read_text(encoding="utf-8")


def _plot(progress: Sequence[Progress], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    iterations = [p.iteration for p in progress]
    left.plot(iterations, [p.loss for p in progress])
    left.set(xlabel="iteration", ylabel="loss")
    right.semilogy(iterations, [p.median * 1e3 for p in progress])
    right.set(xlabel="iteration", ylabel="median error after the last step [mm]")
    figure.savefig(path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    leave(main())
