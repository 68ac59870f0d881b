"""What a line of a tape has to be before anything is made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import FileError, Problems
from nnik_ros.options import from_mapping
from nnik_ros.yaml_file import shown

FORMAT, VERSION = "nnik_tape", 1
CALLS = ("start", "pause", "home", "reset", "forget", "enable", "options", "model")
_FILES = ("robot", "model", "calibration")  # that the header identifies; the last two are null where there was none


def parsed(text: str, number: int, source: str, *, last: bool) -> dict[str, Any] | None:
    """The line's object; None for a last line that was cut off while it was written."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:  # the second: lists without an end
        if last and number > 1 and not text.endswith("\n"):
            return None
        kind = "no recording of this package" if number == 1 else "is damaged"
        raise FileError(source, [f"line {number}: {kind}: not JSON: {error}"]) from error
    if not isinstance(values, dict):
        raise FileError(source, [f"line {number}: is damaged: not an object"])
    return values


def checked_header(values: dict[str, Any], number: int, source: str) -> Mapping[str, Any]:
    """The first line of a session.

    Raises:
        FileError: not a tape, another version, or keys that are missing or of another kind, all named.
    """
    where = f"line {number}"
    if values.get("tape") != FORMAT:
        raise FileError(
            source, [f"{where}: no recording of this package: its first line must name the tape '{FORMAT}'"]
        )
    if values.get("version") != VERSION:
        raise FileError(source, [f"{where}: version is {values.get('version')!r}, this program reads {VERSION}"])
    problems = Problems(source)
    for key in (*_FILES, "options"):
        if key not in values:
            problems.add(f"{where}: {key} is missing")
    for key in _FILES:
        given = values.get(key)
        if given is None and key != "robot":
            continue
        if key in values and not _is_identity(given):
            problems.add(f"{where}: {key} is {shown(given)}, must have a file and its sha256")
    for key in ("options", "made_with"):
        if not isinstance(values.get(key, {}), dict):
            problems.add(f"{where}: {key} is {shown(values[key])}, must be a mapping")
    problems.raise_if_any()
    return values


def checked_call(name: Any, value: Any) -> tuple[str, Any]:
    """A call of the controller and its value. Raises ValueError: there is no such call, or not with this value."""
    if name not in CALLS:
        raise ValueError(f"'{name}' is no call of a controller")
    if name == "options":
        if not isinstance(value, dict):
            raise ValueError(f"options: is {shown(value)}, must be a mapping")
        try:
            from_mapping(ControllerOptions, value, name)
        except FileError as error:
            raise ValueError("; ".join(error.problems)) from error
    if name == "model" and value is not None and not _is_identity(value):
        raise ValueError(f"model: is {shown(value)}, must have a file and its sha256")
    if name == "enable" and not (isinstance(value, list) and all(isinstance(switch, bool) for switch in value)):
        raise ValueError(f"enable: is {shown(value)}, must be a list of true and false")
    return name, value


def _is_identity(value: Any) -> bool:
    """Whether it tells a file and the digest of its content."""
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in ("file", "sha256"))
