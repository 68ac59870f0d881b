"""Runs solvers on workloads and keeps what they did: outcomes once, times of every repeat, solvers in rotated order.

Times are processor time of the whole process, all threads: other processes of the machine hardly disturb them, and a solver
that starts threads pays for them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from benchmarks.solver import Scene, Solver
from benchmarks.workloads import Path, Static
from nnik_ros.geometry import Array
from nnik_ros.guarded_solver import GuardedSolver
from nnik_ros.kinematics import Kinematics
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot

_Item = TypeVar("_Item")
COARSE, FINE = 1e-3, 1e-4  # m, of the worst tip
CALLS = 60  # of a single step until a hand counts as failed
WHOLE_CALLS = 5
_INSIDE = 1e-6  # rad; a joint further outside its limits is a failure
_CHUNK = 1000  # hands in one call
_BATCH_STEPS = 5
_MOST_STEPS = 10


class Effort(NamedTuple):
    """Plan of a run. seconds: that one solver may spend on one workload in one repeat; paths: of each kind."""

    repeats: int
    hands: int
    many_hands: int
    ticks: int
    paths: int
    seconds: float
    oracle_every: int


FULL = Effort(repeats=3, hands=400, many_hands=50_000, ticks=1332, paths=3, seconds=1.5, oracle_every=8)
QUICK = Effort(repeats=2, hands=40, many_hands=3000, ticks=1332, paths=1, seconds=0.3, oracle_every=24)


class StaticRun(NamedTuple):
    """coarse, fine: [s] until the worst tip was within 1 mm and 0.1 mm, inf where never,
    (repeats, n); calls: until fine, (n,)."""

    coarse: Array
    fine: Array
    calls: Array


class TrackRun(NamedTuple):
    """q (ticks + 1, nq) [rad] from the start on; target (ticks, nt, 3) [m] as given, reference (ticks, nt, 3) [m] as followed,
    see `Tick`; seconds (repeats, ticks)."""

    q: Array
    target: Array
    reference: Array
    seconds: Array


def static(scene: Scene, solvers: Sequence[Solver], problems: Static, effort: Effort) -> dict[str, StaticRun]:
    """Every solver on as many of the problems as it can finish in its time."""
    runs: dict[str, list[StaticRun]] = {solver.name: [] for solver in solvers}
    for repeat in range(effort.repeats):
        for solver in _rotated(solvers, repeat):
            n = len(runs[solver.name][0].calls) if repeat else len(problems.start)
            runs[solver.name].append(
                _static_once(scene, solver, problems, n, effort.seconds if repeat == 0 else np.inf)
            )
    return {
        name: StaticRun(
            np.stack([run.coarse[0] for run in all_]), np.stack([run.fine[0] for run in all_]), all_[0].calls
        )
        for name, all_ in runs.items()
    }


def track(solvers: Sequence[Solver], path: Path, effort: Effort) -> dict[str, TrackRun]:
    """Every peer along as much of the path as it can follow in its time; this package along all of it."""
    runs: dict[str, list[TrackRun]] = {solver.name: [] for solver in solvers}
    for repeat in range(effort.repeats):
        for solver in _rotated(solvers, repeat):
            ticks = len(runs[solver.name][0].reference) if repeat else len(path.target)
            runs[solver.name].append(
                _track_once(solver, path, ticks, np.inf if repeat or solver.ours else effort.seconds)
            )
    return {
        name: all_[0]._replace(seconds=np.concatenate([run.seconds for run in all_])) for name, all_ in runs.items()
    }


def steps_needed(robot: Robot, policy: Policy, problems: Static, steps: int) -> Array:
    """Worst tip error [m] of each hand after 1, 2, ... steps: (steps, n), all hands in calls of 1000."""
    errors = np.empty((steps, len(problems.start)))
    for first in range(0, len(problems.start), _CHUNK):
        here = slice(first, first + _CHUNK)
        q, target = problems.start[here], problems.target[here]
        for k in range(steps):
            q = policy.step(q, target)
            errors[k, here] = worst_error(policy.kinematics, q, target)
    return errors


def batch(policies: Mapping[str, Policy], problems: Static, sizes: Sequence[int], repeats: int) -> dict[str, Array]:
    """Seconds per hand and step, (sizes, repeats): mean of the first five steps from random starts."""
    seconds: dict[str, Array] = {name: np.empty((len(sizes), repeats)) for name in policies}
    for row, size in enumerate(sizes):
        for repeat in range(repeats):
            for name, policy in _rotated(list(policies.items()), repeat):
                q, target = problems.start[:size], problems.target[:size]
                begin = time.process_time()
                for _ in range(_BATCH_STEPS):
                    q = policy.step(q, target)
                seconds[name][row, repeat] = (time.process_time() - begin) / (_BATCH_STEPS * size)
    return seconds


def several(solver: GuardedSolver, problems: Static, tolerance: float, repeats: int) -> dict[str, float]:
    """Until all tips are within the tolerance [m]: steps in separate calls with a look at the tips after each, and one call."""
    seconds, steps = np.empty((2, repeats, len(problems.start))), np.empty(len(problems.start))
    for repeat in range(repeats):
        for i, (q, target) in enumerate(zip(problems.start, problems.target, strict=True)):
            for way in (0, 1) if (i + repeat) % 2 else (1, 0):
                begin = time.process_time()
                if way:
                    steps[i] = solver.solve(q, target, tolerance=tolerance, steps=_MOST_STEPS).steps
                else:
                    _solve_separately(solver, q, target, tolerance)
                seconds[way, repeat, i] = time.process_time() - begin
    separate, one_call = np.median(seconds, axis=1)
    return {
        "separate_us": float(1e6 * np.median(separate)), "one_call_us": float(1e6 * np.median(one_call)),
        "ratio": float(np.median(one_call / separate)), "steps": float(steps.mean()),
    }  # fmt: skip


def _solve_separately(solver: GuardedSolver, q: Array, target: Array, tolerance: float) -> None:
    for _ in range(_MOST_STEPS):
        q = solver.step(q, target)
        if worst_error(solver.kinematics, q, target) <= tolerance:
            break


def worst_error(kinematics: Kinematics, q: Array, target: Array) -> Array:
    """Largest distance of a tip to its target: q (..., nq), target (..., nt, 3), returns (...) [m]."""
    error: Array = np.linalg.norm(kinematics.tip_position(q) - target, axis=-1).max(axis=-1)
    return error


def _static_once(scene: Scene, solver: Solver, problems: Static, n: int, budget: float) -> StaticRun:
    assert solver.solve is not None
    coarse, fine, calls = np.full(n, np.inf), np.full(n, np.inf), np.full(n, np.inf)
    finish = time.process_time() + budget
    most = WHOLE_CALLS if solver.whole else CALLS
    solver.solve(problems.start[0], problems.target[0])
    for i in range(n):
        spent, q, target = 0.0, problems.start[i], problems.target[i]
        for call in range(most):
            begin = time.process_time()
            q = solver.solve(q, target)
            spent += time.process_time() - begin
            error = float(worst_error(scene.kinematics, q, target))
            if error > COARSE or not _inside(scene.robot, q):
                continue
            coarse[i] = min(coarse[i], spent)
            if error <= FINE:
                fine[i], calls[i] = spent, call + 1
                break
        if time.process_time() > finish:
            n = i + 1
            break
    return StaticRun(coarse[None, :n], fine[None, :n], calls[:n])


def _track_once(solver: Solver, path: Path, ticks: int, budget: float) -> TrackRun:
    assert solver.track is not None
    tick = solver.track(path.start)
    q, reference = np.empty((ticks + 1, len(path.start))), np.empty((ticks, *path.target.shape[1:]))
    seconds = np.empty(ticks)
    q[0] = path.start
    finish = time.process_time() + budget
    for i in range(ticks):
        begin = time.process_time()
        command, followed = tick(path.target[i])
        seconds[i] = time.process_time() - begin
        q[i + 1], reference[i] = command, followed
        if time.process_time() > finish:
            ticks = i + 1
            break
    return TrackRun(q[: ticks + 1], path.target[:ticks], reference[:ticks], seconds[None, :ticks])


def _inside(robot: Robot, q: Array) -> bool:
    return bool((q >= robot.lower - _INSIDE).all() and (q <= robot.upper + _INSIDE).all())


def _rotated(items: Sequence[_Item], by: int) -> Iterator[_Item]:
    """All items, beginning with another one each time: what a solver leaves in the caches meets others in turn."""
    start = by % len(items) if items else 0
    yield from (*items[start:], *items[:start])
