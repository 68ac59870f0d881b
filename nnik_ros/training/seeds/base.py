"""What all baselines share: the recipe, the file that they are exported to, and the seeded random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nnik_ros.contract import JOINT_POSITION, JOINT_POSITION_NEXT, TIP_POSITION, TIP_TARGET, Probe, nested
from nnik_ros.gate import Gate
from nnik_ros.kinematics import build_chains, forward_kinematics
from nnik_ros.robot import Robot
from nnik_ros.training.export import Exported, parameter_inputs, probe_inputs
from nnik_ros.training.graph import Graph, Value
from nnik_ros.training.recipe import default_model, hidden_layers, recipe_document, recipe_name
from nnik_ros.training.rows import float32_limits
from nnik_ros.yaml_file import Section

_CURVE_POINTS = 60
_NO_GATE = 1e3  # m: no baseline misses it
Move = Callable[[Graph, Value, Value, Value], Value]
"""graph, q (batch, nq), target and tips at q (batch, nt, 3) to the next q (batch, nq), not yet inside the limits."""


@dataclass(frozen=True)
class SeedRecipe:
    """system: the description it follows, such as S4; method: the module that trains it; options: of the method."""

    path: Path
    name: str
    system: str
    method: str
    robot: Path
    model: Path
    seed: int
    hidden: tuple[int, ...]
    options: Any


class Trained(NamedTuple):
    """move: one increment; curves: training curves by name, one value an epoch or episode; notes: figures of the method;
    report: what became of the data, where it was recorded."""

    move: Move
    curves: Mapping[str, Sequence[float]]
    notes: Mapping[str, float]
    report: str = ""


@dataclass(frozen=True)
class Method:
    """read: the options of a recipe's `training` section; train: (recipe, robot, run folder) to a network."""

    read: Callable[[Section], Any]
    train: Callable[[SeedRecipe, Robot, Path], Trained]


def load_seed_recipe(path: Path, methods: Mapping[str, Method]) -> SeedRecipe:
    """Read a recipe; the paths in it are relative to it.

    Raises:
        FileError: listing every missing, unknown or wrong key.
    """
    with recipe_document(path) as document:
        name, system = recipe_name(document), document.text("system")
        method = document.text("method", choices=methods)
        robot = document.text("robot")
        model = document.text("model", default_model(path, "../../../models/seeds", name))
        seed = document.integer("seed", low=0, high=2**31 - 1)
        hidden = hidden_layers(document)
        section = document.section("training")
        options = None
        if method in methods:
            options = methods[method].read(section)
            section.finish()
    return SeedRecipe(path, name, system, method, path.parent / robot, path.parent / model, seed, hidden, options)


@contextmanager
def seeded(seed: int) -> Iterator[np.random.Generator]:
    """A generator, and torch's own numbers (weights, dropout), for the body alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield np.random.default_rng(seed)


def export_seed(robot: Robot, move: Move) -> Exported:
    """The graph of one increment: `move`, then the joint limits; the tips come from kinematics in the graph."""
    graph = Graph()
    start, goal = probe_inputs(robot)
    chains = build_chains(graph, robot.kinematics.topology, parameter_inputs(graph, robot))
    q, target = graph.input(JOINT_POSITION, start), graph.input(TIP_TARGET, goal)
    tip = forward_kinematics(graph, chains, q).tip_position
    lower, upper = float32_limits(robot)
    q_next = graph.minimum(graph.maximum(move(graph, q, target, tip), lower), upper)
    model = graph.model({JOINT_POSITION_NEXT: q_next, TIP_POSITION: tip}, robot.name)
    return Exported(model, Probe(*(nested(value) for value in (start, goal, q_next.example, tip.example))))


def no_gate(reach: float) -> dict[str, float]:
    """A gate that everything passes: a baseline is measured, not judged. Coarse and fine are 1 mm and 0.1 mm, or 0.1 %
    and 0.01 % of a larger reach [m]."""
    gate = {f.name: _NO_GATE if f.name.startswith(("median", "stay", "beyond")) else 0.0 for f in fields(Gate)}
    coarse = 1e-3 * max(1.0, reach)
    return {**gate, "coarse": coarse, "fine": 0.1 * coarse}


def thinned(curve: Sequence[float]) -> list[float]:
    """A curve as means of at most so many pieces as a model file carries."""
    pieces = np.array_split(np.asarray(curve), min(len(curve), _CURVE_POINTS)) if len(curve) else []
    return [float(f"{np.mean(piece):.4g}") for piece in pieces]
