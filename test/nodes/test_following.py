"""The hand follows targets over DDS, whatever dialect its driver speaks."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Pose, PoseArray, PoseStamped
from node_bench import Bench, diagnostics_of, pose_array, pose_stamped, wait_for
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from visualization_msgs.msg import MarkerArray

from nnik_ros.driver import joint_map, load_driver
from nnik_ros.nodes.commands import CommandOutput
from nnik_ros.nodes.conversions import fill_poses
from nnik_ros.paths import driver_file, robot_file
from nnik_ros.robot import load_robot


def goal_of(robot, seed: int = 0, size: float = 0.15):
    """Tips of a joint position near home: reachable by construction."""
    rng = np.random.default_rng(seed)
    q = np.clip(robot.home + rng.uniform(-size, size, robot.nq), robot.lower, robot.upper)
    return robot.kinematics.tip_position(q)


def test_the_simulated_hand_brings_its_tips_to_the_targets(lab, robot):
    station = lab.station()
    states = station.listen(JointState, "joint_states")
    commands = station.listen(JointState, "joint_cmd")
    poses = station.listen(PoseArray, "tip_poses")
    lab.start("sim_hand_node", station.namespace)
    settings = {"model": "none", "start_paused": False, "closed_loop_gain": 4.0, "rate": 100}  # for any busy machine
    controller = lab.start("controller_node", station.namespace, **settings)
    bench = Bench(station, robot, None, controller)
    goal = goal_of(robot)
    bench.until("REACHED", meanwhile=lambda: bench.send(goal))

    def settled() -> bool:
        station.publish("target_poses", pose_array(robot.base_frame, goal))
        if not states:
            return False
        tips = robot.kinematics.tip_position(np.array(states[-1].position))
        return bool(np.linalg.norm(tips - goal, axis=-1).max() < 0.0002)

    wait_for(settled, "the simulated hand to arrive", controller)
    wait_for(lambda: bool(poses and commands), "tip poses and commands", controller)
    sent = robot.kinematics.tip_position(np.array(commands[-1].position))
    assert np.linalg.norm(sent - goal, axis=-1).max() > 0.001, "the weak drive needs to be led beyond the goal"
    told = np.array([[p.position.x, p.position.y, p.position.z] for p in poses[-1].poses])
    assert np.linalg.norm(told - goal, axis=-1).max() < 0.0003
    assert poses[-1].header.frame_id == robot.base_frame

    def stamped() -> int:
        of_states = {(state.header.stamp.sec, state.header.stamp.nanosec) for state in states}
        return sum((pose.header.stamp.sec, pose.header.stamp.nanosec) in of_states for pose in poses)

    wait_for(lambda: stamped() > 20, "tip poses with the stamps of their joints", controller)


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_joint_states_are_read_by_name_in_any_order(lab, robot, order):
    names = list(reversed(robot.joint_names))
    if order == "shuffled":
        names = list(np.random.default_rng(1).permutation(robot.joint_names))
    bench = lab.bench(names=names)
    bench.reach(goal_of(robot, 1))


@pytest.mark.parametrize("name", ["allegro_v5", "wonik_ros2_control", "joint_trajectory_controller"])
def test_each_dialect_of_a_driver_moves_the_hand(lab, robot, name):
    robot = load_robot(robot_file("allegro_v5_a_left")) if name == "allegro_v5" else robot
    bench = lab.bench(driver=name, described=robot)
    bench.reach(goal_of(robot, 2))
    driver, message = load_driver(driver_file(name)), bench.hand.messages[-1]
    if driver.command_type == "joint_state":
        assert message.name == list(driver.driver_joints)
    elif driver.command_type == "float64_multi_array":
        thumb = bench.robot.joint_names.index("joint_12.0")
        assert message.data[:4].tolist() == bench.hand.commands[-1][thumb : thumb + 4].tolist()
    else:
        assert message.joint_names == list(robot.joint_names)
        assert message.points[0].time_from_start.nanosec == 20_000_000


def test_a_target_for_one_tip_leaves_the_other_fingers_alone(lab, robot):
    bench = lab.bench()
    bench.until("IDLE")
    goal = goal_of(robot, 3)
    target = pose_stamped(robot.base_frame, goal[2])
    bench.until("REACHED", "ring.state", lambda: bench.station.publish("ring/target_pose", target))
    assert np.linalg.norm(bench.tips()[2] - goal[2]) < 0.0006
    ring = robot.kinematics.topology.chain[2]
    others = np.setdiff1d(np.arange(robot.nq), ring)
    assert np.abs(bench.hand.q[others] - robot.home[others]).max() < 1e-9
    bench.until("IDLE", "thumb.state")


def test_a_target_in_the_frame_of_a_moved_link_is_taken_to_the_base_frame(lab, robot):
    bench = lab.bench()
    goal = goal_of(robot, 4, 0.05)[0]
    thumb = 3  # rests at home, and its link with it
    R, p = robot.kinematics.tip_rotation(robot.home)[thumb], robot.kinematics.tip_position(robot.home)[thumb]
    target = pose_stamped(robot.tip_links[thumb], R.T @ (goal - p))
    bench.until("REACHED", "index.state", lambda: bench.station.publish("index/target_pose", target))
    assert np.linalg.norm(bench.tips()[0] - goal) < 0.0006


def test_a_target_in_the_frame_of_a_moving_link_is_refused_while_nobody_tells_where_that_is(lab, robot):
    bench = lab.bench(target_timeout=0.0)
    bench.until("IDLE")
    bench.hand.silent = True
    bench.until("STALE_STATE")
    bench.hand.q = robot.home + 0.2  # somebody moves the hand meanwhile
    goal = robot.kinematics.tip_position(bench.hand.q)[0]
    target = pose_stamped(robot.tip_links[3], (0.0, 0.0, 0.01))
    key = f"refused.{bench.station.namespace}/index/target_pose.frame"

    def told() -> bool:
        bench.station.publish("index/target_pose", target)
        return bench.state(key) not in ("", "0") or bench.state("index.error") != "nan"

    wait_for(told, "an answer to the target", bench.process, every=0.02)
    assert "moves with the joints" in bench.message
    bench.hand.silent = False
    bench.until(
        "REACHED", "index.state", lambda: bench.station.publish("index/target_pose", pose_stamped("palm_link", goal))
    )


def test_a_hand_with_a_prefix_speaks_and_follows_in_frames_of_its_own(lab, robot):
    bench = lab.bench(frame_prefix="left/")
    poses = bench.station.listen(PoseArray, "tip_poses")
    markers = bench.station.listen(MarkerArray, "markers")
    goal = goal_of(robot, 5)
    other = pose_array(robot.base_frame, goal)
    wait_for(
        lambda: bench.station.publish("target_poses", other) or "begin with 'left/'" in bench.message,
        "the frame to be refused", bench.process,
    )  # fmt: skip
    own = pose_array(f"left/{robot.base_frame}", goal)
    bench.until("REACHED", meanwhile=lambda: bench.station.publish("target_poses", own))
    assert np.linalg.norm(bench.tips() - goal, axis=-1).max() < 0.0006
    wait_for(lambda: bool(poses and markers), "tip poses and markers", bench.process)
    assert poses[-1].header.frame_id == f"left/{robot.base_frame}"
    assert {marker.header.frame_id for marker in markers[-1].markers} == {f"left/{robot.base_frame}"}


def test_tip_poses_of_a_driver_that_tells_no_time_have_the_present_one_and_cease_with_the_joint_states(lab):
    begin = time.time()
    bench = lab.bench(tip_pose_rate=5.0)
    poses = bench.station.listen(PoseArray, "tip_poses")
    wait_for(lambda: len(poses) > 10, "tip poses", bench.process)
    stamps = [pose.header.stamp.sec + 1e-9 * pose.header.stamp.nanosec for pose in poses[:11]]
    assert begin < stamps[0] and stamps[-1] < time.time() + 0.001
    assert (np.diff(stamps) > 0.0).all()
    assert stamps[-1] - stamps[0] > 1.0, "ten times 0.2 s, unless the first one was late"
    bench.hand.silent = True
    bench.until("STALE_STATE")
    bench.count_statuses(20)
    count = len(poses)
    bench.count_statuses(50)
    assert len(poses) == count, "old joints under a new stamp would be taken for new ones"


def test_the_orientation_of_a_target_turns_the_tip_in_any_frame(lab, robot):
    bench = lab.bench(pointing=1.0)
    q = np.clip(robot.home + np.tile([0.05, 0.3, -0.3, 0.2], 4), robot.lower, robot.upper)
    goal, turned = robot.kinematics.tip_position(q), robot.kinematics.tip_rotation(q)
    targets = pose_array(robot.base_frame, goal)
    fill_poses(targets, goal, turned)

    def publish():
        bench.station.publish("target_poses", targets)

    def axes(q):
        return (robot.kinematics.tip_rotation(q) @ robot.tip_axis[..., None])[..., 0]

    for tip in robot.tip_names:
        wait_for(
            lambda tip=tip: publish() or float(bench.values[f"{tip}.pointing_error"]) < 0.01,
            f"{tip} to point",
            bench.process,
        )
    assert ((axes(bench.hand.q) * axes(q)).sum(-1) > np.cos(0.02)).all()
    bench.until("REACHED", "index.state", publish)
    thumb_R, thumb_p = robot.kinematics.tip_rotation(bench.hand.q)[3], bench.tips()[3]
    moved = PoseArray(poses=[Pose()])
    back = robot.kinematics.tip_rotation(robot.home)[0]  # the direction of another posture, told in the thumb's frame
    fill_poses(moved, (thumb_R.T @ (goal[0] - thumb_p))[None], (thumb_R.T @ back)[None])
    message = PoseStamped(pose=moved.poses[0])
    message.header.frame_id = robot.tip_links[3]
    before = bench.hand.q[:4].copy()
    wait_for(
        lambda: bench.station.publish("index/target_pose", message) or np.abs(bench.hand.q[:4] - before).max() > 0.02,
        "the index finger to turn in place", bench.process,
    )  # fmt: skip
    axis = (robot.kinematics.tip_rotation(bench.hand.q)[0] @ robot.tip_axis[0]) @ (back @ robot.tip_axis[0])
    assert axis > (turned[0] @ robot.tip_axis[0]) @ (back @ robot.tip_axis[0]), (
        "closer to the new direction than before"
    )


def test_without_numba_it_follows_all_the_same_and_says_what_is_missing(lab, robot, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    bench = lab.bench(rate=100)
    goal = goal_of(robot, 5)
    bench.until("REACHED", meanwhile=lambda: bench.send(goal))
    assert np.linalg.norm(bench.tips() - goal, axis=-1).max() < 0.0006
    assert "pip install numba" in bench.process.output


def test_diagnostics_tell_period_and_receivers(lab):
    bench = lab.bench(rate=333)
    arrays = bench.station.listen(DiagnosticArray, "diagnostics")
    wait_for(
        lambda: arrays and diagnostics_of(arrays, "loop")["command_receivers"] == "1",
        "the hand to be counted",
        bench.process,
    )
    wait_for(lambda: len(arrays) >= 2, "two diagnostics", bench.process)
    loop = diagnostics_of(arrays, "loop")
    assert float(loop["period_wanted_ms"]) == pytest.approx(1e3 / 333.0, abs=1e-3)
    assert float(loop["period_p50_ms"]) > 2.0
    assert int(loop["ticks"]) > 0
    assert loop["errors"] == "0"


def test_the_statistics_tell_percentiles_solvers_and_the_age_of_the_data(lab):
    bench = lab.bench(model="auto")
    messages = bench.station.listen(DiagnosticStatus, "statistics")
    goal = bench.robot.kinematics.tip_position(bench.robot.home + 0.1)
    bench.reach(goal)

    def told() -> bool:
        bench.send(goal)
        return bool(messages) and any(pair.value != "nan" for pair in messages[-1].values if "target_age" in pair.key)

    wait_for(told, "an age of the targets", bench.process, every=0.02)
    values = {pair.key: pair.value for pair in messages[-1].values}
    for what in ("period_error", "latency", "compute", "inference", "state_age", "target_age"):
        spread = [float(values[f"{what}_{share}_ms"]) for share in ("p50", "p90", "p99", "p999", "max")]
        assert spread[0] >= 0.0 and spread == sorted(spread)
    # of the longest: the network is not asked in every tick, so the middle ones are of other ticks
    assert float(values["inference_max_ms"]) < float(values["compute_max_ms"])
    assert int(values["solver.index.NETWORK"]) > 0
    assert 0.0 <= float(values["late_share"]) <= 1.0


def test_a_driver_slower_than_the_loop_hears_where_the_joints_come_to_rest(lab, robot):
    """The turn of the last command may not have come when the hand falls silent."""
    station, driver = lab.station(), load_driver(driver_file("wonik_ros2_control"))
    heard = station.listen(Float64MultiArray, "slow")
    joints = joint_map(driver, robot)
    output = CommandOutput(station.node, replace(driver, rate=333.0 / 8), joints, "slow", 333.0)
    wait_for(lambda: output.receivers.count == 1, "the ear")
    went_out = [output.put(np.full(robot.nq, 0.01 * tick)) for tick in range(23)]
    assert [tick for tick, goes in enumerate(went_out) if goes] == [0, 8, 16]
    assert output.put(None)
    assert not output.put(None)
    wait_for(lambda: len(heard) == 4, "all commands")
    assert [round(message.data[0], 6) for message in heard] == [0.0, 0.08, 0.16, 0.22]
    assert output.put(np.zeros(robot.nq)), "the first command after a pause goes out at once"
    assert not output.put(None), "it went out already"


@pytest.mark.parametrize(
    ("rate", "share"), [(100.0, 1.0), (110.0, 1.0), (150.0, 100.0 / 150.0), (333.0, 100.0 / 333.0)]
)
def test_a_loop_leaves_out_commands_evenly_unless_it_is_no_more_than_a_tenth_faster(lab, robot, rate, share) -> None:
    """As config/drivers/README.md tells it."""
    driver = load_driver(driver_file("wonik_ros2_control"))  # 100 Hz
    output = CommandOutput(lab.station().node, driver, joint_map(driver, robot), "evenly", rate)
    gone = np.flatnonzero([output.put(robot.home) for _ in range(1000)])
    assert len(gone) == pytest.approx(1000 * share, abs=1)
    assert np.ptp(np.diff(gone)) <= 1, "one gap is no longer than another"
