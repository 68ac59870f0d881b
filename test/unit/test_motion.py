from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.collision import CollisionModel
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.kernels.joints import drift
from nnik_ros.kernels.motion import _braking_share, _slid_past
from nnik_ros.limits import Limit
from nnik_ros.motion import JointMotion
from nnik_ros.robot import Robot
from nnik_ros.states import Measurement, Targets, TipState

T = 1 / 333.0


def moved(
    motion: JointMotion, wishes, followed: float | np.ndarray = 0.5, speed: float = 1.0, **options
) -> tuple[np.ndarray, np.ndarray, int]:
    """Positions, velocities and all that limited them, of a hand that is where it is told to be."""
    q, v, limited = [], [], 0
    for wish in wishes:
        wanted, share = np.asarray(wish, dtype=float), np.atleast_1d(followed)
        pace, held = np.full(len(share), speed), np.zeros(len(share), dtype=bool)
        limited |= int(motion.step(wanted, share, pace, held, motion.q, ControllerOptions(**options)).limited.max())
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


def test_a_far_wish_is_approached_no_faster_than_the_share_of_the_velocity_and_a_lower_share_is_braked_to(
    planar: Robot,
) -> None:
    motion = JointMotion(planar, planar.kinematics, None, T)
    motion.seed(np.array([-1.0, -1.0]))
    _, before, _ = moved(motion, [[1.0, 1.0]] * 60)
    _, v, limited = moved(motion, [[1.0, 1.0]] * 200, speed=0.1)
    assert before.max() > 0.5 * planar.velocity.max()
    assert np.abs(np.diff(np.concatenate([before[-1:], v]), axis=0)).max() <= planar.acceleration.max() * T * (1 + 1e-6)
    assert v[-1].max() == pytest.approx(0.1 * planar.velocity.max())
    assert limited & Limit.VELOCITY
    _, v, _ = moved(motion, [[1.0, 1.0]] * 200, speed=0.0)
    assert np.abs(v[-1]).max() < 1e-6


def test_a_lead_bound_that_is_near_slows_and_says_so(planar: Robot) -> None:
    motion = JointMotion(planar, planar.kinematics, None, T)
    motion.seed(np.array([-1.0, -1.0]))
    _, v, limited = moved(motion, [[1.0, 1.0]] * 400, max_lead=0.05)
    assert 0.5 < v.max() < 0.9 * planar.velocity.max()
    assert limited & Limit.LEAD


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize("pushed", [0.0, 0.5, 1.0, 2.0])
def test_before_a_hand_that_is_stopped_or_pushed_back_the_command_keeps_its_lead_bound_as_it_can_brake(
    hand: Robot, side: float, pushed: float
) -> None:
    """What 0.4 of the acceleration, kept for a bound that comes nearer [rad/s], needs to brake from its speed."""
    motion, options = JointMotion(hand, hand.kinematics, None, T), ControllerOptions(max_lead=0.1)
    motion.seed(0.5 * (hand.lower + hand.upper))
    wish = hand.upper if side > 0.0 else hand.lower
    beyond, measured = -np.inf, motion.q
    for tick in range(200):
        measured = motion.q - 0.02 * side if tick < 30 else measured - side * pushed * T
        measured = np.clip(measured, hand.lower, hand.upper)
        motion.step(wish, np.full(4, 0.5), np.ones(4), np.zeros(4, dtype=bool), measured, options)
        beyond = np.maximum(beyond, np.abs(motion.q - measured) - 0.1)
    assert np.abs(motion.q - motion.sent).max() == 0.0
    assert np.all(beyond <= pushed**2 / (2.0 * 0.4 * hand.acceleration) + 1e-9)
    assert beyond.max() > -1e-6


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_fingers_that_are_held_say_that_the_lead_bound_keeps_them_from_going_on(hand: Robot, side: float) -> None:
    motion, middle = JointMotion(hand, hand.kinematics, None, T), 0.5 * (hand.lower + hand.upper)
    motion.seed(middle)
    wish, options = middle + 0.45 * side, ControllerOptions(max_lead=0.4)
    for _ in range(400):
        step = motion.step(wish, np.zeros(4), np.ones(4), np.zeros(4, dtype=bool), middle, options)
    np.testing.assert_allclose(motion.q, middle + 0.4 * side, rtol=0, atol=1e-6)
    assert step.limited.tolist() == [Limit.LEAD] * 4


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


def beyond_the_reach(hand: Robot, speed: float) -> tuple[np.ndarray, TipState]:
    """Joint velocities (399, nq) [rad/s] towards targets 5 % beyond the reach, and the last state."""
    q = hand.lower + 0.3 * (hand.upper - hand.lower)
    base = hand.kinematics.first_joint_position
    away = hand.kinematics.tip_position(hand.lower + 0.7 * (hand.upper - hand.lower)) - base
    target = base + away * (hand.kinematics.reach / np.linalg.norm(away, axis=-1))[:, None] * 1.05
    controller = Controller(hand, None, ControllerOptions(target_timeout=0.0, speed=speed), None)
    controller.start()
    commands = []
    for tick in range(400):
        now = 1.0 + tick * T
        result = controller.tick(now, Measurement(q, now), Targets(target, np.zeros(hand.nt)))
        q = result.command
        commands.append(q)
    return np.diff(commands, axis=0) / T, result.hand_state


def test_beyond_the_reach_the_hand_is_at_rest_no_later_than_its_joints_need(hand: Robot) -> None:
    """A way cut to a period and stopped at its end took until tick 353."""
    v, state = beyond_the_reach(hand, 1.0)
    assert np.flatnonzero(np.abs(v).max(axis=-1) > 0.02).max() < 280
    assert state is TipState.UNREACHABLE


def test_at_a_tenth_of_the_speed_no_joint_is_faster_than_a_tenth_of_its_velocity(hand: Robot) -> None:
    """Not even on the way to another posture, which the tips' own speed does not bound."""
    v, _ = beyond_the_reach(hand, 0.1)
    assert np.abs(v).max() == pytest.approx(0.1 * hand.velocity.max())


def test_a_wish_beyond_the_lead_bound_of_a_joint_that_stands_does_not_draw_it_back_when_it_moves(planar: Robot) -> None:
    motion = JointMotion(planar, planar.kinematics, None, T)
    stands = np.array([-0.5, -1.0])
    motion.seed(stands)
    lowest = np.inf
    for tick in range(600):
        beyond = 1.5 - max(0, tick - 300) * 1.9 * T  # after a second it comes back, and is still far beyond the bound
        measured = np.array([stands[0], motion.q[1]])
        motion.step(
            np.array([beyond, 2.0 if tick > 290 else -1.0]),
            np.ones(1),
            np.ones(1),
            np.zeros(1, dtype=bool),
            measured,
            ControllerOptions(max_lead=0.1),
        )
        if tick > 290:
            lowest = min(lowest, motion.q[0])
    assert beyond > stands[0] + 0.2
    assert lowest == pytest.approx(stands[0] + 0.1, abs=1e-6)


def test_a_finger_is_as_far_away_as_its_farthest_joint_to_either_side(hand: Robot) -> None:
    motion = JointMotion(hand, hand.kinematics, None, T)
    goal = motion.q + np.repeat([0.0, 1.0, -1.0, 1.0], 4) * np.tile([0.1, 0.4, 0.2, 0.3], 4) + 1e-3 * np.eye(16)[0]
    np.testing.assert_allclose(motion.away(goal), [0.001, 0.4, 0.4, 0.4], atol=1e-12)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_hand_that_is_led_to_where_it_comes_to_rest_stops_there_with_half_of_its_acceleration(
    hand: Robot, side: float
) -> None:
    """In motion it is v^2 / a away with half of the acceleration a, and no farther than the limits."""
    motion = JointMotion(hand, hand.kinematics, None, T)
    motion.seed(0.5 * (hand.lower + hand.upper))
    moved(motion, [hand.upper if side > 0.0 else hand.lower] * 12, followed=np.full(4, 0.5))
    v, rest = motion.v, motion.at_rest()
    assert np.all(side * v > 0.5)
    np.testing.assert_allclose(rest - motion.q, side * v**2 / hand.acceleration, rtol=1e-9)
    path = []
    for _ in range(200):
        path.append(moved(motion, [motion.towards(rest, 1.0)], followed=np.zeros(4))[1][0])
    np.testing.assert_allclose(motion.q, rest, atol=1e-6)
    assert np.min(side * np.array(path)) > -1e-6, "it does not come back"
    assert np.all(np.abs(np.diff([v, *path], axis=0)) <= 0.55 * hand.acceleration * T), "it brakes gently"
    motion.seed(hand.upper if side > 0.0 else hand.lower)
    np.testing.assert_array_equal(motion.at_rest(), motion.q)


def test_with_another_geometry_the_tips_and_the_distances_of_the_same_command_are_those_of_that_geometry(
    hand: Robot,
) -> None:
    """The collision model that was given keeps its own."""
    nominal, model = hand.kinematics.parameters, CollisionModel(hand)
    zeros = np.linspace(-0.1, 0.1, hand.nq)
    longer = hand.kinematics.calibrated(nominal._replace(tip_offset=nominal.tip_offset * 1.2, joint_zero=zeros))
    before, another = model.distances(hand.home), CollisionModel(hand)
    another.set_kinematics(longer)
    changed, fresh = JointMotion(hand, hand.kinematics, model, T), JointMotion(hand, longer, another, T)
    moved(changed, [hand.home], followed=np.zeros(4))
    changed.set_kinematics(longer)
    np.testing.assert_allclose(changed.tips.position, longer.tip_position(hand.home), atol=1e-12)
    np.testing.assert_array_equal(model.distances(hand.home), before)
    np.testing.assert_array_equal(changed._collision.distances(hand.home), another.distances(hand.home))
    wishes = np.linspace(hand.home, 0.5 * (hand.home + hand.upper), 100)
    wishes[:, 12:] += np.linspace(0.0, 1.0, 100)[:, None]
    q, _, limited = moved(changed, wishes, followed=np.ones(4))
    np.testing.assert_array_equal(q, moved(fresh, wishes, followed=np.ones(4))[0])
    assert limited & Limit.COLLISION


def test_a_wish_that_jumps_is_not_taken_for_one_that_moves() -> None:
    velocity, group, share, at_rest = np.full(3, 2.0), np.array([0, 0, 1]), np.ones(2), np.zeros(3)
    moves = drift(np.array([0.001, 0.9, 0.002]), at_rest, velocity, group, share, T)
    np.testing.assert_allclose(moves, [0.0, 0.0, 0.002 / T])
    assert not drift(np.full(3, 0.001), np.full(3, np.nan), velocity, group, share, T).any()


def test_fingers_in_contact_slide_past_each_other_from_rest_for_the_slide_is_one_that_the_joints_can_make(
    hand: Robot,
) -> None:
    """Where the acceleration limits cut the slide itself, it closed again, and the two fingers held each other for ever."""
    collision = CollisionModel(hand)
    start = hand.home.copy()
    start[:4], start[12:] = [-0.07514, 1.5113, 0.6182, 0.1422], [1.25981, 0.07839, 0.5247, -0.08464]
    wish = start.copy()
    wish[:4], wish[12:] = [0.237, 1.329, -0.174, -0.048], [1.313, 0.082, 0.799, 0.038]
    assert collision.distances(start).min() == pytest.approx(0.002, abs=1e-6)
    motion = JointMotion(hand, hand.kinematics, collision, T)
    motion.seed(start)
    least = np.inf
    for _ in range(200):
        moved(motion, [wish], followed=np.zeros(hand.nt))
        least = min(least, collision.distances(motion.q).min())
    assert least > 0.002 - 1e-6
    np.testing.assert_allclose(motion.q, wish, atol=1e-6)


@pytest.mark.parametrize(("margin", "evades"), [(0.002, False), (0.0038, False), (0.0042, True)])
def test_a_finger_that_is_held_moves_aside_only_for_what_is_closer_than_half_of_the_margin(
    hand: Robot, margin: float, evades: bool
) -> None:
    """Index finger and thumb 2 mm apart; the thumb is to go on."""
    collision = CollisionModel(hand)
    start = hand.home.copy()
    start[:4], start[12:] = [-0.07514, 1.5113, 0.6182, 0.1422], [1.25981, 0.07839, 0.5247, -0.08464]
    clearance = collision.distances(start)
    assert clearance.min() == pytest.approx(0.002, abs=1e-6)
    wish, held = start.copy(), np.array([True, False, False, False])
    growth = (collision.distances(start + 1e-6 * np.eye(16)) - clearance)[:, clearance.argmin()] / 1e-6
    wish[12:] -= 0.2 * growth[12:] / 0.05
    motion, options = JointMotion(hand, hand.kinematics, collision, T), ControllerOptions(collision_margin=margin)
    motion.seed(start)
    for _ in range(30):
        motion.step(wish, np.zeros(4), np.ones(4), held, motion.q, options)
    assert (np.abs(motion.q - start)[:4].max() > 1e-5) == evades


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize(("held", "first"), [(True, 0.0), (False, -0.01)])
def test_a_finger_that_is_held_brakes_for_one_that_cannot_and_only_a_free_one_turns_back(
    side: float, held: bool, first: float
) -> None:
    """Two fingers of one joint each, which close by 11 mm; the second one goes on by 10 of these, whatever it is told."""
    step, gradients = side * np.array([0.001, 0.01]), -side * np.ones((1, 2))
    braking, free = side * np.array([0.0, 0.001]), np.array([-0.1, 0.1])
    room = np.column_stack([np.sort(braking) if held else free, np.full(2, step[1])])
    kept = _slid_past(step, room, gradients, np.zeros(1), np.array([0, 1]), np.array([held, False]))
    assert side * kept[0] == pytest.approx(first, abs=1e-4)


def test_fingers_that_slow_down_together_make_the_least_share_of_their_step_to_which_all_their_joints_can_brake(
    rng: np.random.Generator,
) -> None:
    tip_of_joint, together = np.repeat([0, 1, 2], 2), np.array([0, 0, 2])
    for _ in range(50):
        step, v, change = rng.uniform(-0.01, 0.01, 6), rng.uniform(-3.0, 3.0, 6), rng.uniform(0.0, 1.0, 6)
        least = _braking_share(step, v, change, tip_of_joint, together, T)
        slowest = np.where(step * v > 0.0, np.clip((np.abs(v) - change) * T, 0.0, np.abs(step)), 0.0)
        shares = np.linspace(0.0, 1.0, 2001)
        for fingers in ([0, 1], [2]):
            joints = np.isin(tip_of_joint, fingers)
            enough = (shares[:, None] * np.abs(step[joints]) >= slowest[joints] - 1e-12).all(axis=1)
            np.testing.assert_allclose(least[fingers], shares[enough][0], atol=5.1e-4)


def test_a_wish_that_is_not_finite_brings_a_moving_hand_to_rest_within_its_acceleration(hand: Robot) -> None:
    motion = JointMotion(hand, hand.kinematics, None, T)
    options = ControllerOptions()
    wish, sent, held = hand.home + 0.5 * (hand.upper - hand.home), [motion.sent], np.zeros(4, dtype=bool)
    for k in range(150):
        step = motion.step(wish if k < 20 else wish * np.nan, np.zeros(4), np.ones(4), held, motion.q, options)
        assert step.finite == (k < 20)
        sent.append(motion.sent)
    acceleration = np.abs(np.diff(sent, 2, axis=0)) / T**2
    assert np.abs(sent[20] - sent[19]).max() / T > 1.0
    assert (acceleration <= hand.acceleration * (1 + 1e-6)).all()
    np.testing.assert_array_equal(sent[-1], sent[-2])


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize(("max_lead", "away", "offset"), [(3.2, 0.1, 0.3), (0.4, 0.05, 0.3), (0.2, 0.15, 0.05)])
def test_a_joint_that_is_held_gets_no_more_from_the_closed_loop_than_its_bound_and_the_lead_leave(
    hand: Robot, side: float, max_lead: float, away: float, offset: float
) -> None:
    options = ControllerOptions(closed_loop_gain=5.0, max_lead=max_lead)
    motion, middle = JointMotion(hand, hand.kinematics, None, T), 0.5 * (hand.lower + hand.upper)
    motion.seed(middle)
    for _ in range(3000):
        motion.step(middle, np.ones(4), np.ones(4), np.zeros(4, dtype=bool), middle - side * away, options)
        assert (side * (motion.sent - middle)).max() < offset + 1e-6
    np.testing.assert_allclose(side * (motion.sent - middle), offset, atol=0.02)
    for _ in range(500):  # let go, it goes where it is sent
        motion.step(middle, np.ones(4), np.ones(4), np.zeros(4, dtype=bool), motion.sent, options)
        assert (side * (motion.sent - middle)).max() < offset + 0.02, "nothing was wound up behind the lead"


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_what_the_closed_loop_learned_of_a_joint_that_was_held_is_forgotten_at_a_limit_as_elsewhere(
    hand: Robot, side: float
) -> None:
    """Held in the middle of its range, it is sent 0.3 rad farther; then it is free, and shall stand 0.05 rad from its limit."""
    options, held = ControllerOptions(closed_loop_gain=5.0), np.zeros(4, dtype=bool)
    motion, middle = JointMotion(hand, hand.kinematics, None, T), 0.5 * (hand.lower + hand.upper)
    motion.seed(middle)
    for _ in range(1500):
        motion.step(middle, np.ones(4), np.ones(4), held, middle - side * 0.1, options)
    np.testing.assert_allclose(side * (motion.sent - middle), 0.3, atol=0.02)
    goal = hand.upper - 0.05 if side > 0.0 else hand.lower + 0.05
    for _ in range(2000):
        motion.step(goal, np.ones(4), np.ones(4), held, motion.sent, options)
    np.testing.assert_allclose(motion.q, goal, atol=1e-9)
    np.testing.assert_allclose(motion.sent, goal, atol=1e-4)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_closed_loop_learns_nothing_that_a_limit_keeps_from_being_sent(hand: Robot, side: float) -> None:
    """A drive that sags by 0.1 rad, 0.05 rad before a limit, and then in the middle with a sag to the other side."""
    options, held = ControllerOptions(closed_loop_gain=5.0), np.zeros(4, dtype=bool)
    motion, middle = JointMotion(hand, hand.kinematics, None, T), 0.5 * (hand.lower + hand.upper)
    goal = hand.upper - 0.05 if side > 0.0 else hand.lower + 0.05
    motion.seed(goal)
    for _ in range(3000):
        motion.step(goal, np.ones(4), np.ones(4), held, motion.sent - side * 0.1, options)
    for _ in range(1000):
        motion.step(middle, np.zeros(4), np.ones(4), ~held, motion.sent, options)  # who holds learns nothing
    np.testing.assert_allclose(side * (motion.sent - motion.q), 0.05, atol=1e-3)


@pytest.mark.parametrize("gain", [1.0, 5.0, 20.0])
def test_a_sag_is_taken_out_in_one_even_motion_however_large_it_is(hand: Robot, gain: float) -> None:
    motion, middle = JointMotion(hand, hand.kinematics, None, T), 0.5 * (hand.lower + hand.upper)
    motion.seed(middle)
    sag, sent = np.linspace(0.01, 0.15, 16), []
    measured = middle - sag
    for _ in range(round((2.0 + 6.0 / gain) / T)):
        motion.step(
            middle, np.ones(4), np.ones(4), np.zeros(4, dtype=bool), measured, ControllerOptions(closed_loop_gain=gain)
        )
        sent.append(motion.sent)
        measured = measured + (motion.sent - sag - measured) * T / 0.03  # a drive that lags behind
    assert np.abs(middle - measured).max() < 0.02 * sag.max()
    speed = np.diff(sent, axis=0) / T
    assert (np.abs(np.diff(speed, axis=0)).sum(axis=0) < 3.0 * speed.max(axis=0)).all(), "on and off, again and again"
    assert speed.max() < 0.16


def test_the_lag_of_a_moving_drive_is_no_gap_that_the_closed_loop_removes(hand: Robot) -> None:
    options, pace, lag = ControllerOptions(closed_loop_gain=5.0), 0.5, 0.05
    motion, middle = JointMotion(hand, hand.kinematics, None, T), 0.5 * (hand.lower + hand.upper)
    motion.seed(middle - 0.2)
    for tick in range(250):
        wish = middle - 0.2 + pace * T * tick
        motion.step(wish, np.ones(4), np.ones(4), np.zeros(4, dtype=bool), motion.q - lag * motion.v, options)
    assert motion.v == pytest.approx(pace, abs=1e-6)
    np.testing.assert_allclose(motion.sent, motion.q, atol=2e-3)  # what the first ticks, all but at rest, added


@pytest.mark.parametrize(("lag", "gain"), [(0.02, 5.0), (0.08, 20.0)])
def test_the_closed_loop_is_switched_off_in_motion_without_a_jump(hand: Robot, lag: float, gain: float) -> None:
    rng = np.random.default_rng(0)
    controller = Controller(hand, None, ControllerOptions(target_timeout=0.0, closed_loop_gain=gain))
    controller.start()
    q, sent = hand.home, []
    for k in range(1500):
        if k % 100 == 0:
            tips = hand.kinematics.tip_position(np.clip(hand.home + rng.uniform(-2, 2, 16), hand.lower, hand.upper))
        if k == 300:
            controller.set_options(ControllerOptions(target_timeout=0.0, closed_loop_gain=0.0))
        sent.append(controller.tick(k * T, Measurement(q, k * T), Targets(tips, np.zeros(4))).command)
        q = q + (sent[-1] - q) * T / lag
    acceleration = np.abs(np.diff(sent, 2, axis=0)) / T**2
    assert (acceleration <= hand.acceleration * (1 + 1e-6)).all()


def test_what_the_closed_loop_added_fades_with_a_time_of_three_tenths_of_a_second_when_it_is_switched_off(
    hand: Robot,
) -> None:
    motion, middle = JointMotion(hand, hand.kinematics, None, T), 0.5 * (hand.lower + hand.upper)
    held = np.zeros(4, dtype=bool)
    motion.seed(middle)
    for _ in range(300):
        motion.step(middle, np.ones(4), np.ones(4), held, middle - 0.05, ControllerOptions(closed_loop_gain=2.0))
    added = motion.sent - middle
    assert added.min() > 0.04
    path = []
    for _ in range(2000):
        motion.step(middle, np.ones(4), np.ones(4), held, middle, ControllerOptions())
        path.append(motion.sent - middle)
    np.testing.assert_allclose(path[round(0.6 / T)], added * np.exp(-2.0), rtol=0.1)
    np.testing.assert_array_equal(motion.sent, motion.q)


@pytest.mark.parametrize("rate", [50.0, 333.0])
def test_a_hand_that_was_blocked_and_is_let_go_comes_to_rest_in_the_closed_loop(hand: Robot, rate: float) -> None:
    rng = np.random.default_rng(0)
    controller = Controller(hand, None, ControllerOptions(rate=rate, target_timeout=0.0, closed_loop_gain=20.0))
    controller.start()
    tips = hand.kinematics.tip_position(np.clip(hand.home + rng.uniform(-0.3, 0.3, 16), hand.lower, hand.upper))
    blocked, q, sent = np.arange(16) % 4 == 2, hand.home, []
    for k in range(round(10 * rate)):
        now = k / rate
        sent.append(controller.tick(now, Measurement(q, now), Targets(tips, np.zeros(4))).command)
        q = np.where(blocked, q, sent[-1]) if now < 2.0 else sent[-1]
    assert np.ptp(sent[-round(rate) :], axis=0).max() < 1e-3


def test_in_the_closed_loop_a_finger_that_is_let_go_is_no_faster_than_its_share_of_the_velocity(hand: Robot) -> None:
    options = ControllerOptions(
        target_timeout=0.0, speed=0.1, closed_loop_gain=5.0, max_lead=0.3, collision_check=False
    )
    controller = Controller(hand, None, options)
    controller.start()
    q, sent = hand.home, []
    for k in range(2000):
        goal = hand.home + np.tile([0.1, 0.3, 0.1, 0.1], 4) * (1.0 if k < 600 else -1.0)
        tips = hand.kinematics.tip_position(np.clip(goal, hand.lower, hand.upper))
        sent.append(controller.tick(k * T, Measurement(q, k * T), Targets(tips, np.zeros(4))).command)
        drawn = q + (sent[-1] - q) * T / 0.03  # a drive that lags behind
        q = np.where(np.arange(16) % 4 == 1, q, drawn) if 100 < k < 1400 else drawn
    pace = np.abs(np.diff(sent, axis=0)) / T / hand.velocity
    assert pace[1400:].max() > 0.09, "it went on when it was let go"
    assert pace.max() <= 0.1 + 1e-9


@pytest.mark.parametrize("gain", [0.0, 5.0])
@pytest.mark.parametrize("setting", [{"speed": 0.0}, {"tip_weight": (0.0, 1.0, 1.0, 1.0)}, {"speed": 0.1}])
def test_a_finger_that_is_pushed_beyond_the_lead_gives_way_however_slow_it_shall_be(hand: Robot, setting, gain) -> None:
    options = ControllerOptions(
        target_timeout=0.0, closed_loop_gain=gain, max_lead=0.2, posture_rate=0.0, collision_check=False, **setting
    )
    controller = Controller(hand, None, options)
    controller.start()
    tips = hand.kinematics.tip_position(hand.home)
    tips[0] += [0.0, 0.01, 0.0]  # so that its other joints want to move, too
    q, sent, lead = hand.home, [], []
    for k in range(500):
        pushed = min(max(k - 100, 0) * 1.0 * T, 0.9)  # rad, at 1 rad/s, by hand
        q = np.where(np.arange(16) == 1, hand.home + pushed, q if not sent else sent[-1])
        sent.append(controller.tick(k * T, Measurement(q, k * T), Targets(tips, np.zeros(4))).command)
        lead.append(np.abs(sent[-1] - q).max())
    assert max(lead) < 0.2 + 0.03, "which is what it takes to be as fast as the push"
    assert lead[-1] < 0.2 + 1e-6
    others = np.delete(np.abs(np.diff(sent, axis=0)) / T / hand.velocity, 1, axis=1)
    share = controller.options.tip_speed(4)[0]
    assert others[:, :3].max() <= share + 1e-6
