from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import InputError
from nnik_ros.geometry import rotated
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file
from nnik_ros.posture import Posture
from nnik_ros.robot import Robot
from nnik_ros.states import Measurement, Targets, TickResult

T = 1 / 333.0


def directions(hand: Robot, q: np.ndarray) -> np.ndarray:
    """Where the tips point, from the tip frames."""
    return (hand.kinematics.tip_rotation(q) @ hand.tip_axis[..., None])[..., 0]


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip((a * b).sum(-1), -1.0, 1.0))


def settled(
    hand: Robot, start: np.ndarray, targets: Targets, ticks: int = 1500, **options
) -> tuple[np.ndarray, TickResult]:
    policy = OnnxPolicy(model_file("allegro_right"), hand)
    controller = Controller(hand, policy, ControllerOptions(target_timeout=0.0, **options))
    controller.start()
    q = start
    for k in range(ticks):
        result = controller.tick(k * T, Measurement(q, k * T), targets)
        q = result.command
    return q, result


def best_angle(hand: Robot, q: np.ndarray, tip: int, target: np.ndarray, wanted: np.ndarray) -> float:
    """The smallest angle at which the tip can be at its target, on the curve of postures that leads there from q: walked
    in both directions."""
    joints = hand.kinematics.topology.chain[tip]
    lower, upper = hand.lower[joints], hand.upper[joints]

    def place(x: np.ndarray) -> np.ndarray:
        return np.where(np.isin(np.arange(hand.nq), joints), np.interp(np.arange(hand.nq), joints, x), q)

    best = np.inf
    for sign in (-1.0, 1.0):
        x, forward = q[joints], None
        for _ in range(300):
            null = np.linalg.svd(hand.kinematics.tips(place(x)).jacobian[tip])[2][-1]
            forward = null * (sign if forward is None else np.sign(null @ forward))
            x = x + 0.01 * forward
            for _ in range(3):  # back to the target, by Newton's method
                off = target - hand.kinematics.tip_position(place(x))[tip]
                x = x + np.linalg.pinv(hand.kinematics.tips(place(x)).jacobian[tip]) @ off
            if np.linalg.norm(off) > 1e-6 or np.any(x < lower) or np.any(x > upper):
                break
            best = min(best, float(angle(directions(hand, place(x))[tip], wanted)))
    return best


def test_directions_agree_with_the_tip_frames_and_their_slopes_with_differences(hand: Robot, rng) -> None:
    posture = Posture(hand, hand.kinematics, T)
    for q in hand.random_joint_position(rng, 5):
        here = posture.direction(q)
        np.testing.assert_allclose(here.position, directions(hand, q), atol=1e-12)
        for tip, chain in enumerate(hand.kinematics.topology.chain):
            for k, joint in enumerate(chain):
                h = 1e-6 * np.eye(hand.nq)[joint]
                slope = (directions(hand, q + h) - directions(hand, q - h))[tip] / 2e-6
                np.testing.assert_allclose(here.jacobian[tip, :, k], slope, atol=1e-8)


def test_a_direction_that_can_be_had_is_reached_while_the_tips_stay_at_their_targets(hand: Robot, rng) -> None:
    span = hand.upper - hand.lower
    reached = []
    for _ in range(6):
        goal = hand.lower + span * rng.uniform(0.3, 0.7, hand.nq)
        start = goal + 0.05 * span * rng.uniform(-1.0, 1.0, hand.nq)
        tips, wanted = hand.kinematics.tip_position(goal), directions(hand, goal)
        q, result = settled(hand, start, Targets(tips, np.zeros(4), wanted), pointing=(1.0,), collision_check=False)
        assert np.linalg.norm(hand.kinematics.tip_position(q) - tips, axis=-1).max() < 1e-4
        off = angle(directions(hand, q), wanted)
        np.testing.assert_allclose(result.pointing_error, off, atol=1e-3)
        reached += off.tolist()
    assert np.median(reached) < np.radians(0.1)
    assert np.percentile(reached, 90) < np.radians(2.0)


def test_a_direction_out_of_reach_is_approached_as_far_as_the_position_allows(hand: Robot, rng) -> None:
    span = hand.upper - hand.lower
    beyond = []
    for _ in range(3):
        goal = hand.lower + span * rng.uniform(0.3, 0.7, hand.nq)
        tips = hand.kinematics.tip_position(goal)
        wanted = directions(hand, goal) + 0.7 * rng.normal(size=(4, 3))
        wanted /= np.linalg.norm(wanted, axis=-1, keepdims=True)
        q, result = settled(hand, goal, Targets(tips, np.zeros(4), wanted), pointing=(1.0,), collision_check=False)
        assert np.linalg.norm(hand.kinematics.tip_position(q) - tips, axis=-1).max() < 1e-4
        beyond += [result.pointing_error[tip] - best_angle(hand, goal, tip, tips[tip], wanted[tip]) for tip in range(4)]
    assert np.median(beyond) < np.radians(0.2)
    assert np.max(beyond) < np.radians(3.0), "the worst stands at a joint limit on the way"


@pytest.mark.parametrize("rate", [50.0, 100.0, 333.0])
def test_a_finger_with_two_joints_at_limits_stands_still_where_it_can_point_no_further(
    hand: Robot, rng, rate: float
) -> None:
    q = hand.lower + np.tile([0.5, 0.6, 0.97, 0.01], 4) * (hand.upper - hand.lower)
    tips = hand.kinematics.tip_position(q)
    for _ in range(4):
        wanted = directions(hand, q) + rng.normal(size=(4, 3))
        wanted /= np.linalg.norm(wanted, axis=-1, keepdims=True)
        options = ControllerOptions(rate=rate, target_timeout=0.0, pointing=(1.0,), collision_check=False)
        controller = Controller(hand, OnnxPolicy(model_file("allegro_right"), hand), options)
        controller.start()
        sent = [q]
        for k in range(round(4.0 * rate)):
            measured = Measurement(sent[-1], k / rate)
            sent.append(controller.tick(k / rate, measured, Targets(tips, np.zeros(4), wanted)).command)
        last = np.array(sent[-round(0.5 * rate) :])
        assert np.linalg.norm(hand.kinematics.tip_position(last) - tips, axis=-1).max() < 2e-5
        turned_back = (np.diff(last[:-1], axis=0) * np.diff(last[1:], axis=0)).min(0) * rate**2  # [rad^2/s^2]
        assert turned_back.min() > -(0.02**2), "no joint goes to and fro"


def test_without_pointing_and_for_tips_without_a_direction_nothing_changes(hand: Robot) -> None:
    goal = 0.5 * (hand.lower + hand.upper) + 0.1
    tips, wanted = hand.kinematics.tip_position(goal), directions(hand, goal + 0.3)
    nowhere = np.full((4, 3), np.nan)
    plain, _ = settled(hand, goal, Targets(tips, np.zeros(4)), ticks=200)
    off, result = settled(hand, goal, Targets(tips, np.zeros(4), wanted), ticks=200)
    none, _ = settled(hand, goal, Targets(tips, np.zeros(4), nowhere), ticks=200, pointing=(1.0,))
    np.testing.assert_array_equal(off, plain)
    np.testing.assert_array_equal(none, plain)
    assert np.isnan(result.pointing_error).all()
    one, result = settled(hand, goal, Targets(tips, np.zeros(4), wanted), ticks=200, pointing=(1.0, 0.0, 0.0, 0.0))
    assert not np.allclose(one[:4], plain[:4], atol=1e-3)
    np.testing.assert_allclose(one[4:], plain[4:], atol=1e-9)
    np.testing.assert_array_equal(np.isnan(result.pointing_error), [False, True, True, True])


def test_a_weight_stands_between_posture_and_direction(hand: Robot) -> None:
    goal = 0.5 * (hand.lower + hand.upper) + 0.1
    tips, wanted = hand.kinematics.tip_position(goal), directions(hand, goal + 0.2 * np.tile([0, -1, 1, 1], 4))
    off = [
        settled(hand, goal, Targets(tips, np.zeros(4), wanted), pointing=(w,))[1].pointing_error
        for w in (0.02, 0.1, 1.0)
    ]
    assert (np.diff(np.array(off), axis=0) < 0.0).all(), "the heavier, the closer to the direction"


def test_a_number_of_weights_that_fits_no_robot_is_refused(hand: Robot) -> None:
    with pytest.raises(InputError, match="pointing: has 2 values, must be 1 or 4"):
        Controller(hand, None, ControllerOptions(pointing=(1.0, 0.5)))


def test_a_quaternion_turns_vectors_as_its_matrix_does(rng) -> None:
    from scipy.spatial.transform import Rotation

    rotations = Rotation.from_quat(rng.normal(size=(20, 4)))
    vectors = rng.normal(size=(20, 3))
    quaternions = rotations.as_quat()[:, [3, 0, 1, 2]]
    np.testing.assert_allclose(rotated(quaternions, vectors), rotations.apply(vectors), atol=1e-12)


@pytest.mark.parametrize("away", [-0.02, 0.001, 0.02])
def test_a_direction_that_the_free_degree_leads_to_is_approached_by_ten_times_the_way_to_it_in_a_second(
    hand: Robot, away: float
) -> None:
    posture, q = Posture(hand, hand.kinematics, T), 0.5 * (hand.lower + hand.upper)
    null = np.linalg.svd(hand.kinematics.tips(q).jacobian)[2][:, -1].ravel()  # what leaves the tips where they are
    pull, wanted = np.full(hand.nq, 0.001), directions(hand, q + away * null)
    posture.turn(pull, hand.kinematics.tips(q), posture.direction(q), wanted, np.array([1.0, 1.0, 1.0, 0.0]))
    np.testing.assert_allclose(pull[:12], 10.0 * T * away * null[:12], rtol=0.05, atol=1e-7)
    np.testing.assert_array_equal(pull[12:], 0.001)
