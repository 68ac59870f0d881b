"""A recurrent network: the same layer read again and again, its state carried on, before the answer is given.

The state starts at zero in every call, so that the contract stays without memory. Source: Elman, Finding Structure in Time,
Cognitive Science 14 (1990).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nnik_ros.training.graph import Graph, Value

_LAYERS = ("input", "state", "output")


class RecurrentModule(torch.nn.Module):  # type: ignore[misc]
    """state = tanh(input(x) + state(state)), `turns` times, then output(state)."""

    def __init__(self, size_in: int, hidden: int, size_out: int, turns: int) -> None:
        super().__init__()
        self.turns = turns
        self.input = torch.nn.Linear(size_in, hidden)
        self.state = torch.nn.Linear(hidden, hidden)
        self.output = torch.nn.Linear(hidden, size_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (batch, in); returns (batch, out)."""
        seen = self.input(x)
        state = torch.tanh(seen)
        for _ in range(self.turns - 1):
            state = torch.tanh(seen + self.state(state))
        result: torch.Tensor = self.output(state)
        return result


@dataclass(frozen=True)
class Recurrent:
    """The weights (in, out) and biases (out,) of `input`, `state` and `output`."""

    weights: dict[str, NDArray[np.float32]]
    biases: dict[str, NDArray[np.float32]]
    turns: int

    def write(self, graph: Graph, x: Value) -> Value:
        """The turns, one after the other, in the graph; x (batch, in), returns (batch, out)."""
        weights = {name: graph.named(f"weight_{name}", self.weights[name]) for name in _LAYERS}
        biases = {name: graph.named(f"bias_{name}", self.biases[name]) for name in _LAYERS}
        seen = x @ weights["input"] + biases["input"]
        state = graph.tanh(seen)
        for _ in range(self.turns - 1):
            state = graph.tanh(seen + (state @ weights["state"] + biases["state"]))
        return state @ weights["output"] + biases["output"]


def recurrent_of(module: RecurrentModule) -> Recurrent:
    """The weights of a trained module."""
    layers = {name: getattr(module, name) for name in _LAYERS}
    return Recurrent(
        {name: np.ascontiguousarray(layer.weight.detach().numpy().T) for name, layer in layers.items()},
        {name: layer.bias.detach().numpy().copy() for name, layer in layers.items()},
        module.turns,
    )
