"""Networks that must never move a hand, made from the shipped one: its identity is right, what it computes is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from nnik_ros.contract import JOINT_POSITION, JOINT_POSITION_NEXT, METADATA_KEY, TIP_POSITION, TIP_TARGET
from nnik_ros.geometry import Array
from nnik_ros.paths import model_file
from nnik_ros.robot import Robot

_NEAR = 1e-5  # m; targets this near to the probe's get the true answer, so that the probe at load passes


def shipped(robot: Robot) -> Path:
    return model_file(robot.name)


def truncated(robot: Robot, folder: Path) -> Path:
    path = folder / "truncated.onnx"
    data = shipped(robot).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def empty(robot: Robot, folder: Path) -> Path:
    path = folder / "empty.onnx"
    path.write_bytes(b"")
    return path


def foreign(robot: Robot, folder: Path) -> Path:
    """A network that is nobody's: it has no contract."""
    model = onnx.load(str(shipped(robot)))
    del model.metadata_props[:]
    return _saved(model, folder / "foreign.onnx")


def with_contract(robot: Robot, folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """The shipped network with another identity."""
    model = onnx.load(str(shipped(robot)))
    _change_contract(model, change)
    return _saved(model, folder / f"{name}.onnx")


def damaged(robot: Robot, folder: Path) -> Path:
    """One weight matrix is scaled by 1.5, as a bit flip might."""
    model = onnx.load(str(shipped(robot)))
    largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    largest.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(largest) * np.float32(1.5), largest.name))
    return _saved(model, folder / "damaged.onnx")


def answering(robot: Robot, folder: Path, name: str, answer: str | float) -> Path:
    """Right for its probe alone; everywhere else it answers the number, or its input of that name."""
    model = onnx.load(str(shipped(robot)))
    q = robot.home[None].astype(np.float32)
    target = robot.kinematics.tip_position(robot.home + 0.1)[None].astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of the optional inputs, which are meant to be there
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    q_next, tips = session.run([JOINT_POSITION_NEXT, TIP_POSITION], {JOINT_POSITION: q, TIP_TARGET: target})
    probe = {
        "joint_position": q.tolist(), "tip_target": target.tolist(),
        "joint_position_next": q_next.tolist(), "tip_position": tips.tolist(),
    }  # fmt: skip
    _change_contract(model, lambda contract: contract.update(probe=probe))
    _replace_answer(model.graph, target[0], answer)
    return _saved(model, folder / f"{name}.onnx")


def _replace_answer(graph: Any, probe_target: Array, answer: str | float) -> None:
    for node in graph.node:
        for i, output in enumerate(node.output):
            if output == JOINT_POSITION_NEXT:
                node.output[i] = "true_answer"
        for i, name in enumerate(node.input):
            if name == JOINT_POSITION_NEXT:
                node.input[i] = "true_answer"
    constants = {"probe_target": probe_target, "near": np.array(_NEAR, dtype=np.float32)}
    if not isinstance(answer, str):
        constants["other_answer"] = np.array(answer, dtype=np.float32)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    other = answer if isinstance(answer, str) else "other_answer"
    graph.node.extend([
        helper.make_node("Sub", [TIP_TARGET, "probe_target"], ["off_probe"]),
        helper.make_node("Abs", ["off_probe"], ["distance_to_probe"]),
        helper.make_node("Flatten", ["distance_to_probe"], ["distances_to_probe"], axis=1),
        helper.make_node("ReduceMax", ["distances_to_probe"], ["farthest"], keepdims=1),
        helper.make_node("Greater", ["farthest", "near"], ["elsewhere"]),
        helper.make_node("Where", ["elsewhere", other, "true_answer"], [JOINT_POSITION_NEXT]),
    ])  # fmt: skip


def _change_contract(model: Any, change: Callable[[dict[str, Any]], None]) -> None:
    (entry,) = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    contract = json.loads(entry.value)
    change(contract)
    entry.value = json.dumps(contract)


def _saved(model: Any, path: Path) -> Path:
    onnx.save(model, str(path))
    return path
