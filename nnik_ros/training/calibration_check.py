"""What a calibration is worth: where the tips of the true robot end up, and whether the recording is of this robot at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.errors import InputError
from nnik_ros.escape import best_end
from nnik_ros.evaluate import SEED
from nnik_ros.geometry import Array
from nnik_ros.guarded_solver import GuardedSolver
from nnik_ros.kinematics import Kinematics
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot
from nnik_ros.training.recording import Recording
from nnik_ros.training.units import FAR

_STEPS, _STARTS = 30, 3
_NEAR = 0.3  # rad from the start to the goal
_MARGIN = 0.1  # of the joints' range; a robot with other zeros reaches there too
_TARGETS = 1000
_FEW_RANGE = 0.3  # of a joint's range
_MOVED = 0.02  # reaches over which the joints move a tip that can be told from one that stands still
_STILL = 0.1  # of that motion; a tip that was measured over less stood still
MOVE_ALL = "move every one through most of its range"  # of joints that hardly moved


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
        error = reached_error(policy, true, _TARGETS, np.random.default_rng(SEED)) * 1e3
        lines.append(f"{name:41}{np.median(error):10.4f}{np.quantile(error, 0.99):10.4f}{error.max():10.4f}")
    return "\n".join(lines)


def check_measured(recording: Recording, robot: Robot, least: int) -> None:
    """Raises InputError: fewer than `least` measurements of a tip."""
    counts = recording.measured.sum(0)
    few = [f"{name} {n}" for name, n in zip(robot.tip_names, counts, strict=True) if n < least]
    if few:
        raise InputError(
            f"too few usable tip measurements, at least {least} of each tip are needed: {', '.join(few)}\n"
            + recording.report.text()
        )


def check_judged(recording: Recording, robot: Robot, held_out: NDArray[np.bool_]) -> None:
    """Raises InputError: a tip was not measured both in the poses that are held out (n,) and in the others."""
    seen = recording.measured
    brief = ~(seen[held_out].any(0) & seen[~held_out].any(0))
    if brief.any():
        names = ", ".join(f"'{robot.tip_names[t]}'" for t in np.flatnonzero(brief))
        raise InputError(
            f"seen for too short a time: {names}; of each tip some measurements are held out, in stretches of their own, to "
            "judge by them what is learned from the others: let the tracker see every tip again and again"
        )


def hardly_moved(moved: Array, robot: Robot) -> NDArray[np.bool_]:
    """Which joints (nq,) moved too little to tell much of them. moved (nq,) [rad]: over what each did."""
    return np.asarray(moved < _FEW_RANGE * (robot.upper - robot.lower))


def little_motion(little: NDArray[np.bool_], moved: Array, robot: Robot) -> str:
    """Joints (nq,) that hardly moved, in words, with how far they did, moved (nq,) [rad]; empty for none."""
    joints = [f"{robot.joint_names[i]} by {np.degrees(moved[i]):.1f} deg" for i in np.flatnonzero(little)]
    return f"these joints hardly moved: {', '.join(joints)}" if joints else ""


def check_robot(recording: Recording, robot: Robot, others: Iterable[str] = ()) -> None:
    """Raises InputError: reasons to believe that nothing can be learned from a recording; others: that were found before."""
    hints = [*of_another_robot(recording, robot), *others]
    if hints:
        raise InputError("nothing can be learned from the recording" + "".join(f"\n  - {hint}" for hint in hints))


def check_seen(recording: Recording, robot: Robot) -> None:
    """Raises InputError: tips whose measurements stand still while the joints move, which a fit takes for a finger without
    length."""
    still = list(_still_tips(recording, robot))
    if still:
        raise InputError("\n".join(still))


def of_another_robot(recording: Recording, robot: Robot) -> list[str]:
    """Reasons to believe that a recording is not of `robot`, or not of its joints and tips in their order; none as a rule."""
    return [*_still_tips(recording, robot), *_far_tips(recording, robot), *_exchanged_tips(recording, robot)]


def _still_tips(recording: Recording, robot: Robot) -> Iterator[str]:
    """Tips that hardly moved where they were measured, though the joints moved them."""
    described = np.where(recording.measured[..., None], robot.kinematics.tip_position(recording.q), np.nan)
    moved, measured = (
        np.nanmedian(np.linalg.norm(tip - np.nanmedian(tip, axis=0), axis=-1), axis=0)
        for tip in (described, recording.tip)
    )
    still = (moved > _MOVED * robot.kinematics.reach) & (measured < _STILL * moved)
    tips = [
        f"'{robot.tip_names[t]}' by {measured[t] * 1e3:.2g} mm of {moved[t] * 1e3:.2g}" for t in np.flatnonzero(still)
    ]
    if still.any():
        yield (
            f"measurements stand still while the joints move, {', '.join(tips)} around the middle in the median: "
            "did the tracker repeat what it saw last?"
        )


def _far_tips(recording: Recording, robot: Robot) -> Iterator[str]:
    """Tips whose measurements lie far from where the description puts them."""
    departure = np.linalg.norm(robot.kinematics.tip_position(recording.q) - recording.tip, axis=-1)  # (n, nt)
    median = np.nanmedian(departure, axis=0)
    far = [
        f"'{robot.tip_names[t]}' by {median[t] * 1e3:.0f} mm"
        for t in np.flatnonzero(median > FAR * robot.kinematics.reach)
    ]
    if far:
        yield (
            f"tips are far from where the description puts them, {', '.join(far)} in the median: "
            "is the recording of another robot or of the other side?"
        )


def _exchanged_tips(recording: Recording, robot: Robot) -> Iterator[str]:
    """Tips whose measurements lie much closer to another tip of the described robot than to their own."""
    described = robot.kinematics.tip_position(recording.q)  # (n, nt, 3)
    for t, name in enumerate(robot.tip_names):
        distance = np.nanmedian(np.linalg.norm(recording.tip[:, t, None] - described, axis=-1), axis=0)
        nearest = int(distance.argmin())
        if nearest != t and distance[nearest] < 0.5 * distance[t]:
            yield f"the measurements of '{name}' look like those of '{robot.tip_names[nearest]}': are tips or joints exchanged?"
