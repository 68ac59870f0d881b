"""The interactive markers: silent unless dragged, never against another publisher, and their menu acts."""

from __future__ import annotations

import importlib.util
import math
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from node_bench import Bench, Lab, Station, pose_array, pose_stamped, wait_for
from sensor_msgs.msg import JointState
from sourced import where_sourced
from visualization_msgs.msg import InteractiveMarker, InteractiveMarkerUpdate
from visualization_msgs.msg import InteractiveMarkerFeedback as Feedback
from visualization_msgs.srv import GetInteractiveMarkers

from nnik_ros.driver import joint_map, load_driver
from nnik_ros.nodes.marker_joints import MeasuredJoints
from nnik_ros.nodes.marker_shapes import ENABLE, TRIGGERS, look_of, tip_marker
from nnik_ros.nodes.marker_steering import DragSteering
from nnik_ros.nodes.status_reader import state_color
from nnik_ros.paths import driver_file
from test.robustness.processes import Process

HERE, THERE = np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.2, 0.1])
INSTALLED = importlib.util.find_spec("interactive_markers") is not None
with_the_package = where_sourced("interactive_markers", INSTALLED)


def enable_title(marker: InteractiveMarker) -> str:
    return next(entry.title for entry in marker.menu_entries if entry.id == ENABLE)


class Wire:
    def __init__(self) -> None:
        self.sent: list[tuple[int, str, tuple[float, ...]]] = []

    def send(self, tip: int, frame: str, position: np.ndarray) -> int:
        self.sent.append((tip, frame, tuple(position.tolist())))
        return len(self.sent)


# the steering, without ROS


def test_nothing_is_sent_before_a_drag() -> None:
    wire = Wire()
    steering = DragSteering(4, wire.send)
    for step in range(100):
        steering.keep(1, 0.03 * step)
        steering.let_go(2, 0.03 * step)
        steering.update(0.03 * step)
    assert wire.sent == []


def test_a_held_target_is_repeated_for_its_tip_alone_and_ends_with_one_last_message() -> None:
    wire = Wire()
    steering = DragSteering(4, wire.send)
    assert steering.drag(2, "palm", HERE, 0.0)
    for step in range(51):
        steering.update(0.01 * step)
    assert 8 <= len(wire.sent) <= 11
    steering.drag(2, "palm", THERE, 0.51)
    steering.let_go(2, 0.511)
    assert wire.sent[-1] == (2, "palm", tuple(THERE.tolist()))
    assert {(tip, place) for tip, _, place in wire.sent[:-1]} == {(2, tuple(HERE.tolist()))}
    count = len(wire.sent)
    for step in range(100):
        steering.update(0.6 + 0.01 * step)
    assert len(wire.sent) == count


def test_a_viewer_that_died_while_it_dragged_steers_no_more_and_one_that_rests_does() -> None:
    for alive in (False, True):
        wire = Wire()
        steering = DragSteering(1, wire.send)
        steering.drag(0, "palm", HERE, 0.0)
        for step in range(300):
            if alive and step % 25 == 0:
                steering.keep(0, 0.01 * step)
            steering.update(0.01 * step)
        assert steering.holds(0) is alive
        assert len(wire.sent) == pytest.approx(60 if alive else 20, abs=2)  # of three seconds, or of one


def test_another_publisher_takes_its_tip_out_of_the_hand_and_keeps_it() -> None:
    wire = Wire()
    steering = DragSteering(2, wire.send)
    steering.drag(0, "palm", HERE, 0.0)
    steering.drag(1, "palm", HERE, 0.0)
    for step in range(3):
        steering.update(0.06 * step)
    steering.heard(0, HERE, 1, 0.13)  # our own echo, late
    assert steering.holds(0)
    steering.heard(0, HERE, 987654, 0.14)
    assert (steering.holds(0), steering.holds(1)) == (False, True)
    assert not steering.drag(0, "palm", THERE, 0.9)
    assert steering.drag(1, "palm", HERE, 0.9), "each tip has an owner of its own"
    wire.sent.clear()
    steering.update(0.95)
    assert [tip for tip, _, _ in wire.sent] == [1]
    assert steering.drag(0, "palm", THERE, 1.2)


@pytest.mark.parametrize(("tip", "other"), [(1, HERE), *((0, HERE + 0.01 * axis) for axis in np.eye(3))])
def test_another_publisher_whose_messages_bear_the_stamp_of_ours_is_known_by_its_target(
    tip: int, other: np.ndarray
) -> None:
    """Both are stamped zero where the ROS time stands still, or where the other one sends no stamps."""
    steering = DragSteering(2, lambda tip, frame, position: 0)
    steering.drag(0, "palm", HERE, 0.0)
    steering.drag(1, "palm", THERE, 0.0)
    steering.update(0.0)
    steering.heard(0, HERE, 0, 0.01)
    assert steering.holds(0)
    steering.heard(tip, other, 0, 0.02)
    assert not steering.holds(tip)


def test_all_markers_are_let_go_at_once() -> None:
    wire = Wire()
    steering = DragSteering(2, wire.send)
    steering.drag(0, "palm", HERE, 0.0)
    steering.drag(1, "palm", HERE, 0.0)
    steering.release()
    steering.update(0.1)
    assert wire.sent == []


def test_a_marker_stands_in_the_base_frame_as_large_as_its_finger_and_faint_while_that_is_disabled() -> None:
    marker, larger = (tip_marker("index", "palm", HERE, reach, look_of("REACHED", True)) for reach in (0.1, 0.2))
    disabled = tip_marker("index", "palm", HERE, 0.1, look_of("REACHED", False))
    balls = [shown.controls[0].markers[0] for shown in (marker, larger, disabled)]
    assert marker.header.frame_id == "palm"
    assert larger.scale == pytest.approx(2.0 * marker.scale)
    assert balls[1].scale.x == pytest.approx(2.0 * balls[0].scale.x)
    assert balls[2].color.a < 0.5 * balls[0].color.a


def test_the_arrows_of_a_marker_point_along_the_axes_of_the_base_frame() -> None:
    marker = tip_marker("index", "palm", HERE, 0.1, look_of("REACHED", True))
    first = {}
    for control in marker.controls:
        w, x, y, z = (getattr(control.orientation, name) for name in "wxyz")
        # the first column of the rotation matrix of the quaternion
        first[control.name] = np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])
    np.testing.assert_allclose([first[name] for name in "xyz"], np.eye(3), atol=1e-12)


def test_the_menu_shows_whether_a_finger_is_enabled() -> None:
    assert enable_title(tip_marker("ring", "palm", HERE, 0.1, look_of("IDLE", True))) == "[x] Enable ring"
    assert enable_title(tip_marker("ring", "palm", HERE, 0.1, look_of("DISABLED", False))) == "[ ] Enable ring"


# the node


@pytest.mark.skipif(INSTALLED, reason="interactive_markers is installed: there is nothing to complain about")
def test_without_its_package_the_node_says_how_to_install_it(lab: Lab) -> None:
    process = lab.start("marker_node", lab.station().namespace)
    assert process.exit_code() == 1
    assert "apt install ros-$ROS_DISTRO-interactive-markers" in process.output


class Viewer:
    """What RViz does with the markers of a bench."""

    def __init__(self, bench: Bench, process: Process) -> None:
        self.bench, self.process, self.station = bench, process, bench.station
        self.updates = self.station.listen(InteractiveMarkerUpdate, "tip_markers/update")
        self.targets = self.station.listen(PoseStamped, "index/target_pose")
        self.feedback = self.station.node.create_publisher(Feedback, "tip_markers/feedback", 100)  # as RViz

    def markers(self) -> dict[str, InteractiveMarker]:
        answer = self.station.call(GetInteractiveMarkers, "tip_markers/get_interactive_markers")
        return {marker.name: marker for marker in answer.markers}

    def tell(
        self, kind: int, tip: str = "index", place: np.ndarray | None = None, entry: int = 0, frame: str = ""
    ) -> None:
        message = Feedback(client_id="viewer", marker_name=tip, event_type=kind, menu_entry_id=entry)
        stamped = pose_stamped(frame or self.bench.robot.base_frame, HERE if place is None else place)
        message.header, message.pose = stamped.header, stamped.pose
        wait_for(lambda: self.feedback.get_subscription_count() > 0, "the markers to listen", self.process)
        self.feedback.publish(message)

    def choose(self, name: str, tip: str = "index") -> None:
        entries = {service: number for number, service in TRIGGERS.items()}
        self.tell(Feedback.MENU_SELECT, tip, entry=entries.get(name, ENABLE))

    def place_of(self, tip: str) -> np.ndarray:
        p = self.markers()[tip].pose.position
        return np.array([p.x, p.y, p.z])

    def color(self) -> tuple[int, ...]:
        """0 to 255, of the index finger's ball."""
        ball = self.markers()["index"].controls[0].markers[0].color
        return tuple(round(255 * value) for value in (ball.r, ball.g, ball.b))

    def rest(self) -> None:
        """Until there is no target, or an old one, and this is shown: nothing is painted from now on."""

        def shown() -> bool:
            state = self.bench.state("index.state")
            return state in ("IDLE", "STALE_TARGET") and self.color() == state_color(state)

        wait_for(shown, "a tip without a target, in that colour", self.process)
        self.bench.come_to_rest()


@pytest.fixture(scope="module")
def viewer(module_lab: Lab) -> Iterator[Viewer]:
    bench = module_lab.bench()
    process = module_lab.start("marker_node", bench.station.namespace)
    viewer = Viewer(bench, process)
    bench.until("IDLE")
    wait_for(lambda: len(viewer.markers()) == bench.robot.nt, "the markers", process)
    time.sleep(1.1)  # for a second their server takes a new marker for one that somebody else holds
    yield viewer
    assert process.alive, process.output


@with_the_package
def test_markers_stand_at_the_measured_tips_and_stay_silent(viewer: Viewer) -> None:
    bench = viewer.bench
    others = [viewer.station.listen(PoseStamped, f"{tip}/target_pose") for tip in bench.robot.tip_names]
    for tip in bench.robot.tip_names:
        wait_for(
            lambda topic=f"{tip}/target_pose": viewer.station.would_hear(topic),
            "the markers' publishers",
            viewer.process,
        )
    viewer.rest()
    before = [len(messages) for messages in others]
    bench.count_statuses(50)
    for tip, name in enumerate(bench.robot.tip_names):
        assert np.linalg.norm(viewer.place_of(name) - bench.tips()[tip]) < 3e-4
    assert [len(messages) for messages in others] == before


@with_the_package
def test_a_dragged_marker_brings_its_tip_and_is_silent_once_let_go(viewer: Viewer) -> None:
    bench = viewer.bench
    viewer.rest()
    goal = bench.tips()[0] + (0.0, 0.01, -0.01)
    thumb = bench.tips()[3].copy()
    bench.until("REACHED", "index.state", lambda: viewer.tell(Feedback.POSE_UPDATE, place=goal))
    assert np.linalg.norm(bench.tips()[0] - goal) < 6e-4
    np.testing.assert_allclose(bench.tips()[3], thumb, atol=1e-9)
    viewer.tell(Feedback.MOUSE_UP, place=goal)

    def silent() -> bool:
        bench.until("STALE_TARGET", "index.state")  # silence, as the controller hears it
        count = len(viewer.targets)
        bench.count_statuses(10)
        return len(viewer.targets) == count

    wait_for(silent, "silence", viewer.process)


@with_the_package
def test_a_marker_that_is_not_held_follows_its_tip(viewer: Viewer) -> None:
    bench = viewer.bench
    goal = bench.robot.kinematics.tip_position(bench.robot.home)
    bench.reach(goal)
    wait_for(lambda: np.linalg.norm(viewer.place_of("index") - goal[0]) < 1e-3, "the marker at the tip", viewer.process)


@with_the_package
def test_a_marker_that_was_dragged_to_no_number_goes_back_to_its_tip_and_nothing_is_sent(viewer: Viewer) -> None:
    viewer.rest()
    count = len(viewer.targets)
    viewer.tell(Feedback.POSE_UPDATE, place=np.full(3, np.nan))
    wait_for(lambda: any(np.isnan(p.pose.position.x) for u in viewer.updates for p in u.poses), "the marker to be away")
    wait_for(
        lambda: np.linalg.norm(viewer.place_of("index") - viewer.bench.tips()[0]) < 1e-3, "the marker", viewer.process
    )
    assert len(viewer.targets) == count


@with_the_package
def test_a_viewer_is_told_nothing_while_nothing_changes(viewer: Viewer) -> None:
    """A marker that is painted anew closes the menu that somebody opened."""

    def told_nothing() -> bool:  # a state that is stale for a moment is something
        viewer.rest()
        viewer.bench.count_statuses(5)
        count = len(viewer.updates)
        viewer.bench.count_statuses(75)
        return len(viewer.updates) == count

    assert any(told_nothing() for _ in range(3))


@with_the_package
def test_a_marker_that_is_held_still_steers_until_it_is_let_go_and_no_longer(viewer: Viewer) -> None:
    place, dragged = viewer.bench.tips()[0] + (0.0, 0.005, 0.0), [time.monotonic()]

    def held_on() -> bool:
        if viewer.bench.state("index.state") == "REACHED":
            viewer.tell(Feedback.KEEP_ALIVE)
        else:  # on its way, or let go because this process did not get its turn
            viewer.tell(Feedback.POSE_UPDATE, place=place)
            dragged[0] = time.monotonic()
        return time.monotonic() > dragged[0] + 3.5

    wait_for(
        held_on, "a tip that stays at its marker for longer than its target and a silent viewer last", viewer.process
    )
    viewer.tell(Feedback.MOUSE_UP, place=place)
    viewer.bench.until("STALE_TARGET", "index.state", lambda: viewer.tell(Feedback.KEEP_ALIVE))


@with_the_package
def test_a_marker_ends_where_it_was_let_go_though_that_is_told_together_with_its_last_place(viewer: Viewer) -> None:
    """RViz sends both at once, and of several messages the server kept the newest alone."""
    viewer.rest()
    first = viewer.bench.tips()[0]
    for step in range(1, 6):
        places = first + (0.0, 0.001 * step, 0.0), first + (0.0, 0.001 * step, 0.002)
        viewer.bench.until("REACHED", "index.state", lambda p=places[0]: viewer.tell(Feedback.POSE_UPDATE, place=p))
        for kind in (Feedback.POSE_UPDATE, Feedback.MOUSE_UP):
            viewer.tell(kind, place=places[1])
        viewer.rest()
        p = viewer.targets[-1].pose.position
        np.testing.assert_array_equal((p.x, p.y, p.z), places[1])


@with_the_package
def test_a_drag_in_another_frame_is_sent_in_that_frame(viewer: Viewer) -> None:
    frame = viewer.bench.robot.tip_links[3]
    wait_for(
        lambda: (
            viewer.tell(Feedback.POSE_UPDATE, frame=frame)
            or [message.header.frame_id for message in viewer.targets[-1:]] == [frame]
        ),
        "a target in that frame",
        viewer.process,
    )
    p = viewer.targets[-1].pose.position
    assert (p.x, p.y, p.z) == tuple(HERE)
    viewer.tell(Feedback.MOUSE_UP)


@with_the_package
def test_a_marker_that_was_dragged_in_vain_goes_back_to_its_tip_once_let_go(viewer: Viewer) -> None:
    bench = viewer.bench
    viewer.choose("pause")
    bench.until("PAUSED")
    wait_for(lambda: viewer.color() == state_color("PAUSED"), "the colour of a pause", viewer.process)
    for kind in (Feedback.POSE_UPDATE, Feedback.MOUSE_UP):
        viewer.tell(kind, place=bench.tips()[0] + (0.0, 0.03, 0.0))
    wait_for(lambda: np.linalg.norm(viewer.place_of("index") - bench.tips()[0]) < 3e-4, "the marker", viewer.process)
    viewer.choose("start")
    viewer.rest()


@with_the_package
def test_whoever_pauses_or_sends_it_home_ends_a_drag_and_whoever_starts_does_not(viewer: Viewer) -> None:
    place, log = viewer.bench.tips()[0] + (0.0, 0.005, 0.0), viewer.bench.process

    def goes_on_after(service: str) -> bool:
        """Whether targets come while the viewer holds on, after somebody chose this at another marker."""
        calls = log.output.count(f"{service}: accepted")
        viewer.tell(Feedback.POSE_UPDATE, place=place)
        viewer.choose(service, tip="thumb")
        wait_for(lambda: log.output.count(f"{service}: accepted") > calls, service, log)
        before, end = len(viewer.targets), time.monotonic() + 0.5
        while time.monotonic() < end:
            viewer.tell(Feedback.KEEP_ALIVE)
            time.sleep(0.05)
        return len(viewer.targets) > before + 2

    wait_for(lambda: goes_on_after("start"), "a start that ends no drag", viewer.process)
    for service in ("home", "pause"):
        wait_for(lambda name=service: not goes_on_after(name), f"the end of a drag after {service}", viewer.process)
    viewer.tell(Feedback.MOUSE_UP)
    viewer.choose("start")
    viewer.rest()


@with_the_package
def test_the_node_passes_on_the_joints_that_the_robots_picture_moves_by(viewer: Viewer) -> None:
    viewer.rest()
    heard = viewer.station.listen(JointState, "measured_joints")
    wait_for(lambda: bool(heard), "measured joints", viewer.process)
    assert heard[-1].name == list(viewer.bench.robot.joint_names)
    np.testing.assert_allclose(heard[-1].position, viewer.bench.hand.q, atol=1e-3)


@with_the_package
def test_a_drag_does_not_fight_a_script(viewer: Viewer) -> None:
    bench = viewer.bench
    script = bench.robot.kinematics.tip_position(bench.robot.home)
    away = script[0] + (0.0, 0.02, 0.0)
    stamp = viewer.station.node.get_clock().now().to_msg

    def both() -> None:
        message = pose_array(bench.robot.base_frame, script)
        message.header.stamp = stamp()
        viewer.station.publish("target_poses", message)
        viewer.tell(Feedback.POSE_UPDATE, place=away)

    wait_for(lambda: both() or "another publisher steers it" in viewer.process.output, "a warning", viewer.process)

    def undisturbed() -> bool:  # after a second without the script, as of this process, the drag counts
        before = len(viewer.targets)
        for _ in range(30):
            both()
            bench.count_statuses(1)
        return len(viewer.targets) == before and bool(np.linalg.norm(bench.tips() - script, axis=-1).max() < 6e-4)

    assert any(undisturbed() for _ in range(3))


@with_the_package
def test_the_menu_pauses_starts_and_lets_one_finger_rest(viewer: Viewer) -> None:
    bench = viewer.bench
    viewer.choose("pause")
    bench.until("PAUSED")
    viewer.choose("start")
    wait_for(lambda: bench.state() != "PAUSED", "the end of the pause", viewer.process)
    viewer.choose("enable")
    bench.until("DISABLED", "index.state")

    wait_for(
        lambda: enable_title(viewer.markers()["index"]) == "[ ] Enable index", "the menu to show it", viewer.process
    )
    viewer.choose("enable")
    wait_for(lambda: bench.state("index.state") != "DISABLED", "the finger to be enabled", viewer.process)


@with_the_package
def test_the_menu_shows_what_others_switch(viewer: Viewer) -> None:
    for enabled, box in ((False, "[ ]"), (True, "[x]")):
        assert viewer.bench.enable("ring", enabled).success
        wait_for(
            lambda title=f"{box} Enable ring": enable_title(viewer.markers()["ring"]) == title, box, viewer.process
        )


@with_the_package
def test_markers_follow_their_tips_where_the_ros_time_stands_still(lab: Lab) -> None:
    """Their timer once ran on that time: with use_sim_time and no /clock there were no markers."""
    bench = lab.bench()
    bench.until("IDLE")
    viewer = Viewer(bench, lab.start("marker_node", bench.station.namespace, use_sim_time=True))
    wait_for(lambda: len(viewer.markers()) == bench.robot.nt, "the markers", viewer.process)
    goal = bench.robot.kinematics.tip_position(bench.robot.home + 0.1)
    bench.reach(goal)
    wait_for(lambda: np.linalg.norm(viewer.place_of("index") - goal[0]) < 1e-3, "the marker at the tip", viewer.process)


def test_measured_joints_carry_the_robots_names_whatever_the_driver_calls_them(lab: Lab) -> None:
    station: Station = lab.station()
    joints = joint_map(load_driver(driver_file("wonik_ros2_control")), lab.robot)
    passing = MeasuredJoints(station.node, lab.robot, "wonik_ros2_control", station.namespace)
    heard = station.listen(JointState, "measured_joints")
    q = lab.robot.home + 0.01 * np.arange(lab.robot.nq)
    message = JointState(name=list(joints.names), position=joints.to_array(q).tolist())
    wait_for(
        lambda: station.publish("joint_states", message) or passing.pass_on() or bool(heard),
        "joints that are passed on",
    )
    assert heard[-1].name == list(lab.robot.joint_names)
    np.testing.assert_array_equal(heard[-1].position, q)


@pytest.mark.parametrize("sent", [0, 1234])
def test_measured_joints_have_the_drivers_time_and_the_present_one_where_it_tells_none(lab: Lab, sent: int) -> None:
    """robot_state_publisher publishes no joints that are not 1 / publish_frequency newer than the last, which were at zero."""
    station = lab.station()
    passing = MeasuredJoints(station.node, lab.robot, "simulated", station.namespace)
    heard = station.listen(JointState, "measured_joints")
    message = JointState(name=list(lab.robot.joint_names), position=lab.robot.home.tolist())
    message.header.stamp.sec = sent
    begin = time.time()
    wait_for(
        lambda: station.publish("joint_states", message) or passing.pass_on() or bool(heard),
        "joints that are passed on",
    )
    stamp = heard[0].header.stamp
    if sent:
        assert (stamp.sec, stamp.nanosec) == (sent, 0)
    else:
        assert begin - 0.001 <= stamp.sec + 1e-9 * stamp.nanosec <= time.time() + 0.001


def test_measured_joints_leave_out_joints_of_others_and_what_is_no_position_of_the_hand(lab: Lab) -> None:
    """Of a shared topic, where the controller tells why it refuses a message."""
    station = lab.station()
    passing = MeasuredJoints(station.node, lab.robot, "joint_state", station.namespace)
    heard = station.listen(JointState, "measured_joints")
    names, q = list(lab.robot.joint_names), lab.robot.home.tolist()
    others = JointState(name=["shoulder", "elbow"], position=[1.0, 2.0])
    short = JointState(name=names[:-1], position=q[:-1])
    no_number = JointState(name=names, position=[math.nan] * len(q))
    good = JointState(name=[*names, "elbow"], position=[*q, 2.0])

    def passed_on() -> bool:
        for message in (others, short, no_number, good, others):
            station.publish("joint_states", message)
        passing.pass_on()
        return len(heard) >= 3

    wait_for(passed_on, "joints that are passed on")
    assert all((message.name, message.position.tolist()) == (names, q) for message in heard)


@with_the_package
def test_markers_lose_their_colour_with_their_controller(lab: Lab) -> None:
    bench = lab.bench()
    viewer = Viewer(bench, lab.start("marker_node", bench.station.namespace))
    goal = bench.robot.kinematics.tip_position(bench.robot.home)

    def green() -> bool:
        bench.send(goal)
        return "index" in viewer.markers() and viewer.color() == state_color("REACHED")

    wait_for(green, "a tip that is there", viewer.process)
    bench.process.send(signal.SIGKILL)
    wait_for(lambda: viewer.color() == state_color(""), "the colour of an unknown state", viewer.process)
