"""The share of its speed that each tip uses."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import InputError
from nnik_ros.robot import Robot
from nnik_ros.states import Measurement, Targets

T = 1 / 333.0


class Run:
    """A perfect hand; keeps where the commands put the tips, (ticks, nt, 3) [m]."""

    def __init__(self, robot: Robot, **options) -> None:
        self.robot, self.q, self.now = robot, robot.home.copy(), 0.0
        self.controller = Controller(robot, None, ControllerOptions(target_timeout=0.0, **options))
        self.controller.start()
        self.commands: list[np.ndarray] = []

    def towards(self, goal: np.ndarray, ticks: int, then: ControllerOptions | None = None) -> np.ndarray:
        for _ in range(ticks):
            self.now += T
            targets = Targets(goal, np.full(self.robot.nt, self.now))
            self.q = self.controller.tick(self.now, Measurement(self.q, self.now), targets).command
            self.commands.append(self.q)
        if then:
            self.controller.set_options(then)
        return self.robot.kinematics.tip_position(np.array(self.commands))

    def fastest(self, tips: np.ndarray) -> np.ndarray:
        return (np.linalg.norm(np.diff(tips, axis=0), axis=-1) / T).max(axis=0)


def goal_of(robot: Robot) -> np.ndarray:
    return robot.kinematics.tip_position(np.clip(robot.home + 0.3, robot.lower + 0.1, robot.upper - 0.1))


def test_a_tip_of_half_weight_is_half_as_fast_and_the_others_keep_their_pace(hand: Robot) -> None:
    full, half = Run(hand, speed=0.2), Run(hand, speed=0.2, tip_weight=(1.0, 0.5, 1.0, 1.0))
    pace = full.fastest(full.towards(goal_of(hand), 400))
    slowed = half.fastest(half.towards(goal_of(hand), 400))
    assert slowed[1] / pace[1] == pytest.approx(0.5, rel=0.1)
    assert slowed[[0, 2, 3]] == pytest.approx(pace[[0, 2, 3]], rel=0.02)


def test_a_tip_of_weight_zero_stays_and_follows_once_it_has_weight(hand: Robot) -> None:
    run, goal = Run(hand, tip_weight=(1.0, 1.0, 1.0, 0.0)), goal_of(hand)
    tips = run.towards(goal, 500, then=ControllerOptions(target_timeout=0.0))
    assert np.abs(tips[:, 3] - tips[0, 3]).max() < 1e-4  # its posture may settle
    assert np.linalg.norm(tips[-1, :3] - goal[:3], axis=-1).max() < 1e-3
    assert np.linalg.norm(run.towards(goal, 500)[-1] - goal, axis=-1).max() < 1e-3


def test_a_change_of_weights_in_motion_keeps_every_joint_within_its_acceleration(hand: Robot) -> None:
    run, goal = Run(hand), goal_of(hand)
    for weight in (0.1, 1.0, 0.0, 0.7):
        run.towards(goal, 25, then=ControllerOptions(target_timeout=0.0, tip_weight=(weight, 1.0, weight, 1.0)))
    run.towards(goal, 200)
    change = np.abs(np.diff(np.array(run.commands), n=2, axis=0)) / T**2
    assert (change <= hand.acceleration * 1.001).all()


def test_another_number_of_weights_than_tips_is_refused(hand: Robot) -> None:
    with pytest.raises(InputError, match="tip_weight: has 2 values, must be 1 or 4"):
        Controller(hand, None, ControllerOptions(tip_weight=(1.0, 0.5)))


def test_of_a_robot_with_one_tip_one_weight_is_asked_for() -> None:
    with pytest.raises(InputError, match=r"tip_weight: has 2 values, must be 1$"):
        ControllerOptions(tip_weight=(1.0, 0.5)).tip_speed(1)
