"""What cannot be used holds the hand still, is counted and explained, and never ends the process."""

from __future__ import annotations

import math

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray
from node_bench import Bench, Lab, pose_array, pose_stamped, wait_for
from sensor_msgs.msg import JointState

BASE = "palm_link"


@pytest.fixture
def at_rest(bench: Bench) -> Bench:
    """At a target that it was just given."""
    bench.hand.disturb = lambda message: None
    bench.reach(bench.robot.kinematics.tip_position(bench.robot.home))
    bench.come_to_rest()
    return bench


def nowhere(bench: Bench) -> np.ndarray:
    """Targets that would move the hand if they were used."""
    return bench.robot.kinematics.tip_position(bench.robot.home) + 0.01


def with_first(positions: np.ndarray, value: float) -> np.ndarray:
    changed = positions.copy()
    changed[0, 0] = value
    return changed


def unit_less(message: PoseArray) -> PoseArray:
    message.poses[1].orientation.w = 0.5
    return message


BAD_TARGETS = {
    "an unknown frame": ("frame", lambda p: pose_array("camera", p), "camera"),
    "an empty frame": ("frame", lambda p: pose_array("", p), "frame_id is empty"),
    "a position that is nan": ("pose", lambda p: pose_array(BASE, with_first(p, math.nan)), "not finite"),
    "an infinite position": ("pose", lambda p: pose_array(BASE, with_first(p, math.inf)), "not finite"),
    "a quaternion of length 0.5": ("pose", lambda p: unit_less(pose_array(BASE, p)), "length 0.5"),
    "too few poses": ("count", lambda p: pose_array(BASE, p[:3]), "3 poses, must be 4"),
    "too many poses": ("count", lambda p: pose_array(BASE, [*p, p[0]]), "5 poses, must be 4"),
    "no pose": ("count", lambda p: pose_array(BASE, np.zeros((0, 3))), "0 poses, must be 4"),
}


@pytest.mark.parametrize("what", BAD_TARGETS)
def test_a_bad_target_array_is_refused_and_the_hand_holds(at_rest: Bench, what: str) -> None:
    kind, make, words = BAD_TARGETS[what]
    bench, key = at_rest, f"refused.{at_rest.station.namespace}/target_poses.{kind}"
    before, rest = int(bench.values.get(key, "0")), bench.hand.q.copy()
    bench.station.publish("target_poses", make(nowhere(bench)))
    wait_for(lambda: int(bench.values.get(key, "0")) == before + 1, f"{what} to be counted", bench.process)
    bench.count_statuses(3)
    assert words in bench.message
    assert np.abs(bench.hand.q - rest).max() < 1e-4
    assert bench.process.alive


@pytest.mark.parametrize(
    ("frame", "position", "kind"), [("camera", (0.0, 0.0, 0.1), "frame"), (BASE, (math.nan, 0.0, 0.1), "pose")]
)
def test_a_bad_target_of_one_tip_is_refused_and_the_hand_holds(at_rest: Bench, frame, position, kind) -> None:
    bench, key = at_rest, f"refused.{at_rest.station.namespace}/thumb/target_pose.{kind}"
    rest, message = bench.hand.q.copy(), pose_stamped(frame, position)

    def counted() -> bool:
        # again and again: a publisher sees its subscription before the subscription sees it, and its first messages are lost
        bench.station.publish("thumb/target_pose", message)
        return int(bench.values.get(key, "0")) >= 1

    wait_for(counted, "the refusal to be counted", bench.process, every=0.02)
    bench.count_statuses(3)
    assert np.abs(bench.hand.q - rest).max() < 1e-4


def drop_last(message: JointState) -> None:
    message.name, message.position = message.name[:-1], message.position[:-1]


def short_positions(message: JointState) -> None:
    message.position = message.position[:10]


def no_positions(message: JointState) -> None:
    message.position = []


def double(message: JointState) -> None:
    message.name = [message.name[1], *message.name[1:]]


def foreign(message: JointState) -> None:
    message.name = [*message.name, "elbow"]
    message.position = [*message.position, 0.0]


def not_a_number(message: JointState) -> None:
    message.position[3] = math.nan


BAD_STATES = {
    "a missing joint": ("names", drop_last, "missing joint_15.0"),
    "a short array": ("values", short_positions, "16 joint names but 10 positions"),
    "an empty array": ("values", no_positions, "16 joint names but 0 positions"),
    "a doubled joint": ("names", double, "doubled joint_1.0"),
    "an unknown joint": ("names", foreign, "unknown elbow"),
    "a position that is nan": ("values", not_a_number, "not finite"),
}


@pytest.mark.parametrize("what", BAD_STATES)
def test_bad_joint_states_are_refused_until_the_state_is_stale_and_the_hand_holds(at_rest: Bench, what: str) -> None:
    kind, spoil, words = BAD_STATES[what]
    bench, key = at_rest, f"refused.{at_rest.station.namespace}/joint_states.{kind}"
    before, rest = int(bench.values.get(key, "0")), bench.hand.q.copy()
    bench.hand.disturb = spoil

    def told() -> bool:
        counted = int(bench.values.get(key, "0")) > before
        return counted and bench.state() == "STALE_STATE" and words in bench.message

    wait_for(told, f"{what} to be refused until the state is stale", bench.process)
    assert np.abs(bench.hand.q - rest).max() < 1e-4
    bench.hand.disturb = lambda message: None
    bench.until("REACHED", meanwhile=lambda: bench.send(bench.robot.kinematics.tip_position(bench.robot.home)))


def test_after_all_refusals_a_good_target_is_followed(at_rest: Bench) -> None:
    at_rest.reach(at_rest.robot.kinematics.tip_position(at_rest.robot.home + 0.05))


def test_the_log_tells_a_refusal_once_and_not_for_every_message(lab: Lab) -> None:
    bench = lab.bench()
    bench.until("IDLE")
    key = f"refused.{bench.station.namespace}/target_poses.count"

    def sends_and_is_refused() -> bool:
        bench.send(np.zeros((1, 3)))
        return int(bench.values.get(key, "0")) >= 20

    wait_for(sends_and_is_refused, "20 refusals", bench.process, every=0.02)
    assert bench.process.output.count("refused: 1 poses") == 1


def test_no_hand_is_begun_with_while_two_publishers_contradict_each_other(lab: Lab) -> None:
    """One of them may be a joint_state_publisher, and the first command would go from its joints."""
    bench = lab.bench(driver="joint_state", start_paused=True)
    bench.until("PAUSED")
    names, node = list(bench.robot.joint_names), bench.station.node
    other = node.create_publisher(JointState, "joint_states", 10)
    zeros = JointState(name=names, position=[0.0] * len(names))
    timer = node.create_timer(0.01, lambda: other.publish(zeros))
    wait_for(lambda: "does another publisher" in bench.message, "the question for it", bench.process)
    bench.trigger("home")
    bench.until("STALE_STATE")
    wait_for(lambda: "does another publisher" in bench.message, "the question for it", bench.process)
    bench.count_statuses(20)
    assert bench.hand.commands == []
    node.destroy_timer(timer)
    bench.until("HOMING")
    np.testing.assert_allclose(bench.hand.commands[0], bench.robot.home, atol=0.01)


def test_messages_of_others_and_refused_ones_make_no_data_look_young(lab: Lab) -> None:
    bench = lab.bench(driver="wonik_ros2_control", on_stale_state="hold")
    statistics = bench.station.listen(DiagnosticStatus, "statistics")
    bench.until("IDLE")
    bench.hand.silent = True
    arm = JointState(name=["shoulder", "elbow"], position=[0.0, 0.0])
    ages: dict[str, str] = {}

    def old() -> bool:
        bench.station.publish("joint_states", arm)
        bench.send(np.zeros((1, 3)))
        ages.update((pair.key, pair.value) for message in statistics[-1:] for pair in message.values)
        return float(ages.get("state_age_max_ms", "nan")) > 1500.0

    wait_for(old, "joint states of more than 1.5 s", bench.process)
    assert bench.state(f"refused.{bench.station.namespace}/target_poses.count") != "0"
    assert ages["target_age_max_ms"] == "nan"
