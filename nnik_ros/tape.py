"""A tape: everything that went into a controller and what came out, exactly, as lines of JSON.

Line 0 says what was controlled, every other line is a call of the controller in its order. Numbers are written with as many
digits as bring the same float64 back. Each line has its number `i`, so that a missing one is seen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnik_ros.collision import CollisionModel
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import FileError
from nnik_ros.geometry import Array
from nnik_ros.options import from_mapping
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot
from nnik_ros.states import Measurement, Targets, TickResult
from nnik_ros.tape_checks import FORMAT, VERSION, checked_call, checked_header, parsed


class Call(NamedTuple):
    """Something that an operator asked for. value: switches of `enable`, options, or the policy of `model`."""

    name: str
    value: Any = None


class Tick(NamedTuple):
    """One tick. q None: no measurement; command None: nothing was published; raised: name of an error, '' for none."""

    now: float
    q: Array | None
    q_stamp: float
    target: Array  # (nt, 3)
    target_stamp: Array  # (nt,)
    direction: Array | None  # (nt, 3)
    command: Array | None
    state: tuple[int, ...]
    raised: str = ""


Entry = Call | Tick


class TapedController(Controller):
    """A controller that hands every call, with what came of it, to `put`; arrays are copies."""

    def __init__(
        self,
        robot: Robot,
        policy: Policy | None,
        options: ControllerOptions,
        collision: CollisionModel | None,
        put: Callable[[Entry], None],
    ) -> None:
        self._put: Callable[[Entry], None] = lambda entry: None  # what the base does while it is made is no call
        super().__init__(robot, policy, options, collision)
        self._put = put

    def start(self) -> None:
        super().start()
        self._put(Call("start"))

    def pause(self) -> None:
        super().pause()
        self._put(Call("pause"))

    def home(self) -> None:
        super().home()
        self._put(Call("home"))

    def reset(self) -> None:
        super().reset()
        self._put(Call("reset"))

    def forget(self) -> None:
        super().forget()
        self._put(Call("forget"))

    def set_enabled(self, enabled: Sequence[bool]) -> None:
        super().set_enabled(enabled)
        self._put(Call("enable", [bool(value) for value in enabled]))

    def set_options(self, options: ControllerOptions) -> None:
        super().set_options(options)
        self._put(Call("options", dict(vars(options))))

    def set_policy(self, policy: Policy | None) -> None:
        super().set_policy(policy)
        self._put(Call("model", policy))

    def tick(self, now: float, measurement: Measurement | None, targets: Targets) -> TickResult:
        q = None if measurement is None else np.array(measurement.q, dtype=np.float64)
        stamp = -math.inf if measurement is None else float(measurement.stamp)
        direction = None if targets.direction is None else np.array(targets.direction)
        inputs = (float(now), q, stamp, np.array(targets.position), np.array(targets.stamp), direction)
        try:
            result = super().tick(now, measurement, targets)
        except Exception as error:
            self._put(Tick(*inputs, None, (), type(error).__name__))
            raise
        command = None if result.command is None else result.command.copy()
        self._put(Tick(*inputs, command, tuple(result.tip_state.tolist())))
        return result


class TapeEncoder:
    """Entries to lines. An input that is the same as in the tick before is left out."""

    def __init__(self, header: Mapping[str, Any], describe_policy: Callable[[Any], Any]) -> None:
        """header: what is controlled; describe_policy: what to write of a policy that is set."""
        self._describe = describe_policy
        self._count = 0
        self._last: dict[str, bytes | None] = {}
        self.header = self._line({"tape": FORMAT, "version": VERSION, **header})

    def line(self, entry: Entry) -> str:
        """One line with its end."""
        if isinstance(entry, Call):
            value = self._describe(entry.value) if entry.name == "model" else entry.value
            return self._line({"call": entry.name, **({} if value is None else {"value": value})})
        line: dict[str, Any] = {"now": _number(entry.now)}
        if self._is_new("q", entry.q, np.array(entry.q_stamp)):
            line["q"], line["q_stamp"] = _numbers(entry.q), _number(entry.q_stamp)
        if self._is_new("target", entry.target, entry.target_stamp):
            line["target"], line["target_stamp"] = _numbers(entry.target), _numbers(entry.target_stamp)
        if self._is_new("direction", entry.direction):
            line["direction"] = _numbers(entry.direction)
        line["command"], line["state"] = _numbers(entry.command), list(entry.state)
        if entry.raised:
            line["raised"] = entry.raised
        return self._line(line)

    def end(self) -> str:
        """The line that says that nothing follows."""
        return self._line({"end": self._count})

    def _line(self, values: Mapping[str, Any]) -> str:
        text = json.dumps({"i": self._count, **values}, allow_nan=False, separators=(",", ":"))
        self._count += 1
        return text + "\n"

    def _is_new(self, key: str, *arrays: Array | None) -> bool:
        content = b"".join(b"-" if array is None else array.tobytes() for array in arrays)
        known = self._last.get(key) == content
        self._last[key] = content
        return not known


class Tape(NamedTuple):
    """One recorded session. complete: it has its end line; otherwise the recording was cut off after the last entry."""

    header: Mapping[str, Any]
    entries: tuple[Entry, ...]
    complete: bool


def read_tapes(lines: Iterable[str], source: str) -> list[Tape]:
    """All sessions of a recording, one after the other.

    Raises:
        FileError: not a tape, another version, a damaged or missing line; with the line's number in the file.
    """
    tapes: list[Tape] = []
    reader: _Session | None = None
    rows = list(lines)
    for number, text in enumerate(rows, start=1):
        values = parsed(text, number, source, last=number == len(rows))
        if values is None:
            break
        if "tape" in values or reader is None:
            if reader is not None:
                tapes.append(reader.tape())
            reader = _Session(checked_header(values, number, source), source)
        else:
            reader.take(values, number)
    if reader is None:
        raise FileError(source, ["holds no recording: it is empty"])
    return [*tapes, reader.tape()]


class _Session:
    """Builds one tape out of its lines."""

    def __init__(self, header: Mapping[str, Any], source: str) -> None:
        self._header, self._source = header, source
        self._entries: list[Entry] = []
        self._next, self._complete = 1, False
        self._inputs: dict[str, Any] = {"direction": None}

    def take(self, values: dict[str, Any], number: int) -> None:
        where = f"line {number}"
        if values.get("i") != self._next:
            raise FileError(self._source, [f"{where}: is entry {values.get('i')!r}, entry {self._next} was expected: "
                                           "a part of the recording is missing"])  # fmt: skip
        if self._complete:
            raise FileError(self._source, [f"{where}: follows the end of the recording"])
        self._next += 1
        if "end" in values:
            self._complete = True
            return
        try:
            self._entries.append(self._call(values) if "call" in values else self._tick(values))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            problem = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
            raise FileError(self._source, [f"{where}: is damaged: {problem}"]) from error

    def tape(self) -> Tape:
        return Tape(self._header, tuple(self._entries), self._complete)

    @staticmethod
    def _call(values: dict[str, Any]) -> Call:
        return Call(*checked_call(values["call"], values.get("value")))

    def _tick(self, values: dict[str, Any]) -> Tick:
        inputs = self._inputs
        if "q" in values:
            inputs["q"] = None if values["q"] is None else _array(values["q"])
            inputs["q_stamp"] = float(values["q_stamp"])
        if "target" in values:
            inputs["target"], inputs["target_stamp"] = _array(values["target"]), _array(values["target_stamp"])
        if "direction" in values:
            inputs["direction"] = None if values["direction"] is None else _array(values["direction"])
        command = None if values["command"] is None else _array(values["command"])
        state = tuple(int(state) for state in values["state"])
        return Tick(
            float(values["now"]), inputs["q"], inputs["q_stamp"], inputs["target"], inputs["target_stamp"],
            inputs["direction"], command, state,
            str(values.get("raised", "")),
        )  # fmt: skip


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _numbers(values: Any) -> Any:
    """Nested lists; what JSON cannot say stands as 'nan', 'inf' or '-inf'."""
    if values is None:
        return None
    if np.isfinite(values).all():
        return values.tolist()
    return [_numbers(row) if np.ndim(row) else _number(float(row)) for row in values]


def _array(values: Any) -> Array:
    return np.array(values, dtype=np.float64)


def replayed(
    tape: Tape, controller: Controller, policy_of: Callable[[Any], Policy | None]
) -> Iterator[tuple[Tick, Tick]]:
    """Every recorded tick beside the same tick of `controller`, which is new and made as the header says.

    policy_of: the policy that a header or a call of `model` describes.
    """
    actions: dict[str, Callable[[Any], None]] = {
        "start": lambda _: controller.start(),
        "pause": lambda _: controller.pause(),
        "home": lambda _: controller.home(),
        "reset": lambda _: controller.reset(),
        "forget": lambda _: controller.forget(),
        "enable": controller.set_enabled,
        "options": lambda value: controller.set_options(from_mapping(ControllerOptions, value, "options")),
        "model": lambda value: controller.set_policy(policy_of(value)),
    }
    for entry in tape.entries:
        if isinstance(entry, Call):
            actions[entry.name](entry.value)
        else:
            yield entry, _again(controller, entry)


def _again(controller: Controller, tick: Tick) -> Tick:
    measurement = None if tick.q is None else Measurement(tick.q, tick.q_stamp)
    try:
        result = controller.tick(tick.now, measurement, Targets(tick.target, tick.target_stamp, tick.direction))
    except Exception as error:
        return tick._replace(command=None, state=(), raised=type(error).__name__)
    return tick._replace(command=result.command, state=tuple(result.tip_state.tolist()), raised="")
