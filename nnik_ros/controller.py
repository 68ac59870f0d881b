"""The control tick, free of ROS: measured joints and targets in, one safe joint command and its explanation out.

A tick never raises on data, never reads a clock and is repeatable bit for bit: the same calls give the same commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.collision import CollisionModel
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import InputError
from nnik_ros.escape import Escape
from nnik_ros.geometry import Array, distance, shaped
from nnik_ros.goal_stream import GoalStream
from nnik_ros.governor import Governor
from nnik_ros.guard import GuardedPolicy, GuardedStep, Solver
from nnik_ros.holding import Holding
from nnik_ros.kernels import progress, references
from nnik_ros.kernels.points import drawn_in
from nnik_ros.limits import Limit
from nnik_ros.measured_hand import AT_REST, MeasuredHand
from nnik_ros.motion import JointMotion, Motion
from nnik_ros.options import describe
from nnik_ros.policy import Policy
from nnik_ros.posture import Posture
from nnik_ros.robot import Robot
from nnik_ros.states import Measurement, Targets, TickResult, TipState
from nnik_ros.trust import Trust
from nnik_ros.way_out import AT_POSTURE, WayOut

_BEYOND_REACH = 1.1  # times the reach: as far as a reference goes
_STUCK_PROGRESS = 0.00333  # of the error, per second
_SEEN = 0.1  # s, over which the closed loop averages the measured tips: encoders tremble, and states must not
_HOLD = int(Solver.HOLD)
# of a tip, the first that applies; passing by a goal is not reaching it, and the stand-in tells that before all else
_STATES = np.array([
    TipState.HOMING, TipState.DISABLED, TipState.IDLE, TipState.STALE_TARGET, TipState.REACHED, TipState.COLLISION,
    TipState.UNREACHABLE, TipState.LIMITED, TipState.TRACKING,
], dtype=np.int64)  # fmt: skip
_CLASSICAL = np.array([*_STATES[:-2], TipState.FALLBACK, TipState.FALLBACK])
_Mask = NDArray[np.bool_]


class _Mode(Enum):
    PAUSED = "paused"
    RUNNING = "running"
    HOMING = "homing"


class _Judged(NamedTuple):
    """Targets of one tick, (nt,) each: given at all (all numbers finite), age [s], too old, to be followed now; and of those
    to be followed the positions goal (nt, 3) [m], else nan."""

    given: _Mask
    age: Array
    stale: _Mask
    follows: _Mask
    goal: Array


class Controller:
    """Owns the command: seeded from the measured joints, then integrated, checked, limited and explained tick by tick."""

    def __init__(
        self, robot: Robot, policy: Policy | None, options: ControllerOptions, collision: CollisionModel | None = None
    ) -> None:
        """policy None: damped least squares alone. collision None: no self-collision check.

        Raises:
            InputError: a policy or a collision model of another robot.
        """
        if collision is not None:
            _check_same_robot("collision model", collision.robot, robot)
        self.robot, self._kinematics = robot, robot.kinematics
        self._period = 1.0 / options.rate
        self._motion = JointMotion(robot, self._kinematics, collision, self._period)
        self._no_tip: _Mask = np.zeros(robot.nt, dtype=bool)
        self._governor = Governor(robot.tip_velocity, robot.tip_acceleration, robot.tip_jerk, self._period)
        self._stream = GoalStream(robot.nt, self._period)
        self._enabled: _Mask = np.ones(robot.nt, dtype=bool)
        self._silent_ticks = int(options.rate)  # a second: nothing was ever published
        self._hand = MeasuredHand(robot.nq)
        self._tip_of_joint = robot.kinematics.tip_of_joint
        self._holding = Holding(self._tip_of_joint)
        self._seen_tips: Array = np.full((robot.nt, 3), np.nan)
        self._take_options(options)
        self.set_policy(policy)
        self._mode = _Mode.PAUSED
        self._forget()

    # what an operator asks for, between ticks

    @property
    def started(self) -> bool:
        return self._mode is not _Mode.PAUSED

    @property
    def benched(self) -> bool:
        """Whether the network is out of use, because it did not help for long."""
        return self._trust.benched

    def start(self) -> None:
        """Follow targets; begin at the measured joints, or at the own last command when the hand still is there."""
        self._mode = _Mode.RUNNING

    def pause(self) -> None:
        """Come to rest within the acceleration limits, then publish nothing."""
        self._mode = _Mode.PAUSED

    def home(self) -> None:
        """Move all enabled fingers to the robot's home position under the limits, and stay there until `start`."""
        self._mode = _Mode.HOMING

    def reset(self) -> None:
        """Come to rest as in a pause, then forget the own command: the next start begins at the measured joints."""
        self._mode, self._resetting = _Mode.PAUSED, True

    def forget(self) -> None:
        """Pause and forget the own command at once, for when there will be no further ticks to come to rest in."""
        self._mode = _Mode.PAUSED
        self._forget()

    def _forget(self) -> None:
        self._motion.seed(self._motion.q)
        self._seeded = self._resetting = False
        self._silence: TipState | None = TipState.PAUSED  # why nothing is published; the hand may be moved meanwhile
        self._hand.forget()
        self._holding.forget()
        self._way_out.forget()

    def set_enabled(self, enabled: Sequence[bool]) -> None:
        """Per tip: a disabled one comes to rest and holds.

        Raises:
            InputError: another number of switches than tips.
        """
        self._enabled = shaped("enabled", enabled, (self.robot.nt,), bool)

    def set_options(self, options: ControllerOptions) -> None:
        """Change what may change live; the rest keeps its value."""
        fixed = {info.name: getattr(self.options, info.name) for info in describe(ControllerOptions) if not info.live}
        self._take_options(replace(options, **fixed))

    def _take_options(self, options: ControllerOptions) -> None:
        self._tip_speed, self._pointing = options.tip_speed(self.robot.nt), options.tip_pointing(self.robot.nt)
        self.options = options
        self._stands = np.where(self._tip_speed > 0.0, 0, int(Limit.SPEED))  # what keeps each tip where it is

    def set_policy(self, policy: Policy | None) -> None:
        """Change the solver; the command goes on from where it is.

        Raises:
            InputError: a policy of another robot.
        """
        if policy is not None:
            _check_same_robot("policy", policy.robot, self.robot)
            self._kinematics = policy.kinematics
            self._motion.set_kinematics(self._kinematics)
        self._centre = self._kinematics.first_joint_position  # (nt, 3) [m]
        self._farthest = _BEYOND_REACH * self._kinematics.reach  # (nt,) [m]
        self._home_tips = self._kinematics.tip_position(self.robot.home)  # (nt, 3) [m]
        self._posture = Posture(self.robot, self._kinematics, self._period)
        stand_in = DampedLeastSquares(self.robot, self._kinematics)
        self._guard = GuardedPolicy(policy or stand_in, self.robot.velocity * self._period)
        self._way_out = WayOut(Escape(policy or self._guard, stand_in), self._tip_of_joint, self._period)
        self._has_network = policy is not None
        self._trust = Trust()
        self._solver: NDArray[np.int64] = np.full(self.robot.nt, _HOLD)

    # the tick

    def tick(self, now: float, measurement: Measurement | None, targets: Targets) -> TickResult:
        """One period. now [s] judges ages only: the step always uses the fixed period. measurement: the newest one, None where
        there is none that a hand may be begun with.

        Raises:
            InputError: targets of another shape than the robot's tips ask for, or a time that is no number.
        """
        targets, now = targets.checked(self.robot.nt), _seconds(now)
        if self._resetting and not self._motion.moving:
            self._forget()
        self._hand.take(measurement, self.options.state_timeout)
        state_age, measured = self._hand.age(now), self._hand.q
        stale_state = not state_age <= self.options.state_timeout
        judged = self._judge(now, targets, stale_state)
        if measured is None:
            return self._silent(TipState.WAITING_STATE, np.inf, targets, judged)
        if self._mode is _Mode.PAUSED and not self._motion.moving:
            return self._silent(TipState.PAUSED, state_age, targets, judged)
        if self._nothing_to_follow(judged) and not self._motion.moving:
            return self._silent(TipState.STALE_TARGET, state_age, targets, judged)
        if self._silence is not None:
            if stale_state or measurement is None:
                return self._silent(TipState.STALE_STATE, state_age, targets, judged)
            if not self._seed(measured):
                return self._silent(self._silence, state_age, targets, judged)
        elif stale_state and not self._goes_on_unseen():
            return self._silent(TipState.STALE_STATE, state_age, targets, judged)
        return self._move(judged, targets.direction, state_age, stale_state, measured)

    def _move(
        self, judged: _Judged, direction: Array | None, state_age: float, stale_state: bool, measured: Array
    ) -> TickResult:
        self._silence, self._silent_ticks = None, 0
        follows, goal = judged.follows, judged.goal
        homing, way_out = self._homing(judged, stale_state), self._way_out
        escaping, held = way_out.escaping & follows, ~(follows | homing)
        silencing = self._resetting or self._mode is _Mode.PAUSED or self._nothing_to_follow(judged)
        self._holding.hold(held, self._motion, silencing=silencing)
        by_joints = held | homing | escaping
        near = drawn_in(goal, self._centre, self._farthest)  # a reference must not be led away for ever
        reference = self._advance_references(near, by_joints)
        step = self._guarded_step(reference, follows & ~escaping)
        wish, pointing_error = self._posture.shape(
            self._motion.q, self._motion.tips, step.q, reference, follows & ~by_joints, self.options.posture_rate,
            direction, self._pointing,
        )  # fmt: skip
        wish = way_out.calmed(self._motion.q, wish)
        if np.count_nonzero(by_joints):
            wish = np.where(by_joints[self._tip_of_joint], self._towards_posture(homing), wish)
        motion = self._motion.step(
            wish, step.followed, self._tip_speed, held, measured, self.options, silencing=silencing
        )
        if not stale_state:
            self._hand.follows(self._motion.sent)
        end_of_way = np.where(homing[:, None], self._home_tips, goal) if np.count_nonzero(homing) else goal
        error, measured_error, best_error, reached, stuck = progress.seen(
            motion.tip_position, self._seen(motion.measured_tip_position), end_of_way, near, reference, way_out.best_error,
            follows, escaping, way_out.ticks, self.options.closed_loop_gain > 0, self.options.tolerance,
            _STUCK_PROGRESS * self._period,
        )  # fmt: skip
        limited = motion.limited | self._stands
        way_out.watch(best_error, stuck, goal, near, self._motion, limited, self.options.tolerance)
        # what the closed loop cannot add keeps no command from its way
        motion = motion._replace(limited=limited | motion.pressing)
        state, worst = self._tip_states(reached, judged, homing, motion, stale_state)
        return TickResult(
            self._motion.sent.copy() if self._speaks(judged, stale_state) else None, worst, state, error, measured_error,
            step.solver.copy(), motion.limited, motion.met, motion.tip_position.copy(), motion.measured_tip_position, reference,
            state_age, judged.age, pointing_error.copy(),
        )  # fmt: skip

    def _goes_on_unseen(self) -> bool:
        """Whether a command that is published goes on to be while joint states are stale. After silence nobody knows where the
        hand is, and the last command may be far from it."""
        return self.options.on_stale_state == "hold" or self._motion.moving

    def _speaks(self, judged: _Judged, stale_state: bool) -> bool:
        """Whether the command is published."""
        if self._motion.moving:
            return True
        silent = stale_state and not self._goes_on_unseen()
        return self.started and not silent and not self._nothing_to_follow(judged)

    def _nothing_to_follow(self, judged: _Judged) -> bool:
        """Whether targets came, all of them are stale, and that silences the hand."""
        if self.options.on_stale_target != "stop" or self._mode is not _Mode.RUNNING:
            return False
        given = judged.given & self._enabled
        return bool(given.any() and judged.stale[given].all())

    def _seed(self, measured: Array) -> bool:
        """After silence: go on from the own command where the hand still is where it was left, else begin at the measured
        joints. Returns whether that is decided.

        When joint states come back, the driver may still bring the hand to the last command, which must not jump then;
        only a hand that rests elsewhere was moved, or is another one. A start right after a reset or pause waits as well: a new
        beginning within moments of the last command would be a jump.
        """
        if self._seeded:
            if self._hand.is_where_left(self._motion.sent):
                return True
            if self._silence is TipState.STALE_STATE and not self._hand.rests:
                return False
        if self._silent_ticks * self._period < AT_REST:
            return False
        self._seeded = True
        self._motion.seed(measured)
        self._holding.forget()
        self._way_out.forget()
        self._governor.reset(self._motion.tips.position)
        return True

    def _judge(self, now: float, targets: Targets, stale_state: bool) -> _Judged:
        running = self._mode is _Mode.RUNNING and not stale_state and not self._resetting
        return _Judged(
            *references.judged(
                now, targets.position, targets.stamp, self.options.target_timeout, self._enabled, running
            )
        )

    def _homing(self, judged: _Judged, stale_state: bool) -> _Mask:
        """Tips that move to their home posture."""
        if stale_state or self._resetting or self._mode is _Mode.PAUSED:
            return self._no_tip
        if self._mode is _Mode.HOMING:
            return self._enabled
        return judged.stale & self._enabled if self.options.on_stale_target == "home" else self._no_tip

    def _advance_references(self, goal: Array, by_joints: _Mask) -> Array:
        """References one period on; a tip that moves by its joints carries its reference along."""
        if np.count_nonzero(by_joints):
            self._governor.reset(self._motion.tips.position, by_joints)
            goal = np.where(by_joints[:, None], np.nan, goal)
        return self._governor.advance(self._stream.advance(goal), self._tip_speed)

    def _seen(self, measured_tips: Array) -> Array:
        """Measured tips (nt, 3) [m] as errors are judged by them: averaged in the closed loop."""
        known = self.options.closed_loop_gain > 0.0 and not np.isnan(self._seen_tips[0, 0])
        share = min(1.0, self._period / _SEEN)
        self._seen_tips = self._seen_tips + share * (measured_tips - self._seen_tips) if known else measured_tips
        return self._seen_tips

    def _towards_posture(self, homing: _Mask) -> Array:
        """The next joints (nq,) [rad] of the tips that move by their joints: to rest, home, or on their way out."""
        end = np.where(homing[self._tip_of_joint], self.robot.home, self._way_out.posture)
        end = np.where(self._holding.held[self._tip_of_joint], self._holding.posture, end)
        return self._motion.towards(end, self._tip_speed[self._tip_of_joint])

    def _guarded_step(self, reference: Array, follows: _Mask) -> GuardedStep:
        use_network = self._has_network and not self._trust.benched
        step = self._guard.checked_step(self._motion.q, reference, self._solver, use_policy=use_network)
        self._solver = step.solver
        if use_network:
            self._trust.judge(step, follows, self.options)
        return step

    # what it tells

    def _tip_states(
        self, reached: _Mask, judged: _Judged, homing: _Mask, motion: Motion, stale_state: bool
    ) -> tuple[NDArray[np.int64], TipState]:
        """The most telling state of each tip, and the hand's."""
        everywhere = None
        if not motion.finite:
            everywhere = TipState.FAULT
        elif stale_state:
            everywhere = TipState.STALE_STATE
        elif self._resetting or self._mode is _Mode.PAUSED:
            everywhere = TipState.STOPPING if self._motion.moving else TipState.PAUSED
        if everywhere is not None:
            return np.full(self.robot.nt, int(everywhere)), everywhere
        if self._mode is _Mode.RUNNING and np.count_nonzero(homing):  # who is there waits for a new target
            homing = homing & (self._motion.away(self.robot.home) > AT_POSTURE)
        classical = self._trust.benched or not self._has_network
        state, worst = progress.first_state(
            homing, self._enabled, judged.given, judged.stale, reached, motion.limited, self._way_out.ticks,
            self._way_out.escaping, self._way_out.lost_ticks, _CLASSICAL if classical else _STATES,
        )  # fmt: skip
        return state, TipState(worst)

    def _silent(self, state: TipState, state_age: float, targets: Targets, judged: _Judged) -> TickResult:
        """A tick that publishes nothing."""
        nt = self.robot.nt
        self._silence = state
        self._silent_ticks += 1
        self._posture.let_go()
        if state is not TipState.STALE_STATE and self._seeded:
            self._hand.settles(self._motion.sent)
        nowhere = np.full((nt, 3), np.nan)
        q = self._hand.q
        measured = self._kinematics.tip_position(q) if q is not None else nowhere
        self._seen_tips = measured.copy()
        own = self._motion.tips.position if self._seeded else measured
        goal = np.where(judged.given[:, None], targets.position, np.nan)
        tip_state = np.full(nt, int(state))
        if state is TipState.STALE_TARGET:
            tip_state[~judged.given], tip_state[~self._enabled] = TipState.IDLE, TipState.DISABLED
        return TickResult(
            None, state, tip_state, distance(own, goal), distance(measured, goal),
            np.full(nt, _HOLD), np.zeros(nt, dtype=np.int64), np.full(nt, -1), own.copy(), measured, own.copy(), state_age,
            judged.age, np.full(nt, np.nan),
        )  # fmt: skip


def _seconds(now: float) -> float:
    try:
        return float(now)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"now is {now!r}, must be a number of seconds") from error


def _check_same_robot(what: str, other: Robot, robot: Robot) -> None:
    """Calibrated or not, the geometry may differ; what the numbers stand for must not."""
    given, wanted = ((each.name, each.joint_names, each.tip_names) for each in (other, robot))
    if given != wanted:
        raise InputError(
            f"the {what} is of robot '{other.name}' ({other.nq} joints, {other.nt} tips), the controller of '{robot.name}' "
            f"({robot.nq} joints, {robot.nt} tips)"
        )
