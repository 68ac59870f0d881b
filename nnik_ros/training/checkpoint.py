"""The checkpoint of a run folder: what a training goes on from after an interruption."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile, ZipFile

import torch
import yaml

from nnik_ros.arguments import writing
from nnik_ros.contract import check_contract
from nnik_ros.errors import ContractError, FileError
from nnik_ros.evaluate import FINE_TUNED_FROM
from nnik_ros.onnx_policy import read_contract
from nnik_ros.robot import Robot
from nnik_ros.training.export import read_layers
from nnik_ros.training.loop import Training
from nnik_ros.training.network import Layers
from nnik_ros.training.recipe import Recipe

CHECKPOINT = "checkpoint.pt"
SCHEMA = 4


class Checkpoint(NamedTuple):
    """recipe_text and robot (see `decisive`): what it belongs to; finished: its model is written; commit: of the source that
    trained it; seconds: of training so far; training: see `Training.state`."""

    recipe_text: str
    robot: dict[str, Any]
    finished: bool
    commit: str
    seconds: float
    training: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint in one go: an interruption leaves the old one whole.

    Raises:
        FileError: it cannot be written, as on a full disk; the old one is whole then, too.
    """
    new, data = folder / f"{CHECKPOINT}.new", io.BytesIO()
    torch.save({"schema": SCHEMA, **checkpoint._asdict()}, data)  # into memory: on a full disk torch hides the reason
    with writing(folder / CHECKPOINT):
        try:
            with new.open("wb") as file:
                file.write(data.getbuffer())
                file.flush()
                os.fsync(file.fileno())  # a machine that is lost may otherwise keep the name without what was written
            os.replace(new, folder / CHECKPOINT)
        except OSError:
            new.unlink(missing_ok=True)
            raise


def load_checkpoint(folder: Path, recipe: Recipe, robot: Robot) -> Checkpoint:
    """The checkpoint of an unfinished run of this recipe.

    Raises:
        FileError: there is none; it is damaged, finished, of another recipe or of another description of the robot.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise FileError(str(path), ["is not there: nothing to resume, train without --resume"])
    try:
        _check_whole(path)
        document = torch.load(path, map_location="cpu", weights_only=True)
        schema = document.pop("schema")
        checkpoint = Checkpoint(**document) if schema == SCHEMA else None
    except Exception as error:  # damaged bytes make the libraries raise whatever they lead to
        raise FileError(str(path), [f"is no checkpoint of this package, or damaged: {error}"]) from error
    if checkpoint is None:
        raise FileError(str(path), [f"schema: is {schema}, must be {SCHEMA}; train without --resume"])
    problems = []
    if changed := changed_keys(checkpoint.recipe_text, recipe):
        problems.append(f"is of another recipe than {recipe.path}, differing in: {changed}; train without --resume")
    if differing := [key for key, value in decisive(robot).items() if checkpoint.robot.get(key) != value]:
        what = f"another description of {robot.name}, differing in: {', '.join(differing)}"
        problems.append(f"was trained for {what}; train without --resume")
    if checkpoint.finished:
        problems.append("is finished, its model is written; train without --resume to begin anew")
    if problems:
        raise FileError(str(path), problems)
    return checkpoint


def _check_whole(path: Path) -> None:
    """Raises BadZipFile: the file's own checksums, which torch writes but does not look at, are of other bytes."""
    with ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise BadZipFile(f"the checksum of {damaged} is wrong")


def decisive(robot: Robot) -> dict[str, Any]:
    """All of a robot's description that decides samples, features and loss of a training; angles in rad."""
    limits = {"lower": robot.lower.tolist(), "upper": robot.upper.tolist(), "home": robot.home.tolist()}
    return {"kinematics": robot.kinematics.digest(), **limits}


def restore(training: Training, checkpoint: Checkpoint, folder: Path) -> None:
    """Let `training` go on where the folder's checkpoint was taken.

    Raises:
        FileError: its weights are those of another network, or parts of it are missing.
    """
    try:
        training.restore(checkpoint.training)
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        problem = f"does not fit the network of its recipe: {reason}; train without --resume"
        raise FileError(str(folder / CHECKPOINT), [problem]) from error


def trained_layers(path: Path, recipe: Recipe, robot: Robot) -> tuple[Layers, Mapping[str, Any]]:
    """The weights of a model file, and its provenance.

    Raises:
        ContractError: no such file, or the weights are not all of it, of this robot, and of this recipe but for the gate.
    """
    contract = read_contract(path)
    check_contract(contract, robot, str(path))
    facts = contract.provenance
    if FINE_TUNED_FROM in facts:
        raise ContractError(str(path), [f"was fine-tuned from {facts[FINE_TUNED_FROM]}, which would be lost"])
    if changed := changed_keys(facts.get("recipe_text", ""), recipe):
        problem = f"was made by another recipe than {recipe.path}, differing in: {changed}; train it again"
        raise ContractError(str(path), [problem])
    return read_layers(path), facts


def changed_keys(text: str, recipe: Recipe) -> str:
    """The sections in which a recipe's text differs from `recipe`, but for the gate, which decides no weight."""
    documents = [yaml.safe_load(words) for words in (text, recipe.path.read_text(encoding="utf-8"))]
    old, new = ({**document, "gate": None} if isinstance(document, dict) else {} for document in documents)
    return ", ".join(sorted(key for key in {*old, *new} if old.get(key) != new.get(key)))
