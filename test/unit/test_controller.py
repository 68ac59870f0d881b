from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.collision import CollisionModel
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import InputError
from nnik_ros.guard import Solver
from nnik_ros.limits import Limit
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import robot_file, share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.states import Measurement, Targets, TipState
from test.policies import Proposal

T = 1 / 333.0
NOTHING = Targets(np.full((4, 3), np.nan), np.full(4, -np.inf))


class Rig:
    """A controller on a hand that goes where it is told within the tick, and a clock."""

    def __init__(self, robot: Robot, policy=None, collision=None, **options) -> None:
        self.robot = robot
        self.controller = Controller(robot, policy, ControllerOptions(**options), collision)
        self.q, self.now, self.sent = robot.home.copy(), 100.0, []
        self.targets = NOTHING

    def aim(self, q: np.ndarray) -> None:
        self.targets = Targets(self.robot.kinematics.tip_position(q), np.full(self.robot.nt, self.now))

    def tick(self, *, measured: bool = True, moves: bool = True):
        self.now += T
        result = self.controller.tick(
            self.now, Measurement(self.q.copy(), self.now) if measured else None, self.targets
        )
        self.sent.append(result.command)
        if moves and result.command is not None:
            self.q = result.command
        return result

    def run(self, ticks: int, **kwargs):
        for _ in range(ticks):
            result = self.tick(**kwargs)
        return result


def reachable(robot: Robot) -> np.ndarray:
    return np.clip(robot.home + 0.2, robot.lower + 0.1, robot.upper - 0.1)


def test_it_reaches_a_target_and_says_so(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.0)
    rig.controller.start()
    rig.aim(reachable(hand))
    result = rig.run(500)
    assert result.hand_state is TipState.REACHED
    np.testing.assert_allclose(hand.kinematics.tip_position(rig.q), rig.targets.position, atol=1e-4)
    assert all("at its target" in message for message in result.messages(hand.tip_names))


def test_nothing_is_sent_before_start_nor_before_the_first_measurement(hand: Robot) -> None:
    rig = Rig(hand)
    rig.aim(reachable(hand))
    assert rig.tick(measured=False).hand_state is TipState.WAITING_STATE
    assert rig.tick().hand_state is TipState.PAUSED
    rig.controller.reset()
    rig.controller.start()
    result = rig.tick(measured=False)
    assert result.hand_state is TipState.WAITING_STATE
    assert "first joint states" in result.hand_message()
    assert rig.sent == [None] * 3


def test_the_first_command_is_the_measured_position(hand: Robot) -> None:
    rig = Rig(hand)
    rig.controller.start()
    rig.q = hand.random_joint_position(np.random.default_rng(1), 1)[0] * 0.9 + 0.1 * hand.home
    before = rig.q.copy()
    rig.aim(reachable(hand))
    np.testing.assert_allclose(rig.tick().command, before, atol=hand.acceleration.max() * T * T * 1.01)


def test_pause_comes_to_rest_in_time_then_goes_silent_and_resume_has_no_bump(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.0)
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(30)
    rig.controller.pause()
    results = [rig.tick() for _ in range(100)]
    states = {(result.hand_state, result.command is None) for result in results}
    assert states == {(TipState.STOPPING, False), (TipState.PAUSED, True)}, "paused is who sends nothing any more"
    assert results[-1].hand_state is TipState.PAUSED
    sent = np.array([command for command in rig.sent if command is not None])
    assert np.abs(np.diff(sent, 2, axis=0)).max() <= hand.acceleration.max() * T * T * 1.001
    last = sent[-1]
    rig.q = last + 0.02  # a weak drive sags
    rig.controller.start()
    np.testing.assert_allclose(rig.tick(moves=False).command, last, atol=hand.acceleration.max() * T * T * 1.01)


def paused_rig(hand: Robot) -> Rig:
    """A hand that was led to its targets and stands paused."""
    rig = Rig(hand, target_timeout=0.0)
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(300)
    rig.controller.pause()
    rig.run(100)
    return rig


def test_a_hand_moved_while_paused_is_taken_up_where_it_is(hand: Robot) -> None:
    rig = paused_rig(hand)
    rig.q = np.clip(rig.q + 0.8, hand.lower, hand.upper)
    moved = rig.q.copy()
    rig.controller.start()
    command = rig.tick(moves=False).command
    far = np.abs(rig.sent[299] - moved) > 0.5
    assert far.any()
    np.testing.assert_allclose(command, moved, atol=hand.acceleration.max() * T * T * 1.01)


def test_no_hand_is_begun_with_in_a_tick_without_a_measurement_however_fresh_the_last_one_is(hand: Robot) -> None:
    """None says that joint states contradict each other: the last ones may be those of a hand that was moved meanwhile."""
    rig = paused_rig(hand)
    rig.controller.start()
    result = rig.tick(measured=False)
    assert (result.hand_state, result.command) == (TipState.STALE_STATE, None)
    assert rig.tick().command is not None
    assert rig.tick(measured=False).command is not None, "a hand that is commanded is held"


def test_fingers_without_targets_stay_where_a_hand_that_was_moved_while_paused_is_started(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.5)
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(100)
    rig.controller.pause()
    rig.run(300)
    moved = rig.q = np.clip(rig.q + 0.3, hand.lower, hand.upper)
    rig.controller.start()
    result = rig.run(400)
    assert result.hand_state is TipState.STALE_TARGET
    np.testing.assert_allclose(result.command, moved, atol=1e-9)


@pytest.mark.parametrize("sag", [0.1, 0.2])
def test_a_hand_that_sags_far_below_its_command_is_not_taken_for_one_that_was_moved(hand: Robot, sag: float) -> None:
    rig = Rig(hand, target_timeout=0.0)
    rig.controller.start()
    rig.aim(reachable(hand))
    for _ in range(400):
        rig.q = rig.tick(moves=False).command - sag
    rig.controller.pause()
    rig.run(100, moves=False)
    last = rig.q + sag
    rig.controller.start()
    np.testing.assert_allclose(rig.tick(moves=False).command, last, atol=hand.acceleration.max() * T * T * 1.01)


def test_a_hand_that_came_to_its_command_only_after_a_pause_and_was_then_moved_is_taken_up_where_it_is(
    hand: Robot,
) -> None:
    """How far it had been behind says nothing any more."""
    rig = Rig(hand, target_timeout=0.0)
    rig.controller.start()
    rig.aim(np.clip(hand.home + 1.0, hand.lower, hand.upper))
    rig.run(150, moves=False)  # held, while the command leads by as much as it may
    rig.controller.pause()
    rig.run(200, moves=False)
    rig.q = next(command for command in reversed(rig.sent) if command is not None)  # let go
    rig.run(100)
    moved = rig.q = np.clip(rig.q - 0.2, hand.lower, hand.upper)
    rig.controller.start()
    np.testing.assert_allclose(rig.tick(moves=False).command, moved, atol=hand.acceleration.max() * T * T * 1.01)


def test_stale_joint_states_bring_the_command_to_rest_and_recovery_goes_on_smoothly(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.0, on_stale_state="hold")
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(30)
    result = rig.run(200, measured=False)
    assert result.hand_state is TipState.STALE_STATE
    assert "waits for joint states" in result.hand_message()
    held = result.command
    np.testing.assert_array_equal(rig.run(20, measured=False).command, held)
    np.testing.assert_allclose(rig.tick().command, held, atol=hand.acceleration.max() * T * T * 1.01)
    assert rig.run(500).hand_state is TipState.REACHED
    sent = np.array(rig.sent)
    assert np.abs(np.diff(sent, 2, axis=0)).max() <= hand.acceleration.max() * T * T * 1.001


def test_stale_joint_states_can_silence_the_command(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.0, on_stale_state="stop")
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(30)
    assert rig.run(200, measured=False).command is None
    assert rig.run(2).command is not None


def test_a_stale_target_holds_the_finger_where_it_came_to_rest(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.1)
    rig.controller.start()
    rig.aim(reachable(hand))
    result = rig.run(200)
    assert result.hand_state is TipState.STALE_TARGET
    held = result.command
    np.testing.assert_allclose(rig.run(50).command, held, atol=1e-9)
    rig.aim(reachable(hand))
    assert rig.tick().hand_state is not TipState.STALE_TARGET


def test_a_stale_target_can_send_the_finger_home(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.1, on_stale_target="home")
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(1200)
    np.testing.assert_allclose(rig.q, hand.home, atol=1e-6)


@pytest.mark.parametrize("moved", [0.0, 0.4])
def test_stale_targets_may_silence_the_hand_which_is_taken_up_where_it_is_found(hand: Robot, moved: float) -> None:
    rig = Rig(hand, target_timeout=0.1, on_stale_target="stop")
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.targets.stamp[1:3] = -np.inf
    rig.controller.set_enabled([True, True, True, False])
    result = rig.run(200)
    assert result.command is None
    states = [TipState(state).name for state in (result.hand_state, *result.tip_state)]
    assert states == ["STALE_TARGET", "STALE_TARGET", "IDLE", "IDLE", "DISABLED"]
    begin = len(rig.sent)
    found = rig.q = np.clip(rig.q - moved, hand.lower, hand.upper)
    assert rig.run(200).command is None
    rig.aim(reachable(hand))
    rig.run(300)
    first = next(command for command in rig.sent[begin:] if command is not None)
    np.testing.assert_allclose(first, found, atol=hand.acceleration.max() * T * T * 1.01)


@pytest.mark.parametrize("seed", [7, 24, 32, 40])
def test_before_a_hand_that_stands_still_the_command_comes_to_rest(hand: Robot, seed: int) -> None:
    """Two solvers that take turns would keep it moving, as these hands do where nobody keeps the lead."""
    rng = np.random.default_rng(0)
    for _ in range(seed + 1):
        start = hand.lower + (hand.upper - hand.lower) * rng.uniform(0.2, 0.8, hand.nq)
        goal = np.clip(start + rng.uniform(-1.0, 1.0, hand.nq), hand.lower, hand.upper)
    rig = Rig(
        hand, OnnxPolicy(share_dir() / "models" / "allegro_right.onnx", hand), CollisionModel(hand), target_timeout=0.0
    )
    rig.q = start
    rig.controller.start()
    rig.aim(goal)
    rig.run(1333, moves=False)
    windows = np.array(rig.sent[-330:]).reshape(10, 33, hand.nq)
    assert np.ptp(windows, axis=1).max(axis=-1).min() < 5e-4


def test_a_clock_that_jumps_makes_data_stale_and_moves_nothing(hand: Robot) -> None:
    for jump in (3600.0, -3600.0, np.nan):
        rig = Rig(hand, target_timeout=0.5, on_stale_state="hold")
        rig.controller.start()
        rig.aim(reachable(hand))
        rig.run(400)
        result = rig.controller.tick(rig.now + jump, None, rig.targets)
        assert result.hand_state is TipState.STALE_STATE
        np.testing.assert_allclose(result.command, rig.q, atol=hand.acceleration.max() * T * T * 1.01)


@pytest.mark.parametrize("jump", [0.6, -0.6, np.nan])
def test_a_target_whose_stamp_lies_behind_a_jump_of_the_clock_is_stale_and_not_followed(
    hand: Robot, jump: float
) -> None:
    rig = Rig(hand, target_timeout=0.5)
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.targets.stamp[0] += jump
    result = rig.run(20)
    assert TipState(result.tip_state[0]) is TipState.STALE_TARGET
    np.testing.assert_allclose(rig.q[:4], hand.home[:4], atol=1e-9)
    assert np.abs(rig.q[4:] - hand.home[4:]).max() > 0.01


def test_home_moves_every_joint_home_under_the_limits_and_stays(hand: Robot) -> None:
    rig = Rig(hand)
    rig.q = hand.random_joint_position(np.random.default_rng(2), 1)[0]
    rig.controller.home()
    on_the_way = rig.run(20)
    way = hand.kinematics.tip_position(rig.q) - hand.kinematics.tip_position(hand.home)
    np.testing.assert_allclose(on_the_way.error, np.linalg.norm(way, axis=-1), atol=1e-12)
    result = rig.run(1480)
    assert result.hand_state is TipState.HOMING
    np.testing.assert_allclose(rig.q, hand.home, atol=1e-9)
    assert result.messages(hand.tip_names) == ["0.00 mm from the home position"] * 4


@pytest.mark.parametrize("on_stale_state", ["stop", "hold"])
@pytest.mark.parametrize("why", ["asked", "stale target"])
def test_a_hand_on_its_way_home_that_is_no_longer_seen_comes_to_rest_where_it_is(
    hand: Robot, why: str, on_stale_state: str
) -> None:
    rig = Rig(hand, target_timeout=0.05, on_stale_target="home", on_stale_state=on_stale_state, max_lead=3.2)
    rig.q = np.clip(hand.home + 1.5, hand.lower, hand.upper)
    rig.aim(rig.q)
    rig.controller.start()
    if why == "asked":
        rig.controller.home()
    assert rig.run(40).hand_state is TipState.HOMING
    brakes = (0.1 + 2.0 * (hand.velocity / hand.acceleration).max()) / T  # after the timeout, from half of the velocity
    result = rig.run(round(brakes), measured=False)
    assert result.hand_state is TipState.STALE_STATE
    assert (result.command is None) == (on_stale_state == "stop")
    held = [command for command in rig.sent if command is not None]
    np.testing.assert_allclose(held[-1], held[-2], atol=hand.acceleration.max() * T * T)
    assert np.abs(held[-1] - hand.home).max() > 0.3


def test_a_hand_that_stale_targets_send_home_says_there_that_it_waits_for_new_ones(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.2, on_stale_target="home")
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(60)
    assert rig.run(30).hand_state is TipState.HOMING
    assert rig.run(1500).hand_state is TipState.STALE_TARGET
    np.testing.assert_allclose(rig.q, hand.home, atol=1e-3)


def test_a_way_home_with_another_finger_in_it_says_so(hand: Robot) -> None:
    """The index finger is disabled where the thumb has its home."""
    rig = Rig(hand, collision=CollisionModel(hand), target_timeout=0.0)
    rig.q = np.array([0.2, 1.45, 0.85, 0.09, -0.04, -0.08, 0.03, 0.02, 0.39, -0.14, 0.93, 0.78, 1.13, 0.8, 1.28, 0.1])
    rig.controller.set_enabled([False, True, True, True])
    rig.controller.home()
    result = rig.run(1500)
    assert [TipState(s).name for s in result.tip_state] == ["DISABLED", "HOMING", "HOMING", "COLLISION"]
    assert result.error[3] > 0.005
    assert result.messages(hand.tip_names)[3].endswith("mm to go, kept apart from index")


@pytest.mark.parametrize("seed", [6, 44, 48])
def test_fingers_that_brake_for_each_other_do_not_bend_into_each_other(hand: Robot, seed: int) -> None:
    """Targets change in motion: free ones, all at one, in the palm. The hand lags by 20 ms."""
    rng, collision = np.random.default_rng(seed), CollisionModel(hand)
    rig = Rig(hand, OnnxPolicy(share_dir() / "models" / "allegro_right.onnx", hand), collision, target_timeout=0.0)
    rig.controller.start()
    commands = []
    for _ in range(6):
        tips = hand.kinematics.tip_position(hand.random_joint_position(rng, 1)[0])
        kind = rng.integers(3)
        if kind == 0:
            tips[:] = tips[rng.integers(4)]
        elif kind == 1:
            tips *= 0.2
        rig.targets = Targets(tips, np.full(4, rig.now))
        for _ in range(rng.integers(10, 150)):
            commands.append(rig.tick(moves=False).command)
            rig.q = rig.q + (commands[-1] - rig.q) * T / 0.02
    assert collision.distances(np.array(commands)).min() > 0.001


def test_a_tip_before_the_palm_says_so(hand: Robot) -> None:
    rig = Rig(hand, collision=CollisionModel(hand), target_timeout=0.0)
    rig.controller.start()
    goal = np.full((4, 3), np.nan)
    goal[3] = 0.016, 0.002, -0.041  # inside
    rig.targets = Targets(goal, np.array([-np.inf, -np.inf, -np.inf, rig.now]))
    result = rig.run(700)
    assert TipState(result.tip_state[3]) is TipState.COLLISION
    assert result.messages(hand.tip_names)[3].endswith("mm to go, kept apart from the base")


def test_a_disabled_finger_holds_while_the_others_go_on(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.0)
    rig.controller.start()
    rig.controller.set_enabled([True, False, True, True])
    rig.aim(reachable(hand))
    result = rig.run(500)
    assert [TipState(s).name for s in result.tip_state] == ["REACHED", "DISABLED", "REACHED", "REACHED"]
    np.testing.assert_allclose(rig.q[4:8], hand.home[4:8], atol=1e-12)


@pytest.mark.parametrize(("seed", "finger"), [(3, 3), (7, 3), (10, 1)])
@pytest.mark.parametrize("why", ["disabled", "no target"])
def test_a_finger_that_holds_is_not_moved_aside_by_those_that_come_where_it_is(
    hand: Robot, seed: int, finger: int, why: str
) -> None:
    rng, collision = np.random.default_rng(seed), CollisionModel(hand)
    rig = Rig(hand, collision=collision, target_timeout=0.0)
    while collision.distances(rig.q).min() < 0.004 or rig.now == 100.0:
        rig.q, rig.now = hand.random_joint_position(rng, 1)[0], 101.0
    start, others, own = rig.q, np.arange(4) != finger, np.arange(16) // 4 == finger
    rig.controller.start()
    tips = np.repeat(hand.kinematics.tip_position(start)[[finger]], 4, axis=0) + rng.normal(0.0, 0.005, (4, 3))
    if why == "disabled":
        rig.controller.set_enabled(others.tolist())
        rig.targets = Targets(tips, np.full(4, rig.now))
    else:
        rig.targets = Targets(tips, np.where(others, rig.now, -np.inf))
    result = rig.run(1000)
    assert np.count_nonzero(result.tip_state == TipState.COLLISION) >= 2
    assert result.tip_state[finger] == (TipState.DISABLED if why == "disabled" else TipState.IDLE)
    np.testing.assert_array_equal(np.array(rig.sent)[:, own], np.tile(start[own], (1000, 1)))
    assert collision.distances(np.array(rig.sent)).min() > 0.001


@pytest.mark.parametrize("seed", [1, 23, 24])
def test_a_finger_that_is_switched_off_in_a_crowd_comes_to_rest_for_good(hand: Robot, seed: int) -> None:
    """What others cut short of its way to rest, it does not make up for when they leave."""
    rng, collision = np.random.default_rng(seed), CollisionModel(hand)
    rig = Rig(hand, OnnxPolicy(share_dir() / "models" / "allegro_right.onnx", hand), collision, target_timeout=0.0)
    rig.controller.start()
    enabled, switched_off, rested = np.ones(4, dtype=bool), np.zeros(4, dtype=int), 0
    for tick in range(2000):
        if tick % 150 == 0:
            tips = hand.kinematics.tip_position(hand.random_joint_position(rng, 1)[0])
            if rng.random() < 0.7:
                tips = np.repeat(tips[[rng.integers(4)]], 4, axis=0) + rng.normal(0.0, 0.01, (4, 3))
            rig.targets = Targets(tips, np.full(4, rig.now))
        if tick % 100 == 75:
            enabled = rng.random(4) < 0.6
            rig.controller.set_enabled(enabled.tolist())
        switched_off = np.where(enabled, 0, switched_off + 1)
        rig.tick()
        if tick > 0:
            step = np.abs(rig.sent[-1] - rig.sent[-2]).reshape(4, 4).max(axis=-1)
            assert step[switched_off > 100].max(initial=0.0) < 1e-9
            rested += np.count_nonzero(switched_off > 100)
    assert rested > 500


def test_a_finger_without_speed_says_what_keeps_it_where_it_is(hand: Robot) -> None:
    policy = OnnxPolicy(share_dir() / "models" / "allegro_right.onnx", hand)
    rig = Rig(hand, policy, target_timeout=0.0, tip_weight=(1.0, 1.0, 1.0, 0.0))
    rig.controller.start()
    rig.aim(reachable(hand))
    result = rig.run(500)
    assert [TipState(s).name for s in result.tip_state] == ["REACHED", "REACHED", "REACHED", "LIMITED"]
    assert result.messages(hand.tip_names)[3].endswith("mm to go, limited by speed")


@pytest.mark.parametrize(("asked", "state"), [("start", "FALLBACK"), ("home", "HOMING")])
def test_fingers_that_do_not_follow_say_so_without_a_network_and_on_the_way_home_too(
    hand: Robot, asked: str, state: str
) -> None:
    """Else the missing network is to blame, or nothing."""
    rig = Rig(hand, target_timeout=0.0, max_lead=0.2)
    rig.q = np.clip(hand.home + 0.6, hand.lower, hand.upper)
    getattr(rig.controller, asked)()
    rig.aim(hand.home)
    result = rig.run(1000, moves=False)
    assert {TipState(number).name for number in result.tip_state} == {state}
    assert all("limited by lead" in message for message in result.messages(hand.tip_names))
    assert ("network" in result.messages(hand.tip_names)[0]) is (state == "FALLBACK")


def test_any_subset_of_fingers_may_have_a_target(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.0)
    rig.controller.start()
    rig.aim(reachable(hand))
    stamp = rig.targets.stamp.copy()
    stamp[[0, 3]] = -np.inf
    rig.targets = Targets(rig.targets.position, stamp)
    result = rig.run(500)
    assert [TipState(s).name for s in result.tip_state] == ["IDLE", "REACHED", "REACHED", "IDLE"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_target_with_a_number_that_is_not_finite_is_none(hand: Robot, value: float) -> None:
    rig = Rig(hand, target_timeout=0.0)
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.targets.position[1, 2] = value
    result = rig.run(500)
    assert [TipState(s).name for s in result.tip_state] == ["REACHED", "IDLE", "REACHED", "REACHED"]
    np.testing.assert_allclose(rig.q[4:8], hand.home[4:8], atol=1e-12)


def test_an_unreachable_target_is_approached_to_the_closest_point_and_named(planar: Robot) -> None:
    rig = Rig(planar, target_timeout=0.0)
    rig.controller.start()
    rig.targets = Targets(np.array([[9.0, 12.0, 0.0]]), np.array([rig.now]))
    result = rig.run(4000)
    assert result.hand_state is TipState.UNREACHABLE
    assert abs(result.error[0] - 5.0) < 1e-3
    assert "out of reach" in result.messages(planar.tip_names)[0]
    rig.aim(np.array([0.5, 1.0]))
    assert rig.run(4000).hand_state is TipState.REACHED


def test_a_tip_that_follows_a_trembling_target_is_not_limited_by_every_change_of_its_velocity(
    hand: Robot, rng: np.random.Generator
) -> None:
    rig = Rig(hand, OnnxPolicy(share_dir() / "models" / "allegro_right.onnx", hand), target_timeout=0.0)
    rig.controller.start()
    base, states, limited = hand.kinematics.tip_position(reachable(hand)), [], []
    for tick in range(1200):
        if tick % 11 == 0:  # as from a camera of 30 Hz
            rig.targets = Targets(base + 0.0006 * rng.normal(size=base.shape), np.full(hand.nt, rig.now))
        result = rig.tick()
        states.append(result.tip_state)
        limited.append(result.limited)
    assert (np.array(limited[200:]) == Limit.ACCELERATION).any()
    assert set(np.unique(states[200:])) == {TipState.REACHED, TipState.TRACKING}


def test_a_blocked_finger_winds_nothing_up(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.0, max_lead=0.2)
    rig.controller.start()
    rig.aim(reachable(hand) + 0.3)
    result = rig.run(600, moves=False)
    assert np.abs(np.array(rig.sent) - rig.q).max() <= 0.21
    assert result.limited[0] & Limit.LEAD


def test_the_closed_loop_removes_the_sag_of_the_drive_and_the_open_loop_does_not(hand: Robot) -> None:
    errors = {}
    for gain in (0.0, 5.0):
        rig = Rig(hand, target_timeout=0.0, closed_loop_gain=gain)
        rig.controller.start()
        rig.aim(reachable(hand))
        for _ in range(1500):
            result = rig.tick(moves=False)
            rig.q = result.command - 0.03
            assert TipState.UNREACHABLE not in result.tip_state
        errors[gain] = np.linalg.norm(hand.kinematics.tip_position(rig.q) - rig.targets.position, axis=-1)
    assert errors[0.0].min() > 1e-3
    assert errors[5.0].max() < 1e-4


@pytest.mark.parametrize("noise", [0.003, 0.005])
def test_encoders_that_tremble_let_no_state_tremble_in_the_closed_loop(hand: Robot, noise: float) -> None:
    rig, rng, states = Rig(hand, target_timeout=0.0, closed_loop_gain=2.0), np.random.default_rng(3), []
    rig.controller.start()
    rig.aim(reachable(hand))
    for _ in range(3000):
        result = rig.tick(moves=False)
        rig.q = result.command - 0.01 + noise * rng.normal(size=hand.nq)
        states.append(result.tip_state)
    assert (np.array(states[-1000:]) == TipState.REACHED).all()
    rig.q = hand.home  # somebody holds the fingers elsewhere
    assert TipState.REACHED not in rig.run(200, moves=False).tip_state


@pytest.mark.parametrize(
    ("room", "sag", "limits"), [(0.02, 0.05, "position"), (0.0, 0.05, "position"), (0.4, 0.35, "lead"), (0.4, 0.05, "")],
    ids=["before a limit", "at a limit", "a drive that gives way too far", "in the middle"],
)  # fmt: skip
def test_the_closed_loop_names_what_keeps_it_from_removing_a_sag(
    hand: Robot, room: float, sag: float, limits: str
) -> None:
    rig, goal, last = Rig(hand, target_timeout=0.0, closed_loop_gain=5.0, posture_rate=0.0), hand.home.copy(), 3
    goal[last] = hand.upper[last] - room
    rig.q = goal.copy()
    rig.aim(goal)
    rig.controller.start()
    for _ in range(2000):
        result = rig.tick(moves=False)
        rig.q = result.command.copy()
        rig.q[last] -= sag
    message = result.messages(hand.tip_names)[0]
    assert (f"mm to go, limited by {limits};" if limits else "at its target") in message
    assert all(text.startswith("at its target") for text in result.messages(hand.tip_names)[1:])


def test_a_finger_on_its_way_is_not_limited_by_what_the_closed_loop_cannot_add_there(hand: Robot) -> None:
    goal, last, limited = hand.home.copy(), 3, {}
    goal[last] = hand.upper[last] - 0.02
    for gain in (0.0, 5.0):
        rig, limited[gain] = Rig(hand, target_timeout=0.0, closed_loop_gain=gain), []
        rig.aim(hand.home)
        rig.controller.start()
        for tick in range(2000):
            if tick == 1000:
                rig.aim(goal)
            before = rig.controller._motion.q[last]
            result = rig.tick(moves=False)
            if abs(rig.controller._motion.q[last] - before) > 0.1 * T:
                limited[gain].append(bool(result.limited[0] & Limit.POSITION))
            rig.q = result.command.copy()
            rig.q[last] -= 0.1
    assert len(limited[5.0]) > 50 and sum(limited[5.0]) == sum(limited[0.0])
    assert result.limited[0] & Limit.POSITION


def test_fingers_that_would_meet_stop_before_they_touch_and_can_part_again(hand: Robot) -> None:
    collision = CollisionModel(hand)
    free, kept = Rig(hand, target_timeout=0.0), Rig(hand, None, collision, target_timeout=0.0)
    meeting = hand.kinematics.tip_position(hand.home)
    meeting[:2] = meeting[:2].mean(axis=0)  # index and middle tip in one point
    for rig in (free, kept):
        rig.controller.start()
        rig.targets = Targets(meeting, np.full(4, rig.now))
        rig.result = rig.run(1500)
    assert collision.distances(free.q).min() < -0.005
    assert collision.distances(kept.q).min() > 0.0
    assert TipState.COLLISION in kept.result.tip_state[:2]
    kept.aim(hand.home)
    assert kept.run(800).hand_state is TipState.REACHED


def test_a_hand_moved_a_little_while_paused_is_taken_up_where_it_is(hand: Robot) -> None:
    rig = paused_rig(hand)
    rig.q = np.clip(rig.q + 0.2, hand.lower, hand.upper)  # within the lead, yet not where it was left
    moved = rig.q.copy()
    rig.controller.start()
    np.testing.assert_allclose(rig.tick(moves=False).command, moved, atol=hand.acceleration.max() * T * T * 1.01)


def test_a_target_a_kilometre_away_keeps_no_finger_waiting_afterwards(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.0)
    rig.controller.start()
    rig.targets = Targets(np.full((4, 3), 1000.0), np.full(4, rig.now))
    assert rig.run(1500).hand_state is TipState.UNREACHABLE
    rig.aim(reachable(hand))
    assert rig.run(1000).hand_state is TipState.REACHED


@pytest.mark.parametrize("on_stale_state", ["stop", "hold"])
def test_the_closed_loop_adds_nothing_after_joints_that_nobody_sees(hand: Robot, on_stale_state: str) -> None:
    rig = Rig(hand, target_timeout=0.0, closed_loop_gain=4.0, on_stale_state=on_stale_state)
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(60)
    rig.run(40, moves=False)  # behind its command, and then unseen
    rig.run(200, measured=False, moves=False)
    if on_stale_state == "stop":
        assert rig.sent[-1] is None
    else:
        np.testing.assert_array_equal(rig.sent[-1], rig.sent[-100])


@pytest.mark.parametrize("request_", ["pause", "reset", "disable"])
def test_a_hand_that_somebody_holds_is_pressed_no_more_once_it_is_told_to_rest(hand: Robot, request_: str) -> None:
    rig = Rig(hand, target_timeout=0.0, closed_loop_gain=4.0)
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(100)
    rig.run(100, moves=False)
    pressed = rig.sent[-1]
    if request_ == "disable":
        rig.controller.set_enabled([False] * 4)
    else:
        getattr(rig.controller, request_)()
    assert (rig.run(300, moves=False).command is None) == (request_ != "disable")
    told = [sent for sent in rig.sent if sent is not None]
    assert np.abs(told[-1] - pressed).max() < 0.02


@pytest.mark.parametrize("seed", range(8))
def test_a_command_brakes_at_once_when_joint_states_stop_in_motion(hand: Robot, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rig = Rig(hand, collision=CollisionModel(hand), target_timeout=0.0)
    rig.controller.start()
    rig.aim(hand.random_joint_position(rng, 1)[0])
    rig.run(60)
    brakes = (0.1 + 2.0 * (hand.velocity / hand.acceleration).max()) / T  # after the timeout with half the acceleration
    assert rig.run(round(1.2 * brakes), measured=False).command is None


@pytest.mark.parametrize("why", ["disabled", "stale"])
def test_a_finger_that_holds_does_not_go_on_when_what_blocked_it_lets_go(hand: Robot, why: str) -> None:
    rig = Rig(hand, target_timeout=0.5)
    rig.controller.start()
    rig.aim(np.clip(hand.home + 1.0, hand.lower, hand.upper))
    goal = rig.targets.position
    for _ in range(150):  # the whole hand is held; the command leads by as much as it may
        rig.targets = Targets(goal, np.full(4, rig.now))
        rig.tick(moves=False)
    told = rig.sent[-1]
    assert np.abs(told - rig.q).max() == pytest.approx(0.4, abs=0.01)
    if why == "disabled":
        rig.controller.set_enabled([False] * 4)
    rig.run(300, moves=False)
    rig.run(300)
    np.testing.assert_allclose(rig.sent[-1], told, atol=0.01)


def test_a_target_out_of_reach_winds_nothing_up_in_the_closed_loop(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.0, closed_loop_gain=5.0)
    rig.controller.start()
    far = hand.kinematics.tip_position(hand.home) + [0.3, 0.0, 0.0]
    rig.targets = Targets(far, np.full(4, rig.now))
    rig.run(2000)
    rig.aim(hand.home)
    rig.run(1200)
    error = np.linalg.norm(hand.kinematics.tip_position(rig.q) - rig.targets.position, axis=-1)
    assert error.max() < 5e-4


@pytest.mark.parametrize("seed", [2, 4, 7])
def test_a_hand_before_targets_at_the_rim_of_its_reach_comes_to_rest(seed: int) -> None:
    """Here two kinds of steps take turns for ever, each a little better than the other."""
    robot = load_robot(robot_file("allegro_v5_b_right"))
    rng = np.random.default_rng(seed)
    policy = OnnxPolicy(share_dir() / "models" / "allegro_v5_b_right.onnx", robot)
    rig = Rig(robot, policy, CollisionModel(robot), target_timeout=0.0)
    rig.q = 0.5 * (robot.random_joint_position(rng, 1)[0] + robot.home)
    rig.controller.start()
    rig.run(133)
    centre = robot.kinematics.first_joint_position
    way = robot.kinematics.tip_position(robot.random_joint_position(rng, 1)[0]) - centre
    shares = rng.uniform(0.95, 1.1, (4, 1)) * (robot.kinematics.reach / np.linalg.norm(way, axis=1))[:, None]
    rig.targets = Targets(centre + way * shares, np.full(4, rig.now))
    rig.run(4000)
    assert np.ptp(rig.sent[-333:], axis=0).max() < 1e-3


def test_a_finger_that_was_blocked_for_long_goes_on_when_it_is_free(hand: Robot) -> None:
    rig = Rig(hand, target_timeout=0.0)
    rig.controller.start()
    rig.aim(np.clip(hand.home + 1.0, hand.lower + 0.1, hand.upper - 0.1))
    assert rig.run(3000, moves=False).hand_state is not TipState.REACHED
    assert rig.run(700).hand_state is TipState.REACHED


@pytest.mark.parametrize("noise", [0.0, 0.001])
def test_a_finger_that_something_blocks_presses_on_towards_its_target_and_goes_straight_there_when_it_is_free(
    hand: Robot, noise: float
) -> None:
    rng, policy = np.random.default_rng(5), OnnxPolicy(share_dir() / "models" / "allegro_right.onnx", hand)
    rig = Rig(hand, policy, target_timeout=0.0, max_lead=0.3)
    rig.controller.start()
    rig.aim(hand.home + np.tile([0.1, 0.8, 0.2, 0.0], 4))
    blocked = rig.q.copy()
    for _ in range(999):  # the tips stand still, seen by encoders with noise
        rig.q = blocked + noise * rng.normal(size=16)
        result = rig.tick(moves=False)
        limited = {TipState(state) for state in result.tip_state}
    assert limited == {TipState.LIMITED}
    assert all("limited by" in message and "lead" in message for message in result.messages(hand.tip_names))
    way = rig.targets.position - hand.kinematics.tip_position(blocked)
    ahead = hand.kinematics.tip_position(rig.sent[-1]) - hand.kinematics.tip_position(blocked)
    cosines = (way * ahead).sum(-1) / np.linalg.norm(way, axis=-1) / np.linalg.norm(ahead, axis=-1)
    assert cosines.min() > 0.8
    rig.q = blocked
    assert rig.run(80).hand_state is TipState.REACHED


def test_a_target_out_of_reach_is_said_to_be_after_the_same_time_at_any_rate(planar: Robot) -> None:
    seconds = []
    for rate in (50.0, 1000.0):
        controller = Controller(planar, None, ControllerOptions(rate=rate, target_timeout=0.0))
        controller.start()
        targets, q, now = Targets(np.array([[9.0, 12.0, 0.0]]), np.zeros(1)), planar.home, 0.0
        near = np.inf  # when it came within a millimetre of the closest point, 5 m before the target
        while (result := controller.tick(now, Measurement(q, now), targets)).hand_state is not TipState.UNREACHABLE:
            assert result.command is not None
            q, now = result.command, now + 1.0 / rate
            near = min(near, now if result.error[0] < 5.001 else np.inf)
        seconds.append(now - near)
    assert seconds[0] == pytest.approx(seconds[1], abs=0.2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 1.0, 1e30])
def test_a_network_gone_mad_is_replaced_step_by_step_and_benched_in_the_end(hand: Robot, value: float) -> None:
    rig = Rig(hand, Proposal(hand, lambda q, _: q * value), target_timeout=0.0, bench_after=50)
    rig.controller.start()
    rig.aim(reachable(hand))
    first = rig.run(3)
    assert not rig.controller.benched
    assert set(first.solver) <= {Solver.STAND_IN, Solver.SHORTENED, Solver.HOLD, Solver.NETWORK}
    rig.run(500)
    assert rig.controller.benched
    np.testing.assert_allclose(hand.kinematics.tip_position(rig.q), rig.targets.position, atol=1e-4)
    assert all(np.isfinite(command).all() for command in rig.sent)


def test_a_recorded_run_replays_bit_for_bit(hand: Robot) -> None:
    runs = []
    for _ in range(2):
        rig, rng = Rig(hand, None, CollisionModel(hand), target_timeout=0.0), np.random.default_rng(4)
        rig.controller.start()
        for _ in range(20):
            rig.aim(hand.random_joint_position(rng, 1)[0])
            rig.run(15)
        runs.append(np.array(rig.sent))
    np.testing.assert_array_equal(*runs)


def test_a_copy_of_a_controller_with_a_network_goes_on_bit_for_bit_as_it_does(hand: Robot) -> None:
    rig = Rig(hand, OnnxPolicy(share_dir() / "models" / "allegro_right.onnx", hand), CollisionModel(hand))
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(50)
    other = copy.deepcopy(rig)
    assert np.array_equal(other.run(50).command, rig.run(50).command)


@pytest.mark.parametrize("pointing", [0.0, 0.5])
def test_whoever_writes_into_a_result_changes_no_later_command(hand: Robot, pointing: float) -> None:
    """As for a plot in millimetres: `result.tip_position *= 1e3`."""
    policy = OnnxPolicy(share_dir() / "models" / "allegro_right.onnx", hand)
    sent = []
    for writes in (False, True):
        rig = Rig(hand, policy, CollisionModel(hand), target_timeout=0.0, pointing=(pointing,))
        rig.aim(reachable(hand))
        rig.targets = rig.targets._replace(direction=np.tile([0.0, 0.0, 1.0], (4, 1)) if pointing else None)
        for order in (rig.controller.start, rig.controller.pause, rig.controller.start):
            order()
            for _ in range(100):
                result = rig.tick()
                sent.append(np.full(hand.nq, np.nan) if result.command is None else result.command.copy())
                for array in result[2:-3] if writes else ():
                    array[:] = 1
                for array in (result.target_age, result.pointing_error) if writes else ():
                    array[:] = 1
    np.testing.assert_array_equal(sent[:300], sent[300:])


def test_a_network_that_is_loaded_after_one_was_benched_is_asked_again(hand: Robot) -> None:
    rig = Rig(hand, Proposal(hand, lambda q, _: q * np.nan), target_timeout=0.0, bench_after=5)
    rig.controller.start()
    rig.aim(reachable(hand))
    rig.run(20)
    assert rig.controller.benched
    rig.controller.set_policy(OnnxPolicy(share_dir() / "models" / "allegro_right.onnx", hand))
    assert not rig.controller.benched
    assert (rig.tick().solver == Solver.NETWORK).all()


weird = st.floats(allow_nan=True, allow_infinity=True, width=32)
numbers = st.one_of(st.floats(-0.3, 0.3), weird)
event = st.one_of(
    st.tuples(st.just("tick"), st.integers(1, 40)),
    st.tuples(st.just("target"), st.lists(numbers, min_size=12, max_size=12)),
    st.tuples(st.just("measured"), st.lists(st.one_of(st.floats(-0.5, 2.0), weird), min_size=16, max_size=16)),
    st.tuples(st.just("clock"), st.one_of(st.floats(-5, 5), weird)),
    st.tuples(st.sampled_from(["start", "pause", "home"]), st.none()),
    st.tuples(st.just("enable"), st.lists(st.booleans(), min_size=4, max_size=4)),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(event, min_size=3, max_size=25),
    st.sampled_from(["hold", "home", "stop"]),
    st.sampled_from(["hold", "stop"]),
)
def test_no_sequence_of_events_moves_a_command_out_of_position_velocity_or_acceleration_limits(
    events, on_target, on_state
) -> None:
    hand, collision = hand_and_collision()
    rig = Rig(hand, None, collision, on_stale_target=on_target, on_stale_state=on_state, closed_loop_gain=3.0)
    rig.controller.start()
    q = v = None
    for kind, value in [("tick", 5), *events, ("tick", 40)]:
        if kind == "tick":
            for _ in range(value):
                measured = rig.q
                result = rig.tick()
                if result.command is None:
                    q = v = None
                    continue
                command = result.command
                assert np.isfinite(command).all()
                assert np.all((command >= hand.lower) & (command <= hand.upper))
                if q is not None:
                    velocity = (command - q) / T
                    change = np.zeros(hand.nq) if v is None else velocity - v  # the first velocity is not known
                    continuous = np.all(np.abs(velocity) <= hand.velocity * (1 + 1e-6)) and np.all(
                        np.abs(change) <= hand.acceleration * T * (1 + 1e-5) + 1e-6
                    )
                    # a restart begins at the measured joints, where the hand is
                    assert continuous or np.allclose(command, np.clip(measured, hand.lower, hand.upper), atol=1e-3)
                    v = velocity if continuous else None
                q = command
        elif kind == "target":
            rig.targets = Targets(np.array(value).reshape(4, 3), np.full(4, rig.now))
        elif kind == "measured":
            rig.q = np.array(value)
        elif kind == "clock":
            rig.now += value
        elif kind == "enable":
            rig.controller.set_enabled(value)
        else:
            getattr(rig.controller, kind)()


@functools.cache
def hand_and_collision() -> tuple[Robot, CollisionModel]:
    hand = load_robot(robot_file("allegro_right"))
    return hand, CollisionModel(hand)


def test_joint_jerk_on_a_smooth_reachable_path_is_about_that_of_the_path(hand: Robot) -> None:
    """The path's own: the jerk of smooth joint motion whose tips are the targets."""
    policy = OnnxPolicy(share_dir() / "models" / "allegro_right.onnx", hand)
    t, phase = np.arange(2000) * T, np.random.default_rng(0).uniform(0.0, 2 * np.pi, hand.nq)
    middle, size = 0.5 * (hand.lower + hand.upper), 0.15 * (hand.upper - hand.lower)
    path = middle + size * np.sin(np.pi * t[:, None] + phase)
    rig = Rig(hand, policy, target_timeout=0.0)
    rig.q = path[0]
    rig.controller.start()
    sent, error = [], []
    for q in path:
        rig.aim(q)
        result = rig.tick()
        sent.append(result.command)
        error.append(result.error)
    jerk, own = (np.sqrt((np.diff(np.array(motion)[700:], 3, axis=0) ** 2).mean()) / T**3 for motion in (sent, path))
    assert jerk < 1.2 * own
    assert np.max(error[700:]) < 2e-3  # the moving average of the reference: a few ticks of way


@pytest.mark.parametrize("targets", [
    Targets(np.zeros((3, 3)), np.zeros(4)), Targets(np.zeros((4, 3)), np.zeros(3)), Targets(np.zeros(12), np.zeros(4)),
    Targets(np.zeros((4, 3)), np.zeros(4), np.zeros((3, 3))),
])  # fmt: skip
def test_targets_of_a_wrong_shape_name_it_and_the_next_tick_goes_on(hand: Robot, targets: Targets) -> None:
    controller = Controller(hand, None, ControllerOptions(target_timeout=0.0))
    controller.start()
    goal = Targets(hand.kinematics.tip_position(hand.home), np.zeros(4))
    before = controller.tick(0.0, Measurement(hand.home, 0.0), goal).command
    with pytest.raises(InputError, match=r"have shape .*, must have \(4"):
        controller.tick(0.003, Measurement(hand.home, 0.003), targets)
    after = controller.tick(0.006, Measurement(hand.home, 0.006), goal).command
    assert np.all(np.abs(after - before) <= hand.velocity * 0.0031), "and moves on from where it was"
    with pytest.raises(InputError, match="enabled have shape"):
        controller.set_enabled([True])


@pytest.mark.parametrize("joints", [["a"] * 16, [[0.0, 1.0], [2.0]], {"joint_0.0": 0.0}, [[0.0]] * 16])
def test_joint_states_that_are_no_row_of_numbers_are_as_if_they_had_not_come(hand: Robot, joints: object) -> None:
    controller = Controller(hand, None, ControllerOptions())
    controller.start()
    assert controller.tick(0.0, Measurement(joints, 0.0), NOTHING).hand_state is TipState.WAITING_STATE


@pytest.mark.parametrize("stamp", ["now", [0.0], 1j, pytest.param(10**400, id="huge")])
def test_joint_states_of_a_time_that_is_no_number_are_as_if_they_had_not_come(hand: Robot, stamp: object) -> None:
    controller = Controller(hand, None, ControllerOptions())
    controller.start()
    assert controller.tick(0.0, Measurement(hand.home, stamp), NOTHING).hand_state is TipState.WAITING_STATE


@pytest.mark.parametrize("now", ["now", None, [0.0], 1j, pytest.param(10**400, id="huge")])
def test_a_time_that_is_no_number_is_refused_by_name_and_the_next_tick_goes_on_as_if_it_had_not_been(
    hand: Robot, now: object
) -> None:
    disturbed, other = Rig(hand), Rig(hand)
    for rig in (disturbed, other):
        rig.controller.start()
        rig.aim(reachable(hand))
        rig.run(20)
    with pytest.raises(InputError, match=r"^now is .*, must be a number of seconds"):
        disturbed.controller.tick(now, Measurement(hand.upper, disturbed.now), disturbed.targets)
    assert np.array_equal(disturbed.run(20).command, other.run(20).command)


@pytest.mark.parametrize("position", [[["a"] * 3] * 4, [[0.0] * 3, None, [0.0] * 3, [0.0] * 3], {"index": [0.0] * 3}])
def test_targets_that_are_no_array_of_numbers_are_refused_by_name(hand: Robot, position: object) -> None:
    with pytest.raises(InputError, match=r"^target positions are no array of numbers"):
        Controller(hand, None, ControllerOptions()).tick(0.0, None, Targets(position, np.zeros(4)))


@pytest.mark.parametrize("joints", [0, 15, 17])
def test_joint_states_of_another_number_are_as_if_they_had_not_come(hand: Robot, joints: int) -> None:
    rig, wrong = Rig(hand, target_timeout=0.0, on_stale_state="hold"), np.zeros(joints)
    rig.controller.start()
    rig.aim(reachable(hand))
    assert rig.controller.tick(rig.now, Measurement(wrong, rig.now), rig.targets).hand_state is TipState.WAITING_STATE
    command = rig.run(400).command
    later = rig.now + 0.2
    result = rig.controller.tick(later, Measurement(wrong, later), rig.targets)
    assert result.hand_state is TipState.STALE_STATE
    np.testing.assert_allclose(result.command, command, atol=hand.acceleration.max() * T * T * 1.01)


def test_options_that_are_not_live_keep_their_value(hand: Robot) -> None:
    controller = Controller(hand, None, ControllerOptions(rate=333.0))
    controller.set_options(ControllerOptions(rate=50.0, speed=0.5))
    assert (controller.options.rate, controller.options.speed) == (333.0, 0.5)


@pytest.mark.parametrize(("name", "value"), [
    ("on_stale_target", "hlod"), ("speed", 2.0), ("speed", np.nan), ("speed", "0.1"), ("tip_weight", (3.0,)), ("rate", 0),
    ("rate", -100.0), ("max_lead", -1.0), ("posture_rate", -5.0), ("state_timeout", np.nan), ("bench_after", 1.5),
])  # fmt: skip
def test_options_made_in_python_are_held_to_what_a_parameter_file_is_held_to(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^{name}: is .*, must be "):
        ControllerOptions(**{name: value})


def test_one_number_for_all_tips_and_numbers_of_numpy_are_options(hand: Robot) -> None:
    options = ControllerOptions(
        tip_weight=0.5, pointing=np.full(4, 0.25), speed=np.float32(0.5), bench_after=np.int64(3)
    )
    assert options == ControllerOptions(tip_weight=(0.5,), pointing=(0.25,) * 4, speed=0.5, bench_after=3)
    assert options.tip_speed(hand.nt).tolist() == [0.25] * 4


@pytest.mark.parametrize("name", ["allegro_left", "planar_2r"])
def test_the_network_or_the_collision_model_of_another_robot_is_refused_by_both_names(hand: Robot, name: str) -> None:
    other, own = load_robot(robot_file(name)), DampedLeastSquares(hand)
    controller = Controller(hand, own, ControllerOptions())
    for make in (
        lambda: Controller(hand, DampedLeastSquares(other), ControllerOptions()),
        lambda: Controller(hand, None, ControllerOptions(), CollisionModel(other)),
        lambda: controller.set_policy(DampedLeastSquares(other)),
    ):
        with pytest.raises(InputError, match=f"is of robot '{name}' .* of 'allegro_right'"):
            make()
    controller.set_policy(own)


def test_a_calibrated_controller_leaves_the_collision_model_that_it_was_given_as_it_was(hand: Robot) -> None:
    parameters, model = hand.kinematics.parameters, CollisionModel(hand)
    calibrated = hand.kinematics.calibrated(parameters._replace(joint_zero=parameters.joint_zero + 0.05))
    before = model.distances(hand.home)
    Controller(hand, DampedLeastSquares(hand, calibrated), ControllerOptions(), model)
    np.testing.assert_array_equal(model.distances(hand.home), before)


def test_targets_may_lie_in_memory_as_they_like(hand: Robot) -> None:
    wide = np.asfortranarray(np.repeat(hand.kinematics.tip_position(hand.home), 2, axis=1)[:, ::2])
    wide.setflags(write=False)
    controller = Controller(hand, None, ControllerOptions(target_timeout=0.0, pointing=(1.0,)))
    controller.start()
    assert controller.tick(0.0, Measurement(hand.home, 0.0), Targets(wide, np.zeros(8)[::2], wide)).command is not None
