"""What this package promises, judged by the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from benchmarks.own import CONTROLLER, FREE, GUARDED

SOLVES = 0.999  # share of hands from which on a peer counts as one that solves


class Verdict(NamedTuple):
    """passed None: not measured in this run."""

    criterion: str
    measured: str
    passed: bool | None


def judge(results: Mapping[str, Any]) -> list[Verdict]:
    """All criteria in order."""
    return [
        *_static(results),
        *_tick(results),
        *_beyond(results),
        *judge_node(results),
        *_batch(results),
        *_several(results),
        *_step(results),
    ]


def fastest_peer(results: Mapping[str, Any]) -> tuple[str, float] | None:
    """The fastest peer [us] of those that solve from random starts."""
    ours = {solver["name"] for solver in results["solvers"] if solver["ours"]}
    times = {
        name: score["fine_p50_us"]
        for name, score in results["static"]["random"].items()
        if name not in ours and score["share_fine"] >= SOLVES
    }
    return min(times.items(), key=lambda item: item[1]) if times else None


def _static(results: Mapping[str, Any]) -> Iterator[Verdict]:
    steps = results["steps"].get(GUARDED)
    for k, share in ((10, 0.9999), (5, 0.999)):
        criterion = f"random starts: at least {share:.2%} of hands within 0.1 mm in at most {k} guarded steps"
        value = steps[f"share_{k}"] if steps else None
        measured = f"{value:.3%} of {steps['hands']:.0f}" if steps else "no network"
        yield Verdict(criterion, measured, value >= share if value is not None else None)
    criterion = f"random starts: median time below that of every peer that solves {SOLVES:.1%}"
    own, peer = results["static"]["random"].get(GUARDED), fastest_peer(results)
    if not own or not peer:
        yield Verdict(criterion, "not in this run" if not own else "no such peer in this run", None)
        return
    yield Verdict(criterion, f"{own['fine_p50_us']:.0f} us, {peer[0]} {peer[1]:.0f} us", own["fine_p50_us"] < peer[1])


def _tick(results: Mapping[str, Any]) -> Iterator[Verdict]:
    criterion = "one controller tick costs at most a quarter of one step of pink or mink"
    smooth = results["tracking"]["smooth"]
    steps = {name: smooth[name]["tick_p50_us"] for name in ("pink", "mink") if name in smooth}
    if CONTROLLER not in smooth or not steps:
        yield Verdict(criterion, "not in this run", None)
        return
    tick = smooth[CONTROLLER]["tick_p50_us"]
    measured = f"{tick:.0f} us, " + ", ".join(
        f"{name} {value:.0f} us ({tick / value:.2f})" for name, value in steps.items()
    )
    yield Verdict(criterion, measured, tick <= 0.25 * min(steps.values()))


def _beyond(results: Mapping[str, Any]) -> Iterator[Verdict]:
    scores = results["tracking"]["beyond"]
    limit = results["velocity_limit"]
    for name, criterion, key, allowed, unit in (  # the closest point of a finger alone: others may stand in its way
        (FREE, "fingers may cross: p99 beyond the closest reachable point at most 0.5 mm", "excess_p99_mm", 0.5, "mm"),
        (CONTROLLER, "joint speed within its limit", "speed_max", limit * (1 + 1e-9), "rad/s"),
        (CONTROLLER, "the tick costs at most 1.25 times the tick within reach", "cost_growth", 1.25, "times"),
    ):
        value = scores.get(name, {}).get(key)
        yield Verdict(f"out of reach: {criterion}", "not in this run" if value is None else f"{value:.3f} {unit}",
                      None if value is None else value <= allowed)  # fmt: skip


def judge_node(results: Mapping[str, Any]) -> Iterator[Verdict]:
    """The criteria of the node alone."""
    node = results.get("node")
    shares = {"latency": ("p50", "p99"), "jitter": ("p50", "p99", "p999")}
    for what, share in ((what, share) for what, all_ in shares.items() for share in all_):
        key = f"{what}_{share}_us"
        criterion = f"node: {what} ({share}) at most 1.25 times that of the bare relay"
        if not node:
            yield Verdict(criterion, "not measured: ./run bench-node", None)
            continue
        for rate, rows in node["rates"].items():
            own, floor = rows["controller"][key], rows["relay"][key]
            yield Verdict(f"{criterion}, {rate} Hz", f"{own:.4g} us, relay {floor:.4g} us", own <= 1.25 * floor)


def _batch(results: Mapping[str, Any]) -> Iterator[Verdict]:
    criterion = "256 hands in one call cost at most 10 us per hand and step"
    costs = results["batch"].get(GUARDED)
    value = costs["256"] if costs else None
    yield Verdict(
        criterion,
        f"{value:.1f} us" if value is not None else "no network",
        value <= 10.0 if value is not None else None,
    )


def _several(results: Mapping[str, Any]) -> Iterator[Verdict]:
    for tolerance, times in results["several"].items():
        criterion = f"guarded steps to {tolerance} mm in one call cost less than separate calls"
        measured = f"{times['one_call_us']:.1f} us, {times['separate_us']:.1f} us"
        yield Verdict(criterion, measured, times["one_call_us"] < times["separate_us"])


def _step(results: Mapping[str, Any]) -> Iterator[Verdict]:
    criteria = (
        ("at most 3 times its bare perceptron", "bare", 3.0), ("at most 4 times a bare 14-128-128-128-4", "yardstick", 4.0),
    )  # fmt: skip
    costs = results["step"]
    for words, key, most in criteria:
        criterion = f"one step of the network costs {words}"
        if not costs:
            yield Verdict(criterion, "no network", None)
            continue
        step, floor = costs["step_us"], costs[f"{key}_us"]
        yield Verdict(criterion, f"{step:.1f} us, {floor:.2f} us ({step / floor:.2f})", step <= most * floor)
