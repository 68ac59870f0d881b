"""Target in, joint positions within the limits out, for targets in and around the reach (S3; S1 in its plain forms).

Two losses. `joints` is the baseline: least squares on the joint positions. `tips` goes through forward kinematics: the
distance between the reached and the wanted point; the closest point of a target out of reach is then simply its smallest
value, and no label has to choose among several answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.errors import FileError
from nnik_ros.geometry import Array
from nnik_ros.kinematics import forward_kinematics
from nnik_ros.robot import Robot
from nnik_ros.training.graph import Graph, Value
from nnik_ros.training.network import torch_chains
from nnik_ros.training.recipe import check_finite
from nnik_ros.training.seeds.base import Method, SeedRecipe, Trained, seeded
from nnik_ros.training.seeds.dense import Dense, dense_module, dense_of, tensor
from nnik_ros.training.seeds.recorded import Source, read_source, recorded_sets
from nnik_ros.training.seeds.recurrent import Recurrent, RecurrentModule, recurrent_of
from nnik_ros.yaml_file import Section

_LABEL_STEPS = 60  # of damped least squares, to label a target out of reach
_TEST = 1000
_CURVE_POINTS = 100


@dataclass(frozen=True)
class ReachOptions:
    """loss: joints or tips; samples: size of the set; around_share: of the targets, spread over a ball of `around` reaches;
    iterations of Adam with `batch` samples, its rate falling along a cosine; turns: of a recurrent network, 0 for a
    feedforward one; recording: where the samples come from, in place of random poses."""

    loss: str
    samples: int
    around_share: float
    around: float
    iterations: int
    batch: int
    learning_rate: float
    turns: int
    recording: Source | None = None


class Samples(NamedTuple):
    """target (n, nt, 3) [m]; q (n, nq) [rad], joints that reach it or come as close as possible."""

    target: Array
    q: Array


def read(section: Section) -> ReachOptions:
    recording = read_source(section)
    around, most = (0.5, 1.0) if recording is None else (0.0, 0.0)  # there is no recording of what is out of reach
    return ReachOptions(
        loss=section.text("loss", choices=("joints", "tips")),
        samples=section.integer("samples", low=10, high=10_000_000),
        around_share=section.number("around_share", around, low=0.0, high=most),
        around=section.number("around", 1.5, low=1.0, high=10.0),
        iterations=section.integer("iterations", low=1, high=10_000_000),
        batch=section.integer("batch", low=1, high=1_000_000),
        learning_rate=section.number("learning_rate", above=0.0, high=1.0),
        turns=section.integer("turns", 0, low=0, high=100),
        recording=recording,
    )


def train(recipe: SeedRecipe, robot: Robot, folder: Path) -> Trained:
    """See `Method.train`."""
    options: ReachOptions = recipe.options
    with seeded(recipe.seed) as rng:
        sets, report = _sets(recipe, robot, rng)
        module = _module(recipe, robot)
        optimizer = torch.optim.Adam(module.parameters(), lr=options.learning_rate)
        loss = _Loss(robot, options)
        curves: dict[str, list[float]] = {"loss": [], "val_loss": []}
        every = max(1, options.iterations // _CURVE_POINTS)
        for i in range(options.iterations):
            optimizer.param_groups[0]["lr"] = (
                options.learning_rate * 0.5 * (1 + math.cos(math.pi * i / options.iterations))
            )
            rows = rng.integers(0, options.samples, options.batch)
            value = loss(module, Samples(sets[0].target[rows], sets[0].q[rows]))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            check_finite(f"iteration {i + 1}", {"loss": float(value.detach())})
            if (i + 1) % every == 0:
                curves["loss"].append(float(value.detach()))
                with torch.no_grad():
                    curves["val_loss"].append(float(loss(module, sets[1])))
    reach = float(robot.kinematics.reach.max())
    move = partial(
        bounded_move, recurrent_of(module) if options.turns else dense_of(module), reach, (robot.lower, robot.upper)
    )
    return Trained(move, curves, {"val_loss": float(np.mean(curves["val_loss"][-3:]))}, report)


def samples(
    robot: Robot, options: ReachOptions, count: int, rng: np.random.Generator, *, labelled: bool = True
) -> Samples:
    """Targets of random joint positions, and `around_share` of them in a ball about each chain's first joint. Those have
    the joints that damped least squares finds from the start of the closest random pose; zeros when not `labelled`."""
    q = robot.random_joint_position(rng, count)
    target = robot.kinematics.tip_position(q)
    around = np.flatnonzero(rng.random(count) < options.around_share)
    direction = rng.normal(size=(len(around), robot.nt, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    radius = options.around * robot.kinematics.reach[:, None] * np.cbrt(rng.random((len(around), robot.nt, 1)))
    target_around = robot.kinematics.chains.start + radius * direction
    q[around] = _closest_joints(robot, target_around, rng) if labelled and len(around) else 0.0
    target[around] = target_around
    return Samples(target, q)


def bounded_move(
    network: Dense | Recurrent,
    reach: float,
    limits: tuple[Array, Array],
    graph: Graph,
    q: Value,
    target: Value,
    tip: Value,
) -> Value:
    """The network, its outputs brought into the limits by tanh."""
    middle, half = (((limits[1] + sign * limits[0]) * 0.5).astype(np.float32) for sign in (1.0, -1.0))
    x = graph.reshape(target, (-1, int(np.prod(target.shape[1:])))) * np.float32(1.0 / reach)
    return graph.tanh(network.write(graph, x)) * half + middle


def _sets(recipe: SeedRecipe, robot: Robot, rng: np.random.Generator) -> tuple[list[Samples], str]:
    """For training and for testing, and what became of a recording."""
    options: ReachOptions = recipe.options
    counts = options.samples, _TEST
    if options.recording is not None:
        recorded, report = recorded_sets(options.recording, recipe.path.parent, robot, counts, rng)
        return [Samples(one.tip_target, one.q_goal) for one in recorded], report
    return [samples(robot, options, n, rng, labelled=options.loss == "joints") for n in counts], ""


def _module(recipe: SeedRecipe, robot: Robot) -> Any:
    options: ReachOptions = recipe.options
    if options.turns == 0:
        return dense_module([3 * robot.nt, *recipe.hidden, robot.nq])
    if len(recipe.hidden) != 1:
        raise FileError(
            str(recipe.path),
            [f"hidden: is {list(recipe.hidden)}, a recurrent network (training.turns above 0) has one layer"],
        )
    return RecurrentModule(3 * robot.nt, recipe.hidden[0], robot.nq, options.turns)


class _Loss:
    """The loss of a recipe, lengths in reaches and angles in half ranges."""

    def __init__(self, robot: Robot, options: ReachOptions) -> None:
        self._options = options
        self._reach = float(robot.kinematics.reach.max())
        self._chains = torch_chains(robot)
        self._middle, self._half = tensor(0.5 * (robot.lower + robot.upper)), tensor(0.5 * (robot.upper - robot.lower))

    def __call__(self, module: torch.nn.Module, batch: Samples) -> torch.Tensor:
        target = tensor(batch.target) / self._reach
        unit = torch.tanh(module(target.flatten(1)))
        if self._options.loss == "joints":
            return ((unit - (tensor(batch.q) - self._middle) / self._half) ** 2).mean()
        tip = forward_kinematics(torch, self._chains, self._middle + self._half * unit).tip_position / self._reach
        distance: torch.Tensor = torch.sqrt(((tip - target) ** 2).sum(-1) + 1e-10)
        return distance.mean()


def _closest_joints(robot: Robot, target: Array, rng: np.random.Generator) -> Array:
    """Joints (n, nq) whose tips come close to target (n, nt, 3)."""
    pool = robot.random_joint_position(rng, 4096)
    tips = robot.kinematics.tip_position(pool).reshape(len(pool), -1)
    flat = target.reshape(len(target), -1)
    nearest = np.concatenate([
        (((part[:, None] - tips) ** 2).sum(-1)).argmin(1) for part in np.array_split(flat, max(1, len(flat) // 200))
    ])  # fmt: skip
    q: Array = pool[nearest]
    damped = DampedLeastSquares(robot)
    for _ in range(_LABEL_STEPS):
        q = damped.step_from(q, damped.kinematics.tips(q), target, careful=True)
    return q


METHOD = Method(read, train)
