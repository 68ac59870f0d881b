"""Where the hand stands, and whether it still is where its last command left it."""

from __future__ import annotations

import math

import numpy as np

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array, shaped
from nnik_ros.kernels import points
from nnik_ros.states import Measurement

_MOVED = 0.05  # rad farther from the command than when it was last seen: the hand was moved, or is another one
_STIRRED = 0.01  # rad: a hand that moved less for AT_REST is on its way nowhere
_AVERAGED = 0.05  # s, over which joints are averaged to see whether they moved: encoders of a hand at rest tremble
AT_REST = 0.25  # s


class MeasuredHand:
    """The newest joint states. q (nq,) [rad], None before there are any."""

    def __init__(self, nq: int) -> None:
        self._nq = nq
        self.forget()

    def forget(self) -> None:
        """As if nothing had ever been seen."""
        self.q: Array | None = None
        self._stamp = self._rest_stamp = -np.inf
        self._average: Array = np.zeros(self._nq)
        self._rest: Array = self._average  # where the hand has stood since _rest_stamp [s]
        self._gap: Array = np.zeros(self._nq)  # from the command to the hand when it was last seen to follow

    def take(self, measurement: Measurement | None, timeout: float) -> None:
        """Believe joint states of the right number that are finite, with a time; those before them count as stale after
        timeout [s]."""
        if measurement is None:
            return
        try:
            q = shaped("joint positions", measurement.q, (self._nq,))
            stamp = float(shaped("their stamp", measurement.stamp, ()))
        except InputError:
            return
        if not math.isfinite(points.largest_gap(q, self._rest)):
            return
        since = abs(stamp - self._stamp)
        came_back = not since <= timeout
        self.q, self._stamp = q, stamp
        self._average = q if came_back else self._average + -math.expm1(-since / _AVERAGED) * (q - self._average)
        if came_back or points.largest_gap(self._average, self._rest) > _STIRRED:
            self._rest, self._rest_stamp = self._average, self._stamp

    def age(self, now: float) -> float:
        """Of the newest joint states [s]; a clock that jumped makes data stale in both directions."""
        return abs(now - self._stamp)

    def follows(self, sent: Array) -> None:
        """It was sent these joints (nq,) [rad]; how far it stands from them is its way to follow."""
        if self.q is not None:
            self._gap = np.abs(sent - self.q)

    def settles(self, sent: Array) -> None:
        """Nothing more is sent after these joints; it may still come closer to them."""
        if self.q is not None:
            self._gap = np.minimum(self._gap, np.abs(sent - self.q))

    def is_where_left(self, sent: Array) -> bool:
        """Whether it is about as close to the joints last sent (nq,) [rad] as it was when it followed them."""
        return self.q is not None and bool(np.all(np.abs(sent - self.q) <= self._gap + _MOVED))

    @property
    def rests(self) -> bool:
        """Whether it has stood still for AT_REST."""
        return self._stamp - self._rest_stamp >= AT_REST
