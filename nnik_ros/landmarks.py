"""Recorded motion of a human hand: 21 points a frame in the order of MediaPipe, from a CSV or NumPy file.

Points: 0 wrist; 1-4 thumb from its root to its tip; 5-8 index, 9-12 middle, 13-16 ring, 17-20 little finger. Any unit of
length and any frame that keeps its handedness, new in every row if need be. A point that was not seen is nan or an empty cell.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnik_ros.errors import FileError, InputError, Problems
from nnik_ros.geometry import Array, frozen

POINTS = (
    "wrist",
    *(f"thumb_{joint}" for joint in ("cmc", "mcp", "ip", "tip")),
    *(
        f"{finger}_{joint}"
        for finger in ("index", "middle", "ring", "little")
        for joint in ("mcp", "pip", "dip", "tip")
    ),
)
FINGERS = {name: tuple(range(first, first + 4)) for name, first in zip(
    ("thumb", "index", "middle", "ring", "little"), range(1, 21, 4), strict=True
)}  # fmt: skip
WRIST = 0
TIME = "time"
_LARGEST_REPORT = 10  # problems of one file that are listed


@dataclass(frozen=True)
class HandMotion:
    """time (n,) [s], rising from 0; points (n, 21, 3) in the recording's own unit and frame, nan where not seen."""

    time: Array = field(repr=False)
    points: Array = field(repr=False)


def read_hand_motion(path: Path | str, rate: float = 30.0) -> HandMotion:
    """Read a `.csv` with a header, or an `.npy` of shape (n, 21, 3) or (n, 63).

    The CSV has one row a frame, columns in any order: `<point>_x`, `_y`, `_z` by the names in POINTS, or `x0`, `y0`, `z0` to
    `z20` by number; and, if it has one, `time` [s]. rate [Hz]: of a recording without times.

    Raises:
        InputError: a rate that is not above 0 and finite.
        FileError: not such a file; with the columns and rows that are wrong.
    """
    if not 0.0 < rate < np.inf:
        raise InputError(f"rate is {rate}, must be above 0 Hz and finite")
    path, problems = Path(path), Problems(str(path))
    try:
        time, points = _read_npy(path, problems) if path.suffix == ".npy" else _read_csv(path, problems)
    except (OSError, ValueError, csv.Error) as error:
        problems.add(f"cannot be read: {error}")
        problems.raise_if_any()
        raise AssertionError("unreachable") from error
    problems.raise_if_any()
    if len(points) < 2:
        raise FileError(str(path), [f"has {len(points)} frames, must have at least 2"])
    if time is None:
        time = np.arange(len(points)) / rate
    back = np.flatnonzero(~(np.diff(time) > 0))
    if len(back):
        raise FileError(
            str(path), [f"row {back[0] + 2}: time {time[back[0] + 1]:g} s does not follow {time[back[0]]:g} s"]
        )
    if not np.isfinite(points).all(axis=-1).any():
        raise FileError(str(path), ["not one point was seen in any frame"])
    return HandMotion(frozen(time - time[0]), frozen(points))


def _read_npy(path: Path, problems: Problems) -> tuple[None, Array]:
    try:
        values = np.load(path, allow_pickle=False)
    except Exception as error:  # damaged bytes make numpy raise whatever they lead to
        raise ValueError(error) from error
    if not isinstance(values, np.ndarray):
        values.close()
        problems.add("is an archive of arrays (.npz), must be one array (.npy)")
        return None, np.zeros((0, 21, 3))
    if not np.issubdtype(values.dtype, np.floating) or values.shape[1:] not in ((21, 3), (63,)):
        problems.add(
            f"holds {values.dtype} of shape {values.shape}, must be floating point of shape (n, 21, 3) or (n, 63)"
        )
        return None, np.zeros((0, 21, 3))
    return None, _unseen(values.astype(np.float64).reshape(-1, 21, 3))


def _read_csv(path: Path, problems: Problems) -> tuple[Array | None, Array]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = [name.strip().lower() for name in next(rows, [])]
        order = _columns(header, problems)
        if problems:
            return None, np.zeros((0, 21, 3))
        table = []
        for number, row in enumerate(filter(None, rows), start=1):  # an empty line is no row
            table.append(_numbers(row, number, header, problems))
            if len(list(problems)) >= _LARGEST_REPORT:
                break
    if problems:
        return None, np.zeros((0, 21, 3))
    values = np.array(table, dtype=np.float64).reshape(-1, len(header))
    time = values[:, header.index(TIME)] if TIME in header else None
    return time, _unseen(values[:, order].reshape(-1, 21, 3))


def _columns(header: list[str], problems: Problems) -> list[int]:
    """Where each coordinate stands, point by point."""
    named = [f"{point}_{axis}" for point in POINTS for axis in "xyz"]
    numbered = [f"{axis}{i}" for i in range(len(POINTS)) for axis in "xyz"]
    wanted = numbered if "x0" in header else named
    missing = [name for name in wanted if name not in header]
    if missing:
        shown = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
        problems.add(f"header: columns are missing: {shown}; wanted are wrist_x to little_tip_z, or x0 to z20")
    for name in sorted({name for name in header if header.count(name) > 1}):
        problems.add(f"header: column '{name}' is given twice")
    return [] if problems else [header.index(name) for name in wanted]


def _numbers(row: list[str], number: int, header: list[str], problems: Problems) -> list[float]:
    if len(row) != len(header):
        problems.add(f"row {number}: has {len(row)} cells, the header has {len(header)}")
        return [math.nan] * len(header)
    values = []
    for name, cell in zip(header, row, strict=True):
        try:
            values.append(float(cell) if cell.strip() or name == TIME else math.nan)
        except ValueError:
            problems.add(f"row {number}: {name} is '{cell[:40]}', must be a number")
            values.append(math.nan)
        else:
            if name == TIME and not math.isfinite(values[-1]):
                problems.add(f"row {number}: {name} is '{cell[:40]}', must be a finite number")
    return values


def _unseen(points: Array) -> Array:
    """A point with any coordinate that is not finite was not seen."""
    seen = np.isfinite(points).all(axis=-1, keepdims=True)
    return np.where(seen, points, np.nan)
