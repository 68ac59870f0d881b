"""The fault matrix: what a row is, how it is run and judged, and how the result is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from test.robustness.bench_node import PromiseError
from test.robustness.stand import Stand, Workshop

GROUPS = ("input", "timing", "driver", "model", "process", "clock")


@dataclass(frozen=True)
class Row:
    """One fault. shared: the check gets a stand that serves many rows; else the workshop, and starts what it needs.

    The check returns what it measured, and raises PromiseError where the promise does not hold.
    """

    name: str
    group: str
    fault: str
    promise: str
    check: Callable[[Any], str]
    shared: bool


class Outcome(NamedTuple):
    """A row after its run; measured: what was found, or what did not hold."""

    row: Row
    held: bool
    measured: str
    seconds: float


ROWS: dict[str, Row] = {}


def row(group: str, fault: str, promise: str, *, shared: bool = False) -> Callable[[Callable[[Any], str]], Any]:
    """Register a check as a row; its name is that of the function."""

    def register(check: Callable[[Any], str]) -> Callable[[Any], str]:
        name = check.__name__.replace("_", "-")
        ROWS[name] = Row(name, group, fault, promise, check, shared)
        return check

    return register


class Runner:
    """Runs rows in sequence; the shared stand is started when it is first needed, and again after a row that failed."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._shared: Stand | None = None

    def run(self, row: Row) -> Outcome:
        begin = time.monotonic()
        try:
            measured, held = (self._run_shared(row) if row.shared else self._run_alone(row)), True
        except Exception as error:  # a row that fails must not take the others with it
            held = False
            measured = str(error) if isinstance(error, PromiseError) else f"{type(error).__name__}: {error}"
            if row.shared and self._shared is not None:
                measured += self._words_of(self._shared)
                self._workshop.discard(self._shared)
                self._shared = None
        return Outcome(row, held, measured, time.monotonic() - begin)

    def _run_shared(self, row: Row) -> str:
        if self._shared is None:
            self._shared = self._workshop.stand()
            self._shared.follows()
        stand = self._shared
        stand.look()
        stand.found.clear()
        measured = row.check(stand)
        if stand.line:
            stand.line.fault = None
        stand.follows()
        return f"{measured}; {judged(stand)}"

    def _run_alone(self, row: Row) -> str:
        before = set(self._workshop.stands)
        try:
            measured = row.check(self._workshop)
            new = [stand for stand in self._workshop.stands if stand not in before]
            words = [judged(stand) for stand in new]
        except Exception as error:
            told = "".join(self._words_of(stand) for stand in self._workshop.stands if stand not in before)
            raise PromiseError(f"{error}{told}") from error
        finally:
            for stand in [stand for stand in self._workshop.stands if stand not in before]:
                self._workshop.discard(stand)
        return "; ".join([measured, *words])

    @staticmethod
    def _words_of(stand: Stand) -> str:
        """The end of the controller's output, where something went wrong."""
        lines = stand.controller.output.strip().splitlines()
        return f" [{'alive' if stand.controller.alive else 'dead'}; {' / '.join(line[:200] for line in lines[-3:])}]"


def judged(stand: Stand) -> str:
    """The worst of all that was observed since the row began. Raises PromiseError where it must never be."""
    stand.look()
    faults = [fault for findings in stand.found for fault in findings.faults()]
    if not stand.controller.alive and not stand.may_end:
        faults.append("the process ended")
    if stand.status.values.get("state") == "FAULT" or "internal error" in stand.controller.output:
        faults.append(f"an internal error: {stand.controller.output[-300:]}")
    if faults:
        raise PromiseError(", ".join(sorted(set(faults))))
    found = stand.found
    commands, step = sum(f.commands for f in found), max(f.step for f in found)
    words = f"{commands} commands, fastest step {100 * step:.0f} % of the limit"
    if any(f.starts for f in found):
        words += f", first command {max(f.start for f in found):.3f} rad off the hand"
    return words


TABLE_HEAD = ("| Group | Fault | Promised | Measured |", "|---|---|---|---|")


def table_line(outcome: Outcome) -> str:
    """The outcome as a line of a Markdown table."""
    row = outcome.row
    mark = "" if outcome.held else "DOES NOT HOLD: "
    cells = (row.group, f"{row.fault} (`{row.name}`)", row.promise, f"{mark}{outcome.measured}")
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"
