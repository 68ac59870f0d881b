"""The fault matrix over DDS, against the simulated hand: `python -m test.robustness.faults [--only NAME] [--list]`."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

from nnik_ros.arguments import check_writable, writing
from nnik_ros.errors import NnikError
from test.robustness import rows_clock, rows_driver, rows_input, rows_model, rows_process, rows_timing
from test.robustness.matrix import GROUPS, ROWS, TABLE_HEAD, Outcome, Row, Runner, table_line
from test.robustness.processes import end_on_sigterm
from test.robustness.stand import Workshop

PAGE = Path(__file__).resolve().parents[2] / "docs" / "robustness.md"
MARKS = ("<!-- matrix: begin -->", "<!-- matrix: end -->")
MODULES = (
    rows_input,
    rows_timing,
    rows_driver,
    rows_model,
    rows_process,
    rows_clock,
)  # importing them registers their rows


def main() -> int:
    arguments = _arguments()
    rows = chosen(arguments.only)
    if not rows:
        print(f"faults: there is no row or group '{arguments.only}'; --list shows them all")
        return 2
    if arguments.list:
        for row in rows:
            print(f"{row.group:8} {row.name:32} {row.fault}")
        return 0
    begin = time.monotonic()
    try:
        if arguments.write:
            check_writable(PAGE)
        outcomes = run(rows)
        if arguments.write:
            with writing(PAGE):
                write_page(outcomes, PAGE)
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2
    broken = [outcome for outcome in outcomes if not outcome.held]
    names = f"; not held: {', '.join(outcome.row.name for outcome in broken)}" if broken else ""
    held = len(outcomes) - len(broken)
    print(f"faults: {len(outcomes)} run in {time.monotonic() - begin:.0f} s, {held} held, {len(broken)} not{names}")
    return 1 if broken else 0


def chosen(only: str) -> list[Row]:
    """All rows, those of a group, one row, or several names separated by commas; in the order of the groups."""
    wanted = only.split(",") if only else []
    found = [row for row in ROWS.values() if not wanted or row.name in wanted or row.group in wanted]
    return sorted(found, key=lambda row: GROUPS.index(row.group))


def run(rows: list[Row]) -> list[Outcome]:
    end_on_sigterm()
    workshop = Workshop()
    try:
        runner, outcomes = Runner(workshop), []
        for row in rows:
            outcomes.append(runner.run(row))
            print(describe(outcomes[-1]), flush=True)
    finally:
        workshop.close()
    return outcomes


def describe(outcome: Outcome) -> str:
    mark = "held" if outcome.held else "NOT HELD"
    return f"{mark:8} {outcome.row.group:8} {outcome.row.name:32} {outcome.seconds:5.1f} s  {outcome.measured}"


def write_page(outcomes: list[Outcome], page: Path) -> None:
    """Put the rows into the table between the marks of the page; those that were not run keep their line."""
    before, _, rest = page.read_text().partition(MARKS[0])
    old, _, after = rest.partition(MARKS[1])
    lines = {match[1]: line for line in old.splitlines() if (match := re.search(r"\(`([a-z0-9-]+)`\)", line))}
    lines.update((outcome.row.name, table_line(outcome)) for outcome in outcomes)
    kept = [lines[row.name] for row in chosen("") if row.name in lines]
    page.write_text("\n".join([f"{before}{MARKS[0]}", *TABLE_HEAD, *kept, f"{MARKS[1]}{after}"]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="rows or groups, separated by commas")
    parser.add_argument("--list", action="store_true", help="show the rows, run nothing")
    parser.add_argument("--write", action="store_true", help="write the table into docs/robustness.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
