"""Learning curves of baselines from several seeds: `python -m nnik_ros.training.seeds.learning_curves [RECIPE]`.

A curve of one seed tells little in reinforcement learning. The curves go into a file beside the baselines; the page of
`nnik_ros.training.compare` draws their mean and the band that all seeds lie in.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nnik_ros.arguments import check_writable, writing
from nnik_ros.errors import FileError, NnikError, Problems
from nnik_ros.paths import share_dir
from nnik_ros.robot import load_robot
from nnik_ros.training.recipe import recipe_document
from nnik_ros.training.seeds.acting import ActingOptions
from nnik_ros.training.seeds.base import SeedRecipe, load_seed_recipe, thinned
from nnik_ros.training.seeds.methods import METHODS

FILE = "learning_curves.json"  # in models/seeds


@dataclass(frozen=True)
class CurvesRecipe:
    """recipes: of baselines that act in an environment; seeds: of their trainings, in place of their own; env_steps: actions of
    each training."""

    path: Path
    recipes: tuple[SeedRecipe, ...]
    seeds: tuple[int, ...]
    env_steps: int


def load_curves_recipe(path: Path) -> CurvesRecipe:
    """Read a recipe of learning curves; it names recipes of the folder `seeds` beside its own.

    Raises:
        FileError: listing every missing, unknown or wrong key.
    """
    with recipe_document(path) as document:
        names, seeds = document.items("recipes"), document.items("seeds")
        env_steps = document.integer("env_steps", low=100, high=100_000_000)
        whole = all(isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**31 for seed in seeds)
        if not whole or len(set(seeds)) != len(seeds) or len(seeds) < 2:
            document.wrong("seeds", seeds, "at least two different whole numbers from 0")
    problems = Problems(str(path))
    folder = path.parent.parent / "seeds"
    recipes = tuple(load_seed_recipe(folder / f"{name}.yaml", METHODS) for name in names)
    for recipe in recipes:
        if not isinstance(recipe.options, ActingOptions):
            problems.add(f"recipes: {recipe.name} does not act in an environment")
        elif env_steps < recipe.options.least_env_steps:
            problems.add(f"env_steps: is {env_steps}, must be {recipe.options.enough}, for {recipe.name}")
    problems.raise_if_any()
    return CurvesRecipe(path, recipes, tuple(seeds), env_steps)


def learn(recipe: CurvesRecipe) -> dict[str, Any]:
    """Train every recipe from every seed: by its name the seeds, the actions and, of each curve, one thinned row a seed."""
    found: dict[str, Any] = {}
    for base in recipe.recipes:
        robot = load_robot(base.robot)
        rows: dict[str, list[list[float]]] = {}
        for seed in recipe.seeds:
            one = replace(base, seed=seed, options=replace(base.options, env_steps=recipe.env_steps))
            with tempfile.TemporaryDirectory() as folder:
                curves = METHODS[base.method].train(one, robot, Path(folder)).curves
            for name, curve in curves.items():
                rows.setdefault(name, []).append(thinned(curve))
            last = ", ".join(f"{name} {row[-1][-1]:.4g}" for name, row in rows.items())
            print(f"{base.name} seed {seed}: {last}", flush=True)
        found[base.name] = {"seeds": list(recipe.seeds), "env_steps": recipe.env_steps, "curves": rows}
    return found


def read_curves(path: Path) -> Mapping[str, Any]:
    """What `main` wrote; empty without the file.

    Raises:
        FileError: a file of another origin.
    """
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        baselines: Mapping[str, Any] = document["baselines"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(str(path), [f"holds no learning curves: {error}"]) from error
    return baselines


def main(arguments: Sequence[str] | None = None) -> int:
    shipped = share_dir() / "config" / "training" / "curves" / "reinforcement.yaml"
    parser = argparse.ArgumentParser(prog="learning_curves", description="Learning curves from several seeds.")
    parser.add_argument("recipe", type=Path, nargs="?", default=shipped, metavar="RECIPE")
    parser.add_argument("--output", type=Path, default=share_dir() / "models" / "seeds" / FILE, help="file to write")
    options = parser.parse_args(arguments)
    try:
        check_writable(options.output)
        recipe = load_curves_recipe(options.recipe)
        document = {"recipe_text": recipe.path.read_text(encoding="utf-8"), "baselines": learn(recipe)}
        with writing(options.output):
            options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"wrote {options.output}")
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
