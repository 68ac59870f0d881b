"""What a network must reach on targets that it never saw: part of a recipe, kept in the model's provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from nnik_ros.errors import Problems, in_yaml
from nnik_ros.robot import Robot
from nnik_ros.yaml_file import Section

_LARGEST_COARSE = 0.1  # reaches


@dataclass(frozen=True)
class Gate:
    """What a model must reach on held-out targets from random starts; lengths in metres, each for the worst tip.

    coarse, fine: errors that count as near and as reached; median_1, median_2, median_3: largest median error after so many
    steps; tips_coarse, tips_fine: least share of tips after 5 steps of the network alone; guarded_coarse: the same of
    the guarded network; robots_fine_5, robots_fine_10: least share of robots with all tips reached by it; stay: largest
    error in 1000 further steps at a reached target; beyond: largest 99th percentile, guarded, of the distance to an
    unreachable target over the closest possible one.
    """

    coarse: float
    fine: float
    median_1: float
    median_2: float
    median_3: float
    tips_coarse: float
    tips_fine: float
    guarded_coarse: float
    robots_fine_5: float
    robots_fine_10: float
    stay: float
    beyond: float


def read_gate(section: Section) -> Gate:
    """A gate from a recipe or from a model's provenance; unknown and missing keys are reported to the section."""
    values = {
        field.name: section.number(field.name, low=0.0, high=1.0 if _is_share(field.name) else np.inf)
        for field in fields(Gate)
    }
    section.finish()
    if values["fine"] > values["coarse"]:
        section.wrong("fine", values["fine"], f"at most coarse, {in_yaml(values['coarse'])} m")
    return Gate(**values)


def check_gate(gate: Gate, robot: Robot, problems: Problems, where: str) -> None:
    """Add a problem: errors that count as near, though they are as large as the robot; where: the gate stands."""
    most = _LARGEST_COARSE * float(robot.kinematics.reach.max())
    if gate.coarse > most:
        problems.add(
            f"{where}.coarse: is {in_yaml(gate.coarse)} m, must be at most {in_yaml(float(f'{most:.3g}'))} m, a tenth of the "
            "reach; lengths of a gate are in metres, not in millimetres"
        )


def passes(gate: Gate, values: Mapping[str, float]) -> dict[str, bool]:
    """For every measured key whether the gate is passed: shares are least values, lengths are largest ones."""
    return {
        key: bool(value >= getattr(gate, key) if _is_share(key) else value <= getattr(gate, key))
        for key, value in values.items()
    }


def gate_table(gate: Gate, values: Mapping[str, float]) -> str:
    """Each key of the gate: required and measured, shares in percent and lengths in millimetres."""
    lines = []
    for key, good in passes(gate, values).items():
        scale, unit, sign = (100.0, "%", ">=") if _is_share(key) else (1e3, "mm", "<=")
        required, value = getattr(gate, key) * scale, values[key] * scale
        lines.append(
            f"{'ok  ' if good else 'MISS'} {key:15} {value:12.5f} {unit:2} (required {sign} {required:g} {unit})"
        )
    return "\n".join(lines)


def _is_share(key: str) -> bool:
    return key.startswith(("tips", "guarded", "robots"))
