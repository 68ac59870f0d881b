"""A learned correction of the tips, one small perceptron for each finger, and how it gets into a network file.

It tells from a finger's joints by how much its measured tip departs from the described one. In the file it moves the target the
other way before the network sees it: whoever brings the described tip there brings the real one to the wish.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from nnik_ros.contract import JOINT_POSITION, TIP_TARGET, Probe, nested
from nnik_ros.geometry import Array
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.robot import Robot
from nnik_ros.training.export import Exported, probe_inputs
from nnik_ros.training.graph import Graph

_SCALE = 0.05  # reaches, for an output of 1
_PREFIX = "tuned_"  # of all names that are added to a file


class Correction(torch.nn.Module):  # type: ignore[misc]
    """r(q): (batch, nt, 3) [m], the measured tip over the described one. Begins as zero."""

    def __init__(self, robot: Robot, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        chain = robot.kinematics.topology.chain
        self.index = np.maximum(chain, 0)  # (nt, depth)
        self.real = torch.from_numpy((chain >= 0).astype(np.float32))[:, None]
        self.scale = _SCALE * float(robot.kinematics.reach.max())
        nt, depth = chain.shape
        sizes = [2 * depth, hidden, hidden, 3]
        self.weights, self.biases = torch.nn.ParameterList(), torch.nn.ParameterList()
        for size_in, size_out in pairwise(sizes):
            spread = 0.0 if size_out == 3 else (1.0 / size_in) ** 0.5
            weight = torch.randn(nt, size_in, size_out, generator=generator) * spread
            self.weights.append(torch.nn.Parameter(weight))
            self.biases.append(torch.nn.Parameter(torch.zeros(nt, 1, size_out)))

    def forward(self, q: torch.Tensor) -> torch.Tensor:
        """q (batch, nq) [rad]."""
        angle = q[:, self.index].transpose(0, 1)  # (nt, batch, depth)
        x = torch.cat([torch.sin(angle) * self.real, torch.cos(angle) * self.real], -1)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            x = torch.tanh(x) if i < 2 else x
        return x.transpose(0, 1) * self.scale

    def numpy(self, q: Array) -> Array:
        """The same for q (n, nq) in numpy."""
        with torch.no_grad():
            result: Array = self(torch.from_numpy(q.astype(np.float32))).numpy().astype(np.float64)
        return result


def tuned(policy: OnnxPolicy, correction: Correction) -> Exported:
    """The network of `policy` with the correction before it, and a probe of what it then gives."""
    robot = policy.robot
    start, goal = probe_inputs(robot)
    added = _graph(robot, correction, start, goal)
    model = onnx.load(policy.path)
    del model.metadata_props[:]
    _see_the_moved_target(model.graph)
    nodes = [*added.node, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(added.initializer)
    onnx.checker.check_model(model, full_check=True)
    q = start.astype(np.float64)
    q_next = policy.step(q, goal.astype(np.float64) - correction.numpy(q))
    probe = Probe(*(nested(array) for array in (start, goal, q_next, robot.kinematics.tip_position(q))))
    return Exported(model, probe)


def _see_the_moved_target(graph: onnx.GraphProto) -> None:
    """Its nodes, and those of its branches."""
    for node in graph.node:
        node.input[:] = [_PREFIX + TIP_TARGET if name == TIP_TARGET else name for name in node.input]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _see_the_moved_target(attribute.g)


def _graph(
    robot: Robot, correction: Correction, start: NDArray[np.float32], goal: NDArray[np.float32]
) -> onnx.GraphProto:
    """The nodes from joints and wish to the target that the network is to see, their own names prefixed."""
    graph = Graph()
    q, target = graph.input(JOINT_POSITION, start), graph.input(TIP_TARGET, goal)
    angle = q[..., correction.index[:, None]]  # (batch, nt, 1, depth)
    real = correction.real.numpy()
    x = graph.concatenate([graph.sin(angle) * real, graph.cos(angle) * real], -1)
    for i, (weight, bias) in enumerate(zip(correction.weights, correction.biases, strict=True)):
        x = x @ weight.detach().numpy() + bias.detach().numpy()
        x = graph.tanh(x) if i < 2 else x
    moved = target - graph.reshape(x * np.float32(correction.scale), (-1, robot.nt, 3))
    model = graph.model({TIP_TARGET + "_moved": moved}, robot.name)
    names = {TIP_TARGET + "_moved": _PREFIX + TIP_TARGET, JOINT_POSITION: JOINT_POSITION, TIP_TARGET: TIP_TARGET}
    for node in model.graph.node:
        for field in (node.input, node.output):
            field[:] = [names.get(name, _PREFIX + name) for name in field]
        node.name = ""
    for tensor in model.graph.initializer:
        tensor.name = _PREFIX + tensor.name
    return model.graph
