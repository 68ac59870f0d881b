"""Short forms of the long runs: some rows of the fault matrix, fuzz and soak; and the judge of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from nnik_ros.robot import Robot
from test.robustness import fuzz, soak
from test.robustness.faults import chosen
from test.robustness.judge import FIRST_COMMAND, SILENCE, Findings, Judge
from test.robustness.matrix import GROUPS, ROWS, Runner
from test.robustness.stand import Workshop

T = 1.0 / 333.0
SHORT = (
    "target-nan", "target-frame-endless", "targets-jumping", "state-joints-60000", "state-in-degrees", "states-stop",
    "fingers-swapped-in-order", "service-storm", "speaks-wonik-ros2-control", "network-damaged", "terminated", "rights-missing",
    "two-hands", "clock-absent",
)  # fmt: skip


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    workshop = Workshop()
    yield workshop
    workshop.close()


@pytest.fixture(scope="module")
def runner(workshop: Workshop) -> Runner:
    return Runner(workshop)


@pytest.mark.parametrize("name", SHORT)
def test_a_fault_leaves_the_hand_as_promised(runner: Runner, name: str) -> None:
    outcome = runner.run(ROWS[name])
    assert outcome.held, outcome.measured


def test_twenty_thousand_fuzzed_messages_leave_a_lawful_living_controller(workshop: Workshop) -> None:
    result = fuzz.run(20_000, 1, 4000.0, workshop)
    assert result.held, result.words
    assert result.sent == 20_000
    assert result.refused > 1000


@pytest.mark.parametrize(
    ("main", "option", "value"),
    [
        (fuzz.main, "--messages", "-1"), (fuzz.main, "--rate", "nan"), (fuzz.main, "--seed", "x"),
        (soak.main, "--minutes", "nan"), (soak.main, "--minutes", "0"),
    ],
)  # fmt: skip
def test_a_length_that_is_none_is_refused_before_anything_starts(
    main: Callable[[], int],
    option: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["command", option, value])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert f"argument {option}: is '{value}', must be " in capsys.readouterr().err


def test_a_short_soak_shows_no_growth_and_no_missed_watchdog(workshop: Workshop) -> None:
    result = soak.run(12.0, workshop)
    assert result.held, result.lines


def test_the_matrix_has_every_group_and_at_least_forty_faults() -> None:
    assert len(ROWS) >= 40
    assert {row.group for row in ROWS.values()} == set(GROUPS)
    assert chosen("target-nan,model")[0].name == "target-nan"


# the judge


def judged(robot: Robot, commands: list[np.ndarray], hand: np.ndarray, period: float = T) -> Findings:
    """The hand stands at `hand`; the commands come one per period."""
    judge = Judge(robot, T)
    for i, q in enumerate(commands):
        judge.command(i * period, i + 1, q)
        judge.state(i * period + 0.001, hand)
    return judge.window()


def test_steps_at_the_velocity_limit_are_lawful_and_faster_ones_are_not(robot: Robot) -> None:
    step = robot.velocity * T * 0.999
    lawful = judged(robot, [robot.home + i * step for i in range(10)], robot.home)
    assert lawful.faults() == []
    assert lawful.step == pytest.approx(0.999)
    far = robot.home + 0.3  # too far for a new beginning at the hand
    assert "velocity limit" in judged(robot, [robot.home, robot.home, far], robot.home).faults()[0]


def test_a_lost_command_is_no_fast_step(robot: Robot) -> None:
    judge, step = Judge(robot, T), robot.velocity * T
    judge.state(0.0, robot.home)
    for number in (1, 2, 5):
        judge.command(number * T, number, robot.home + number * step)
    found = judge.window()
    assert found.faults() == []
    assert found.lost == 2


def test_a_command_outside_the_limits_is_found(robot: Robot) -> None:
    outside = robot.upper.copy()
    outside[3] += 1e-3
    assert judged(robot, [robot.upper, outside], robot.upper).beyond == pytest.approx(1e-3)


def test_a_first_command_off_the_hand_is_found(robot: Robot) -> None:
    assert judged(robot, [robot.home], robot.home + 0.9 * FIRST_COMMAND).faults() == []
    assert "first command" in judged(robot, [robot.home], robot.home + 1.1 * FIRST_COMMAND).faults()[0]


def test_a_first_command_is_not_compared_with_where_the_hand_stands_later(robot: Robot) -> None:
    for seen, faults in ((0.0, 1), (1.0, 0)):
        judge = Judge(robot, T)
        judge.command(0.5, 1, robot.home)
        judge.state(seen, robot.home + 0.3)
        assert len(judge.window().faults()) == faults


def test_a_step_onto_the_hand_is_a_first_command_after_silence_alone(robot: Robot) -> None:
    for silence, faults in ((0.5 * SILENCE, 1), (2.0 * SILENCE, 0)):
        judge = Judge(robot, T)
        judge.state(0.0, robot.home)
        judge.command(0.0, 1, robot.home + 0.1)
        judge.command(silence, 3, robot.home)  # the second one was lost
        assert len(judge.window().faults()) == faults


def test_after_silence_the_command_that_the_hand_holds_may_be_repeated(robot: Robot) -> None:
    sagging = robot.home - 0.2
    judge = Judge(robot, T)
    judge.state(0.0, robot.home)
    judge.command(0.0, 1, robot.home)
    judge.state(0.01, sagging)
    judge.command(2 * SILENCE, 2, robot.home)
    assert judge.window().faults() == []
    judge.new_hand()
    judge.state(3 * SILENCE, sagging)
    judge.command(3 * SILENCE + T, 3, robot.home)
    assert "first command" in judge.window().faults()[0]


def test_a_command_that_is_no_command_is_found(robot: Robot) -> None:
    judge = Judge(robot, T)
    judge.malformed()
    assert judge.window().faults() == ["1 malformed commands"]
