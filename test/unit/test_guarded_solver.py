from __future__ import annotations

import re

import numpy as np
import pytest

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.errors import InputError
from nnik_ros.guard import GuardedPolicy
from nnik_ros.guarded_solver import GuardedSolver
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot
from test.policies import Proposal


def errors(robot: Robot, q: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.linalg.norm(robot.kinematics.frames(q).tip_position - target, axis=-1)


def test_from_a_millimetre_one_step_leads_to_a_hundredth_of_it(hand, rng) -> None:
    goal = 0.8 * hand.random_joint_position(rng, 300) + 0.1 * (hand.lower + hand.upper)
    target = hand.kinematics.frames(goal).tip_position
    near = goal + rng.normal(0.0, 0.01, goal.shape)
    q = GuardedSolver(Proposal(hand, lambda *_: near), DampedLeastSquares(hand)).step(
        hand.random_joint_position(rng, 300), target
    )
    before, after = errors(hand, near, target), errors(hand, q, target)
    assert 3e-4 < np.median(before) < 3e-3
    assert np.mean(after <= 1e-4 * hand.kinematics.reach) > 0.97 and np.median(after) < 1e-5


@pytest.mark.parametrize(
    "proposal",
    [
        lambda q, _: q + 0.5 * np.sin(50 * q),
        lambda q, _: np.full(q.shape, np.nan),
        lambda q, _: np.where(q > 0.3, np.inf, 0.9 * q),
        lambda q, _: q,
        lambda q, _: 1e6 * q,
    ],
)
def test_whatever_the_network_says_no_error_increases_and_every_end_is_finite(hand, rng, proposal) -> None:
    q, goal = (hand.random_joint_position(rng, 60) for _ in range(2))
    target = hand.kinematics.tip_position(goal) + rng.normal(0.0, 0.02, (60, hand.nt, 3))  # many of them out of reach
    solver = GuardedSolver(Proposal(hand, proposal), DampedLeastSquares(hand))
    for _ in range(3):
        end = solver.step(q, target)
        assert np.isfinite(end).all()
        assert (errors(hand, end, target) <= errors(hand, q, target) + 1e-12).all()
        q = end


def test_a_batch_gives_every_hand_the_step_that_it_has_alone(hand, rng) -> None:
    q, goal = (hand.random_joint_position(rng, 40) for _ in range(2))
    target = hand.kinematics.tip_position(goal)
    solver = GuardedSolver(Proposal(hand, lambda q, _: np.where(q > 0.3, np.nan, 0.9 * q)), DampedLeastSquares(hand))
    together = solver.step(q, target)
    np.testing.assert_allclose(
        np.stack([solver.step(a, b) for a, b in zip(q, target, strict=True)]), together, atol=1e-9
    )
    np.testing.assert_array_equal(
        solver.step(q.reshape(8, 5, -1), target.reshape(8, 5, -1, 3)).reshape(q.shape), together
    )


def test_a_tip_that_stands_still_far_from_its_target_starts_anew_but_not_under_the_guard_alone(planar) -> None:
    stretched, goal = np.array([0.2, 0.0]), np.array([0.5, 1.2])
    middle = 0.5 * (planar.lower + planar.upper)
    direction = planar.kinematics.tip_position(stretched)
    target = (
        direction * np.linalg.norm(planar.kinematics.tip_position(goal)) / np.linalg.norm(direction)
    )  # no slope leads there
    ends = goal + [0.2 - np.arctan2(*planar.kinematics.tip_position(goal)[0, 1::-1]), 0.0]

    def network(q, _):
        return np.where(np.all(np.isclose(q, stretched), axis=-1, keepdims=True), q, ends)

    solver = GuardedSolver(Proposal(planar, network), DampedLeastSquares(planar))
    np.testing.assert_allclose(solver.guard.step(stretched, target), stretched, atol=1e-9)
    for start in (stretched, stretched[None], np.stack([stretched, middle])):
        q = solver.step(start, np.broadcast_to(target, (*start.shape[:-1], 1, 3)))
        assert q.shape == start.shape
        assert np.linalg.norm(planar.kinematics.tip_position(q) - target, axis=-1).max() < 1e-9


def test_solving_takes_the_steps_that_separate_calls_take_and_no_more_than_each_hand_needs(hand, rng) -> None:
    q, goal = (hand.random_joint_position(rng, 40) for _ in range(2))
    target = hand.kinematics.tip_position(goal)
    solver = GuardedSolver(DampedLeastSquares(hand), DampedLeastSquares(hand))
    solution = solver.solve(q, target, tolerance=1e-5, steps=7)
    assert len(set(solution.steps.tolist())) > 1
    for k, (end, wanted) in enumerate(zip(q, target, strict=True)):
        for _ in range(solution.steps[k]):
            assert errors(hand, end, wanted).max() > 1e-5
            end = solver.step(end, wanted)
        np.testing.assert_allclose(end, solution.q[k], atol=1e-9)
    np.testing.assert_allclose(solution.error, errors(hand, solution.q, target), atol=1e-12)
    assert np.all((solution.error.max(axis=-1) <= 1e-5) | (solution.steps == 7))


def test_solving_out_of_reach_says_how_far_the_closest_point_is(planar) -> None:
    target = np.array([[3.0 * planar.kinematics.reach[0], 0.0, 0.0]])
    solver = GuardedSolver(DampedLeastSquares(planar), DampedLeastSquares(planar))
    solution = solver.solve(np.array([0.4, 0.5]), target, steps=60)
    assert solution.q.shape == (2,) and solution.steps == 60
    np.testing.assert_allclose(solution.error, 2.0 * planar.kinematics.reach, rtol=1e-4)


def test_solving_begins_inside_the_limits_and_takes_no_hand_at_all(hand, rng) -> None:
    solver = GuardedSolver(DampedLeastSquares(hand), DampedLeastSquares(hand))
    outside = hand.upper + 5.0
    solution = solver.solve(outside, hand.kinematics.tip_position(outside))
    assert np.all(solution.q <= hand.upper) and np.all(solution.q >= hand.lower)
    nobody = solver.solve(np.empty((0, hand.nq)), np.empty((0, hand.nt, 3)))
    assert nobody.q.shape == (0, hand.nq) and nobody.error.shape == (0, hand.nt) and nobody.steps.shape == (0,)


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.float16])
def test_joints_and_targets_of_any_kind_of_number_are_taken_as_the_numbers_that_they_are(hand, kind) -> None:
    damped = DampedLeastSquares(hand)
    solver = GuardedSolver(damped, damped)
    q = np.round(hand.home).astype(kind)
    target = np.round(20.0 * hand.kinematics.tip_position(hand.home)).astype(kind)
    doubles = q.astype(np.float64), target.astype(np.float64)
    np.testing.assert_array_equal(solver.step(q, target), solver.step(*doubles))
    np.testing.assert_array_equal(GuardedPolicy(damped).step(q, target), GuardedPolicy(damped).step(*doubles))
    np.testing.assert_array_equal(damped.descent(q, target, 3), damped.descent(*doubles, 3))
    np.testing.assert_array_equal(solver.solve(q, target).q, solver.solve(*doubles).q)


def test_a_network_that_answers_in_single_precision_is_guarded_like_any_other(hand, rng) -> None:
    q, goal = (hand.random_joint_position(rng, 5) for _ in range(2))
    damped = DampedLeastSquares(hand)
    single = Proposal(hand, lambda q, target: damped.step(q, target).astype(np.float32))
    solution = GuardedSolver(single, damped).solve(q, hand.kinematics.tip_position(goal))
    assert solution.error.max() < 1e-4


@pytest.mark.parametrize("shape", [(3,), (1,), (5, 1)])
def test_joints_of_another_number_are_refused_with_both_numbers(hand, shape) -> None:
    solver = GuardedSolver(DampedLeastSquares(hand), DampedLeastSquares(hand))
    target = hand.kinematics.tip_position(hand.home)
    with pytest.raises(
        InputError, match=re.escape(f"joint positions have shape {shape}, must end with {hand.nq} joints")
    ):
        solver.solve(np.zeros(shape), target)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_joints_that_are_not_finite_are_refused_with_those_of_the_hand_that_has_them(planar, value) -> None:
    """NaN came back as the joints, which are promised within the limits."""
    solver = GuardedSolver(DampedLeastSquares(planar), DampedLeastSquares(planar))
    q = np.tile(planar.home, (3, 1))
    q[1] = 0.25, value
    with pytest.raises(InputError, match=re.escape(f"joint positions are [0.25, {value}], must be finite")):
        solver.solve(q, planar.kinematics.tip_position(planar.home))


@pytest.mark.parametrize("steps", [0, -3])
def test_less_than_one_step_is_refused_for_one_was_taken(planar, steps) -> None:
    solver = GuardedSolver(DampedLeastSquares(planar), DampedLeastSquares(planar))
    with pytest.raises(InputError, match=f"steps is {steps}, must be at least 1"):
        solver.solve(planar.home, planar.kinematics.tip_position(planar.home), steps=steps)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_tip_whose_target_is_not_finite_stays_and_the_others_reach_theirs(hand, rng, value) -> None:
    solver = GuardedSolver(DampedLeastSquares(hand), DampedLeastSquares(hand))
    target = hand.kinematics.tip_position(hand.random_joint_position(rng, 20))
    target[:, 2] = value
    q, error, _ = solver.solve(np.tile(hand.home, (20, 1)), target, steps=20)
    own = hand.kinematics.tip_of_joint == 2
    np.testing.assert_allclose(q[:, own], np.tile(hand.home[own], (20, 1)), atol=1e-12)
    assert not np.isfinite(error[:, 2]).any() and np.median(error[:, [0, 1, 3]]) < 1e-4


def test_places_that_only_joints_bent_backwards_reach_are_found_from_the_corners_of_the_limits() -> None:
    """From the middle of the limits and random postures an eighth of them."""
    robot, rng = load_robot(robot_file("allegro_v5_b_right")), np.random.default_rng(3)
    start, goal = (robot.random_joint_position(rng, 40) for _ in range(2))
    goal[:, 14:] = robot.lower[14:] + 0.01  # the last two joints of the thumb
    solver = GuardedSolver(DampedLeastSquares(robot), DampedLeastSquares(robot))
    error = solver.solve(start, robot.kinematics.tip_position(goal)).error
    assert np.mean(error[:, 3] <= 1e-4) > 0.85


def test_out_of_reach_it_ends_at_the_closest_point_of_all_postures() -> None:
    """No posture halves an error that is mostly distance to the workspace; when it had to, some ended 19 mm farther off."""
    robot, rng = load_robot(robot_file("allegro_v5_b_right")), np.random.default_rng(2)
    damped = DampedLeastSquares(robot)
    inside = robot.kinematics.tip_position(robot.random_joint_position(rng, 60))
    target = inside + rng.normal(size=inside.shape) * 0.3 * robot.kinematics.reach[:, None]
    starts = robot.random_joint_position(rng, 24 * 60).reshape(24, 60, robot.nq)
    ends = damped.descent(starts, np.broadcast_to(target, (24, *target.shape)), 60)
    closest = np.linalg.norm(robot.kinematics.tip_position(ends) - target, axis=-1).min(axis=0)
    error = GuardedSolver(damped, damped).solve(robot.random_joint_position(rng, 60), target).error
    assert np.max(error - closest) < 5e-4
