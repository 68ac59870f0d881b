from __future__ import annotations

import math

import numpy as np
import pytest

from nnik_ros.errors import InputError
from nnik_ros.geometry import rotation_about_axis, transform
from nnik_ros.kinematics import KinematicParameters, Kinematics, jacobian, kinematics_of_chains
from nnik_ros.paths import share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.urdf import FIXED, REVOLUTE, Joint

ROBOTS = sorted((share_dir() / "config" / "robots").glob("*.yaml"))


def test_planar_arm_agrees_with_its_closed_form(planar: Robot, rng: np.random.Generator) -> None:
    q = planar.random_joint_position(rng, 50)
    x = 5 * np.cos(q[:, 0]) + 5 * np.cos(q[:, 0] + q[:, 1])
    y = 5 * np.sin(q[:, 0]) + 5 * np.sin(q[:, 0] + q[:, 1])
    np.testing.assert_allclose(planar.kinematics.tip_position(q)[:, 0], np.stack([x, y, 0 * x], -1), atol=1e-12)


def test_jacobian_agrees_with_finite_differences(any_robot: Robot, rng: np.random.Generator) -> None:
    kinematics, h = any_robot.kinematics, 1e-6
    q = any_robot.random_joint_position(rng, 20)
    J = kinematics.tips(q).jacobian
    for tip, joints in enumerate(kinematics.topology.chain):
        for column, joint in enumerate(joints):
            dq = np.zeros(any_robot.nq)
            dq[joint] = h
            numeric = (kinematics.tip_position(q + dq) - kinematics.tip_position(q - dq)) / (2 * h)
            np.testing.assert_allclose(J[:, tip, :, column], numeric[:, tip], atol=1e-7 * kinematics.reach[tip])


def test_a_tip_moves_only_with_the_joints_of_its_own_chain(any_robot: Robot, rng: np.random.Generator) -> None:
    q = any_robot.random_joint_position(rng, 1)[0]
    for joint, own in enumerate(any_robot.kinematics.tip_of_joint):
        moved = q.copy()
        moved[joint] += 0.1
        shift = np.abs(any_robot.kinematics.tip_position(moved) - any_robot.kinematics.tip_position(q)).max(axis=-1)
        assert np.flatnonzero(shift > 1e-12).tolist() in ([int(own)], [])


def test_every_batch_shape_gives_the_same_numbers(hand: Robot, rng: np.random.Generator) -> None:
    q = hand.random_joint_position(rng, 6)
    one_by_one = np.stack([hand.kinematics.tip_position(row) for row in q])
    together = hand.kinematics.tip_position(q.reshape(2, 3, -1)).reshape(6, -1, 3)
    np.testing.assert_allclose(together, one_by_one, rtol=0, atol=1e-15)  # a library may add up in another order


def test_tip_frames_are_rotations_and_turn_with_their_joints(hand: Robot, rng: np.random.Generator) -> None:
    R = hand.kinematics.tip_rotation(hand.random_joint_position(rng, 10))
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.broadcast_to(np.eye(3), R.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(R), 1.0, atol=1e-12)
    flexed = hand.kinematics.tip_rotation(np.array([0, 0.3, 0.4, 0.5] + [0] * 12, dtype=float))[0]
    tilt, bend = math.radians(-5), 1.2  # the index finger stands 5 degrees off; flexion joints share one axis
    expected = np.array(
        [[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]]
    ) @ np.array([[math.cos(bend), 0, math.sin(bend)], [0, 1, 0], [-math.sin(bend), 0, math.cos(bend)]])
    np.testing.assert_allclose(flexed, expected, atol=1e-9)


@pytest.mark.parametrize("joints", [0, 3, 15, 17, 32])
def test_no_kinematics_is_told_of_another_number_of_joints(hand: Robot, joints: int) -> None:
    q = np.zeros(joints)
    for ask in (
        hand.kinematics.tip_position,
        hand.kinematics.tips,
        hand.kinematics.tip_rotation,
        lambda q: hand.kinematics.directions(q, hand.tip_axis),
    ):
        with pytest.raises(InputError, match=rf"joint positions have shape \({joints},\), must end with 16 joints"):
            ask(q)


def test_directions_are_the_axes_of_the_tip_frames_for_every_layout_of_the_joints(hand: Robot, rng) -> None:
    q = hand.random_joint_position(rng, 1)[0]
    wanted = hand.kinematics.tip_rotation(q)[..., 2]
    z = np.tile([0.0, 0.0, 1.0], (hand.nt, 1))
    for given in (q, np.repeat(q, 2)[::2], q.astype(np.float32)):
        np.testing.assert_allclose(hand.kinematics.directions(given, z).position, wanted, atol=1e-6)


def test_torch_computes_the_same_kinematics(any_robot: Robot, rng: np.random.Generator) -> None:
    import torch

    from nnik_ros.kinematics import KinematicParameters, build_chains, forward_kinematics, jacobian

    q = any_robot.random_joint_position(rng, 5)
    parameters = KinematicParameters(*(torch.tensor(np.array(p)) for p in any_robot.kinematics.parameters))
    frames = forward_kinematics(torch, build_chains(torch, any_robot.kinematics.topology, parameters), torch.tensor(q))
    np.testing.assert_allclose(frames.tip_position.numpy(), any_robot.kinematics.tip_position(q), atol=1e-12)
    np.testing.assert_allclose(jacobian(torch, frames).numpy(), any_robot.kinematics.tips(q).jacobian, atol=1e-12)


@pytest.mark.parametrize("path", ROBOTS, ids=lambda path: path.stem)
def test_joint_by_joint_and_all_at_once_are_the_same_kinematics_also_calibrated(path) -> None:
    robot = load_robot(path)
    rng = np.random.default_rng(2)
    nominal = robot.kinematics.parameters
    off = KinematicParameters(
        nominal.joint_origin_position + rng.normal(0, 0.002, nominal.joint_origin_position.shape),
        nominal.joint_origin_rotation,
        rng.normal(0, 0.05, robot.nq),
        nominal.tip_offset + rng.normal(0, 0.002, nominal.tip_offset.shape),
    )
    for kinematics in (robot.kinematics, robot.kinematics.calibrated(off)):
        q = robot.random_joint_position(rng, 40).reshape(8, 5, -1)
        frames, tips, reach = kinematics.frames(q), kinematics.tips(q), kinematics.reach.max()
        np.testing.assert_allclose(tips.position, frames.tip_position, rtol=0, atol=1e-14 * reach)
        np.testing.assert_allclose(kinematics.tip_position(q), frames.tip_position, rtol=0, atol=1e-14 * reach)
        np.testing.assert_allclose(tips.jacobian, jacobian(np, frames), rtol=0, atol=1e-13 * reach)


def test_calibration_moves_the_tips_as_its_numbers_say(planar: Robot) -> None:
    kinematics = planar.kinematics
    q = np.array([0.3, -0.4])
    turned = kinematics.calibrated(kinematics.parameters._replace(joint_zero=np.array([0.1, 0.0])))
    np.testing.assert_allclose(turned.tip_position(q), kinematics.tip_position(q + [0.1, 0.0]), atol=1e-12)
    longer = kinematics.calibrated(kinematics.parameters._replace(tip_offset=kinematics.parameters.tip_offset * 1.2))
    np.testing.assert_allclose(longer.tip_position(np.zeros(2))[0], [11.0, 0, 0], atol=1e-9)


@pytest.mark.parametrize(
    ("zero", "complaint"),
    [
        ([0.0, 0.0, 0.0], " and of shape (2,), has shape (3,)"),
        ([0.0, math.nan], ", has nan"),
        ([math.inf, 0.0], ", has inf"),
    ],
)
def test_calibration_of_another_shape_or_not_finite_is_refused_by_name_with_what_is_wrong(
    planar: Robot, zero: list[float], complaint: str
) -> None:
    with pytest.raises(InputError) as error:
        planar.kinematics.calibrated(planar.kinematics.parameters._replace(joint_zero=np.array(zero)))
    assert str(error.value) == f"joint_zero must be finite{complaint}"


def test_the_digest_tells_robots_apart_by_every_number_and_forgives_rounding(hand: Robot) -> None:
    topology, parameters = hand.kinematics.topology, hand.kinematics.parameters
    for nudge in (-1e-12, 1e-12):
        nudged = KinematicParameters(*(value + nudge for value in parameters))
        assert hand.kinematics.calibrated(nudged).digest() == hand.kinematics.digest()

    def shifted(value: np.ndarray) -> np.ndarray:
        return value + 1e-5 * (np.arange(value.size) == value.size - 1).reshape(value.shape)

    others = [
        hand.kinematics.calibrated(parameters._replace(**{n: shifted(v)})) for n, v in parameters._asdict().items()
    ]
    changes = {"chain": topology.chain[[1, 0, 2, 3]], "axis": -topology.axis, "tip_rotation": -topology.tip_rotation}
    others += [Kinematics.build(topology._replace(**{name: value}), parameters) for name, value in changes.items()]
    assert len({kinematics.digest() for kinematics in (hand.kinematics, *others)}) == 8


def test_nobody_writes_into_a_kinematics(planar: Robot) -> None:
    given = KinematicParameters(*(np.array(value) for value in planar.kinematics.parameters))
    kinematics = planar.kinematics.calibrated(given)
    given.tip_offset[:] = 9.0
    assert kinematics.parameters.tip_offset.tolist() == [[5.0, 0.0, 0.0]]
    own = (*kinematics.parameters, *kinematics.chains, kinematics.reach, kinematics.tip_of_joint, kinematics.model[1])
    assert not any(value.flags.writeable for value in own)


def test_chains_of_different_length_live_in_one_robot(make_planar_hand) -> None:
    robot = make_planar_hand({"short": 2, "long": 3})
    q = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    short, long = robot.kinematics.tip_position(q)
    np.testing.assert_allclose(short, _planar_chain(q[:2]), atol=1e-12)
    np.testing.assert_allclose(long, _planar_chain(q[2:]), atol=1e-12)
    assert np.all(robot.kinematics.tips(q).jacobian[0, :, 2] == 0.0)


def test_a_shorter_chain_is_the_same_all_at_once_and_its_tip_turns_with_its_own_joints(make_planar_hand, rng) -> None:
    kinematics = make_planar_hand({"long": 3, "short": 1, "other": 2, "last": 1}).kinematics
    for q in rng.uniform(-2.0, 2.0, (5, 7)):
        parts = q[:3], q[3:4], q[4:6], q[6:]
        frames = kinematics.frames(q)
        np.testing.assert_allclose(frames.tip_position, [_planar_chain(part) for part in parts], atol=1e-12)
        np.testing.assert_allclose(jacobian(np, frames), kinematics.tips(q).jacobian, atol=1e-12)
        turns = np.array([part.sum() for part in parts])
        for R, turn in zip(kinematics.tip_rotation(q), turns, strict=True):
            expected = [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
            np.testing.assert_allclose(R, expected, atol=1e-12)
        ahead = kinematics.directions(q, np.array([[1.0, 0.0, 0.0]] * 4))
        np.testing.assert_allclose(ahead.position[:, :2], np.stack([np.cos(turns), np.sin(turns)], -1), atol=1e-12)
        for part, turn, change in zip(parts, turns, ahead.jacobian, strict=True):
            own = np.arange(3) < len(part)
            np.testing.assert_allclose(change, np.outer([-np.sin(turn), np.cos(turn), 0.0], own), atol=1e-12)
        pose = kinematics.joint_pose(q, 0, 1)
        np.testing.assert_allclose(pose[:3, 3], [np.cos(q[0]), np.sin(q[0]), 0.0], atol=1e-12)
        np.testing.assert_allclose(pose[:2, 0], [np.cos(q[:2].sum()), np.sin(q[:2].sum())], atol=1e-12)
    assert kinematics.reach.tolist() == [3.0, 1.0, 2.0, 1.0]
    assert (kinematics.nq, kinematics.nt, kinematics.depth) == (7, 4, 3)
    assert kinematics.tip_of_joint.tolist() == [0, 0, 0, 1, 2, 2, 3]


def test_fixed_joints_before_between_and_behind_the_others_turn_and_shift_what_follows(
    rng: np.random.Generator,
) -> None:
    ways = [(1.0, 0.3, ""), (2.0 - 0.5j, 0.2, "a"), (1.0, -0.5, ""), (0.5 + 0.2j, 0.7, ""), (1.0j, 0.1, "b")]
    ways += [
        (1.0, 0.4, ""),
        (0.3 - 0.1j, 0.6, ""),
    ]  # in the plane: how far on, by how much turned, and which joint turns
    chain = []
    for i, (shift, turn, name) in enumerate(ways):
        frame = transform(rotation_about_axis((0, 0, 1), turn), (shift.real, shift.imag, 0.0))
        kind = REVOLUTE if name else FIXED
        chain.append(Joint(name or f"fixed_{i}", kind, str(i), str(i + 1), frame, np.array([0.0, 0.0, 1.0])))
    kinematics = kinematics_of_chains([chain], ["b", "a"])
    for q in rng.uniform(-2.0, 2.0, (5, 2)):
        place, heading = 0.0j, 0.0
        for shift, turn, name in ways:
            place += shift * np.exp(1j * heading)
            heading += turn + {"": 0.0, "a": q[1], "b": q[0]}[name]
        np.testing.assert_allclose(kinematics.tip_position(q), [[place.real, place.imag, 0.0]], atol=1e-12)
        ahead = kinematics.directions(q, np.array([[1.0, 0.0, 0.0]])).position
        np.testing.assert_allclose(ahead, [[np.cos(heading), np.sin(heading), 0.0]], atol=1e-12)


def _planar_chain(q: np.ndarray) -> list[float]:
    angles = np.cumsum(q)
    return [float(np.cos(angles).sum()), float(np.sin(angles).sum()), 0.0]
