"""Strict reading of YAML: safe loader, no duplicate keys, declared keys only."""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from nnik_ros.errors import FileError, Problems, in_yaml, range_in_words


def load_mapping(path: Path | str) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        FileError: unreadable file, broken YAML, a key given twice, or a document that is no mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise FileError(str(path), ["cannot be read: not UTF-8 text"]) from error
    except ValueError as error:  # a name that no file can have
        raise FileError(str(path), [f"cannot be read: {error}"]) from error
    try:
        document = yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that Python cannot hold
        raise FileError(str(path), [f"is not valid YAML: {' '.join(str(error).split())}"]) from error
    except RecursionError as error:
        raise FileError(str(path), ["is not valid YAML: too many lists or mappings within each other"]) from error
    except (ArithmeticError, LookupError, AttributeError, TypeError) as error:  # so PyYAML fails at `!!bool maybe`
        raise FileError(str(path), ["is not valid YAML: a value is not what its tag says"]) from error
    if not isinstance(document, dict):
        raise FileError(str(path), [f"must be a mapping of keys to values, is {type(document).__name__}"])
    return document


def report_duplicates(names: Iterable[str], what: str, problems: Problems) -> None:
    """Add a problem for every name that is given more than once; missing ones, empty, do not count."""
    names = list(names)
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        problems.add(f"{what}: '{name}' is given twice")


def compare_names(
    given: Sequence[str], wanted: Sequence[str], what: str, problems: Problems, owner: str = "the robot"
) -> None:
    """Add a problem for every name that is missing, unknown or given twice; wanted: those that the owner has. Of names one of
    which could not be read, and is empty, nobody knows what is missing."""
    for name in wanted if "" not in given else ():
        if name not in given:
            problems.add(f"{what}: '{name}' is missing")
    for name in sorted({*given} - {*wanted, ""}):
        problems.add(f"{what}: '{name}' is unknown; {owner} has {', '.join(wanted)}")
    report_duplicates(given, what, problems)


def is_number(value: Any) -> bool:
    """Whether a value of a file is a finite number that float64 can hold."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def number_in_text(value: Any) -> str:
    """What to say of a text that is meant as a number, such as 1e-3, which YAML 1.1 reads as text. Empty: of anything else."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        number = math.nan
    return f" (YAML reads {value} as text, write {in_yaml(number)} without quotes)" if math.isfinite(number) else ""


def text_without_quotes(value: Any) -> str:
    """What to say of a text that YAML reads as something else, such as a joint's name `0` or `on`. Empty: of anything else."""
    kinds = ((bool, "true or false"), ((int, float), "a number"), (datetime.date, "a date"))
    kind = next((kind for types, kind in kinds if isinstance(value, types)), "")
    return f" (YAML reads it as {kind}, write it in quotes)" if kind else ""


def shown(value: Any) -> str:
    """A value of a file as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class Section:
    """One mapping of a YAML file, read key by key; what was not read is reported as unknown.

    Every method reports to `problems` and returns a harmless default, so that reading goes on and all faults are found.
    """

    def __init__(self, values: Any, where: str, problems: Problems) -> None:
        self.where = where
        self._problems = problems
        self._seen: set[str] = set()
        self._faulty: set[str] = set()  # what stands in for their values deserves no second report
        if not isinstance(values, dict):
            problems.add(f"{where or 'document'}: must be a mapping, is {shown(values)}")
            values = {}
        self._values: dict[str, Any] = values

    def number(
        self,
        key: str,
        default: float | None = None,
        *,
        low: float = -math.inf,
        high: float = math.inf,
        above: float = -math.inf,
    ) -> float:
        """A finite number within [low, high] (and > above, when given)."""
        value = self._take(key, default)
        if value is _MISSING:
            return 0.0
        if not is_number(value):
            self.wrong(key, value, f"a finite number{number_in_text(value)}")
            return 0.0
        if not low <= value <= high or not above < value:
            self.wrong(key, value, range_in_words(low, high, above))
        return float(value)

    def numbers(self, key: str, default: list[float] | None = None, *, length: int) -> list[float]:
        """A list of `length` finite numbers."""
        values = self.items(key, default, length=length)
        if not all(map(is_number, values)):
            self.wrong(key, values, f"{length} finite numbers{next(filter(None, map(number_in_text, values)), '')}")
            return []
        return [float(value) for value in values]

    def integer(self, key: str, default: int | None = None, *, low: int, high: int) -> int:
        value = self._take(key, default)
        if value is _MISSING:
            return low
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.wrong(key, value, f"an integer within [{low}, {high}]")
            return low
        return value

    def text(self, key: str, default: str | None = None, *, choices: Iterable[str] | None = None) -> str:
        value = self._take(key, default)
        if value is _MISSING:
            return ""
        if not isinstance(value, str) or (not value and default != ""):
            self.wrong(key, value, f"a non-empty text{text_without_quotes(value)}")
            return ""
        if choices is not None and value not in (allowed := list(choices)):
            self.wrong(key, value, f"one of {', '.join(allowed)}")
        return value

    def boolean(self, key: str, default: bool | None = None) -> bool:
        value = self._take(key, default)
        if value is _MISSING:
            return False
        if not isinstance(value, bool):
            self.wrong(key, value, "true or false")
            return False
        return value

    def items(self, key: str, default: list[Any] | None = None, *, length: int | None = None) -> list[Any]:
        """A list, of `length` items when given."""
        value = self._take(key, default)
        if value is _MISSING:
            return []
        if not isinstance(value, list) or (length is not None and len(value) != length):
            self.wrong(key, value, "a list" if length is None else f"a list of {length}")
            return []
        return value

    def sections(self, key: str) -> list[Section]:
        """A non-empty list of mappings."""
        values = self.items(key)
        if not values and key in self._values:
            self.wrong(key, self._values[key], "at least one item")
        return [Section(value, f"{self._path(key)}[{i}]", self._problems) for i, value in enumerate(values)]

    def section(self, key: str) -> Section:
        value = self._take(key, None)
        return Section({} if value is _MISSING else value, self._path(key), self._problems)

    def has(self, key: str) -> bool:
        """Whether an optional key is given; it counts as known either way."""
        self._seen.add(key)
        return key in self._values

    def sound(self, *keys: str) -> bool:
        """Whether nothing was wrong with the values of these keys, so that what follows from them deserves a report."""
        return self._faulty.isdisjoint(keys)

    def wrong(self, key: str, given: Any, allowed: str) -> None:
        """Report a value; the first report of a key is the only one."""
        self._report(key, f"is {shown(given)}, must be {allowed}")

    def _report(self, key: str, problem: str) -> None:
        if key not in self._faulty:
            self._problems.add(f"{self._path(key)}: {problem}")
        self._faulty.add(key)

    def finish(self) -> None:
        """Report every key that no call asked for."""
        for key in self._values:
            if key not in self._seen:
                self._problems.add(f"{self._path(str(key))}: unknown key; allowed: {', '.join(sorted(self._seen))}")

    def _take(self, key: str, default: Any) -> Any:
        self._seen.add(key)
        if key in self._values:
            return self._values[key]
        if default is None:
            self._report(key, "missing")
            return _MISSING
        return default

    def _path(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                where = node.value[i][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", where)
        return super().construct_mapping(node, deep)


_MISSING = object()
