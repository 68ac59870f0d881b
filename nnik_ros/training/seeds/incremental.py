"""An incremental network (S5): target and present joints in, the joints a little nearer to the target out.

The data is a grid of joint positions; around each of them stand a few noisy copies, the present joints, and the network
learns to go from there to the grid's pose when its tip is the target. It knows only near targets: the target has to
advance in small steps, which the controller's governor or `follow_line` do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.errors import FileError
from nnik_ros.geometry import Array
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot
from nnik_ros.training.graph import Graph, Value
from nnik_ros.training.seeds.absolute import moving_columns
from nnik_ros.training.seeds.base import Method, SeedRecipe, Trained, seeded
from nnik_ros.training.seeds.dense import Dense, Stage, dense_module, dense_of, fit
from nnik_ros.yaml_file import Section, is_number

_HELD_OUT = 0.1  # of the samples, for the validation curves
_LEAST_POSES, _MOST_SAMPLES = 10, 10_000_000


@dataclass(frozen=True)
class IncrementalOptions:
    """grid [rad]: step of the grid over every joint's range; copies of each pose with noise [rad] to either side;
    epochs at each of learning_rates."""

    grid: float
    copies: int
    noise: float
    epochs: int
    batch: int
    learning_rates: tuple[float, ...]


class Line(NamedTuple):
    """q (n, nq) [rad], tip and target (n, 3) [m] of each tick."""

    q: Array
    tip: Array
    target: Array


def read(section: Section) -> IncrementalOptions:
    rates = section.items("learning_rates")
    if not rates or not all(is_number(rate) and 0.0 < rate <= 1.0 for rate in rates):
        section.wrong("learning_rates", rates, "a list of numbers above 0, at most 1")
    return IncrementalOptions(
        grid=section.number("grid", low=0.01, high=10.0),
        copies=section.integer("copies", low=1, high=10_000),
        noise=section.number("noise", above=0.0, high=10.0),
        epochs=section.integer("epochs", low=1, high=100_000),
        batch=section.integer("batch", low=1, high=1_000_000),
        learning_rates=tuple(rates),
    )


def train(recipe: SeedRecipe, robot: Robot, folder: Path) -> Trained:
    """See `Method.train`."""
    options: IncrementalOptions = recipe.options
    _check_size(recipe, options, robot)
    columns = moving_columns(robot)
    with seeded(recipe.seed) as rng:
        inputs, outputs = grid_samples(robot, options, columns, rng)
        poses = len(inputs) // options.copies  # held out as a whole: the copies of a pose share their target and answer
        held_out = rng.random(poses) < _HELD_OUT
        held_out[0] |= not held_out.any()  # of a small grid perhaps none was drawn
        test = held_out.repeat(options.copies)
        module = dense_module([inputs.shape[1], *recipe.hidden, robot.nq])
        stages = [Stage("sgd", rate, options.epochs) for rate in options.learning_rates]
        sets = (inputs[~test], outputs[~test]), (inputs[test], outputs[test])
        curves = fit(module, *sets, stages, options.batch, rng)
    return Trained(partial(incremental_move, dense_of(module), columns), curves, {"samples": float(len(inputs))})


def grid_samples(
    robot: Robot, options: IncrementalOptions, columns: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Inputs (n, coordinates + nq): the target of each grid pose beside noisy joints; outputs (n, nq): the grid pose."""
    goal = (
        np.stack(np.meshgrid(*grid_axes(robot, options), indexing="ij"), -1)
        .reshape(-1, robot.nq)
        .repeat(options.copies, 0)
    )
    here = goal + rng.uniform(-options.noise, options.noise, goal.shape)
    target = robot.kinematics.tip_position(goal).reshape(len(goal), -1)[:, columns]
    return np.concatenate([target, here], 1), goal


def grid_axes(robot: Robot, options: IncrementalOptions) -> list[Array]:
    """The positions [rad] of each joint in the grid."""
    return [np.arange(low, high, options.grid) for low, high in zip(robot.lower, robot.upper, strict=True)]


def _check_size(recipe: SeedRecipe, options: IncrementalOptions, robot: Robot) -> None:
    """Raises FileError: a grid of too few poses to hold some out, or of more than the memory holds."""
    poses = math.prod(len(axis) for axis in grid_axes(robot, options))
    if not _LEAST_POSES <= poses <= _MOST_SAMPLES // options.copies:
        raise FileError(
            str(recipe.path),
            [f"training.grid: is {options.grid:g} rad, which makes {poses} poses of the {robot.nq} joints, must make at least "
             f"{_LEAST_POSES}, and with all copies, here {options.copies} of each, at most {_MOST_SAMPLES} samples"],
        )  # fmt: skip


def incremental_move(
    dense: Dense, columns: NDArray[np.int64], graph: Graph, q: Value, target: Value, tip: Value
) -> Value:
    """The network on raw metres and radians."""
    x = graph.reshape(target, (-1, int(np.prod(target.shape[1:]))))[..., columns]
    return dense.write(graph, graph.concatenate([x, q], -1))


def follow_line(policy: Policy, q: Array, goal: Array, step: float, ticks: int) -> Line:
    """Go to `goal` (3,) [m] on a straight line, one network step a tick: the target advances along the line by `step` [m]."""
    start = policy.kinematics.tip_position(q)[0]
    length = float(np.linalg.norm(goal - start))
    direction = (goal - start) / max(length, 1e-9)
    rows = []
    for k in range(1, ticks + 1):
        target = start + direction * min(k * step, length)
        q = policy.step(q, target[None])
        rows.append((q, policy.kinematics.tip_position(q)[0], target))
    return Line(*(np.array(column) for column in zip(*rows, strict=True)))


METHOD = Method(read, train)
