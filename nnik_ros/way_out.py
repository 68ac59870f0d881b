"""Tips that do not get on: who they are, when another posture is looked for, and whether they are on their way there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.escape import Escape
from nnik_ros.geometry import Array, distance
from nnik_ros.kernels import progress
from nnik_ros.limits import Limit
from nnik_ros.motion import JointMotion

_STUCK = 0.09  # s without progress, at a resting reference, until another posture is looked for
_LOST = 2.0  # times that, until a tip that does not look for one counts as lost
_PATIENCE, _RESTLESS = 4.0, 0.001  # s without progress, and rad/s from then on: steps take turns, and fade
_CALM, _LEAST = 0.3, 0.001  # s of moving on until most of the steps is gone, and what is left of them
AT_POSTURE = 1e-3  # rad, from a posture
_AGAIN = 1.0  # s until a goal that trembles is searched for again
_BLOCKED, _GAIN = 0.3, 0.01  # s by other fingers, without coming closer by so many rad, until a tip gives up


class WayOut:
    """After enough ticks without progress another posture is looked for, once for each goal, and gone to if it is
    enough better (`Escape.found`). A tip that other fingers do not let pass gives up: fingers that crowd come to rest. One
    whose joints do not follow is blocked, not stuck: no other posture would free it.

    A goal that trembles, as one that a camera sees, is the same as long as it stays within half of the tip's error. It is
    searched for again now and then, but not for a tip that others keep apart: a neighbour that moves, too, would be met again.

    ticks (nt,): without progress, 0 for tips that are blocked; lost_ticks: so many of these that a tip counts as lost;
    best_error (nt,) [m]: what progress is measured against; escaping (nt,): tips on their way to another posture; posture
    (nq,) [rad]: where these go.
    """

    def __init__(self, escape: Escape, tip_of_joint: NDArray[np.int64], period: float) -> None:
        """period [s] of the control loop."""
        self._escape, self._tip_of_joint = escape, tip_of_joint
        self._stuck_ticks, self._blocked_ticks = round(_STUCK / period), round(_BLOCKED / period)
        self.lost_ticks = round(_LOST * _STUCK / period)
        self._again = round(_AGAIN / period)
        self._patience, self._fade = round(_PATIENCE / period), period / _CALM
        self.forget()

    def forget(self) -> None:
        """No tip is stuck."""
        nt = int(self._tip_of_joint.max()) + 1
        self.ticks: NDArray[np.int64] = np.zeros(nt, dtype=np.int64)
        self._led: NDArray[np.int64] = np.zeros(nt, dtype=np.int64)  # ticks for which a tip still counts as blocked
        self._apart: NDArray[np.int64] = np.zeros(nt, dtype=np.int64)  # and as kept apart by others
        self._restless: NDArray[np.int64] = np.zeros(nt, dtype=np.int64)  # ticks of motion without progress for long
        self.best_error: Array = np.full(nt, np.nan)
        self.escaping: NDArray[np.bool_] = np.zeros(nt, dtype=bool)
        self.posture: Array = np.zeros(len(self._tip_of_joint))
        self._way: Array = np.zeros(nt)  # rad, of the way out that was left when it was last found shorter
        self._blocked: NDArray[np.int64] = np.zeros(nt, dtype=np.int64)  # ticks since then
        self._searched_for: Array = np.full((nt, 3), np.nan)  # goals for which a search was made
        self._same: Array = np.zeros(nt)  # m, within which each of them is the same goal, however it trembles
        self._wait: NDArray[np.int64] = np.zeros(nt, dtype=np.int64)  # ticks until one that moves is searched for again
        self._begun: Array = np.full((nt, 3), np.nan)  # where the goals were when the ticks began
        self._goal: Array = np.full((nt, 3), np.nan)  # where they are, within the tolerance
        self._stays: NDArray[np.int64] = np.zeros(nt, dtype=np.int64)  # ticks since when they are there
        self._waiting: NDArray[np.bool_] = np.zeros(nt, dtype=bool)  # tips for which the present one was begun

    def watch(
        self, best_error: Array, ticks: NDArray[np.int64], goal: Array, near: Array, motion: JointMotion,
        limited: NDArray[np.int64], tolerance: float,
    ) -> None:  # fmt: skip
        """After a tick: best errors (nt,) [m] and ticks without progress (nt,), which begin anew here for some, goals (nt, 3)
        [m], nan for none, the same as near as they may be followed, which the best errors are measured to, and what limited the
        tips (nt,) of Limit. Who has no goal, or may not move, goes on with a way out later."""
        self.best_error, self.ticks = best_error, ticks
        progress.notice_moves(
            goal, motion.tips.position, ticks, self._begun, self._goal, self._stays, self._wait, tolerance
        )
        progress.notice_blocked(
            near, motion.tips.position, ticks, best_error, limited, self._led, self._apart, self._stuck_ticks
        )
        self._notice_restless(motion)
        if np.count_nonzero(self.escaping):
            self._go_on(goal, motion, limited)
        if self._escape.searching:
            self._escape.advance()
            if not self._escape.searching:
                self._take(goal, motion, tolerance)
            return
        fresh = progress.to_search(
            ticks, self._stuck_ticks, self._stays, self._wait, limited, goal, self._searched_for, tolerance
        )
        if np.count_nonzero(fresh):
            self._searched_for, self._waiting = np.where(fresh[:, None], goal, self._searched_for), fresh
            error = distance(goal, motion.tips.position)  # the best one may be of a goal that was elsewhere
            self._same = np.where(fresh, np.maximum(progress.LED * error, tolerance), self._same)
            self._wait = np.where(fresh, self._again, self._wait)
            self._escape.begin(np.where(np.isnan(goal), motion.tips.position, goal))

    def calmed(self, q: Array, wish: Array) -> Array:
        """The wish at q (nq,) [rad], of which tips that have been stuck for long and still move make less and less: steps that
        only take turns, each a little better than the other, would do so for ever. Who comes closer again goes on."""
        if np.count_nonzero(self._restless) == 0:
            return wish
        share = np.maximum(np.exp(-self._fade * self._restless), _LEAST)
        calmed: Array = q + share[self._tip_of_joint] * (wish - q)
        return calmed

    def _notice_restless(self, motion: JointMotion) -> None:
        tired = np.minimum(self.ticks, self._stays) > self._patience
        if np.count_nonzero(tired) or np.count_nonzero(self._restless):
            moves = motion.away(motion.q + motion.v) > _RESTLESS
            self._restless = np.where(tired, self._restless + moves, 0)

    def _go_on(self, goal: Array, motion: JointMotion, limited: NDArray[np.int64]) -> None:
        """End the way out of tips that are there, of those with another goal, and of those that others do not let pass."""
        left, blocked = motion.away(self.posture), limited & (Limit.COLLISION | Limit.SPEED) == Limit.COLLISION
        shorter = left < self._way - _GAIN
        self._way = np.where(shorter, left, self._way)
        self._blocked = np.where(shorter, 0, self._blocked + blocked)
        goes_on = (left > AT_POSTURE) & self._is_searched_for(goal, self._same) & (self._blocked < self._blocked_ticks)
        self.escaping &= goes_on | np.isnan(goal[:, 0])

    def _take(self, goal: Array, motion: JointMotion, tolerance: float) -> None:
        """Who came closer while the search went on is not stuck: it stays, and is searched for again when it is."""
        posture, better = self._escape.found(motion.q, tolerance, self._is_searched_for(goal, tolerance))
        closer = self._waiting & (self.ticks < self._stuck_ticks)
        found = better & self._is_searched_for(goal, self._same) & self._waiting & ~closer
        self._searched_for = np.where(closer[:, None], np.nan, self._searched_for)
        self._wait = np.where(closer, 0, self._wait)
        self.escaping |= found
        self.posture = np.where(found[self._tip_of_joint], posture, self.posture)
        self._way, self._blocked = np.where(found, np.inf, self._way), np.where(found, 0, self._blocked)

    def _is_searched_for(self, goal: Array, within: float | Array) -> NDArray[np.bool_]:
        same: NDArray[np.bool_] = distance(goal, self._searched_for) < within
        return same
