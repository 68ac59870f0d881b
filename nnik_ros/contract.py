"""What an ONNX network promises: its inputs and outputs, and the robot that it was trained for.

The contract travels as JSON under one metadata key of the file and is compared with the robot before the network is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nnik_ros.errors import ContractError, Problems
from nnik_ros.kinematics import KinematicParameters
from nnik_ros.robot import Robot
from nnik_ros.yaml_file import is_number, shown

METADATA_KEY = "nnik_contract"
SCHEMA = 1
JOINT_POSITION, TIP_TARGET = "joint_position", "tip_target"
JOINT_POSITION_NEXT, TIP_POSITION = "joint_position_next", "tip_position"
OPTIONAL_INPUTS = KinematicParameters._fields
PROBE_TOLERANCE = 1e-4  # rad and m; float32 results differ between processors by far less, a damaged file by far more

Nested = tuple[Any, ...]
_LISTS = {  # how deep the lists of numbers are
    "lower": 1, "upper": 1, "trained_range": 3,
    "joint_position": 2, "tip_target": 3, "joint_position_next": 2, "tip_position": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Probe:
    """Inputs with the outputs they gave at export; nested tuples of (n, nq), (n, nt, 3), (n, nq), (n, nt, 3)."""

    joint_position: Nested
    tip_target: Nested
    joint_position_next: Nested
    tip_position: Nested


@dataclass(frozen=True)
class Contract:
    """Identity of a network. lower, upper: joint limits (nq) [rad] inside the graph; trained_range: box in the base frame
    of the tips of 20,000 random joint positions, ((x, y, z) of each tip lowest, (x, y, z) of each tip highest) [m]: not all
    that it was trained on, which goes beyond it, out of reach; provenance: recipe, seed, commit, metrics."""

    schema: int
    robot: str
    kinematics_digest: str
    base_frame: str
    joint_names: tuple[str, ...]
    tip_names: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    trained_range: Nested
    probe: Probe
    provenance: Mapping[str, Any]

    def to_json(self) -> str:
        return json.dumps(asdict(self), allow_nan=False)


def contract_for(robot: Robot, trained_range: Nested, probe: Probe, provenance: Mapping[str, Any]) -> Contract:
    """The contract of a network trained for `robot`."""
    return Contract(
        SCHEMA, robot.name, robot.kinematics.digest(), robot.base_frame, robot.joint_names, robot.tip_names,
        tuple(robot.lower.tolist()), tuple(robot.upper.tolist()), trained_range, probe, provenance,
    )  # fmt: skip


def contract_from_json(text: str, source: str) -> Contract:
    """Parse the metadata of a network file.

    Raises:
        ContractError: no JSON, another schema, or missing, unknown and wrong fields, all named.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:  # also a number that Python cannot hold, and lists without an end
        raise ContractError(source, [f"metadata '{METADATA_KEY}' is not JSON: {error}"]) from error
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        schema = values.get("schema") if isinstance(values, dict) else None
        raise ContractError(source, [f"schema: is {schema!r}, this version reads {SCHEMA}"])
    problems = Problems(source, ContractError)
    _report_fields("", values, Contract, problems)
    if isinstance(values.get("probe"), dict):
        _report_fields("probe.", values["probe"], Probe, problems)
    problems.raise_if_any()
    nq, nt = len(values["joint_names"]), len(values["tip_names"])
    for name, shape in (("lower", (nq,)), ("upper", (nq,)), ("trained_range", (2, nt, 3))):
        if not _has_shape(values[name], shape):
            problems.add(f"{name}: is {shown(values[name])}, must have shape {shape}, as its joints and tips")
    problems.raise_if_any()
    probe = Probe(**{key: nested(value) for key, value in values.pop("probe").items()})
    fields = {key: value if key == "provenance" else nested(value) for key, value in values.items()}
    return Contract(probe=probe, **fields)


def check_contract(contract: Contract, robot: Robot, source: str) -> None:
    """Compare every field with the robot.

    Raises:
        ContractError: naming each field that differs, with both values.
    """
    problems = Problems(source, ContractError)
    for name, given, wanted in (
        ("robot", contract.robot, robot.name),
        ("base_frame", contract.base_frame, robot.base_frame),
        ("joint_names", contract.joint_names, robot.joint_names),
        ("tip_names", contract.tip_names, robot.tip_names),
        ("kinematics_digest", contract.kinematics_digest, robot.kinematics.digest()),
    ):
        if given != wanted:
            problems.add(f"{name}: the network has {_short(given)}, the robot has {_short(wanted)}")
    for name, inside, limit in (("lower", contract.lower, robot.lower), ("upper", contract.upper, robot.upper)):
        if len(inside) != len(limit) or not np.allclose(inside, limit, rtol=0, atol=1e-6):
            problems.add(f"{name}: the network has {list(inside)}, the robot has {limit.tolist()} [rad]")
    problems.raise_if_any()


def _report_fields(prefix: str, values: Mapping[str, Any], kind: type, problems: Problems) -> None:
    wanted = set(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    for name in sorted(wanted - set(values)):
        problems.add(f"{prefix}{name}: missing")
    for name in sorted(set(values) - wanted):
        problems.add(f"{prefix}{name}: unknown field")
    for name in sorted(set(values) & wanted):
        if form := _wanted_form(name, values[name]):
            problems.add(f"{prefix}{name}: is {shown(values[name])}, must be {form}")


def _wanted_form(name: str, value: Any) -> str:
    """What a field has to be; empty where it is."""
    if name in _LISTS:
        good, form = _are_numbers(value, _LISTS[name]), f"finite numbers in lists, {_LISTS[name]} deep"
    elif name in ("joint_names", "tip_names"):
        good, form = isinstance(value, list) and all(isinstance(item, str) for item in value), "a list of texts"
    elif name in ("probe", "provenance"):
        good, form = isinstance(value, dict), "a mapping"
    elif name == "schema":
        good, form = isinstance(value, int), "a whole number"
    else:
        good, form = isinstance(value, str), "a text"
    return "" if good else form


def _are_numbers(value: Any, depth: int) -> bool:
    if not depth:
        return is_number(value)
    return isinstance(value, list) and all(_are_numbers(item, depth - 1) for item in value)


def nested(values: Any) -> Any:
    """An array, or the lists that stand for it in a file, as a contract holds it, in tuples of tuples."""
    lists = values.tolist() if isinstance(values, np.ndarray) else values
    return tuple(map(nested, lists)) if isinstance(lists, list) else lists


def _has_shape(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether nested lists, as deep as `shape` is long, have these lengths."""
    return not shape or (len(value) == shape[0] and all(_has_shape(item, shape[1:]) for item in value))


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(value)})"
    return f"'{value[:12]}...'" if isinstance(value, str) and len(value) == 64 else f"'{value}'"
