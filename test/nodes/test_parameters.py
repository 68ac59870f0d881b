"""Parameters of a node come from the options: declared with their ranges, checked as a whole, and refused as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from nnik_ros.errors import FileError, InputError
from nnik_ros.nodes.parameters import Parameters
from nnik_ros.options import option


@dataclass(frozen=True)
class Motor:
    gain: float = option(2.0, "Gain.", unit="1/s", low=0.0, high=10.0)
    rate: float = option(50.0, "Rate.", low=1.0, live=False)
    count: int = option(3, "Count.", high=9, live=False)
    free: float = option(0.5, "Free.")
    roof: float = option(1.0, "Roof.", high=4.0)
    floor: int = option(5, "Floor.", low=2)
    number: int = option(0, "Number.")


@dataclass(frozen=True)
class Face:
    mode: str = option("hold", "Mode.", choices=("hold", "stop"))
    weight: tuple[float, ...] = option((1.0,), "Weight.", low=0.0, high=1.0)
    places: tuple[int, ...] = option((), "Places.", low=0, high=9)


class Bench:
    """A node with parameters of both kinds; what it is told of live ones."""

    def __init__(self, given: dict[str, Any]) -> None:
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        self.node = Node(
            "parameters_bench", automatically_declare_parameters_from_overrides=True, parameter_overrides=overrides
        )
        self.locked, self.told = False, list[set[str]]()
        self.objects, self.refuse = False, Exception
        self.parameters = Parameters(self.node, Motor, Face, fixed=lambda: self.locked, on_live=self.on_live)

    def on_live(self, names: set[str]) -> None:
        if self.objects:
            raise self.refuse("objects")
        self.told.append(names)

    def set(self, **values: Any) -> SetParametersResult:
        return self.node.set_parameters_atomically([Parameter(name, value=value) for name, value in values.items()])

    @property
    def values(self) -> dict[str, Any]:
        return vars(self.parameters.options(Motor)) | vars(self.parameters.options(Face))


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**given: Any) -> Bench:
        made.append(Bench(given))
        return made[-1]

    yield make
    for one in made:
        one.node.destroy_node()


DEFAULTS = {
    "gain": 2.0,
    "rate": 50.0,
    "count": 3,
    "free": 0.5,
    "roof": 1.0,
    "floor": 5,
    "number": 0,
    "mode": "hold",
    "weight": (1.0,),
    "places": (),
}


def test_what_is_not_given_has_its_default_and_what_is_given_is_there_for_ros_and_for_the_node(bench) -> None:
    plain = bench()
    assert plain.values == DEFAULTS
    assert [plain.node.get_parameter(name).value for name in DEFAULTS] == [
        2.0,
        50.0,
        3,
        0.5,
        1.0,
        5,
        0,
        "hold",
        1.0,
        "",
    ]
    own = {"use_sim_time": False, "qos_overrides./clock.subscription.depth": 5}
    one = bench(gain=3, weight=[0.5, 0.25], mode="stop", **own)
    assert one.values == DEFAULTS | {"gain": 3.0, "weight": (0.5, 0.25), "mode": "stop"}
    assert repr(one.node.get_parameter("gain").value) == "3.0"
    assert list(one.node.get_parameter("weight").value) == [0.5, 0.25]


def test_everything_wrong_that_is_given_is_told_at_once(bench) -> None:
    with pytest.raises(FileError) as caught:
        bench(gain=11.0, mode="fly", speeed=1.0)
    assert caught.value.source == "parameters of /parameters_bench"
    assert caught.value.problems == (
        f"speeed: unknown parameter; allowed: {', '.join(DEFAULTS)}",
        "gain: is 11.0, must be a finite number within [0, 10] 1/s",
        "mode: is 'fly', must be one of 'hold', 'stop'",
    )


def test_ros_is_told_what_each_parameter_is_and_its_range(bench) -> None:
    node = bench().node
    gain, rate, count, free, roof, floor, number, mode, weight, _ = (node.describe_parameter(name) for name in DEFAULTS)
    assert gain.description == "Gain. [1/s]"
    assert rate.description == "Rate. Read-only while the node is configured."
    ranges = [(r.from_value, r.to_value, r.step) for one in (gain, rate, roof) for r in one.floating_point_range]
    assert ranges == [(0.0, 10.0, 0.0), (1.0, 1e300, 0.0), (-1e300, 4.0, 0.0)]
    whole = [(r.from_value, r.to_value, r.step) for one in (count, floor) for r in one.integer_range]
    assert whole == [(-(2**63) + 1, 9, 1), (2, 2**63 - 1, 1)]
    for one in (free, number, mode):
        assert not one.floating_point_range and not one.integer_range
    assert not gain.integer_range and not count.floating_point_range and not free.additional_constraints
    assert mode.additional_constraints == "one of 'hold', 'stop'"
    assert weight.additional_constraints.startswith("a finite number within [0, 1], or several")
    assert not weight.floating_point_range
    assert [one.dynamic_typing for one in (gain, mode, weight)] == [False, False, True]


def test_a_change_that_is_wrong_in_part_changes_nothing(bench) -> None:
    one = bench()
    answer = one.set(gain=5.0, mode="fly")
    assert not answer.successful
    assert answer.reason == "parameters: 1 problem\n  - mode: is 'fly', must be one of 'hold', 'stop'"
    assert one.values == DEFAULTS
    assert not one.told
    assert one.set(gain=5.0, weight="0.5, 1").successful
    assert one.values == DEFAULTS | {"gain": 5.0, "weight": (0.5, 1.0)}
    assert one.told == [{"gain", "weight"}]


def test_what_is_not_live_may_change_only_while_it_is_not_fixed_and_may_always_be_given_again(bench) -> None:
    one = bench()
    assert one.set(rate=60.0, gain=1.0, use_sim_time=False).successful
    assert one.told == [{"gain"}]
    one.locked = True
    assert one.set(rate=60.0, gain=2.0).successful
    answer = one.set(rate=70.0, count=4, gain=3.0)
    assert not answer.successful
    told = [f"  - {name}: read-only until the node is cleaned up" for name in ("count", "rate")]
    assert answer.reason.splitlines()[1:] == told
    assert one.values == DEFAULTS | {"rate": 60.0}
    assert one.told == [{"gain"}, {"gain"}]


def test_a_node_that_objects_to_a_change_or_fails_in_it_keeps_its_values(bench) -> None:
    one = bench()
    one.objects, one.refuse = True, InputError
    answer = one.set(gain=5.0)
    assert (answer.successful, answer.reason) == (False, "objects")
    assert one.values == DEFAULTS
    one.refuse = ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        one.set(gain=5.0)
    assert one.values == DEFAULTS
    one.objects = False
    assert one.set(gain=5.0).successful


def test_an_integer_with_more_digits_than_any_number_has_is_refused_and_not_raised(bench) -> None:
    answer = bench().set(places="9" * 400)
    assert not answer.successful
    assert "places: is '999" in answer.reason
