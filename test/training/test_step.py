from __future__ import annotations

import numpy as np
import pytest
import torch

from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.network import Torch, torch_constants
from nnik_ros.training.rows import rows_of
from nnik_ros.training.solve import SolveConstants, solve_constants, solved
from nnik_ros.training.step import bearing, known_rows, step, tip_position


def pieces(robot: Robot, q: np.ndarray, target: np.ndarray) -> list[np.ndarray]:
    """The pieces of the rows at q for the targets, (n, nt, ...) each, at double precision."""
    rows = rows_of(robot)
    constants = rows.constants
    sines = np.sin(constants.phase + q @ constants.frequency)
    flat = np.concatenate([sines, target.reshape(len(q), -1), q], -1) @ constants.known
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
    target = rng.normal(size=(100, any_robot.nt, 3))
    known = known_rows(torch, constants, *(torch.from_numpy(x.astype(np.float32)) for x in (q, target)))
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
    weight, damping, error = rng.uniform(size=(50, joints, 1)), rng.uniform(size=(50, 1)), rng.normal(size=(50, 3))
    square = (error * error).sum(-1, keepdims=True)
    A = np.swapaxes(J * weight, -1, -2) @ J + (10.0 * damping * square + 1e-6)[..., None] * np.eye(3)

    def spread(vectors: np.ndarray, after: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([vectors.reshape(50, -1), after], -1))

    constants = type(constants)(*map(torch.from_numpy, constants))
    error, none = np.pad(error, ((0, 0), (0, 1))), np.zeros((50, 4))
    every = np.broadcast_to(b[:, None], (50, joints, 3))
    found = solved(Torch(), constants, spread(J, error), spread(J * weight, error * damping), spread(every, none))
    found = found.numpy()[:, :-4].reshape(50, joints, 3)
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


def angle_about(axis: np.ndarray, arm: np.ndarray, goal: np.ndarray) -> float:
    """By which `arm` turns about `axis` until it lies in one half-plane with `goal`, all (3,); a NaN where neither side is the
    nearer one, close to the axis and opposite."""
    arm, goal = (x - axis * (axis @ x) for x in (arm, goal))
    angle = float(np.arctan2(axis @ np.cross(arm, goal), arm @ goal))
    lengths = np.linalg.norm(arm) * np.linalg.norm(goal)
    return angle if lengths > 0.1 and abs(angle) < 3.0 else np.nan


class Formula:
    """The step of one tip as docs/how_it_works.md writes it, joint by joint, lengths in reaches."""

    def __init__(self, robot: Robot, t: int, q: np.ndarray, target: np.ndarray) -> None:
        chain = robot.kinematics.topology.chain[t]
        frames, reach = robot.kinematics.frames(q), float(robot.kinematics.reach.max())
        self.chain = chain[chain >= 0]
        n = len(self.chain)
        axis, origin = frames.joint_axis[t, :n], frames.joint_position[t, :n]
        tip = frames.tip_position[t]
        self.e = (target[t] - tip) / reach
        self.J = np.cross(axis, tip - origin).T / reach
        arms = zip(axis, (tip - origin) / reach, (target[t] - origin) / reach, strict=True)
        self.bearing = np.array([angle_about(*arm) for arm in arms]) if rows_of(robot).bearing else np.zeros(n)
        rows = rows_of(robot)
        self.lower, self.upper, self.turn = (x[self.chain].astype(float) for x in (rows.lower, rows.upper, rows.turn))
        self.q = q[self.chain]

    def next(self, u: np.ndarray, w: np.ndarray, damping: float, share: np.ndarray) -> np.ndarray:
        """u, w, share (joints,) and the logit of the damping to the next joints."""
        size = np.linalg.norm(self.e)
        slope = self.J.T @ self.e / size
        limit = np.where(slope > 0, self.upper + self.turn, self.lower - self.turn)
        free = np.abs(self.q - limit) > 1e-5 * (self.upper - self.lower)
        s = ((slope * free) ** 2).sum()
        jump = u * size * s / (s + 1e-3) + share * self.bearing
        weight = free / (1.0 + np.exp(-w))
        rest = (10.0 / (1.0 + np.exp(-damping)) * size**2 + 1e-6) * np.eye(3)

        d = jump + weight * (self.J.T @ np.linalg.solve(self.J * weight @ self.J.T + rest, self.e - self.J @ jump))
        over = (self.q + d > self.upper) * 1.0 - (self.q + d < self.lower)
        return np.clip(self.q + d - over * self.turn, self.lower, self.upper)


@pytest.mark.parametrize("far", [0.02, 1.0])
def test_a_step_is_the_documented_formula_tip_by_tip(any_robot: Robot, rng: np.random.Generator, far: float) -> None:
    robot, rows, n = any_robot, rows_of(any_robot), 60
    nt, depth = robot.nt, rows.depth
    q, goal = (robot.random_joint_position(rng, n) for _ in range(2))
    at_limit = rng.random(q.shape) < 0.2
    q = np.where(at_limit, np.where(rng.random(q.shape) < 0.5, rows.lower, rows.upper), q)
    target = robot.kinematics.tip_position(q + far * (goal - q))
    u, w, share = (rng.normal(size=(n, nt, depth)) * scale for scale in (0.7, 1.0, 0.3))
    damping = rng.normal(size=(n, nt)) - 4.0

    def spread(values: np.ndarray, last: np.ndarray | float = 0.0) -> torch.Tensor:
        """A third in each of three copies, of chains with as many joints as the step has, and the spare columns."""
        whole = np.zeros((n * nt, 3 * rows.joints + 4))
        whole[:, : 3 * depth] = values.reshape(n * nt, depth).repeat(3, axis=1)
        whole[:, -4:] = np.reshape(last, (-1, 1))
        return torch.from_numpy(whole)

    pieces = [spread(u / 3.0 / np.sqrt(rows.joints)), spread(w, damping.ravel())]
    pieces += [spread(share / 3.0)] * rows.bearing
    constants = rows.constants
    double = {name: torch.tensor(x) for name, x in constants._asdict().items() if name != "solve"}
    constants = type(constants)(**double, solve=SolveConstants(*map(torch.tensor, constants.solve)))
    start = torch.from_numpy(q)
    known = known_rows(torch, constants, start, torch.from_numpy(target))
    found = step(Torch(), rows, constants, lambda _: pieces, start, known).numpy()
    told = 0
    for k in range(n):
        for t in range(nt):
            one = Formula(robot, t, q[k], target[k])
            if np.isfinite(one.bearing).all():
                count, told = len(one.chain), told + 1
                wanted = one.next(u[k, t, :count], w[k, t, :count], damping[k, t], share[k, t, :count])
                np.testing.assert_allclose(found[k, one.chain], wanted, rtol=0, atol=5e-6, err_msg=f"{k} {t}")
    assert told > 0.3 * n * nt
