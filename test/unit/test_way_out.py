"""A tip that is stuck before a target within its reach finds another posture, and goes there."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.collision import CollisionModel
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.limits import Limit
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot
from nnik_ros.states import Measurement, Targets, TickResult, TipState
from nnik_ros.way_out import WayOut

T = 1 / 333.0
THUMB = 3


@pytest.fixture(scope="module")
def v5() -> Robot:
    return load_robot(robot_file("allegro_v5_b_right"))


@pytest.fixture
def corner(v5: Robot) -> np.ndarray:
    """A posture that the last two joints of the thumb reach only bent backwards: descent from home ends beside it."""
    q = v5.home.copy()
    q[12:14], q[14:] = [0.6, 0.6], v5.lower[14:] + 0.01
    return q


class Follower:
    """A hand that goes where it is told, without a network: damped least squares get stuck as surely as any."""

    def __init__(self, robot: Robot) -> None:
        self.robot, self.q, self.now = robot, robot.home.copy(), 0.0
        self.controller = Controller(robot, None, ControllerOptions(target_timeout=0.01))
        self.controller.start()

    def run(self, ticks: int, target: np.ndarray | None) -> TickResult:
        """Towards tips (nt, 3), or with targets that are too old."""
        for _ in range(ticks):
            self.now += T
            if target is not None:
                self.targets = Targets(target, np.full(self.robot.nt, self.now))
            result = self.controller.tick(self.now, Measurement(self.q, self.now), self.targets)
            self.q = self.q if result.command is None else result.command
        return result


def test_a_stuck_tip_first_holds_then_goes_to_another_posture_and_arrives(v5: Robot, corner: np.ndarray) -> None:
    hand, target = Follower(v5), v5.kinematics.tip_position(corner)
    nearest = min(hand.run(1, target).error[THUMB] for _ in range(250))
    assert 0.001 < nearest < 0.01, "the way straight to the target is no trap"
    assert hand.run(1200, target).tip_state[THUMB] == TipState.REACHED
    assert np.abs(hand.q - corner)[14:].max() < 0.1


def test_a_stuck_tip_finds_its_way_out_also_where_its_drive_gives_way_by_more_than_the_closed_loop_adds(
    v5: Robot, corner: np.ndarray
) -> None:
    hand, target, sag = Follower(v5), v5.kinematics.tip_position(corner), np.zeros(v5.nq)
    sag[13] = 0.32
    hand.controller.set_options(ControllerOptions(closed_loop_gain=5.0))
    for tick in range(4000):
        result = hand.run(1, v5.kinematics.tip_position(v5.home) if tick < 2000 else target)
        hand.q = result.command - sag
    assert result.error[THUMB] < 1e-4
    assert Limit(int(result.limited[THUMB])) == Limit.LEAD, "the closed loop has not come to its bound"


@pytest.mark.parametrize("rate", [50.0, 333.0])
def test_a_tip_that_somebody_pushes_about_for_long_returns_at_once_every_time_that_it_is_let_go(
    hand: Robot, rate: float
) -> None:
    controller = Controller(hand, None, ControllerOptions(rate=rate, target_timeout=0.0))
    controller.start()
    q, pushed, now = hand.home.copy(), hand.home + np.tile([0.0, 0.8, 0.3, 0.3], 4), 0.0
    targets = Targets(hand.kinematics.tip_position(hand.home), np.zeros(hand.nt))
    for time in np.arange(0.0, 16.0, 1 / rate):
        now += 1 / rate
        result = controller.tick(now, Measurement(q, now), targets)
        q = result.command if time % 8.0 > 7.0 else pushed + 0.1 * np.sin(6.0 * time)
        if time % 8.0 > 7.5:
            assert (result.tip_state == TipState.REACHED).all(), f"{time:.2f} s: {result.messages(hand.tip_names)}"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("trembles", [0.0003, 0.0005])
def test_a_stuck_tip_finds_its_way_out_also_where_a_camera_sees_its_target(
    v5: Robot, corner: np.ndarray, trembles: float, seed: int
) -> None:
    """30 Hz, with noise in every coordinate [m]. It stayed beside its target by 4.4 mm."""
    hand, target, rng = Follower(v5), v5.kinematics.tip_position(corner), np.random.default_rng(seed)
    for _ in range(150):
        hand.run(11, target + trembles * rng.normal(size=target.shape))
    off = [hand.run(11, target + trembles * rng.normal(size=target.shape)).error[THUMB] for _ in range(30)]
    assert np.mean(off) < 0.002
    assert np.abs(hand.q - corner)[14:].max() < 0.1


def test_a_tip_that_follows_a_moving_target_out_of_reach_does_not_tire(v5: Robot) -> None:
    """Steps fade only before a target that stays: one that moves may never be closer than it was once."""
    hand, home = Follower(v5), v5.kinematics.tip_position(v5.home)
    tips = []
    for frame in range(400):
        angle = 2.0 * np.pi * frame * 11 * T / 2.0
        result = hand.run(11, home + np.array([0.0, 0.04 * np.sin(angle), 0.2 + 0.01 * np.cos(angle)]))
        tips.append(result.tip_position[:3, 1])
    assert (np.ptp(tips[-60:], axis=0) > 0.02).all()


def test_a_tip_on_its_way_out_that_loses_its_target_goes_on_when_it_is_back(v5: Robot, corner: np.ndarray) -> None:
    """For the same goal no other search is made: forgetting what was found would leave the tip where it was stuck."""
    target = v5.kinematics.tip_position(corner)
    hand = sets_out(v5, target)
    assert hand.run(400, None).tip_state[THUMB] == TipState.STALE_TARGET
    assert hand.run(1200, target).tip_state[THUMB] == TipState.REACHED


def sets_out(robot: Robot, target: np.ndarray) -> Follower:
    """A hand whose thumb is on its way to another posture, in full motion."""
    hand, ticks = Follower(robot), 0
    while not hand.controller._way_out.escaping[THUMB]:
        ticks += 1
        assert ticks < 1000
        hand.run(1, target)
    hand.run(20, target)
    assert hand.controller._way_out.escaping[THUMB]
    return hand


def test_a_way_out_that_is_paused_goes_on_after_the_next_start(v5: Robot, corner: np.ndarray) -> None:
    target = v5.kinematics.tip_position(corner)
    hand = sets_out(v5, target)
    hand.controller.pause()
    assert hand.run(300, target).command is None
    hand.controller.start()
    assert hand.run(1200, target).tip_state[THUMB] == TipState.REACHED


@pytest.mark.parametrize("stop", [{"speed": 0.0}, {"tip_weight": (1.0, 1.0, 1.0, 0.0)}])
def test_a_way_out_that_is_stopped_by_its_speed_goes_on_when_it_may(
    v5: Robot, corner: np.ndarray, stop: dict[str, object]
) -> None:
    target = v5.kinematics.tip_position(corner)
    hand = sets_out(v5, target)
    goes, stops = hand.controller.options, replace(hand.controller.options, **stop)
    hand.controller.set_options(stops)
    hand.run(100, target)
    rest = hand.q[12:]
    hand.run(1000, target)
    np.testing.assert_allclose(hand.q[12:], rest, atol=1e-8)
    hand.controller.set_options(goes)
    assert hand.run(1200, target).tip_state[THUMB] == TipState.REACHED


def test_a_tip_that_is_held_on_its_way_out_goes_on_when_it_is_let_go(v5: Robot, corner: np.ndarray) -> None:
    target = v5.kinematics.tip_position(corner)
    hand = sets_out(v5, target)
    held = hand.q.copy()
    for _ in range(1000):
        hand.run(1, target)
        hand.q = held  # who holds the hand is stronger than its drive
    assert hand.run(1200, target).tip_state[THUMB] == TipState.REACHED


@pytest.mark.parametrize(("start", "end"), [((1.2, -0.6, 0.3), (-1.1, 1.3, 2.0)), ((-3.0, 1.1, 0.7), (0.9, 0.0, 2.0))])
def test_a_tip_that_reached_its_target_does_not_leave_it_for_another_posture(
    start: tuple[float, ...], end: tuple[float, ...]
) -> None:
    """It passes its target by, stands still there, begins to look for another posture, and comes back in the meantime."""
    hand = Follower(load_robot(robot_file("spatial_2j")))
    hand.q, goal = np.array(start), hand.robot.kinematics.tip_position(np.array(end))
    while hand.run(1, goal).tip_state[0] != TipState.REACHED:
        assert hand.now < 3.0
    assert max(hand.run(1, goal).error[0] for _ in range(300)) < 0.001


def test_a_hand_that_was_moved_while_paused_looks_for_its_way_out_again(v5: Robot, corner: np.ndarray) -> None:
    hand, target = Follower(v5), v5.kinematics.tip_position(corner)
    assert hand.run(1500, target).tip_state[THUMB] == TipState.REACHED
    hand.controller.pause()
    hand.run(300, target)
    hand.q = v5.home.copy()
    hand.controller.start()
    assert hand.run(1500, target).tip_state[THUMB] == TipState.REACHED


class FoundAtOnce:
    """A search that ends in the next tick, with a posture 1 rad away."""

    searching = False

    def begin(self, target: np.ndarray) -> None:
        self.searching = True

    def advance(self) -> None:
        self.searching = False

    def found(self, q: np.ndarray, tolerance: float, stays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return q + 1.0, np.array([True])


@pytest.mark.parametrize(
    ("limited", "gain", "ticks"),
    [
        (Limit.COLLISION, 0.0, 100),
        (Limit.COLLISION | Limit.VELOCITY, 0.0, 100),
        (Limit.COLLISION, 0.009 / 100, 100),
        (Limit.COLLISION, 0.011 / 99, None),
        (Limit.VELOCITY, 0.0, None),
        (Limit.COLLISION | Limit.SPEED, 0.0, None),  # one that may not move waits until it may
    ],
)
def test_a_finger_that_others_do_not_let_pass_gives_up_after_a_hundred_ticks(
    limited: Limit, gain: float, ticks: int | None
) -> None:
    """gain [rad]: in a tick."""
    left = 1.0
    goal, tips = np.zeros((1, 3)), SimpleNamespace(position=np.zeros((1, 3)))
    motion = SimpleNamespace(q=np.zeros(1), v=np.zeros(1), tips=tips, away=lambda posture: np.array([left]))
    way_out = WayOut(FoundAtOnce(), np.zeros(1, dtype=np.int64), T)

    def watch() -> None:
        way_out.watch(np.array([0.01]), np.array([50]), goal, goal, motion, np.array([int(limited)]), 5e-4)

    for _ in range(40):
        watch()
        if way_out.escaping.all():
            break
    assert way_out.escaping.all()
    gone = 0
    while way_out.escaping.all() and gone < 500:
        watch()
        gone, left = gone + 1, left - gain
    assert gone == (ticks or 500) + (ticks is not None)  # the first one is measured against


def test_a_target_out_of_reach_is_searched_for_once(v5: Robot) -> None:
    hand = Follower(v5)
    target = v5.kinematics.tip_position(v5.home) + np.array([0.0, 0.0, 0.3])
    begun = []
    search = hand.controller._way_out._escape
    begin = search.begin
    search.begin = lambda goal: (begun.append(goal), begin(goal))[1]  # type: ignore[method-assign]
    assert (hand.run(1500, target).tip_state == TipState.UNREACHABLE).all()
    assert 1 <= len(begun) <= v5.nt


def test_before_targets_out_of_reach_all_fingers_come_to_rest_at_the_closest_points_of_all_postures() -> None:
    """While another posture had to halve the error, some stood centimetres farther off than they had to."""
    robot, rng = load_robot(robot_file("allegro_right")), np.random.default_rng(2)
    damped, n = DampedLeastSquares(robot), 12
    inside = robot.kinematics.tip_position(robot.random_joint_position(rng, n))
    target = inside + 0.3 * rng.normal(size=inside.shape) * robot.kinematics.reach[:, None]
    starts = robot.random_joint_position(rng, 32 * n).reshape(32, n, robot.nq)
    ends = damped.descent(starts, np.broadcast_to(target, (32, *target.shape)), 80)
    closest = np.linalg.norm(robot.kinematics.tip_position(ends) - target, axis=-1).min(axis=0)
    errors = []
    for goal, start in zip(target, robot.random_joint_position(rng, n), strict=True):
        hand = Follower(robot)
        hand.q = start
        errors.append(hand.run(1500, goal).error)
    assert np.max(np.array(errors) - closest) < 0.001


class Search:
    """One that takes ten ticks and finds a posture 1 rad away for every tip; begun: the goals."""

    def __init__(self) -> None:
        self.left, self.begun = 0, []

    @property
    def searching(self) -> bool:
        return self.left > 0

    def begin(self, target: np.ndarray) -> None:
        self.begun.append(target)
        self.left = 10

    def advance(self) -> None:
        self.left -= 1

    def found(self, q: np.ndarray, tolerance: float, stays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return q + 1.0, np.ones(len(q), dtype=bool)


STILL = SimpleNamespace(
    q=np.zeros(2), v=np.zeros(2), tips=SimpleNamespace(position=np.full((2, 3), 0.1)), away=lambda posture: np.ones(2)
)


def watched(
    way_out: WayOut, goal: np.ndarray, stuck: list[int], times: int = 1, motion: SimpleNamespace = STILL
) -> None:
    """Of two tips with one joint each."""
    for _ in range(times):
        way_out.watch(np.full(2, 0.01), np.array(stuck), goal, goal, motion, np.zeros(2, dtype=np.int64), 5e-4)


def test_a_tip_is_searched_for_after_nine_hundredths_of_a_second_and_its_neighbour_without_a_goal_counts_as_there() -> (
    None
):
    search, goal = Search(), np.array([[0.2, 0.2, 0.2], [np.nan] * 3])
    way_out = WayOut(search, np.array([0, 1]), T)
    watched(way_out, goal, [29, 0])
    assert not search.begun
    watched(way_out, goal, [30, 0])
    np.testing.assert_array_equal(search.begun, [[[0.2] * 3, [0.1] * 3]])
    watched(way_out, goal, [31, 0], 10)
    assert way_out.escaping.tolist() == [True, False], "what was found for the tip that is stuck is for it alone"
    assert way_out.posture.tolist() == [1.0, 0.0]
    assert way_out.lost_ticks == 60


def test_a_tip_that_does_not_follow_its_command_is_searched_for_only_once_it_did_so_for_a_while() -> None:
    search, goal, led = Search(), np.zeros((2, 3)), np.array([int(Limit.LEAD), 0])
    way_out = WayOut(search, np.array([0, 1]), T)
    for ticks in range(100):
        limited = led if ticks % 20 == 0 else 0 * led
        way_out.watch(np.full(2, 0.01), np.array([ticks, 0]), goal, goal, STILL, limited, 5e-4)
        assert way_out.ticks[0] == 0
    watched(way_out, goal, [100, 0], 10)
    assert not search.begun
    watched(way_out, goal, [110, 0])
    assert len(search.begun) == 1


def test_a_tip_that_gave_up_does_not_set_out_with_what_is_found_for_its_neighbour() -> None:
    search, goal = Search(), np.zeros((2, 3))
    way_out = WayOut(search, np.array([0, 1]), T)
    watched(way_out, goal, [30, 0], 11)
    there = SimpleNamespace(**{**vars(STILL), "away": lambda posture: np.zeros(2)})
    watched(way_out, goal, [30, 0], 1, there)
    assert not way_out.escaping.any()
    watched(way_out, goal, [30, 30], 11)
    assert len(search.begun) == 2
    assert way_out.escaping.tolist() == [False, True]


def test_a_tip_that_came_closer_during_the_search_stays_and_is_searched_for_again_when_it_is_stuck_again() -> None:
    search, goal = Search(), np.zeros((2, 3))
    way_out = WayOut(search, np.array([0, 1]), T)
    watched(way_out, goal, [30, 30])
    watched(way_out, goal, [5, 35], 10)
    assert way_out.escaping.tolist() == [False, True]
    watched(way_out, goal, [29, 0])
    assert len(search.begun) == 1
    watched(way_out, goal, [30, 0], 11)
    assert len(search.begun) == 2
    assert way_out.escaping.tolist() == [True, True]


def test_a_search_for_one_tip_is_ended_before_the_one_for_a_neighbour_that_got_stuck_meanwhile_begins() -> None:
    search, goal = Search(), np.array([[0.1] * 3, [0.2] * 3])
    way_out = WayOut(search, np.array([0, 1]), T)
    watched(way_out, goal, [30, 0])
    watched(way_out, goal, [30, 30], 10)
    assert len(search.begun) == 1
    assert way_out.escaping.tolist() == [True, False]
    watched(way_out, goal, [30, 30])
    assert len(search.begun) == 2
    watched(way_out, goal, [30, 30], 50)
    assert len(search.begun) == 2
    assert way_out.escaping.tolist() == [True, True]


def test_a_goal_that_trembles_is_searched_for_once_a_second_and_one_that_came_to_rest_elsewhere_soon() -> None:
    search, places = Search(), np.array([[[0.001], [0.0]], [[-0.001], [0.0]]]) * np.ones(3)
    search.found = lambda q, tolerance, stays: (q, np.zeros(2, dtype=bool))  # type: ignore[method-assign]
    way_out = WayOut(search, np.array([0, 1]), T)
    for frame in range(4 * 30):
        watched(way_out, places[frame % 2], [60, 0], 11)
    assert len(search.begun) == 4
    watched(way_out, np.zeros((2, 3)), [60, 0], 32)
    assert len(search.begun) == 5


@pytest.mark.parametrize(("speed", "searches"), [(0.4, True), (0.55, False)])
def test_a_tip_that_comes_late_after_a_goal_that_runs_ahead_is_not_stuck(speed: float, searches: bool) -> None:
    """Whose goal has left by half of the error within 0.09 s: here 43 of 87 mm."""
    search = Search()
    way_out, ticks = WayOut(search, np.array([0, 1]), T), np.zeros(2, dtype=np.int64)
    for tick in range(333):
        goal = np.full((2, 3), speed * tick * T / np.sqrt(3.0))
        late = SimpleNamespace(**{**vars(STILL), "tips": SimpleNamespace(position=goal - 0.05)})
        ticks = ticks + 1
        way_out.watch(np.full(2, 0.01), ticks, goal, goal, late, np.zeros(2, dtype=np.int64), 5e-4)
    assert bool(search.begun) == searches


@pytest.mark.parametrize("every", [11, 1000])
def test_a_tip_that_others_keep_apart_looks_for_another_posture_only_where_its_goal_stays(every: int) -> None:
    search, way_out = Search(), WayOut(Search(), np.array([0, 1]), T)
    way_out._escape, apart = search, np.array([int(Limit.COLLISION), 0])
    for tick in range(100):
        goal = np.full((2, 3), 0.001 * (tick // every % 2))
        way_out.watch(np.full(2, 0.01), np.array([60, 0]), goal, goal, STILL, apart, 5e-4)
    assert len(search.begun) == (every == 1000)


def test_a_tip_for_which_nothing_better_was_found_stays_and_is_not_searched_for_again() -> None:
    search, goal = Search(), np.zeros((2, 3))
    search.found = lambda q, tolerance, stays: (q + 1.0, np.array([False, True]))  # type: ignore[method-assign]
    way_out = WayOut(search, np.array([0, 1]), T)
    watched(way_out, goal, [30, 30], 11)
    assert way_out.escaping.tolist() == [False, True]
    assert way_out.posture.tolist() == [0.0, 1.0]
    watched(way_out, goal, [60, 60], 30)
    assert len(search.begun) == 1


@pytest.mark.parametrize(("moved", "goes"), [(0.086, True), (0.087, False)])  # of 0.1732 m to go
def test_a_posture_found_for_a_goal_that_has_moved_by_half_of_the_error_since_is_not_gone_to(
    moved: float, goes: bool
) -> None:
    for changes_after in (5, 20):  # during the search, and on the way
        way_out = WayOut(Search(), np.array([0, 1]), T)
        watched(way_out, np.zeros((2, 3)), [30, 0], changes_after)
        watched(way_out, np.array([[0.0, moved, 0.0], [0.0] * 3]), [30, 0], 8)
        assert way_out.escaping.tolist() == [goes, False]


def test_steps_fade_after_four_seconds_of_motion_without_progress_and_come_back_with_it() -> None:
    way_out, patience = WayOut(Search(), np.array([0, 1]), T), round(4.0 / T)
    goal, q, way = np.zeros((2, 3)), np.array([0.3, -0.4]), np.array([0.1, 0.2])
    away = {"q": q, "v": np.full(2, 0.01), "away": lambda goal: np.abs(goal - q)}
    restless = SimpleNamespace(**{**vars(STILL), **away})
    watched(way_out, goal, [0, 0], patience - 4, restless)
    watched(way_out, goal, [patience + 1, 0], 4, restless)
    np.testing.assert_array_equal(way_out.calmed(q, q + way), q + way)
    watched(way_out, goal, [patience + 1, 0], round(0.3 / T), restless)
    np.testing.assert_allclose(way_out.calmed(q, q + way) - q, [0.1 / np.e, 0.2], rtol=0.01)
    watched(way_out, goal, [patience + 1, 0], round(9.0 / T), restless)
    np.testing.assert_allclose(way_out.calmed(q, q + way) - q, [1e-4, 0.2], rtol=0.01)
    watched(way_out, goal, [0, 0], 1, restless)
    np.testing.assert_array_equal(way_out.calmed(q, q + way), q + way)


@pytest.mark.parametrize("radius", [0.012, 0.015])
def test_a_tip_that_others_moved_aside_for_long_goes_to_its_target_at_once_when_they_are_gone(
    hand: Robot, radius: float
) -> None:
    rate, middle, ring = 50.0, 1, 2
    controller = Controller(hand, None, ControllerOptions(rate=rate, target_timeout=0.0), CollisionModel(hand))
    controller.start()
    aside, q, states = hand.home.copy(), hand.home.copy(), []
    aside[4] = 0.9 * hand.lower[4]
    home = hand.kinematics.tip_position(hand.home)
    wanted = np.where(np.arange(hand.nt)[:, None] == middle, hand.kinematics.tip_position(aside), home)
    for time in np.arange(0.0, 11.0, 1 / rate):
        target = wanted.copy()
        if time < 9.0:  # the ring finger circles where the middle finger wants to be
            circle = radius * np.array([np.sin(3.0 * time) / 2, np.sin(3.0 * time), np.cos(3.0 * time)])
            target[ring] = wanted[middle] + circle
        result = controller.tick(time, Measurement(q, time), Targets(target, np.zeros(hand.nt)))
        q = result.command
        states.append(result.tip_state[middle])
    assert (np.array(states[:400]) == TipState.COLLISION).mean() > 0.9
    assert (np.array(states[-50:]) == TipState.REACHED).all(), result.messages(hand.tip_names)[middle]


def test_a_tip_before_a_target_out_of_reach_that_others_only_brushed_does_not_begin_anew(hand: Robot) -> None:
    rate, middle, ring = 50.0, 1, 2
    controller = Controller(hand, None, ControllerOptions(rate=rate, target_timeout=0.0), CollisionModel(hand))
    controller.start()
    q, states, off = hand.home.copy(), [], []
    target = hand.kinematics.tip_position(hand.home)
    target[middle] += [0.0, 0.0, 0.07]
    for time in np.arange(0.0, 3.0, 1 / rate):
        if time > 1.0:
            target[ring] = target[middle]
        result = controller.tick(time, Measurement(q, time), Targets(target, np.zeros(hand.nt)))
        q = result.command
        states.append(result.tip_state[middle])
        off.append(result.error[middle])
    assert TipState.COLLISION in states[50:] and np.ptp(off[50:]) < 1e-4, "it was moved, or not even brushed"
    assert set(states[50:]) == {TipState.UNREACHABLE, TipState.COLLISION}
