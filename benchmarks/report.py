"""The results as tables: the same Markdown for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots, record
from benchmarks.acceptance import Verdict, judge
from benchmarks.better import better_peers
from benchmarks.columns import BEYOND, STATIC, TRACKING, Column
from benchmarks.markdown import number, table
from benchmarks.measure import CALLS, WHOLE_CALLS
from benchmarks.own import CONTROLLER, FREE, GUARDED, GUARDED_CALL

Results = Mapping[str, Any]

_STEP = (
    f"A step of the guarded network is one call of its solver: {GUARDED_CALL}. Those of the network alone and of damped least "
    "squares are one step each."
)
_FEWER = "Fewer ticks than the others: a solver too slow for the whole path, seen on its beginning alone."
_MERGED = "Of several paths: medians of times, of the growth and of the excess' p50, root mean squares, of all else the worst."
_BETTER = (
    f"For each column of the tables above the best peer beside the row of this package that one would use: {GUARDED} for hands "
    f"from anywhere, {CONTROLLER} along a path, out of reach once more with fingers that may cross. Left out are peers that "
    "got through a part of the hands or of the path only."
)

INTRODUCTION = f"""# The hand benchmark

Made by `./run bench --write`; the numbers behind it are in [{record.FILE}]({record.FILE}), where `null` stands for what was
never reached. All solvers get the same Allegro hand (one URDF of the joints and tips, written from this package's kinematics),
the same starts and targets, and one thread. Times are processor time of calls from Python, medians over repeats in which the
solvers take turns; they hold for the machine of the header, so compare the ratios. A solve is repeated until all four tips are
within the distance **and all joints within their limits**; checking that is not part of anybody's time. What a call is differs:
roboticstoolbox and dex-retargeting iterate inside it; for the guarded network it is {GUARDED_CALL}; for all others it is one
step. A hand that is not there after {CALLS} calls, or {WHOLE_CALLS} of those that iterate, has failed; of all these none but
roboticstoolbox and the guarded network begin anew from elsewhere. The peers' settings come from the short search of
`benchmarks/sweep.md`.
"""


def text(results: Results) -> str:
    """Header, all tables, and the verdicts."""
    parts = [header(results), *(f"## {title}\n\n{body}" for title, body in _tables(results))]
    return "\n\n".join(parts)


def write_page(results: Results, docs: Path) -> None:
    """docs/benchmark.md, the record that it is made from, and its pictures."""
    (docs / record.FILE).write_text(record.written(results), encoding="utf-8")
    results = record.read(docs / record.FILE)
    pictures = plots.draw(results, docs / "images")
    shown = "\n".join(f"![{caption}](images/{name})" for name, caption in pictures)
    (docs / "benchmark.md").write_text(f"{INTRODUCTION}\n{text(results)}\n\n## Pictures\n\n{shown}\n", encoding="utf-8")


def header(results: Results) -> str:
    h = results["header"]
    return (
        f"{h['robot']}; {h['cpu']}, {h['cores']} cores; Python {h['python']}, numpy {h['numpy']}, onnxruntime "
        f"{h['onnxruntime']}; {h['date']}; load {h['load_before']:.1f} before and {h['load_after']:.1f} after; "
        f"{h['repeats']} repeats, {h['hands']} hands, {h['paths']} paths of {h['ticks']} ticks."
    )


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    rows = [(v.criterion, v.measured, {True: "PASS", False: "FAIL", None: "–"}[v.passed]) for v in verdicts]
    return table(("criterion", "measured", ""), rows)


def _tables(results: Results) -> Iterable[tuple[str, str]]:
    yield "Static solves, whole hand", _static(results)
    yield "Guarded steps needed, many random starts", f"{_steps(results['steps'])}\n\n{_STEP}"
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
    if results.get("node"):
        yield "The node beside a bare relay", node_table(results["node"]) + _of_node_run(results["node"])
    yield "Settings", _settings(results)
    better = better_peers(results)
    yield (
        "Where a peer is better",
        f"{_BETTER}\n\n" + ("\n".join(f"- {line}" for line in better) or "Nowhere in this run."),
    )
    yield "What the project promises", verdict_table(judge(results))


def _static(results: Results) -> str:
    columns = ["solver", "hands"]
    for start in results["static"]:
        columns += [f"{start}: {STATIC[0].head}", *(column.head for column in STATIC[1:]), "calls"]
    rows = []
    for name in results["static"]["random"]:
        row = [name, " / ".join(f"{scores[name]['hands']:.0f}" for scores in results["static"].values())]
        for scores in results["static"].values():
            row += _solves(scores[name])
        rows.append(row)
    return table(columns, rows) + (
        "\n\nShares of hands solved within 1 mm and 0.1 mm; time to 0.1 mm (p50, p99 over all hands: – when fewer were solved) "
        f"and median calls. Hands: how many were tried, {' / '.join(results['static'])}; a slow solver gets through fewer.\n"
        + _ratios(results)
    )


def _solves(score: Mapping[str, float]) -> list[str]:
    return [*(column.shown(score[column.key]) for column in STATIC), number(score["calls_p50"])]


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
    rows = [(name, f"{s['hands']:.0f}", *_solves(s)) for name, s in results["static"].items()]
    first = table(("solver", "hands", *(column.head for column in STATIC), "calls"), rows)
    note = "Joint zeros off by up to 0.05 rad, joints by 1 mm, tips by 2 mm; nothing retrained."
    return f"{first}\n\n{_steps(results['steps'])}\n\n{note}"


def _along(scores: Mapping[str, Mapping[str, float]], columns: Sequence[Column]) -> str:
    rows = [(name, *(column.shown(s.get(column.key, math.nan)) for column in columns), number(s["ticks"]))
            for name, s in scores.items()]  # fmt: skip
    return table(("solver", *(column.head for column in columns), "ticks"), rows)


def _tracking(scores: Mapping[str, Mapping[str, float]]) -> str:
    return _along(scores, TRACKING) + (
        "\n\nTo target: of all tips from the targets as given. Error: the same from the reference that a solver follows; this "
        "is the target for all but the controller, whose own is smooth and, by the [moving average](how_it_works.md"
        "#a-goal-at-rest-and-a-goal-that-moves) that bounds its jerk, later than the target. Speed and second "
        f"difference are the largest of any joint. {_MERGED}\n{_FEWER}"
    )


def _beyond(scores: Mapping[str, Mapping[str, float]]) -> str:
    return _along(scores, BEYOND) + (
        "\n\nExcess: distance of a tip to its target beyond that of the closest reachable point (best of many starts). The "
        "target is the one given, for the controller, too, which follows a reference of its own behind it. Within "
        "reach: the same where the closest point is the target, or within 1 mm of it, so on the way out and back. Cost "
        "growth: median tick out of reach over median tick within reach. The closest point is that of each finger "
        "alone, and the way out leads fingers through each other. The peers go there, the controller as shipped does "
        "not; hence its row without the collision check. Both rows keep the limits of the joints' acceleration, which "
        f"the peers do not. {_MERGED}\n{_FEWER}"
    )


def _batch(results: Results) -> str:
    sizes = list(next(iter(results["batch"].values())))
    rows = [(name, *(number(cost[size]) for size in sizes)) for name, cost in results["batch"].items()]
    smooth = results["tracking"]["smooth"]
    others = [name for name in smooth if name not in results["batch"] and name not in (CONTROLLER, FREE)]
    rows += [(f"{name} (one by one)", number(smooth[name]["tick_p50_us"]), *("" for _ in sizes[1:])) for name in others]
    return table(("solver", *(f"{size} hands" for size in sizes)), rows) + (
        "\n\nA step of the guarded network is one call of its solver, as above; one by one: the tick of the smooth path."
    )


def _several(results: Results) -> str:
    rows = [(f"{key} mm", number(s["separate_us"]), number(s["one_call_us"]), number(s["ratio"]), number(s["steps"]))
            for key, s in results["several"].items()]  # fmt: skip
    return table(("until all tips are within", "separate calls", "one call", "ratio", "steps"), rows) + (
        "\n\nOne hand from random starts, medians; separate: `GuardedSolver.step` and a look at the tips after each; one call: "
        "`GuardedSolver.solve`. Ratio: median over the hands; steps: their mean."
    )


def _step(costs: Mapping[str, float]) -> str:
    rows = []
    for what, key in (
        ("the network, kinematics inside", "step"), ("its bare perceptron", "bare"), ("a bare 14-128-128-128-4", "yardstick"),
    ):  # fmt: skip
        pairs = [(costs[key + kind], costs["step" + kind] / costs[key + kind]) for kind in ("_us", "_kept_us")]
        rows.append((what, *(number(value) for pair in pairs for value in pair)))
    head = ("in onnxruntime, one hand", "us", "the network's over it", "options kept, us", "the network's over it")
    return table(head, rows) + (
        "\n\nThe perceptrons get one row for each tip; all are called by `session.run`. Options kept: with run options made "
        "once, as the package calls the network; onnxruntime makes some for every call that brings none."
    )


def node_table(node: Mapping[str, Any]) -> str:
    keys = ("jitter_p50_us", "jitter_p99_us", "jitter_p999_us", "compute_p50_us", "compute_p99_us", "late_share",
            "latency_p50_us", "latency_p99_us", "answers", "cpu_share")  # fmt: skip
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
            "answers",
            "CPU",
        ),
        rows,
    )


def _of_node_run(node: Mapping[str, Any]) -> str:
    return (
        f"\n\nA run of its own, `./run bench-node`, {node['date']}, load {node['load_before']:.1f} before and "
        f"{node['load_after']:.1f} after; medians of {node['turns']} turns of {node['seconds']:g} s. Pose to command: "
        "from a target sent to a hand at rest to the first command that moves; answers: how many of these in a turn; of few "
        "the p99 lies between the two longest."
    )


def _settings(results: Results) -> str:
    rows = [(s["name"], s["version"], s["settings"]) for s in results["solvers"]]
    rows += [(name, "absent", why) for name, why in results["absent"]]
    return "\n".join(["| solver | version | settings |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])
