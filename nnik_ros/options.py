"""Options declared once: default, doc, unit and range live in the dataclass field, and everything else reads them there."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, get_args, get_type_hints

import numpy as np

from nnik_ros.errors import InputError, Problems

_Options = TypeVar("_Options")


class OptionInfo(NamedTuple):
    """One option. `live`: may change while running; `choices` is empty when any value in [low, high] is allowed; `many`: a
    tuple of `type`, given as one number, as a list, or as a text with commas, in brackets or without."""

    name: str
    type: type
    default: Any
    doc: str
    unit: str
    low: float
    high: float
    choices: tuple[str, ...]
    live: bool
    many: bool = False

    @property
    def plain(self) -> Any:
        """The default as a file says it."""
        return as_given(self.default)

    @property
    def allowed(self) -> str:
        if self.choices:
            return f"one of {', '.join(repr(choice) for choice in self.choices)}"
        if self.type in (int, float):
            noun = "an integer" if self.type is int else "a finite number"
            several = ", or several, separated by commas or as a list" if self.many else ""
            return f"{noun} within [{self.low:g}, {self.high:g}]{f' {self.unit}' if self.unit else ''}{several}"
        return {bool: "true or false", str: "a text"}[self.type]

    def accepts(self, value: Any) -> bool:
        if self.many:
            single = self._replace(many=False)
            items = self._items(value)
            return all(map(single.accepts, items)) and bool(items or not self.default)
        if self.type is bool or isinstance(value, bool):
            return self.type is bool and isinstance(value, bool)
        if self.type is str:
            return isinstance(value, str) and (not self.choices or value in self.choices)
        kinds: Any = (int, np.integer) if self.type is int else (int, float, np.integer, np.floating)
        if not isinstance(value, kinds) or (isinstance(value, int) and abs(value) > sys.float_info.max):
            return False  # math asks whether a float is finite, and raises on an integer that none can hold
        return math.isfinite(value) and bool(self.low <= value <= self.high)

    def refusal(self, value: Any) -> str:
        """What to say of a value that is not accepted."""
        return f"{self.name}: is {value!r}, must be {self.allowed}"

    def convert(self, value: Any) -> Any:
        """An accepted value as the option holds it."""
        return tuple(map(self.type, self._items(value))) if self.many else self.type(value)

    def _items(self, value: Any) -> list[Any]:
        if not isinstance(value, str):
            return list(value) if isinstance(value, Iterable) else [value]
        text = value.strip()
        if text[:1] + text[-1:] == "[]":  # how a list of integers and fractions comes out of `ros2 param set`
            text = text[1:-1]
        try:
            return [self.type(word) for word in text.split(",")] if text.strip() else []
        except ValueError:
            return [value]  # no number: nothing accepts it


def as_given(value: Any) -> Any:
    """A value of an option as a file or a ROS parameter says it: no tuples; one number for one, a text for none."""
    if not isinstance(value, tuple):
        return value
    return list(value) if len(value) > 1 else value[0] if value else ""


def option(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    low: float = -math.inf,
    high: float = math.inf,
    choices: Sequence[str] = (),
    live: bool = True,
) -> Any:
    """A dataclass field that carries its own declaration."""
    metadata = {"doc": doc, "unit": unit, "low": low, "high": high, "choices": tuple(choices), "live": live}
    return dataclasses.field(default=default, metadata=metadata)


def describe(kind: type) -> list[OptionInfo]:
    """The declarations of an options dataclass, in order."""
    hints = get_type_hints(kind)
    many = {name: bool(get_args(hint)) for name, hint in hints.items()}
    types = {name: get_args(hint)[0] if many[name] else hint for name, hint in hints.items()}
    return [
        OptionInfo(f.name, types[f.name], f.default, **f.metadata, many=many[f.name]) for f in dataclasses.fields(kind)
    ]


def from_mapping(kind: type[_Options], values: Mapping[str, Any], source: str) -> _Options:
    """An instance with `values` over the defaults.

    Raises:
        FileError: naming every unknown option and every value that is not allowed.
    """
    problems = Problems(source)
    infos = {info.name: info for info in describe(kind)}
    for name, value in values.items():
        if name not in infos:
            problems.add(f"{name}: unknown option; allowed: {', '.join(infos)}")
        elif not infos[name].accepts(value):
            problems.add(infos[name].refusal(value))
    problems.raise_if_any()
    return kind(**{name: infos[name].convert(value) for name, value in values.items()})


def take_values(options: Any) -> None:
    """For the `__post_init__` of an options dataclass: every value as the option holds it, whoever made the instance.

    Raises:
        InputError: naming every value that is not allowed.
    """
    values = {info: getattr(options, info.name) for info in describe(type(options))}
    wrong = [info.refusal(value) for info, value in values.items() if not info.accepts(value)]
    if wrong:
        raise InputError("; ".join(wrong))
    for info, value in values.items():
        object.__setattr__(options, info.name, info.convert(value))
