"""Which tips a person holds by their markers: sent while held, silent otherwise, and never against another publisher."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.nodes.other_targets import FOREIGN_LIFE, REPEAT, Message, identity

_VIEWER_LIFE = 1.0  # s; a viewer tells several times a second that it still holds a marker, unless it died


class DragSteering:
    """`send(tip, frame, position (3,) [m]) -> stamp` publishes a target and returns the message's stamp.

    A tip is held from the first `drag` to `let_go`, to a message of another publisher for it, or until its viewer has been
    silent for a second. Times are those of one monotonic clock [s].
    """

    def __init__(self, nt: int, send: Callable[[int, str, Array], int]) -> None:
        self._send = send
        self._frame = [""] * nt
        self._goal = np.full((nt, 3), np.nan)
        self._held = np.zeros(nt, dtype=bool)
        self._seen, self._foreign, self._last_sent = (np.full(nt, -np.inf) for _ in range(3))
        self._sent: deque[Message] = deque(maxlen=64 * nt)

    def holds(self, tip: int) -> bool:
        return bool(self._held[tip])

    def drag(self, tip: int, frame: str, position: Array, now: float) -> bool:
        """A person moved the marker of a tip to (3,) [m] in `frame`. False: another publisher steers it, nothing happens."""
        if now < self._foreign[tip] + FOREIGN_LIFE:
            return False
        self._frame[tip], self._goal[tip] = frame, position
        self._held[tip], self._seen[tip] = True, now
        return True

    def keep(self, tip: int, now: float) -> None:
        """The viewer still holds the marker."""
        self._seen[tip] = now

    def let_go(self, tip: int, now: float) -> None:
        """The last place is sent once more, so that it does not depend on when the button was released."""
        if self._held[tip]:
            self._publish(tip, now)
        self._held[tip] = False

    def release(self) -> None:
        """Hold nothing any more."""
        self._held[:] = False

    def heard(self, tip: int, position: Array, stamp: int, now: float) -> None:
        """A target message (3,) [m] of any publisher, our own included."""
        if identity(tip, position, stamp) not in self._sent:
            self._foreign[tip] = now
            self._held[tip] = False

    def update(self, now: float) -> None:
        """Call often; sends what is due."""
        self._held &= now < self._seen + _VIEWER_LIFE
        for tip in np.flatnonzero(self._held & (now >= self._last_sent + REPEAT)):
            self._publish(int(tip), now)

    def _publish(self, tip: int, now: float) -> None:
        self._last_sent[tip] = now
        stamp = self._send(tip, self._frame[tip], self._goal[tip])
        self._sent.append(identity(tip, self._goal[tip], stamp))
