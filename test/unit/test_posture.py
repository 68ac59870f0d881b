from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import workloads
from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.closest import closest_distance
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file
from nnik_ros.posture import Posture
from nnik_ros.robot import Robot, load_robot
from nnik_ros.states import Measurement, Targets, TipState

T = 1 / 333.0
ALL = np.ones(4, dtype=bool)


def test_it_moves_joints_towards_the_middle_and_leaves_the_tips_to_second_order(hand: Robot, rng) -> None:
    posture = Posture(hand, hand.kinematics, T)
    for q in 0.6 * hand.random_joint_position(rng, 50) + 0.2 * (hand.lower + hand.upper):
        tips = hand.kinematics.tips(q)
        q_next = posture.step(q, tips, q, tips.position, ALL, posture.pull(q, 1.0))
        moved = np.linalg.norm(hand.kinematics.tip_position(q_next) - tips.position, axis=-1)
        assert moved.max() < 2e-5
        middle = 0.5 * (hand.lower + hand.upper)
        assert np.linalg.norm(q_next - middle) < np.linalg.norm(q - middle)


def test_a_step_keeps_what_it_does_with_the_tips_whatever_it_did_with_the_free_degree(hand: Robot, rng) -> None:
    posture = Posture(hand, hand.kinematics, T)
    q = hand.home
    tips = hand.kinematics.tips(q)
    target = tips.position + 1e-4 * rng.normal(size=(4, 3))
    J = hand.kinematics.tips(q).jacobian
    for _ in range(300):  # until the pull has set in
        posture.step(q, tips, q, target, ALL, posture.pull(q, 1.0))
    steps = []
    for _ in range(5):
        dq = np.linalg.pinv(J) @ (target - tips.position)[..., None]
        null = np.linalg.svd(J)[2][:, -1]  # (nt, 4)
        solved = (dq[..., 0] + rng.normal() * 0.01 * null).ravel()
        steps.append(posture.step(q, tips, q + solved, target, ALL, posture.pull(q, 1.0)))
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], (5, 16)), atol=1e-6)
    np.testing.assert_allclose(hand.kinematics.tip_position(steps[0]), target, atol=1e-6)


def test_a_pull_against_joints_at_their_limits_takes_the_tips_nowhere(hand: Robot, rng) -> None:
    posture = Posture(hand, hand.kinematics, T)
    for _ in range(300):  # until the pull has set in
        posture.step(hand.home, hand.kinematics.tips(hand.home), hand.home, np.zeros((4, 3)), ALL, np.zeros(16))
    off = []
    for _ in range(200):
        share = np.tile([0.5, rng.uniform(0.4, 0.7), 1.0 - rng.uniform(0.0, 0.03), rng.uniform(0.0, 0.01)], 4)
        q = hand.lower + share * (hand.upper - hand.lower)  # the last two joints, each at a limit of its own
        tips = hand.kinematics.tips(q)
        target = tips.position + 1e-4 * rng.normal(size=(4, 3))
        solved = q + (np.linalg.pinv(hand.kinematics.tips(q).jacobian) @ (target - tips.position)[..., None]).ravel()
        if np.any(solved < hand.lower) or np.any(solved > hand.upper):
            continue
        shaped = posture.step(q, tips, solved, target, ALL, np.tile([0.0, 0.0, 1.0, -1.0], 4) * rng.uniform(0.0, 0.004))
        assert np.all(shaped >= hand.lower - 1e-12) and np.all(shaped <= hand.upper + 1e-12)
        off += np.linalg.norm(hand.kinematics.tip_position(shaped) - target, axis=-1).tolist()
    assert len(off) > 100
    assert np.max(off) < 5e-6


@pytest.mark.parametrize(
    ("way", "target_at", "share"),
    [(0.9, 1.0, 1.0), (1.25, 1.0, 0.75), (1.75, 1.0, 0.25), (2.1, 1.0, 0.0), (0.9, 9.0, 1.0), (1.8, 0.5, 1.0)],
)
def test_the_posture_loses_its_say_where_a_step_moves_the_tip_by_one_to_two_hundredths_of_the_reach(
    hand: Robot, way: float, target_at: float, share: float
) -> None:
    """A step that goes farther than its target counts by the way to that."""
    posture, q = Posture(hand, hand.kinematics, T), 0.5 * (hand.lower + hand.upper)
    tips = hand.kinematics.tips(q)
    for _ in range(300):  # until the pull has set in
        posture.step(q, tips, q, tips.position, ALL, np.zeros(16))
    directions, stretch, turns = np.linalg.svd(hand.kinematics.tips(q).jacobian)
    length, null = 0.01 * way * hand.kinematics.reach, turns[:, -1].ravel()  # what leaves the tips where they are
    motion, solved = length[:, None] * directions[:, :, 0], (turns[:, 0] * (length / stretch[:, 0])[:, None]).ravel()
    steps = [
        posture.step(q, tips, q + solved, tips.position + target_at * motion, ALL, pull)
        for pull in (0.002 * null, np.zeros(16))
    ]
    np.testing.assert_allclose(steps[0] - steps[1], 0.002 * share * null, atol=0.002 * 0.01)


def crooked(hand: Robot) -> np.ndarray:
    """A posture as no finger likes it: the middle joint straight, the others bent."""
    shares = np.tile([0.5, 0.75, 0.15, 0.8], 4)
    return hand.lower + shares * (hand.upper - hand.lower)


@pytest.mark.parametrize("silence", ["paused", "without targets"])
def test_the_pull_sets_in_smoothly_at_the_first_start_and_at_every_other_one(hand: Robot, silence: str) -> None:
    options = ControllerOptions(collision_check=False, on_stale_target="stop")
    controller = Controller(hand, OnnxPolicy(model_file("allegro_right"), hand), options)
    q, now, tips = crooked(hand), 0.0, hand.kinematics.tip_position(crooked(hand))
    for start in range(2):
        for k in range(400):  # silent, and after a while moved there by hand
            now += T
            stamp = now if silence == "paused" else now - 10.0
            command = controller.tick(now, Measurement(q, now), Targets(tips, np.full(4, stamp))).command
            q = crooked(hand) if k > 200 else q if command is None else command
        controller.start()
        sent = []
        for _ in range(4000):
            now += T
            q = controller.tick(now, Measurement(q, now), Targets(tips, np.full(4, now))).command
            sent.append(q)
        if silence == "paused":
            controller.pause()
        moved = np.abs(sent[-1] - sent[0]).max()
        acceleration = np.abs(np.diff(sent, 2, axis=0)).max(-1) / T**2
        assert moved > 0.2
        assert acceleration[0] < 0.5, f"start {start} begins with a kick of {acceleration[0]:.1f} rad/s^2"
        assert acceleration.max() < 12.0


@pytest.mark.parametrize("seed", [1, 3])
def test_fingers_that_come_back_from_out_of_reach_bend_the_way_that_goes_on(hand: Robot, seed: int) -> None:
    """Stretched, a finger could bend to both sides; backwards it soon stands at its limits, centimetres from its target."""
    short = workloads.beyond_path(hand, np.random.default_rng(seed), 1332)
    place = np.arange(3 * 1332) / 3  # slowly: what is left is not the limit of acceleration
    ticks = np.minimum(place.astype(int), 1330)[:, None, None]
    path = short.target[ticks[:, 0, 0]] + (place[:, None, None] - ticks) * np.diff(short.target, axis=0)[ticks[:, 0, 0]]
    controller = Controller(
        hand,
        OnnxPolicy(model_file("allegro_right"), hand),
        ControllerOptions(target_timeout=0.0, collision_check=False),
    )
    controller.start()
    q, results = short.start, []
    for k, tips in enumerate(path):
        results.append(controller.tick(k * T, Measurement(q, k * T), Targets(tips, np.zeros(4))))
        q = results[-1].command
    some = results[::24]
    reference = np.array([result.reference for result in some])
    error = np.linalg.norm(np.array([result.tip_position for result in some]) - reference, axis=-1)
    within_reach = closest_distance(DampedLeastSquares(hand), reference, np.random.default_rng(0)) < 1e-5
    assert 0.2 < within_reach.mean() < 0.9
    assert error[within_reach].max() < 4e-3


@pytest.mark.parametrize(
    ("name", "share"), [("allegro_right", 0.4), ("allegro_v5_b_left", 0.3), ("allegro_v5_b_left", 0.8)]
)
def test_the_joints_of_a_hand_at_its_targets_glide_to_their_posture_and_do_not_buzz(name: str, share: float) -> None:
    """The pull leads a tip a little off its target in every period: a step back in every other one is felt as a buzz."""
    robot = load_robot(robot_file(name))
    controller = Controller(
        robot, OnnxPolicy(model_file(name), robot), ControllerOptions(rate=333.0, target_timeout=0.0)
    )
    controller.start()
    q = robot.lower + share * (robot.upper - robot.lower)
    targets, sent = Targets(robot.kinematics.tip_position(q), np.zeros(robot.nt)), []
    for k in range(1300):
        command = controller.tick(k * T, Measurement(q, k * T), targets).command
        q = q if command is None else command
        sent.append(q)
    assert np.abs(np.diff(sent[-100:], 2, axis=0)).max() < 2e-7


@pytest.mark.parametrize("seed", [0, 6, 12])
def test_a_hand_at_targets_with_joints_at_their_limits_arrives_and_stands_still(seed: int) -> None:
    """Two joints of a finger at their limits leave a free degree, too, but one that is not quite free."""
    robot = load_robot(robot_file("allegro_v5_a_left"))
    rng = np.random.default_rng(seed)
    q, goal = robot.random_joint_position(rng, 2)
    side = rng.integers(0, 3, robot.nq)
    goal = np.where(side == 0, robot.lower, np.where(side == 1, robot.upper, goal))
    controller = Controller(robot, OnnxPolicy(model_file(robot.name), robot), ControllerOptions(target_timeout=0.0))
    controller.start()
    targets, sent = Targets(robot.kinematics.tip_position(goal), np.zeros(4)), []
    for k in range(3000):
        result = controller.tick(k * T, Measurement(q, k * T), targets)
        q = result.command
        sent.append(q)
    assert (result.tip_state == TipState.REACHED).all()
    assert np.ptp(sent[-300:], axis=0).max() < 2e-4


def test_a_robot_without_a_free_degree_is_left_alone_and_one_with_a_single_such_finger_is_not(
    planar: Robot, make_planar_hand
) -> None:
    mixed = make_planar_hand({"long": 4, "short": 3})
    assert [Posture(robot, robot.kinematics, T).shapes_any for robot in (planar, mixed)] == [False, True]


def follow(hand: Robot, path: np.ndarray, **options) -> np.ndarray:
    controller = Controller(
        hand, OnnxPolicy(model_file("allegro_right"), hand), ControllerOptions(target_timeout=0.0, **options)
    )
    controller.start()
    q, sent = path[0], []
    for k, tips in enumerate(hand.kinematics.tip_position(path)):
        q = controller.tick(k * T, Measurement(q, k * T), Targets(tips, np.full(4, k * T))).command
        sent.append(q)
    return np.array(sent)


def smooth_path(hand: Robot, seconds: float) -> np.ndarray:
    """Joints that swing about the middle of their limits, flexion shared along each finger, fingers out of phase."""
    t = np.arange(0.0, seconds, T)[:, None]
    middle, half = 0.5 * (hand.lower + hand.upper), 0.5 * (hand.upper - hand.lower)
    phase = np.repeat(np.linspace(0.0, 3.0, 4), 4)
    return middle + 0.35 * half * np.sin(2 * np.pi * t / 2.0 + phase)


def rms_jerk(path: np.ndarray) -> float:
    return float(np.sqrt((np.diff(path[100:], 3, axis=0) ** 2).mean()) / T**3)


def test_a_smooth_path_of_the_tips_is_followed_with_a_jerk_of_the_size_of_its_own(hand: Robot) -> None:
    """Not equal: the path shares the flexion in its own way, the controller in the way of least motion."""
    path = smooth_path(hand, 4.0)
    assert rms_jerk(follow(hand, path)) < 2.5 * rms_jerk(path)


@pytest.mark.parametrize("rate", [50.0, 100.0, 333.0, 1000.0])
def test_a_smooth_path_close_to_a_limit_is_followed_without_leaving_it_or_jerking(hand: Robot, rate: float) -> None:
    """One smooth loop of the ring finger whose first joint comes close to its limit, after two seconds at its beginning."""
    t, ring, begin = np.arange(0.0, 1.8, 1.0 / rate)[:, None] / 1.8, slice(8, 12), int(2.0 * rate)
    phase = 2.0 * np.pi * t**3 * (10.0 - 15.0 * t + 6.0 * t**2)
    path = np.tile(hand.home, (begin + len(t), 1))
    path[:, ring] = [0.32, 0.57, 0.45, 0.46]
    path[begin:, ring] += 0.5 * (1.0 - np.cos(phase)) * [-0.12, 0.06, 0.38, -0.14]
    path[begin:, ring] += np.sin(phase) * [-0.2, 0.11, 0.07, 0.26]
    assert (hand.lower < path).all() and (path < hand.upper).all()
    options = ControllerOptions(rate=rate, target_timeout=0.0)
    controller = Controller(hand, OnnxPolicy(model_file("allegro_right"), hand), options)
    controller.start()
    q, sent, off = path[0], [], []
    for k, tips in enumerate(hand.kinematics.tip_position(path)):
        result = controller.tick(k / rate, Measurement(q, k / rate), Targets(tips, np.full(4, k / rate)))
        q = result.command
        sent.append(q[ring])
        off.append(np.linalg.norm(result.tip_position[2] - result.reference[2]))
    jerk, own = (np.sqrt((np.diff(joints, 3, axis=0) ** 2).mean()) for joints in (sent[begin:], path[begin:, ring]))
    assert max(off[begin:]) < 4e-6 * (333.0 / rate) ** 2, "the free degree leaves the tip in place to first order"
    assert jerk < 0.9 * own


def test_a_closed_path_of_the_tips_ends_with_the_joints_where_they_began(hand: Robot) -> None:
    path = smooth_path(hand, 6.0)
    period = round(2.0 / T)
    sent = follow(hand, path)
    second, third = sent[2 * period - 1], sent[3 * period - 1]
    assert np.abs(third - second).max() < 0.01


def test_a_finger_at_its_target_leans_to_the_posture_that_the_file_of_the_robot_prefers(hand: Robot) -> None:
    tips = hand.kinematics.tip_position(hand.home)
    preferred = {share: hand.lower + share * (hand.upper - hand.lower) for share in (0.3, 0.5, 0.7)}
    ends = {}
    for share, posture in preferred.items():
        controller = Controller(replace(hand, preferred=posture), None, ControllerOptions(target_timeout=0.0))
        controller.start()
        q = hand.home
        for k in range(1000):
            q = controller.tick(k * T, Measurement(q, k * T), Targets(tips, np.full(4, k * T))).command
        assert np.linalg.norm(hand.kinematics.tip_position(q) - tips, axis=-1).max() < 1e-4
        ends[share] = q
    for share, posture in preferred.items():
        away = {other: np.linalg.norm((q - posture).reshape(4, 4), axis=-1) for other, q in ends.items()}
        assert all((away[share] < away[other]).all() for other in away if other != share)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_pull_leads_to_the_middle_of_the_limits_stronger_close_to_them_and_no_faster_than_a_fifth_of_the_velocity(
    hand: Robot, side: float
) -> None:
    posture, middle, span = Posture(hand, hand.kinematics, T), 0.5 * (hand.lower + hand.upper), hand.upper - hand.lower

    def pull(share: float, rate: float) -> np.ndarray:
        """In shares of what the joints' ranges are in a period, at a share of the way from the middle to a limit."""
        return posture.pull(middle + 0.5 * side * share * span, rate) / (rate * T * span)

    for share, towards in ((0.0, 0.0), (0.4, 0.2), (0.84, 0.42), (1.0, 0.5 + 10.0 * 0.08)):
        np.testing.assert_allclose(pull(share, 0.01), -side * towards, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(pull(1.0, 1e3) * 1e3 * span, -side * 0.2 * hand.velocity, rtol=1e-9)


def test_a_turn_towards_a_direction_moves_no_joint_faster_than_a_fifth_of_its_velocity(hand: Robot, rng) -> None:
    posture, most, fastest = Posture(hand, hand.kinematics, T), 0.2 * hand.velocity * T, 0.0
    for q in hand.random_joint_position(rng, 300):
        wanted = rng.normal(size=(hand.nt, 3))
        wanted /= np.linalg.norm(wanted, axis=-1, keepdims=True)
        pull = np.zeros(hand.nq)
        posture.turn(pull, hand.kinematics.tips(q), posture.direction(q), wanted, np.ones(hand.nt))
        assert np.all(np.abs(pull) <= most * (1 + 1e-9))
        fastest = max(fastest, float((np.abs(pull) / most).max()))
    assert fastest > 0.9
