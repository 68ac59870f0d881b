"""The training itself: batches of starts and targets, unrolled steps, one iteration after the other."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from nnik_ros.errors import FileError
from nnik_ros.geometry import Array
from nnik_ros.robot import Robot
from nnik_ros.training.group import ALONE, Group
from nnik_ros.training.network import StepNetwork
from nnik_ros.training.recipe import Recipe, TrainingOptions, check_finite
from nnik_ros.training.samples import Samples, no_samples, sample

REPORT_EVERY = 500  # iterations
_DISTANCE_WEIGHT, _LOG_WEIGHT = 4.0, 0.05
_DISTANCE_FLOOR, _LOG_FLOOR = 1e-8, 1e-10  # squares of errors in reaches, where the loss goes flat
_WARM_UP = 100  # iterations
_MISSED = 1e-3  # reaches; a tip that ends farther from a reachable target
_SHOWN_FROM = 0.05  # of the iterations: before that, whatever there is is missed
_SHOWN_FLOOR = 1e-4  # squares of ranges in which a shown goal ceases to pull


class Progress(NamedTuple):
    iteration: int
    loss: float
    median: float  # m, after the last unrolled step


class Training:
    """A training under way. The same recipe gives the same weights, in one go or interrupted, and but for rounding in one
    process or several.

    Raises:
        FileError: the recipe's batch has fewer robots than there are processes, or it weighs another number of tips.
    """

    def __init__(self, recipe: Recipe, robot: Robot, group: Group = ALONE) -> None:
        assert recipe.training is not None, "a mirrored recipe has nothing to train"
        if recipe.training.batch < group.size:
            least = f"must be at least the number of processes, {group.size}"
            raise FileError(str(recipe.path), [f"training.batch: is {recipe.training.batch}, {least}"])
        if len(recipe.training.tip_weights) not in (0, robot.nt):
            given = f"training.tip_weights: has {len(recipe.training.tip_weights)}, must have {robot.nt} or none"
            raise FileError(str(recipe.path), [given])
        self.robot, self.options, self.group = robot, recipe.training, group
        generator = torch.Generator().manual_seed(recipe.seed)
        network = StepNetwork(robot, recipe.hidden, generator, shared=recipe.shared)
        self.network = network.on(group.device)
        self.iteration = 0
        self.progress: list[Progress] = []
        self._rng = np.random.default_rng(recipe.seed)
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=self.options.learning_rate)
        self._hard = no_samples(robot)

    @property
    def finished(self) -> bool:
        return self.iteration >= self.options.iterations

    def run(self, until: int | None = None) -> Iterator[Progress]:
        """Iterate to the end, or to iteration `until`, telling now and then and at the end how it goes.

        Raises:
            InputError: a loss or its gradient that is no finite number.
        """
        last = self.options.iterations if until is None else min(until, self.options.iterations)
        while self.iteration < last:
            loss, error = self._iterate()
            if self.iteration % REPORT_EVERY == 0 or self.iteration == last:
                self.progress.append(Progress(self.iteration, loss, float(np.median(error))))
                yield self.progress[-1]

    def state(self) -> dict[str, Any]:
        """Everything that the next iterations depend on."""
        return {
            "iteration": self.iteration, "network": self.network.state_dict(), "optimizer": self._optimizer.state_dict(),
            "generator": json.dumps(self._rng.bit_generator.state), "hard": [torch.from_numpy(part) for part in self._hard],
            "progress": [tuple(progress) for progress in self.progress],
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.iteration = state["iteration"]
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rng.bit_generator.state = json.loads(state["generator"])
        self._hard = Samples(*(part.numpy() for part in state["hard"]))
        self.progress = [Progress(*progress) for progress in state["progress"]]

    def _iterate(self) -> tuple[float, Array]:
        """One batch; its loss and errors (batch, nt) [m]."""
        options = self.options
        rate = min(1.0, (self.iteration + 1) / _WARM_UP)
        rate *= 0.5 * (1.0 + math.cos(math.pi * self.iteration / options.iterations))
        self._optimizer.param_groups[0]["lr"] = options.learning_rate * rate
        batch = sample(self.robot, options, self._rng, self._hard)
        self._optimizer.zero_grad()
        loss, error = self._backward(batch)
        size = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        # before the weights take it up
        check_finite(f"iteration {self.iteration + 1}", {"loss": loss, "gradient of the loss": float(size)})
        self._optimizer.step()
        missed = batch.missed | self._missed(error, batch.reachable)
        self._hard = self._hard.kept(batch._replace(missed=missed), error)
        self.iteration += 1
        return loss, error

    def _missed(self, error: Any, reachable: Any) -> Any:
        """Of errors (n, nt) [m]: tips whose reachable targets were missed."""
        return (error > _MISSED * self.network.rows.reach) & reachable[:, None]

    def _backward(self, batch: Samples) -> tuple[float, Array]:
        """Gradients, loss and errors (batch, nt) [m] of the whole batch, this process's share of them computed here."""
        share, device = self.group.share(), self.group.device
        with self.group.default_device():
            mine = Samples(*(_tensor(part, device) for part in batch.of(share)))
            loss, own, first = unrolled_loss(self.network, self.robot, self.options, mine.q, mine.target)
            if self.options.shown and self.iteration >= _SHOWN_FROM * self.options.iterations:
                missed = mine.missed.bool() | self._missed(own, mine.reachable.bool())
                loss = loss + self.options.shown * away(self.robot, first, mine.goal)[missed].sum() / missed.numel()
            loss.backward()
        if self.group.size == 1:
            return float(loss.detach()), own.cpu().numpy()
        weight = len(own) / len(batch.q)
        error = torch.zeros(len(batch.q), own.shape[1], device=device)
        error[share] = own
        gradients = [parameter.grad for parameter in self.network.parameters()]
        parts = [weight * gradient for gradient in gradients] + [weight * loss.detach(), error]
        total = self.group.summed(torch.cat([part.reshape(-1) for part in parts]))
        *sums, whole, errors = torch.split(total, [part.numel() for part in parts])
        for gradient, one in zip(gradients, sums, strict=True):
            gradient.copy_(one.reshape(gradient.shape))
        return float(whole), errors.reshape(error.shape).cpu().numpy()


def unrolled_loss(
    network: StepNetwork, robot: Robot, options: TrainingOptions, q: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss over all steps, the last step's errors (batch, nt) [m], and the first step's joints (batch, nq). The distance pays
    for tips that are stuck, the logarithm for the last micrometres."""
    losses, path = [], [q]
    weights = _tensor(np.array(options.tip_weights or [1.0] * robot.nt), q.device)
    weights = weights / weights.mean()
    square = torch.empty(0)
    for k in range(options.steps + 1):
        if k < options.steps:
            q_next, tip = network(path[-1], target)
            path.append(q_next)
        else:
            tip = network.tip_position(path[-1])
        if k:
            square = ((tip - target) ** 2).sum(-1)
            relative = square / network.rows.reach**2
            distance = torch.sqrt(relative + _DISTANCE_FLOOR)
            cost = _DISTANCE_WEIGHT * distance + _LOG_WEIGHT * torch.log(relative + _LOG_FLOOR)
            losses.append((cost * weights).mean())
    loss = torch.stack(losses).mean()
    if options.posture:
        home, width = (_tensor(row, q.device) for row in (robot.home, robot.upper - robot.lower))
        loss = loss + options.posture * (((path[-1] - home) / width) ** 2).mean()
    return loss, square.detach().sqrt(), path[1]


def away(robot: Robot, q: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """How far the joints of each tip are from a goal, root mean square, in ranges: (batch, nt). Its slope does not fade on the
    way: a first step between two branches ends on neither."""
    width = _tensor(robot.upper - robot.lower, q.device)
    chain = robot.kinematics.topology.chain
    square = (((q - goal) / width) ** 2)[:, np.maximum(chain, 0)]
    real = _tensor((chain >= 0).astype(np.float64), q.device)
    return torch.sqrt((square * real).sum(-1) / real.sum(-1) + _SHOWN_FLOOR)


def _tensor(array: Array, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32)).to(device)
