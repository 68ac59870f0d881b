"""One step of the network beside its bare perceptron in onnxruntime: the rest is kinematics, solving and limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.workloads import Static
from nnik_ros.contract import JOINT_POSITION, JOINT_POSITION_NEXT, TIP_TARGET
from nnik_ros.onnx_policy import OnnxPolicy, open_session
from nnik_ros.training.export import read_layers
from nnik_ros.training.graph import Graph

YARDSTICK = (14, 128, 128, 128, 4)  # of other machines; it costs 7.5 us where a step may cost 30
_CALLS = 50  # in a row, of one kind


def step_costs(policy: OnnxPolicy, problems: Static, rounds: int) -> dict[str, float]:
    """Medians over rounds in which all take turns [us]: the network's increment, its bare perceptron (a row for each tip), and
    the yardstick, all called alike; and once more with run options that are kept, as the package calls the network."""
    q, target = problems.start[:1].astype(np.float32), problems.target[:1].astype(np.float32)
    asked = {"step": (policy.content, JOINT_POSITION_NEXT, {JOINT_POSITION: q, TIP_TARGET: target})}
    for name, sizes in (("bare", perceptron_sizes(policy)), ("yardstick", YARDSTICK)):
        asked[name] = perceptron(sizes), "y", {"x": np.zeros((policy.robot.nt, sizes[0]), dtype=np.float32)}
    calls: dict[str, Callable[[], Any]] = {}
    for name, (model, output, feed) in asked.items():
        session = open_session(model)
        calls[name] = partial(session.run, [output], feed)
        calls[f"{name}_kept"] = partial(session.run, [output], feed, onnxruntime.RunOptions())
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.process_time()
            for _ in range(_CALLS):
                call()
            seconds[name].append(time.process_time() - begin)
    return {f"{name}_us": float(1e6 * np.median(times) / _CALLS) for name, times in seconds.items()}


def perceptron_sizes(policy: OnnxPolicy) -> tuple[int, ...]:
    """Features, hidden units and outputs of one of the network's perceptrons."""
    weights = read_layers(policy.path).weights
    return (weights[0].shape[1], *(weight.shape[2] for weight in weights))


def perceptron(sizes: Sequence[int]) -> bytes:
    """An ONNX file of nothing but a perceptron with rectifiers."""
    rng, graph = np.random.default_rng(0), Graph()
    x = graph.input("x", np.zeros((1, sizes[0]), dtype=np.float32))
    for i, (size_in, size_out) in enumerate(pairwise(sizes)):
        weight = (rng.normal(size=(size_in, size_out)) / size_in**0.5).astype(np.float32)
        bias = np.zeros(size_out, dtype=np.float32)
        x = graph.addmm(graph.named(f"b{i}", bias), x, graph.named(f"w{i}", weight))
        x = graph.relu(x) if i < len(sizes) - 2 else x
    return bytes(graph.model({"y": x}, "perceptron").SerializeToString())
