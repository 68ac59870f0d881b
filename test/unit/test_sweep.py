"""The settings of the peers are those that `benchmarks/sweep.md` found, over the paths of today, inside of its grids."""

from __future__ import annotations

import inspect
import itertools
import re
from pathlib import Path

import pytest

from benchmarks import sweep
from benchmarks.sweep import CLOSED, STATIC, TRACKING, Grid, Make
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot

PAGE = (Path(__file__).resolve().parents[2] / "benchmarks" / "sweep.md").read_text(encoding="utf-8")
Settings = dict[str, float | str]
TASKS = [(f"{name}, {task}", *search) for task, all_ in (("static", STATIC), ("tracking", TRACKING))
         for name, search in all_.items()]  # fmt: skip


def read(words: str) -> Settings:
    """Settings as they are written on the page: "posture 1e-08, qp daqp"."""
    pairs = [word.split(" ") for word in words.strip().split(", ")]
    return {name: float(value) if value[0].isdigit() else value for name, value in pairs}


def section(title: str) -> tuple[list[Settings], Settings]:
    """The settings of all rows of a table of the page, and the best ones."""
    body = PAGE.split(f"### {title}\n\n")[1].split("\n### ")[0]
    rows = re.findall(r"^\| (.*?) \|", body, re.MULTILINE)[1:]
    return [read(row) for row in rows], read(body.split("Best: ")[1])


@pytest.mark.parametrize(("title", "make", "grid"), TASKS, ids=[task[0] for task in TASKS])
def test_the_best_settings_of_the_page_are_the_defaults_of_the_peer(title: str, make: Make, grid: Grid) -> None:
    best = section(title)[1]
    assert set(best) == set(grid)
    assert best == {name: inspect.signature(make).parameters[name].default for name in best}


@pytest.mark.parametrize(("title", "make", "grid"), TASKS, ids=[task[0] for task in TASKS])
def test_no_chosen_number_stands_at_an_end_of_its_grid_where_that_could_go_on(
    title: str, make: Make, grid: Grid
) -> None:
    rows, best = section(title)
    assert rows == [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    for name, value in best.items():
        if not isinstance(value, str) and value != CLOSED.get(name):
            assert min(grid[name]) < value < max(grid[name]), name


def test_the_settings_were_found_over_the_paths_of_today() -> None:
    assert PAGE.startswith(sweep.introduction(sweep.make_roads(load_robot(robot_file(sweep.ROBOT)))) + "\n\n")


def test_more_hands_count_first_then_fewer_calls_then_hands_within_a_hundredth_then_time_then_the_inside() -> None:
    for worse, better in (
        ((0.900, 4, 10), (0.920, 9, 90)), ((0.920, 5, 10), (0.915, 4, 90)), ((0.915, 4, 10), (0.920, 4, 90)),
        ((0.920, 4, 90), (0.920, 4, 70)), ((0.920, 4, 50), (0.920, 4, 59)),
    ):  # fmt: skip
        found = [dict(zip(("share_fine", "calls_p50", "fine_p50_us"), row, strict=True)) for row in (worse, better)]
        assert sweep.best_static(found, [False, True]) == 1
    assert sweep.best_static(found, [True, True]) == sweep.best_static(found, [False, False]) == 0


def test_a_figure_that_is_halved_makes_up_for_another_that_is_nearly_doubled() -> None:
    assert sweep.best_tracking([[1e-3, 8.0], [1.9e-3, 4.0], [1e-3, 9.0]]) == 1
    assert sweep.best_tracking([[1e-3, 8.0], [2.1e-3, 4.0], [1e-3, 9.0]]) == 0
