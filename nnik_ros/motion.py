"""The command itself: where it is, how fast it moves, and everything that bounds its next step."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnik_ros.collision import CollisionModel
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.geometry import Array, frozen
from nnik_ros.kernels import joints, motion, points
from nnik_ros.kinematics import Kinematics, Tips
from nnik_ros.limits import JointLimits, Limit
from nnik_ros.robot import Robot

_LEAD_BRAKE = 0.6  # of the acceleration, before the lead bound; the rest is for a bound that comes nearer
_CLOSING = 0.2  # of the acceleration of a joint at the length of a finger: with so much fingers that meet can brake
_LARGEST_OFFSET = 0.3  # rad, that the closed loop may add
_RESTS = 0.05  # rad/s, below which a joint counts as at rest
_LEARNS = 0.15  # rad/s, at which the closed loop adds at most: so slow that the lag of a drive stays a small gap
_ARRIVED = 0.01  # rad, from what is to be sent; a gap that is only due to being late says nothing about the drive
_SAME = 1e-9  # rad, in position and in the way of a period: what rounding makes of one and the same command
_PRESSES = 1e-4  # rad: an offset that is so close to what bounds it would go on
_FADE, _FORGOTTEN = 0.3, 1e-5  # s in which most of the offset is gone, and rad, when the closed loop is switched off
_STANDS = 1e-4  # rad/s, below which a command counts as at rest: far less than what any joint can stop within a period
_JOINT_SHARE = 0.5  # of the joints' velocity and acceleration, for motion from posture to posture


class Motion(NamedTuple):
    """One step: tip_position (nt, 3) [m] commanded, measured_tip_position (nt, 3) [m], limited (nt,) of Limit, pressing (nt,)
    of Limit: what keeps the closed loop from removing a gap, met (nt,): whom the collision check keeps a limited tip from, by
    number, -1 for the base, and whether the step was finite (if not, the command brakes)."""

    tip_position: Array
    measured_tip_position: Array
    limited: NDArray[np.int64]
    pressing: NDArray[np.int64]
    met: NDArray[np.int64]
    finite: bool


class JointMotion:
    """Owns the joint command. A wish passes the lead bound, the collision check and, as the last word, the joint limits.

    q and v are where the joints shall be, sent and sent_v what is published: the same, unless the closed loop adds what a
    weak drive needs to get there.
    """

    def __init__(self, robot: Robot, kinematics: Kinematics, collision: CollisionModel | None, period: float) -> None:
        self._robot, self._kinematics, self._period = robot, kinematics, period
        self._collision = copy.copy(collision)  # the geometry set here is no other owner's
        self._tip_of_joint = kinematics.tip_of_joint
        self._limits = JointLimits(
            robot.lower, robot.upper, robot.velocity, robot.acceleration, self._tip_of_joint, period
        )
        self._table = frozen([*self._limits.table, _LEAD_BRAKE * robot.acceleration])
        self._unknown: Array = np.empty(0)  # clearances that nobody looked at
        self._no_pairs = (
            np.empty((0, 2), dtype=np.int64),
            np.empty((0, 2, 3)),
            np.empty((0, 2), dtype=np.int64),
            self._unknown,
        )
        self._no_limit = frozen(np.zeros(robot.nt), np.int64)
        self._margin = 0.0  # m, for which the pairs were chosen
        self._fade = float(np.exp(-period / _FADE))
        self._pace, self._gentle = _JOINT_SHARE * robot.velocity, _JOINT_SHARE * robot.acceleration
        self.q: Array = robot.home
        self.set_kinematics(kinematics)
        self.seed(robot.home)

    @property
    def moving(self) -> bool:
        return points.largest(self.sent_v) > _STANDS

    def seed(self, q: Array) -> None:
        """Rest at q (nq,) [rad], put inside the limits."""
        self.q = np.clip(q, self._robot.lower, self._robot.upper)
        self.v: Array = np.zeros(len(self.q))
        self.sent: Array = self.q
        self.sent_v: Array = self.v
        self._offset: Array = np.zeros(len(self.q))
        self._offset_v: Array = self._offset
        self._closed = False  # whether what is sent goes, or still comes back from, ways of its own
        self._last_wish: Array = np.full(len(self.q), np.nan)
        self._look_around()

    def set_kinematics(self, kinematics: Kinematics) -> None:
        """Use another geometry; the command stays."""
        self._kinematics = kinematics
        self._braking = _CLOSING * float(np.min(self._robot.acceleration) * np.min(kinematics.reach))
        if self._collision is not None:
            self._collision.set_kinematics(kinematics)
        self._look_around()

    def _look_around(self) -> None:
        self.tips: Tips = self._kinematics.tips(self.q)
        self._clearance = self._unknown

    def at_rest(self) -> Array:
        """Where the joints come to rest when they brake from now on as `towards` does: (nq,) [rad]."""
        stop: Array = self.q + self.v * np.abs(self.v) / (2.0 * self._gentle)
        return np.clip(stop, self._robot.lower, self._robot.upper)

    def away(self, goal: Array) -> Array:
        """How far the farthest joint of each tip is from goal (nq,) [rad]: (nt,) [rad]."""
        away = np.zeros(len(self._kinematics.topology.chain))
        np.maximum.at(away, self._tip_of_joint, np.abs(goal - self.q))
        return away

    def stands(self) -> NDArray[np.bool_]:
        """Fingers that stand still: (nt,)."""
        return self.away(self.q + self.v) <= _STANDS

    def towards(self, goal: Array, speed: float | Array) -> Array:
        """A wish that leads every joint to goal (nq,) [rad] and stops there, with `speed` (0 to 1, or (nq,)) of the pace."""
        wish: Array = joints.towards(self.q, self.v, goal, self._gentle, speed * self._pace, self._period)
        return wish

    def step(
        self, wish: Array, followed: Array, speed: Array, held: NDArray[np.bool_], measured: Array,
        options: ControllerOptions, *, silencing: bool = False,
    ) -> Motion:  # fmt: skip
        """One period towards wish (nq,) [rad], of whose own motion each finger follows a share, followed (nt,), with
        a share of its joints' velocity, speed (nt,). held (nt,): fingers that shall come to rest, to which the closed loop
        must add nothing, and which others must not move aside; measured (nq,) [rad]; silencing: nothing more is to be sent as
        soon as all stand."""
        self._watch(options.collision_margin)
        checked = self._collision if options.collision_check else None
        place, ends, pairs, radii = self._no_pairs if checked is None else checked.pairs
        known = self._unknown if checked is None else self._clearance
        q, v, finite, limited, met, tip, jacobian, measured_tip, clearance = motion.moved(
            self.q, self.v, wish, self._last_wish, followed, speed, held, measured, self._table, options.max_lead,
            self._tip_of_joint, *self._kinematics.model, place, ends, pairs, radii, known, options.collision_margin,
            min(1.0, options.collision_gain * self._period), self._braking, self._period,
        )  # fmt: skip
        self._last_wish = wish
        if finite:
            self.q, self.v, self.tips = q, v, Tips(tip, jacobian)
            self._clearance = self._unknown if checked is None else clearance
        else:  # cannot happen with finite inputs; if it does, the command comes to rest
            self.q, self.v, _ = self._limits.step(self.q, self.v, self.at_rest())
            self._look_around()
        self._send(measured, held, speed[self._tip_of_joint], options, silencing)
        pressing = self._pressing(measured, options) if options.closed_loop_gain > 0.0 else self._no_limit
        return Motion(self.tips.position, measured_tip, limited, pressing, met, finite)

    def _watch(self, margin: float) -> None:
        """Look at all pairs that can come closer than the margin [m]."""
        if self._collision is None or margin == self._margin:
            return
        self._margin, watched = margin, self._collision.watching(margin)
        if watched is not self._collision:
            self._collision, self._clearance = watched, self._unknown

    def _kept_apart(self, offset: Array, margin: float) -> Array:
        """The next offset (nq,) [rad] of the closed loop, which grows no more for fingers that it brings too close to each
        other, and fades where they are even closer: a hand that was held would be let go into itself."""
        if self._collision is None or not np.count_nonzero(self._offset) or not len(self._clearance):
            return offset
        there = self._collision.distances(self.q + self._offset)
        closer = there < self._clearance
        for near, kept in ((margin, self._offset), (0.5 * margin, self._fade * self._offset)):
            joints_near = self._collision.joints_of(closer & (there < near))
            offset = np.where(joints_near & (np.abs(offset) > np.abs(kept)), kept, offset)
        return offset

    def _send(
        self, measured: Array, held: NDArray[np.bool_], speed: Array, options: ControllerOptions, silencing: bool
    ) -> None:
        """What is published: q, and in the closed loop an offset that removes the lasting gap of the measured joints, at no
        more than a share of the velocity, speed (nq,), but for fingers that are pushed beyond the lead bound.

        Integral action in joint space: unlike a shift of the target it has no singular poses. Only joints that rest, where
        they were sent, take part: the gap of a moving one is the lag of its drive.
        """
        gain = options.closed_loop_gain
        if gain == 0.0 and not self._closed:
            self.sent, self.sent_v = self.q, self.v
            return
        self._closed = True
        if gain > 0.0:
            # its own motion is no reason to stop: it would go on and off with every tick
            rests = np.maximum(np.abs(self.v), np.abs(self.sent_v - self._offset_v)) < _RESTS
            down, up = self._robot.lower - self.q, self._robot.upper - self.q  # as far as an offset can be sent
            there = np.abs(self.sent - self.q - np.minimum(np.maximum(self._offset, down), up)) < _ARRIVED
            learns = rests & there & ~held[self._tip_of_joint]
            rate = np.minimum(np.maximum(gain * (self.q - measured), -_LEARNS), _LEARNS)
            offset = self._offset + self._period * np.where(learns, rate, 0.0)
            # one that was learned elsewhere may be larger, and unlearns; none grows beyond it
            offset = np.minimum(np.maximum(offset, np.minimum(self._offset, down)), np.maximum(self._offset, up))
            if options.collision_check:
                offset = self._kept_apart(offset, options.collision_margin)
        else:
            offset = np.where(np.abs(self._offset) < _FORGOTTEN, 0.0, self._fade * self._offset)
        lead, before = options.max_lead, self._offset
        room = min(_LARGEST_OFFSET, lead)
        self._offset = np.minimum(np.maximum(offset, -room), room)
        wish = np.minimum(np.maximum(self.q + self._offset, measured - lead), measured + lead)
        if silencing:  # what the lead takes is not given back, for encoders that tremble shake this bound for ever
            left = np.minimum(np.maximum(wish - self.q, np.minimum(self._offset, 0.0)), np.maximum(self._offset, 0.0))
            self._offset = np.where(held[self._tip_of_joint], left, self._offset)
        self._offset_v = (self._offset - before) / self._period
        pace = np.maximum(speed * self._robot.velocity, joints.SLOWEST)
        joints.give_way(
            self.sent, wish, pace, measured, lead, self._robot.velocity, self._tip_of_joint, len(held), self._period
        )
        limited = self._limits.step(self.sent, self.sent_v, wish, pace)
        self.sent, self.sent_v = limited.q, limited.v
        if gain == 0.0 and not np.count_nonzero(self._offset):
            behind = points.largest_gap(self.sent, self.q) + self._period * points.largest_gap(self.sent_v, self.v)
            self._closed = behind > _SAME

    def _pressing(self, measured: Array, options: ControllerOptions) -> NDArray[np.int64]:
        """What keeps the offset of each finger from removing the gap of its joints measured (nq,) [rad]: (nt,) of Limit."""
        lead, tip_of_joint = options.max_lead, self._tip_of_joint
        gap, asked, size = self.q - measured, self.q + self._offset, np.abs(self._offset)
        # at a limit nothing was ever added, and the gap alone tells, one that the tip can feel
        grown, felt = size > _PRESSES, np.abs(gap) * self._kinematics.reach[tip_of_joint] > options.tolerance
        room = np.where(np.where(grown, self._offset, gap) > 0.0, self._robot.upper - asked, asked - self._robot.lower)
        at_limit = (grown | felt) & (room < _PRESSES) & (np.abs(self.v) < _RESTS)  # the gap of what moves is lag
        at_lead = (size > min(_LARGEST_OFFSET, lead) - _PRESSES) | (np.abs(asked - measured) > lead + _PRESSES)
        pressing: NDArray[np.int64] = np.zeros(self._robot.nt, dtype=np.int64)
        np.bitwise_or.at(pressing, tip_of_joint, Limit.POSITION * at_limit | Limit.LEAD * at_lead)
        return pressing
