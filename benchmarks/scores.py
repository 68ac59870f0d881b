"""From what was measured to the numbers of the tables: plain dictionaries, as they are kept as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.measure import FINE, StaticRun, TrackRun
from benchmarks.workloads import PERIOD
from nnik_ros.geometry import Array
from nnik_ros.kinematics import Kinematics
from nnik_ros.robot import Robot

Score = dict[str, float]


def static_score(run: StaticRun) -> Score:
    """Shares in 0..1; times [us]: medians over the repeats of each hand, then median and 99th percentile over all hands,
    in which a hand that never got there counts as the slowest."""
    per_hand = np.sort(np.median(run.fine, axis=0))
    coarse = np.sort(np.median(run.coarse, axis=0))
    return {
        "hands": float(len(run.calls)),
        "share_coarse": float(np.isfinite(coarse).mean()),
        "share_fine": float(np.isfinite(per_hand).mean()),
        "coarse_p50_us": _rank(coarse, 0.50) * 1e6,
        "fine_p50_us": _rank(per_hand, 0.50) * 1e6,
        "fine_p99_us": _rank(per_hand, 0.99) * 1e6,
        "calls_p50": _rank(np.sort(run.calls), 0.50),
        "calls_p99": _rank(np.sort(run.calls), 0.99),
    }


def steps_score(errors: Array) -> Score:
    """errors (steps, hands) [m]: share of hands that were within 0.1 mm at some step up to 3, 5 and 10."""
    reached = np.minimum.accumulate(errors, axis=0) <= FINE
    shares = {f"share_{k}": float(reached[k - 1].mean()) for k in (3, 5, 10) if k <= len(errors)}
    return {"hands": float(errors.shape[1]), **shares}


def track_score(robot: Robot, kinematics: Kinematics, run: TrackRun) -> Score:
    """Errors [mm] against the target as given and against the reference that the solver follows, joint motion, excess over
    joint limits [rad], time of a tick [us]."""
    away = tip_errors(kinematics, run.q, run.target) * 1e3
    errors = tip_errors(kinematics, run.q, run.reference) * 1e3
    q = run.q
    outside = np.maximum(robot.lower - q, q - robot.upper).max()
    return {
        "ticks": float(len(run.reference)),
        "target_rms_mm": float(np.sqrt((away**2).mean())),
        "target_max_mm": float(away.max()),
        "error_rms_mm": float(np.sqrt((errors**2).mean())),
        "error_max_mm": float(errors.max()),
        "speed_max": float(np.abs(np.diff(q, axis=0)).max() / PERIOD),
        "second_difference": float(np.abs(np.diff(q, 2, axis=0)).max()),
        "jerk_rms": float(np.sqrt((np.diff(q, 3, axis=0) ** 2).mean()) / PERIOD**3),
        "outside_rad": max(0.0, float(outside)),
        **tick_times(run.seconds),
    }


def merged(scores: Sequence[Score]) -> Score:
    """One score of several paths: medians of times and of growth, root mean squares, totals of counts, else the worst."""
    result: Score = {}
    for key in dict.fromkeys(key for score in scores for key in score):
        values = np.array([score[key] for score in scores if key in score])
        if key.startswith("tick_") or key in ("cost_growth", "excess_p50_mm"):
            result[key] = float(np.median(values))
        elif "rms" in key:
            result[key] = float(np.sqrt((values**2).mean()))
        else:
            result[key] = float(values.sum() if key in ("ticks", "outside_tips") else values.max())
    return result


def tick_times(seconds: Array) -> Score:
    """seconds (repeats, ticks): medians over the repeats of the 50th, 99th and 99.9th percentile [us]."""
    p50, p99, p999 = np.median(np.percentile(seconds, (50, 99, 99.9), axis=1), axis=1) * 1e6
    return {"tick_p50_us": float(p50), "tick_p99_us": float(p99), "tick_p999_us": float(p999)}


def beyond_score(kinematics: Kinematics, run: TrackRun, closest: Array, every: int) -> Score:
    """Distances to the targets as given, whatever reference a solver follows. closest (n, nt) [m]: the smallest possible ones
    at every `every`-th tick of the path, of which the run may be the beginning."""
    distance = tip_errors(kinematics, run.q, run.target)[::every][: len(closest)]
    outside = closest[: len(distance)] > 1e-3
    beyond = (distance - closest[: len(distance)]) * 1e3
    excess, within = beyond[outside], beyond[~outside]
    ticks = np.repeat(outside.any(axis=1), every)[: len(run.target)]
    spent = np.median(run.seconds, axis=0)[: len(ticks)]
    inside = float(np.median(spent[~ticks])) if (~ticks).any() else float("nan")
    if not len(excess):
        return {}
    return {
        "outside_tips": float(len(excess)),
        "excess_p50_mm": float(np.median(excess)),
        "excess_p99_mm": float(np.quantile(excess, 0.99)),
        "excess_max_mm": float(excess.max()),
        "within_p99_mm": float(np.quantile(within, 0.99)) if len(within) else float("nan"),
        "cost_growth": float(np.median(spent[ticks])) / inside,
    }


def tip_errors(kinematics: Kinematics, q: Array, goal: Array) -> Array:
    """Distance of each tip to its goal (ticks, nt, 3) [m] after each tick, (ticks, nt) [m]; q as in `TrackRun`."""
    errors: Array = np.linalg.norm(kinematics.tip_position(q[1:]) - goal, axis=-1)
    return errors


def _rank(ordered: Array, share: float) -> float:
    """The value that `share` of the sorted values do not exceed; inf where too many are inf."""
    return float(ordered[min(len(ordered) - 1, int(np.ceil(share * len(ordered))) - 1)])
