"""Where the page shows the tips and whose targets it follows: where the controller says, and by the robot's description while
no controller does; a person's, until somebody else publishes one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Pose, PoseArray, PoseStamped
from node_bench import pose_array, pose_stamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from nnik_ros.nodes import web_node
from nnik_ros.nodes.frames import Frames
from nnik_ros.nodes.intake import Refusals, TargetIntake
from nnik_ros.nodes.web_node import WebNode


class Stage:
    """The page, its hand at home, and somebody who tells where the tips are."""

    def __init__(self) -> None:
        self.page, self.other = WebNode(), Node("other")
        self.robot = self.page._robot
        self.hand = self.other.create_publisher(JointState, self.page._states.topic, 1)
        self.tips = self.other.create_publisher(PoseArray, "tip_poses", 1)
        self.status = self.other.create_publisher(DiagnosticStatus, "status", 1)
        self.target = self.other.create_publisher(PoseStamped, "index/target_pose", 1)
        self.heard: list[PoseStamped] = []
        self.other.create_subscription(PoseStamped, "index/target_pose", self.heard.append, 100)
        self.executor = SingleThreadedExecutor()
        for node in (self.page, self.other):
            self.executor.add_node(node)

    def until(self, condition: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Whether it comes to hold within a few seconds."""
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline and not condition():
            meanwhile()
            self.executor.spin_once(timeout_sec=0.02)
        return condition()

    def sent_by_page(self, seconds: float) -> int:
        """How many targets the page publishes in this time [s], apart from what is still on its way."""
        self.target.publish(pose_stamped("last", (0.0, 0.0, 0.0)))
        assert self.until(lambda: any(message.header.frame_id == "last" for message in self.heard))
        self.heard.clear()
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end)
        return sum(message.header.frame_id == self.robot.base_frame for message in self.heard)

    def shown(self, positions: np.ndarray, meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Whether the balls come to these places (nt, 3) [m] within a few seconds."""

        def hand_stands() -> None:
            self.hand.publish(JointState(name=list(self.robot.joint_names), position=self.robot.home.tolist()))
            meanwhile()

        gizmos = self.page._handles._gizmos
        return self.until(lambda: np.allclose([gizmo.position for gizmo in gizmos], positions, atol=2e-5), hand_stands)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.executor.shutdown()
    stage.page.close()
    stage.page.destroy_node()
    stage.other.destroy_node()


def test_the_balls_rest_where_the_controller_has_the_tips_of_a_calibrated_hand(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_node, "_TIPS_LIFE", 0.3)
    robot = stage.robot
    described = robot.kinematics.tip_position(robot.home)
    calibrated = robot.kinematics.tip_position(robot.home + 0.05)
    assert np.linalg.norm(calibrated - described, axis=1).min() > 0.002
    assert stage.shown(described)
    told = pose_array(robot.base_frame, calibrated.tolist())
    assert stage.shown(calibrated, lambda: stage.tips.publish(told))
    assert stage.shown(described), "without a controller the page has to follow the hand by itself"


def test_the_balls_go_to_their_targets_also_while_no_joint_states_come(stage: Stage) -> None:
    """The controller is told, and tells the errors of, targets that the page sends then."""
    page = stage.page
    (name, preset) = next(iter(page._presets.items()))
    page._play(name)
    assert stage.until(lambda: len(stage.heard) > 0)
    sent = stage.heard[-1].pose.position
    np.testing.assert_allclose((sent.x, sent.y, sent.z), preset.tip_position[0, 0])
    gizmos = page._handles._gizmos
    assert stage.until(lambda: np.allclose([gizmo.position for gizmo in gizmos], preset.tip_position[0], atol=2e-5))


def test_a_ball_in_a_hand_is_left_alone_until_its_viewer_lets_go_or_leaves(stage: Stage) -> None:
    handles, place = stage.page._handles, np.array([0.1, 0.05, 0.05])

    def follows(shift: float) -> bool:
        handles.place(0, place + shift)
        return bool(np.allclose(handles._gizmos[0].position, place + shift))

    assert follows(0.01)
    handles._grab(0, SimpleNamespace(phase="update", client_id=7))
    assert not follows(0.02)
    handles.release(8)
    assert not follows(0.03)
    handles.release(7)
    assert follows(0.04)
    handles._grab(0, SimpleNamespace(phase="update", client_id=7))
    handles._grab(0, SimpleNamespace(phase="end", client_id=7))
    assert follows(0.05)


@pytest.mark.parametrize("frame", ["camera", "palm_link"])
def test_the_page_gives_way_to_whoever_else_sets_a_target_in_whatever_frame(stage: Stage, frame: str) -> None:
    stage.page._on_drag(0, np.array([0.1, 0.05, 0.05]))
    assert stage.until(lambda: len(stage.heard) > 0)
    theirs = pose_stamped(frame, (0.5, 0.0, 0.0))
    theirs.header.stamp = stage.other.get_clock().now().to_msg()
    assert stage.until(lambda: not any(stage.page._steering.held), lambda: stage.target.publish(theirs))
    assert stage.sent_by_page(0.3) == 0


def _refused(fault: str) -> PoseStamped:
    """A target that the controller refuses."""
    message = pose_stamped("" if fault == "frame" else "palm_link", (0.5, 0.0, 0.0))
    pose = message.pose
    pose.position.x = {"nan": np.nan, "far": 1e7}.get(fault, 0.5)
    pose.orientation.w = 0.0 if fault == "quaternion" else 1.0
    return message


@pytest.mark.parametrize("fault", ["frame", "nan", "far", "quaternion"])
@pytest.mark.parametrize("together", [False, True])
def test_targets_that_the_controller_refuses_neither_end_a_persons_nor_move_its_ball(
    stage: Stage, fault: str, together: bool
) -> None:
    mine, bad = np.array([0.1, 0.05, 0.05]), _refused(fault)
    frames = Frames(stage.robot, SimpleNamespace())  # type: ignore[arg-type]
    intake = TargetIntake(stage.robot, frames, Refusals(lambda words: None))
    assert not intake.take_one("index/target_pose", 0, bad, 1.0, None)
    array = PoseArray(header=bad.header, poses=[bad.pose] + [Pose()] * (stage.robot.nt - 1))
    everybody = stage.other.create_publisher(PoseArray, "target_poses", 1)
    publisher, message = (everybody, array) if together else (stage.target, bad)
    assert stage.until(lambda: publisher.get_subscription_count() > 0)
    stage.page._on_drag(0, mine)
    assert stage.until(lambda: len(stage.heard) > 0)
    end = time.monotonic() + 0.5
    stage.until(lambda: time.monotonic() > end, lambda: publisher.publish(message))
    assert stage.page._steering.held[0]
    ball = stage.page._handles._gizmos[0]
    stage.hand.publish(JointState(name=list(stage.robot.joint_names), position=stage.robot.home.tolist()))
    assert stage.until(lambda: np.allclose(ball.position, mine, atol=2e-5))


def test_the_page_steers_where_the_ros_time_stands_still(stage: Stage) -> None:
    """Its timers once ran on that time: with use_sim_time and no /clock the page froze."""
    stage.page.set_parameters([Parameter("use_sim_time", value=True)])
    stage.page._on_drag(0, np.array([0.1, 0.05, 0.05]))
    assert stage.until(lambda: len(stage.heard) > 2)


def test_the_page_gives_way_to_targets_without_a_stamp_where_the_ros_time_stands_still(stage: Stage) -> None:
    stage.page.set_parameters([Parameter("use_sim_time", value=True)])
    stage.page._on_drag(0, np.array([0.1, 0.05, 0.05]))
    assert stage.until(lambda: len(stage.heard) > 2)
    theirs = pose_stamped(stage.robot.base_frame, (0.12, 0.05, 0.05))
    assert stage.until(lambda: not any(stage.page._steering.held), lambda: stage.target.publish(theirs))
    assert stage.sent_by_page(0.3) == 0


def test_the_page_does_not_go_on_telling_what_a_controller_said_that_is_gone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_node, "STATUS_LIFE", 0.5)
    state, table = stage.page._panel._state, stage.page._panel._table
    states = [KeyValue(key=key, value="REACHED") for key in ("state", "index.state")]
    told = DiagnosticStatus(message="all well", values=states)
    assert "no controller" in (state.content or "no controller")
    assert stage.until(
        lambda: "reached" in state.content and "reached" in table.content, lambda: stage.status.publish(told)
    )
    assert stage.until(lambda: "no controller" in state.content and "reached" not in table.content)
    assert "all well" not in state.content
    assert "nothing was heard" in state.content
    assert stage.until(lambda: "all well" in state.content, lambda: stage.status.publish(told))
