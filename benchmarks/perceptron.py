"""One step of the network beside its bare perceptron in onnxruntime: the rest is kinematics, solving and limits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.workloads import Static
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.training.export import read_layers

YARDSTICK = (14, 128, 128, 128, 4)  # of other machines; it costs 7.5 us where a step may cost 30
_IR_VERSION, _OPSET = 8, 17
_CALLS = 50  # in a row, of one kind


def step_costs(policy: OnnxPolicy, problems: Static, rounds: int) -> dict[str, float]:
    """Medians over rounds in which all take turns [us]: the network's increment, its bare perceptron (a row for each tip), and
    the yardstick."""
    inputs = problems.start[:1].astype(np.float32), problems.target[:1].astype(np.float32)
    bare = {}
    for name, sizes in (("bare", perceptron_sizes(policy)), ("yardstick", YARDSTICK)):
        session = _session(perceptron(sizes))
        rows = np.zeros((policy.robot.nt, sizes[0]), dtype=np.float32)
        bare[name] = (session, {"x": rows})
    seconds: dict[str, list[float]] = {name: [] for name in ("step", *bare)}
    for _ in range(rounds):
        begin = time.process_time()
        for _ in range(_CALLS):
            policy.increment(*inputs)
        seconds["step"].append(time.process_time() - begin)
        for name, (session, feed) in bare.items():
            begin = time.process_time()
            for _ in range(_CALLS):
                session.run(None, feed)
            seconds[name].append(time.process_time() - begin)
    return {f"{name}_us": float(1e6 * np.median(times) / _CALLS) for name, times in seconds.items()}


def perceptron_sizes(policy: OnnxPolicy) -> tuple[int, ...]:
    """Features, hidden units and outputs of one of the network's perceptrons."""
    weights = read_layers(policy.path).weights
    return (weights[0].shape[1], *(weight.shape[2] for weight in weights))


def perceptron(sizes: Sequence[int]) -> bytes:
    """An ONNX file of nothing but a perceptron with rectifiers."""
    rng = np.random.default_rng(0)
    nodes, tensors, x = [], [], "x"
    for i, (size_in, size_out) in enumerate(pairwise(sizes)):
        tensors += [
            _tensor(f"w{i}", rng.normal(size=(size_in, size_out)) / size_in**0.5),
            _tensor(f"b{i}", np.zeros(size_out)),
        ]
        nodes.append(helper.make_node("Gemm", [x, f"w{i}", f"b{i}"], [f"h{i}"]))
        x = f"h{i}"
        if i < len(sizes) - 2:
            nodes.append(helper.make_node("Relu", [x], [f"r{i}"]))
            x = f"r{i}"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", size])
            for name, size in (("x", sizes[0]), (x, sizes[-1]))]  # fmt: skip
    graph = helper.make_graph(nodes, "perceptron", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    return bytes(model.SerializeToString())


def _tensor(name: str, values: NDArray[np.float64]) -> TensorProto:
    return numpy_helper.from_array(values.astype(np.float32), name)


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
