"""The closest that each tip can come to its target: what solvers are judged by where targets are out of reach."""

from __future__ import annotations

import numpy as np

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.geometry import Array

_SAMPLES = 8000  # postures
_REFINED = 6  # the nearest of them
_REFINEMENTS = 60  # steps
_FEW = 200  # targets at a time: each is compared with every sample


def closest_distance(damped: DampedLeastSquares, target: Array, rng: np.random.Generator) -> Array:
    """Smallest possible distance of each tip to its target, within the joint limits: target (n, nt, 3), returns (n, nt) [m].

    Many starts: the nearest of many sampled postures (half of them with joints at their limits, where the closest points
    lie) are refined by the careful damped step. Fingers are independent, so each takes its own best.
    """
    parts = [_of_few(damped, target[first : first + _FEW], rng) for first in range(0, len(target), _FEW)]
    return np.concatenate(parts)


def _of_few(damped: DampedLeastSquares, target: Array, rng: np.random.Generator) -> Array:
    robot, kinematics = damped.robot, damped.kinematics
    samples = robot.random_joint_position(rng, _SAMPLES)
    edge = rng.uniform(size=samples.shape)
    samples = np.where(edge < 0.15, robot.lower, np.where(edge > 0.85, robot.upper, samples))
    tips = kinematics.tip_position(samples)
    q: Array = np.empty((_REFINED, len(target), robot.nq))
    for tip in range(robot.nt):
        joints = np.flatnonzero(kinematics.tip_of_joint == tip)
        gap = np.linalg.norm(target[:, None, tip] - tips[None, :, tip], axis=-1)
        nearest = np.argpartition(gap, _REFINED, axis=1)[:, :_REFINED]
        q[..., joints] = samples[nearest.T][..., joints]
    best: Array = np.full(target.shape[:2], np.inf)
    for _ in range(_REFINEMENTS):
        at = kinematics.tips(q)
        best = np.minimum(best, np.linalg.norm(at.position - target, axis=-1).min(axis=0))
        q = damped.step_from(q, at, np.broadcast_to(target, (_REFINED, *target.shape)), careful=True)
    return best
