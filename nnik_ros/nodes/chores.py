"""What the loop's thread does in the time that a tick leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

_ROOM = 1.5  # times the cost of a chore: the time that must be left for it
_PATIENCE = 0.5  # s, after which a chore is done even if the next tick may be late for it
_FORGETS = 0.9  # per turn and per refused turn; the cost of a chore is the longest that it recently took

_DONE = object()


class Chore:
    """`call` once per `period` [s]. One that is a generator is done in parts, each of them when it fits."""

    def __init__(self, call: Callable[[], object], period: float, clock: Callable[[], float]) -> None:
        self._call, self._period, self._clock = call, period, clock
        self.due = self._last = self._next = clock()
        self._rest: Iterator[object] | None = None  # parts that were begun with
        self.cost = 0.0  # s

    def hurry(self, closest: float) -> None:
        """Next time, but not within `closest` [s] of the last time."""
        self.due = min(self.due, self._last + closest)

    def run(self) -> None:
        """All of it, or the next part."""
        begin = self._clock()
        if self._rest is None:
            self._last, self._next = begin, max(self.due + self._period, begin)
        rest, self._rest, self.due = self._rest or self._parts(), None, self._next  # also where it raises
        if next(rest, _DONE) is not _DONE:
            self._rest, self.due = rest, begin
        self.cost = max(self._clock() - begin, _FORGETS * self.cost)

    def _parts(self) -> Iterator[object]:
        made = self._call()
        if isinstance(made, Iterator):
            yield from made


class Chores:
    """Publishing and the like, where it can delay no tick: another thread would hold the interpreter when the loop wakes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._chores: list[Chore] = []

    def add(self, call: Callable[[], object], period: float) -> Chore:
        """Call it once per `period` [s], the first time soon."""
        self._chores.append(Chore(call, period, self._clock))
        return self._chores[-1]

    def serve(self, left: float) -> None:
        """Do what is due and fits into the time that is left [s]; of what has waited for too long, one more."""
        begin = self._clock()
        for chore in sorted(self._chores, key=lambda chore: chore.due):
            now = self._clock()
            if now < chore.due:
                return
            fits = left - (now - begin) > _ROOM * chore.cost
            if fits or now - chore.due > _PATIENCE:
                chore.run()
            if not fits:
                chore.cost *= _FORGETS  # a single long turn must not keep it waiting
                return
