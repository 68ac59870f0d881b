"""Group process: how the controller ends, comes back, is asked too much, and lives beside others."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable

import numpy as np
from lifecycle_msgs.msg import Transition
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from test.robustness.bench_node import PromiseError
from test.robustness.matrix import row
from test.robustness.processes import without_rights
from test.robustness.stand import CONTROLLER, Stand, Workshop

_HELD = "exit code 0 without a traceback; the last command holds"


def _ends(workshop: Workshop, *numbers: signal.Signals) -> str:
    stand = workshop.stand()
    stand.may_end = True
    stand.moves(0.5)
    for number in numbers:
        stand.controller.send(number)
    begin = time.monotonic()
    code = stand.controller.exit_code()
    took = time.monotonic() - begin
    output = stand.controller.output
    if code != 0 or "Traceback" in output:
        raise PromiseError(f"exit code {code}, output {output[-400:]!r}")

    def silent() -> bool:
        time.sleep(0.5)  # what the observer had not yet taken comes after the end
        return not stand.look().commands

    stand.wait(silent, "the commands to end")
    found = stand.look()
    off = float(np.abs(np.array(found.hand) - np.array(found.command)).max())
    return f"exit code 0 after {took:.2f} s, hand within {off:.3f} rad of the last command"


@row("process", "SIGINT in the middle of a motion", _HELD)
def interrupted(workshop: Workshop) -> str:
    return _ends(workshop, signal.SIGINT)


@row("process", "SIGTERM in the middle of a motion", _HELD)
def terminated(workshop: Workshop) -> str:
    return _ends(workshop, signal.SIGTERM)


@row("process", "SIGINT three times and SIGTERM, all at once", _HELD)
def signalled_often(workshop: Workshop) -> str:
    return _ends(workshop, signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGINT)


@row("process", "SIGKILL in the middle of a motion, then a new start", "begins where the hand stands, then follows")
def killed_and_restarted(workshop: Workshop) -> str:
    stand = workshop.stand()
    stand.moves(0.5)
    stand.controller.send(signal.SIGKILL)
    stand.controller.exit_code()
    workshop.discard(stand.controller)
    stand.look()
    time.sleep(0.3)
    stand.controller = stand.start_controller()
    took = stand.follows()
    start = max(found.start for found in stand.found)
    return f"first command {start:.3f} rad off the hand, followed in {took:.2f} s"


@row("process", "deactivated and activated in the middle of a motion", "each time bump-free")
def deactivated(workshop: Workshop) -> str:
    stand = workshop.stand()
    for _ in range(3):
        stand.moves(0.3)
        if not stand.change(Transition.TRANSITION_DEACTIVATE):
            raise PromiseError("cannot be deactivated")
        stand.until("INACTIVE")
        stand.look()
        time.sleep(0.3)
        if stand.look().commands:
            raise PromiseError("commands while inactive")
        if not stand.change(Transition.TRANSITION_ACTIVATE):
            raise PromiseError("cannot be activated")
    return f"3 times, followed in {stand.follows():.2f} s"


@row("process", "cleaned up and configured again", "each time bump-free")
def cleaned_up(workshop: Workshop) -> str:
    stand = workshop.stand()
    steps = [
        Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE,
    ]  # fmt: skip
    for _ in range(2):
        stand.moves(0.3)
        for step in steps:
            if not stand.change(step):
                raise PromiseError(f"transition {step} failed")
    return f"2 times, followed in {stand.follows():.2f} s"


@row("process", "lifecycle transitions that an active node does not have", "refused; the motion goes on", shared=True)
def impossible_transitions(stand: Stand) -> str:
    stand.moves(0.3)
    wanted = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP, Transition.TRANSITION_ACTIVATE, 77)
    if any(stand.change(transition) for transition in wanted):
        raise PromiseError("accepted")
    return f"{len(wanted)} refused, followed in {stand.follows():.2f} s"


@row("process", "services are called while the node is inactive", "refused with the reason; nothing moves afterwards")
def called_while_inactive(workshop: Workshop) -> str:
    stand = workshop.stand(start_paused=True)
    stand.until("PAUSED")
    stand.change(Transition.TRANSITION_DEACTIVATE)
    answers = [stand.trigger(name) for name in ("start", "home", "pause", "reset")]
    if any(answer.success for answer in answers) or "not active" not in answers[0].message:
        raise PromiseError(f"answers {[(answer.success, answer.message) for answer in answers]}")
    stand.change(Transition.TRANSITION_ACTIVATE)
    stand.until("PAUSED")
    stand.sender.path = stand.moving_path
    time.sleep(0.5)
    if stand.look().commands:
        raise PromiseError("moves although it was never started")
    stand.trigger("start")
    return f"4 refused, followed in {stand.follows():.2f} s after start"


def _storm(stand: Stand, seconds: float, call: list[object]) -> int:
    """Call without a pause; returns how many calls were answered."""
    rng, count = np.random.default_rng(7), 0
    stand.sender.path = stand.moving_path
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        call[int(rng.integers(len(call)))]()  # type: ignore[operator]
        count += 1
    return count


@row("process", "pause, start, home and reset called in a storm", "no jump", shared=True)
def service_storm(stand: Stand) -> str:
    names = ["start", "start", "start", "pause", "pause", "home", "reset"]
    count = _storm(stand, 3.0, [lambda name=name: stand.trigger(name) for name in names])
    stand.trigger("start")
    return f"{count} calls, command travelled {stand.look().travel:.2f} rad"


@row("process", "fingers enabled and disabled in a storm", "no jump", shared=True)
def enable_storm(stand: Stand) -> str:
    choices = [(tip, on) for tip in stand.robot.tip_names for on in (True, False)]
    calls: list[object] = [lambda tip=tip, on=on: stand.enable(tip, on) for tip, on in choices]
    count = _storm(stand, 2.0, calls)
    for tip in stand.robot.tip_names:
        stand.enable(tip, True)
    return f"{count} calls"


VALUES: list[tuple[str, object]] = [
    ("speed", 0.1), ("speed", 1.0), ("speed", -1.0), ("speed", math.nan), ("max_lead", 0.2), ("max_lead", math.inf),
    ("tolerance", 1.0), ("tolerance", "small"), ("closed_loop_gain", 20.0), ("closed_loop_gain", 0.0), ("rate", 10.0),
    ("collision_check", False), ("collision_check", "no"), ("collision_margin", 0.05), ("on_stale_target", "home"),
    ("on_stale_target", "shout"), ("state_timeout", 0.005), ("target_timeout", 0.0), ("bench_after", -5), ("model", "none"),
    ("model", "auto"), ("model", ""), ("no_such_parameter", 1), ("robot", "shadow"), ("collision_gain", 1e300),
]  # fmt: skip


CALM: dict[str, object] = {  # the usual values of all that VALUES may change
    "speed": 1.0, "max_lead": 0.4, "tolerance": 0.0005, "closed_loop_gain": 0.0, "collision_check": True,
    "collision_margin": 0.002, "collision_gain": 10.0, "state_timeout": 0.1, "target_timeout": 0.5,
    "on_stale_target": "hold", "model": "auto",
}  # fmt: skip


@row("process", "parameters set in a storm, good and bad values", "bad ones refused, good ones live, no jump")
def parameter_storm(workshop: Workshop) -> str:
    stand = workshop.stand()
    stand.moves(0.3)
    answers = {True: 0, False: 0}

    def change(name: str, value: object) -> None:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        (result,) = stand.call(SetParameters, "controller/set_parameters", request).results
        answers[result.successful] += 1

    _storm(stand, 3.0, [lambda name=name, value=value: change(name, value) for name, value in VALUES])
    good, reason = stand.set_parameters(**CALM)
    if not good or not answers[True] or not answers[False]:
        raise PromiseError(f"accepted {answers[True]}, refused {answers[False]}, {reason}")
    return f"{answers[True]} accepted, {answers[False]} refused, followed in {stand.follows():.2f} s"


@row("process", "two controllers and two hands in two namespaces", "each follows its own targets")
def two_hands(workshop: Workshop) -> str:
    stands = [workshop.stand(), workshop.stand()]
    for stand in stands:
        stand.follows()
    first, second = stands
    second.rests()
    second.look()
    first.moves(1.0)
    mine = 0.0

    def moved() -> bool:
        nonlocal mine
        first.count_statuses(50)
        mine = first.look().travel
        return mine > 0.05

    first.wait(moved, "the moved hand's command to move")
    other = second.holds()
    took = [stand.follows() for stand in stands]
    return f"one moved {mine:.2f} rad, the other {1e3 * other:.2f} mrad, then followed in {took[0]:.2f} and {took[1]:.2f} s"


def _realtime(workshop: Workshop, before: Callable[[], None] | None) -> tuple[Stand, str, str]:
    """A controller that asks for all real-time options, and what its diagnostics say that it got and was refused."""
    stand = workshop.stand()
    workshop.discard(stand.controller)
    stand.status.diagnostics.clear()
    cpu = min(os.sched_getaffinity(0))
    options = {
        **stand.parameters, "realtime_priority": 60, "lock_memory": True, "keep_awake": True, "cpu_affinity": cpu,
    }  # fmt: skip
    stand.controller = workshop.start(CONTROLLER, stand.namespace, options, before=before)
    stand.follows()

    def told() -> bool:
        loop = stand.status.diagnostics.get("loop", {})
        return any("kept awake" in loop.get(key, "") for key in ("realtime", "realtime_refused"))  # it comes last

    stand.wait(told, "what it got to be told")
    loop = stand.status.diagnostics["loop"]
    return stand, loop["realtime"], loop["realtime_refused"]


@row("process", "real-time options without the right to use them", "a warning with the remedy; follows all the same")
def rights_missing(workshop: Workshop) -> str:
    stand, got, refused = _realtime(workshop, without_rights)
    for words in ("SCHED_FIFO priority 60 is not permitted", "memory locking", "/etc/security/limits.conf"):
        if words not in stand.controller.output or words not in refused:
            raise PromiseError(f"'{words}' is not told; diagnostics: {refused!r}")
    return f"got '{got}', refused '{refused.split(';')[0]}' and SCHED_FIFO"


@row("process", "real-time options with the rights of this process", "each one is told as got or as refused; follows")
def rights_as_they_are(workshop: Workshop) -> str:
    _, got, refused = _realtime(workshop, None)
    for what in ("SCHED_FIFO", "memory", "on processor", "processors kept awake"):
        if (what in got) == (what in refused):
            raise PromiseError(f"{what}: got {got!r}, refused {refused!r}")
    return f"got '{got}', refused '{refused}'"


@row("process", "services called from four threads at once while targets come at 50 Hz", "all answered", shared=True)
def services_in_parallel(stand: Stand) -> str:
    stand.moves(0.2)
    answered: list[bool] = []

    def ask() -> None:
        for _ in range(10):
            answered.append(bool(stand.trigger("start").success))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(answered) != 40 or not all(answered):
        raise PromiseError(f"{sum(answered)} of 40 answered with success")
    return "40 of 40 answered"
