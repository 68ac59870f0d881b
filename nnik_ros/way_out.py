"""Tips that do not get on: who they are, when another posture is looked for, and whether they are on their way there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.escape import Escape
from nnik_ros.geometry import Array, distance
from nnik_ros.motion import JointMotion

STUCK_TICKS = 30  # without progress, at a resting reference, until another posture is looked for
_HELD_TICKS = 300  # without motion, until a tip gives up its way to another posture


class WayOut:
    """After enough ticks without progress another posture is looked for, once for each goal, and gone to if it is
    enough better (`Escape.found`). A tip that is held on its way there for long gives up: fingers that crowd come to rest.

    ticks (nt,): without progress; best_error (nt,) [m]: what progress is measured against; escaping (nt,): tips on their way
    to another posture; posture (nq,) [rad]: where these go.
    """

    def __init__(self, escape: Escape, tip_of_joint: NDArray[np.int64]) -> None:
        self._escape, self._tip_of_joint = escape, tip_of_joint
        self.forget()

    def forget(self) -> None:
        """No tip is stuck."""
        nt = int(self._tip_of_joint.max()) + 1
        self.ticks: NDArray[np.int64] = np.zeros(nt, dtype=np.int64)
        self.best_error: Array = np.full(nt, np.nan)
        self.escaping: NDArray[np.bool_] = np.zeros(nt, dtype=bool)
        self.posture: Array = np.zeros(len(self._tip_of_joint))
        self._held: NDArray[np.int64] = np.zeros(nt, dtype=np.int64)  # ticks on the way out without motion
        self._searched_for: Array = np.full((nt, 3), np.nan)  # goals for which a search was made
        self._waiting: NDArray[np.bool_] = np.zeros(nt, dtype=bool)  # tips for which the present one was begun

    def watch(
        self, best_error: Array, ticks: NDArray[np.int64], goal: Array, motion: JointMotion, may_move: NDArray[np.bool_],
        tolerance: float,
    ) -> None:  # fmt: skip
        """After a tick: best errors (nt,) [m], ticks without progress (nt,), goals (nt, 3) [m], nan for none, and whether the
        tips may move (nt,): those that may not, and those without a goal, go on with their way out when they may."""
        self.best_error, self.ticks = best_error, ticks
        if np.count_nonzero(self.escaping):
            self._go_on(goal, motion, may_move, tolerance)
        if self._escape.searching:
            self._escape.advance()
            if not self._escape.searching:
                self._take(goal, motion, tolerance)
            return
        fresh = self.ticks >= STUCK_TICKS
        if np.count_nonzero(fresh):
            fresh &= ~self._was_searched_for(goal, tolerance)
        if np.count_nonzero(fresh):
            self._searched_for, self._waiting = np.where(fresh[:, None], goal, self._searched_for), fresh
            self._escape.begin(np.where(np.isnan(goal), motion.tips.position, goal))

    def _go_on(self, goal: Array, motion: JointMotion, may_move: NDArray[np.bool_], tolerance: float) -> None:
        """End the way out of tips that are there, of those with another goal, and of those that are held for long."""
        waits = np.isnan(goal[:, 0]) | ~may_move
        self._held = np.where(waits | motion.moving, 0, self._held + 1)
        on_its_way = (
            ~motion.arrived(self.posture) & self._was_searched_for(goal, tolerance) & (self._held < _HELD_TICKS)
        )
        self.escaping &= on_its_way | waits

    def _take(self, goal: Array, motion: JointMotion, tolerance: float) -> None:
        posture, better = self._escape.found(motion.q, tolerance)
        found = better & self._was_searched_for(goal, tolerance) & self._waiting
        self.escaping |= found
        self._held = np.where(found, 0, self._held)
        self.posture = np.where(found[self._tip_of_joint], posture, self.posture)

    def _was_searched_for(self, goal: Array, tolerance: float) -> NDArray[np.bool_]:
        same: NDArray[np.bool_] = distance(goal, self._searched_for) < tolerance
        return same
