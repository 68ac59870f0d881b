"""What the loop's thread does between its ticks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from nnik_ros.nodes.chores import Chores


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def made(period: float, cost: float = 0.0) -> tuple[Chores, Clock, list[float]]:
    """A chore that takes `cost` [s], and when it was done."""
    clock, done = Clock(), []
    chores = Chores(clock)

    def call() -> None:
        done.append(round(clock.now, 6))
        clock.now += cost

    chores.add(call, period)
    return chores, clock, done


def serve(chores: Chores, clock: Clock, seconds: float, left: float, tick: float = 0.01) -> None:
    begin = clock.now
    for i in range(round(seconds / tick)):
        clock.now = max(clock.now, begin + i * tick)
        chores.serve(left)


def test_a_chore_keeps_its_pace_on_average_whatever_the_ticks_are() -> None:
    chores, clock, done = made(0.025)
    serve(chores, clock, 10.0, 0.005)
    assert len(done) == pytest.approx(400, abs=2)


def test_a_chore_that_does_not_fit_waits_and_is_done_all_the_same_after_half_a_second() -> None:
    chores, clock, done = made(0.05, cost=0.004)
    serve(chores, clock, 0.02, 0.1)
    serve(chores, clock, 5.0, -0.001)  # the ticks leave nothing
    assert min(b - a for a, b in itertools.pairwise(done)) > 0.4
    assert len(done) >= 8


def test_one_long_turn_does_not_keep_a_chore_waiting() -> None:
    clock, done = Clock(), []
    chores = Chores(clock)

    def call() -> None:
        clock.now += 0.0001 if done else 0.35
        done.append(clock.now)

    chores.add(call, 0.02)
    serve(chores, clock, 3.0, 0.002)
    assert len(done) > 80


def test_a_chore_in_a_hurry_is_done_next_but_not_too_close_to_the_last_time() -> None:
    clock, done = Clock(), []
    chores = Chores(clock)
    chore = chores.add(lambda: done.append(round(clock.now, 6)), 1.0)
    for i in range(10):
        clock.now = i * 0.003
        chore.hurry(0.01)
        chores.serve(0.01)
    assert done == [0.0, 0.012, 0.024]


def test_a_second_chore_waits_when_the_first_leaves_too_little_time() -> None:
    clock, done = Clock(), []
    chores = Chores(clock)

    def call(name: str) -> None:
        done.append(name)
        clock.now += 0.002

    for name in ("a", "b"):
        chores.add(lambda name=name: call(name), 0.1)  # type: ignore[misc]
    serve(chores, clock, 0.02, 0.1)
    done.clear()
    clock.now = 0.2
    chores.serve(0.004)
    assert len(done) == 1
    chores.serve(0.004)
    assert sorted(done) == ["a", "b"]


def test_a_chore_is_taken_to_cost_the_longest_that_it_recently_took() -> None:
    clock, done, costs = Clock(), [], itertools.chain([0.004], itertools.repeat(0.001))
    chores = Chores(clock)

    def call() -> None:
        done.append(clock.now)
        clock.now += next(costs)

    chore = chores.add(call, 0.1)

    def turns_with(left: float) -> int:
        clock.now = chore.due
        chores.serve(left)
        return len(done)

    assert [turns_with(left) for left in (0.1, 0.1, 0.004)] == [1, 2, 2], "the third may be as long as the first"
    assert [turns_with(0.1) for _ in range(20)] == [*range(3, 23)]
    assert turns_with(0.004) == 23, "the long one is forgotten"


def test_of_several_chores_that_have_waited_for_too_long_a_gap_that_fits_none_is_spent_on_one() -> None:
    clock, done = Clock(), []
    chores = Chores(clock)
    for name in ("a", "b"):
        chores.add(lambda name=name: done.append(name), 0.1)  # type: ignore[misc]
    clock.now = 1.0
    for n in (1, 2):
        chores.serve(-0.001)
        assert len(done) == n
    assert sorted(done) == ["a", "b"]


def test_a_chore_in_parts_does_each_where_it_fits_and_keeps_its_pace() -> None:
    """Three parts of 4 ms in gaps that leave time for one."""
    clock, done = Clock(), []
    chores = Chores(clock)

    def call() -> Iterator[None]:
        for part in range(3):
            done.append((round(clock.now, 6), part))
            clock.now += 0.004
            if part < 2:
                yield

    chores.add(call, 0.1)
    serve(chores, clock, 2.0, 0.007)
    begun = [at for at, part in done if part == 0]
    assert [part for _, part in done] == [0, 1, 2] * (len(done) // 3)
    assert len({at for at, _ in done}) == len(done) and min(np.diff([at for at, _ in done])) > 0.009, "one in a gap"
    np.testing.assert_allclose(np.diff(begun), 0.1, atol=0.011)


def test_a_chore_of_which_a_part_raises_begins_anew_next_time() -> None:
    clock, done = Clock(), []
    chores = Chores(clock)

    def call() -> Iterator[None]:
        done.append("first")
        yield
        if len(done) == 1:
            raise ValueError("once")
        done.append("second")

    chores.add(call, 0.1)
    for i in range(25):
        clock.now = i * 0.01
        try:
            chores.serve(0.01)
        except ValueError:
            done.append("raised")
    assert done == ["first", "raised", "first", "second", "first", "second"]
