"""Continuous-action learning on the hand (S2): soft actor-critic of stable-baselines3, all joints move at once.

Source: Haarnoja et al., Soft Actor-Critic: Off-Policy Maximum Entropy Deep Reinforcement Learning (2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nnik_ros.robot import Robot
from nnik_ros.training.graph import Graph, Value
from nnik_ros.training.recipe import check_finite
from nnik_ros.training.seeds.acting import ActingOptions, Recorded, check_env_steps, means_of_last, read_acting
from nnik_ros.training.seeds.base import Method, SeedRecipe, Trained, seeded
from nnik_ros.training.seeds.dense import Dense, dense_of
from nnik_ros.training.seeds.hand_env import graph_observation
from nnik_ros.yaml_file import Section


@dataclass(frozen=True)
class ActorOptions(ActingOptions):
    """warm_up: random actions at first."""

    warm_up: int

    @property
    def before_training(self) -> int:
        return self.warm_up


def read(section: Section) -> ActorOptions:
    shared = read_acting(section, largest_step=2.0, discount=0.9, learning_rate=0.001, batch=256, train_every=2)
    options = ActorOptions(**shared, warm_up=section.integer("warm_up", 1000, low=1, high=1_000_000))
    check_env_steps(section, options)
    return options


def train(recipe: SeedRecipe, robot: Robot, folder: Path) -> Trained:
    """See `Method.train`. Curves: return of each episode, and the mean tip error at its end [mm]."""
    from stable_baselines3 import SAC
    from stable_baselines3.common.logger import Logger

    options: ActorOptions = recipe.options
    env = Recorded(recipe, discrete=False)
    with seeded(recipe.seed):
        learner: Any = SAC(
            "MlpPolicy", env, learning_rate=options.learning_rate, gamma=options.discount, batch_size=options.batch,
            train_freq=options.train_every, learning_starts=options.warm_up, buffer_size=min(options.env_steps, 200_000),
            policy_kwargs={"net_arch": list(recipe.hidden)}, seed=recipe.seed, device="cpu",
        )  # fmt: skip
        learner.set_logger(Logger(None, []))  # its default one leaves a folder among the temporary files
        actor = learner.policy.actor
        try:
            learner.learn(options.env_steps)
        except ValueError:  # so torch refuses to draw an action from weights that are no numbers
            check_finite(f"action {learner.num_timesteps + 1}", {"actor": float(actor.mu.bias.detach().sum())})
            raise
    dense = dense_of(torch.nn.Sequential(actor.latent_pi, actor.mu))
    return Trained(partial(actor_move, dense, robot, options.step), env.curves, means_of_last(env.curves))


def actor_move(dense: Dense, robot: Robot, step: float, graph: Graph, q: Value, target: Value, tip: Value) -> Value:
    """The action without its noise."""
    return q + graph.tanh(dense.write(graph, graph_observation(robot, graph, q, target, tip))) * step


METHOD = Method(read, train)
