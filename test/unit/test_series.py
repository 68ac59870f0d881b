"""Sums of sines against the product of link transforms, and derivatives against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.collision import CollisionModel
from nnik_ros.kinematics import KinematicParameters, jacobian
from nnik_ros.paths import share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.series import constant, series_of, side_by_side

ROBOTS = sorted((share_dir() / "config" / "robots").glob("*.yaml"))


def test_the_series_of_a_planar_arm_is_its_closed_form() -> None:
    def tip(q):
        return np.stack([np.cos(q[:, 0]) + 2.0 * np.cos(q.sum(1)), np.sin(q[:, 0]) + 2.0 * np.sin(q.sum(1))], axis=1)

    series = series_of(tip, np.array([0, 1]), 2)
    assert series.weight.shape == (4, 2)  # sine and cosine of q0 and of q0 + q1, and nothing else
    q = np.random.default_rng(0).uniform(-9.0, 9.0, (50, 2))
    np.testing.assert_allclose(series.at(q), tip(q), rtol=0, atol=1e-14)


def test_derivatives_agree_with_finite_differences() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3))

    def values(q):
        return np.cos(q[:, [1]]) * np.sin(q[:, [2]]) * a + np.sin(q[:, [1]]) * b

    series, h = series_of(values, np.array([1, 2]), 3), 1e-6
    q = rng.uniform(-3.0, 3.0, 3)
    slopes = np.array([(values((q + h * e)[None]) - values((q - h * e)[None]))[0] / (2 * h) for e in np.eye(3)])
    np.testing.assert_allclose(series.slopes(q) @ series.weight, slopes, rtol=0, atol=1e-9)
    for joint in range(3):
        np.testing.assert_allclose(series.derivative(joint).at(q), slopes[joint], rtol=0, atol=1e-9)


def test_series_side_by_side_keep_their_values_and_share_their_terms() -> None:
    first = series_of(np.sin, np.array([0]), 1)
    both = side_by_side([first, constant(np.array([3.0, 4.0]), 1), first.times(np.array([[2.0]]))])
    np.testing.assert_allclose(both.at(np.array([0.5])), [np.sin(0.5), 3.0, 4.0, 2.0 * np.sin(0.5)], rtol=0, atol=1e-15)
    assert both.weight.shape == (2, 4)


@pytest.mark.parametrize("path", ROBOTS, ids=lambda path: path.stem)
def test_tips_and_jacobians_agree_with_the_product_of_link_transforms(path) -> None:
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


def test_gradients_of_clearances_agree_with_finite_differences_also_on_a_calibrated_hand(hand: Robot) -> None:
    rng, h = np.random.default_rng(3), 1e-6
    nominal = hand.kinematics.parameters
    longer = hand.kinematics.calibrated(
        nominal._replace(tip_offset=nominal.tip_offset * 1.05, joint_zero=np.full(16, 0.03))
    )
    model = CollisionModel(hand)
    before = model.distances(hand.home)
    model.set_kinematics(longer)
    assert np.abs(model.distances(hand.home) - before).max() > 1e-3
    off = []
    for q in hand.random_joint_position(rng, 20):
        pairs = np.flatnonzero(model.distances(q) > 1e-3)
        steps = h * np.eye(hand.nq)
        slopes = (model.distances(q + steps) - model.distances(q - steps)) / (2 * h)
        off.append(np.abs(model.gradients(q, pairs) - slopes.T[pairs]).ravel())
    # the distance of two segments has kinks, which a difference over them shows
    assert np.quantile(np.concatenate(off), 0.99) < 1e-6
