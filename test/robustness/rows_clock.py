"""Group clock: ROS time may be simulated, absent, frozen or wrong; the controller goes by its own clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState

from test.robustness.bench_node import PromiseError
from test.robustness.matrix import row
from test.robustness.messages import pose_array
from test.robustness.stand import Stand, Workshop

_FOLLOWS = "follows, watchdogs work, the status goes on"


def _under_clock(workshop: Workshop, clock: Callable[[float], float] | None) -> str:
    """clock(seconds since the begin) gives the time on /clock; None: no /clock."""
    stand = workshop.stand(use_sim_time=True)
    publisher = stand.node.create_publisher(Clock, "/clock", 1)
    begin = time.monotonic()

    def tick() -> None:
        now = clock(time.monotonic() - begin) if clock else 0.0
        publisher.publish(Clock(clock=Time(sec=int(now), nanosec=int(now % 1 * 1e9))))

    timer = stand.node.create_timer(0.01, tick) if clock else None
    took = stand.follows()
    stand.moves(1.0)
    stand.sender.path = None
    stale = stand.until("STALE_TARGET", limit=5.0)
    stand.come_to_rest()
    _status_goes_on(stand)
    again = stand.follows()
    if timer is not None:
        stand.node.destroy_timer(timer)
    return f"followed in {took:.2f} and {again:.2f} s, STALE_TARGET after {stale:.2f} s"


def _status_goes_on(stand: Stand) -> None:
    """Faster than by a clock at a tenth of the real time, and at 50 Hz if the machine has the time; the quickest try counts."""
    spent = [_seconds_of_20(stand)]
    while min(spent) > 3.0 and len(spent) < 3:
        spent.append(_seconds_of_20(stand))
    if min(spent) > 3.0:
        raise PromiseError(f"20 statuses in {min(spent):.1f} s, 50 a second were asked for")


def _seconds_of_20(stand: Stand) -> float:
    begin = time.monotonic()
    stand.count_statuses(20)
    return time.monotonic() - begin


@row("clock", "use_sim_time without /clock", _FOLLOWS)
def clock_absent(workshop: Workshop) -> str:
    return _under_clock(workshop, None)


@row("clock", "use_sim_time with a running /clock", _FOLLOWS)
def clock_running(workshop: Workshop) -> str:
    return _under_clock(workshop, lambda t: 100.0 + t)


@row("clock", "/clock at a tenth of real time", _FOLLOWS)
def clock_slow(workshop: Workshop) -> str:
    return _under_clock(workshop, lambda t: 100.0 + 0.1 * t)


@row("clock", "/clock stands still", _FOLLOWS)
def clock_frozen(workshop: Workshop) -> str:
    return _under_clock(workshop, lambda t: 100.0)


@row("clock", "/clock jumps back by 50 s every second", _FOLLOWS)
def clock_jumping_back(workshop: Workshop) -> str:
    return _under_clock(workshop, lambda t: 5000.0 + t - 50.0 * int(t))


@row("clock", "use_sim_time switched on and off in the middle of a motion", "no jump; the status goes on", shared=True)
def sim_time_switched(stand: Stand) -> str:
    stand.moves(0.3)
    for value in (True, False, True):
        good, reason = stand.set_parameters(use_sim_time=value)
        if not good:
            raise PromiseError(reason)
        time.sleep(0.3)
    _status_goes_on(stand)
    stand.set_parameters(use_sim_time=False)
    return "3 switches"


def _stamped(stand: Stand, seconds: int) -> str:
    """Joint states and targets with a stamp `seconds` off: ages are judged by receipt."""
    assert stand.line is not None

    def stamp(message: JointState, now: float) -> list[JointState]:
        message.header.stamp.sec = max(0, message.header.stamp.sec + seconds)
        return [message]

    stand.line.fault = stamp
    took = stand.follows()
    message = pose_array(stand.robot.base_frame, stand.goal(0.5))
    message.header.stamp.sec = max(0, int(time.time()) + seconds)
    stand.sender.path = None
    stand.publish("target_poses", message)
    time.sleep(0.2)
    return f"followed in {took:.2f} s, state {stand.status.values['state']}"


@row("clock", "stamps an hour in the future", "not used: ages are judged by receipt", shared=True)
def stamps_in_the_future(stand: Stand) -> str:
    return _stamped(stand, 3600)


@row("clock", "stamps of 1970", "not used: ages are judged by receipt", shared=True)
def stamps_of_1970(stand: Stand) -> str:
    return _stamped(stand, -2_000_000_000)
