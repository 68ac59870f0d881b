"""The one exception tree of the package."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator


class NnikError(Exception):
    """Base of every error raised on purpose by this package."""


class InputError(NnikError):
    """A value handed in is not what the call allows."""


class FileError(NnikError):
    """A data file (robot, driver, recipe, URDF, calibration) cannot be used as it is.

    All problems found in the file are in `problems`; the message lists them one a line.
    """

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{source}: {_count(len(self.problems))}"] + [f"  - {p}" for p in self.problems]))


class ContractError(FileError):
    """A network file does not fit the robot, or is damaged."""


class Problems:
    """Collects what is wrong with one source, so that everything is reported at once."""

    def __init__(self, source: str, error: type[FileError] = FileError) -> None:
        self.source = source
        self._error = error
        self._found: list[str] = []

    def add(self, problem: str) -> None:
        self._found.append(problem)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_if_any(self) -> None:
        if self._found:
            raise self._error(self.source, self._found)


def range_in_words(low: float, high: float, above: float = -math.inf) -> str:
    """Of a number within [low, high] (and > above, when given); whole numbers in all their digits. Empty: any number."""
    least, most, more = map(in_yaml, (low, high, above))
    if above > low:
        return f"above {more}" + (f" and up to {most}" if high < math.inf else "")
    if low > -math.inf and high < math.inf:
        return f"within [{least}, {most}]"
    return f"not below {least}" if low > -math.inf else f"not above {most}" if high < math.inf else ""


def in_yaml(value: float) -> str:
    """A finite number in a spelling that YAML 1.1 reads as one: 1.0e-06, where 1e-06 is a text to it."""
    mantissa, e, exponent = f"{value:.12g}".partition("e")
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else mantissa + e + exponent


def _count(n: int) -> str:
    return "1 problem" if n == 1 else f"{n} problems"
