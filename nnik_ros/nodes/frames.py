"""Poses of frames in the robot's base frame: the robot's own links by its kinematics, all others through tf2."""

from __future__ import annotations

from typing import Any, Protocol

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.link_places import BASE, link_places
from nnik_ros.nodes.conversions import matrix_of
from nnik_ros.nodes.loading import prefixed
from nnik_ros.robot import Robot


class FrameLookup(Protocol):
    def pose_in(self, base: str, frame: str) -> Array:
        """T_base_frame (4, 4).

        Raises:
            InputError: it is not known.
        """
        ...


def check_age(frame: str, stamp: Any, now: float, longest: float) -> None:
    """tf2 goes on telling the last transform that it has heard, after a jump of the clock one of the future, too. stamp: of a
    message; zero, for a frame that never moves, has no age; now and longest [s], of 0 for any age.

    Raises:
        InputError: the transform is older than that, or as far ahead.
    """
    sent = stamp.sec + 1e-9 * stamp.nanosec
    age = now - sent
    if sent and longest and abs(age) > longest:
        apart = f"{abs(age):.3g} s {'old' if age > 0 else 'ahead of the clock'}"
        raise InputError(f"frame '{frame}': its newest transform is {apart}, more than tf_timeout, {longest:g} s")


class TfLookup:
    """tf2_ros where it is installed; where not, every frame is refused with that reason."""

    def __init__(self, node: Node, longest: float) -> None:
        """longest [s]: the age of the oldest transform that is used; 0: any."""
        self._longest, self._clock = longest, node.get_clock()
        self._buffer: Any = None
        try:
            import tf2_ros
        except ImportError:
            return
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node, spin_thread=False)
        self._error: type[Exception] = tf2_ros.TransformException
        # what was heard in another time, of a simulation or a bag that began anew, would stay the newest for long
        back = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1))
        self._jumps = self._clock.create_jump_callback(back, post_callback=lambda _: self._buffer.clear())

    def pose_in(self, base: str, frame: str) -> Array:
        """See `FrameLookup`; the newest transform that tf2 has, refused where it is too old."""
        if self._buffer is None:
            raise InputError(f"frame '{frame}' needs TF, and tf2_ros is not installed")
        try:
            found = self._buffer.lookup_transform(base, frame, Time())
        except self._error as error:
            raise InputError(f"frame '{frame}': {error}") from error
        check_age(frame, found.header.stamp, self._clock.now().nanoseconds * 1e-9, self._longest)
        return matrix_of(found.transform)

    def close(self) -> None:
        """Unsubscribe."""
        if self._buffer is not None:
            self._jumps.unregister()
            self._listener.unregister()


class Frames:
    """T_base_frame of the base frame, of every link whose place the robot's joints tell, and of what `other` knows."""

    def __init__(self, robot: Robot, other: FrameLookup, prefix: str = "") -> None:
        """prefix: before the names of the base frame and the links; see `prefixed`."""
        self._prefix, self._other = prefix, other
        self.base = prefixed(robot.base_frame, prefix)
        self._links, self._kinematics = robot.urdf.links, robot.kinematics
        self._places = {link: place for link, place in link_places(robot).items() if not place.held}

    def pose(self, frame: str, q: Array | None) -> Array | None:
        """T_base_frame (4, 4), None for the base frame itself. q (nq,) [rad]: the measured joints, None for unknown.

        Raises:
            InputError: empty or unknown frame, or a moving link of joints that are not known.
        """
        if frame == self.base:
            return None
        if not frame:
            raise InputError(f"frame_id is empty, must name a frame, for instance '{self.base}'")
        link = frame.removeprefix(self._prefix)
        if link in self._places and prefixed(link, self._prefix) == frame:
            tip, depth, T_carrier_link, _ = self._places[link]
            if tip == BASE:
                return T_carrier_link
            if q is None:
                raise InputError(
                    f"frame '{frame}' moves with the joints, and there are no joint states that are not stale"
                )
            pose: Array = self._kinematics.joint_pose(q, tip, depth) @ T_carrier_link
            return pose
        try:
            return self._other.pose_in(self.base, frame)
        except InputError as error:
            raise InputError(f"{error}; {self._known_without(frame)}") from error

    def _known_without(self, frame: str) -> str:
        """What is known of frames without TF, for who gave another one."""
        if not frame.startswith(self._prefix):
            return f"the frames of this hand begin with '{self._prefix}'"
        if frame.removeprefix(self._prefix) in self._links:
            return f"it moves against '{self.base}' by a joint that is not one of the robot's"
        return f"known without TF are '{self.base}' and the links that hang on it or on the robot's joints"
