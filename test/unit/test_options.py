from __future__ import annotations

from dataclasses import dataclass

import pytest

from nnik_ros.errors import FileError
from nnik_ros.options import describe, from_mapping, option


@dataclass(frozen=True)
class Example:
    """Options of a test."""

    rate: float = option(10.0, "Rate.", unit="Hz", low=1.0, high=100.0, live=False)
    mode: str = option("hold", "Mode.", choices=("hold", "stop"))
    count: int = option(3, "Count.", low=0, high=9)
    check: bool = option(True, "Check.")


def test_every_bad_option_is_named_at_once_with_what_was_given_and_what_is_allowed() -> None:
    with pytest.raises(FileError) as caught:
        from_mapping(Example, {"rate": 500.0, "mode": "fly", "count": 1.5, "check": 1, "colour": "red"}, "a.yaml")
    assert caught.value.source == "a.yaml"
    assert caught.value.problems == (
        "rate: is 500.0, must be a finite number within [1, 100] Hz",
        "mode: is 'fly', must be one of 'hold', 'stop'",
        "count: is 1.5, must be an integer within [0, 9]",
        "check: is 1, must be true or false",
        "colour: unknown option; allowed: rate, mode, count, check",
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "10", None, True])
def test_what_is_no_number_is_no_rate(value: object) -> None:
    with pytest.raises(FileError, match="rate: is"):
        from_mapping(Example, {"rate": value}, "x")


def test_an_integer_is_a_fine_float_and_the_defaults_fill_the_rest() -> None:
    assert from_mapping(Example, {"rate": 20}, "x") == Example(rate=20.0)


def test_the_description_carries_everything_that_a_declaration_needs() -> None:
    rate = describe(Example)[0]
    assert (rate.name, rate.type, rate.default, rate.unit, rate.low, rate.high, rate.live) == (
        "rate", float, 10.0, "Hz", 1.0, 100.0, False,
    )  # fmt: skip
