from __future__ import annotations

import numpy as np
import pytest
import torch

from nnik_ros.kinematics import forward_kinematics, jacobian
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot
from nnik_ros.training.network import torch_chains
from nnik_ros.training.step import bearing, step_shape


@pytest.mark.parametrize("name", ["planar_2r", "spatial_2j"])
def test_turning_a_joint_by_its_bearing_brings_the_tip_to_the_side_of_the_target(
    name: str, rng: np.random.Generator
) -> None:
    robot = load_robot(robot_file(name))
    q = robot.random_joint_position(rng, 300)
    target = robot.kinematics.tip_position(robot.random_joint_position(rng, 300))
    frames = forward_kinematics(torch, torch_chains(robot), torch.from_numpy(q.astype(np.float32)))
    error = torch.from_numpy(target.astype(np.float32))[..., None, :] - frames.tip_position[..., None, :]
    angle = bearing(torch, step_shape(robot), frames, error, jacobian(torch, frames)).numpy()[:, 0, 0]  # (n, depth)
    nominal = robot.kinematics.frames(q)
    for i in range(robot.nq):
        turned = q.copy()
        turned[:, i] += angle[:, i]
        origin, axis = nominal.joint_position[:, 0, i], nominal.joint_axis[:, 0, i]
        tip, goal = (x[:, 0] - origin for x in (robot.kinematics.tip_position(turned), target))
        tip, goal = (x - axis * (x * axis).sum(-1, keepdims=True) for x in (tip, goal))
        lengths = np.linalg.norm(tip, axis=-1) * np.linalg.norm(goal, axis=-1)
        clear = lengths > 1e-3 * robot.kinematics.reach[0] ** 2  # on the axis there is no side
        cosine = ((tip * goal).sum(-1) / lengths)[clear]
        assert clear.mean() > 0.9 and cosine.min() > 0.9999


def test_only_joints_with_a_full_circle_of_range_turn_over_their_stops() -> None:
    turns = {
        name: step_shape(load_robot(robot_file(name))).turn[:, 0].ravel().tolist()
        for name in ("planar_2r", "spatial_2j")
    }
    assert turns["planar_2r"] == pytest.approx([2 * np.pi] * 2)
    assert turns["spatial_2j"] == pytest.approx([2 * np.pi, 0, 0])
    assert not step_shape(load_robot(robot_file("allegro_right"))).turning


def test_only_a_robot_of_turning_joints_alone_sees_its_bearings() -> None:
    sees = {
        name: step_shape(load_robot(robot_file(name))).bearing for name in ("planar_2r", "spatial_2j", "allegro_right")
    }
    assert sees == {"planar_2r": True, "spatial_2j": False, "allegro_right": False}
