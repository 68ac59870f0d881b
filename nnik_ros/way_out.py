"""Tips that do not get on: who they are, when another posture is looked for, and whether they are on their way there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.escape import Escape
from nnik_ros.geometry import Array, distance
from nnik_ros.motion import JointMotion

STUCK_TICKS = 30  # without progress, at a resting reference, until another posture is looked for
_ARRIVED = 1e-3  # rad, from a posture


class WayOut:
    """After enough ticks without progress another posture is looked for, once for each goal, and gone to if it is
    enough better (`Escape.found`).

    ticks (nt,): without progress; best_error (nt,) [m]: what progress is measured against; escaping (nt,): tips on their way
    to another posture.
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
        self._searched_for: Array = np.full((nt, 3), np.nan)  # goals for which a search was made
        self._waiting: NDArray[np.bool_] = np.zeros(nt, dtype=bool)  # tips for which the present one was begun

    def watch(
        self, best_error: Array, ticks: NDArray[np.int64], goal: Array, motion: JointMotion, posture_goal: Array,
        tolerance: float,
    ) -> Array:  # fmt: skip
        """After a tick: best errors (nt,) [m], ticks without progress (nt,), goals (nt, 3) [m], nan for none. Returns the
        posture (nq,) [rad] that escaping tips go to, posture_goal until a search has found another one."""
        self.best_error, self.ticks = best_error, ticks
        if np.count_nonzero(self.escaping):
            away = np.zeros(len(ticks), dtype=bool)
            np.logical_or.at(away, self._tip_of_joint, np.abs(posture_goal - motion.q) > _ARRIVED)
            goes_on = away & self._was_searched_for(goal, tolerance) & motion.moving
            self.escaping &= goes_on | np.isnan(goal[:, 0])  # who has to wait for a target goes on when it is back
        if self._escape.searching:
            self._escape.advance()
            return posture_goal if self._escape.searching else self._taken(goal, motion, posture_goal, tolerance)
        fresh = self.ticks >= STUCK_TICKS
        if np.count_nonzero(fresh):
            fresh &= ~self._was_searched_for(goal, tolerance)
        if np.count_nonzero(fresh):
            self._searched_for, self._waiting = np.where(fresh[:, None], goal, self._searched_for), fresh
            self._escape.begin(np.where(np.isnan(goal), motion.tips.position, goal))
        return posture_goal

    def _taken(self, goal: Array, motion: JointMotion, posture_goal: Array, tolerance: float) -> Array:
        posture, better = self._escape.found(motion.q, tolerance)
        found = better & self._was_searched_for(goal, tolerance) & self._waiting
        self.escaping |= found
        result: Array = np.where(found[self._tip_of_joint], posture, posture_goal)
        return result

    def _was_searched_for(self, goal: Array, tolerance: float) -> NDArray[np.bool_]:
        same: NDArray[np.bool_] = distance(goal, self._searched_for) < tolerance
        return same
