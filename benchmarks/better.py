"""Where a peer is better than this package: every column of every table in which both stand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.columns import BEYOND, STATIC, TRACKING, Column
from benchmarks.own import CONTROLLER, FREE, GUARDED


class _Table(NamedTuple):
    """own: the row of this package that a user would take for the job."""

    title: str
    own: str
    columns: Sequence[Column]
    scores: Mapping[str, Mapping[str, float]]


def better_peers(results: Mapping[str, Any]) -> list[str]:
    """One line for each table and column in which a peer is better: the best one beside the own row."""
    ours = {solver["name"] for solver in results["solvers"] if solver["ours"]}
    lines = (
        _line(table, column, ours) for table in _tables(results) if table.own in table.scores for column in table.columns
    )  # fmt: skip
    return [line for line in lines if line]


def _tables(results: Mapping[str, Any]) -> Iterator[_Table]:
    for start, scores in results["static"].items():
        yield _Table(f"static, {start} starts", GUARDED, STATIC, scores)
    yield _Table("calibrated hand", GUARDED, STATIC, results["calibrated"]["static"])
    for title, path in (("smooth path", "smooth"), ("singular pass", "singular")):
        yield _Table(title, CONTROLLER, TRACKING, results["tracking"][path])
    for own in (CONTROLLER, FREE):
        yield _Table("out of reach", own, BEYOND, results["tracking"]["beyond"])
    yield _many_hands(results)


def _many_hands(results: Mapping[str, Any]) -> _Table:
    """A peer takes its hands one by one, each for a tick of the smooth path."""
    costs = results["batch"].get(GUARDED, {})
    columns = [Column(size, "", f"{size} in one call, per hand and step", "us") for size in costs]
    peers = {name: dict.fromkeys(costs, score["tick_p50_us"]) for name, score in results["tracking"]["smooth"].items()}
    return _Table("many hands", GUARDED, columns, {**peers, GUARDED: costs})


def _line(table: _Table, column: Column, ours: set[str]) -> str:
    """Empty where no peer is better; one that got through a part of the hands or of the path is none."""
    own, sign = table.scores[table.own], -1.0 if column.unit == "%" else 1.0
    rivals = {
        name: score for name, score in table.scores.items()
        if name not in ours and all(score.get(total) == own.get(total) for total in ("hands", "ticks"))
    }  # fmt: skip
    mine = own.get(column.key, math.nan)
    better = [
        (sign * score[column.key], name)
        for name, score in rivals.items()
        if column.key in score and sign * score[column.key] < sign * mine
    ]
    if not better:
        return ""
    unit = "" if column.unit == "%" else f" {column.unit}"
    value, name = min(better)
    values = [f"{who} {column.shown(what)}{unit}" for who, what in ((name, sign * value), (table.own, mine))]
    return f"{table.title}, {column.words}: {', '.join(values)}"
