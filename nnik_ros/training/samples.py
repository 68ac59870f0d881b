"""What a training practises on: starts, targets, and what went badly before."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.robot import Robot
from nnik_ros.training.recipe import TrainingOptions

_HARD_OF_BATCH, _HARD_POOL = 8, 1024  # robots kept of each batch, and of all
_ELSEWHERE = 0.5  # of what is drawn again, where goals are shown: to be learned from everywhere


class Samples(NamedTuple):
    """n starts and targets, arrays or tensors: q (n, nq) [rad]; target (n, nt, 3) [m]; goal (n, nq) [rad], the posture that
    these are the tips of, where they are reachable (n,) for certain; missed (n, nt): by the tips whenever they were tried."""

    q: Any
    target: Any
    goal: Any
    reachable: Any
    missed: Any

    def of(self, index: Any) -> Samples:
        """Some of them."""
        return Samples(*(part[index] for part in self))

    def kept(self, batch: Samples, error: Array) -> Samples:
        """These and the worst of a batch, by its errors (n, nt) [m]: as many as are to be drawn again."""
        worst = np.argsort(np.where(batch.reachable, error.max(-1), 0.0))[-_HARD_OF_BATCH:]
        worst = worst[batch.reachable[worst]]  # fewer where there are not as many
        added = zip(self, batch.of(worst), strict=True)
        return Samples(*(np.concatenate([old, new])[-_HARD_POOL:] for old, new in added))


def no_samples(robot: Robot) -> Samples:
    return Samples(
        np.empty((0, robot.nq)), np.empty((0, robot.nt, 3)), np.empty((0, robot.nq)),
        np.empty(0, dtype=bool), np.empty((0, robot.nt), dtype=bool),
    )  # fmt: skip


def sample(robot: Robot, options: TrainingOptions, rng: np.random.Generator, hard: Samples) -> Samples:
    """A batch. A share of the starts is near the goal, from 0.3 % of the way to all of it, the others anywhere; a share of the
    targets is moved off, mostly out of reach; a share is drawn again from the `hard` ones, half of it to be reached from
    elsewhere where goals are shown."""
    goal, q = (robot.random_joint_position(rng, options.batch) for _ in range(2))
    near = rng.random((options.batch, 1)) < options.near_share
    q = np.where(near, goal + 10.0 ** rng.uniform(-2.5, 0.0, near.shape) * (q - goal), q)
    beyond = rng.random(options.batch) < options.beyond_share
    shift = rng.normal(size=(options.batch, robot.nt, 3)) * options.beyond * robot.kinematics.reach[:, None]
    target = robot.kinematics.tip_position(goal) + beyond[:, None, None] * shift
    batch = Samples(q, target, goal, ~beyond, np.zeros((options.batch, robot.nt), dtype=bool))
    again = np.flatnonzero(rng.random(options.batch) < options.hard_share) if len(hard.q) else np.arange(0)
    drawn = rng.integers(0, max(len(hard.q), 1), len(again))
    for part, old in zip(batch, hard, strict=True):
        part[again] = old[drawn]
    if options.shown:
        elsewhere = again[rng.random(len(again)) < _ELSEWHERE]
        q[elsewhere] = robot.random_joint_position(rng, len(elsewhere))
    return batch
