"""What goes into a tick and what comes out: measurement, targets, and a state with its words for each tip and the hand."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array, shaped
from nnik_ros.limits import limit_names


class Measurement(NamedTuple):
    """Joint positions q (nq,) [rad] and the time of their receipt [s], on the clock of `now`."""

    q: Array
    stamp: float


class Targets(NamedTuple):
    """Tip targets position (nt, 3) [m] in the base frame and the times of their receipt stamp (nt,) [s], -inf for never;
    direction (nt, 3): where the tips shall point, unit vectors in the base frame, nan or None for anywhere."""

    position: Array
    stamp: Array
    direction: Array | None = None

    def checked(self, nt: int) -> Targets:
        """Copies as the kernels take them.

        Raises:
            InputError: of another shape than nt tips ask for.
        """
        direction = self.direction
        return Targets(
            shaped("target positions", self.position, (nt, 3)), shaped("target stamps", self.stamp, (nt,)),
            None if direction is None else shaped("target directions", direction, (nt, 3)),
        )  # fmt: skip


class TipState(IntEnum):
    """Ordered by how much attention each needs: the hand's state is the largest of its tips'."""

    REACHED = 0
    IDLE = 1  # no target was ever given
    DISABLED = 2
    TRACKING = 3
    HOMING = 4
    LIMITED = 5  # a joint, speed or lead limit keeps the tip from its goal; that of acceleration only delays it
    UNREACHABLE = 6  # at the closest point that was found
    COLLISION = 7  # slowed or stopped before another part of the hand
    STALE_TARGET = 8
    FALLBACK = 9  # the network is benched or absent: damped least squares moves the hand
    STOPPING = 10  # commands go on until it rests
    PAUSED = 11
    STALE_STATE = 12
    WAITING_STATE = 13
    FAULT = 14


_ALONE = {
    TipState.WAITING_STATE,
    TipState.STALE_STATE,
    TipState.STOPPING,
    TipState.PAUSED,
    TipState.FAULT,
}  # of all tips


class TickResult(NamedTuple):
    """One tick. Arrays are in tip order, positions in the base frame; nan where there is nothing to tell yet."""

    command: Array | None  # (nq,) [rad] to publish now; None: publish nothing
    hand_state: TipState
    tip_state: NDArray[np.int64]  # (nt,) of TipState
    error: Array  # (nt,) [m] commanded tip to goal
    measured_error: Array  # (nt,) [m] measured tip to goal, in the closed loop its average over 0.1 s
    solver: NDArray[np.int64]  # (nt,) of guard.Solver
    limited: NDArray[np.int64]  # (nt,) of limits.Limit
    met: NDArray[np.int64]  # (nt,) the tip, -1 for the base, from which one in COLLISION is kept apart
    tip_position: Array  # (nt, 3) [m] commanded
    measured_tip_position: Array  # (nt, 3) [m]
    reference: Array  # (nt, 3) [m] governed reference on its way to the goal
    state_age: float  # [s] of the newest measurement
    target_age: Array  # (nt,) [s]
    pointing_error: Array  # (nt,) [rad] of the commanded tips, nan where no direction is followed

    def messages(self, tip_names: Sequence[str]) -> list[str]:
        """One sentence for each tip: what it does, or what it waits for."""
        parts = (*tip_names, "the base")  # -1, the last one
        return [self._message(tip, parts[self.met[tip]]) for tip in range(len(self.tip_state))]

    def hand_message(self) -> str:
        """The sentence of the hand's state."""
        if self.hand_state in _ALONE:
            return self._message(int(np.argmax(self.tip_state == self.hand_state)))
        shown = sorted({TipState(state).name for state in self.tip_state})
        return ", ".join(f"{int((self.tip_state == TipState[name]).sum())} {name}" for name in shown)

    def _message(self, tip: int, met: str = "") -> str:
        error, age = self.error[tip] * 1e3, self.target_age[tip]
        limits = ", ".join(limit_names(int(self.limited[tip]))).lower()
        held_back = f", limited by {limits}" if limits else ""
        return {
            TipState.REACHED: f"at its target within {error:.3f} mm",
            TipState.IDLE: "holds; waits for its first target",
            TipState.DISABLED: "holds; disabled, waits to be enabled",
            TipState.TRACKING: f"{error:.2f} mm to go",
            TipState.HOMING: f"{error:.2f} mm from the home position{held_back}",
            TipState.LIMITED: f"{error:.2f} mm to go, limited by {limits or 'limits'}",
            TipState.UNREACHABLE: f"target out of reach: {error:.2f} mm beyond the closest point found",
            TipState.COLLISION: f"{error:.2f} mm to go, kept apart from {met}",
            TipState.STALE_TARGET: f"holds; waits for a new target, the last one is {age:.2f} s old",
            TipState.FALLBACK: f"{error:.2f} mm to go{held_back}; damped least squares, no network is in use",
            TipState.STOPPING: "comes to rest",
            TipState.PAUSED: "paused; waits for start",
            TipState.STALE_STATE: "waits for joint states that agree with the last command, or of a hand at rest; "
            f"the last ones are {self.state_age:.2f} s old",
            TipState.WAITING_STATE: "waits for the first joint states",
            TipState.FAULT: "the step was not finite; comes to rest",
        }[TipState(self.tip_state[tip])]
