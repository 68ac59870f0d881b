"""Numbers and tables as short text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, padded so that it also reads as text."""
    rows = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in
                          enumerate(zip(row, widths, strict=True))) + " |" for row in rows
    ]  # fmt: skip
    lines.insert(
        1, "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    )
    return "\n".join(lines)


def number(value: float, digits: int = 3) -> str:
    """Short: at most `digits` significant ones."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}" if abs(value) >= 1e-4 else f"{value:.0e}"
