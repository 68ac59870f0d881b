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

from nnik_ros.arguments import writing
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
    nested,
)  # fmt: skip
from nnik_ros.errors import ContractError
from nnik_ros.kinematics import KinematicParameters, build_chains, forward_kinematics
from nnik_ros.robot import Robot
from nnik_ros.training.graph import Graph, Value
from nnik_ros.training.network import Layers
from nnik_ros.training.rows import Layout, Rows, rows_of
from nnik_ros.training.step import given, known_rows, step, tip_position

_WEIGHT, _BIAS = "weight_", "bias_"
_PROBES = 4
_RANGE_SAMPLES = 20_000


class Exported(NamedTuple):
    """A graph without contract, and inputs with the outputs that numpy computed for them while it was recorded."""

    model: onnx.ModelProto
    probe: Probe


def export(robot: Robot, layers: Layers, layout: Layout | None = None) -> Exported:
    """The step of `robot` with these weights; layout: that of the robot whose mirror image it is, mirrored."""
    graph = Graph()
    q, target = probe_inputs(robot)
    parameters = parameter_inputs(graph, robot)
    rows = rows_of(robot, layout)
    inputs = graph.input(JOINT_POSITION, q), graph.input(TIP_TARGET, target)
    known = _known_rows(graph, rows, parameters, *inputs)
    q_next = step(graph, rows, rows.constants, partial(_perceptrons, graph, rows, layers), inputs[0], known)
    tip = tip_position(graph, rows, rows.constants, known)
    model = graph.model({JOINT_POSITION_NEXT: q_next, TIP_POSITION: tip}, robot.name)
    return Exported(model, Probe(*(nested(array) for array in (q, target, q_next.example, tip.example))))


def write(exported: Exported, robot: Robot, path: Path, provenance: Mapping[str, Any]) -> Contract:
    """Write the graph with its contract.

    Raises:
        FileError: the file cannot be written.
    """
    tips = robot.kinematics.tip_position(robot.random_joint_position(np.random.default_rng(0), _RANGE_SAMPLES))
    trained_range = (nested(tips.min(0).round(6)), nested(tips.max(0).round(6)))
    contract = contract_for(robot, trained_range, exported.probe, provenance)
    model = onnx.ModelProto()
    model.CopyFrom(exported.model)
    model.producer_name = "nnik_ros"
    onnx.helper.set_model_props(model, {METADATA_KEY: contract.to_json()})
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
    return contract


def read_layers(path: Path) -> Layers:
    """The weights inside a file that `export` made.

    Raises:
        ContractError: a file of another origin.
    """
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    weights, biases = (_in_order(arrays, kind) for kind in (_WEIGHT, _BIAS))
    if not weights or len(weights) != len(biases):
        names = f"'{_WEIGHT}0', '{_BIAS}0', ..."
        raise ContractError(str(path), [f"has no initializers {names}: not exported by this package"])
    return Layers([w if w.ndim == 3 else w[None] for w in weights], [b.reshape(-1, 1, b.shape[-1]) for b in biases])


def probe_inputs(robot: Robot) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Joints (n, nq) [rad] and reachable targets (n, nt, 3) [m]."""
    q = robot.random_joint_position(np.random.default_rng(0), 2 * _PROBES)
    target = robot.kinematics.tip_position(q[_PROBES:])
    return q[:_PROBES].astype(np.float32), target.astype(np.float32)


def parameter_inputs(graph: Graph, robot: Robot) -> KinematicParameters:
    """The geometry as optional inputs of the graph."""
    named = zip(OPTIONAL_INPUTS, robot.kinematics.parameters, strict=True)
    return KinematicParameters(*(graph.optional_input(name, value.astype(np.float32)) for name, value in named))


def _in_order(arrays: Mapping[str, NDArray[Any]], kind: str) -> list[NDArray[Any]]:
    """The arrays of each layer; of one that stands there in pieces, put together."""
    layers = []
    for i in range(len(arrays)):
        pieces = [name for j in range(len(arrays)) if (name := f"{kind}{i}_{j}") in arrays] or [f"{kind}{i}"]
        if pieces[0] in arrays:
            layers.append(np.concatenate([arrays[name] for name in pieces], -1))
    return layers


def _known_rows(graph: Graph, rows: Rows, parameters: KinematicParameters, q: Value, target: Value) -> Value:
    """All that is known at q: of the robot as described by its sum of sines, of a calibrated one, slower, by its chains. Joint
    zeros alone are no reason for the slower way."""
    constants, own = rows.constants, rows.robot.kinematics.parameters
    shapes = (graph.reshape(parameters.joint_origin_rotation, (-1, 3)), np.reshape(own.joint_origin_rotation, (-1, 3)))
    geometry = graph.concatenate([parameters.joint_origin_position, parameters.tip_offset, shapes[0]], 0)
    described = np.concatenate([own.joint_origin_position, own.tip_offset, shapes[1]]).astype(np.float32)

    def calibrated() -> Value:
        chains = build_chains(graph, rows.robot.kinematics.topology, parameters)
        tips = rows.from_frames(graph, constants.expand, constants.offset, forward_kinematics(graph, chains, q))
        return graph.addmm(tips, graph.concatenate(given(graph, q, target), -1), constants.given)

    def as_described() -> Value:
        zero = graph.reshape(parameters.joint_zero, (1, -1))  # what follows from it is computed once, while loading
        phase = graph.addmm(constants.phase, zero, constants.frequency)
        value: Value = known_rows(graph, constants._replace(phase=phase), q, target)
        return value

    return graph.choose(graph.differ(geometry, described), calibrated, as_described)


def _perceptrons(graph: Graph, rows: Rows, layers: Layers, x: Value) -> list[Value]:
    """One perceptron for all rows, or for each tip its own."""
    *hidden, (last, bias) = zip(layers.weights, layers.biases, strict=True)
    if len(last) > 1:
        x = graph.reshape(x, (-1, rows.nt, 1, rows.given))
        for i, (weight, offset) in enumerate(hidden):
            x = graph.relu(x @ graph.named(f"{_WEIGHT}{i}", weight) + graph.named(f"{_BIAS}{i}", offset))
        x = x @ graph.named(f"{_WEIGHT}{len(hidden)}", last) + graph.named(f"{_BIAS}{len(hidden)}", bias)
        return graph.split(graph.reshape(x, (-1, sum(rows.output_sizes))), rows.output_sizes, -1)
    for i, (weight, offset) in enumerate(hidden):
        named = graph.named(f"{_BIAS}{i}", offset[0, 0]), graph.named(f"{_WEIGHT}{i}", weight[0])
        x = graph.relu(graph.addmm(named[0], x, named[1]))
    # a product for each piece is cheaper than one and a split, and takes the sigmoid that follows with it
    ends = np.cumsum(rows.output_sizes)[:-1]
    pieces = zip(np.split(bias[0, 0], ends, -1), np.split(last[0], ends, -1), strict=True)
    return [
        graph.addmm(
            graph.named(f"{_BIAS}{len(hidden)}_{j}", offset), x,
            graph.named(f"{_WEIGHT}{len(hidden)}_{j}", np.ascontiguousarray(weight)),
        )
        for j, (offset, weight) in enumerate(pieces)
    ]  # fmt: skip
