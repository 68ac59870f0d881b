"""Seeded messages, good and damaged in every way that a sender may get wrong."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseArray, PoseStamped
from sensor_msgs.msg import JointState

from nnik_ros.geometry import Array
from nnik_ros.robot import Robot
from test.robustness.messages import pose_array, pose_stamped

_STRANGE = [
    "",
    " ",
    "camera",
    "joint_0.0 ",
    "\u00e4\u00f6",
    "\u6307",
    "a" * 5000,
    "//",
    "..",
    "palm_link\n",
    "PALM_LINK",
]
_NEVER = [math.nan, math.inf, -math.inf, 1e300, -1e300, 1e12, 57.3, -1e4, 1.7e308]  # no joint stands there


class Fuzz:
    """Messages from one stream of random numbers; `kinds` counts what was made."""

    def __init__(self, robot: Robot, seed: int) -> None:
        self.kinds: Counter[str] = Counter()
        self._robot, self._rng = robot, np.random.default_rng(seed)

    def joint_state(self, q: Array) -> JointState:
        """The true joints q (nq,) [rad] with a little noise, and in most cases damaged."""
        noisy = q + self._rng.normal(0.0, 0.005, len(q))
        message = JointState(name=list(self._robot.joint_names), position=array("d", noisy.tolist()))
        damages = [
            self._nothing, self._one_value, self._all_bits, self._fewer_values, self._more_values, self._fewer_names,
            self._doubled, self._strange_name, self._many_names, self._shuffled, self._extra, self._nothing_at_all,
        ]  # fmt: skip
        self._one_of(damages)(message)
        if self._rng.random() < 0.2:
            message.header.stamp.sec = int(self._rng.integers(-(2**31), 2**31))
            message.velocity = self._doubles(int(self._rng.integers(0, 40)))
        return message

    def target_poses(self) -> PoseArray:
        """Targets of all tips."""
        q = self._robot.random_joint_position(self._rng, 1)[0]
        message = pose_array(self._robot.base_frame, self._robot.kinematics.tip_position(q))
        self._one_of([self._reachable, self._poses_of_bits, self._wrong_count, self._frame, self._turned, self._far])(
            message
        )
        return message

    def target_pose(self, tip: int) -> PoseStamped:
        """The target of one tip."""
        q = self._robot.random_joint_position(self._rng, 1)[0]
        message = pose_stamped(self._robot.base_frame, self._robot.kinematics.tip_position(q)[tip])
        self._one_of([self._reachable, self._poses_of_bits, self._frame, self._turned, self._far])(message)
        return message

    def _one_of(self, damages: list[Any]) -> Any:
        damage = damages[int(self._rng.integers(len(damages)))]
        self.kinds[damage.__name__.strip("_")] += 1
        return damage

    def _doubles(self, n: int) -> array[float]:
        """Any 64 bits are a double."""
        return array("d", self._rng.bytes(8 * n))

    def _any(self, n: int) -> int:
        return int(self._rng.integers(n))

    # joint states

    def _nothing(self, message: JointState) -> None:
        pass

    def _one_value(self, message: JointState) -> None:
        message.position[self._any(16)] = _NEVER[self._any(len(_NEVER))]

    def _all_bits(self, message: JointState) -> None:
        message.position = self._doubles(16)

    def _fewer_values(self, message: JointState) -> None:
        message.position = message.position[: self._any(16)]

    def _more_values(self, message: JointState) -> None:
        message.position = message.position + self._doubles(1 + self._any(100))

    def _fewer_names(self, message: JointState) -> None:
        count = self._any(16)
        message.name, message.position = message.name[:count], message.position[:count]

    def _doubled(self, message: JointState) -> None:
        first, second = self._any(16), self._any(15)
        message.name[first] = message.name[(first + 1 + second) % 16]

    def _strange_name(self, message: JointState) -> None:
        message.name[self._any(16)] = _STRANGE[self._any(len(_STRANGE))]

    def _many_names(self, message: JointState) -> None:
        count = self._any(500)
        message.name, message.position = [f"j{self._any(300)}" for _ in range(count)], self._doubles(count)

    def _shuffled(self, message: JointState) -> None:
        order = self._rng.permutation(16).tolist()
        message.name = [message.name[i] for i in order]
        message.position = array("d", [message.position[i] for i in order])

    def _extra(self, message: JointState) -> None:
        message.name, message.position = [*message.name, "elbow"], message.position + array("d", [0.0])

    def _nothing_at_all(self, message: JointState) -> None:
        message.name, message.position = [], array("d")

    # targets

    def _reachable(self, message: Any) -> None:
        pass

    def _far(self, message: Any) -> None:
        for pose in self._poses(message):
            pose.position.x += float(10.0 ** self._rng.uniform(-1, 9))

    def _poses_of_bits(self, message: Any) -> None:
        for pose in self._poses(message):
            pose.position.x, pose.position.y, pose.position.z = self._doubles(3)

    def _turned(self, message: Any) -> None:
        for pose in self._poses(message):
            o = pose.orientation
            o.x, o.y, o.z, o.w = self._doubles(4) if self._rng.random() < 0.5 else self._rng.normal(size=4).tolist()

    def _wrong_count(self, message: PoseArray) -> None:
        message.poses = (message.poses * 20)[: self._any(80)]

    def _frame(self, message: Any) -> None:
        links = list(self._robot.urdf.links)
        names = _STRANGE if self._rng.random() < 0.5 else links
        message.header.frame_id = names[self._any(len(names))]

    @staticmethod
    def _poses(message: Any) -> list[Any]:
        return list(message.poses) if isinstance(message, PoseArray) else [message.pose]
