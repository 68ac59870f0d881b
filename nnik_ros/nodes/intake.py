"""From messages to measurements and targets; what cannot be used is refused, counted, explained, and changes nothing."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from geometry_msgs.msg import PoseArray, PoseStamped
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from nnik_ros.driver import JointMap
from nnik_ros.errors import InputError
from nnik_ros.geometry import Array, rotated
from nnik_ros.nodes.conversions import position_and_quaternion
from nnik_ros.nodes.frames import Frames
from nnik_ros.robot import Robot
from nnik_ros.states import Measurement, Targets

_LONGEST_REASON = 300  # characters; names and frames come from outside and may be of any length
_TELL_PERIOD = 0.5  # s; a topic that is refused and accepted by turns must not flood the log
_TWITCH = 0.1  # rad that a joint may seem to move between two messages, however close they are
_PACE = 2.0  # times its velocity limit: what a joint that is pushed may reach
_DOUBT = 0.25  # s that joint states must be heard without a jump before a hand is begun with
_PAUSE = 0.1  # s that a pause between two of them counts for at most: silence contradicts nothing
_CONFIRMATIONS = 3  # messages that must agree on a jump
_FARTHEST = 10.0  # reaches of a finger, from its first joint: what is farther away was meant in another unit or frame
_BEYOND = 0.3  # rad; farther outside its limits no joint can stand: degrees, another zero, a broken encoder


class Refusals:
    """Counts refused messages by topic and kind of fault, and tells when that of a topic changes: at once, and of one topic not
    again within half a second; what changes meanwhile is told with the first message after that, if it lasts.

    Kinds: "names", "values" and "jump" of joint states, "count", "pose" and "frame" of targets, "command" of the simulated
    hand.
    """

    def __init__(self, on_change: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.reasons: dict[str, tuple[str, str]] = {}  # (kind, words) of the topics whose last message was refused
        self._on_change, self._clock = on_change, clock
        self._told: dict[str, tuple[str, float]] = {}  # kind of each topic, "" for accepted, and when that was told [s]

    def refuse(self, topic: str, kind: str, reason: str) -> None:
        self.counts[topic, kind] += 1
        if len(reason) > _LONGEST_REASON:
            reason = f"{reason[:_LONGEST_REASON]}..."
        self.reasons[topic] = (kind, reason)
        self._tell(topic, kind, f"refused: {reason}")

    def accept(self, topic: str) -> None:
        self.reasons.pop(topic, None)
        self._tell(topic, "", "accepted again")

    def _tell(self, topic: str, kind: str, words: str) -> None:
        told, when = self._told.get(topic, ("", -math.inf))
        if kind != told and (now := self._clock()) - when >= _TELL_PERIOD:
            self._told[topic] = (kind, now)
            self._on_change(f"{topic}: {words}")


class StateIntake:
    """Joint states to measurements.

    A joint may stand a little outside of its limits; the first command then is the limit itself.

    A joint that jumps farther than it can move in the time since the last message is not believed at once: one bad sample
    passes unseen. When the next messages agree, it is believed; but not while the hand is commanded and the jump ends farther
    from the command than `max_lead`. There a believed jump would drag the joint after its own encoder, without end. The state
    then grows stale, the hand holds, and a pause lets the new position in.
    """

    def __init__(self, robot: Robot, joints: JointMap, topic: str, refusals: Refusals) -> None:
        self._robot = robot
        self._joints, self._topic, self._refusals = joints, topic, refusals
        self._names: list[str] = []
        self._indices: NDArray[np.int64] | None = None
        self.forget()

    def forget(self) -> None:
        """As before the first message: from now on the hand may be moved by others, unseen."""
        self.measurement: Measurement | None = None
        self.passed_over: Sequence[str] = ()  # joints of others, of the last message that had none of the robot's
        self._doubt = _DOUBT  # s; for so long they must still be heard without a jump
        self._heard = -np.inf  # s; when the last usable message came, believed or not
        self._doubted: Array | None = None  # q of the last message that was not believed
        self._agreeing = 0

    def measured(self, commanded: bool) -> Measurement | None:
        """The newest measurement; None while nothing is commanded and the messages may contradict each other, as those of two
        publishers do: who begins at the wrong ones makes the hand jump."""
        return self.measurement if commanded or self._doubt <= 0.0 else None

    def take(
        self, message: JointState, now: float, command: Array | None = None, max_lead: float = np.inf
    ) -> Measurement | None:
        """now [s]: time of receipt; command (nq,) [rad]: what the hand holds on order of this node, None for nothing;
        max_lead [rad]: how far from it a jump is believed. Returns the measurement if the message is believed."""
        kind = "names"
        try:
            if message.name != self._names:  # the same list as last time in all but the first message
                if not self._joints.concerns(message.name):
                    self.passed_over = message.name
                    return None
                self._indices = self._joints.indices(message.name)
                self._names = list(message.name)
            assert self._indices is not None
            kind = "values"
            q = self._joints.pick(message.position, self._indices, len(self._names))
            self._check_range(q, max_lead)
            kind = "jump"
            self._check_jump(q, now, command, max_lead)
        except InputError as error:
            self._refusals.refuse(self._topic, kind, str(error))
            return None
        self._refusals.accept(self._topic)
        self.measurement = Measurement(q, now)
        return self.measurement

    def _check_jump(self, q: Array, now: float, command: Array | None, max_lead: float) -> None:
        pause = now - self._heard
        possible = _TWITCH + _PACE * self._robot.velocity * pause
        self._heard = now
        if self.measurement is None:
            return
        jump = np.abs(q - self.measurement.q)
        if not (jump > possible).any():
            self._doubted = None
            self._doubt = max(0.0, self._doubt - min(pause, _PAUSE))
            return
        self._doubt = _DOUBT
        agrees = self._doubted is not None and bool((np.abs(q - self._doubted) <= possible).all())
        self._agreeing = self._agreeing + 1 if agrees else 1
        self._doubted = q
        worst = int((jump - possible).argmax())
        reason = (
            f"{self._robot.joint_names[worst]} jumped by {jump[worst]:.3g} rad, {possible[worst]:.3g} rad is possible"
        )
        if self._agreeing < _CONFIRMATIONS:
            # a second publisher on the driver's own topic is named elsewhere
            shared = "; does another publisher of this shared topic tell of the same joints?"
            raise InputError(f"{reason}{shared if self._joints.other_joints else ''}")
        if command is not None and np.abs(q - command)[jump > possible].max() > max_lead:
            raise InputError(
                f"{reason}, and stays far from its command: look at its encoder; pause and start to go on from here"
            )

    def _check_range(self, q: Array, max_lead: float) -> None:
        """Commands stay within the limits: a joint that stands farther outside than max_lead has none that it may get."""
        robot = self._robot
        beyond = np.maximum(robot.lower - q, q - robot.upper)
        worst, most = int(beyond.argmax()), min(_BEYOND, max_lead)
        if beyond[worst] > most:
            low, high = robot.lower[worst], robot.upper[worst]
            raise InputError(
                f"{robot.joint_names[worst]} stands at {q[worst]:.4g} rad, its limits are {low:.4g} and {high:.4g}, and "
                f"{most:g} rad beyond them is the most ({_BEYOND:g}, or `max_lead` if that is less)"
            )


class TargetIntake:
    """Poses in any known frame to targets in the base frame; their orientation says where the axis of the tip shall point."""

    def __init__(self, robot: Robot, frames: Frames, refusals: Refusals) -> None:
        self._robot, self._frames, self._refusals = robot, frames, refusals
        self._farthest = _FARTHEST * robot.kinematics.reach
        self.clear()

    def clear(self) -> None:
        """Forget all targets."""
        nt = self._robot.nt
        self.targets = Targets(np.full((nt, 3), np.nan), np.full(nt, -np.inf), np.full((nt, 3), np.nan))

    def take_all(self, topic: str, message: PoseArray, now: float, q: Array | None) -> bool:
        """One pose for every tip, in tip order; all or none are used, as is returned. q (nq,) [rad]: measured joints."""
        kind = "count"
        try:
            if len(message.poses) != self._robot.nt:
                names = ", ".join(self._robot.tip_names)
                raise InputError(f"{len(message.poses)} poses, must be {self._robot.nt}, one each for {names}")
            kind = "pose"
            positions, quaternions = zip(*map(position_and_quaternion, message.poses), strict=True)
            direction = rotated(np.array(quaternions), self._robot.tip_axis)
            kind = "frame"
            position, direction = self._in_base(message.header.frame_id, np.array(positions), direction, q)
            kind = "pose"
            self._check_distance(message.header.frame_id, position, slice(None))
        except InputError as error:
            self._refusals.refuse(topic, kind, str(error))
            return False
        self._refusals.accept(topic)
        self.targets = Targets(position, np.full(self._robot.nt, now), direction)
        return True

    def take_one(self, topic: str, tip: int, message: PoseStamped, now: float, q: Array | None) -> bool:
        """The target of one tip, if it is used, as is returned; the others keep theirs."""
        kind = "pose"
        try:
            point, quaternion = (np.array([x]) for x in position_and_quaternion(message.pose))
            direction = rotated(quaternion, self._robot.tip_axis[tip])
            kind = "frame"
            point, (direction,) = self._in_base(message.header.frame_id, point, direction, q)
            kind = "pose"
            self._check_distance(message.header.frame_id, point, slice(tip, tip + 1))
        except InputError as error:
            self._refusals.refuse(topic, kind, str(error))
            return False
        self._refusals.accept(topic)
        positions, stamps = self.targets.position.copy(), self.targets.stamp.copy()
        directions = np.array(self.targets.direction)
        positions[tip], stamps[tip], directions[tip] = point[0], now, direction
        self.targets = Targets(positions, stamps, directions)
        return True

    def _in_base(self, frame: str, position: Array, direction: Array, q: Array | None) -> tuple[Array, Array]:
        T_base_frame = self._frames.pose(frame, q)
        if T_base_frame is None:
            return position, direction
        R = T_base_frame[:3, :3]
        return position @ R.T + T_base_frame[:3, 3], direction @ R.T

    def _check_distance(self, frame: str, position: Array, tips: slice) -> None:
        """position (n, 3) [m] of these n tips in the base frame, where `frame` takes it."""
        farthest = self._farthest[tips]
        with np.errstate(over="ignore"):
            away = np.linalg.norm(position - self._robot.kinematics.first_joint_position[tips], axis=-1)
        if not (away <= farthest).all():  # by a transform it may be any number, too
            worst = int((away - farthest).argmax())
            raise InputError(
                f"frame '{frame}': the target of {self._robot.tip_names[tips][worst]} is {away[worst]:.4g} m from its first "
                f"joint, must be in metres and at most {farthest[worst]:.3g} m from there, {_FARTHEST:g} times its reach"
            )
