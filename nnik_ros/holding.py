"""Tips that are told to hold, and where they come to rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.geometry import Array
from nnik_ros.motion import JointMotion


class Holding:
    """Tips come to rest from where and how they move when they begin to be held, or sooner: what others cut short of the way to
    rest is not made up for, and before silence nothing is that the lead takes later.

    held (nt,): tips that hold; posture (nq,) [rad]: where they stand in the end.
    """

    def __init__(self, tip_of_joint: NDArray[np.int64]) -> None:
        self._tip_of_joint = tip_of_joint
        self._nobody: NDArray[np.bool_] = np.zeros(int(tip_of_joint.max()) + 1, dtype=bool)
        self.posture: Array = np.zeros(len(tip_of_joint))
        self.forget()

    def forget(self) -> None:
        """No tip holds."""
        self.held: NDArray[np.bool_] = self._nobody
        self._braking: NDArray[np.bool_] = self._nobody  # those that do not stand yet

    def hold(self, held: NDArray[np.bool_], motion: JointMotion, *, silencing: bool) -> None:
        """Before a tick: tips (nt,) that hold from now on; silencing: nothing more is to be sent as soon as all stand."""
        fresh = held & ~self.held
        self.held, self._braking = held, (self._braking | fresh | silencing) & held
        if np.count_nonzero(self._braking):
            q, stop = motion.q, motion.at_rest()
            sooner = np.abs(stop - q) < np.abs(self.posture - q)
            chosen = fresh[self._tip_of_joint] | (self._braking[self._tip_of_joint] & sooner)
            self.posture = np.where(chosen, stop, self.posture)
            self._braking = self._braking & ~motion.stands()
