from __future__ import annotations

import numpy as np
import pytest
import torch

from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.network import Torch, torch_constants
from nnik_ros.training.rows import rows_of
from nnik_ros.training.solve import solve_constants, solved
from nnik_ros.training.step import bearing, tip_position, tip_rows


def pieces(robot: Robot, q: np.ndarray, target: np.ndarray) -> list[np.ndarray]:
    """The pieces of the rows at q for the targets, (n, nt, ...) each, at double precision."""
    rows = rows_of(robot)
    constants = rows.constants
    flat = np.sin(constants.phase + q @ constants.frequency) @ constants.weight
    flat = flat + target.reshape(len(q), -1) @ constants.goal + q @ constants.place
    return np.split(flat.reshape(len(q), robot.nt, -1), np.cumsum(rows.pieces)[:-1], -1)


def test_the_sum_of_sines_tells_error_and_slopes_of_every_robot(any_robot: Robot, rng: np.random.Generator) -> None:
    rows, nt, depth = rows_of(any_robot), any_robot.nt, any_robot.kinematics.depth
    q = any_robot.random_joint_position(rng, 100)
    target = rng.normal(size=(100, nt, 3))
    error, slopes = (piece[..., : 3 * depth].reshape(100, nt, depth, 3) for piece in pieces(any_robot, q, target)[:2])
    frames = any_robot.kinematics.frames(q)
    turn = rows.layout.frame[:, None]  # base frame from the tip's frame
    wanted = (target - frames.tip_position)[..., None, None, :] @ turn / rows.reach
    np.testing.assert_allclose(error, np.broadcast_to(wanted[..., 0, :], error.shape), rtol=0, atol=1e-7)
    small = 1e-6
    for t, chain in enumerate(any_robot.kinematics.topology.chain):
        for i, joint in enumerate(chain):
            ahead, behind = (
                any_robot.kinematics.tip_position(q + s * (np.arange(any_robot.nq) == joint)) for s in (small, -small)
            )
            slope = (ahead - behind)[:, t] / (2 * small) @ rows.layout.frame[t] / rows.reach
            np.testing.assert_allclose(slopes[:, t, i], slope * (joint >= 0), rtol=0, atol=1e-7)


def test_the_tips_come_back_out_of_the_rows(any_robot: Robot, rng: np.random.Generator) -> None:
    rows = rows_of(any_robot)
    constants = torch_constants(rows.constants)
    q = any_robot.random_joint_position(rng, 100)
    known = tip_rows(torch, constants, torch.from_numpy(q.astype(np.float32)))
    tips = tip_position(torch, rows, constants, known).numpy()
    np.testing.assert_allclose(tips, any_robot.kinematics.tip_position(q), rtol=0, atol=1e-6 * rows.reach)


def test_joint_positions_in_the_rows_are_one_at_the_limits(any_robot: Robot) -> None:
    target = np.zeros((1, any_robot.nt, 3))
    rows = rows_of(any_robot)
    real = np.repeat(rows.real, 3, axis=1)
    lower, upper = rows.lower - rows.turn.astype(float), rows.upper + rows.turn.astype(float)
    for q, value in ((lower, -1.0), (0.5 * (lower + upper), 0.0), (upper, 1.0)):
        _, _, spread, others = pieces(any_robot, q[None], target)[:4]
        np.testing.assert_allclose(spread[0, :, : real.shape[1]], value * real, rtol=0, atol=1e-9)
        np.testing.assert_allclose(others[0, :, : rows.depth], value * rows.real, rtol=0, atol=1e-9)


@pytest.mark.parametrize("joints", [3, 4, 6])
def test_three_equations_are_solved_in_every_row(joints: int, rng: np.random.Generator) -> None:
    constants = solve_constants(joints)
    J, b = rng.normal(size=(50, joints, 3)), rng.normal(size=(50, 3))
    weight, damping = rng.uniform(size=(50, joints, 1)), rng.uniform(size=(50, 1))
    A = np.swapaxes(J * weight, -1, -2) @ J + (10.0 / joints * damping[..., None] + 1e-6) * np.eye(3)

    def spread(vectors: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([vectors.reshape(50, -1), np.zeros((50, 1))], -1))

    constants = type(constants)(*map(torch.from_numpy, constants))
    products = (spread(J * weight) @ constants.left) * (spread(J) @ constants.right)
    matrix = products @ constants.matrix + torch.from_numpy(damping) @ constants.damping + constants.smallest
    every = np.broadcast_to(b[:, None], (50, joints, 3))
    found = solved(Torch(), constants, matrix, spread(every)).numpy()[:, :-1].reshape(50, joints, 3)
    wanted = np.linalg.solve(A, b[..., None])[..., 0]
    np.testing.assert_allclose(found, np.broadcast_to(wanted[:, None], found.shape), rtol=1e-6)


def test_turning_a_joint_by_its_bearing_brings_the_tip_to_the_side_of_the_target(
    planar: Robot, rng: np.random.Generator
) -> None:
    q = planar.random_joint_position(rng, 300)
    target = planar.kinematics.tip_position(planar.random_joint_position(rng, 300))
    error, J, _, _, arm = (torch.from_numpy(piece[:, 0]) for piece in pieces(planar, q, target))
    sums = torch.from_numpy(rows_of(planar).constants.sums)
    constants = rows_of(planar).constants._replace(sums=sums)
    angle = bearing(Torch(), constants, error, J, arm).numpy()[:, : 3 * planar.nq : 3]
    nominal = planar.kinematics.frames(q)
    for i in range(planar.nq):
        turned = q.copy()
        turned[:, i] += angle[:, i]
        origin, axis = nominal.joint_position[:, 0, i], nominal.joint_axis[:, 0, i]
        tip, goal = (x[:, 0] - origin for x in (planar.kinematics.tip_position(turned), target))
        tip, goal = (x - axis * (x * axis).sum(-1, keepdims=True) for x in (tip, goal))
        lengths = np.linalg.norm(tip, axis=-1) * np.linalg.norm(goal, axis=-1)
        clear = lengths > 1e-3 * planar.kinematics.reach[0] ** 2  # on the axis there is no side
        cosine = ((tip * goal).sum(-1) / lengths)[clear]
        assert clear.mean() > 0.9 and cosine.min() > 0.9999


def test_only_joints_with_a_full_circle_of_range_turn_over_their_stops() -> None:
    turns = {name: rows_of(load_robot(robot_file(name))).turn.tolist() for name in ("planar_2r", "spatial_2j")}
    assert turns["planar_2r"] == pytest.approx([2 * np.pi] * 2)
    assert turns["spatial_2j"] == pytest.approx([2 * np.pi, 0, 0])
    assert not rows_of(load_robot(robot_file("allegro_right"))).turning


def test_only_a_robot_of_turning_joints_alone_sees_its_bearings() -> None:
    sees = {
        name: rows_of(load_robot(robot_file(name))).bearing for name in ("planar_2r", "spatial_2j", "allegro_right")
    }
    assert sees == {"planar_2r": True, "spatial_2j": False, "allegro_right": False}
