"""From trained weights to the ONNX file, with its contract and a probe of what it must give."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from nnik_ros.contract import (
    JOINT_POSITION,
    JOINT_POSITION_NEXT,
    METADATA_KEY,
    OPTIONAL_INPUTS,
    TIP_POSITION,
    TIP_TARGET,
    Contract,
    Probe,
    contract_for,
)  # fmt: skip
from nnik_ros.errors import ContractError
from nnik_ros.kinematics import KinematicParameters, build_chains
from nnik_ros.robot import Robot
from nnik_ros.training.graph import Graph, Value
from nnik_ros.training.network import Layers
from nnik_ros.training.step import step, step_shape

_WEIGHT, _BIAS = "weight_", "bias"
_PROBES = 4
_RANGE_SAMPLES = 20_000


class Exported(NamedTuple):
    """A graph without contract, and inputs with the outputs that numpy computed for them while it was recorded."""

    model: onnx.ModelProto
    probe: Probe


def export(robot: Robot, layers: Layers) -> Exported:
    """The step of `robot` with these weights."""
    graph = Graph()
    q, target = _probe_inputs(robot)
    parameters = (
        graph.optional_input(name, np.asarray(value, dtype=np.float32))
        for name, value in zip(OPTIONAL_INPUTS, robot.kinematics.parameters, strict=True)
    )
    chains = build_chains(graph, robot.kinematics.topology, KinematicParameters(*parameters))
    inputs = graph.input(JOINT_POSITION, q), graph.input(TIP_TARGET, target)
    q_next, tip = step(graph, step_shape(robot), chains, partial(_perceptrons, graph, layers), *inputs)
    model = graph.model({JOINT_POSITION_NEXT: q_next, TIP_POSITION: tip}, robot.name)
    return Exported(model, Probe(*(_nested(array) for array in (q, target, q_next.example, tip.example))))


def write(exported: Exported, robot: Robot, path: Path, provenance: Mapping[str, Any]) -> Contract:
    """Write the graph with its contract."""
    tips = robot.kinematics.tip_position(robot.random_joint_position(np.random.default_rng(0), _RANGE_SAMPLES))
    trained_range = (_nested(tips.min(0).round(6)), _nested(tips.max(0).round(6)))
    contract = contract_for(robot, trained_range, exported.probe, provenance)
    model = onnx.ModelProto()
    model.CopyFrom(exported.model)
    model.producer_name = "nnik_ros"
    onnx.helper.set_model_props(model, {METADATA_KEY: contract.to_json()})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return contract


def read_layers(path: Path) -> Layers:
    """The weights inside a file that `export` made.

    Raises:
        ContractError: a file of another origin.
    """
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    names = [f"{_WEIGHT}{i}" for i in range(len(arrays)) if f"{_WEIGHT}{i}" in arrays]
    if not names or _BIAS not in arrays:
        raise ContractError(
            str(path), [f"has no initializers '{_BIAS}' and '{_WEIGHT}0', ...: not exported by this package"]
        )
    return Layers(arrays[_BIAS], [arrays[name] for name in names])


def _perceptrons(graph: Graph, layers: Layers, features: Value) -> Value:
    x = features @ graph.named(f"{_WEIGHT}0", layers.weights[0]) + graph.named(_BIAS, layers.bias)
    for i, weight in enumerate(layers.weights[1:], 1):
        x = graph.relu(x) @ graph.named(f"{_WEIGHT}{i}", weight)
    return x


def _probe_inputs(robot: Robot) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    q = robot.random_joint_position(np.random.default_rng(0), 2 * _PROBES)
    target = robot.kinematics.tip_position(q[_PROBES:])
    return q[:_PROBES].astype(np.float32), target.astype(np.float32)


def _nested(array: NDArray[Any]) -> Any:
    return tuple(_nested(item) for item in array) if array.ndim else float(array)
