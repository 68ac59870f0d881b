"""Group timing: what comes too late, too early, too often or not at all."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable

from sensor_msgs.msg import JointState

from nnik_ros.geometry import Array
from test.robustness.bench_node import PromiseError, wait_for
from test.robustness.matrix import row
from test.robustness.processes import Process
from test.robustness.stand import Stand, Workshop

_STATE_TIMEOUT, _TARGET_TIMEOUT = 0.1, 0.5  # s
_SLACK = 0.6  # s; statuses come at 50 Hz, and the machine may be busy
_TRIES = 3  # a machine that stands still makes one late; the controller is late in all of them


def _stale(stand: Stand, state: str, timeout: float, stop: Callable[[], None]) -> str:
    """Each time at rest after what `stop` withholds; the quickest time in time."""
    assert stand.line is not None
    took: list[float] = []
    while len(took) < _TRIES and min(took, default=math.inf) > timeout + _SLACK:
        stand.line.fault = None
        stand.moves()
        stop()
        took.append(stand.until(state, limit=10.0))
        stand.come_to_rest()
    if min(took) > timeout + _SLACK:
        raise PromiseError(f"{state} only after {min(took):.2f} s")
    return f"{state} after {min(took):.2f} s, at rest"


@row("timing", "joint states stop in the middle of a motion", "STALE_STATE after 0.1 s, at rest; goes on without a jump",
     shared=True)  # fmt: skip
def states_stop(stand: Stand) -> str:
    def stop() -> None:
        assert stand.line is not None
        stand.line.fault = lambda message, now: []

    return _stale(stand, "STALE_STATE", _STATE_TIMEOUT, stop)


@row("timing", "joint states come 50 ms late", "followed within all limits", shared=True)
def states_late(stand: Stand) -> str:
    assert stand.line is not None
    waiting: deque[tuple[float, JointState]] = deque()

    def fault(message: JointState, now: float) -> list[JointState]:
        waiting.append((now, message))
        return [waiting.popleft()[1]] if now - waiting[0][0] >= 0.05 else []

    stand.line.fault = fault
    stand.moves(1.5)
    return f"followed in {stand.follows():.2f} s"


@row("timing", "joint states come in bursts of 15", "followed within all limits", shared=True)
def states_in_bursts(stand: Stand) -> str:
    assert stand.line is not None
    waiting: list[JointState] = []

    def fault(message: JointState, now: float) -> list[JointState]:
        waiting.append(message)
        if len(waiting) < 15:
            return []
        passed = list(waiting)
        waiting.clear()
        return passed

    stand.line.fault = fault
    stand.moves(1.5)
    return f"followed in {stand.follows():.2f} s"


@row(
    "timing",
    "joint states at 9 Hz, slower than their timeout",
    "moves and rests by turns, within all limits",
    shared=True,
)
def states_at_9_hz(stand: Stand) -> str:
    assert stand.line is not None
    last = [0.0]

    def fault(message: JointState, now: float) -> list[JointState]:
        if now - last[0] < 0.111:
            return []
        last[0] = now
        return [message]

    stand.sender.path = stand.moving_path
    stand.status.seen.clear()
    stand.line.fault = fault
    time.sleep(2.5)
    seen = stand.status.seen
    if not seen["STALE_STATE"]:
        raise PromiseError(f"was never stale: {dict(seen)}")
    return f"stale in {seen['STALE_STATE']} of {seen.total()} statuses"


@row("timing", "targets stop in the middle of a motion", "STALE_TARGET after 0.5 s, at rest", shared=True)
def targets_stop(stand: Stand) -> str:
    def stop() -> None:
        stand.sender.path = None

    return _stale(stand, "STALE_TARGET", _TARGET_TIMEOUT, stop)


@row(
    "timing",
    "a target once a second, slower than its timeout",
    "moves and rests by turns, within all limits",
    shared=True,
)
def targets_at_1_hz(stand: Stand) -> str:
    stand.rests()
    stand.status.seen.clear()
    for share in (1.0, 0.0, 1.0):
        stand.send_goal(stand.goal(share))
        time.sleep(1.0)
    if not stand.status.seen["STALE_TARGET"]:
        raise PromiseError(f"was never stale: {dict(stand.status.seen)}")
    return f"stale in {stand.status.seen['STALE_TARGET']} of {stand.status.seen.total()} statuses"


@row(
    "timing", "targets at 2 kHz from another process", "the newest is followed, no deadline for the flood", shared=True
)
def targets_at_2_khz(stand: Stand) -> str:
    stand.sender.path = None
    flood = stand.workshop.program("test.robustness.flood", stand.namespace, "2000", "2.5")
    wait_for(lambda: not flood.alive, "the end of the flood")
    sent = int(flood.output.split()[-1])
    travel = stand.look().travel
    if travel < 0.05:
        raise PromiseError(f"{sent} targets were sent, and the command moved only {travel:.3f} rad")
    return f"{sent} targets sent, command travelled {travel:.2f} rad"


@row("timing", "four processes that eat the processors", "followed within all limits", shared=True)
def processors_busy(stand: Stand) -> str:
    hogs = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(4)]
    try:
        stand.moves(2.5)
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    stand.node.get_clock()
    missed = stand.status.diagnostics.get("loop", {}).get("missed", "?")
    return f"{missed} deadlines passed over since its start"


def _frozen(process: Process, seconds: float) -> None:
    process.send(signal.SIGSTOP)
    time.sleep(seconds)
    process.send(signal.SIGCONT)


@row(
    "timing",
    "the controller is stopped for 1 s in the middle of a motion (SIGSTOP)",
    "goes on without a jump",
    shared=True,
)
def controller_stopped(stand: Stand) -> str:
    stand.moves()
    _frozen(stand.controller, 1.0)
    return f"followed in {stand.follows():.2f} s"


@row("timing", "the hand is stopped for 1 s in the middle of a motion (SIGSTOP)", "STALE_STATE; goes on without a jump",
     shared=True)  # fmt: skip
def hand_stopped(stand: Stand) -> str:
    assert stand.sim is not None
    stand.moves()
    stand.status.seen.clear()
    _frozen(stand.sim, 1.0)
    if not stand.status.seen["STALE_STATE"]:
        raise PromiseError("no STALE_STATE")
    return f"STALE_STATE in {stand.status.seen['STALE_STATE']} statuses, followed in {stand.follows():.2f} s"


_GAPS = (0.12, 0.15, 0.2, 0.3, 0.5)  # s


def _wide_path(stand: Stand, t: float) -> Array:
    """All tips to and fro as fast as they go: the hand is never quite where its command is."""
    return stand.goal(1.5 if int(2.0 * t) % 2 else -0.5)


def _in_gaps(stand: Stand, gap: Callable[[float], None]) -> str:
    stand.sender.path = lambda t: _wide_path(stand, t)
    stand.until_moving()
    stand.status.seen.clear()
    for _ in range(2):
        for seconds in _GAPS:
            time.sleep(0.37)  # so that gaps begin in every part of the motion
            gap(seconds)
    if not stand.status.seen["STALE_STATE"]:
        raise PromiseError("no STALE_STATE")
    return f"STALE_STATE in {stand.status.seen['STALE_STATE']} statuses, followed in {stand.follows():.2f} s"


@row(
    "timing",
    "joint states fail for 0.12 to 0.5 s, again and again, in fast motion",
    "goes on without a jump",
    shared=True,
)
def states_in_gaps(stand: Stand) -> str:
    assert stand.line is not None
    line = stand.line

    def gap(seconds: float) -> None:
        line.fault = lambda message, now: []
        time.sleep(seconds)
        line.fault = None

    return _in_gaps(stand, gap)


@row("timing", "the hand is stopped for 0.12 to 0.5 s, again and again, in fast motion (SIGSTOP)", "goes on without a jump",
     shared=True)  # fmt: skip
def hand_stopped_in_gaps(stand: Stand) -> str:
    assert stand.sim is not None
    sim = stand.sim
    return _in_gaps(stand, lambda seconds: _frozen(sim, seconds))


@row("timing", "controller and hand are started in the other order, 3 s apart", "waits, says for what, then follows")
def hand_comes_late(workshop: Workshop) -> str:
    stand = workshop.stand(hand=False)
    stand.until("WAITING_STATE")
    told = stand.status.message
    if "joint_states" not in told:
        raise PromiseError(f"says only {told!r}")
    time.sleep(2.0)
    stand.sim = stand.start_sim()
    return f"'{told.replace(stand.namespace, '')}', followed {stand.follows():.2f} s after its start"
