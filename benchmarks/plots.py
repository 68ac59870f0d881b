"""Three pictures of the results: time against success, and tracking error against cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_LEAST = 1e-3  # mm, that a picture shows of what may be nothing at all


def draw(results: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Write benchmark_*.png; returns file names with captions."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = {solver["name"] for solver in results["solvers"] if solver["ours"]}
    static = results["static"]["random"]
    points = [(name, s["fine_p50_us"], 100 * s["share_fine"]) for name, s in static.items()]
    _scatter(
        points, ours, "median time to 0.1 mm, us", "whole hands solved, %", folder / "benchmark_static.png", log_y=False
    )
    tracking = results["tracking"]["smooth"]
    points = [(name, s["tick_p50_us"], s["target_rms_mm"]) for name, s in tracking.items()]
    _scatter(points, ours, "median tick, us", "tips to targets, mm rms", folder / "benchmark_tracking.png", log_y=True)
    beyond = results["tracking"]["beyond"]
    points = [
        (name, s["speed_max"], max(s["excess_p99_mm"], _LEAST)) for name, s in beyond.items() if "excess_p99_mm" in s
    ]
    _scatter(points, ours, "largest joint speed, rad/s", f"beyond the closest point, mm p99, {_LEAST:g} if less",
             folder / "benchmark_beyond.png", log_y=True)  # fmt: skip
    return [
        (
            "benchmark_static.png",
            "Random starts: median time and share of hands solved, of solvers that solve half of them",
        ),
        (
            "benchmark_tracking.png",
            "Smooth path at 333 Hz: cost of a tick and distance of the tips to the targets given",
        ),
        ("benchmark_beyond.png", "Out of reach: joint speed and distance beyond the closest reachable point"),
    ]


def _scatter(
    points: Sequence[tuple[str, float, float]], ours: set[str], x: str, y: str, file: Path, *, log_y: bool
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    shown = sorted((p for p in points if math.isfinite(p[1]) and math.isfinite(p[2])), key=lambda point: point[1])
    for name, at_x, at_y in shown:
        axes.plot(at_x, at_y, "o", color=_color(name, ours))
    axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, which="both", alpha=0.2)
    axes.margins(0.15)
    figure.draw_without_rendering()
    taken = [_box_of_point(axes, at_x, at_y) for _, at_x, at_y in shown]
    for name, at_x, at_y in shown:
        taken.append(_label(axes, name, (at_x, at_y), _color(name, ours), taken))
    figure.savefig(file, dpi=110)


def _color(name: str, ours: set[str]) -> str:
    return "tab:blue" if name in ours else "0.45"


def _box_of_point(axes: Any, x: float, y: float) -> Any:
    from matplotlib.transforms import Bbox

    (at,) = axes.transData.transform([(x, y)])
    return Bbox([at - 4, at + 4])


def _label(axes: Any, text: str, at: tuple[float, float], color: str, taken: Sequence[Any]) -> Any:
    """Write a label where it covers least of what is taken and of what lies outside of the axes; returns its box."""
    best: tuple[float, Any, Any] | None = None
    for side, down in itertools.product(("left", "right"), (4, -11, 14, -21, 24, -31)):
        label = axes.annotate(
            text, at, xytext=(6 if side == "left" else -6, down), textcoords="offset points", fontsize=8, color=color,
            horizontalalignment=side,
        )  # fmt: skip
        label.set_in_layout(False)
        box = label.get_window_extent()
        inside = box.intersection(box, axes.bbox)
        covered = box.width * box.height - (inside.width * inside.height if inside else 0.0)
        covered += sum(both.width * both.height for other in taken if (both := box.intersection(box, other)))
        if best is None or covered < best[0] - 1.0:
            if best is not None:
                best[1].remove()
            best = covered, label, box
        else:
            label.remove()
    assert best is not None
    return best[2]
