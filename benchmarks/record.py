"""The numbers behind the page, as a file that is read without this package."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

FILE = "benchmark.json"  # beside the page
_DIGITS = 6


def written(results: Any) -> str:
    """Results as JSON: numbers rounded to six digits, null for what is not finite; entries that are None are left out."""
    return json.dumps(_plain(results), indent=1, ensure_ascii=False) + "\n"


def read(file: Path) -> Any:
    """What was written; null is infinite again, for it stands for times of what never got there."""
    return json.loads(file.read_text(encoding="utf-8"), object_hook=_restored)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value


def _restored(values: dict[str, Any]) -> dict[str, Any]:
    return {key: math.inf if value is None else value for key, value in values.items()}
