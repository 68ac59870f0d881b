"""What the command lines ask of their arguments: numbers within a range, and files that can be written."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nnik_ros.errors import FileError, range_in_words


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Adds its default to the help of an option, where it has one and its help does not tell it in words."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        in_words = "default" in (action.help or "")
        has_none = action.default is None or action.default is False or action.default in ("", [])
        return action.help if in_words or has_none else super()._get_help_string(action)


def number(*, low: float = -math.inf, high: float = math.inf, above: float = -math.inf) -> Callable[[str], float]:
    """The `type` of an argument: a finite number within [low, high] (and > above, when given). It raises
    argparse.ArgumentTypeError, which says what was given and what is allowed."""
    allowed = f"a finite number {range_in_words(low, high, above)}".rstrip()

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high and above < value):
            raise argparse.ArgumentTypeError(f"is '{text}', must be {allowed}")
        return value

    return parse


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """As `number`, without a fraction and not negative."""
    allowed = f"a whole number {range_in_words(low, math.inf if high is None else high)}"

    def parse(text: str) -> int:
        value = int(text) if text.isdecimal() and len(text) < 19 else -1  # as many digits as an int64 holds
        if value < max(low, 0) or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"is '{text}', must be {allowed}")
        return value

    return parse


def seed(text: str) -> int:
    """The `type` of an argument: what a recipe allows as its seed, too."""
    return whole_number(0, 2**31 - 1)(text)


def check_writable(path: Path, *, makes_folder: bool = False) -> None:
    """Look whether a file can be written, and write nothing: to be asked before the work whose result it holds.

    makes_folder: the folders above it are made where they are missing.

    Raises:
        FileError: a folder stands there, there is no folder for it, or writing is not permitted.
    """
    if os.path.isdir(path):
        raise FileError(str(path), ["cannot be written: is a folder"])
    folder = path.absolute().parent
    while makes_folder and not os.path.lexists(folder):
        folder = folder.parent
    if not os.path.isdir(folder):
        raise FileError(str(path), [f"cannot be written: there is no folder {folder}"])
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise FileError(str(path), ["cannot be written: permission denied"])


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tells what `check_writable` cannot foresee, such as a full disk, while a file or a folder of files is written.

    Raises:
        FileError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise FileError(str(path), [f"cannot be written: {error.strerror or error}"]) from error


def check_apart(path: Path, read: Mapping[str, Path]) -> None:
    """Look whether a file to write is one of those that are read, by what they are; links to the same file are the same.

    Raises:
        FileError: it is, and would be lost.
    """
    same = [what for what, file in read.items() if path.exists() and file.exists() and path.samefile(file)]
    if same:
        raise FileError(str(path), [f"cannot be written: is {' and '.join(same)}, which would be lost"])
