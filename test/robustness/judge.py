"""What may reach a hand: every command is judged here, from outside, by what was received and when."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.robot import Robot

SILENCE = 0.15  # s without commands: the next one is a first command again
FIRST_COMMAND = 0.12  # rad that a first command may lie off the hand: what a weak drive sags, and a little
_ROUNDING = 1e-6  # of a limit
_RECENT, _AFTER = (
    0.15,
    0.005,
)  # s before and after a command in which the hand's joints may be those that it was made from
_REMEMBERED = 200  # states of the hand


@dataclass
class Findings:
    """The worst of a window of commands; lengths are in rad, times in s."""

    commands: int = 0
    malformed: int = 0  # wrong number of values, or one that is not finite
    beyond: float = 0.0  # outside the position limits
    lost: int = 0  # commands that the observer did not get
    step: float = 0.0  # largest step over what the velocity limit allows in a period
    step_joint: str = ""
    acceleration: float = 0.0  # largest change of step over what the acceleration limit allows; messages in a row only
    starts: int = 0
    start: float = 0.0  # largest distance of a first command from the hand
    lead: float = 0.0  # largest distance of a command from the hand
    travel: float = 0.0  # way of the joint that moved most
    silence: float = 0.0  # longest time between two commands
    command: list[float] = field(default_factory=list)  # the last one
    hand: list[float] = field(default_factory=list)  # joints of the hand, as it last told

    def faults(self) -> list[str]:
        """What must never be, in words; empty when all is well."""
        found = []
        if self.malformed:
            found.append(f"{self.malformed} malformed commands")
        if self.beyond > _ROUNDING:
            found.append(f"{self.beyond:.3g} rad outside the limits")
        if self.step > 1.0 + _ROUNDING:
            found.append(f"a step of {self.step:.2f} times the velocity limit ({self.step_joint})")
        if self.start > FIRST_COMMAND:
            found.append(f"a first command {self.start:.3f} rad off the hand")
        return found

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Judge:
    """Fed with commands and with the joints of the hand, both in the robot's order.

    The middleware numbers and times what a publisher sends, so commands that the observer lost are known, not guessed, and
    a command is compared with where the hand was when it was sent.
    """

    def __init__(self, robot: Robot, period: float) -> None:
        """period [s]: the shortest time for which one command stands."""
        self._robot, self._period = robot, period
        self._hand: deque[tuple[float, Array]] = deque(maxlen=_REMEMBERED)
        self._waiting: deque[tuple[float, int, Array]] = deque()  # commands, until the hand is known at their time
        self._last: Array | None = None
        self._last_time, self._last_number = -math.inf, 0
        self._last_step: Array | None = None
        self._same_hand = True
        self._findings = Findings()
        self._lowest: Array = np.zeros(0)
        self._highest: Array = np.zeros(0)

    def state(self, sent: float, q: Array) -> None:
        """The hand stood at q (nq,) at that time [s]."""
        self._hand.append((sent, q))
        while self._waiting and self._waiting[0][0] <= sent:
            self._judge(*self._waiting.popleft())

    def new_hand(self) -> None:
        """Another hand takes the place of this one: what was commanded before says nothing about it."""
        self._judge_waiting()
        self._hand.clear()
        self._same_hand = False

    def malformed(self) -> None:
        """A command that cannot be read."""
        self._findings.malformed += 1

    def command(self, sent: float, number: int, q: Array) -> None:
        """A command with finite values q (nq,), sent at that time [s] as the publisher's number-th."""
        self._waiting.append((sent, number, q))

    def window(self) -> Findings:
        """What was found since the last call."""
        self._judge_waiting()
        found = self._findings
        found.command = [] if self._last is None else self._last.tolist()
        found.hand = self._hand[-1][1].tolist() if self._hand else []
        found.travel = float((self._highest - self._lowest).max(initial=0.0))
        self._findings = Findings()
        self._lowest = self._highest = np.zeros(0)
        return found

    def _judge_waiting(self) -> None:
        while self._waiting:
            self._judge(*self._waiting.popleft())

    def _judge(self, sent: float, number: int, q: Array) -> None:
        found, robot = self._findings, self._robot
        found.commands += 1
        elapsed, messages = sent - self._last_time, number - self._last_number
        found.beyond = max(found.beyond, float(np.max(np.maximum(robot.lower - q, q - robot.upper))))
        off_hand = self._off_hand(sent, q)
        first = self._last is None or messages < 1 or (elapsed > SILENCE and messages == 1)
        if not first:
            found.silence = max(found.silence, elapsed / messages)
            found.lost += messages - 1
            first = self._judge_step(q, messages, off_hand, elapsed > SILENCE)
        seen_from_the_first = (
            self._last is not None and messages > 0
        ) or number == 1  # else the observer came too late
        if (first and seen_from_the_first) or (not self._same_hand and self._hand):
            self._judge_start(q, off_hand)
        found.lead = max(found.lead, off_hand)
        self._watch_travel(q)
        self._last, self._last_time, self._last_number = q, sent, number

    def _off_hand(self, sent: float, q: Array) -> float:
        """Distance of q from where the hand was seen within the last moments before it, or else last; 0 where it was not yet
        seen: where it stands later says nothing."""
        seen = [(time, at) for time, at in self._hand if time <= sent + _AFTER]
        recent = [at for time, at in seen if time >= sent - _RECENT] or [at for _, at in seen[-1:]] or [q]
        return float(np.abs(np.array(recent) - q).max(axis=-1).min())

    def _judge_step(self, q: Array, messages: int, off_hand: float, silence: bool) -> bool:
        """Whether this is a first command in disguise: after silence, with commands lost, to where the hand stands."""
        assert self._last is not None
        found, step = self._findings, q - self._last
        ratios = np.abs(step) / (self._robot.velocity * self._period * messages)
        worst = int(ratios.argmax())
        if silence and ratios[worst] > 1.0 + _ROUNDING and off_hand < FIRST_COMMAND:
            return True
        if ratios[worst] > found.step:
            found.step, found.step_joint = float(ratios[worst]), self._robot.joint_names[worst]
        if self._last_step is not None and messages == 1:
            change = np.abs(step - self._last_step) / (self._robot.acceleration * self._period**2)
            found.acceleration = max(found.acceleration, float(change.max()))
        self._last_step = step if messages == 1 else None
        return False

    def _judge_start(self, q: Array, off_hand: float) -> None:
        """A first command must meet the hand where it stands, or repeat the command that the hand holds already."""
        found = self._findings
        self._last_step = None
        if self._last is not None and self._same_hand:
            off_hand = min(off_hand, float(np.abs(q - self._last).max()))
        found.starts += 1
        found.start = max(found.start, off_hand)
        self._same_hand = True

    def _watch_travel(self, q: Array) -> None:
        if not len(self._lowest):
            self._lowest = self._highest = q
        self._lowest, self._highest = np.minimum(self._lowest, q), np.maximum(self._highest, q)
