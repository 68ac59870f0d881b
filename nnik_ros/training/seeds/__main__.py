"""Train a baseline from its recipe: `python -m nnik_ros.training.seeds RECIPE`; with --predict, ask the trained one."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from nnik_ros.arguments import Help, check_apart, check_writable, number, writing
from nnik_ros.errors import InputError, NnikError
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.export import write
from nnik_ros.training.seeds.absolute import column_names, moving_columns
from nnik_ros.training.seeds.base import SeedRecipe, export_seed, load_seed_recipe, no_gate, thinned
from nnik_ros.training.seeds.methods import METHODS
from nnik_ros.training.seeds.plots import plot_history, plot_predictions
from nnik_ros.training.source import commit

_RECIPE = "recipe.yaml"  # in the run folder


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="seeds", description="Train a baseline from a recipe.", formatter_class=Help)
    parser.add_argument("recipe", type=Path, metavar="RECIPE")
    parser.add_argument("--model", type=Path, help="file to write or to ask (default: the recipe's)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of run folders")
    parser.add_argument("--predict", type=number(), nargs="+", metavar="X", help="print the joints for this target [m]")
    options = parser.parse_args(arguments)
    try:
        recipe = load_seed_recipe(options.recipe, METHODS)
        model = options.model or recipe.model
        if options.predict:
            print(prediction(load_robot(recipe.robot), model, options.predict))
        else:
            run(recipe, model, options.runs / recipe.name)
        return 0
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2


def run(recipe: SeedRecipe, path: Path, folder: Path) -> None:
    """Train, export and write the run folder.

    Raises:
        FileError: the model or the run folder cannot be written.
    """
    for place in (path, folder / _RECIPE):
        check_writable(place, makes_folder=True)
    robot = load_robot(recipe.robot)
    check_apart(path, {"the recipe": recipe.path, "the robot file": recipe.robot, "the robot's URDF": robot.urdf_path})
    text = recipe.path.read_text(encoding="utf-8")
    start = time.monotonic()
    trained = METHODS[recipe.method].train(recipe, robot, folder)
    exported = export_seed(robot, trained.move)
    curves = {name: list(curve) for name, curve in trained.curves.items()}
    provenance = {
        "recipe": f"seeds/{recipe.name}", "recipe_text": text, "seed": recipe.seed, "system": recipe.system,
        "commit": commit(), "method": recipe.method, "training_seconds": round(time.monotonic() - start),
        "nodes": len(exported.model.graph.node), "metrics": dict(trained.notes),
        "gate": no_gate(float(robot.kinematics.reach.max())), "curves": {name: thinned(c) for name, c in curves.items()},
    }  # fmt: skip
    write(exported, robot, path, provenance)
    policy = OnnxPolicy(path, robot)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _RECIPE).write_text(text, encoding="utf-8")
        (folder / "metrics.json").write_text(json.dumps({**provenance, "curves": curves}, indent=1), encoding="utf-8")
        plot_history(trained.curves, folder / "training_history.png")
        plot_predictions(policy, folder / "predictions.png")
    if trained.report:
        print(trained.report)
    last = ", ".join(f"{name} {curve[-1]:.4g}" for name, curve in trained.curves.items() if len(curve))
    print(f"{recipe.name}: {last}; {provenance['training_seconds']} s; wrote {path} and {folder}")


def prediction(robot: Robot, path: Path, point: Sequence[float]) -> str:
    """Joint positions for a target, from the home pose, and where they bring the tips."""
    columns = moving_columns(robot)
    names = column_names(robot, columns)
    if len(point) != len(names):
        raise InputError(f"--predict takes {len(names)} numbers ({' '.join(names)}), got {len(point)}")
    policy = OnnxPolicy(path, robot)
    flat = robot.kinematics.tip_position(robot.home).ravel()
    flat[columns] = point
    target = flat.reshape(-1, 3)
    q = policy.step(robot.home, target)
    tips = policy.kinematics.tip_position(q)
    joints = "\n".join(f"{name}: {value:.6f} rad" for name, value in zip(robot.joint_names, q, strict=True))
    reached = np.array2string(tips.ravel()[columns], precision=4, separator=", ")
    return f"{joints}\nreached: {reached} m, error {np.linalg.norm(tips - target, axis=-1).max():.4g} m"


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
