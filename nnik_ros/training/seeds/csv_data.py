"""Training sets as CSV files, inputs and outputs apart, one sample a line under a line of column names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnik_ros.errors import FileError
from nnik_ros.geometry import Array


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
        head, *lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise FileError(str(path), [f"cannot be read: {error}"]) from error
    if head.split(",") != list(names):
        raise FileError(str(path), [f"columns: are '{head}', must be '{','.join(names)}'"])
    try:
        values = np.array([[float(word) for word in line.split(",")] for line in lines], dtype=np.float64)
    except ValueError as error:
        raise FileError(str(path), [f"a line is not {len(names)} numbers: {error}"]) from error
    if values.ndim != 2 or values.shape[1] != len(names) or not np.isfinite(values).all():
        raise FileError(str(path), [f"must hold lines of {len(names)} finite numbers, at least one"])
    return values
