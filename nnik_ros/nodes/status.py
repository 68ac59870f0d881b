"""What the controller tells: status, diagnostics and the words in them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from nnik_ros.guard import Solver
from nnik_ros.limits import limit_names
from nnik_ros.nodes.control_loop import LoopSummary
from nnik_ros.nodes.intake import Refusals
from nnik_ros.nodes.other_publishers import OtherPublishers
from nnik_ros.nodes.realtime import RealtimeReport
from nnik_ros.nodes.statistics import WINDOW, DataSummary, Spread
from nnik_ros.states import TickResult, TipState

_WARN = frozenset({
    TipState.UNREACHABLE, TipState.COLLISION, TipState.STALE_TARGET, TipState.FALLBACK, TipState.WAITING_STATE
})  # fmt: skip
_ERROR = frozenset({TipState.STALE_STATE, TipState.FAULT})
INACTIVE = "INACTIVE"
_NAMES, _LONGEST_NAME = 3, 40  # joints of others in a message, and characters of each


def level_of(state: TipState) -> bytes:
    """OK, WARN or ERROR of a DiagnosticStatus."""
    level: bytes = DiagnosticStatus.OK
    if state in _WARN:
        level = DiagnosticStatus.WARN
    return DiagnosticStatus.ERROR if state in _ERROR else level


def inactive_status(name: str, robot: str, why: str, tips: Sequence[str], enabled: Sequence[bool]) -> DiagnosticStatus:
    """The status of a controller whose loop does not run: state, and `<tip>.enabled`."""
    pairs = [("state", INACTIVE), *((f"{tip}.enabled", _word(on)) for tip, on in zip(tips, enabled, strict=True))]
    return DiagnosticStatus(
        level=DiagnosticStatus.STALE, name=name, hardware_id=robot, message=why, values=_pairs(*pairs)
    )


def controller_status(
    name: str,
    robot: str,
    tips: Sequence[str],
    enabled: Sequence[bool],
    result: TickResult,
    waits_for: str,
    refusals: Refusals,
    warnings: Sequence[str],
    fault: str,
) -> DiagnosticStatus:
    """state and code of the hand, then `<tip>.state`, `.code`, `.enabled`, `.error` [m], `.measured_error` [m],
    `.pointing_error` [rad], `.solver`, `.limited`, `.message` of each tip, then the refused inputs. enabled: the switches of
    the tips; waits_for: added to the message, as are warnings; fault: of the node itself, if any."""
    state = result.hand_state
    message = f"{result.hand_message()}{f' ({waits_for})' if waits_for else ''}"
    pairs = [("state", state.name), ("code", str(int(state)))]
    for i, (tip, sentence) in enumerate(zip(tips, result.messages(tips), strict=True)):
        tip_state = TipState(int(result.tip_state[i]))
        pairs += [
            (f"{tip}.state", tip_state.name),
            (f"{tip}.code", str(int(tip_state))),
            (f"{tip}.enabled", _word(enabled[i])),
            (f"{tip}.error", f"{result.error[i]:.6f}"),
            (f"{tip}.measured_error", f"{result.measured_error[i]:.6f}"),
            (f"{tip}.pointing_error", f"{result.pointing_error[i]:.4f}"),
            (f"{tip}.solver", Solver(int(result.solver[i])).name),
            (f"{tip}.limited", ",".join(limit_names(int(result.limited[i])))),
            (f"{tip}.message", sentence),
        ]
    level = level_of(state)
    if refusals.reasons:
        level = max(level, DiagnosticStatus.WARN)
        message += f"; refused: {_reasons(refusals)}"
    for warning in warnings:
        level = max(level, DiagnosticStatus.WARN)
        message += f"; {warning}"
    if fault:
        level, message = DiagnosticStatus.ERROR, f"{fault}; {message}"
    return DiagnosticStatus(
        level=level, name=name, hardware_id=robot, message=message, values=_pairs(*pairs, *_refusal_pairs(refusals))
    )


def loop_status(
    name: str, robot: str, wanted: float, summary: LoopSummary, realtime: RealtimeReport, receivers: int
) -> DiagnosticStatus:
    """Statistics of the control loop; wanted: its period [s]."""
    late = summary.missed > 0
    message = f"{1.0 / summary.period_mean:.1f} Hz" if math.isfinite(summary.period_mean) else "not running"
    message += f", {summary.missed} deadlines missed" if late else ""
    level = (
        DiagnosticStatus.ERROR if summary.errors else DiagnosticStatus.WARN if realtime.refused else DiagnosticStatus.OK
    )
    pairs = [("period_wanted_ms", _ms(wanted)), ("period_mean_ms", _ms(summary.period_mean))]
    for what, spread in (
        ("period", summary.period), ("jitter", summary.jitter), ("latency", summary.latency), ("compute", summary.compute)
    ):  # fmt: skip
        pairs += _spread_pairs(what, spread)
    pairs += [
        ("ticks", str(summary.ticks)),
        ("missed", str(summary.missed)),
        ("errors", str(summary.errors)),
        ("command_receivers", str(receivers)),
        ("realtime", "; ".join(realtime.got) or "not in use"),
        ("realtime_refused", "; ".join(realtime.refused)),
    ]
    return DiagnosticStatus(
        level=level, name=f"{name}: loop", hardware_id=robot, message=message, values=_pairs(*pairs)
    )


def statistics_status(
    name: str, robot: str, tips: Sequence[str], summary: LoopSummary, data: DataSummary, refusals: Refusals, benched: bool,
) -> DiagnosticStatus:  # fmt: skip
    """Numbers alone. Percentiles (p50, p90, p99, p999, max) of the last 5 s: `period_error`, `latency`, `compute`, `inference`,
    `state_age`, `target_age`, in ms. Counted since the node was configured: `ticks`, `missed`, `late_share` (missed over
    both), `errors`, `refused...` by topic and kind, `solver.<tip>.<SOLVER>` in ticks with a command that went out."""
    due = summary.ticks + summary.missed
    pairs = [
        ("window_s", f"{WINDOW:g}"), ("ticks", str(summary.ticks)), ("missed", str(summary.missed)),
        ("late_share", f"{summary.missed / due if due else 0.0:.6f}"), ("errors", str(summary.errors)),
    ]  # fmt: skip
    for what, spread in (
        ("period_error", summary.jitter), ("latency", summary.latency), ("compute", summary.compute),
        ("inference", data.inference), ("state_age", data.state_age), ("target_age", data.target_age),
    ):  # fmt: skip
        pairs += _spread_pairs(what, spread)
    pairs.append(("benched", _word(benched)))
    for tip, counts in zip(tips, data.solved.tolist(), strict=True):
        pairs += [(f"solver.{tip}.{solver.name}", str(counts[solver])) for solver in Solver]
    return DiagnosticStatus(
        level=DiagnosticStatus.OK, name=f"{name}: statistics", hardware_id=robot, message=f"of the last {WINDOW:g} s",
        values=_pairs(*pairs, *_refusal_pairs(refusals)),
    )  # fmt: skip


def publisher_status(name: str, robot: str, others: OtherPublishers) -> DiagnosticStatus:
    """Who publishes where one alone should: the names by topic, and how often one appeared."""
    pairs = [(topic, ", ".join(names)) for topic, names in others.found.items()]
    pairs += [(f"appeared.{topic}", str(count)) for topic, count in sorted(others.appeared.items())]
    return DiagnosticStatus(
        level=DiagnosticStatus.WARN if others.found else DiagnosticStatus.OK, name=f"{name}: publishers", hardware_id=robot,
        message=others.message or "one publisher for each topic", values=_pairs(*pairs),
    )  # fmt: skip


def publishers_in_words(types: Sequence[str], wanted: str) -> str:
    """How many publish a type of messages, and what else is published, which nobody hears who waits for that type."""
    others = Counter(found for found in types if found != wanted)
    count = len(types) - others.total()
    words = f"{count} publisher{'' if count == 1 else 's'}"
    strange = ", ".join(f"{n} of {found}" for found, n in sorted(others.items()))
    return f"{words} of {wanted}, but {strange}" if others else words


def others_in_words(passed_over: Sequence[str], wanted: Sequence[str]) -> str:
    """What is heard on a shared topic instead of the wanted joints, '' for nothing."""
    if not passed_over:
        return ""
    return f"; joint states there are of others, {_few(passed_over)}, not of {_few(wanted)}"


def _few(names: Sequence[str]) -> str:
    """Not all of many, and no endless name."""
    shown = [name[:_LONGEST_NAME] for name in names[:_NAMES]]
    return ", ".join([*shown, "..."] if len(names) > _NAMES else shown)


def input_status(name: str, robot: str, refusals: Refusals) -> DiagnosticStatus:
    """Refused inputs, counted by topic and kind."""
    message = _reasons(refusals) or "all accepted"
    level = DiagnosticStatus.WARN if refusals.reasons else DiagnosticStatus.OK
    return DiagnosticStatus(
        level=level,
        name=f"{name}: inputs",
        hardware_id=robot,
        message=message,
        values=_pairs(*_refusal_pairs(refusals)),
    )


def _refusal_pairs(refusals: Refusals) -> list[tuple[str, str]]:
    counts = dict(refusals.counts)
    pairs = [("refused", str(sum(counts.values())))]
    return pairs + [(f"refused.{topic}.{code}", str(count)) for (topic, code), count in sorted(counts.items())]


def _reasons(refusals: Refusals) -> str:
    return "; ".join(f"{topic}: {reason}" for topic, (_, reason) in dict(refusals.reasons).items())


def _pairs(*pairs: tuple[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value) for key, value in pairs]


def _word(on: bool) -> str:
    return "true" if on else "false"


def _spread_pairs(what: str, spread: Spread) -> list[tuple[str, str]]:
    return [(f"{what}_{key}_ms", _ms(value)) for key, value in zip(Spread._fields, spread, strict=True)]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.4f}"  # jitter is of microseconds
