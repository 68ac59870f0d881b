"""Hours of ordinary work in short: `python -m test.robustness.soak --minutes M`. Moving targets at 333 Hz; both watchdogs are
tried again and again; memory, deadlines and commands are watched."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from typing import NamedTuple

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

from nnik_ros.arguments import Help, number
from test.robustness.bench_node import PromiseError
from test.robustness.matrix import judged
from test.robustness.processes import end_on_sigterm
from test.robustness.stand import Stand, Workshop

_GROWTH = 2.0  # MB from the first to the last fifth; a leak of 100 bytes per tick would be 50 MB in half an hour
_BETWEEN_TRIALS = 20.0  # s


class Result(NamedTuple):
    """lines: what was measured, one sentence each."""

    held: bool
    lines: list[str]


def run(seconds: float, workshop: Workshop) -> Result:
    """A controller of its own for so long."""
    stand = workshop.stand()
    try:
        stand.follows()
        return _run(stand, seconds)
    finally:
        workshop.discard(stand)


def _run(stand: Stand, seconds: float) -> Result:
    stand.moves(2.0)
    memory: list[float] = []
    trials = good = 0
    problems: list[str] = []
    missed, ticks = _counters(stand)
    begin, next_trial = time.monotonic(), time.monotonic() + min(_BETWEEN_TRIALS, 0.25 * seconds)
    cpu, commands, step = stand.controller.processor_time, 0, 0.0
    while time.monotonic() - begin < seconds and stand.controller.alive:
        time.sleep(min(1.0, 0.02 * seconds))
        memory.append(stand.controller.memory / 1e6)
        found = stand.look()
        commands, step = commands + found.commands, max(step, found.step)
        problems += found.faults()
        stand.found.clear()
        if time.monotonic() > next_trial:
            next_trial = time.monotonic() + min(_BETWEEN_TRIALS, 0.25 * seconds)
            trials += 2
            good += _try_watchdogs(stand, problems)
    elapsed = time.monotonic() - begin
    cpu = (stand.controller.processor_time - cpu) / elapsed if stand.controller.alive else 0.0
    now_missed, now_ticks = _counters(stand)
    growth = _growth(memory)
    try:
        stand.follows()
        judged(stand)
    except PromiseError as broken:
        problems.append(str(broken))
    lines = [
        f"memory: {memory[0]:.1f} MB at the begin, {memory[-1]:.1f} MB at the end, growth {growth:+.2f} MB (limit {_GROWTH})",
        f"watchdogs: {good} of {trials} responded",
        f"commands: {commands} observed, fastest step {100 * step:.0f} % of the velocity limit, violations: "
        f"{'; '.join(sorted(set(problems))) or 'none'}",
        f"periods: {now_ticks - ticks} ticks, {now_missed - missed} missed, processor {100 * cpu:.0f} %",
        f"inputs refused: {stand.status.values.get('refused', '?')}",
    ]
    held = not problems and good == trials and trials > 0 and growth <= _GROWTH and commands > 0
    return Result(held, lines)


def _try_watchdogs(stand: Stand, problems: list[str]) -> int:
    """Withhold targets, then joint states; how many of the two watchdogs responded."""
    assert stand.line is not None
    good = 0
    for state in ("STALE_TARGET", "STALE_STATE"):
        if state == "STALE_TARGET":
            stand.sender.path = None
        else:
            stand.line.fault = lambda message, now: []
        try:
            stand.until(state, limit=3.0)
            good += 1
        except PromiseError as broken:
            problems.append(str(broken))
        stand.line.fault = None
        stand.moves(0.3)
    return good


def _counters(stand: Stand) -> tuple[int, int]:
    """(missed periods, ticks) of the newest diagnostics."""
    stand.wait(lambda: "loop" in stand.status.diagnostics, "diagnostics")
    loop = stand.status.diagnostics["loop"]
    return int(loop["missed"]), int(loop["ticks"])


def _growth(memory: list[float]) -> float:
    """From the first to the last fifth, MB; the very first tenth still warms up."""
    settled = memory[len(memory) // 10 :]
    fifth = max(1, len(settled) // 5)
    return statistics.median(settled[-fifth:]) - statistics.median(settled[:fifth])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("--minutes", type=number(low=0.2, high=100_000.0), default=30.0, help="how long")
    minutes = parser.parse_args().minutes
    end_on_sigterm()
    workshop = Workshop()
    try:
        result = run(60.0 * minutes, workshop)
    finally:
        workshop.close()
    print("\n".join(result.lines))
    print(f"soak: {minutes:g} minutes: {'held' if result.held else 'NOT HELD'}")
    return 0 if result.held else 1


if __name__ == "__main__":
    sys.exit(main())
