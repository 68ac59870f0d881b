"""What the methods share that learn by acting in the environment of the hand (S2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from nnik_ros.training.seeds.base import SeedRecipe
from nnik_ros.training.seeds.hand_env import ENV_ID, EPISODE
from nnik_ros.yaml_file import Section

_LAST = 20  # episodes that the notes are means of


@dataclass(frozen=True)
class ActingOptions:
    """env_steps: actions in all; step [rad]: largest motion of a joint in one action; discount: of later rewards; batch: of a
    gradient step; train_every: actions between gradient steps; near: see HandEnv; physics: train in MuJoCo."""

    env_steps: int
    step: float
    discount: float
    learning_rate: float
    batch: int
    train_every: int
    near: float
    physics: bool

    @property
    def before_training(self) -> int:
        """Actions that have to come before the first gradient step."""
        return self.batch

    @property
    def least_env_steps(self) -> int:
        """Actions without which no episode ends or no gradient step is made."""
        return max(EPISODE, self.before_training + self.train_every)

    @property
    def enough(self) -> str:
        """The same in words."""
        parts = f"{self.before_training} before the first gradient step, train_every {self.train_every}"
        return f"at least {self.least_env_steps} (an episode {EPISODE}; {parts})"


def read_acting(
    section: Section, *, largest_step: float, discount: float, learning_rate: float, batch: int, train_every: int
) -> dict[str, Any]:
    """The shared options of a section; given are the defaults."""
    return {
        "env_steps": section.integer("env_steps", low=1, high=100_000_000),
        "step": section.number("step", above=0.0, high=largest_step),
        "discount": section.number("discount", discount, low=0.0, high=1.0),
        "learning_rate": section.number("learning_rate", learning_rate, above=0.0, high=1.0),
        "batch": section.integer("batch", batch, low=1, high=100_000),
        "train_every": section.integer("train_every", train_every, low=1, high=1000),
        "near": section.number("near", 1.0, above=0.0, high=1.0),
        "physics": section.boolean("physics", False),
    }


def check_env_steps(section: Section, options: ActingOptions) -> None:
    """Report actions that are too few to learn anything from."""
    if options.env_steps < options.least_env_steps:
        section.wrong("env_steps", options.env_steps, options.enough)


class Recorded(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The environment of a recipe, which keeps curves of its episodes: the return, and the mean tip error at the end [mm]."""

    def __init__(self, recipe: SeedRecipe, *, discrete: bool) -> None:
        options: ActingOptions = recipe.options
        super().__init__(gymnasium.make(
            ENV_ID, robot=str(recipe.robot), discrete=discrete, step=options.step, near=options.near, physics=options.physics
        ))  # fmt: skip
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


def means_of_last(curves: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Of each curve, over its last episodes."""
    return {f"last_{name}": float(np.mean(curve[-_LAST:])) for name, curve in curves.items()}
