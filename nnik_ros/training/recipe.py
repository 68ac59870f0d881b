"""A training recipe: everything that decides a network, as data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nnik_ros.errors import InputError, Problems
from nnik_ros.gate import Gate, check_gate, read_gate
from nnik_ros.paths import share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.yaml_file import Section, is_number, load_mapping

SCHEMA = 1
_NAME = re.compile(r"\w([\w .-]*[\w-])?")  # of a folder on any system


@dataclass(frozen=True)
class TrainingOptions:
    """iterations of `batch` robots each, unrolled over `steps`; learning_rate: highest, after the warm-up;
    near_share: of the starts near the target; beyond_share: of the targets displaced, most of them out of reach, by about
    `beyond` reaches; hard_share: of the batch, drawn from starts and targets that went badly before; posture: weight of
    the final joints' distance from home, in ranges; tip_weights: how much each tip counts, all alike when empty; shown: weight
    of the first step's distance, in ranges, from a posture that reaches the target, for tips that miss it."""

    iterations: int
    batch: int
    steps: int
    learning_rate: float
    near_share: float
    beyond_share: float
    beyond: float
    hard_share: float
    posture: float
    tip_weights: tuple[float, ...]
    shown: float


@dataclass(frozen=True)
class Mirror:
    """recipe: of the network to be mirrored; axis: of the base frame that changes sign; joints: those that change sign."""

    recipe: Path
    axis: int
    joints: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """hidden, shared (one perceptron for all tips, or one for each) and training are of a network of its own; mirror, instead,
    of one taken from another robot's."""

    path: Path
    name: str
    robot: Path
    model: Path
    seed: int
    hidden: tuple[int, ...]
    shared: bool
    training: TrainingOptions | None
    mirror: Mirror | None
    gate: Gate


@contextmanager
def recipe_document(path: Path) -> Iterator[Section]:
    """The keys of a recipe's file, for the body to read.

    Raises:
        FileError: after the body, listing every missing, unknown or wrong key.
    """
    problems = Problems(str(path))
    document = Section(load_mapping(path), "", problems)
    document.integer("schema", low=SCHEMA, high=SCHEMA)
    yield document
    document.finish()
    problems.raise_if_any()


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; the paths in it are relative to it.

    Raises:
        FileError: listing every missing, unknown or wrong key.
    """
    with recipe_document(path) as document:
        name = recipe_name(document)
        robot = document.text("robot")
        model = document.text("model", default_model(path, "../../models", name))
        gate = read_gate(document.section("gate"))
        mirrored = document.has("mirror")
        mirror = _mirror(document.section("mirror"), path.parent) if mirrored else None
        seed, training = 0, None
        hidden: tuple[int, ...] = ()
        shared = True
        if not mirrored:
            seed = document.integer("seed", low=0, high=2**31 - 1)
            hidden, shared = _network(document.section("network"))
            training = _training(document.section("training"))
    return Recipe(path, name, path.parent / robot, path.parent / model, seed, hidden, shared, training, mirror, gate)


def robot_of(recipe: Recipe) -> Robot:
    """The recipe's robot.

    Raises:
        FileError: it cannot be read, or the gate is too wide for it.
    """
    robot = load_robot(recipe.robot)
    problems = Problems(str(recipe.path))
    check_gate(recipe.gate, robot, problems, "gate")
    problems.raise_if_any()
    return robot


def default_model(recipe: Path, folder: str, name: str) -> str:
    """Where a model goes, relative to its recipe, that does not say so: beside it, and from the shipped recipes to a shipped
    folder."""
    shipped = (share_dir() / "config" / "training").resolve() in recipe.resolve().parents
    return f"{folder}/{name}.onnx" if shipped else f"{name}.onnx"


def recipe_name(document: Section) -> str:
    """The key `name`, which becomes the name of a run folder and of a model."""
    name = document.text("name")
    if name and not _NAME.fullmatch(name):
        document.wrong(
            "name", name, "the name of a folder: letters, digits, spaces, '_', '-', '.', a letter or digit first"
        )
    return name


def hidden_layers(section: Section) -> tuple[int, ...]:
    """The sizes under the key `hidden`."""
    sizes = section.items("hidden")
    whole = all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
    if not whole or not sizes or not all(1 <= size <= 4096 for size in sizes):
        section.wrong("hidden", sizes, "a list of layer sizes within [1, 4096]")
    return tuple(sizes)


def check_finite(where: str, values: Mapping[str, float]) -> None:
    """Raises InputError: a training went wrong. where: such as `iteration 3`; values: such as the loss."""
    for what, value in values.items():
        if not math.isfinite(value):
            raise InputError(
                f"the {what} of {where} is {value}: the training ends here, what was written before is kept; a lower "
                "learning rate may help"
            )


def _network(section: Section) -> tuple[tuple[int, ...], bool]:
    hidden, shared = hidden_layers(section), section.boolean("shared", True)
    section.finish()
    return hidden, shared


def _training(section: Section) -> TrainingOptions:
    options = TrainingOptions(
        iterations=section.integer("iterations", low=1, high=10_000_000),
        batch=section.integer("batch", low=1, high=1_000_000),
        steps=section.integer("steps", 5, low=1, high=50),
        learning_rate=section.number("learning_rate", above=0.0, high=1.0),
        near_share=section.number("near_share", 0.4, low=0.0, high=1.0),
        beyond_share=section.number("beyond_share", 0.2, low=0.0, high=1.0),
        beyond=section.number("beyond", 0.2, low=0.0, high=10.0),
        hard_share=section.number("hard_share", 0.1, low=0.0, high=1.0),
        posture=section.number("posture", 0.0, low=0.0, high=10.0),
        tip_weights=_weights(section),
        shown=section.number("shown", 0.0, low=0.0, high=1000.0),
    )
    section.finish()
    return options


def _weights(section: Section) -> tuple[float, ...]:
    weights = section.items("tip_weights", [])
    if not all(is_number(weight) and 0.0 < weight <= 100.0 for weight in weights):
        section.wrong("tip_weights", weights, "a list of numbers within (0, 100]")
        return ()
    return tuple(map(float, weights))


def _mirror(section: Section, folder: Path) -> Mirror:
    recipe, axis = section.text("recipe"), section.text("axis", choices=("x", "y", "z"))
    joints = section.items("joints")
    section.finish()
    return Mirror(folder / recipe, "xyz".index(axis) if axis in "xyz" and axis else 0, tuple(map(str, joints)))
