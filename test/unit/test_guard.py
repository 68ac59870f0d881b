from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.guard import GuardedPolicy, Solver
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot
from test.policies import Proposal


def guarded(robot: Robot, proposal) -> GuardedPolicy:
    return GuardedPolicy(Proposal(robot, proposal))


def situation(robot: Robot, rng: np.random.Generator, n: int = 50):
    return robot.random_joint_position(rng, n), robot.kinematics.tip_position(robot.random_joint_position(rng, n))


@pytest.mark.parametrize(
    "proposal",
    [
        lambda q, target: q * np.nan,
        lambda q, target: q * 0.0 + np.inf,
        lambda q, target: q,
        lambda q, target: q + 0.5 * np.sin(50 * q),
        lambda q, target: -q,
    ],
    ids=["nan", "inf", "nothing", "noise", "flip"],
)
def test_whatever_a_network_proposes_no_tip_gets_farther_from_its_target(hand, rng, proposal) -> None:
    q, target = situation(hand, rng)
    step = guarded(hand, proposal).checked_step(q, target)
    reached = np.linalg.norm(hand.kinematics.tip_position(step.q) - target, axis=-1)
    assert np.all(reached <= step.start_error)
    np.testing.assert_allclose(reached, step.error, atol=1e-12)
    assert np.isfinite(step.q).all()
    assert (
        np.all((step.q >= hand.lower - 1e-12) & (step.q <= hand.upper + 1e-12))
        or np.isfinite(proposal(q, target)).all()
    )


def test_a_network_that_goes_nowhere_but_rounds_its_answer_leaves_every_step_to_the_stand_in(hand, rng) -> None:
    q, target = situation(hand, rng)
    step = guarded(hand, lambda q, target: q.astype(np.float32).astype(float)).checked_step(q, target)
    assert np.isin(step.solver, (Solver.STAND_IN, Solver.HOLD)).all()


def test_a_perfect_network_is_taken_as_it_is(hand, rng) -> None:
    q, goal = hand.random_joint_position(rng, 2)
    step = guarded(hand, lambda *_: goal).checked_step(q, hand.kinematics.tip_position(goal))
    np.testing.assert_array_equal(step.q, goal)
    assert np.all(step.solver == Solver.NETWORK)


@pytest.mark.parametrize(("overshoot", "part"), [(2.6, 0.5), (3.9, 0.5), (4.1, 0.25), (7.9, 0.25)])
def test_an_overshooting_network_is_shortened_to_the_longest_part_that_helps(planar, overshoot, part) -> None:
    q, way = np.array([0.2, 0.8]), np.array([0.005, 0.0])
    target = planar.kinematics.tip_position(q + way)
    step = guarded(planar, lambda q, _: q + overshoot * way).checked_step(q, target)
    assert step.solver.tolist() == [Solver.SHORTENED]
    np.testing.assert_allclose(step.q, q + part * overshoot * way)


def test_a_way_that_begins_away_from_the_target_is_taken_in_one_with_its_next_step(planar) -> None:
    start, goal = np.array([0.2, 0.8]), np.array([0.5, 0.8])
    network = guarded(planar, lambda q, _: q - [0.1, 0.0] if np.allclose(q, start) else np.broadcast_to(goal, q.shape))
    target = planar.kinematics.tip_position(goal)
    assert network.checked_step(start, target).solver.tolist() != [Solver.NETWORK]
    step = network.checked_step(start, target, look_ahead=True)
    assert step.solver.tolist() == [Solver.NETWORK]
    np.testing.assert_allclose(step.q, goal)
    assert step.error[0] < 1e-9 < step.start_error[0]


@pytest.mark.parametrize(
    ("detour", "solver"), [(0.0, Solver.NETWORK), (-0.15, Solver.NETWORK), (-0.5, Solver.STAND_IN)]
)
def test_a_step_too_long_for_a_period_counts_as_far_as_the_joints_go_and_leads_unless_another_gains_twice_as_much(
    planar, detour, solver
) -> None:
    q, goal = np.array([0.2, 0.8]), np.array([0.5, 0.9])
    wanted = goal + [0.0, detour]
    target, largest = planar.kinematics.tip_position(goal), np.array([0.01, 0.01])
    policy = GuardedPolicy(Proposal(planar, lambda *_: wanted), largest)
    step = policy.checked_step(q, target)
    assert step.solver.tolist() == [solver]
    way = step.q - q
    at_once = q + way * min(1.0, 0.01 / np.abs(way).max())
    reached = np.linalg.norm(planar.kinematics.tip_position(at_once) - target, axis=-1)
    np.testing.assert_allclose(step.error, reached)
    assert np.all(reached < step.start_error)
    if solver is Solver.NETWORK:
        np.testing.assert_allclose(step.q, wanted)
    assert step.followed.tolist() == [0.5]


def test_a_long_way_ends_where_a_period_ends_if_its_own_end_is_farther_from_the_target(planar) -> None:
    q, goal = np.array([0.2, 0.8]), np.array([0.5, 0.9])
    target, largest = planar.kinematics.tip_position(goal), np.array([0.01, 0.01])
    beyond = q + 3.0 * (goal - q)
    step = GuardedPolicy(Proposal(planar, lambda *_: beyond), largest).checked_step(q, target)
    assert step.solver.tolist() == [Solver.NETWORK]
    np.testing.assert_allclose(step.q, q + (beyond - q) * 0.01 / np.abs(beyond - q).max())
    assert step.followed.tolist() == [0.0]


def test_who_led_a_long_step_goes_on_to_lead_unless_the_other_gains_twice_as_much(planar) -> None:
    q, goal = np.array([0.2, 0.8]), np.array([0.5, 0.9])
    target, largest = planar.kinematics.tip_position(goal), np.array([0.01, 0.01])
    policy = GuardedPolicy(Proposal(planar, lambda *_: goal), largest)
    for last, leads in ((Solver.NETWORK, Solver.NETWORK), (Solver.STAND_IN, Solver.STAND_IN)):
        assert policy.checked_step(q, target, np.array([last])).solver.tolist() == [leads]
    weak = goal - [0.0, 0.5]  # gains less than half as much
    policy = GuardedPolicy(Proposal(planar, lambda *_: weak), largest)
    assert policy.checked_step(q, target, np.array([Solver.NETWORK])).solver.tolist() == [Solver.STAND_IN]


@pytest.mark.parametrize(("last", "change"), [(Solver.NETWORK, 2.0), (Solver.STAND_IN, 0.5)])
def test_the_lead_over_a_long_way_changes_exactly_where_the_other_one_gains_twice_as_much(
    planar, rng, last: Solver, change: float
) -> None:
    largest = np.array([0.01, 0.01])
    ratios: dict[Solver, list[float]] = {solver: [] for solver in Solver}
    for q, wanted, goal in rng.uniform(0.05, 1.5, (4000, 3, 2)):
        target = planar.kinematics.tip_position(goal)
        policy = GuardedPolicy(Proposal(planar, lambda *_, wanted=wanted: wanted), largest)
        step, alone = policy.checked_step(q, target, np.array([last])), policy.checked_step(q, target, use_policy=False)
        way = wanted - q
        at_once = planar.kinematics.tip_position(q + way * min(1.0, 0.01 / np.abs(way).max()))
        gain = step.start_error[0] - np.linalg.norm(at_once - target)
        if gain > 0.001 * step.start_error[0] > 0.001 * 0.01 * planar.kinematics.reach[0]:
            ratios[Solver(int(step.solver[0]))].append((alone.start_error[0] - alone.error[0]) / gain)
    assert 0.8 * change < max(ratios[Solver.NETWORK]) <= change
    assert change <= min(ratios[Solver.STAND_IN]) < 1.2 * change


def test_one_bad_finger_does_not_cost_the_others_their_step(hand, rng) -> None:
    q, goal = hand.random_joint_position(rng, 2)
    proposal = goal.copy()
    proposal[4:8] = np.nan
    step = guarded(hand, lambda *_: proposal).checked_step(q, hand.kinematics.tip_position(goal))
    assert step.solver[[0, 2, 3]].tolist() == [Solver.NETWORK] * 3
    assert step.solver[1] in (Solver.STAND_IN, Solver.HOLD)
    np.testing.assert_array_equal(step.q[[*range(4), *range(8, 16)]], goal[[*range(4), *range(8, 16)]])


def test_a_step_of_another_shape_than_the_joints_is_refused(hand, rng) -> None:
    q, target = situation(hand, rng, 2)
    for wrong in (lambda q, _: q[..., :-1], lambda q, _: q[None], lambda q, _: np.zeros(hand.nq)):
        with pytest.raises(ValueError, match=r"proposal: a step has shape .*, must have \(2, 16\)"):
            guarded(hand, wrong).checked_step(q, target)


def test_a_tip_at_its_target_holds_bit_for_bit(hand, rng) -> None:
    q = hand.random_joint_position(rng, 1)[0]
    step = guarded(hand, lambda q, _: q + 1e-3).checked_step(q, hand.kinematics.tip_position(q))
    np.testing.assert_array_equal(step.q, q)


def test_a_guarded_step_is_taken_down_to_a_millionth_of_the_reach_and_none_below(hand, rng) -> None:
    q = 0.5 * hand.random_joint_position(rng, 100) + 0.25 * (hand.lower + hand.upper)
    policy, target = GuardedPolicy(DampedLeastSquares(hand)), hand.kinematics.tip_position(q)
    for off, goes in ((2e-6, True), (0.5e-6, False)):
        away = off * hand.kinematics.reach[:, None] * np.array([0.6, 0.0, 0.8])
        step = policy.checked_step(q, target + away)
        assert np.all(np.isin(step.solver, (Solver.NETWORK, Solver.SHORTENED, Solver.STAND_IN)) == goes)
        assert np.all((step.error < step.start_error) == goes)
        assert step.helped.all()


def test_damped_least_squares_reaches_a_near_target_to_rounding(any_robot, rng) -> None:
    solver = DampedLeastSquares(any_robot)
    goal = 0.5 * any_robot.random_joint_position(rng, 200) + 0.25 * (any_robot.lower + any_robot.upper)
    target = any_robot.kinematics.tip_position(goal)
    q = goal + rng.uniform(-0.02, 0.02, goal.shape)
    for _ in range(12):
        q = solver.step(q, target)
    error = np.linalg.norm(any_robot.kinematics.tip_position(q) - target, axis=-1) / any_robot.kinematics.reach
    assert np.median(error) < 1e-9
    assert np.mean(error < 1e-4) > 0.97


@pytest.mark.parametrize("name", ["allegro_right", "allegro_v5_b_left"])
def test_no_step_of_damped_least_squares_from_corners_of_the_limits_leaves_them(name: str, rng) -> None:
    """A joint that makes up for two others at their limits may itself be sent beyond its own."""
    robot = load_robot(robot_file(name))
    q = robot.random_joint_position(rng, 2000)
    q = np.where(rng.random(q.shape) < 0.6, np.where(rng.random(q.shape) < 0.5, robot.lower, robot.upper), q)
    solver, target = DampedLeastSquares(robot), robot.kinematics.tip_position(q + rng.normal(0.0, 0.3, q.shape))
    for q_next in (solver.step(q, target), solver.descent(q, target, 3)):
        assert np.all((q_next >= robot.lower) & (q_next <= robot.upper))


def test_guarded_damped_least_squares_ends_at_the_closest_point_of_an_unreachable_target(planar) -> None:
    solver, target = DampedLeastSquares(planar), np.array([[9.0, 12.0, 0.0]])
    q = np.array([0.5, 0.6])
    for _ in range(100):
        q = GuardedPolicy(solver).step(q, target)
    np.testing.assert_allclose(planar.kinematics.tip_position(q)[0], [6.0, 8.0, 0.0], atol=1e-3)


def test_a_batch_gives_every_hand_the_step_that_it_has_alone(hand, rng) -> None:
    q, target = situation(hand, rng, 40)
    for proposal in (lambda q, _: q + 0.5 * np.sin(50 * q), lambda q, _: np.where(q > 0.3, np.nan, 0.9 * q)):
        policy = guarded(hand, proposal)
        together = policy.checked_step(q, target, look_ahead=True)
        for i in range(len(q)):
            alone = policy.checked_step(q[i], target[i], look_ahead=True)
            for all_, one in zip(together, alone, strict=True):
                np.testing.assert_allclose(all_[i], one, atol=1e-9)
