"""The perceptrons of the step, one per tip, in torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nnik_ros.kinematics import Chains, KinematicParameters, build_chains, forward_kinematics
from nnik_ros.robot import Robot
from nnik_ros.training.step import StepShape, step, step_shape

_JUMP_SCALE = 3.0  # ranges of a joint in a jump for an error of one reach, for an output of 1
_LARGEST_RANGE = 2.0  # rad, in the above
_FIRST_DAMPING = -4.0  # of the damping's logit: the untrained step is Gauss-Newton with light damping


class Layers(NamedTuple):
    """Weights for raw features as they stand in the file: bias (nt, 1, hidden + 1) of the first layer, weights
    (nt, in, out). A hidden unit that is always 1 carries the biases of the later layers: fewer nodes."""

    bias: NDArray[np.float32]
    weights: list[NDArray[np.float32]]


class StepNetwork(torch.nn.Module):  # type: ignore[misc]
    """The trainable step of one robot. All tips' perceptrons are evaluated together: weights are (nt, in, out)."""

    def __init__(self, robot: Robot, hidden: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.shape: StepShape = step_shape(robot)
        self.chains = torch_chains(robot)
        ranges = np.minimum(self.shape.upper - self.shape.lower, _LARGEST_RANGE)
        jump = np.where(self.shape.real > 0, _JUMP_SCALE * ranges / self.shape.reach, 0.0)
        others = np.ones((*jump.shape[:-1], self.shape.outputs - self.shape.depth), dtype=np.float32)
        self.out_scale = torch.from_numpy(np.concatenate([jump, others], -1))
        self.center, self.scale = _feature_scaling(robot, self.shape)
        sizes = [self.shape.inputs, *hidden, self.shape.outputs]
        self.weights, self.biases = torch.nn.ParameterList(), torch.nn.ParameterList()
        for i, (size_in, size_out) in enumerate(pairwise(sizes)):
            spread = math.sqrt(2.0 / size_in) * (0.1 if i == len(sizes) - 2 else 1.0)
            weight = torch.randn(self.shape.nt, size_in, size_out, generator=generator) * spread
            self.weights.append(torch.nn.Parameter(weight))
            self.biases.append(torch.nn.Parameter(torch.zeros(self.shape.nt, 1, size_out)))
        with torch.no_grad():
            self.biases[-1][..., 2 * self.shape.depth] = _FIRST_DAMPING

    def on(self, device: torch.device) -> StepNetwork:
        """This network, moved to a device."""
        self.to(device)
        self.center, self.scale, self.out_scale = (x.to(device) for x in (self.center, self.scale, self.out_scale))
        self.chains = Chains(*(x.to(device) if isinstance(x, torch.Tensor) else x for x in self.chains))
        return self

    def forward(self, q: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `step`."""
        return step(torch, self.shape, self.chains, self._perceptrons, q, target)

    def tip_position(self, q: torch.Tensor) -> torch.Tensor:
        """q (batch, nq) [rad]; returns (batch, nt, 3) [m]."""
        tips: torch.Tensor = forward_kinematics(torch, self.chains, q).tip_position
        return tips

    def layers(self) -> Layers:
        """The present weights; the scaling of the features is folded into the first layer."""
        weights = [np.array(w.detach().cpu().numpy(), dtype=np.float64) for w in self.weights]
        biases = [np.array(b.detach().cpu().numpy(), dtype=np.float64) for b in self.biases]
        center, scale = self.center.cpu().numpy().astype(np.float64), self.scale.cpu().numpy().astype(np.float64)
        out_scale = self.out_scale.cpu().numpy().astype(np.float64)
        weights[-1], biases[-1] = weights[-1] * out_scale, biases[-1] * out_scale
        weights[0] = weights[0] / np.swapaxes(scale, -1, -2)
        first_bias = np.concatenate([biases[0] - center @ weights[0], np.ones((len(scale), 1, 1))], -1)
        rows = [weights[0]] + [np.concatenate([w, b], 1) for w, b in zip(weights[1:], biases[1:], strict=True)]
        for i in range(len(rows) - 1):
            constant_unit = np.zeros((*rows[i].shape[:2], 1))
            constant_unit[:, -1] = float(i > 0)
            rows[i] = np.concatenate([rows[i], constant_unit], 2)
        return Layers(first_bias.astype(np.float32), [w.astype(np.float32) for w in rows])

    def _perceptrons(self, features: torch.Tensor) -> torch.Tensor:
        x = (features[..., 0, :].transpose(0, 1) - self.center) / self.scale  # (nt, batch, inputs)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            x = x if i == last else torch.relu(x)
        return (x * self.out_scale).transpose(0, 1)[..., None, :]


def torch_chains(robot: Robot) -> Chains:
    """The robot's kinematics for torch, in float32."""
    parameters = (torch.from_numpy(np.array(value, dtype=np.float32)) for value in robot.kinematics.parameters)
    return build_chains(torch, robot.kinematics.topology, KinematicParameters(*parameters))


def _feature_scaling(robot: Robot, shape: StepShape) -> tuple[torch.Tensor, torch.Tensor]:
    """Center and scale of every feature, (nt, 1, inputs) each, that bring it to about unit size."""
    tips = robot.kinematics.tip_position(robot.random_joint_position(np.random.default_rng(0), 4096))  # (n, nt, 3)
    place, spread = tips.mean(0)[:, None], tips.std(0).mean(-1)[:, None, None]
    ones = np.ones((shape.nt, 1, 3))
    middle, half = 0.5 * (shape.upper + shape.lower), 0.5 * (shape.upper - shape.lower)
    one, half = ones[..., :1], np.where(shape.real > 0, 0.6 * half, 1.0)
    level = 2.0 * math.log(shape.reach) - 3.0
    none, length = 0.0 * middle, 0.25 * shape.reach
    steepness = 0.5 * shape.reach * np.ones_like(half)
    bearing = [np.ones_like(half)] * shape.bearing
    center = np.concatenate(
        [middle, none, *[none] * shape.bearing, place, place, 0.0 * ones, 0.0 * one, level * one], -1
    )
    scale = np.concatenate([half, steepness, *bearing, spread * ones, spread * ones, ones, length * one, 3.0 * one], -1)
    return torch.from_numpy(center.astype(np.float32)), torch.from_numpy(scale.astype(np.float32))
