"""What a calibration is worth: where the tips of the true robot end up, and whether the recording is of this robot at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.escape import best_end
from nnik_ros.geometry import Array
from nnik_ros.guarded_solver import GuardedSolver
from nnik_ros.kinematics import Kinematics
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot
from nnik_ros.training.recording import Recording

_STEPS, _STARTS = 30, 3
_NEAR = 0.3  # rad from the start to the goal
_MARGIN = 0.1  # of the joints' range; a robot with other zeros reaches there too
_TARGETS, _SEED = 1000, 20_260_101


def inner_goals(robot: Robot, n: int, rng: np.random.Generator) -> Array:
    """Joint positions (n, nq) [rad] away from the limits, where a robot with other zeros can go too."""
    margin = _MARGIN * (robot.upper - robot.lower)
    return rng.uniform(robot.lower + margin, robot.upper - margin, (n, robot.nq))


def solved(policy: Policy, target: Array, near: Array, rng: np.random.Generator) -> Array:
    """Joints (n, nq) that `policy`, guarded, believes to put the tips on target (n, nt, 3): for each tip the best of a few
    starts around `near` (n, nq), so that what is left is the geometry's error and not a start that led nowhere."""
    robot, kinematics = policy.robot, policy.kinematics
    start = near + rng.uniform(-_NEAR, _NEAR, (_STARTS, *near.shape))
    q, goal = np.clip(start, robot.lower, robot.upper), np.broadcast_to(target, (_STARTS, *target.shape))
    solver = GuardedSolver(policy, DampedLeastSquares(robot, kinematics))
    for _ in range(_STEPS):
        q = solver.step(q, goal)
    return best_end(kinematics, q, goal)[0]


def reached_error(policy: Policy, true: Kinematics, n: int, rng: np.random.Generator) -> Array:
    """Distance (n, nt) [m] of the tips of the `true` robot from targets that it can reach, after `policy` has solved for them
    with the geometry that it believes in."""
    goal = inner_goals(policy.robot, n, rng)
    target = true.tip_position(goal)
    error: Array = np.linalg.norm(true.tip_position(solved(policy, target, goal, rng)) - target, axis=-1)
    return error


def true_error_table(policies: Mapping[str, Policy], true: Kinematics) -> str:
    """True errors of all tips at random reachable targets, one line for each of the named solvers, in millimetres."""
    lines = [f"true tip error at {_TARGETS} targets, mm           median       p99       max"]
    for name, policy in policies.items():
        error = reached_error(policy, true, _TARGETS, np.random.default_rng(_SEED)) * 1e3
        lines.append(f"{name:41}{np.median(error):10.4f}{np.quantile(error, 0.99):10.4f}{error.max():10.4f}")
    return "\n".join(lines)


def exchanged_tips(recording: Recording, robot: Robot) -> Iterator[str]:
    """Tips whose measurements lie much closer to another tip of the described robot than to their own."""
    described = robot.kinematics.tip_position(recording.q)  # (n, nt, 3)
    for t, name in enumerate(robot.tip_names):
        distance = np.nanmedian(np.linalg.norm(recording.tip[:, t, None] - described, axis=-1), axis=0)
        nearest = int(distance.argmin())
        if nearest != t and distance[nearest] < 0.5 * distance[t]:
            yield f"the measurements of '{name}' look like those of '{robot.tip_names[nearest]}': are tips or joints exchanged?"
