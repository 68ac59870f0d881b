"""Absolute networks: target in, joint positions out, whatever the present joints are (S4; S1 in its plain form).

Training and test sets are CSV files in the run folder: those that somebody laid there, or else made here, anew in every run;
what was changed since is nobody's to overwrite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnik_ros.arguments import writing
from nnik_ros.errors import FileError
from nnik_ros.geometry import Array
from nnik_ros.robot import Robot
from nnik_ros.training.graph import Graph, Value
from nnik_ros.training.seeds.base import Method, SeedRecipe, Trained, seeded
from nnik_ros.training.seeds.csv_data import Table, read_table, table_files, write_table
from nnik_ros.training.seeds.dense import Dense, Stage, dense_module, dense_of, fit
from nnik_ros.training.units import wrong_unit
from nnik_ros.yaml_file import Section

_PARTS = ("train", "test")
_FARTHEST = 10.0  # reaches, of a target from where the joints of its sample put the tip
_MADE_HERE = "sets_made_here"  # a file with their digests, which tells these sets from somebody else's


@dataclass(frozen=True)
class AbsoluteOptions:
    """samples, test_samples: sizes of the sets; dropout: share of units left out; upper_half: joints drawn from the
    upper half of their range alone, so that one target has one answer."""

    samples: int
    test_samples: int
    epochs: int
    batch: int
    learning_rate: float
    dropout: float
    upper_half: tuple[str, ...]


def read(section: Section) -> AbsoluteOptions:
    return AbsoluteOptions(
        samples=section.integer("samples", low=10, high=10_000_000),
        test_samples=section.integer("test_samples", low=10, high=1_000_000),
        epochs=section.integer("epochs", low=1, high=100_000),
        batch=section.integer("batch", low=1, high=1_000_000),
        learning_rate=section.number("learning_rate", above=0.0, high=1.0),
        dropout=section.number("dropout", 0.0, low=0.0, high=0.9),
        upper_half=tuple(map(str, section.items("upper_half", []))),
    )


def train(recipe: SeedRecipe, robot: Robot, folder: Path) -> Trained:
    """See `Method.train`."""
    options: AbsoluteOptions = recipe.options
    _check_names(recipe, options, robot)
    columns = moving_columns(robot)
    with seeded(recipe.seed) as rng:
        names = column_names(robot, columns), robot.joint_names
        if _may_be_made(folder):
            with writing(folder):
                for part, count in zip(_PARTS, (options.samples, options.test_samples), strict=True):
                    write_table(folder, part, samples(robot, options, columns, count, rng), *names)
                (folder / _MADE_HERE).write_text("".join(f"{line}\n" for line in _digests(folder)), encoding="utf-8")
        train_set, test_set = (read_table(folder, part, *names) for part in _PARTS)
        for part, table in zip(_PARTS, (train_set, test_set), strict=True):
            _check_limits(table_files(folder, part)[1], table.outputs, robot)
            _check_targets(table_files(folder, part)[0], table, columns, robot)
        _check_spread(table_files(folder, _PARTS[0])[0], train_set.inputs, names[0])
        center, scale = train_set.inputs.mean(0), train_set.inputs.std(0)
        middle, half = 0.5 * (robot.lower + robot.upper), 0.5 * (robot.upper - robot.lower)
        module = dense_module([len(columns), *recipe.hidden, robot.nq], options.dropout)
        scaled = [((part.inputs - center) / scale, (part.outputs - middle) / half) for part in (train_set, test_set)]
        stages = [Stage("adam", options.learning_rate, options.epochs)]
        curves = fit(module, scaled[0], scaled[1], stages, options.batch, rng)
    move = partial(absolute_move, dense_of(module), columns, (center, scale), (middle, half))
    return Trained(move, curves, {"samples": float(len(train_set.inputs))})


def _check_names(recipe: SeedRecipe, options: AbsoluteOptions, robot: Robot) -> None:
    """Raises FileError: joints of `upper_half` that the robot lacks."""
    if unknown := [name for name in options.upper_half if name not in robot.joint_names]:
        problem = f"training.upper_half: {', '.join(unknown)} unknown; allowed: {', '.join(robot.joint_names)}"
        raise FileError(str(recipe.path), [problem])


def _digests(folder: Path) -> list[str]:
    """One line for each file of the sets in the folder: `<sha256>  <file>`."""
    paths = [path for part in _PARTS for path in table_files(folder, part) if path.exists()]
    return [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in paths]


def _may_be_made(folder: Path) -> bool:
    """Whether the sets are to be made here: there are none, or those that were made here, untouched.

    Raises:
        FileError: sets were made here, and what lies there now is something else.
    """
    mark = folder / _MADE_HERE
    there = _digests(folder)
    if not mark.exists() or not there:
        return not there
    if changed := set(there) - set(mark.read_text(encoding="utf-8").splitlines()):
        names = ", ".join(sorted(line.split()[-1] for line in changed))
        problem = f"not made here, nor overwritten: {names}; remove {_MADE_HERE} to train with them, or them to have sets made"
        raise FileError(str(folder), [problem])
    return True


def _check_limits(path: Path, outputs: Array, robot: Robot) -> None:
    """Raises FileError: joint positions (n, nq) [rad] beyond the limits."""
    wrong = ((outputs < robot.lower) | (outputs > robot.upper)).any(0)
    found = [
        f"{robot.joint_names[i]}: from {outputs[:, i].min():.6g} to {outputs[:, i].max():.6g}, must be within "
        f"[{robot.lower[i]:.6g}, {robot.upper[i]:.6g}] rad; are they in degrees?"
        for i in np.flatnonzero(wrong)
    ]
    if found:
        raise FileError(str(path), found)


def _check_targets(path: Path, table: Table, columns: NDArray[np.int64], robot: Robot) -> None:
    """Raises FileError: targets that lie where the joints of their samples put the tips in another unit than metres, or a
    target so far off that this robot cannot be meant."""
    described = robot.kinematics.tip_position(table.outputs)
    flat = described.reshape(len(described), -1).copy()
    flat[:, columns] = table.inputs
    target, reach = flat.reshape(described.shape), robot.kinematics.reach
    with np.errstate(over="ignore"):
        unit = wrong_unit(target, described, reach)
        departure = np.linalg.norm(target - described, axis=-1)  # (n, nt)
    if unit:
        problem = f"targets are in {unit}, must be in metres: so the joints of their samples tell"
        raise FileError(str(path), [problem])
    for i, t in np.argwhere(departure > _FARTHEST * reach)[:1]:
        problem = f"the target of '{robot.tip_names[t]}' is {departure[i, t]:.3g} m from where its joints put the tip"
        most = f"must be at most {_FARTHEST * reach[t]:.3g} m, {_FARTHEST:g} times the reach"
        raise FileError(str(path), [f"line {i + 2}: {problem}, {most}"])


def _check_spread(path: Path, inputs: Array, names: Sequence[str]) -> None:
    """Raises FileError: a coordinate of the targets (n, coordinates) [m] that is the same in all samples, so that what rounding
    leaves of its spread would be its unit."""
    still = [f"{names[i]}: is {inputs[0, i]:g} in every sample" for i in np.flatnonzero(np.ptp(inputs, axis=0) == 0.0)]
    if still:
        raise FileError(str(path), still)


def samples(
    robot: Robot, options: AbsoluteOptions, columns: NDArray[np.int64], count: int, rng: np.random.Generator
) -> Table:
    """Targets and the joint positions that they come from."""
    q = robot.random_joint_position(rng, count)
    for i, name in enumerate(robot.joint_names):
        if name in options.upper_half:
            q[:, i] = 0.5 * (q[:, i] + robot.upper[i])
    return Table(robot.kinematics.tip_position(q).reshape(count, -1)[:, columns], q)


def absolute_move(
    dense: Dense, columns: NDArray[np.int64], inputs: tuple[Array, Array], outputs: tuple[Array, Array],
    graph: Graph, q: Value, target: Value, tip: Value,
) -> Value:  # fmt: skip
    """The network with its scaling; the present joints and tips are left aside."""
    x = graph.reshape(target, (-1, int(np.prod(target.shape[1:]))))[..., columns]
    x = (x + (-inputs[0]).astype(np.float32)) * (1.0 / inputs[1]).astype(np.float32)
    return dense.write(graph, x) * outputs[1].astype(np.float32) + outputs[0].astype(np.float32)


def moving_columns(robot: Robot) -> NDArray[np.int64]:
    """Which of the flattened target coordinates (3 nt) the robot can change at all: x and y of a planar arm."""
    return np.flatnonzero(robot.tip_moves).astype(np.int64)


def column_names(robot: Robot, columns: NDArray[np.int64]) -> list[str]:
    """Names of target coordinates: `x`, or `tip_x` where there are several tips."""
    return [(f"{robot.tip_names[i // 3]}_" if robot.nt > 1 else "") + "xyz"[i % 3] for i in columns]


METHOD = Method(read, train)
