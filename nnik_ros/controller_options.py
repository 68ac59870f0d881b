"""Settings of the control tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.options import option, take_values


@dataclass(frozen=True)
class ControllerOptions:
    """Settings of the control tick.

    Raises:
        InputError: naming every value that is not allowed.
    """

    rate: float = option(333.0, "Rate of the control loop.", unit="Hz", low=50.0, high=1000.0, live=False)
    speed: float = option(1.0, "Share of the velocities of the joints and of the tips' references.", low=0.0, high=1.0)
    tip_weight: tuple[float, ...] = option(
        (1.0,), "Share of its speed that each tip uses: one number, or one for each in tip order; 0: it stays where it is.",
        low=0.0, high=1.0,
    )  # fmt: skip
    tolerance: float = option(
        0.0005,
        "Distance within which a target counts as reached: of the commanded tip, with `closed_loop_gain` of the measured one.",
        unit="m", low=1e-6, high=1.0,
    )  # fmt: skip
    target_timeout: float = option(
        1.0, "Age from which a target is stale; 0 lets targets live for ever.", unit="s", low=0.0, high=3600.0
    )
    state_timeout: float = option(0.1, "Age from which the joint states are stale.", unit="s", low=0.005, high=10.0)
    on_stale_target: str = option(
        "hold",
        "What a finger does when its target is stale; stop: nothing is published while the targets of all fingers are.",
        choices=("hold", "home", "stop"),
    )
    on_stale_state: str = option(
        "stop", "What the hand does when joint states are stale: repeat its last command, or publish nothing.",
        choices=("hold", "stop"),
    )  # fmt: skip
    max_lead: float = option(
        0.4, "Largest distance between a commanded and a measured joint.", unit="rad", low=0.01, high=3.2
    )
    closed_loop_gain: float = option(
        0.0,
        "Rate at which the error of the measured tips is corrected at rest; 0 trusts the joints.",
        unit="1/s",
        low=0.0,
        high=20.0,
    )
    posture_rate: float = option(
        1.5, "Rate at which a finger's free degree returns to the robot's preferred posture; 0: the solver's choice.",
        unit="1/s", low=0.0, high=10.0,
    )  # fmt: skip
    pointing: tuple[float, ...] = option(
        (0.0,), "Share of a finger's free degree that turns the tip to where its target pose points, the rest keeps the "
        "posture: one number, or one for each in tip order.",
        low=0.0, high=1.0,
    )  # fmt: skip
    collision_check: bool = option(True, "Keep the fingers apart from each other and from the palm.")
    collision_margin: float = option(0.002, "Clearance at which an approach stops.", unit="m", low=0.0, high=0.05)
    collision_gain: float = option(
        10.0, "Largest closing speed over the clearance left above the margin.", unit="1/s", low=0.1, high=100.0
    )
    bench_after: int = option(
        200,
        "Ticks in which the network did not help until it is benched for damped least squares; 0: never.",
        low=0,
        high=1000000,
    )

    def __post_init__(self) -> None:
        take_values(self)

    def tip_speed(self, nt: int) -> Array:
        """Share of its full velocity that each tip uses, (nt,).

        Raises:
            InputError: `tip_weight` has neither one value nor nt of them.
        """
        return self.speed * _of_tips("tip_weight", self.tip_weight, nt)

    def tip_pointing(self, nt: int) -> Array:
        """`pointing` of each tip, (nt,).

        Raises:
            InputError: `pointing` has neither one value nor nt of them.
        """
        return _of_tips("pointing", self.pointing, nt)


def _of_tips(name: str, values: tuple[float, ...], nt: int) -> Array:
    if len(values) not in (1, nt):
        several = "" if nt == 1 else f" or {nt}, one for each tip"
        raise InputError(f"{name}: has {len(values)} values, must be 1{several}")
    return np.array(np.broadcast_to(values, nt), dtype=np.float64)
