"""The perceptron of the step in torch: one for all tips, or one for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nnik_ros.kinematics import Chains, KinematicParameters, build_chains
from nnik_ros.robot import Robot
from nnik_ros.training.rows import Constants, Rows, rows_of
from nnik_ros.training.solve import SolveConstants
from nnik_ros.training.step import known_rows, step, tip_position

_JUMP_SCALE = 3.0  # ranges of a joint in a jump for an error of one reach, for an output of 1
_LARGEST_RANGE = 2.0  # rad, in the above
_FIRST_DAMPING = -4.0  # of the damping's logit: the untrained step is Gauss-Newton with light damping
_STEEP = 9.0  # a large slope, in the units of the step


class Layers(NamedTuple):
    """Weights (1 or nt, in, out) and biases (1 or nt, 1, out) as they stand in the file: from and to what the step gives and
    takes, copies included, so that the scaling of the features costs nothing."""

    weights: list[NDArray[np.float32]]
    biases: list[NDArray[np.float32]]


class Torch:
    """torch as the array namespace of the step."""

    softsign = staticmethod(torch.nn.functional.softsign)

    @staticmethod
    def sum_of_squares(x: torch.Tensor) -> torch.Tensor:
        return (x * x).sum(-1, keepdim=True)

    @staticmethod
    def length(x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.vector_norm(x, dim=-1, keepdim=True)

    @staticmethod
    def hard_sigmoid(x: torch.Tensor, slope: float, offset: float) -> torch.Tensor:
        return torch.clamp(slope * x + offset, 0.0, 1.0)

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


class StepNetwork(torch.nn.Module):  # type: ignore[misc]
    """The trainable step of one robot. Weights are (1 or nt, in, out): of one perceptron, or of one for each tip."""

    def __init__(self, robot: Robot, hidden: Sequence[int], generator: torch.Generator, *, shared: bool = True) -> None:
        super().__init__()
        self.rows: Rows = rows_of(robot)
        self.constants = torch_constants(self.rows.constants)
        self.center, self.scale = _feature_scaling(robot, self.rows)
        self.out_scale = _output_scaling(self.rows)
        features, outputs = self.rows.feature_index, self.rows.output_index
        taken = np.zeros((sum(self.rows.output_sizes), self.rows.outputs), dtype=np.float32)
        taken[np.flatnonzero(outputs >= 0), outputs[outputs >= 0]] = 1.0
        given = np.zeros((self.rows.given, self.rows.inputs), dtype=np.float32)
        given[features, np.arange(len(features))] = 1.0
        self.given, self.taken = torch.from_numpy(given), torch.from_numpy(taken.T.copy())
        perceptrons = 1 if shared else self.rows.nt
        sizes = [self.rows.inputs, *hidden, self.rows.outputs]
        self.weights, self.biases = torch.nn.ParameterList(), torch.nn.ParameterList()
        for i, (size_in, size_out) in enumerate(pairwise(sizes)):
            spread = math.sqrt(2.0 / size_in) * (0.1 if i == len(sizes) - 2 else 1.0)
            weight = torch.randn(perceptrons, size_in, size_out, generator=generator) * spread
            self.weights.append(torch.nn.Parameter(weight))
            self.biases.append(torch.nn.Parameter(torch.zeros(perceptrons, 1, size_out)))
        with torch.no_grad():
            self.biases[-1][..., 2 * self.rows.depth] = _FIRST_DAMPING

    def on(self, device: torch.device) -> StepNetwork:
        """This network, moved to a device."""
        return self._like(torch.empty(0, device=device))

    def double(self) -> StepNetwork:
        """This network, from now on at double precision."""
        return self._like(torch.empty(0, dtype=torch.float64))

    def forward(self, q: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One increment from q (batch, nq) [rad] to target (batch, nt, 3) [m]: the next q, and the tips (batch, nt, 3) at q."""
        known = known_rows(torch, self.constants, q, target)
        q_next = step(Torch(), self.rows, self.constants, self._perceptrons, q, known)
        return q_next, tip_position(torch, self.rows, self.constants, known)

    def tip_position(self, q: torch.Tensor) -> torch.Tensor:
        """q (batch, nq) [rad]; returns (batch, nt, 3) [m]."""
        known = known_rows(torch, self.constants, q, q.new_zeros(len(q), self.rows.nt, 3))  # whatever the targets
        tips: torch.Tensor = tip_position(torch, self.rows, self.constants, known)
        return tips

    def layers(self) -> Layers:
        """The present weights."""
        with torch.no_grad():
            weights, biases = zip(*self.folded(), strict=True)
        return Layers(*([x.detach().cpu().float().numpy() for x in arrays] for arrays in (weights, biases)))

    def folded(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Weights and biases with the scaling of features and outputs in them."""
        pairs = list(zip(self.weights, self.biases, strict=True))
        weight, bias = pairs[-1]
        pairs[-1] = (weight * self.out_scale) @ self.taken, (bias * self.out_scale) @ self.taken
        weight, bias = pairs[0]
        weight = weight / self.scale[..., None]
        pairs[0] = self.given @ weight, bias - (self.center @ weight)[:, None]
        return pairs

    def _perceptrons(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        shared = len(self.weights[0]) == 1
        x = features[None] if shared else features.reshape(-1, self.rows.nt, features.shape[-1]).transpose(0, 1)
        layers = self.folded()
        for i, (weight, bias) in enumerate(layers):
            x = torch.baddbmm(bias, x, weight)
            x = x if i == len(layers) - 1 else torch.relu(x)
        x = x[0] if shared else x.transpose(0, 1).reshape(len(features), -1)
        pieces: tuple[torch.Tensor, ...] = torch.split(x, self.rows.output_sizes, -1)
        return pieces

    def _like(self, other: torch.Tensor) -> StepNetwork:
        self.to(other)
        for name in ("center", "scale", "out_scale", "given", "taken"):
            setattr(self, name, getattr(self, name).to(other))
        solve = SolveConstants(*(x.to(other) for x in self.constants.solve))
        matrices = {name: x.to(other) for name, x in self.constants._asdict().items() if name != "solve"}
        self.constants = Constants(**matrices, solve=solve)
        return self


def torch_chains(robot: Robot) -> Chains:
    """The robot's kinematics for torch, in float32."""
    parameters = (torch.from_numpy(np.array(value, dtype=np.float32)) for value in robot.kinematics.parameters)
    return build_chains(torch, robot.kinematics.topology, KinematicParameters(*parameters))


def torch_constants(constants: Constants) -> Constants:
    """The same for torch, in float32."""

    def single(array: Any) -> torch.Tensor:
        return torch.from_numpy(np.array(array, dtype=np.float32))

    matrices = {name: single(x) for name, x in constants._asdict().items() if name != "solve"}
    return Constants(**matrices, solve=SolveConstants(*map(single, constants.solve)))


def _feature_scaling(robot: Robot, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Center and scale (inputs,) of every feature that bring it to about unit size."""
    q = robot.random_joint_position(np.random.default_rng(0), 4096)
    tips = (robot.kinematics.tip_position(q) - rows.layout.origin)[..., None, :] @ (rows.layout.frame / rows.reach)
    place, spread = tips.mean((0, 1))[0], float(tips.std((0, 1)).mean())
    each, copies = np.ones(rows.depth), math.sqrt(rows.joints)
    which = np.ones(rows.nt)
    center = [0.0 * each, *[0.0 * each] * rows.bearing, np.zeros(3), 0.0 * each, place, place, 0.0 * which]
    scale = [_STEEP * each, *[each] * rows.bearing, np.ones(3) / copies, 0.6 * each, *[spread * np.ones(3)] * 2, which]
    center.append(np.array([0.0, math.log(copies) - 1.5])[: rows.sizes])
    scale.append(np.array([0.25 * copies, 1.5])[: rows.sizes])
    return _joined(center), _joined(scale)


def _joined(parts: Sequence[NDArray[np.float64]]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))


def _output_scaling(rows: Rows) -> torch.Tensor:
    """Scale (1 or nt, 1, outputs) of every output."""
    chain = np.maximum(rows.robot.kinematics.topology.chain, 0)
    ranges = np.minimum((rows.upper - rows.lower)[chain], _LARGEST_RANGE) * rows.real
    # a third of the jump in each of three copies
    jump = _JUMP_SCALE / 3.0 * ranges.max(0) / math.sqrt(rows.joints)
    shares = np.ones(rows.depth * rows.bearing) / 3.0
    return _joined([jump, np.ones(rows.depth + 1), shares])
