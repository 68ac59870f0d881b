"""`python -m benchmarks.sweep`: short search for each peer's settings; what it prints is the ground for their defaults.

Static: random starts, share of hands within 0.1 mm, calls and time. Tracking: the three kinds of paths.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import measure, peers_other, peers_qp, scores, workloads
from benchmarks.markdown import number, table
from benchmarks.measure import Effort
from benchmarks.plain_urdf import plain_urdf
from benchmarks.scores import Score
from benchmarks.solver import Scene, Solver
from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.closest import closest_distance
from nnik_ros.geometry import Array
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot

Make = Callable[..., Solver]
Grid = dict[str, tuple[Any, ...]]
ROBOT = "allegro_right"
# every setting gets through everything, or else the slow ones would be judged by other hands and ticks
_EFFORT = Effort(repeats=1, hands=200, many_hands=0, ticks=1332, paths=3, seconds=math.inf, oracle_every=8)
_SEED = 7  # not that of the benchmark
_EQUAL = 0.01  # share of hands by which settings count as equally good
_NOISE = 1.2  # times of a busy machine that count as equal, as a ratio
_LEAST = 1e-4  # of a figure of tracking; below, all are equally good

_DAMPED: Grid = {
    "lm_damping": (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0), "limit_gain": (0.5, 0.95, 1.0), "qp": ("daqp", "quadprog"),
}  # fmt: skip
_POSED: Grid = {
    "posture": (1e-4, 3e-4, 1e-3),
    "posture_gain": (0.001, 0.005, 0.02),
    "track_damping": (0.0, 1e-2, 1e-1, 1.0, 10.0),
}
STATIC: dict[str, tuple[Make, Grid]] = {
    "placo": (peers_qp.placo, {"regularization": (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)}),
    "pink": (peers_qp.pink, _DAMPED),
    "mink": (peers_qp.mink, _DAMPED),
    "pinocchio": (
        peers_other.pinocchio,
        {"damping": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1), "floor": (1e-5, 1e-4, 1e-2), "largest": (0.5, 1.0, 2.0, 3.0, 4.0)},
    ),
    "roboticstoolbox": (
        peers_other.roboticstoolbox,
        {"method": ("chan", "sugihara"), "k": (0.1, 1e-3, 1e-5, 1e-7), "tolerance": (1e-8, 1e-9, 1e-12)},
    ),
    "dex": (
        peers_other.dex_retargeting,
        {"norm_delta": (0.0, 1e-7, 1e-6), "ftol": (1e-12, 1e-14, 1e-16), "huber_delta": (0.005, 0.02, 0.2)},
    ),
}
TRACKING: dict[str, tuple[Make, Grid]] = {
    "placo": (
        peers_qp.placo,
        {"posture": (0.0, 1e-10, 1e-9, 1e-8, 1e-7), "track_regularization": (1e-8, 1e-7, 1e-6, 1e-5)},
    ),
    "pink": (peers_qp.pink, _POSED),
    "mink": (peers_qp.mink, _POSED),
    "pinocchio": (
        peers_other.pinocchio,
        {"track_damping": (3.0, 10.0, 30.0, 100.0, 300.0), "track_floor": (1e-4, 1e-3, 1e-2, 3e-2, 1e-1)},
    ),
    "roboticstoolbox": (  # sugihara comes to the same with a small k, and to nothing with a larger one
        peers_other.roboticstoolbox,
        {
            "track_method": ("chan",),
            "track_k": (100.0, 10.0, 1.0, 0.1, 1e-3, 1e-5),
            "track_tolerance": (1e-9, 1e-12, 1e-15),
            "track_searches": (1, 10),
        },
    ),
    "dex": (peers_other.dex_retargeting, {"track_norm_delta": (0.0, 1e-8, 1e-7, 1e-6, 1e-5)}),
}
TICKS = {"dex": 444}  # of each path, of a peer that takes milliseconds for each
# ends of the grids where they cannot go on: nothing is less than none or more than all, more searches take longer than a tick,
# and what is more exact counts the same
CLOSED = {
    "posture": 0.0, "lm_damping": 0.0, "track_damping": 0.0, "norm_delta": 0.0, "track_norm_delta": 0.0,
    "track_searches": 10, "track_tolerance": 1e-15, "limit_gain": 1.0,
}  # fmt: skip
PATHS = {"smooth": workloads.smooth_path, "singular": workloads.singular_path, "beyond": workloads.beyond_path}
FIGURES = {  # of a tracking table: the paths and the key of their score, as it is called there
    "smooth: rms mm": ("smooth", "error_rms_mm"),
    "max mm": ("smooth", "error_max_mm"),
    "2nd diff": ("smooth", "second_difference"),
    "singular: rms": ("singular", "error_rms_mm"),
    "max": ("singular", "error_max_mm"),
    "2nd": ("singular", "second_difference"),
    "beyond: p99": ("beyond", "excess_p99_mm"),
    "most": ("beyond", "excess_max_mm"),
}


class Road(NamedTuple):
    """closest: the smallest possible distances (n, nt) [m] where the path leads out of reach, else None."""

    path: workloads.Path
    closest: Array | None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sweep", description="Settings of the peers.")
    parser.add_argument("--only", default="", help="a peer")
    options = parser.parse_args(arguments)
    robot = load_robot(robot_file(ROBOT))
    roads = make_roads(robot)
    print(introduction(roads))
    with tempfile.TemporaryDirectory() as folder:
        urdf = Path(folder) / "hand.urdf"
        urdf.write_text(plain_urdf(robot, robot.kinematics))
        scene = Scene(robot, robot.kinematics, str(urdf))
        for name in STATIC:
            if options.only in name:
                print(f"\n### {name}, static\n\n{_static(scene, *STATIC[name])}", flush=True)
        for name in TRACKING:
            if options.only in name:
                print(f"\n### {name}, tracking\n\n{_tracking(scene, _begun(roads, name), *TRACKING[name])}", flush=True)
    return 0


def make_roads(robot: Robot) -> dict[str, list[Road]]:
    """The paths of each kind, others than those of the benchmark."""
    roads: dict[str, list[Road]] = {name: [] for name in PATHS}
    for kind, (name, make) in enumerate(PATHS.items()):
        for place in range(_EFFORT.paths):
            rng = np.random.default_rng((_SEED, kind, place))
            path = make(robot, rng, _EFFORT.ticks)
            far = name == "beyond"
            closest = (
                closest_distance(DampedLeastSquares(robot), path.target[:: _EFFORT.oracle_every], rng) if far else None
            )
            roads[name].append(Road(path, closest))
    return roads


def _begun(roads: Mapping[str, Sequence[Road]], peer: str) -> dict[str, list[Road]]:
    """As much of the paths as a peer follows."""
    ticks = TICKS.get(peer, _EFFORT.ticks)
    return {
        name: [road._replace(path=road.path._replace(target=road.path.target[:ticks])) for road in all_]
        for name, all_ in roads.items()
    }


def introduction(roads: Mapping[str, Sequence[Road]]) -> str:
    """How the settings were found, and how far the tips went: paths that change show there."""
    ways = ", ".join(f"{name} {_travel(all_):.4g} m" for name, all_ in roads.items())
    return f"""# Settings of the peers

Made by `python -m benchmarks.sweep > benchmarks/sweep.md`; the best ones are the defaults. Static: of the settings that solve
the most of {_EFFORT.hands} hands, give or take {_EQUAL:.0%}, the fewest calls, then the most hands, then the least time.
Tracking: the least geometric mean of the table's figures, of which none counts as less than {_LEAST:g}, over
{_EFFORT.paths} paths of each kind of {_EFFORT.ticks} ticks; dex gets the first {TICKS["dex"]} of each.

Tips travel, on average: {ways}."""


def best_static(found: Sequence[Score], inside: Sequence[bool]) -> int:
    """Which score is the best: of those that count as equal to the most hands the fewest calls, then the most hands, then the
    least time; of equal times the first that is inside of the grid."""
    most = max(score["share_fine"] for score in found)
    equal = [i for i, score in enumerate(found) if score["share_fine"] >= most - _EQUAL]
    equal = _least(equal, [score["calls_p50"] for score in found])
    equal = _least(equal, [-score["share_fine"] for score in found])
    times = [score["fine_p50_us"] for score in found]
    fastest = min(times[i] for i in equal)
    return min(equal, key=lambda i: (times[i] > _NOISE * fastest, not inside[i], i))


def is_inside(grid: Grid, settings: Mapping[str, Any]) -> bool:
    """Whether no number stands at an end of its grid where that could go on."""
    return all(
        isinstance(value, str) or value == CLOSED.get(name) or min(grid[name]) < value < max(grid[name])
        for name, value in settings.items()
    )


def best_tracking(figures: Sequence[Sequence[float]]) -> int:
    """Which row is the best: the least product, so that halving one figure makes up for doubling another."""
    return int(np.argmin(np.log(np.maximum(figures, _LEAST)).sum(axis=1)))


def _static(scene: Scene, make: Make, grid: Grid) -> str:
    problems = workloads.static_problems(scene.robot, scene.kinematics, np.random.default_rng(_SEED), _EFFORT.hands)[
        "random"
    ]
    found = []
    for settings in _combinations(grid):
        solver = make(scene, **settings)
        found.append(scores.static_score(measure.static(scene, [solver], problems, _EFFORT)[solver.name]))
    rows = [(f"{score['share_fine']:.1%}", number(score["fine_p50_us"]), number(score["calls_p50"])) for score in found]
    return _table(
        grid,
        ("0.1 mm", "p50 us", "calls"),
        rows,
        best_static(found, [is_inside(grid, row) for row in _combinations(grid)]),
    )


def _tracking(scene: Scene, roads: Mapping[str, Sequence[Road]], make: Make, grid: Grid) -> str:
    rows = []
    for settings in _combinations(grid):
        solver = make(scene, **settings)
        found = {name: scores.merged([_score(scene, solver, road) for road in all_]) for name, all_ in roads.items()}
        rows.append([found[name][key] for name, key in FIGURES.values()])
    return _table(grid, FIGURES, [tuple(map(number, row)) for row in rows], best_tracking(rows))


def _least(places: Sequence[int], values: Sequence[float]) -> list[int]:
    return [i for i in places if values[i] == min(values[k] for k in places)]


def _score(scene: Scene, solver: Solver, road: Road) -> Score:
    run = measure.track([solver], road.path, _EFFORT)[solver.name]
    score = scores.track_score(scene.robot, scene.kinematics, run)
    if road.closest is not None:
        score |= scores.beyond_score(scene.kinematics, run, road.closest, _EFFORT.oracle_every)
    return score


def _travel(roads: Sequence[Road]) -> float:
    """Mean way of a tip along a path [m]."""
    steps = [np.linalg.norm(np.diff(road.path.target, axis=0), axis=-1) for road in roads]
    return float(np.sum(steps, axis=1).mean())


def _table(grid: Grid, columns: Iterable[str], rows: Sequence[Sequence[str]], best: int) -> str:
    words = [_words(settings) for settings in _combinations(grid)]
    lines = table(("settings", *columns), [(name, *row) for name, row in zip(words, rows, strict=True)])
    return f"{lines}\n\nBest: {words[best]}"


def _combinations(grid: Grid) -> list[dict[str, Any]]:
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items()
    )


if __name__ == "__main__":
    sys.exit(main())
