"""The controller's status and diagnostics as values, for whoever shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from nnik_ros.nodes.statistics import Spread

STATUS_LIFE = 3.0  # s, that a status is shown without a newer one; a controller tells it once a second or more often
SILENT = f"nothing was heard of the controller for {STATUS_LIFE:g} s"
_GOOD, _MOVING, _CALM, _WARN, _BAD = (40, 160, 90), (45, 125, 220), (140, 146, 155), (225, 145, 20), (210, 60, 50)
_COLORS = {
    "REACHED": _GOOD, "TRACKING": _MOVING, "HOMING": _MOVING, "STOPPING": _MOVING, "IDLE": _CALM, "DISABLED": _CALM,
    "PAUSED": _CALM, "LIMITED": _WARN, "UNREACHABLE": _WARN, "COLLISION": _WARN, "STALE_TARGET": _WARN, "FALLBACK": _WARN,
    "WAITING_STATE": _WARN,
}  # fmt: skip


class TipStatus(NamedTuple):
    """Errors in m, nan where unknown; enabled: None until a controller told."""

    name: str
    state: str
    error: float
    measured_error: float
    message: str
    enabled: bool | None = None


class HandStatus(NamedTuple):
    """state is '' until a controller was heard."""

    state: str
    message: str
    tips: tuple[TipStatus, ...]


class LoopStatus(NamedTuple):
    """The control loop: rate [Hz]; period between two ticks, latency of a tick after its deadline, compute time of a tick."""

    rate: float
    period: Spread
    latency: Spread
    compute: Spread
    ticks: int
    missed: int


def no_status(tips: Sequence[str], message: str = "no controller was heard yet") -> HandStatus:
    """What is known before the first message, and with another message when none came for STATUS_LIFE."""
    return HandStatus("", message, tuple(TipStatus(name, "", math.nan, math.nan, "") for name in tips))


_NO_SPREAD = Spread(*[math.nan] * len(Spread._fields))
NO_LOOP = LoopStatus(math.nan, _NO_SPREAD, _NO_SPREAD, _NO_SPREAD, 0, 0)


def read_status(message: DiagnosticStatus, tips: Sequence[str]) -> HandStatus:
    """What is missing from the message stays empty or nan."""
    values = {pair.key: pair.value for pair in message.values}
    rows = tuple(
        TipStatus(
            name, values.get(f"{name}.state", ""), _number(values, f"{name}.error"), _number(values, f"{name}.measured_error"),
            values.get(f"{name}.message", ""),
            {"true": True, "false": False}.get(values.get(f"{name}.enabled", "")),
        )
        for name in tips
    )  # fmt: skip
    return HandStatus(values.get("state", ""), message.message, rows)


def read_loop(message: DiagnosticArray) -> LoopStatus | None:
    """The loop's statistics, None when this array has none."""
    for status in message.status:
        values = {pair.key: pair.value for pair in status.values}
        if "period_mean_ms" in values:
            rate = _rate(_number(values, "period_mean_ms"))
            period, latency, compute = (_spread(values, what) for what in ("period", "latency", "compute"))
            return LoopStatus(rate, period, latency, compute, _count(values, "ticks"), _count(values, "missed"))
    return None


def state_color(state: str) -> tuple[int, int, int]:
    """Green where it should be, blue on the way, grey at rest, amber hindered, red out of order."""
    return _COLORS.get(state, _BAD if state else _CALM)


def _number(values: dict[str, str], key: str) -> float:
    try:
        return float(values.get(key, "nan"))
    except ValueError:
        return math.nan


def _count(values: dict[str, str], key: str) -> int:
    number = _number(values, key)
    return int(number) if math.isfinite(number) else 0


def _rate(period_ms: float) -> float:
    return 1e3 / period_ms if period_ms > 0 else math.nan


def _spread(values: dict[str, str], what: str) -> Spread:
    return Spread(*(1e-3 * _number(values, f"{what}_{key}_ms") for key in Spread._fields))
