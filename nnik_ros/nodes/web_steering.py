"""Targets that people set on the page: held for them, and given up as soon as anybody else sets one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.nodes.other_targets import FOREIGN_LIFE, REPEAT, Message, identity
from nnik_ros.nodes.web_presets import Preset


class Steering:
    """Silent until a person acts. `send(tip, position (3,) [m]) -> stamp` publishes and returns the message's stamp.

    A tip's target is sent again and again while it is held. It is given up when a message of another publisher arrives for
    that tip, on `release`, and never sent again before a person acts. What is heard between the act and its first message was
    sent before that, and ends nothing. Times are those of one monotonic clock [s].
    """

    def __init__(self, nt: int, send: Callable[[int, Array], int]) -> None:
        self._send = send
        self._goal = np.full((nt, 3), np.nan)
        self._held = np.zeros(nt, dtype=bool)
        self._unsent = np.zeros(nt, dtype=bool)  # a person has acted, and no message has told it yet
        self._foreign_until = np.full(nt, -np.inf)
        self._next = 0.0
        self._sent: deque[Message] = deque(maxlen=64 * nt)
        self._preset: Preset | None = None
        self._preset_start = 0.0

    @property
    def held(self) -> list[bool]:
        values: list[bool] = self._held.tolist()
        return values

    def drag(self, tip: int, position: Array) -> None:
        """A person moved the target of a tip to (3,) [m]; it is sent at the next `update`."""
        self._preset = None
        self._goal[tip], self._held[tip], self._unsent[tip] = position, True, True
        self._next = 0.0

    def play(self, preset: Preset, now: float) -> None:
        """Send the places of a preset one after the other and hold the last."""
        self._preset, self._preset_start = preset, now
        self._unsent[:] = True

    def release(self) -> None:
        """Hold nothing any more."""
        self._preset = None
        self._held[:] = self._unsent[:] = False

    def heard(self, tip: int, position: Array | None, stamp: int, now: float) -> None:
        """A target message of any publisher, our own included; position None: in a frame in which it cannot be shown."""
        if position is not None and identity(tip, position, stamp) in self._sent:
            return
        if self._unsent[tip]:  # the last one is followed, and that will be ours
            return
        self._preset = None
        self._held[tip] = False
        self._foreign_until[tip] = -np.inf if position is None else now + FOREIGN_LIFE
        if position is not None:
            self._goal[tip] = position

    def goal(self, tip: int, now: float) -> Array | None:
        """The target to show (3,) [m]; None when nobody sets one."""
        if self._held[tip] or now < self._foreign_until[tip]:
            return np.array(self._goal[tip])
        return None

    def update(self, now: float) -> None:
        """Call often; sends what is due."""
        if self._preset is not None:
            place = math.floor((now - self._preset_start) / self._preset.seconds)
            last = len(self._preset.tip_position) - 1
            self._goal[:], self._held[:] = self._preset.tip_position[min(place, last)], True
            if place >= last:
                self._preset = None
        if now < self._next or not self._held.any():
            return
        self._next = now + REPEAT
        for tip in np.flatnonzero(self._held):
            stamp = self._send(int(tip), self._goal[tip])
            self._sent.append(identity(int(tip), self._goal[tip], stamp))
        self._unsent[:] = False
