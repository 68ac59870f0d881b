from __future__ import annotations

from dataclasses import dataclass

import pytest

from nnik_ros.errors import FileError
from nnik_ros.options import as_given, describe, from_mapping, option


@dataclass(frozen=True)
class Example:
    """Options of a test."""

    rate: float = option(10.0, "Rate.", unit="Hz", low=1.0, high=100.0, live=False)
    mode: str = option("hold", "Mode.", choices=("hold", "stop"))
    count: int = option(3, "Count.", low=0, high=9)
    check: bool = option(True, "Check.")
    weight: tuple[float, ...] = option((1.0,), "Weight.", low=0.0, high=1.0)
    places: tuple[int, ...] = option((), "Places.", low=0, high=9)


def test_every_bad_option_is_named_at_once_with_what_was_given_and_what_is_allowed() -> None:
    with pytest.raises(FileError) as caught:
        from_mapping(
            Example,
            {"rate": 500.0, "mode": "fly", "count": 1.5, "check": 1, "colour": "red", "weight": [1.0, 2.0]},
            "a.yaml",
        )
    assert caught.value.source == "a.yaml"
    assert caught.value.problems == (
        "rate: is 500.0, must be a finite number within [1, 100] Hz",
        "mode: is 'fly', must be one of 'hold', 'stop'",
        "count: is 1.5, must be an integer within [0, 9]",
        "check: is 1, must be true or false",
        "colour: unknown option; allowed: rate, mode, count, check, weight, places",
        "weight: is [1.0, 2.0], must be a finite number within [0, 1], or several, separated by commas or as a list",
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, "10", None, True])
def test_what_is_no_number_is_no_rate(value: object) -> None:
    with pytest.raises(FileError, match="rate: is"):
        from_mapping(Example, {"rate": value}, "x")


@pytest.mark.parametrize(
    "given", [{"count": 10**400}, {"rate": -(10**400)}, {"places": "9" * 400}, {"weight": [10**400]}]
)
def test_an_integer_that_no_float_can_hold_is_refused_like_any_other_number(given: dict[str, object]) -> None:
    (name,) = given
    with pytest.raises(FileError, match=f"{name}: is .*, must be a"):
        from_mapping(Example, given, "x")


def test_an_integer_is_a_fine_float_and_the_defaults_fill_the_rest() -> None:
    assert from_mapping(Example, {"rate": 20}, "x") == Example(rate=20.0)


def test_the_description_carries_everything_that_a_declaration_needs() -> None:
    rate = describe(Example)[0]
    assert (rate.name, rate.type, rate.default, rate.unit, rate.low, rate.high, rate.live) == (
        "rate", float, 10.0, "Hz", 1.0, 100.0, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (0.5, (0.5,)),
        (1, (1.0,)),
        ("0.5, 1", (0.5, 1.0)),
        (" [1, 0.5] ", (1.0, 0.5)),
        ([1, 0.5], (1.0, 0.5)),
        ((0.2,), (0.2,)),
    ],
)
def test_an_option_of_many_is_one_number_a_list_or_a_text(given: object, held: tuple[float, ...]) -> None:
    assert from_mapping(Example, {"weight": given}, "x").weight == held


@pytest.mark.parametrize("given", ["", [], "[]", "[1", "[[1]]", "a", "1,,1", float("nan"), 10**400, None, True, [True]])
def test_what_is_no_list_of_weights_is_refused(given: object) -> None:
    with pytest.raises(FileError, match="weight: is"):
        from_mapping(Example, {"weight": given}, "x")


def test_a_default_of_many_is_told_as_a_file_would_say_it() -> None:
    defaults = {info.name: info.plain for info in describe(Example)}
    assert (defaults["weight"], defaults["places"], defaults["rate"]) == (1.0, "", 10.0)
    assert from_mapping(Example, defaults, "x") == Example()
    assert as_given((1.0, 0.5)) == [1.0, 0.5]


@dataclass(frozen=True)
class Loose:
    """Options without bounds."""

    name: str = option("", "Name.")
    length: float = option(0.0, "Length.", live=False)
    places: tuple[int, ...] = option((), "Places.")


def test_an_option_without_bounds_takes_any_value_of_its_type_and_no_other() -> None:
    given = {"name": "any", "length": -1e300, "places": "[ ]"}
    assert from_mapping(Loose, given, "x") == Loose("any", -1e300, ())
    with pytest.raises(FileError) as caught:
        from_mapping(Loose, {"name": 5, "length": float("inf"), "places": True}, "x")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["name", "length", "places"]
    with pytest.raises(FileError, match="must be a finite number within"):
        from_mapping(Loose, {"length": 10**400}, "x")


@pytest.mark.parametrize(("rate", "allowed"), [(1.0, True), (100.0, True), (0.999, False), (100.001, False)])
def test_both_bounds_belong_to_the_range(rate: float, allowed: bool) -> None:
    assert describe(Example)[0].accepts(rate) is allowed


def test_an_option_may_change_while_running_unless_its_declaration_says_otherwise() -> None:
    assert [info.live for info in describe(Loose)] == [True, False, True]
