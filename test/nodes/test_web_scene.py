"""What the page draws: the whole robot in view, wherever its base frame lies, with balls of the size of its fingertips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import viser

from nnik_ros.nodes.web_node import _Server
from nnik_ros.nodes.web_scene import GHOST_COLOR, RobotScene, View, workspace_view
from nnik_ros.paths import robot_file, share_dir, shipped
from nnik_ros.robot import Robot, load_robot

HALF_ANGLE = 37.5  # deg; what a viewer's camera sees above and below its middle
POST = '<visual><geometry><box size="0.1 0.1 0.001"/></geometry></visual>'


def on_a_stand(folder: Path, shape: str, height: float = 1.0) -> Robot:
    """The right hand, with a base frame so far [m] below its palm."""
    stand = (
        f'<link name="stand">{shape}</link><joint name="mount" type="fixed"><parent link="stand"/>'
        f'<child link="palm_link"/><origin xyz="0 0 {height}"/></joint>'
    )
    head, mark, tail = (share_dir() / "urdf" / "allegro_right.urdf").read_text().partition('<link name="palm_link"')
    (folder / "hand.urdf").write_text(head + stand + mark + tail)
    text = robot_file("allegro_right").read_text()
    text = text.replace("../../urdf/allegro_right.urdf", "hand.urdf").replace("palm_link", "stand")
    (folder / "hand.yaml").write_text(text)
    return load_robot(folder / "hand.yaml")


def angles(view: View, points: np.ndarray) -> np.ndarray:
    """How far points (n, 3) [m] are from the middle of the picture [deg]."""
    rays = points - (view.center + view.distance * view.direction)
    return np.rad2deg(np.arccos(-rays @ view.direction / np.linalg.norm(rays, axis=-1)))


def test_a_base_frame_far_from_the_hand_at_which_nothing_is_drawn_does_not_change_the_view(tmp_path: Path) -> None:
    hand, far = workspace_view(load_robot(robot_file("allegro_right"))), workspace_view(on_a_stand(tmp_path, ""))
    np.testing.assert_allclose(far.center, hand.center + (0.0, 0.0, 1.0), atol=1e-12)
    for name in ("radius", "distance", "handle"):
        assert getattr(far, name) == pytest.approx(getattr(hand, name))


@pytest.mark.parametrize("name", [*shipped(share_dir() / "config" / "robots", ".yaml"), "stand"])
def test_all_tips_and_the_base_are_in_view(name: str, tmp_path: Path) -> None:
    """Of a hand on a stand the camera once saw all but the fingertips."""
    robot = on_a_stand(tmp_path, POST) if name == "stand" else load_robot(robot_file(name))
    q = robot.random_joint_position(np.random.default_rng(7), 100)
    points = np.concatenate([robot.kinematics.tip_position(q).reshape(-1, 3), np.zeros((1, 3))])
    assert angles(workspace_view(robot), points).max() < HALF_ANGLE


def test_the_balls_of_a_hand_on_a_stand_do_not_cover_each_other(tmp_path: Path) -> None:
    robot = on_a_stand(tmp_path, POST)
    tips = robot.kinematics.tip_position(robot.home)
    apart = np.linalg.norm(tips[:, None] - tips, axis=-1)[np.triu_indices(robot.nt, 1)].min()
    assert 0.1 * apart < 0.055 * workspace_view(robot).handle < 0.5 * apart


def test_a_ghost_is_no_wider_than_the_body_also_where_that_is_thin(tmp_path: Path) -> None:
    """A plate thinner than what a ghost is thinner by was once drawn with a negative width, around the body."""
    robot = on_a_stand(tmp_path, POST)
    server = _Server("127.0.0.1", 0, verbose=False)
    try:
        RobotScene(server, robot, workspace_view(robot))
        nodes = server.scene._handle_from_node_name
        boxes = {name: node.dimensions for name, node in nodes.items() if isinstance(node, viser.BoxHandle)}
        ghosts = {name: size for name, size in boxes.items() if nodes[name].color == GHOST_COLOR}
        assert len(ghosts) > 5
        for name, size in ghosts.items():
            body = np.array(boxes[name.replace("/commanded", "/measured")])
            assert np.all(np.array(size) > 0.0), name
            assert np.all(np.array(size) < body), name
    finally:
        server.stop()
