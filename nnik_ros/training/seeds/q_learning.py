"""Deep Q-learning on the hand (S2): small steps of one joint at a time, epsilon-greedy, replay and a slow copy as target.

Source: Mnih et al., Human-level control through deep reinforcement learning, Nature 518 (2015); with the double
estimate of van Hasselt et al., Deep Reinforcement Learning with Double Q-learning (2016).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nnik_ros.robot import Robot
from nnik_ros.training.graph import Graph, Value
from nnik_ros.training.recipe import check_finite
from nnik_ros.training.seeds.acting import ActingOptions, Recorded, check_env_steps, means_of_last, read_acting
from nnik_ros.training.seeds.base import Method, SeedRecipe, Trained, seeded
from nnik_ros.training.seeds.dense import Dense, dense_module, dense_of
from nnik_ros.training.seeds.hand_env import graph_observation, joint_moves
from nnik_ros.yaml_file import Section


@dataclass(frozen=True)
class QOptions(ActingOptions):
    """epsilon: share of random actions, times decay after each episode, at least epsilon_least; replay: transitions kept;
    copy_every: actions between copies to the target network. An action moves one joint."""

    epsilon: float
    decay: float
    epsilon_least: float
    replay: int
    copy_every: int


def read(section: Section) -> QOptions:
    options = QOptions(
        **read_acting(section, largest_step=1.0, discount=0.99, learning_rate=0.01, batch=64, train_every=4),
        epsilon=section.number("epsilon", 0.5, low=0.0, high=1.0),
        decay=section.number("decay", 0.99, above=0.0, high=1.0),
        epsilon_least=section.number("epsilon_least", 0.02, low=0.0, high=1.0),
        replay=section.integer("replay", 20_000, low=1, high=10_000_000),
        copy_every=section.integer("copy_every", 500, low=1, high=1_000_000),
    )
    if options.replay < options.batch:
        section.wrong("replay", options.replay, f"at least the batch, {options.batch}")
    check_env_steps(section, options)
    return options


class Replay:
    """The last `size` transitions, drawn from with equal chance."""

    def __init__(self, size: int, width: int) -> None:
        self._before, self._after = (np.zeros((size, width), dtype=np.float32) for _ in range(2))
        self._action, self._reward = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.float32)
        self._last = np.zeros(size, dtype=np.float32)
        self._count = 0

    def __len__(self) -> int:
        return min(self._count, len(self._action))

    def add(
        self, before: NDArray[np.float32], action: int, reward: float, after: NDArray[np.float32], *, last: bool
    ) -> None:
        i = self._count % len(self._action)
        self._before[i], self._after[i], self._action[i] = before, after, action
        self._reward[i], self._last[i] = reward, last
        self._count += 1

    def draw(self, n: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        """before, action, reward, after, last; n of each."""
        rows = rng.integers(0, len(self), n)
        arrays = self._before, self._action, self._reward, self._after, self._last
        return tuple(torch.from_numpy(array[rows]) for array in arrays)


def train(recipe: SeedRecipe, robot: Robot, folder: Path) -> Trained:
    """See `Method.train`. Curves: return of each episode, and the mean tip error at its end [mm]."""
    options: QOptions = recipe.options
    env = Recorded(recipe, discrete=True)
    with seeded(recipe.seed) as rng:
        moves = joint_moves(robot.nq, options.step)
        width = robot.nq + 6 * robot.nt
        network = dense_module([width, *recipe.hidden, len(moves)])
        _learn(env, network, Replay(options.replay, width), options, recipe.seed, rng)
    move = partial(greedy_move, dense_of(network), robot, moves.astype(np.float32))
    return Trained(move, env.curves, means_of_last(env.curves))


def greedy_move(
    dense: Dense, robot: Robot, moves: NDArray[np.float32], graph: Graph, q: Value, target: Value, tip: Value
) -> Value:
    """The action of the highest value."""
    value = dense.write(graph, graph_observation(robot, graph, q, target, tip))
    best = value.example.argmax(-1)
    action = graph.record("ArgMax", best, value, axis=1, keepdims=0)
    return q + graph.record("Gather", moves[best], graph.asarray(moves), action, axis=0)


def _learn(env: Any, network: Any, replay: Replay, options: QOptions, seed: int, rng: np.random.Generator) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    slow, epsilon = copy.deepcopy(network), options.epsilon
    seen, _ = env.reset(seed=seed)
    for i in range(options.env_steps):
        if rng.random() < epsilon:
            action = int(rng.integers(env.action_space.n))
        else:
            with torch.no_grad():
                action = int(network(torch.from_numpy(seen)).argmax())
        after, reward, last, cut, _ = env.step(action)
        replay.add(seen, action, reward, after, last=last)
        seen = after
        if last or cut:
            (seen, _), epsilon = env.reset(), max(epsilon * options.decay, options.epsilon_least)
        if i % options.train_every == 0 and len(replay) >= options.batch:
            loss = improve(network, slow, optimizer, replay.draw(options.batch, rng), options.discount)
            check_finite(f"action {i + 1}", {"loss": loss})
        if i % options.copy_every == 0:
            slow.load_state_dict(network.state_dict())


def improve(network: Any, slow: Any, optimizer: Any, batch: tuple[torch.Tensor, ...], discount: float) -> float:
    """One gradient step towards the reward and, where the episode goes on, the discounted value of what follows; returns the
    loss before it. batch: see `Replay.draw`."""
    before, action, reward, after, last = batch
    with torch.no_grad():
        best = network(after).argmax(-1, keepdim=True)  # chosen by one network, judged by the other: less optimism
        wanted = reward + discount * (1.0 - last) * slow(after).gather(1, best)[:, 0]
    value = network(before).gather(1, action[:, None])[:, 0]
    loss = torch.nn.functional.smooth_l1_loss(value, wanted)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
    optimizer.step()
    return float(loss.detach())


METHOD = Method(read, train)
