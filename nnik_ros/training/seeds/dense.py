"""Plain dense networks: built and fitted in torch, written into a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnik_ros.geometry import Array
from nnik_ros.training.graph import Graph, Value
from nnik_ros.training.recipe import check_finite


@dataclass(frozen=True)
class Dense:
    """Layers of x @ weight + bias, relu between them; weights (in, out), biases (out,)."""

    weights: tuple[NDArray[np.float32], ...]
    biases: tuple[NDArray[np.float32], ...]

    def write(self, graph: Graph, x: Value) -> Value:
        """The layers in the graph; x (batch, in), returns (batch, out)."""
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = graph.relu(x) if i else x
            x = x @ graph.named(f"weight_{i}", weight) + graph.named(f"bias_{i}", bias)
        return x


@dataclass(frozen=True)
class Stage:
    """epochs of one optimizer, `adam` or `sgd`, at one learning rate."""

    optimizer: str
    learning_rate: float
    epochs: int


def dense_module(sizes: Sequence[int], dropout: float = 0.0) -> Any:
    """A torch module: linear layers with relu, and dropout behind each but the last."""
    layers: list[Any] = []
    for i, (size_in, size_out) in enumerate(pairwise(sizes)):
        if i:
            layers += [torch.nn.ReLU()] + ([torch.nn.Dropout(dropout)] if dropout else [])
        layers.append(torch.nn.Linear(size_in, size_out))
    return torch.nn.Sequential(*layers)


def dense_of(module: Any) -> Dense:
    """The linear layers of a module, in order."""
    linear = [layer for layer in module.modules() if isinstance(layer, torch.nn.Linear)]
    return Dense(
        tuple(np.ascontiguousarray(layer.weight.detach().numpy().T) for layer in linear),
        tuple(layer.bias.detach().numpy().copy() for layer in linear),
    )


def tensor(array: Array | NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def fit(
    module: Any, train: tuple[Array, Array], test: tuple[Array, Array], stages: Sequence[Stage], batch: int,
    rng: np.random.Generator,
) -> dict[str, list[float]]:  # fmt: skip
    """Least squares with minibatches. train, test: inputs (n, in) and outputs (n, out); returns for every epoch loss and
    mae of both sets. With dropout the loss of the training is the one under dropout.

    Raises:
        InputError: a loss that is no finite number.
    """
    x, y = tensor(train[0]), tensor(train[1])
    x_test, y_test = tensor(test[0]), tensor(test[1])
    curves: dict[str, list[float]] = {"loss": [], "val_loss": [], "mae": [], "val_mae": []}
    for stage in stages:
        kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[stage.optimizer]
        optimizer = kind(module.parameters(), lr=stage.learning_rate)
        for _ in range(stage.epochs):
            module.train()
            square, absolute = 0.0, 0.0
            order = torch.from_numpy(rng.permutation(len(x)))
            for rows in order.split(batch):
                difference = module(x[rows]) - y[rows]
                loss = (difference**2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                square += float(loss.detach()) * len(rows)
                absolute += float(difference.detach().abs().mean()) * len(rows)
            check_finite(f"epoch {len(curves['loss']) + 1}", {"loss": square})
            module.eval()
            with torch.no_grad():
                difference = module(x_test) - y_test
            values = square / len(x), float((difference**2).mean()), absolute / len(x), float(difference.abs().mean())
            for curve, value in zip(curves.values(), values, strict=True):
                curve.append(value)
    module.eval()
    return curves
