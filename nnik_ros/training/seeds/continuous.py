"""Continuous-action learning on the hand (S2): soft actor-critic of stable-baselines3, all joints move at once.

Source: Haarnoja et al., Soft Actor-Critic: Off-Policy Maximum Entropy Deep Reinforcement Learning (2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from nnik_ros.robot import Robot
from nnik_ros.training.graph import Graph, Value
from nnik_ros.training.seeds.base import Method, SeedRecipe, Trained, seeded
from nnik_ros.training.seeds.dense import Dense, dense_of
from nnik_ros.training.seeds.hand_env import ENV_ID, graph_observation
from nnik_ros.yaml_file import Section


@dataclass(frozen=True)
class ActorOptions:
    """env_steps: actions in all; step [rad]: largest motion of a joint in one action; discount: of later rewards;
    train_every: actions between gradient steps; warm_up: random actions at first; near: see HandEnv; physics: train in
    MuJoCo."""

    env_steps: int
    step: float
    discount: float
    learning_rate: float
    batch: int
    train_every: int
    warm_up: int
    near: float
    physics: bool


def read(section: Section) -> ActorOptions:
    return ActorOptions(
        env_steps=section.integer("env_steps", low=1, high=100_000_000),
        step=section.number("step", above=0.0, high=2.0),
        discount=section.number("discount", 0.9, low=0.0, high=1.0),
        learning_rate=section.number("learning_rate", 0.001, above=0.0, high=1.0),
        batch=section.integer("batch", 256, low=1, high=100_000),
        train_every=section.integer("train_every", 2, low=1, high=1000),
        warm_up=section.integer("warm_up", 1000, low=1, high=1_000_000),
        near=section.number("near", 1.0, above=0.0, high=1.0),
        physics=section.boolean("physics", False),
    )


def train(recipe: SeedRecipe, robot: Robot, folder: Path) -> Trained:
    """See `Method.train`. Curves: return of each episode, and the mean tip error at its end [mm]."""
    from stable_baselines3 import SAC

    options: ActorOptions = recipe.options
    env = _Recorded(gymnasium.make(
        ENV_ID, robot=str(recipe.robot), discrete=False, step=options.step, near=options.near, physics=options.physics
    ))  # fmt: skip
    with seeded(recipe.seed):
        learner: Any = SAC(
            "MlpPolicy", env, learning_rate=options.learning_rate, gamma=options.discount, batch_size=options.batch,
            train_freq=options.train_every, learning_starts=options.warm_up, buffer_size=min(options.env_steps, 200_000),
            policy_kwargs={"net_arch": list(recipe.hidden)}, seed=recipe.seed, device="cpu",
        )  # fmt: skip
        learner.learn(options.env_steps)
    actor = learner.policy.actor
    dense = dense_of(torch.nn.Sequential(actor.latent_pi, actor.mu))
    last = {f"last_{name}": float(np.mean(curve[-20:])) for name, curve in env.curves.items()}
    return Trained(partial(actor_move, dense, robot, options.step), env.curves, last)


def actor_move(dense: Dense, robot: Robot, step: float, graph: Graph, q: Value, target: Value, tip: Value) -> Value:
    """The action without its noise."""
    return q + graph.tanh(dense.write(graph, graph_observation(robot, graph, q, target, tip))) * step


class _Recorded(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps the curves of the episodes."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.curves: dict[str, list[float]] = {"return": [], "final error, mm": []}
        self._total = 0.0

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        seen, reward, last, cut, info = self.env.step(action)
        self._total += float(reward)
        if last or cut:
            self.curves["return"].append(self._total)
            self.curves["final error, mm"].append(float(info["tip_error"].mean()) * 1e3)
            self._total = 0.0
        return seen, reward, last, cut, info


METHOD = Method(read, train)
