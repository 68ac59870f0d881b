"""The results as tables: the same Markdown for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.acceptance import Verdict, judge
from benchmarks.own import CONTROLLER, FREE, GUARDED

Results = Mapping[str, Any]

INTRODUCTION = """# The hand benchmark

Made by `./run bench --write`; the raw results of every run are in `runs/bench/`. All solvers get the same Allegro hand (one
URDF of the joints and tips, written from this package's kinematics), the same starts and targets, and one thread. Times are
processor time of calls from Python, medians over repeats in which the solvers take turns; they hold for the machine of the
header, so compare the ratios. A solve is repeated until all four tips are within the distance **and all joints within their
limits**; checking that is not part of anybody's time. roboticstoolbox and dex-retargeting iterate inside one call, the others
make one step a call. The peers' settings come from the short search of `benchmarks/sweep.md`.
"""


def text(results: Results) -> str:
    """Header, all tables, and the verdicts."""
    parts = [header(results), *(f"## {title}\n\n{body}" for title, body in _tables(results))]
    return "\n\n".join(parts)


def write_page(results: Results, docs: Path) -> None:
    """docs/benchmark.md and its pictures."""
    pictures = plots.draw(results, docs / "images")
    shown = "\n".join(f"![{caption}](images/{name})" for name, caption in pictures)
    (docs / "benchmark.md").write_text(f"{INTRODUCTION}\n{text(results)}\n\n## Pictures\n\n{shown}\n")


def header(results: Results) -> str:
    h = results["header"]
    return (
        f"{h['robot']}; {h['cpu']}, {h['cores']} cores; Python {h['python']}, numpy {h['numpy']}, onnxruntime "
        f"{h['onnxruntime']}; {h['date']}; load {h['load_before']:.1f} before and {h['load_after']:.1f} after; "
        f"{h['repeats']} repeats, {h['hands']} hands, {h['paths']} paths of {h['ticks']} ticks."
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, padded so that it also reads as text."""
    rows = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in
                          enumerate(zip(row, widths, strict=True))) + " |" for row in rows
    ]  # fmt: skip
    lines.insert(
        1, "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    )
    return "\n".join(lines)


def number(value: float, digits: int = 3) -> str:
    """Short: at most `digits` significant ones."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}" if abs(value) >= 1e-4 else f"{value:.0e}"


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    rows = [(v.criterion, v.measured, {True: "PASS", False: "FAIL", None: "–"}[v.passed]) for v in verdicts]
    return table(("criterion", "measured", ""), rows)


def better_peers(results: Results) -> list[str]:
    """Where a peer beats this package's row for that job, in words."""
    ours = {solver["name"] for solver in results["solvers"] if solver["ours"]}
    found = []
    for where, scores, own, key, unit, what in (
        ("static, random starts", results["static"]["random"], GUARDED, "fine_p50_us", "us", "time to 0.1 mm, p50"),
        ("static, random starts", results["static"]["random"], GUARDED, "fine_p99_us", "us", "time to 0.1 mm, p99"),
        ("static, rest", results["static"]["rest"], GUARDED, "fine_p50_us", "us", "time to 0.1 mm, p50"),
        ("static, near starts", results["static"]["near"], GUARDED, "fine_p50_us", "us", "time to 0.1 mm, p50"),
        ("smooth path", results["tracking"]["smooth"], CONTROLLER, "tick_p50_us", "us", "tick"),
        ("smooth path", results["tracking"]["smooth"], GUARDED, "error_rms_mm", "mm", "error rms"),
        *(
            (where, results["tracking"][path], CONTROLLER, key, unit, what)
            for where, path in (("smooth path", "smooth"), ("singular pass", "singular"))
            for key, unit, what in (
                ("error_rms_mm", "mm", "error rms"), ("error_max_mm", "mm", "largest error"),
                ("speed_max", "rad/s", "joint speed"), ("second_difference", "rad", "second difference"),
                ("jerk_rms", "rad/s3", "jerk"),
            )
        ),
        ("singular pass", results["tracking"]["singular"], GUARDED, "error_rms_mm", "mm", "error rms"),
        ("singular pass", results["tracking"]["singular"], GUARDED, "error_max_mm", "mm", "largest error"),
        ("out of reach", results["tracking"]["beyond"], CONTROLLER, "excess_p99_mm", "mm", "excess, p99"),
        ("out of reach", results["tracking"]["beyond"], FREE, "excess_p99_mm", "mm", "excess, p99"),
        ("out of reach", results["tracking"]["beyond"], FREE, "within_p99_mm", "mm", "on the way out and back, p99"),
    ):  # fmt: skip
        if own not in scores:
            continue
        mine = scores[own].get(key, math.inf)
        whole = {
            name: s for name, s in scores.items() if name not in ours and s.get("ticks") == scores[own].get("ticks")
        }
        better = [(s[key], name) for name, s in whole.items() if key in s and s[key] < mine]
        if better:
            value, name = min(better)
            found.append(f"{where}, {what}: {name} {number(value)} {unit}, {own} {number(mine)} {unit}")
    return found


def _tables(results: Results) -> Iterable[tuple[str, str]]:
    yield "Static solves, whole hand", _static(results)
    yield "Guarded steps needed, many random starts", _steps(results["steps"])
    yield "A calibrated hand, random starts", _calibrated(results["calibrated"])
    for path, title in (
        ("smooth", "Tracking a smooth path at 333 Hz"),
        ("singular", "A pass near the stretched finger"),
    ):
        yield title, _tracking(results["tracking"][path])
    yield "Out of reach and back", _beyond(results["tracking"]["beyond"])
    yield "Cost per hand and step of many hands in one call, us", _batch(results)
    yield "Several guarded steps in one call, us", _several(results)
    if results["step"]:
        yield "One step of the network, us", _step(results["step"])
    if results["node"]:
        yield "The node beside a bare relay", node_table(results["node"]) + _of_node_run(results["node"])
    yield "Settings", _settings(results)
    better = better_peers(results)
    yield "Where a peer is better", "\n".join(f"- {line}" for line in better) or "Nowhere in this run."
    yield "What the project promises", verdict_table(judge(results))


def _static(results: Results) -> str:
    columns = ["solver", "hands"]
    for start in results["static"]:
        columns += [f"{start}: 1 mm", "0.1 mm", "p50 us", "p99 us", "calls"]
    names = list(results["static"]["random"])
    rows = []
    for name in names:
        row = [name, " / ".join(f"{scores[name]['hands']:.0f}" for scores in results["static"].values())]
        for scores in results["static"].values():
            s = scores[name]
            row += [f"{s['share_coarse']:.1%}", f"{s['share_fine']:.1%}", number(s["fine_p50_us"]), number(s["fine_p99_us"]),
                    number(s["calls_p50"])]  # fmt: skip
        rows.append(row)
    return table(columns, rows) + (
        "\n\nShares of hands solved within 1 mm and 0.1 mm; time to 0.1 mm (p50, p99 over all hands: – when fewer were solved) "
        f"and median calls. Hands: how many were tried, {' / '.join(results['static'])}; a slow solver gets through fewer.\n"
        + _ratios(results)
    )


def _ratios(results: Results) -> str:
    scores = results["static"]["random"]
    if GUARDED not in scores:
        return ""
    own = scores[GUARDED]["fine_p50_us"]
    ratios = [f"{name} {s['fine_p50_us'] / own:.2f}" for name, s in scores.items() if math.isfinite(s["fine_p50_us"])]
    return f"\nTime over that of the {GUARDED}, random starts: {', '.join(ratios)}."


def _steps(steps: Mapping[str, Mapping[str, float]]) -> str:
    rows = [(name, f"{s['hands']:.0f}", *(f"{s[f'share_{k}']:.3%}" for k in (3, 5, 10))) for name, s in steps.items()]
    return table(("solver", "hands", "0.1 mm in 3 steps", "in 5", "in 10"), rows)


def _calibrated(results: Results) -> str:
    rows = [
        (
            name,
            f"{s['hands']:.0f}",
            f"{s['share_coarse']:.1%}",
            f"{s['share_fine']:.1%}",
            number(s["fine_p50_us"]),
            number(s["calls_p50"]),
        )
        for name, s in results["static"].items()
    ]
    first = table(("solver", "hands", "1 mm", "0.1 mm", "p50 us", "calls"), rows)
    note = "Joint zeros off by up to 0.05 rad, joints by 1 mm, tips by 2 mm; nothing retrained."
    return f"{first}\n\n{_steps(results['steps'])}\n\n{note}"


def _tracking(scores: Mapping[str, Mapping[str, float]]) -> str:
    columns = ("solver", "tick p50", "p99", "p99.9 us", "error rms", "max mm", "speed rad/s", "2nd diff rad", "jerk rad/s3",
               "outside rad", "ticks")  # fmt: skip
    keys = ("tick_p50_us", "tick_p99_us", "tick_p999_us", "error_rms_mm", "error_max_mm", "speed_max", "second_difference",
            "jerk_rms", "outside_rad", "ticks")  # fmt: skip
    return table(columns, [(name, *(number(s[key]) for key in keys)) for name, s in scores.items()]) + (
        "\n\nThe error of the controller is against its own governed reference, which is smooth and later than the target.\n"
        "Fewer ticks than the others: a solver too slow for the whole path, seen on its beginning alone."
    )


def _beyond(scores: Mapping[str, Mapping[str, float]]) -> str:
    columns = (
        "solver",
        "excess p50",
        "p99",
        "max mm",
        "within reach p99 mm",
        "speed rad/s",
        "2nd diff rad",
        "tick p50 us",
        "p99 us",
        "cost growth",
    )
    keys = ("excess_p50_mm", "excess_p99_mm", "excess_max_mm", "within_p99_mm", "speed_max", "second_difference",
            "tick_p50_us", "tick_p99_us", "cost_growth")  # fmt: skip
    rows = [(name, *(number(s.get(key, math.nan)) for key in keys)) for name, s in scores.items()]
    return table(columns, rows) + (
        "\n\nExcess: distance of a tip to its target beyond that of the closest reachable point (best of many starts); within "
        "reach: the same where that point is the target, or within 1 mm of it, so on the way out and back. Cost growth: median "
        "tick out of reach over median tick within reach. The closest point is that of each finger alone, and the way out "
        "leads fingers through each other. The peers go there, the controller as shipped does not; hence its row without the "
        "collision check. Both rows keep the limits of the joints' acceleration, which the peers do not."
    )


def _batch(results: Results) -> str:
    sizes = list(next(iter(results["batch"].values())))
    rows = [(name, *(number(cost[size]) for size in sizes)) for name, cost in results["batch"].items()]
    smooth = results["tracking"]["smooth"]
    others = [name for name in smooth if name not in results["batch"] and name not in (CONTROLLER, FREE)]
    rows += [(f"{name} (one by one)", number(smooth[name]["tick_p50_us"]), *("" for _ in sizes[1:])) for name in others]
    return table(("solver", *(f"{size} hands" for size in sizes)), rows)


def _several(results: Results) -> str:
    rows = [(f"{key} mm", number(s["separate_us"]), number(s["one_call_us"]), number(s["ratio"]), number(s["steps"]))
            for key, s in results["several"].items()]  # fmt: skip
    return table(("until all tips are within", "separate calls", "one call", "ratio", "steps"), rows) + (
        "\n\nOne hand from random starts, medians; separate: `GuardedSolver.step` and a look at the tips after each; one call: "
        "`GuardedSolver.solve`. Ratio: median over the hands; steps: their mean."
    )


def _step(costs: Mapping[str, float]) -> str:
    rows = [(what, number(costs[f"{key}_us"]), number(costs["step_us"] / costs[f"{key}_us"])) for what, key in (
        ("the network, kinematics inside", "step"), ("its bare perceptron", "bare"), ("a bare 14-128-128-128-4", "yardstick"),
    )]  # fmt: skip
    return table(("in onnxruntime, one hand", "us", "the network's over it"), rows) + (
        "\n\nThe perceptrons get one row for each tip. Joints within their limits: where a step would leave them, the network "
        "makes a second correction."
    )


def node_table(node: Mapping[str, Any]) -> str:
    keys = ("jitter_p50_us", "jitter_p99_us", "jitter_p999_us", "compute_p50_us", "compute_p99_us", "late_share",
            "latency_p50_us", "latency_p99_us", "cpu_share")  # fmt: skip
    rows = [(f"{rate} Hz {name}", *(number(s.get(key, float("nan"))) for key in keys))
            for rate, both in node["rates"].items() for name, s in both.items()]  # fmt: skip
    return table(
        (
            "node",
            "period error p50",
            "p99",
            "p99.9 us",
            "compute p50",
            "p99 us",
            "late share",
            "pose to command p50",
            "p99 us",
            "CPU",
        ),
        rows,
    )


def _of_node_run(node: Mapping[str, Any]) -> str:
    return (
        f"\n\nA run of its own, `./run bench-node`, {node['date']}, load {node['load_before']:.1f} before and "
        f"{node['load_after']:.1f} after; medians of {node['turns']} turns of {node['seconds']:g} s. Pose to command: "
        "from a target sent to a hand at rest to the first command that moves."
    )


def _settings(results: Results) -> str:
    rows = [(s["name"], s["version"], s["settings"]) for s in results["solvers"]]
    rows += [(name, "absent", why) for name, why in results["absent"]]
    return "\n".join(["| solver | version | settings |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])
