"""Random messages, good and bad, into a live controller: `python -m test.robustness.fuzz --messages N [--seed S] [--rate R]`.

A process of its own sends joint states, targets of all tips and of single ones; beside it this one calls services and sets
parameters at random, and damages or withholds the hand's own joint states for a while in every few seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, NamedTuple

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import numpy as np
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from nnik_ros import arguments as words
from test.robustness.bench_node import PromiseError
from test.robustness.fuzz_messages import Fuzz
from test.robustness.matrix import judged
from test.robustness.processes import end_on_sigterm
from test.robustness.rows_process import CALM, VALUES
from test.robustness.stand import Stand, Workshop

_PHASE = 4.0  # s; in the second half of each the hand's own joint states are damaged
_WITHHELD, _DAMAGED = 0.2, 0.5  # share of those states


class Result(NamedTuple):
    """sent: by the other process; requests: services and parameters; rate: messages per second; ticks: of the controller;
    words: the worst that was observed, or what did not hold."""

    sent: int
    requests: int
    refused: int
    rate: float
    ticks: int
    held: bool
    words: str


def run(messages: int, seed: int, rate: float, workshop: Workshop) -> Result:
    """messages at `rate` per second into a controller of its own."""
    stand = workshop.stand()
    try:
        stand.follows()
        stand.sender.path = None
        return _run(stand, messages, seed, rate)
    finally:
        workshop.discard(stand)


def _run(stand: Stand, messages: int, seed: int, rate: float) -> Result:
    assert stand.line is not None
    rng, damages = np.random.default_rng(seed + 2), Fuzz(stand.robot, seed + 3)
    fuzzer = stand.workshop.program("test.robustness.fuzzer", stand.namespace, str(messages), str(seed), str(rate))
    stand.line.fault = lambda message, now: _damaged(damages, rng, message, now)
    requests, told = 0, time.monotonic()
    try:
        while fuzzer.alive and stand.controller.alive:
            _ask(stand, rng)
            requests += 1
            if time.monotonic() - told > 10.0:
                told = time.monotonic()
                print(f"fuzz: {requests} requests, {judged(stand)}", flush=True)
    except PromiseError as broken:
        return Result(0, requests, 0, 0.0, 0, False, str(broken))
    stand.line.fault = None
    lines = [line for line in fuzzer.output.splitlines() if line.startswith("{")]
    done: dict[str, Any] = json.loads(lines[-1]) if lines else {"sent": 0, "seconds": 1.0}
    held, words = _aftermath(stand)
    refused = int(stand.status.values.get("refused", "0"))
    held = held and done["sent"] == messages
    ticks = int(stand.status.diagnostics.get("loop", {}).get("ticks", "0"))
    return Result(done["sent"], requests, refused, done["sent"] / done["seconds"], ticks, held, words)


def _aftermath(stand: Stand) -> tuple[bool, str]:
    """Whether the node lives, was lawful, and follows as before."""
    try:
        words = judged(stand)
        good, reason = stand.set_parameters(**CALM)
        if not good:
            raise PromiseError(f"the usual parameters were refused: {reason}")
        for tip in stand.robot.tip_names:
            stand.enable(tip, True)
        stand.trigger("start")
        took = stand.follows()
        judged(stand)
    except PromiseError as broken:
        return False, str(broken)
    return True, f"{words}; follows again after {took:.1f} s"


def _damaged(fuzz: Fuzz, rng: np.random.Generator, message: JointState, now: float) -> list[JointState]:
    if now % _PHASE < 0.5 * _PHASE:
        return [message]
    draw = rng.random()
    if draw < _WITHHELD:
        return []
    return [fuzz.joint_state(np.array(message.position)) if draw < _WITHHELD + _DAMAGED else message]


def _ask(stand: Stand, rng: np.random.Generator) -> None:
    """One service or parameter, whatever it answers."""
    draw = rng.random()
    if draw < 0.4:
        stand.trigger(str(rng.choice(["start", "start", "start", "pause", "home", "reset"])))
    elif draw < 0.6:
        stand.enable(stand.robot.tip_names[int(rng.integers(stand.robot.nt))], bool(rng.random() < 0.7))
    else:
        name, value = VALUES[int(rng.integers(len(VALUES)))]
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        stand.call(SetParameters, "controller/set_parameters", request)
    time.sleep(0.01)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=words.Help)
    parser.add_argument("--messages", type=words.whole_number(1), default=100_000, help="how many are sent")
    parser.add_argument("--seed", type=words.seed, default=1, help="of what is sent")
    parser.add_argument(
        "--rate",
        type=words.number(above=0.0),
        default=2000.0,
        help="messages per second; a tick takes at most 6 of them",
    )
    arguments = parser.parse_args()
    end_on_sigterm()
    workshop = Workshop()
    try:
        result = run(arguments.messages, arguments.seed, arguments.rate, workshop)
    finally:
        workshop.close()
    verdict = "held" if result.held else "NOT HELD"
    print(
        f"fuzz: {result.sent} messages at {result.rate:.0f}/s and {result.requests} requests, seed {arguments.seed}; "
        f"{result.ticks} ticks, {result.refused} inputs refused; {result.words}: {verdict}"
    )
    return 0 if result.held else 1


if __name__ == "__main__":
    sys.exit(main())
