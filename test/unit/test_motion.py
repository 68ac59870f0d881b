from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.limits import Limit
from nnik_ros.motion import JointMotion
from nnik_ros.robot import Robot
from nnik_ros.states import Measurement, Targets, TipState

T = 1 / 333.0


def moved(motion: JointMotion, wishes, followed: float = 0.5, **options) -> tuple[np.ndarray, np.ndarray, int]:
    """Positions, velocities and all that limited them, of a hand that is where it is told to be."""
    q, v, limited = [], [], 0
    for wish in wishes:
        wanted, share = np.asarray(wish, dtype=float), np.array([followed])
        limited |= int(motion.step(wanted, share, motion.q, ControllerOptions(**options)).limited.max())
        q.append(motion.q)
        v.append(motion.v)
    return np.array(q), np.array(v), limited


def test_a_far_wish_is_approached_at_the_full_velocity_for_no_bound_is_near(planar: Robot) -> None:
    motion = JointMotion(planar, planar.kinematics, None, T)
    motion.seed(np.array([-1.0, -1.0]))
    _, v, limited = moved(motion, [[1.0, 1.0]] * 400)
    assert v.max() == pytest.approx(planar.velocity.max())
    assert not limited & Limit.LEAD
    np.testing.assert_allclose(motion.q, [1.0, 1.0], atol=1e-6)


def test_a_lead_bound_that_is_near_slows_and_says_so(planar: Robot) -> None:
    motion = JointMotion(planar, planar.kinematics, None, T)
    motion.seed(np.array([-1.0, -1.0]))
    _, v, limited = moved(motion, [[1.0, 1.0]] * 400, max_lead=0.05)
    assert 0.5 < v.max() < 0.9 * planar.velocity.max()
    assert limited & Limit.LEAD


@pytest.mark.parametrize("pace", [0.5, 1.0, 1.5])
def test_a_wish_that_moves_is_caught_up_with_and_then_followed(planar: Robot, pace: float) -> None:
    """A stop at each of its places would need the way that the joint takes to brake."""
    motion = JointMotion(planar, planar.kinematics, None, T)
    motion.seed(np.array([-1.0, -1.0]))
    wishes = -0.7 + pace * T * np.arange(300)[:, None] + np.zeros(2)
    q, _, _ = moved(motion, wishes, followed=1.0)
    np.testing.assert_allclose(q[-1], wishes[-1], atol=1e-9)


@pytest.mark.parametrize("part", [0.05, 0.2, 0.5, 0.8, 1.0])
def test_a_wish_that_is_a_part_of_the_way_is_never_taken_for_one_that_moves_so_that_its_end_is_overshot(
    planar: Robot, part: float
) -> None:
    motion = JointMotion(planar, planar.kinematics, None, T)
    motion.seed(np.array([-1.0, -1.0]))
    goal = np.array([0.2, 0.4])
    path = []
    for _ in range(1500):
        moved(motion, [motion.q + part * (goal - motion.q)])
        path.append(motion.q)
    assert (np.array(path) - goal).max() < 0.003  # the rounding of periods; the way is 1.4 rad
    np.testing.assert_allclose(path[-1], goal, atol=1e-3)


def test_a_hand_goes_home_at_half_the_velocity_of_its_joints(hand: Robot) -> None:
    q = np.clip(hand.home + 1.5, hand.lower, hand.upper)
    controller = Controller(hand, None, ControllerOptions(), None)
    controller.start()
    controller.home()
    commands = []
    for tick in range(700):
        now = 1.0 + tick * T
        result = controller.tick(
            now, Measurement(q, now), Targets(np.full((hand.nt, 3), np.nan), np.full(hand.nt, -np.inf))
        )
        q = result.command
        commands.append(q)
    speed = np.abs(np.diff(commands, axis=0)) / T
    assert speed.max() == pytest.approx(0.5 * hand.velocity.max(), rel=1e-3)
    np.testing.assert_allclose(q, hand.home, atol=1e-6)


def test_a_finger_far_from_its_closest_point_goes_there_faster_than_one_period_would_let_it_stop(hand: Robot) -> None:
    """Beyond the reach the way is always long; a way cut to a period and stopped at its end took three times as long."""
    q = hand.lower + 0.3 * (hand.upper - hand.lower)
    base = hand.kinematics.first_joint_position
    away = hand.kinematics.tip_position(hand.lower + 0.7 * (hand.upper - hand.lower)) - base
    target = base + away * (hand.kinematics.reach / np.linalg.norm(away, axis=-1))[:, None] * 1.05
    controller = Controller(hand, None, ControllerOptions(target_timeout=0.0), None)
    controller.start()
    commands, states = [], []
    for tick in range(400):
        now = 1.0 + tick * T
        result = controller.tick(now, Measurement(q, now), Targets(target, np.zeros(hand.nt)))
        q = result.command
        commands.append(q)
        states.append(result.hand_state)
    speed = np.abs(np.diff(commands, axis=0)) / T
    assert speed.max() > 0.5 * hand.velocity.max()
    assert states[-1] is TipState.UNREACHABLE
