"""What the demo is asked for is judged before anything starts, and refused in one line that says what is allowed."""

from __future__ import annotations

import pytest

from nnik_ros.nodes.demo_arguments import read_arguments


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        read_arguments("", words)
    assert end.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "good", "bad", "allowed"),
    [
        ("--seed", ["0", "7"], ["-1", "1.5", "nan"], "a whole number within [0, 2147483647]"),
        ("--seconds", ["0.5", "600"], ["0", "-1", "nan", "inf"], "a finite number above 0"),
        ("--tolerance", ["0.1"], ["0", "-3", "nan"], "a finite number above 0"),
        (
            "--rate",
            ["50", "333.3", "1000"],
            ["0", "49", "1001", "nan", "inf", "fast"],
            "a finite number within [50, 1000]",
        ),
        ("--gain", ["0", "20"], ["-1", "21", "nan"], "a finite number within [0, 20]"),
        ("--port", ["1", "65535"], ["0", "-1", "65536", "80.5"], "a whole number within [1, 65535]"),
        ("--domain", ["0", "232"], ["-1", "233"], "a whole number within [0, 232]"),
        ("--frame-rate", ["0.1", "240"], ["0", "-1", "nan", "inf"], "a finite number within [0.1, 10000]"),
        ("--playback", ["0.5", "2"], ["0", "-1", "nan", "inf"], "a finite number within [0.01, 100]"),
    ],
)
def test_a_number_is_taken_or_refused_with_what_is_allowed(
    name: str, good: list[str], bad: list[str], allowed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in good:
        arguments = read_arguments("", ["--landmarks", "hand.csv", name, text])
        assert getattr(arguments, name[2:].replace("-", "_")) == float(text)
    for text in bad:
        assert refusal(capsys, name, text) == f"run demo: error: argument {name}: is '{text}', must be {allowed}"


@pytest.mark.parametrize(
    ("name", "value"),
    [("--hand-map", "map.yaml"), ("--human-hand", "left"), ("--frame-rate", "60"), ("--playback", "0.5")],
)
def test_what_is_of_a_recorded_hand_is_refused_without_one(
    name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(capsys, name, value).endswith(f"argument {name}: is of a recorded hand, give that with --landmarks")
    assert read_arguments("", [name, value, "--landmarks", "hand.csv"]).landmarks.name == "hand.csv"


def test_two_robots_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    parser_says = refusal(capsys, "--robot", "planar_2r", "--hand", "left")
    assert parser_says == "run demo: error: argument --hand: not allowed with argument --robot"


def test_the_defaults_are_taken_and_a_run_without_words_is_the_plain_demo() -> None:
    arguments = read_arguments("", [])
    assert (arguments.rate, arguments.port, arguments.seconds, arguments.tolerance) == (333.0, 8080, None, None)
