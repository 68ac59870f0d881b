"""Messages to arrays and back, without any node."""

from __future__ import annotations

import itertools
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseArray, PoseStamped, Quaternion, Transform, TransformStamped, Vector3
from node_bench import pose_array, pose_stamped
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.time import Time as ClockTime
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from nnik_ros.driver import COMMAND_TYPES, joint_map, load_driver
from nnik_ros.errors import FileError, InputError
from nnik_ros.geometry import rotation_about_axis, rotation_from_rpy, transform
from nnik_ros.nodes.commands import CommandMessage, read_command
from nnik_ros.nodes.conversions import fill_poses, matrix_of, position_and_quaternion, quaternion_of
from nnik_ros.nodes.frames import Frames, TfLookup, check_age
from nnik_ros.nodes.intake import Refusals, StateIntake, TargetIntake
from nnik_ros.nodes.node_options import NodeOptions
from nnik_ros.nodes.realtime import checked_cpus
from nnik_ros.nodes.stiff_hand import StiffHand
from nnik_ros.options import from_mapping
from nnik_ros.paths import driver_file, robot_file
from nnik_ros.robot import Robot, load_robot
from nnik_ros.states import Targets
from nnik_ros.urdf import FIXED, Joint, Link

DRIVER_OF = {
    "joint_state": "allegro_v4",
    "float64_multi_array": "wonik_ros2_control",
    "joint_trajectory": "joint_trajectory_controller",
}


class NoOtherFrames:
    def pose_in(self, base: str, frame: str) -> np.ndarray:
        raise InputError(f"frame '{frame}' is unknown")


class OneFrame:
    def pose_in(self, base: str, frame: str) -> np.ndarray:
        return transform(rotation_from_rpy((0, 0, math.pi / 2)), (1.0, 0.0, 0.0))


def test_a_quarter_turn_about_z_has_its_sine_in_z_and_its_cosine_in_w() -> None:
    q = quaternion_of(rotation_from_rpy((0, 0, math.pi / 2)))
    assert (q.x, q.y, q.z, q.w) == pytest.approx((0, 0, math.sqrt(0.5), math.sqrt(0.5)))


def test_a_transform_message_moves_points_as_tf_does() -> None:
    half = math.sqrt(0.5)
    message = Transform(translation=Vector3(x=1.0, y=2.0, z=3.0), rotation=Quaternion(x=half, y=0.0, z=0.0, w=half))
    assert (matrix_of(message) @ [0.0, 1.0, 0.0, 1.0])[:3] == pytest.approx((1.0, 2.0, 4.0))  # y turns to z about x


@pytest.mark.parametrize("length", [0.0, 0.5, 0.99, 1.01, 2.0])
def test_a_quaternion_that_is_not_of_unit_length_is_refused(length: float) -> None:
    with pytest.raises(InputError, match="quaternion"):
        position_and_quaternion(Pose(orientation=Quaternion(x=0.0, y=0.0, z=0.0, w=length)))


def test_a_rounded_quaternion_is_taken() -> None:
    pose = Pose(position=Point(x=1.0, y=2.0, z=3.0), orientation=Quaternion(x=0.5, y=0.5, z=0.5, w=0.4999))
    assert position_and_quaternion(pose)[0] == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("field", ["position.x", "position.y", "position.z", "orientation.x", "orientation.w"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_pose_with_a_number_that_is_not_finite_is_refused(field: str, value: float) -> None:
    pose = Pose()
    part, axis = field.split(".")
    setattr(getattr(pose, part), axis, value)
    with pytest.raises(InputError, match="not finite"):
        position_and_quaternion(pose)


def test_poses_are_filled_in_place_and_read_back_the_same() -> None:
    message, positions = PoseArray(), np.arange(6.0).reshape(2, 3)
    for shift in (0.0, 1.0):
        fill_poses(message, positions + shift, np.stack([np.eye(3)] * 2))
        found = [position_and_quaternion(pose)[0] for pose in message.poses]
        assert found == [tuple(row) for row in (positions + shift).tolist()]


@pytest.mark.parametrize("kind", COMMAND_TYPES)
def test_a_command_message_is_reused_and_carries_each_command(kind: str, robot: Robot) -> None:
    driver = load_driver(driver_file(DRIVER_OF[kind]))
    assert driver.command_type == kind
    joints = joint_map(driver, robot)
    command, rng = CommandMessage(driver, joints), np.random.default_rng(3)
    for q in robot.random_joint_position(rng, 3):
        assert np.array_equal(read_command(driver, joints, command.set(q, 1_500_000_000)), q)
    if kind == "joint_state":
        assert (command.message.header.stamp.sec, command.message.header.stamp.nanosec) == (1, 500_000_000)


def test_a_link_frame_is_where_forward_kinematics_has_it(robot: Robot) -> None:
    q = robot.random_joint_position(np.random.default_rng(5), 1)[0]
    frames = Frames(robot, NoOtherFrames())
    for i, link in enumerate(robot.tip_links):
        T = frames.pose(link, q)
        assert T is not None
        assert T[:3, 3] == pytest.approx(robot.kinematics.tip_position(q)[i], abs=1e-12)
        assert T[:3, :3] == pytest.approx(robot.kinematics.tip_rotation(q)[i], abs=1e-12)


def calibrated(robot: Robot) -> Robot:
    rng, nominal = np.random.default_rng(8), robot.kinematics.parameters
    parameters = nominal._replace(
        joint_zero=rng.uniform(-0.05, 0.05, robot.nq),
        joint_origin_position=nominal.joint_origin_position + rng.uniform(-0.002, 0.002, (robot.nq, 3)),
        tip_offset=nominal.tip_offset + rng.uniform(-0.002, 0.002, (robot.nt, 3)),
    )
    return replace(robot, kinematics=robot.kinematics.calibrated(parameters))


def test_a_link_frame_of_a_calibrated_hand_is_where_the_calibration_has_it(robot: Robot) -> None:
    """Every link of every finger, against a walk along the tree with the changed origins and zeros."""
    hand = calibrated(robot)
    q, changed = hand.home + 0.1, hand.kinematics.parameters
    frames = Frames(hand, NoOtherFrames())
    for tip, link in enumerate(hand.tip_links):
        T = np.eye(4)
        for joint in hand.urdf.chain(link, hand.base_frame):
            if joint.name in hand.joint_names:
                i = hand.joint_names.index(joint.name)
                turn = rotation_about_axis(joint.axis, q[i] + changed.joint_zero[i])
                T = T @ transform(joint.T_parent_joint[:3, :3], changed.joint_origin_position[i])
                T = T @ transform(turn, np.zeros(3))
            else:
                T = T @ transform(joint.T_parent_joint[:3, :3], changed.tip_offset[tip])
            np.testing.assert_allclose(frames.pose(joint.child, q), T, atol=1e-12, err_msg=joint.child)


def test_links_behind_joints_that_the_robot_does_not_list_are_looked_up(robot: Robot, tmp_path: Path) -> None:
    document = yaml.safe_load(robot_file(robot.name).read_text())
    document |= {"urdf": str(robot.urdf_path), "joints": document["joints"][:12], "tips": document["tips"][:3]}
    (tmp_path / "three.yaml").write_text(yaml.safe_dump(document))
    frames = Frames(load_robot(tmp_path / "three.yaml"), OneFrame())
    np.testing.assert_array_equal(frames.pose(robot.tip_links[3], robot.home[:12]), OneFrame().pose_in("", ""))
    np.testing.assert_allclose(
        frames.pose(robot.tip_links[0], robot.home[:12]),
        Frames(robot, NoOtherFrames()).pose(robot.tip_links[0], robot.home),
    )


def test_a_link_above_the_base_frame_is_where_its_fixed_joint_has_it(robot: Robot) -> None:
    mount = replace(
        next(joint for joint in robot.urdf.joints.values() if joint.kind == FIXED),
        name="mount", parent="flange", child=robot.base_frame,
        T_parent_joint=transform(rotation_from_rpy((0, 0, math.pi / 2)), (0.0, 0.0, 0.5)),
    )  # fmt: skip
    flange = replace(robot.urdf.links[robot.base_frame], name="flange")
    urdf = replace(
        robot.urdf, root="flange", links=robot.urdf.links | {"flange": flange},
        joints=robot.urdf.joints | {"mount": mount},
    )  # fmt: skip
    T = Frames(replace(robot, urdf=urdf), NoOtherFrames()).pose("flange", None)
    assert T is not None
    np.testing.assert_allclose(T @ [1.0, 0.0, 0.5, 1.0], (0.0, -1.0, 0.0, 1.0), atol=1e-12)


def test_a_moving_link_is_refused_before_the_joints_are_known_and_the_base_is_not(robot: Robot) -> None:
    frames = Frames(robot, NoOtherFrames())
    assert frames.pose(robot.base_frame, None) is None
    with pytest.raises(InputError, match="no joint state"):
        frames.pose(robot.tip_links[0], None)
    with pytest.raises(InputError, match="empty"):
        frames.pose("", None)
    with pytest.raises(InputError, match="'camera' is unknown"):
        frames.pose("camera", None)


def test_with_a_prefix_the_own_frames_are_those_that_begin_with_it(robot: Robot) -> None:
    q = robot.random_joint_position(np.random.default_rng(6), 1)[0]
    plain, frames = Frames(robot, NoOtherFrames()), Frames(robot, NoOtherFrames(), "left/")
    assert frames.base == f"left/{robot.base_frame}"
    assert frames.pose(frames.base, q) is None
    for link in robot.tip_links:
        np.testing.assert_array_equal(frames.pose(f"left/{link}", q), plain.pose(link, q))
        with pytest.raises(InputError, match=rf"'{link}' is unknown; the frames of this hand begin with 'left/'"):
            frames.pose(link, q)
    with pytest.raises(InputError, match=r"'left/camera' is unknown; known without TF are 'left/palm_link'"):
        frames.pose("left/camera", q)


def test_a_link_behind_a_joint_that_the_robot_does_not_list_is_refused_for_that_reason(robot: Robot) -> None:
    urdf = robot.urdf
    lid = Joint("lid_hinge", "revolute", robot.base_frame, "lid", np.eye(4), np.array([0.0, 0.0, 1.0]), -1.0, 1.0)
    with_lid = replace(
        urdf, links={**urdf.links, "lid": Link("lid", None, (), ())}, joints={**urdf.joints, "lid_hinge": lid}
    )
    frames = Frames(replace(robot, urdf=with_lid), NoOtherFrames())
    with pytest.raises(
        InputError, match="'lid' is unknown; it moves against 'palm_link' by a joint that is not one of the"
    ):
        frames.pose("lid", robot.home)


def test_with_a_prefix_the_frames_of_another_hand_are_looked_up(robot: Robot) -> None:
    np.testing.assert_array_equal(
        Frames(robot, OneFrame(), "left/").pose(robot.base_frame, None), OneFrame().pose_in("", "")
    )


@pytest.mark.parametrize("prefix", ["/left/", "left hand/", "\t"])
def test_a_prefix_that_no_frame_can_begin_with_is_refused(robot: Robot, prefix: str) -> None:
    with pytest.raises(InputError, match=r"frame_prefix.*must be without spaces"):
        Frames(robot, NoOtherFrames(), prefix)


@pytest.mark.parametrize(("sec", "longest"), [(99, 2.0), (99, 0.0), (0, 0.5), (101, 2.0), (1000, 0.0)])
def test_a_transform_that_is_young_enough_is_used_and_one_that_never_moves_has_no_age(sec: int, longest: float) -> None:
    check_age("camera", Time(sec=sec, nanosec=0), 100.0, longest)


@pytest.mark.parametrize(("sec", "apart"), [(99, "1 s old"), (101, "1 s ahead of the clock"), (1000, "900 s ahead")])
def test_a_transform_that_is_too_old_or_of_a_time_to_come_is_refused(sec: int, apart: str) -> None:
    with pytest.raises(InputError, match=rf"'camera'.* {apart}.*, more than tf_timeout, 0.5 s"):
        check_age("camera", Time(sec=sec, nanosec=0), 100.0, 0.5)


def test_the_age_of_a_transform_counts_its_nanoseconds() -> None:
    check_age("camera", Time(sec=99, nanosec=900_000_000), 100.0, 0.2)
    with pytest.raises(InputError, match=r"0\.3 s old"):
        check_age("camera", Time(sec=99, nanosec=700_000_000), 100.0, 0.2)


class LookupFailedError(Exception):
    """What tf2 raises."""


class StandInBuffer:
    """As tf2_ros.Buffer, whose lookup_transform(target_frame, source_frame, time) tells where the source is in the target."""

    def lookup_transform(self, target_frame: str, source_frame: str, time: object) -> TransformStamped:
        if (target_frame, source_frame) != ("palm_link", "camera"):
            raise LookupFailedError(f"no way from {source_frame} to {target_frame}")
        moved = Transform(translation=Vector3(x=1.0, y=2.0, z=3.0))
        return TransformStamped(header=Header(stamp=Time(sec=1000), frame_id=target_frame), transform=moved)


def test_a_frame_that_tf_knows_is_where_tf_has_it_in_the_base_frame_while_that_is_young(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(clock_type=ClockType.ROS_TIME)
    clock._set_ros_time_is_active(True)
    stand_in = SimpleNamespace(
        Buffer=StandInBuffer, TransformListener=lambda *_, **__: SimpleNamespace(), TransformException=LookupFailedError
    )
    monkeypatch.setitem(sys.modules, "tf2_ros", stand_in)
    lookup = TfLookup(SimpleNamespace(get_clock=lambda: clock), 0.5)
    clock.set_ros_time_override(ClockTime(seconds=1000, nanoseconds=400_000_000, clock_type=ClockType.ROS_TIME))
    np.testing.assert_array_equal(lookup.pose_in("palm_link", "camera")[:3, 3], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="frame 'hat': no way from hat to palm_link"):
        lookup.pose_in("palm_link", "hat")
    clock.set_ros_time_override(ClockTime(seconds=1000, nanoseconds=600_000_000, clock_type=ClockType.ROS_TIME))
    with pytest.raises(InputError, match=r"0\.6 s old, more than tf_timeout, 0\.5 s"):
        lookup.pose_in("palm_link", "camera")


def test_without_tf2_a_frame_of_others_is_refused_for_that_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    lookup = TfLookup(SimpleNamespace(get_clock=Clock), 0.5)
    with pytest.raises(InputError, match="'camera' needs TF, and tf2_ros is not installed"):
        lookup.pose_in("palm_link", "camera")
    lookup.close()


def test_transforms_from_before_a_jump_back_of_the_clock_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock as of a simulation, and a stand-in for tf2_ros, which comes with ROS 2 alone."""
    cleared: list[float] = []
    clock = Clock(clock_type=ClockType.ROS_TIME)
    buffer = SimpleNamespace(clear=lambda: cleared.append(1e-9 * clock.now().nanoseconds))
    listener = SimpleNamespace(unregister=lambda: None)
    stand_in = SimpleNamespace(
        Buffer=lambda: buffer, TransformListener=lambda *_, **__: listener, TransformException=KeyError
    )
    monkeypatch.setitem(sys.modules, "tf2_ros", stand_in)
    lookup = TfLookup(SimpleNamespace(get_clock=lambda: clock), 0.5)
    clock._set_ros_time_is_active(True)
    told = []
    for seconds in (1000, 1001, 2000, 5, 6):
        clock.set_ros_time_override(ClockTime(seconds=seconds, clock_type=ClockType.ROS_TIME))
        told.append((seconds, len(cleared)))
    begun = told[0][1]  # that time is a simulation's at all may count as a jump
    assert [(seconds, n - begun) for seconds, n in told] == [(1000, 0), (1001, 0), (2000, 0), (5, 1), (6, 1)]
    assert cleared[-1] == pytest.approx(5.0), "only after the jump: until then the old ones may still be heard"
    lookup.close()
    clock.set_ros_time_override(ClockTime(seconds=1, clock_type=ClockType.ROS_TIME))
    assert len(cleared) - begun == 1


def test_tf_is_heard_by_the_node_itself_without_a_thread_of_its_own_until_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffer, node, heard = SimpleNamespace(), SimpleNamespace(get_clock=Clock), []

    def listener(*given: object, spin_thread: bool) -> SimpleNamespace:
        heard.append((*given, spin_thread))
        return SimpleNamespace(unregister=heard.clear)

    stand_in = SimpleNamespace(Buffer=lambda: buffer, TransformListener=listener, TransformException=KeyError)
    monkeypatch.setitem(sys.modules, "tf2_ros", stand_in)
    lookup = TfLookup(node, 0.5)
    assert heard == [(buffer, node, False)]
    lookup.close()
    assert heard == []


def intake(robot: Robot, other: object) -> tuple[TargetIntake, Refusals, list[str]]:
    told: list[str] = []
    refusals = Refusals(told.append, clock=itertools.count().__next__)
    return TargetIntake(robot, Frames(robot, other), refusals), refusals, told


def test_targets_in_another_frame_are_moved_to_the_base_frame(robot: Robot) -> None:
    targets, _, _ = intake(robot, OneFrame())
    targets.take_all("t", pose_array("camera", [[0.1, 0.0, 0.2]] * robot.nt), 5.0, None)
    assert targets.targets.position == pytest.approx(np.array([[1.0, 0.1, 0.2]] * robot.nt))
    assert targets.targets.stamp.tolist() == [5.0] * robot.nt


@pytest.mark.parametrize("away", [2e6, 1e200, math.inf, math.nan])
def test_a_target_that_its_frame_takes_beyond_all_reason_is_refused(robot: Robot, away: float) -> None:
    """Squares of such distances overflow, and the finger would be led to no place that anybody named."""

    class FarFrame:
        def pose_in(self, base: str, frame: str) -> np.ndarray:
            return transform(np.eye(3), (away, 0.0, 0.0))

    targets, refusals, told = intake(robot, FarFrame())
    assert not targets.take_all("all", pose_array("camera", [[0.1, 0.0, 0.2]] * robot.nt), 5.0, None)
    assert not targets.take_one("one", 1, pose_stamped("camera", (0.1, 0.0, 0.2)), 5.0, None)
    assert np.isnan(targets.targets.position).all()
    assert refusals.counts == {("all", "pose"): 1, ("one", "pose"): 1}
    assert all("frame 'camera'" in text and "m from its first joint" in text for text in told)


def test_a_target_in_millimetres_is_refused_and_one_far_out_of_reach_is_not(robot: Robot) -> None:
    targets, _, told = intake(robot, OneFrame())
    first = robot.kinematics.tip_position(robot.home)
    assert targets.take_all("t", pose_array(robot.base_frame, 3.0 * first), 5.0, None)
    assert not targets.take_all("t", pose_array(robot.base_frame, 1000.0 * first), 6.0, None)
    assert not targets.take_one("t", 3, pose_stamped(robot.base_frame, 1000.0 * first[3]), 6.0, None)
    np.testing.assert_array_equal(targets.targets.position, 3.0 * first)
    words = r"the target of (\w+) is \d+ m from its first joint, must be in metres and at most [\d.]+ m from there"
    assert [match[1] for match in re.finditer(words, "".join(told))] == ["thumb"]


def test_a_target_of_one_tip_keeps_the_others_and_their_age(robot: Robot) -> None:
    targets, _, _ = intake(robot, NoOtherFrames())
    assert np.isneginf(targets.targets.stamp).all()
    assert targets.take_one("t", 1, pose_stamped(robot.base_frame, (0.1, 0.2, 0.3)), 5.0, None)
    before: Targets = targets.targets
    targets.take_one("t", 2, pose_stamped(robot.base_frame, (0.4, 0.5, 0.6)), 6.0, None)
    assert targets.targets.stamp.tolist() == [-math.inf, 5.0, 6.0, -math.inf]
    assert targets.targets.position[1].tolist() == [0.1, 0.2, 0.3]
    assert np.isneginf(before.stamp[2]), "targets that were handed out must not change"
    targets.clear()
    assert np.isneginf(targets.targets.stamp).all()


def test_a_refused_target_leaves_the_old_ones_as_they_are(robot: Robot) -> None:
    targets, refusals, told = intake(robot, NoOtherFrames())
    targets.take_all("t", pose_array(robot.base_frame, [[0.1, 0.0, 0.2]] * robot.nt), 5.0, None)
    before = targets.targets
    for _ in range(3):
        targets.take_all("t", pose_array("camera", [[0.3, 0.0, 0.2]] * robot.nt), 6.0, None)
    assert targets.targets is before
    assert refusals.counts["t", "frame"] == 3
    assert len(told) == 1
    targets.take_all("t", pose_array(robot.base_frame, [[0.3, 0.0, 0.2]] * robot.nt), 7.0, None)
    assert told[1:] == ["t: accepted again"]
    assert refusals.reasons == {}


@pytest.mark.parametrize("poses", [0, 3, 5])
def test_another_number_of_poses_than_tips_is_refused(robot: Robot, poses: int) -> None:
    targets, refusals, _ = intake(robot, NoOtherFrames())
    assert not targets.take_all("t", pose_array(robot.base_frame, [[0.1, 0.0, 0.2]] * poses), 5.0, None)
    assert np.isneginf(targets.targets.stamp).all()
    assert refusals.counts["t", "count"] == 1


def test_a_topic_is_no_longer_refused_once_a_message_of_it_is_taken(robot: Robot) -> None:
    targets, refusals, _ = intake(robot, NoOtherFrames())
    states = StateIntake(robot, joint_map(load_driver(driver_file("simulated")), robot), "s", refusals)
    for frame, position in (("camera", math.nan), (robot.base_frame, 0.5)):
        targets.take_one("t", 1, pose_stamped(frame, (0.1, 0.2, 0.3)), 5.0, None)
        states.take(JointState(name=list(robot.joint_names), position=[position] * robot.nq), 1.0)
        assert set(refusals.reasons) == ({"t", "s"} if frame == "camera" else set())


def test_joint_states_whose_order_changes_are_read_by_their_names(robot: Robot) -> None:
    states = StateIntake(robot, joint_map(load_driver(driver_file("simulated")), robot), "s", Refusals(print))
    for order in (range(robot.nq), reversed(range(robot.nq))):
        indices = list(order)
        names = [robot.joint_names[i] for i in indices]
        believed = states.take(JointState(name=names, position=robot.home[indices].tolist()), 1.0)
        assert believed is not None
        np.testing.assert_array_equal(believed.q, robot.home)


def test_where_a_target_points_is_turned_with_its_frame_and_kept_while_others_change(robot: Robot) -> None:
    """A pose turned by 90 degrees about x, in a frame turned by 90 degrees about z, of tips whose axis is z or x."""
    axes = np.tile([0.0, 0.0, 1.0], (robot.nt, 1))
    axes[2] = [1.0, 0.0, 0.0]
    targets, half = (
        TargetIntake(replace(robot, tip_axis=axes), Frames(robot, OneFrame()), Refusals(print)),
        math.sqrt(0.5),
    )
    pose = Pose(orientation=Quaternion(x=half, y=0.0, z=0.0, w=half))
    z_turned, x_turned = (
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
    )  # z by the pose to -y, by the frame to x; x stays, and then is y
    assert targets.take_all("t", PoseArray(header=Header(frame_id="camera"), poses=[pose] * 4), 5.0, None)
    np.testing.assert_allclose(targets.targets.direction, [z_turned, z_turned, x_turned, z_turned], atol=1e-12)
    targets.clear()
    before = targets.targets
    for tip in (2, 1):
        targets.take_one("t", tip, PoseStamped(header=Header(frame_id="camera"), pose=pose), 5.0, None)
    nowhere = [math.nan] * 3
    np.testing.assert_allclose(targets.targets.direction, [nowhere, z_turned, x_turned, nowhere], atol=1e-12)
    assert np.isnan(before.direction).all() and np.isnan(before.position).all(), "what was handed out must not change"


def test_a_refusal_is_told_anew_when_its_kind_changes_and_not_when_only_its_words_do() -> None:
    told: list[str] = []
    refusals = Refusals(told.append, clock=itertools.count().__next__)
    for kind, reason in (("count", "3 poses"), ("count", "5 poses"), ("frame", "no camera"), ("count", "3 poses")):
        refusals.refuse("t", kind, reason)
    assert told == [f"t: refused: {reason}" for reason in ("3 poses", "no camera", "3 poses")]
    refusals.refuse("t", "frame", 2 * "a long name of a frame" * 100)
    assert len(told[-1]) < 400


def test_every_topic_that_is_refused_is_told_however_close_together_they_are() -> None:
    told: list[str] = []
    refusals = Refusals(told.append, clock=lambda: 7.0)
    for topic in ("/index/target_pose", "/thumb/target_pose", "/joint_states"):
        refusals.refuse(topic, "frame", "no such frame")
    assert told == [
        f"/{name}: refused: no such frame" for name in ("index/target_pose", "thumb/target_pose", "joint_states")
    ]


def test_the_last_word_on_a_topic_is_true_and_one_that_flickers_does_not_flood_the_log() -> None:
    told: list[str] = []
    now = [0.0]
    refusals = Refusals(told.append, clock=lambda: now[0])
    for i in range(1000):  # for 10 s
        now[0] = 0.01 * i
        refusals.refuse("/joint_states", "values", "none") if i % 3 else refusals.accept("/joint_states")
    assert 10 < len(told) <= 20
    for i in range(1000, 1200):
        now[0] = 0.01 * i
        refusals.accept("/joint_states")
    assert told[-1] == "/joint_states: accepted again"
    assert len(told) <= 22


def test_a_message_of_other_joints_on_a_shared_topic_is_no_refusal(robot: Robot) -> None:
    refusals = Refusals(lambda text: None)
    joints = joint_map(load_driver(driver_file("wonik_ros2_control")), robot)
    states = StateIntake(robot, joints, "joint_states", refusals)
    states.take(JointState(name=["elbow"], position=[1.0]), 1.0)
    assert states.measurement is None
    assert refusals.counts.total() == 0
    states.take(JointState(name=list(joints.names), position=[0.5] * 16), 2.0)
    states.take(JointState(name=["elbow"], position=[1.0]), 3.0)
    assert states.measurement is not None
    assert states.measurement.stamp == 2.0


@pytest.mark.parametrize("given", ["two", "0,", "99999", "-1", 1.5, [0, -1], True])
def test_what_names_no_processor_is_refused(given: object) -> None:
    with pytest.raises(FileError, match="cpu_affinity"):
        from_mapping(NodeOptions, {"cpu_affinity": given}, "x")


@pytest.mark.parametrize(("given", "numbers"), [(2, (2,)), ("2", (2,)), ("2, 3", (2, 3)), ([2, 3], (2, 3)), ("", ())])
def test_processors_are_given_as_number_text_or_list(given: object, numbers: tuple[int, ...]) -> None:
    assert from_mapping(NodeOptions, {"cpu_affinity": given}, "x").cpu_affinity == numbers


def test_a_processor_that_this_machine_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="cpu_affinity: is 4095, this process may use"):
        checked_cpus([4095])


def test_a_stiff_joint_goes_to_its_command_without_overshoot_in_steps_of_any_size(robot: Robot) -> None:
    for dt in (0.001, 0.01, 0.5):
        hand = StiffHand(robot)
        goal = robot.home + 0.1
        hand.command(goal)
        highest = hand.q
        for _ in range(int(0.5 / dt) + 1):
            hand.step(dt)
            highest = np.maximum(highest, hand.q)
        assert hand.q == pytest.approx(goal, abs=1e-6)
        assert (highest <= goal + 1e-9).all()


def test_a_stiff_joint_stops_at_its_limit(robot: Robot) -> None:
    hand = StiffHand(robot)
    hand.command(robot.upper + 1.0)
    for _ in range(200):
        hand.step(0.003)
    assert np.array_equal(hand.q, robot.upper)


def heard(
    robot: Robot, *values: float, command: np.ndarray | None = None, pause: float = 0.003
) -> tuple[list[float], int]:
    """What is believed of a joint after each of these positions, and how many of them were refused as jumps."""
    refusals = Refusals(lambda text: None)
    driver = load_driver(driver_file("simulated"))
    states = StateIntake(robot, joint_map(driver, robot), "joint_states", refusals)
    believed = []
    for i, value in enumerate(values):
        q = robot.home.copy()
        q[2] += value
        states.take(JointState(name=list(robot.joint_names), position=q.tolist()), i * pause, command, 0.4)
        believed.append(round(float(states.measurement.q[2] - robot.home[2]), 6))
    return believed, refusals.counts["joint_states", "jump"]


def test_one_sample_that_jumps_is_not_believed(robot: Robot) -> None:
    assert heard(robot, 0.0, 0.5, 0.0, -0.5, 0.01) == ([0.0, 0.0, 0.0, 0.0, 0.01], 2)


def test_a_jump_that_three_messages_agree_on_is_believed(robot: Robot) -> None:
    assert heard(robot, 0.0, 0.5, 0.5, 0.5, 0.52) == ([0.0, 0.0, 0.0, 0.5, 0.52], 2)


def test_jumps_that_do_not_agree_are_never_believed(robot: Robot) -> None:
    assert heard(robot, 0.0, *[0.5, -0.5] * 5) == ([0.0] * 11, 10)


@pytest.mark.parametrize("jumps", [[0.9, 0.6, 0.3], [-0.9, -0.6, -0.3]])
def test_jumps_that_come_closer_do_not_agree_either(robot: Robot, jumps: list[float]) -> None:
    assert heard(robot, 0.0, *jumps) == ([0.0] * 4, 3)


def test_a_bad_sample_that_comes_again_and_again_between_good_ones_is_never_believed(robot: Robot) -> None:
    assert heard(robot, *[0.0, 0.5] * 5) == ([0.0] * 10, 5)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_jump_away_from_the_command_is_not_believed_however_often_it_comes(robot: Robot, side: float) -> None:
    assert heard(robot, 0.0, *[side * 0.5] * 9, 0.0, command=robot.home) == ([0.0] * 11, 9)
    assert heard(robot, 0.0, *[side * 0.3] * 3, command=robot.home) == ([0.0, 0.0, 0.0, side * 0.3], 2)


def test_of_joints_that_jump_together_each_must_end_near_its_command_and_the_farthest_jump_is_named(
    robot: Robot,
) -> None:
    told: list[str] = []
    refusals = Refusals(told.append)
    states = StateIntake(robot, joint_map(load_driver(driver_file("simulated")), robot), "joint_states", refusals)
    for i, q in enumerate([robot.home, *[robot.home + 0.2 * np.eye(16)[1] + 0.5 * np.eye(16)[6]] * 9]):
        states.take(JointState(name=list(robot.joint_names), position=q.tolist()), i * 0.003, robot.home, 0.4)
    assert states.measurement is not None
    np.testing.assert_array_equal(states.measurement.q, robot.home)
    assert "joint_6.0 jumped by 0.5 rad" in refusals.reasons["joint_states"][1]


@pytest.mark.parametrize("driver", ["simulated", "joint_state"])
def test_joints_that_jump_to_and_fro_on_a_shared_topic_are_asked_for_a_second_publisher(
    robot: Robot, driver: str
) -> None:
    """Such as a joint_state_publisher, which tells zero of all joints of a description."""
    refusals = Refusals(lambda text: None)
    states = StateIntake(robot, joint_map(load_driver(driver_file(driver)), robot), "joint_states", refusals)
    for i, q in enumerate([robot.home, 0.0 * robot.home] * 5):
        states.take(JointState(name=list(robot.joint_names), position=q.tolist()), i * 0.005)
    told = refusals.reasons["joint_states"][1]
    assert "jumped by" in told
    assert ("another publisher" in told) is (driver == "joint_state")


def test_a_jump_to_its_command_is_believed_of_a_joint_whose_neighbour_lags_far_behind(robot: Robot) -> None:
    command = robot.home + 0.5 * np.eye(16)[6]
    assert heard(robot, 0.0, 0.3, 0.3, 0.3, command=command) == ([0.0, 0.0, 0.0, 0.3], 2)


def test_a_fast_joint_and_one_that_was_away_for_a_while_do_not_jump(robot: Robot) -> None:
    step = float(robot.velocity[2]) * 0.003
    assert heard(robot, *[i * step for i in range(9)])[1] == 0
    assert heard(robot, 0.0, 0.8, pause=0.2, command=robot.home)[1] == 0


@pytest.mark.parametrize("pause", [0.003, 0.05])
def test_a_joint_may_move_a_tenth_of_a_radian_and_what_twice_its_velocity_makes_of_the_time(
    robot: Robot, pause: float
) -> None:
    possible = 0.1 + 2.0 * float(robot.velocity[2]) * pause
    assert heard(robot, 0.0, 0.99 * possible, pause=pause)[1] == 0
    assert heard(robot, 0.0, 1.01 * possible, pause=pause)[1] == 1


class Listener:
    """Hears joint states that come every so many seconds, and tells whether a hand would be begun with."""

    def __init__(self, robot: Robot) -> None:
        self.now, self._robot = 1.0, robot
        self.states = StateIntake(robot, joint_map(load_driver(driver_file("simulated")), robot), "s", Refusals(print))

    def hear(self, shift: float, pause: float = 0.01, times: int = 1) -> None:
        for _ in range(times):
            self.now += pause
            position = (self._robot.home + shift).tolist()
            self.states.take(JointState(name=list(self._robot.joint_names), position=position), self.now)

    @property
    def begins(self) -> bool:
        return self.states.measured(commanded=False) is not None


@pytest.mark.parametrize("first", ["first joint states", "a jump"])
def test_a_hand_is_begun_with_after_a_quarter_second_of_joint_states_that_agree_and_a_commanded_one_loses_none(
    robot: Robot, first: str
) -> None:
    """Whoever begins at the wrong one of two publishers makes the hand jump."""
    listener = Listener(robot)
    listener.hear(0.0, times=1 if first == "first joint states" else 50)
    if first == "a jump":
        assert listener.begins
        listener.hear(0.5)
    listener.hear(0.0, times=24)
    assert not listener.begins and listener.states.measured(commanded=True) is listener.states.measurement
    listener.hear(math.nan)
    assert not listener.begins, "what is no number agrees with nothing"
    listener.hear(0.0, times=2)
    assert listener.begins
    listener.hear(math.nan)
    assert listener.begins, "nor does it contradict"
    listener.states.forget()
    assert not listener.begins


@pytest.mark.parametrize("after", [0.0, 0.5])
def test_of_two_publishers_that_were_silent_together_none_is_begun_with(robot: Robot, after: float) -> None:
    """On a machine that stalls both pause: what comes first after that may be of either, for a joint can go far meanwhile."""
    listener = Listener(robot)
    for _ in range(20):
        listener.hear(0.0)
        listener.hear(0.5)
    for pause in (0.3, 1.0, 5.0):
        listener.hear(after, pause)
        assert not listener.begins
        listener.hear(0.5 - after)
        assert not listener.begins


def test_joint_states_that_come_twice_a_second_are_begun_with_too(robot: Robot) -> None:
    listener = Listener(robot)
    listener.hear(0.0, 0.5, times=4)
    assert listener.begins


@pytest.mark.parametrize(
    ("outside", "max_lead", "believed"), [(0.08, 0.1, True), (0.12, 0.1, False), (0.26, 0.4, True), (0.31, 0.4, False)]
)
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_a_joint_farther_outside_its_limits_than_any_command_may_lead_it_is_refused_and_named(
    robot: Robot, side: str, outside: float, max_lead: float, believed: bool
) -> None:
    refusals = Refusals(lambda text: None)
    joints = joint_map(load_driver(driver_file("simulated")), robot)
    states = StateIntake(robot, joints, "joint_states", refusals)
    q = robot.home.copy()
    q[12] = robot.lower[12] - outside if side == "lower" else robot.upper[12] + outside
    states.take(JointState(name=list(robot.joint_names), position=q.tolist()), 1.0, None, max_lead)
    assert (states.measurement is not None) == believed
    assert believed or "joint_12.0 stands at" in refusals.reasons["joint_states"][1]
