"""`python -m benchmarks.sweep`: short search for each peer's settings; what it prints is the ground for their defaults.

Static: random starts, share of hands within 0.1 mm and median time. Tracking: smooth path and excursions out of reach.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure, peers_other, peers_qp, scores, workloads
from benchmarks.markdown import number, table
from benchmarks.measure import Effort
from benchmarks.plain_urdf import plain_urdf
from benchmarks.solver import Scene, Solver
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot

Grid = dict[str, tuple[Any, ...]]
_EFFORT = Effort(repeats=1, hands=100, many_hands=0, ticks=1332, paths=1, seconds=1.0, oracle_every=20)
_SEED = 7  # not that of the benchmark

STATIC: dict[str, tuple[Callable[..., Solver], Grid]] = {
    "placo": (peers_qp.placo, {"regularization": (1e-6, 1e-5, 1e-4, 1e-3)}),
    "pink": (peers_qp.pink, {"lm_damping": (1e-4, 1e-3, 1e-2, 1e-1), "qp": ("daqp", "quadprog")}),
    "mink": (peers_qp.mink, {"lm_damping": (1e-4, 1e-3, 1e-2, 1e-1), "qp": ("daqp", "quadprog")}),
    "pinocchio": (
        peers_other.pinocchio,
        {"damping": (1e-3, 1e-2, 1e-1), "floor": (1e-4, 1e-3), "largest": (0.3, 0.5, 1.0)},
    ),
    "roboticstoolbox": (
        peers_other.roboticstoolbox,
        {"method": ("chan", "sugihara"), "k": (1.0, 0.1, 1e-3, 1e-5), "tolerance": (1e-9, 1e-12)},
    ),
    "dex": (
        peers_other.dex_retargeting,
        {"norm_delta": (0.0, 1e-6), "ftol": (1e-10, 1e-14), "huber_delta": (0.02, 0.2)},
    ),
}
TRACKING: dict[str, tuple[Callable[..., Solver], Grid]] = {
    "placo": (peers_qp.placo, {"posture": (0.0, 1e-8, 1e-7, 1e-6), "track_regularization": (1e-7, 1e-6, 1e-5, 1e-4)}),
    "pink": (
        peers_qp.pink,
        {"posture": (1e-4, 1e-3), "posture_gain": (0.005, 0.02), "track_damping": (0.0, 1e-3, 1e-1)},
    ),
    "mink": (
        peers_qp.mink,
        {"posture": (1e-4, 1e-3), "posture_gain": (0.005, 0.02), "track_damping": (0.0, 1e-3, 1e-1)},
    ),
    "pinocchio": (peers_other.pinocchio, {"track_damping": (1e-2, 1e-1, 1.0, 10.0), "floor": (1e-4, 1e-3, 1e-2)}),
    "roboticstoolbox": (
        peers_other.roboticstoolbox,
        {"track_method": ("chan", "sugihara"), "track_k": (1.0, 0.1, 1e-3, 1e-5), "searches": (1, 100)},
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sweep", description="Settings of the peers.")
    parser.add_argument("--robot", default="allegro_right")
    parser.add_argument("--only", default="", help="a peer")
    options = parser.parse_args(arguments)
    robot = load_robot(robot_file(options.robot))
    print(
        "# Settings of the peers\n\nMade by `python -m benchmarks.sweep > benchmarks/sweep.md`; the best ones are the defaults."
    )
    with tempfile.TemporaryDirectory() as folder:
        urdf = Path(folder) / "hand.urdf"
        urdf.write_text(plain_urdf(robot, robot.kinematics))
        scene = Scene(robot, robot.kinematics, str(urdf))
        for name in STATIC:
            if options.only in name:
                print(f"\n### {name}, static\n\n{_static(scene, *STATIC[name])}", flush=True)
        for name in TRACKING:
            if options.only in name:
                print(f"\n### {name}, tracking\n\n{_tracking(scene, *TRACKING[name])}", flush=True)
    return 0


def _static(scene: Scene, make: Callable[..., Solver], grid: Grid) -> str:
    problems = workloads.static_problems(scene.robot, scene.kinematics, np.random.default_rng(_SEED), _EFFORT.hands)[
        "random"
    ]
    rows = []
    for settings in _combinations(grid):
        solver = make(scene, **settings)
        score = scores.static_score(measure.static(scene, [solver], problems, _EFFORT)[solver.name])
        rows.append((_words(settings), f"{score['share_fine']:.0%}", number(score["fine_p50_us"]),
                     number(score["calls_p50"])))  # fmt: skip
    return table(("settings", "0.1 mm", "p50 us", "calls"), rows)


def _tracking(scene: Scene, make: Callable[..., Solver], grid: Grid) -> str:
    rng = np.random.default_rng(_SEED)
    paths = [make_path(scene.robot, rng, _EFFORT.ticks) for make_path in (workloads.smooth_path, workloads.beyond_path)]
    closest = workloads.closest_distance(scene.robot, paths[1].target[:: _EFFORT.oracle_every], rng)
    rows = []
    for settings in _combinations(grid):
        solver = make(scene, **settings)
        smooth, beyond = (measure.track([solver], path, _EFFORT)[solver.name] for path in paths)
        s = scores.track_score(scene.robot, scene.kinematics, smooth)
        b = scores.track_score(scene.robot, scene.kinematics, beyond)
        b.update(scores.beyond_score(scene.kinematics, beyond, closest, _EFFORT.oracle_every))
        values = [s[key] for key in ("error_rms_mm", "error_max_mm", "speed_max", "second_difference")]
        values += [b.get(key, np.nan) for key in ("excess_p99_mm", "excess_max_mm", "speed_max")]
        rows.append((_words(settings), *map(number, values)))
    columns = ("settings", "rms mm", "max mm", "speed", "2nd diff", "beyond: p99 mm", "max mm", "speed")
    return table(columns, rows)


def _combinations(grid: Grid) -> list[dict[str, Any]]:
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _words(settings: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in settings.items()
    )


if __name__ == "__main__":
    sys.exit(main())
