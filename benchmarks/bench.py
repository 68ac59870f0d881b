"""`python -m benchmarks.bench [--quick]`: every solver on every workload, and whether this package keeps its word."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure, own, peers, perceptron, record, report, scores, workloads
from benchmarks.acceptance import judge
from benchmarks.measure import FULL, QUICK, Effort
from benchmarks.plain_urdf import plain_urdf
from benchmarks.solver import Absent, Scene, Solver
from nnik_ros.arguments import Help, check_writable, writing
from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.closest import closest_distance
from nnik_ros.errors import InputError, NnikError
from nnik_ros.geometry import Array
from nnik_ros.guarded_solver import GuardedSolver
from nnik_ros.kinematics import Kinematics
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file
from nnik_ros.robot import Robot, load_robot

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "runs" / "bench"
ROBOT = "allegro_right"  # of the page
SIZES = (1, 4, 16, 64, 256)
SEED = 20_270_101
_STEPS = 10
_TOLERANCES = (1e-4, 1e-6)  # m
_ROUNDS = 50  # of a step of the network, for each repeat


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    begin = time.monotonic()
    docs, file = ROOT / "docs", RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}{'-quick' if options.quick else ''}.json"
    try:
        check_writable(file, makes_folder=True)
        if options.write:
            check_writable(docs / "benchmark.md")
        robot, model = _subject(options.robot, options.model)
        node = _node_results(page=options.write)
        if options.write and node is None:
            raise InputError("--write: there are no results of the node for the page, run ./run bench-node before")
        with tempfile.TemporaryDirectory() as folder:
            effort = QUICK if options.quick else FULL
            results = run(robot, model, effort, Path(folder), options.only, whole=options.write)
        results["header"]["minutes"] = round((time.monotonic() - begin) / 60, 2)
        results["node"] = node
        print(report.text(results))
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(results, indent=1))
        print(f"raw results: {os.path.relpath(file)}; {results['header']['minutes']} min")
        if options.write:
            with writing(docs):
                report.write_page(results, docs)
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(row.passed for row in judge(results) if row.passed is not None) else 1


def run(
    robot: Robot, model: Path, effort: Effort, folder: Path, only: Sequence[str], *, whole: bool = False
) -> dict[str, Any]:
    """Everything but the node; the dictionary that is kept as JSON. Raises InputError: a word of `only` that is in no solver's
    name; whole: a solver that cannot be loaded."""
    rng = np.random.default_rng(SEED)
    scene = _scene(robot, robot.kinematics, folder / "hand.urdf")
    built = workloads.calibrated(robot.kinematics, rng)
    solvers, absent = _load(scene, model, only)
    missing = [f"{item.name}: {item.why}" for item in absent if item not in peers.NOT_HERE]
    if whole and missing:
        raise InputError("\n".join(["not every solver of the page can be loaded:", *missing]))
    results: dict[str, Any] = {
        "header": _header(effort, robot.name),
        "solvers": [{"name": s.name, "version": s.version, "settings": s.settings, "ours": s.ours} for s in solvers],
        "absent": [[item.name, item.why] for item in absent],
    }
    results["velocity_limit"] = float(robot.velocity.max())
    results["static"] = _static(scene, solvers, effort, rng)
    results["steps"], results["batch"] = _batched(scene, model, effort, rng)
    results["several"] = _several(scene, model, effort)
    results["step"] = _step(scene, model, effort)
    results["tracking"] = _tracking(scene, solvers, effort)
    other = _scene(robot, built, folder / "calibrated.urdf")
    results["calibrated"] = _calibrated(other, _load(other, model, only)[0], model, effort, rng)
    results["header"]["load_after"] = os.getloadavg()[0]
    return results


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description="This package side by side with other solvers.", formatter_class=Help
    )
    parser.add_argument("--quick", action="store_true", help="a small sample, in less than a minute")
    parser.add_argument("--robot", default=ROBOT, help="a shipped robot")
    parser.add_argument("--model", help="a shipped network or a file (default: that of the robot's name)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="only the solvers whose names contain one of these words"
    )
    parser.add_argument("--write", action="store_true", help="write docs/benchmark.md, its numbers and its plots")
    options = parser.parse_args(arguments)
    partial = [f"--{name}" for name in ("quick", "robot", "model", "only")
               if getattr(options, name) != parser.get_default(name)]  # fmt: skip
    if options.write and partial:
        parser.error(f"--write replaces the page of a whole run, it cannot go with {', '.join(partial)}")
    return options


def _subject(robot_name: str, model: str | None) -> tuple[Robot, Path]:
    """The robot and its network's file, which may be missing unless it was named. Raises NnikError."""
    robot = load_robot(robot_file(robot_name))
    if model is None:
        return robot, ROOT / "models" / f"{robot.name}.onnx"
    file = model_file(model)
    OnnxPolicy(file, robot)  # or else its rows would be left out
    return robot, file


def _load(scene: Scene, model: Path, only: Sequence[str]) -> tuple[list[Solver], list[Absent]]:
    ours, missing = own.load_own(scene, model, _package_version())
    others, absent = peers.load_peers(scene)
    solvers = [*ours, *others]
    for word in only:
        if not any(word in solver.name for solver in solvers):
            names = ", ".join(f"'{solver.name}'" for solver in solvers)
            raise InputError(f"--only {word}: in the name of no solver that can be loaded; there are {names}")
    return [s for s in solvers if not only or any(word in s.name for word in only)], [*missing, *absent]


def _scene(robot: Robot, kinematics: Kinematics, urdf: Path) -> Scene:
    urdf.write_text(plain_urdf(robot, kinematics))
    return Scene(robot, kinematics, str(urdf))


def _static(scene: Scene, solvers: Sequence[Solver], effort: Effort, rng: np.random.Generator) -> dict[str, Any]:
    taking_part = [s for s in solvers if s.solve is not None]
    problems = workloads.static_problems(scene.robot, scene.kinematics, rng, effort.hands)
    return {
        start: _each(measure.static(scene, taking_part, problem, effort), scores.static_score)
        for start, problem in problems.items()
    }


def _batched(scene: Scene, model: Path, effort: Effort, rng: np.random.Generator) -> tuple[Any, Any]:
    policies, _ = own.load_policies(scene, model)
    many = workloads.static_problems(scene.robot, scene.kinematics, rng, effort.many_hands)["random"]
    steps = {
        name: scores.steps_score(measure.steps_needed(scene.robot, policy, many, _STEPS))
        for name, policy in policies.items()
    }
    costs = measure.batch(policies, many, SIZES, max(10, 4 * effort.repeats))
    batch = {
        name: dict(zip(map(str, SIZES), (np.median(cost, axis=1) * 1e6).tolist(), strict=True))
        for name, cost in costs.items()
    }
    return steps, batch


def _several(scene: Scene, model: Path, effort: Effort) -> dict[str, Any]:
    solver = own.load_policies(scene, model)[0].get(own.GUARDED)
    if not isinstance(solver, GuardedSolver):
        return {}
    rng = np.random.default_rng(SEED)
    problems = workloads.static_problems(scene.robot, scene.kinematics, rng, effort.hands)["random"]
    return {f"{1e3 * size:g}": measure.several(solver, problems, size, effort.repeats) for size in _TOLERANCES}


def _step(scene: Scene, model: Path, effort: Effort) -> dict[str, float]:
    network = own.load_policies(scene, model)[0].get(own.NETWORK)
    if not isinstance(network, OnnxPolicy):
        return {}
    problems = workloads.static_problems(scene.robot, scene.kinematics, np.random.default_rng(SEED), 1)["near"]
    return perceptron.step_costs(network, problems, _ROUNDS * effort.repeats)


def _tracking(scene: Scene, solvers: Sequence[Solver], effort: Effort) -> dict[str, Any]:
    """Scores over all paths of each kind, the same ones in every run, however far a slow solver gets on them."""
    makers = {"smooth": workloads.smooth_path, "singular": workloads.singular_path, "beyond": workloads.beyond_path}
    tracking: dict[str, Any] = {}
    for kind, (name, make) in enumerate(makers.items()):
        found: dict[str, list[scores.Score]] = {}
        for place in range(effort.paths):
            path = make(scene.robot, np.random.default_rng((SEED, kind, place)), effort.ticks)
            runs = measure.track([s for s in solvers if s.track is not None], path, effort)
            closest = _closest(scene, path.target, effort.oracle_every) if name == "beyond" else None
            for solver, run in runs.items():
                score = scores.track_score(scene.robot, scene.kinematics, run)
                if closest is not None:
                    score |= scores.beyond_score(scene.kinematics, run, closest, effort.oracle_every)
                found.setdefault(solver, []).append(score)
        tracking[name] = {solver: scores.merged(all_) for solver, all_ in found.items()}
    return tracking


def _closest(scene: Scene, target: Array, every: int) -> Array:
    """What the oracle finds for every `every`-th target of a path (ticks, nt, 3) [m], once for all solvers: (n, nt) [m]."""
    return closest_distance(DampedLeastSquares(scene.robot), target[::every], np.random.default_rng(SEED))


def _calibrated(
    scene: Scene, solvers: Sequence[Solver], model: Path, effort: Effort, rng: np.random.Generator
) -> dict[str, Any]:
    """Random starts on the hand as built, every solver with its geometry; and the network steps that it takes."""
    small = effort._replace(repeats=1, hands=effort.hands // 2)
    policies, _ = own.load_policies(scene, model)
    many = workloads.static_problems(scene.robot, scene.kinematics, rng, effort.many_hands // 5)["random"]
    return {
        "static": _static(scene, solvers, small, rng)["random"],
        "steps": {
            name: scores.steps_score(measure.steps_needed(scene.robot, policy, many, _STEPS))
            for name, policy in policies.items()
        },
    }


def _each(runs: dict[str, Any], score: Callable[[Any], scores.Score]) -> dict[str, scores.Score]:
    return {name: score(run) for name, run in runs.items()}


def _header(effort: Effort, robot: str) -> dict[str, Any]:
    cpu = next(
        (line.split(":")[1].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "date": time.strftime("%Y-%m-%d"), "cpu": cpu, "cores": os.cpu_count(), "load_before": os.getloadavg()[0],
        "python": platform.python_version(), "numpy": np.__version__, "onnxruntime": version("onnxruntime"),
        "robot": robot, **effort._asdict(),
    }  # fmt: skip


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _package_version() -> str:
    lines = _lines(ROOT / "package.xml")
    return next((line.split(">")[1].split("<")[0] for line in lines if "<version>" in line), "development")


def _node_results(*, page: bool) -> dict[str, Any] | None:
    """Of the last whole run here; else, for the page, those that it has, maybe of another machine."""
    file, numbers = RESULTS / "node.json", ROOT / "docs" / record.FILE
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    return record.read(numbers).get("node") if page and numbers.exists() else None


if __name__ == "__main__":
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        if os.environ.get(name) != "1":  # read when numpy is loaded: too late for this process
            os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
            os.execv(sys.executable, [sys.executable, "-m", "benchmarks.bench", *sys.argv[1:]])
    sys.exit(main())
