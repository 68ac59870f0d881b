"""Group input: messages that no hand should ever follow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseArray, PoseStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState

from nnik_ros.geometry import Array
from test.robustness.bench_node import BEST_EFFORT, PromiseError, wait_for
from test.robustness.matrix import row
from test.robustness.messages import pose_array, pose_stamped
from test.robustness.stand import Stand

BASE = "palm_link"
HOLDS = "refused, counted, shown; the hand holds"


def refused(stand: Stand, topic: str, kind: str) -> int:
    return int(stand.status.values.get(f"refused.{stand.namespace}/{topic}.{kind}", "0"))


def refuses(stand: Stand, kind: str, message: Any, topic: str = "target_poses") -> str:
    """The message is refused while the hand rests, and nothing moves."""
    stand.rests()
    stand.look()
    before = refused(stand, topic, kind)
    wait_for(lambda: refused(stand, topic, kind) > before, f"a refusal for its {kind}", 10.0,
             meanwhile=lambda: stand.publish(topic, message))  # fmt: skip
    shown = stand.status.message
    time.sleep(0.1)
    travel = stand.holds()
    if "refused" not in shown:
        raise PromiseError(f"counted, but the status says only {shown!r}")
    return f"refused as '{kind}', command moved {1e3 * travel:.2f} mrad"


def _bad_targets(kind: str, fault: str, name: str, make: Callable[[Array], Any], topic: str = "target_poses") -> None:
    def check(stand: Stand) -> str:
        return refuses(stand, kind, make(stand.goal(0.5)), topic)

    check.__name__ = name
    row("input", fault, HOLDS, shared=True)(check)


def _with(value: float) -> Callable[[Array], PoseArray]:
    def make(goal: Array) -> PoseArray:
        goal[0, 1] = value
        return pose_array(BASE, goal)

    return make


def _turned(x: float, w: float) -> Callable[[Array], PoseArray]:
    def make(goal: Array) -> PoseArray:
        message = pose_array(BASE, goal)
        message.poses[2].orientation.x, message.poses[2].orientation.w = x, w
        return message

    return make


_bad_targets("pose", "target with NaN", "target_nan", _with(math.nan))
_bad_targets("pose", "target at infinity", "target_infinite", _with(-math.inf))
_bad_targets("pose", "target at 1e300 m, finite but too large to be squared", "target_overflow", _with(1e300))
_bad_targets("pose", "targets in millimetres", "target_millimetres", lambda goal: pose_array(BASE, 1000.0 * goal))
_bad_targets("pose", "target with NaN in the quaternion", "target_quaternion_nan", _turned(math.nan, 1.0))
_bad_targets("pose", "quaternion of length 0.5", "target_quaternion_short", _turned(0.0, 0.5))
_bad_targets("pose", "quaternion of length 0", "target_quaternion_zero", _turned(0.0, 0.0))
_bad_targets("pose", "quaternion too large to be squared", "target_quaternion_overflow", _turned(1e200, 1.0))
_bad_targets("frame", "empty frame", "target_frame_empty", lambda goal: pose_array("", goal))
_bad_targets("frame", "unknown frame", "target_frame_unknown", lambda goal: pose_array("camera", goal))
_bad_targets("count", "too few poses", "target_count_3", lambda goal: pose_array(BASE, goal[:3]))
_bad_targets("count", "too many poses", "target_count_5", lambda goal: pose_array(BASE, [*goal, goal[0]]))
_bad_targets("count", "no pose", "target_count_0", lambda goal: pose_array(BASE, np.zeros((0, 3))))
_bad_targets("count", "2,000 poses", "target_count_2000", lambda goal: pose_array(BASE, np.zeros((2_000, 3))))
_bad_targets(
    "pose", "target of one tip with NaN", "tip_target_nan",
    lambda goal: pose_stamped(BASE, [0.0, math.nan, 0.1]), "index/target_pose",
)  # fmt: skip
_bad_targets(
    "frame", "target of one tip in an unknown frame", "tip_target_frame_unknown",
    lambda goal: pose_stamped("world", goal[3]), "thumb/target_pose",
)  # fmt: skip


@row("input", "frame name of a million characters", HOLDS + "; the status stays short", shared=True)
def target_frame_endless(stand: Stand) -> str:
    stand.status.largest = 0
    measured = refuses(stand, "frame", pose_array("x" * 1_000_000, stand.goal(0.5)))
    if stand.status.largest > 20_000:
        raise PromiseError(f"{measured}; but the status grew to {stand.status.largest} characters")
    return f"{measured}, status {stand.status.largest} characters"


def _far(stand: Stand, goal: Array, seconds: float = 1.0) -> str:
    """Whatever the goal, the commands stay lawful; the runner checks that the hand follows afterwards."""
    stand.rests()
    stand.sender.path = lambda t: goal
    time.sleep(seconds)
    states = [stand.status.values[f"{tip}.state"] for tip in stand.robot.tip_names]
    return f"states {', '.join(sorted(set(states)))}"


@row(
    "input",
    "targets a thousand metres away for 5 s",
    "as near as the fingers reach; then followed at once",
    shared=True,
)
def target_huge(stand: Stand) -> str:
    words = _far(stand, stand.goal() + 1e3, 5.0)
    back = stand.follows()
    if back > 4.0:
        raise PromiseError(f"{words}, but a target within reach was followed only after {back:.1f} s")
    return f"{words}, followed again in {back:.2f} s"


@row("input", "all four targets at the origin of the palm", "fingers kept apart, within all limits", shared=True)
def target_in_the_palm(stand: Stand) -> str:
    return _far(stand, np.zeros((4, 3)), 2.0)


@row("input", "all four targets at one point", "fingers kept apart, within all limits", shared=True)
def targets_at_one_point(stand: Stand) -> str:
    return _far(stand, np.tile(stand.goal()[0], (4, 1)), 2.0)


@row("input", "targets that jump through the whole workspace at 50 Hz", "followed within all limits", shared=True)
def targets_jumping(stand: Stand) -> str:
    rng = np.random.default_rng(3)
    stand.sender.path = lambda t: stand.robot.kinematics.tip_position(stand.robot.random_joint_position(rng, 1)[0])
    time.sleep(2.0)
    return f"command travelled {stand.look().travel:.2f} rad"


@row("input", "another type of message on the topic of the targets", "not matched; the hand holds", shared=True)
def target_wrong_type(stand: Stand) -> str:
    stand.rests()
    stand.look()
    context = rclpy.Context()  # one participant cannot speak two types on a topic
    rclpy.init(args=[], context=context)
    node = rclpy.create_node("wrong_type", namespace=stand.namespace, context=context)
    publisher = node.create_publisher(PoseStamped, "target_poses", 1)
    for _ in range(100):
        publisher.publish(pose_stamped(BASE, stand.goal(0.5)[0]))
        time.sleep(0.005)
    matched = publisher.get_subscription_count()
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    return f"{matched} subscriptions matched, command moved {1e3 * stand.holds():.2f} mrad"


def _with_qos(stand: Stand, qos: QoSProfile) -> str:
    stand.rests()
    publisher = stand.node.create_publisher(PoseArray, "target_poses", qos)
    message = pose_array(BASE, stand.goal(0.5))
    stand.look()
    taken = wait_for(lambda: stand.status.values["state"] in ("TRACKING", "REACHED"), "motion", 10.0,
                     meanwhile=lambda: publisher.publish(message))  # fmt: skip
    stand.node.destroy_publisher(publisher)
    return f"followed after {taken:.2f} s"


@row("input", "targets published best effort", "followed", shared=True)
def target_best_effort(stand: Stand) -> str:
    return _with_qos(stand, BEST_EFFORT)


@row("input", "targets published transient local", "followed", shared=True)
def target_transient_local(stand: Stand) -> str:
    return _with_qos(stand, QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))


Spoil = Callable[[JointState], None]


def spoiled(spoil: Spoil) -> Callable[[JointState, float], list[JointState]]:
    def fault(message: JointState, now: float) -> list[JointState]:
        changed = JointState(
            header=message.header, name=list(message.name), position=list(message.position),
            velocity=list(message.velocity),
        )  # fmt: skip
        spoil(changed)
        return [changed]

    return fault


def _bad_states(kind: str, fault: str, name: str, spoil: Spoil) -> None:
    def check(stand: Stand) -> str:
        assert stand.line is not None
        stand.moves()
        before = refused(stand, "joint_states", kind)
        stand.line.fault = spoiled(spoil)
        took = stand.until("STALE_STATE", limit=10.0)
        rest = stand.come_to_rest()
        stand.wait(lambda: refused(stand, "joint_states", kind) > before, f"a refusal for its {kind}")
        time.sleep(0.2)
        stand.holds()
        return f"STALE_STATE after {took:.2f} s, at rest {rest:.2f} s later, refused as '{kind}'"

    check.__name__ = name
    row("input", fault, "refused, counted; STALE_STATE after the timeout, the hand comes to rest", shared=True)(check)


def _drop(message: JointState) -> None:
    message.name, message.position = message.name[:-1], message.position[:-1]


def _double(message: JointState) -> None:
    message.name = [message.name[1], *message.name[1:]]


def _unknown(message: JointState) -> None:
    message.name, message.position = [*message.name, "elbow"], [*message.position, 0.0]


def _many(message: JointState) -> None:
    message.name = [f"joint_{i % 40_000}" for i in range(60_000)]
    message.position = [0.0] * 60_000


def _short(message: JointState) -> None:
    message.position = message.position[:7]


def _empty(message: JointState) -> None:
    message.name, message.position = [], []


def _nameless(message: JointState) -> None:
    message.name = []


def _value(value: float) -> Spoil:
    def spoil(message: JointState) -> None:
        message.position[5] = value

    return spoil


def _degrees(message: JointState) -> None:
    message.position = [math.degrees(x) + 40.0 for x in message.position]


_bad_states("names", "joint states that lack a joint", "state_joint_missing", _drop)
_bad_states("names", "joint states with a doubled joint", "state_joint_doubled", _double)
_bad_states("names", "joint states with an unknown joint", "state_joint_unknown", _unknown)
_bad_states("names", "joint states with 60,000 names, a third of them twice", "state_joints_60000", _many)
_bad_states("names", "joint states without names", "state_nameless", _nameless)
_bad_states("values", "joint states with too few positions", "state_positions_short", _short)
_bad_states("names", "empty joint states", "state_empty", _empty)
_bad_states("values", "joint states with NaN", "state_nan", _value(math.nan))
_bad_states("values", "joint states at infinity", "state_infinite", _value(math.inf))
_bad_states("values", "a joint at a million rad", "state_huge", _value(1e6))
_bad_states("values", "a joint at 1e300 rad", "state_overflow", _value(1e300))
_bad_states("values", "joint states in degrees", "state_in_degrees", _degrees)


@row("input", "velocity and effort of the joint states are NaN and too long", "not used: no effect", shared=True)
def state_velocity_nan(stand: Stand) -> str:
    assert stand.line is not None

    def spoil(message: JointState) -> None:
        message.velocity = [math.nan] * 99

    stand.line.fault = spoiled(spoil)
    return f"followed in {stand.follows():.2f} s"


@row("input", "joint states in another order in every message", "read by name: no effect", shared=True)
def state_order_changing(stand: Stand) -> str:
    assert stand.line is not None
    rng = np.random.default_rng(5)

    def shuffle(message: JointState) -> None:
        order = rng.permutation(len(message.name))
        message.name, message.position = [message.name[i] for i in order], [message.position[i] for i in order]

    stand.line.fault = spoiled(shuffle)
    return f"followed in {stand.follows():.2f} s"
