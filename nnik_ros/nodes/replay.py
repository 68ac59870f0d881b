"""Runs a recording of the controller again, tick by tick, and tells where the commands differ from the recorded ones.

The controller's core is deterministic: on the same machine with the same versions every command comes back bit for bit.
A recording is a file (parameter `record`, `./run demo --record FILE`) or a rosbag2 with the topic `tape` (`record_topic`).
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import FileError, NnikError, Problems
from nnik_ros.geometry import Array
from nnik_ros.nodes.loading import Loaded, load, load_named_robot, load_policy
from nnik_ros.nodes.node_options import NO_MODEL, NodeOptions
from nnik_ros.nodes.tape_identity import digest, versions
from nnik_ros.options import from_mapping
from nnik_ros.paths import given_path, robot_file
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot
from nnik_ros.states import TipState
from nnik_ros.tape import Call, Tape, Tick, read_tapes, replayed

IDENTICAL, DIFFERENT, UNUSABLE = 0, 1, 2
_SHOWN = 10  # differences that are listed


@dataclass
class Difference:
    """One tick that did not come back. joint_error (nq,) [rad]: replayed minus recorded, nan where one has no command."""

    tick: int
    what: str
    joint_error: Array = field(repr=False)


@dataclass
class Comparison:
    """All ticks of one session."""

    ticks: int = 0
    commands: int = 0
    differences: list[Difference] = field(default_factory=list)

    def add(self, robot: Robot, recorded: Tick, again: Tick) -> None:
        self.commands += recorded.command is not None
        difference = _difference(robot, self.ticks, recorded, again)
        if difference is not None:
            self.differences.append(difference)
        self.ticks += 1


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 0: all identical, 1: some differ, 2: the recording cannot be used."""
    arguments = _parser().parse_args(words)
    try:
        source = str(arguments.recording)
        tapes = read_tapes(read_lines(arguments.recording, arguments.topic), source)
        _check(tapes, arguments, source)
        results = [replay(tape, arguments, source) for tape in tapes]
    except NnikError as error:
        print(f"replay: {error}", file=sys.stderr)
        return UNUSABLE
    ticks, differ = (sum(n) for n in zip(*((r.ticks, len(r.differences)) for r in results), strict=True))
    commands = sum(result.commands for result in results)
    print(f"replay: {ticks} ticks, {commands} commands, {f'{differ} ticks differ' if differ else 'all identical'}")
    return DIFFERENT if differ else IDENTICAL


def read_lines(path: Path, topic: str = "") -> list[str]:
    """The lines of a recording: a file, or the topic `tape` of a rosbag2.

    Raises:
        FileError: no such file, not readable, a bag without the topic, or a topic of what is no bag.
    """
    try:
        if path.is_dir() or path.suffix in (".mcap", ".db3"):
            from nnik_ros.nodes.replay_bag import texts_of_bag  # a plain recording needs no rosbags

            return "".join(texts_of_bag(path, topic)).splitlines(keepends=True)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except ImportError as error:
        raise FileError(str(path), ["to read a bag, install rosbags (pip install rosbags)"]) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(str(path), [f"cannot be read: {reason}"]) from error
    if topic:
        raise FileError(str(path), [f"--topic {topic}: only a bag has topics, and this is a file"])
    return lines


def replay(tape: Tape, arguments: argparse.Namespace, source: str) -> Comparison:
    """Run one session and print its differences."""
    loaded = _loaded(tape, arguments, source)
    options = from_mapping(ControllerOptions, tape.header["options"], source)
    controller = Controller(loaded.robot, loaded.policy, options, loaded.collision)

    def policy_of(model: Any) -> Policy | None:
        name = NO_MODEL if model is None else _same_file(model, arguments.model, "model", source)
        return load_policy(name, loaded.described, loaded.robot.kinematics)

    result, interrupts = Comparison(), list[int]()
    # Ctrl-C comes out of compiled code as any other error, and would be told as one of the controller
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        for recorded, again in replayed(tape, controller, policy_of):
            if interrupts:
                raise KeyboardInterrupt
            result.add(loaded.robot, recorded, again)
    finally:
        signal.signal(signal.SIGINT, before)
    _report(tape, loaded.robot, options.rate, result)
    return result


def _check(tapes: Sequence[Tape], arguments: argparse.Namespace, source: str) -> None:
    """Raises FileError: there is nothing to replay, or a file was named that the recording does not know."""
    entries = [entry for tape in tapes for entry in tape.entries]
    if not any(isinstance(entry, Tick) for entry in entries):
        raise FileError(source, ["holds no tick, so there is nothing to compare"])
    models = [entry.value for entry in entries if isinstance(entry, Call) and entry.name == "model"]
    used = {
        "model": [tape.header["model"] for tape in tapes] + models,
        "calibration": [tape.header["calibration"] for tape in tapes],
    }
    problems = Problems(source)
    for what, files in used.items():
        if (given := getattr(arguments, what)) and not any(files):
            problems.add(f"--{what} {given}: the recording was made without a {what}")
    problems.raise_if_any()


def _loaded(tape: Tape, arguments: argparse.Namespace, source: str) -> Loaded:
    """What the recorded controller worked with.

    Raises:
        NnikError: a file is missing, or is another one than in the recording.
    """
    header = tape.header
    path = robot_file(arguments.robot or header["robot"]["file"])
    described, _ = load_named_robot(str(path))
    if digest(path, described.urdf_path) != header["robot"]["sha256"]:  # first: all else is judged by the robot
        raise FileError(source, [f"robot: {path} or its URDF is another one than in the recording"])
    names = {"model": NO_MODEL, "calibration": ""}
    for key in names:
        if header[key] is not None:
            names[key] = _same_file(header[key], getattr(arguments, key), key, source)
    return load(NodeOptions(robot=str(path), model=names["model"], calibration=names["calibration"]))


def _same_file(recorded: Any, given: str, what: str, source: str) -> str:
    path = given_path(given or recorded["file"])
    problems = Problems(source)
    try:
        if not path.is_file():
            gone = (
                f"there is no file {path}" if given else f"{path} does not exist any more; name the file with --{what}"
            )
            problems.add(f"{what}: {gone}")
        elif digest(path) != recorded["sha256"]:
            problems.add(f"{what}: {path} is another one than in the recording")
    except OSError as error:
        problems.add(f"{what}: {path} cannot be read: {error.strerror}")
    problems.raise_if_any()
    return str(path)


def _difference(robot: Robot, tick: int, recorded: Tick, again: Tick) -> Difference | None:
    nothing = np.full(robot.nq, np.nan)
    if recorded.raised != again.raised:
        return Difference(tick, f"error '{recorded.raised}' recorded, '{again.raised}' now", nothing)
    if (recorded.command is None) != (again.command is None):
        what = (
            "no command was recorded, there is one now"
            if recorded.command is None
            else "the recorded command is missing"
        )
        return Difference(tick, what, nothing)
    if recorded.command is not None and again.command is not None:
        if recorded.command.shape != again.command.shape:
            return Difference(tick, f"{recorded.command.size} joints recorded, {robot.nq} now", nothing)
        if recorded.command.tobytes() != again.command.tobytes():
            error = again.command - recorded.command
            joint = int(np.argmax(np.abs(error)))
            was, now = float(recorded.command[joint]), float(again.command[joint])
            what = f"{robot.joint_names[joint]}: {was!r} recorded, {now!r} now, {abs(error[joint]):.3g} rad apart"
            return Difference(tick, what, error)
    if recorded.state != again.state:
        return Difference(tick, f"states {_names(recorded.state)} recorded, {_names(again.state)} now", nothing)
    return None


def _names(states: Sequence[int]) -> str:
    known = {int(state): state.name for state in TipState}
    return "/".join(known.get(state, str(state)) for state in states)


def _report(tape: Tape, robot: Robot, rate: float, result: Comparison) -> None:
    model = tape.header["model"]
    solver = Path(model["file"]).name if model else "damped least squares"
    print(f"{robot.name} with {solver}, {rate:g} Hz: {result.ticks} ticks")
    if not tape.complete:
        print("the recording was cut off after its last tick: its end is missing")
    if not result.differences:
        return
    made_with, here = tape.header.get("made_with", {}), versions()
    changed = [
        f"{name} {made_with.get(name)} then, {now} now" for name, now in here.items() if made_with.get(name) != now
    ]
    if changed:
        print(f"other versions, which may be the reason: {'; '.join(changed)}")
    for difference in result.differences[:_SHOWN]:
        print(f"  tick {difference.tick}: {difference.what}")
    if len(result.differences) > _SHOWN:
        print(f"  ... and {len(result.differences) - _SHOWN} more ticks")
    _report_joints(robot, result)


def _report_joints(robot: Robot, result: Comparison) -> None:
    errors = np.abs(np.array([difference.joint_error for difference in result.differences]))
    count = Counter({name: int((errors[:, i] > 0).sum()) for i, name in enumerate(robot.joint_names)})
    for name, ticks in count.most_common():
        if ticks:
            largest = np.nanmax(errors[:, robot.joint_names.index(name)])
            print(f"  {name}: {ticks} ticks, at most {largest:.3g} rad")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run replay", description=__doc__.split("\n\n")[0] if __doc__ else "")
    add = parser.add_argument
    add("recording", type=Path, help="file of a recording, or folder of a rosbag2 (sqlite3 or mcap)")
    add("--topic", default="", help="of the recording in the bag, where there are several")
    add("--robot", default="", help="where the robot's file is now, if it was moved")
    add("--model", default="", help="where the network's file is now, if it was moved")
    add("--calibration", default="", help="where the calibration is now, if it was moved")
    return parser


if __name__ == "__main__":
    sys.exit(main())
