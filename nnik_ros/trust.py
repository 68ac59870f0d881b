"""Whether the network is still asked: one that does not help for long is benched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnik_ros.controller_options import ControllerOptions
from nnik_ros.guard import GuardedStep, Solver

_NOTICED = 0.1  # of the tolerance: what the stand-in must gain in a step to show that the network did not help
_NETWORK = int(Solver.NETWORK)


class Trust:
    """In one network. benched: it is out of use from now on."""

    def __init__(self) -> None:
        self.benched = False
        self._unhelpful = 0

    def judge(self, step: GuardedStep, follows: NDArray[np.bool_], options: ControllerOptions) -> None:
        """A step that the network proposed; follows (nt,): tips that it was to bring closer."""
        failed = False
        if np.count_nonzero(step.solver != _NETWORK):
            gained = step.start_error - step.error > _NOTICED * options.tolerance
            failed = bool((~step.helped & (step.solver == Solver.STAND_IN) & follows & gained).any())
        self._unhelpful = self._unhelpful + 1 if failed else max(0, self._unhelpful - 1)
        self.benched = failed and 0 < options.bench_after <= self._unhelpful
