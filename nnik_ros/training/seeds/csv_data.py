"""Training sets as CSV files, inputs and outputs apart, one sample a line under a line of column names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnik_ros.errors import FileError
from nnik_ros.geometry import Array
from nnik_ros.yaml_file import shown


class Table(NamedTuple):
    """inputs (n, in), outputs (n, out)."""

    inputs: Array
    outputs: Array


def table_files(folder: Path, part: str) -> tuple[Path, Path]:
    """Where the inputs and the outputs of a part lie."""
    return folder / f"{part}_inputs.csv", folder / f"{part}_outputs.csv"


def write_table(folder: Path, part: str, table: Table, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Write `<part>_inputs.csv` and `<part>_outputs.csv`; 17 digits, so that reading gives the same numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, names, values in zip(table_files(folder, part), (inputs, outputs), table, strict=True):
        np.savetxt(path, values, "%.17g", ",", header=",".join(names), comments="")


def read_table(folder: Path, part: str, inputs: Sequence[str], outputs: Sequence[str]) -> Table:
    """Read what `write_table` or another program wrote.

    Raises:
        FileError: a file is missing, has other columns, a value that is no finite number, or another length.
    """
    paths = table_files(folder, part)
    arrays = [_read(path, names) for path, names in zip(paths, (inputs, outputs), strict=True)]
    if len(arrays[0]) != len(arrays[1]):
        lengths = f"has {len(arrays[1])} samples, {paths[0].name} has {len(arrays[0])}"
        raise FileError(str(paths[1]), [lengths])
    return Table(*arrays)


def _read(path: Path, names: Sequence[str]) -> Array:
    try:
        # spreadsheets write a byte order mark, which no one sees
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FileError(str(path), ["cannot be read: not UTF-8 text"]) from error
    except OSError as error:
        raise FileError(str(path), [f"cannot be read: {error.strerror}"]) from error
    head = lines[0] if lines else ""
    if head.split(",") != list(names):
        raise FileError(str(path), [f"columns: are '{head}', must be '{','.join(names)}'"])
    if len(lines) < 2:
        raise FileError(str(path), ["has no samples, must have at least one"])
    return np.array([_numbers(path, i, line, len(names)) for i, line in enumerate(lines[1:], 2)], dtype=np.float64)


def _numbers(path: Path, number: int, line: str, count: int) -> list[float]:
    """The values of a line. number: of the line, from 1."""
    try:
        values = [float(word) for word in line.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise FileError(
            str(path), [f"line {number}: is {shown(line)}, must be {count} finite numbers with commas between them"]
        )
    return values
