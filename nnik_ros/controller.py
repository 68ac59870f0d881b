"""The control tick, free of ROS: measured joints and targets in, one safe joint command and its explanation out.

A tick never raises on data, never reads a clock and is repeatable bit for bit: the same calls give the same commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.collision import CollisionModel
from nnik_ros.geometry import Array
from nnik_ros.governor import Governor
from nnik_ros.guard import GuardedPolicy, GuardedStep, Solver
from nnik_ros.kinematics import Frames
from nnik_ros.limits import JointLimits, Limit, LimitedStep, stopping_speed
from nnik_ros.options import describe, option
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot
from nnik_ros.states import TickResult, TipState

_LARGEST_CORRECTION = 0.2  # of the reach: what the closed loop may add to a target
_STUCK_TICKS = 60  # without progress, at a resting reference, until a target counts as out of reach
_STUCK_PROGRESS = 1e-5  # of the error, per tick


@dataclass(frozen=True)
class ControllerOptions:
    """Settings of the control tick."""

    rate: float = option(333.0, "Rate of the control loop.", unit="Hz", low=10.0, high=1000.0, live=False)
    speed: float = option(1.0, "Share of the robot's tip velocities.", low=0.0, high=1.0)
    tolerance: float = option(0.0005, "Distance within which a target counts as reached.", unit="m", low=0.0, high=1.0)
    target_timeout: float = option(
        1.0, "Age from which a target is stale; 0 lets targets live for ever.", unit="s", low=0.0, high=3600.0
    )
    state_timeout: float = option(0.1, "Age from which the joint states are stale.", unit="s", low=0.005, high=10.0)
    on_stale_target: str = option(
        "hold", "What a finger does when its target is stale.", choices=("hold", "home", "stop")
    )
    on_stale_state: str = option(
        "hold", "What the hand does when joint states are stale: repeat its last command, or publish nothing.",
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


class Measurement(NamedTuple):
    """Joint positions q (nq,) [rad] and the time of their receipt [s], on the clock of `now`."""

    q: Array
    stamp: float


class Targets(NamedTuple):
    """Tip targets position (nt, 3) [m] in the base frame and the times of their receipt stamp (nt,) [s], -inf for never."""

    position: Array
    stamp: Array


class _Mode(Enum):
    PAUSED = "paused"
    RUNNING = "running"
    HOMING = "homing"


class Controller:
    """Owns the command: seeded from the measured joints, then integrated, checked, limited and explained tick by tick."""

    def __init__(
        self, robot: Robot, policy: Policy | None, options: ControllerOptions, collision: CollisionModel | None = None
    ) -> None:
        """policy None: damped least squares alone. collision None: no self-collision check."""
        self.robot, self.options = robot, options
        self._period = 1.0 / options.rate
        self._kinematics = policy.kinematics if policy else robot.kinematics
        self._collision = collision
        self._tip_of_joint = self._kinematics.tip_of_joint
        self._limits = JointLimits(
            robot.lower, robot.upper, robot.velocity, robot.acceleration, self._tip_of_joint, self._period
        )
        self._governor = Governor(robot.tip_velocity, robot.tip_acceleration, robot.tip_jerk, self._period)
        self._enabled: NDArray[np.bool_] = np.ones(robot.nt, dtype=bool)
        self.reset()
        self.set_policy(policy)

    # what an operator asks for, between ticks

    @property
    def started(self) -> bool:
        return self._mode is not _Mode.PAUSED

    @property
    def benched(self) -> bool:
        """Whether the network is out of use, because it did not help for long."""
        return self._benched

    def start(self) -> None:
        """Follow targets; the first command is the measured position, or the own last one when the hand still is there."""
        self._mode = _Mode.RUNNING

    def pause(self) -> None:
        """Come to rest within the acceleration limits, then publish nothing."""
        self._mode = _Mode.PAUSED

    def home(self) -> None:
        """Move every joint to the robot's home position under the limits, and stay there until `start`."""
        self._mode = _Mode.HOMING

    def reset(self) -> None:
        """Pause, and forget the own command: the next start begins at the measured joints."""
        self._mode = _Mode.PAUSED
        self._q: Array | None = None
        self._v: Array = np.zeros(self.robot.nq)
        self._measured: Array | None = None
        self._measured_stamp = -np.inf
        self._correction = np.zeros((self.robot.nt, 3))
        self._stuck: NDArray[np.int64] = np.zeros(self.robot.nt, dtype=np.int64)
        self._last_error: Array = np.full(self.robot.nt, np.nan)
        self._fresh_seed = True
        self._clearance: Array | None = None

    def set_enabled(self, enabled: Sequence[bool]) -> None:
        """Per tip: a disabled one comes to rest and holds."""
        self._enabled = np.array(enabled, dtype=bool)

    def set_options(self, options: ControllerOptions) -> None:
        """Change what may change live; the rest keeps its value."""
        fixed = {info.name: getattr(self.options, info.name) for info in describe(ControllerOptions) if not info.live}
        self.options = replace(options, **fixed)

    def set_policy(self, policy: Policy | None) -> None:
        """Change the solver; the command goes on from where it is."""
        if policy is not None:
            self._kinematics = policy.kinematics
            if self._q is not None:
                self._frames = self._kinematics.frames(self._q)
        stand_in = DampedLeastSquares(self.robot, self._kinematics)
        self._guard = GuardedPolicy(policy or stand_in, stand_in)
        self._has_network = policy is not None
        self._unhelpful, self._benched = 0, False

    # the tick

    def tick(self, now: float, measurement: Measurement | None, targets: Targets) -> TickResult:
        """One period. now [s] judges ages only: the step always uses the fixed period."""
        self._take_measurement(measurement)
        state_age = abs(now - self._measured_stamp)  # a clock that jumped makes data stale in both directions
        if self._measured is None:
            return self._idle_result(TipState.WAITING_STATE, np.inf, targets, now)
        stale_state = not state_age <= self.options.state_timeout
        if self._mode is _Mode.PAUSED and not self._moving():
            return self._idle_result(TipState.PAUSED, state_age, targets, now)
        if self._q is None or (self._fresh_seed and not stale_state):
            if stale_state:
                return self._idle_result(TipState.STALE_STATE, state_age, targets, now)
            self._seed()
        if stale_state:
            self._fresh_seed = True  # the hand may have moved: look again before going on
            if not self._moving() and self.options.on_stale_state == "stop":
                return self._idle_result(TipState.STALE_STATE, state_age, targets, now)
        return self._moving_tick(now, state_age, stale_state, targets)

    def _moving_tick(self, now: float, state_age: float, stale_state: bool, targets: Targets) -> TickResult:
        assert self._q is not None and self._measured is not None
        given, target_age, stale = self._judge_targets(now, targets)
        halted = stale_state or self._mode is _Mode.PAUSED
        homing = np.full(self.robot.nt, self._mode is _Mode.HOMING) | (stale & (self.options.on_stale_target == "home"))
        homing &= not halted
        follows = given & ~stale & self._enabled & ~homing & (not halted)
        goal = np.where(follows[:, None], targets.position, np.nan)
        reference = self._advance_references(goal, follows, homing)
        step = self._guarded_step(reference, follows)
        limited, frames = self._limited_step(step.q, homing)
        fault = not np.isfinite(limited.q).all()
        if fault:  # cannot happen with finite inputs; if it does, the hand holds
            limited = LimitedStep(self._q, np.zeros(self.robot.nq), limited.limited)
            frames = self._kinematics.frames(np.stack([self._q, self._measured]))
        self._q, self._v, self._frames = limited.q, limited.v, frames.at(0)
        tips: Array = frames.tip_position
        error, measured_error = np.sqrt(((tips - goal) ** 2).sum(axis=-1))
        self._correct(goal, reference, tips[1], limited.limited)
        tip_limited = np.zeros(self.robot.nt, dtype=np.int64)
        np.bitwise_or.at(tip_limited, self._tip_of_joint, limited.limited)
        self._watch_progress(step, error, reference, goal, follows)
        judged = measured_error if self.options.closed_loop_gain > 0 else error
        state = self._tip_states(judged, given, stale, homing, tip_limited, stale_state, fault)
        publish = self._moving() or self.started
        if stale_state and self.options.on_stale_state == "stop" and not self._moving():
            publish = False
        if self.options.on_stale_target == "stop" and not self._moving() and (given & stale).all():
            publish = False
        return TickResult(
            self._q.copy() if publish else None, TipState(int(state.max())), state, error, measured_error, step.solver,
            tip_limited, tips[0], tips[1], reference, state_age, target_age,
        )  # fmt: skip

    def _moving(self) -> bool:
        return self._q is not None and bool(np.any(self._v != 0.0))

    def _take_measurement(self, measurement: Measurement | None) -> None:
        if measurement is None or np.shape(measurement.q) != (self.robot.nq,):
            return
        if np.isfinite(measurement.q).all():
            self._measured, self._measured_stamp = np.array(measurement.q, dtype=np.float64), measurement.stamp

    def _seed(self) -> None:
        """Go on from the own command where the hand still follows it, else begin at the measured joints."""
        assert self._measured is not None
        self._fresh_seed = False
        if self._q is not None and np.all(np.abs(self._q - self._measured) <= self.options.max_lead):
            return
        self._q = np.clip(self._measured, self.robot.lower, self.robot.upper)
        self._v = np.zeros(self.robot.nq)
        self._correction[:] = 0.0
        self._clearance = None
        self._frames = self._kinematics.frames(self._q)
        self._governor.reset(self._frames.tip_position)

    def _judge_targets(self, now: float, targets: Targets) -> tuple[NDArray[np.bool_], Array, NDArray[np.bool_]]:
        """(given (nt,), age (nt,) [s], stale (nt,)) of targets; a target with a non-finite number was not given."""
        given = np.isfinite(targets.position).all(axis=-1) & ~np.isneginf(targets.stamp)
        age = np.where(given, np.abs(now - targets.stamp), np.inf)
        timeout = self.options.target_timeout
        stale = given & ~(age <= timeout) if timeout > 0 else np.zeros(self.robot.nt, dtype=bool)
        return given, age, stale

    def _advance_references(self, goal: Array, follows: NDArray[np.bool_], homing: NDArray[np.bool_]) -> Array:
        """References one period on; a tip without a goal brakes, a homing tip carries its reference along."""
        assert self._q is not None
        if homing.any():
            self._governor.reset(self._frames.tip_position, homing)
        resting = np.where(follows[:, None], goal, self._governor.point)
        return self._governor.advance(resting, self.options.speed)

    def _guarded_step(self, reference: Array, follows: NDArray[np.bool_]) -> GuardedStep:
        assert self._q is not None
        use_network = self._has_network and not self._benched
        step = self._guard.checked_step(
            self._q, reference + self._correction, use_policy=use_network, frames=self._frames
        )
        if use_network:
            failed = (step.solver != Solver.NETWORK) & follows & (step.start_error > self.options.tolerance)
            self._unhelpful = self._unhelpful + 1 if failed.any() else max(0, self._unhelpful - 1)
            self._benched = 0 < self.options.bench_after <= self._unhelpful
        return step

    def _limited_step(self, solved: Array, homing: NDArray[np.bool_]) -> tuple[LimitedStep, Frames]:
        """From the solver's wish to what may be sent: lead, collision, then the joint limits as the last word.

        Returns the step, and the frames of its position and of the measured one.
        """
        assert self._q is not None and self._measured is not None
        wanted = np.where(homing[self._tip_of_joint], self._homing_step(), solved) if homing.any() else solved
        lead = self.options.max_lead
        led = np.minimum(np.maximum(wanted, self._measured - lead), self._measured + lead)
        limited = self._limits.step(self._q, self._v, led)
        limited = limited._replace(limited=limited.limited | np.where(led != wanted, int(Limit.LEAD), 0))
        frames = self._kinematics.frames(np.stack([limited.q, self._measured]))
        if self._collision is None or not self.options.collision_check:
            return limited, frames
        return self._avoid_collision(self._collision, limited, frames)

    def _homing_step(self) -> Array:
        assert self._q is not None
        way = self.robot.home - self._q
        T, speed = self._period, self.options.speed
        fastest = np.minimum(
            stopping_speed(np.abs(way), 0.5 * self.robot.acceleration, T), 0.5 * speed * self.robot.velocity
        )
        step: Array = self._q + np.sign(way) * fastest * T
        return step

    def _avoid_collision(
        self, collision: CollisionModel, limited: LimitedStep, frames: Frames
    ) -> tuple[LimitedStep, Frames]:
        """Slow down the fingers of every pair that closes faster than its clearance allows; parting is free."""
        assert self._q is not None and self._measured is not None
        now = collision.distances(self._frames) if self._clearance is None else self._clearance
        after = collision.distances(frames.at(0))
        allowed = np.maximum(now - self.options.collision_margin, 0.0) * min(
            1.0, self.options.collision_gain * self._period
        )
        tight = now - after > allowed
        if tight.any():
            share = np.ones(self.robot.nt + 1)  # one more for the base, which does not move
            for side in (0, 1):
                np.minimum.at(share, collision.pair_tips[tight, side], allowed[tight] / (now - after)[tight])
            slow = share[self._tip_of_joint]
            flags = limited.limited | np.where(slow < 1.0, int(Limit.COLLISION), 0)
            limited = self._limits.step(self._q, self._v, self._q + slow * (limited.q - self._q))
            limited = limited._replace(limited=limited.limited | flags)
            frames = self._kinematics.frames(np.stack([limited.q, self._measured]))
            after = collision.distances(frames.at(0))
        self._clearance = after
        return limited, frames

    def _correct(self, goal: Array, reference: Array, measured_tips: Array, limited: NDArray[np.int64]) -> None:
        """Closed loop: where the reference rests at its goal, shift the target against the error of the measured tips."""
        gain = self.options.closed_loop_gain
        if gain == 0.0:
            self._correction *= 0.99  # fade out without a bump
            return
        rests = np.sqrt(((goal - reference) ** 2).sum(axis=-1)) < self.options.tolerance  # False without a goal
        held = np.zeros(self.robot.nt, dtype=bool)
        np.logical_or.at(held, self._tip_of_joint, (limited & (Limit.LEAD | Limit.COLLISION | Limit.POSITION)) != 0)
        rests &= ~held
        self._correction[rests] += gain * self._period * (goal - measured_tips)[rests]
        largest = _LARGEST_CORRECTION * self._kinematics.reach[:, None]
        size = np.sqrt((self._correction**2).sum(axis=-1, keepdims=True))
        self._correction *= np.minimum(1.0, largest / np.maximum(size, largest))

    def _watch_progress(
        self, step: GuardedStep, error: Array, reference: Array, goal: Array, follows: NDArray[np.bool_]
    ) -> None:
        """Count the ticks in which a tip came no closer although its reference rests at the goal."""
        arrived = np.sqrt(((goal - reference) ** 2).sum(axis=-1)) < self.options.tolerance
        progress = self._last_error - error > _STUCK_PROGRESS * error
        stuck = follows & arrived & ~progress & (step.error > self.options.tolerance)
        self._stuck = np.where(stuck, self._stuck + 1, 0)
        self._last_error = error

    def _tip_states(
        self, error: Array, given: NDArray[np.bool_], stale: NDArray[np.bool_],
        homing: NDArray[np.bool_], limited: NDArray[np.int64], stale_state: bool, fault: bool,
    ) -> NDArray[np.int64]:  # fmt: skip
        """The most telling state of each tip: a later line overrules an earlier one."""
        for applies, state in ((fault, TipState.FAULT), (stale_state, TipState.STALE_STATE)):
            if applies:
                return np.full(self.robot.nt, int(state))
        if self._mode is _Mode.PAUSED:
            return np.full(self.robot.nt, int(TipState.PAUSED))
        classical = self._benched or not self._has_network
        states = np.full(self.robot.nt, int(TipState.FALLBACK if classical else TipState.TRACKING))
        states[(limited != 0) & (not classical)] = TipState.LIMITED
        states[self._stuck >= _STUCK_TICKS] = TipState.UNREACHABLE
        states[(limited & Limit.COLLISION) != 0] = TipState.COLLISION
        states[error <= self.options.tolerance] = TipState.REACHED
        states[stale] = TipState.STALE_TARGET
        states[~given] = TipState.IDLE
        states[~self._enabled] = TipState.DISABLED
        states[homing] = TipState.HOMING
        return states

    def _idle_result(self, state: TipState, state_age: float, targets: Targets, now: float) -> TickResult:
        """A tick that publishes nothing."""
        nt = self.robot.nt
        given, target_age, _ = self._judge_targets(now, targets)
        nowhere = np.full((nt, 3), np.nan)
        measured = self._kinematics.tip_position(self._measured) if self._measured is not None else nowhere
        own = self._frames.tip_position if self._q is not None else measured
        goal = np.where(given[:, None], targets.position, np.nan)
        if state is TipState.PAUSED:
            self._fresh_seed = True  # whoever moves the hand meanwhile, the next start looks first
        return TickResult(
            None, state, np.full(nt, int(state)), np.sqrt(((own - goal) ** 2).sum(axis=-1)),
            np.sqrt(((measured - goal) ** 2).sum(axis=-1)), np.full(nt, int(Solver.HOLD)), np.zeros(nt, dtype=np.int64),
            own, measured, own, state_age, target_age,
        )  # fmt: skip
