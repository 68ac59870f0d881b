"""Two pictures of the results: time against success, and tracking error against cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def draw(results: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Write benchmark_*.png; returns file names with captions."""
    import matplotlib

    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    ours = {solver["name"] for solver in results["solvers"] if solver["ours"]}
    static = results["static"]["random"]
    points = [(name, s["fine_p50_us"], 100 * s["share_fine"]) for name, s in static.items()]
    _scatter(
        points, ours, "median time to 0.1 mm, us", "whole hands solved, %", folder / "benchmark_static.png", log_y=False
    )
    tracking = results["tracking"]["smooth"]
    points = [(name, s["tick_p50_us"], s["error_rms_mm"]) for name, s in tracking.items()]
    _scatter(points, ours, "median tick, us", "error, mm rms", folder / "benchmark_tracking.png", log_y=True)
    beyond = results["tracking"]["beyond"]
    points = [
        (name, s["speed_max"], max(s["excess_p99_mm"], 1e-3)) for name, s in beyond.items() if "excess_p99_mm" in s
    ]
    _scatter(points, ours, "largest joint speed, rad/s", "beyond the closest point, mm p99", folder / "benchmark_beyond.png",
             log_y=True)  # fmt: skip
    return [
        ("benchmark_static.png", "Random starts: time to solve a whole hand and share of hands solved"),
        ("benchmark_tracking.png", "Smooth path at 333 Hz: cost of a tick and error"),
        ("benchmark_beyond.png", "Out of reach: joint speed and distance beyond the closest reachable point"),
    ]


def _scatter(
    points: Sequence[tuple[str, float, float]], ours: set[str], x: str, y: str, file: Path, *, log_y: bool
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for place, (name, at_x, at_y) in enumerate(sorted(points, key=lambda point: point[1])):
        if not (math.isfinite(at_x) and math.isfinite(at_y)):
            continue
        color = "tab:blue" if name in ours else "0.45"
        axes.plot(at_x, at_y, "o", color=color)
        axes.annotate(
            name, (at_x, at_y), xytext=(5, 4 if place % 2 else -11), textcoords="offset points", fontsize=8, color=color
        )
    axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, which="both", alpha=0.2)
    axes.margins(0.15)
    figure.savefig(file, dpi=110)
