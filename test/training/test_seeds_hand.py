"""The hand as an environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from nnik_ros.errors import InputError
from nnik_ros.paths import share_dir
from nnik_ros.robot import Robot
from nnik_ros.training.graph import Graph
from nnik_ros.training.seeds.hand_env import ENV_ID, EPISODE, HandEnv, graph_observation, joint_moves, observation


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("physics", [False, True])
@pytest.mark.parametrize("discrete", [False, True])
def test_the_environment_passes_the_checker_of_gymnasium(physics: bool, discrete: bool) -> None:
    env = gymnasium.make(ENV_ID, physics=physics, discrete=discrete)
    check_env(env.unwrapped, skip_render_check=True)


def test_an_episode_is_truncated_after_its_length() -> None:
    env = gymnasium.make(ENV_ID)
    env.reset(seed=1)
    ends = [env.step(0)[3] for _ in range(EPISODE)]
    assert ends == [False] * (EPISODE - 1) + [True]


def test_an_action_moves_one_joint_and_the_next_sixteen_move_it_back() -> None:
    env = HandEnv(step=0.05)
    start = env.robot.home
    env.reset(seed=1, options={"q": start})
    moved = env.step(3)[4]["joint_position"]
    assert np.allclose(moved - start, 0.05 * np.eye(16)[3])
    assert np.allclose(env.step(16 + 3)[4]["joint_position"], start)
    assert len(joint_moves(16, 0.05)) == 32


def test_joints_stay_inside_their_limits_whatever_the_actions() -> None:
    env = HandEnv(step=2.0, discrete=False)
    env.reset(seed=1)
    for sign in (1.0, -1.0):
        q = env.step(np.full(16, sign, dtype=np.float32))[4]["joint_position"]
        assert np.all((q >= env.robot.lower) & (q <= env.robot.upper))
        assert np.abs(q).max() > 0.4


def test_going_to_the_goal_is_rewarded_by_the_way_made_and_ends_the_episode() -> None:
    env = HandEnv(step=0.1, discrete=False)
    target = env.robot.kinematics.tip_position(env.robot.home + 0.08)
    env.reset(seed=1, options={"q": env.robot.home, "target": target})
    _, reward, ended, _, info = env.step(np.full(16, 0.8, dtype=np.float32))
    way = (
        np.linalg.norm(target - env.robot.kinematics.tip_position(env.robot.home), axis=-1) / env.robot.kinematics.reach
    )
    assert reward == pytest.approx(10.0 * way.mean() + 1.0, abs=1e-6)
    assert ended
    assert info["tip_error"].max() < 1e-6


NAN = float("nan")


@pytest.mark.parametrize("physics", [False, True])
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"q": np.zeros(3)}, r"q have shape \(3,\), must have \(16,\)"),
        ({"q": np.full(16, NAN)}, r"q are \[nan, .* must be finite"),
        ({"target": np.zeros((3, 4))}, r"target have shape \(3, 4\), must have \(4, 3\)"),
        ({"target": np.full((4, 3), NAN)}, r"target are \[\[nan, .* must be finite"),
        ({"home": np.zeros(16)}, "options home are unknown"),
    ],
)
def test_a_reset_with_wrong_options_is_refused_and_changes_nothing(physics: bool, options, complaint: str) -> None:
    env, same = (HandEnv(discrete=False, physics=physics) for _ in range(2))
    for each in (env, same):
        each.reset(seed=1)
    with pytest.raises(InputError, match=complaint):
        env.reset(seed=7, options=options)
    still = np.zeros(16, dtype=np.float32)
    np.testing.assert_array_equal(env.step(still)[0], same.step(still)[0])
    np.testing.assert_array_equal(env.reset()[0], same.reset()[0], "the random numbers are as they were, too")


@pytest.mark.parametrize(
    ("discrete", "action"),
    [(True, -1), (True, 32), (True, 3.7), (True, np.array([3])), (True, None)]
    + [(False, action) for action in (np.full(16, NAN), np.ones(1), np.ones(3), 1.0, None)],
)
def test_what_is_no_action_is_refused_and_moves_nothing(discrete: bool, action: Any) -> None:
    env = HandEnv(discrete=discrete)
    env.reset(seed=1, options={"q": env.robot.home})
    with pytest.raises(InputError, match="action"):
        env.step(action)
    there = env.step(3 if discrete else np.zeros(16))[4]["joint_position"]
    np.testing.assert_allclose(there - env.robot.home, (0.1 if discrete else 0.0) * np.eye(16)[3], atol=1e-12)


@pytest.mark.parametrize("wrong", [{"step": 0.0}, {"step": NAN}, {"near": NAN}, {"near": 0.0}, {"near": 5.0}])
def test_an_environment_with_a_step_or_a_share_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(InputError, match=f"{name} is {value}, must be above 0"):
        HandEnv(**wrong)


def test_arrays_that_a_reset_was_given_may_be_written_to_afterwards() -> None:
    env = HandEnv(discrete=False)
    q, target = env.robot.home.copy(), env.robot.kinematics.tip_position(env.robot.home)
    env.reset(seed=1, options={"q": q, "target": target})
    q[:], target[:] = 0.5, 9.0
    info = env.step(np.zeros(16, dtype=np.float32))[4]
    np.testing.assert_array_equal(info["joint_position"], env.robot.home)
    assert info["tip_error"].max() < 1e-12


def test_in_physics_the_hand_goes_most_of_the_way_to_a_commanded_goal() -> None:
    env = HandEnv(step=0.1, discrete=False, physics=True)
    target = env.robot.kinematics.tip_position(env.robot.home + 0.08)
    env.reset(seed=1, options={"q": env.robot.home, "target": target})
    before = np.linalg.norm(target - env.robot.kinematics.tip_position(env.robot.home), axis=-1)
    for size in (0.8, 0.0, 0.0, 0.0, 0.0, 0.0):
        after = env.step(np.full(16, size, dtype=np.float32))[4]["tip_error"]
    assert after.mean() < 0.5 * before.mean()


def test_physics_moves_the_joints_less_than_the_command_within_a_tick() -> None:
    moved: dict[bool, Any] = {}
    for physics in (False, True):
        env = HandEnv(step=0.3, discrete=False, physics=physics)
        env.reset(seed=1, options={"q": env.robot.home})
        moved[physics] = env.step(np.ones(16, dtype=np.float32))[4]["joint_position"] - env.robot.home
    assert not np.allclose(moved[True], moved[False], atol=1e-4)
    assert np.all(np.abs(moved[True]).max() > 0.05)


def test_the_graph_sees_what_the_environment_shows(hand: Robot, rng: np.random.Generator) -> None:
    q, goal = (hand.random_joint_position(rng, 5) for _ in range(2))
    tip, target = hand.kinematics.tip_position(q), hand.kinematics.tip_position(goal)
    graph = Graph()
    values = [
        graph.input(name, array.astype(np.float32)) for name, array in (("q", q), ("target", target), ("tip", tip))
    ]
    seen = graph_observation(hand, graph, *values).example
    assert np.allclose(seen, [observation(hand, *row) for row in zip(q, tip, target, strict=True)], atol=1e-5)


def test_a_hand_of_ones_own_is_simulated_as_the_folder_beside_its_file_says() -> None:
    gripper = share_dir() / "examples" / "three_fingers" / "three_fingers.yaml"
    env = HandEnv(str(gripper), step=0.1, discrete=False, physics=True)
    env.reset(seed=1, options={"q": env.robot.home})
    moved = env.step(np.ones(env.robot.nq, dtype=np.float32))[4]["joint_position"] - env.robot.home
    assert (np.abs(moved) > 0.01).all() and not np.allclose(moved, 0.1, rtol=0.0, atol=1e-6)
