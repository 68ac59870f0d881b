"""Where the command goes on when joint states come back: nothing that was published may jump."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.robot import Robot
from nnik_ros.states import Measurement, Targets, TickResult, TipState

T = 1 / 333.0
AWAY = np.array([0.05, 0.3, 0.2, 0.1] * 3 + [-0.1, 0.2, 0.2, 0.1])


class DrivenHand:
    """A hand whose drive, critically damped, takes its time, and the controller that sees it or not."""

    def __init__(self, robot: Robot, stiffness: float, **options: object) -> None:
        """stiffness: the drive's own frequency [rad/s]."""
        self.robot = robot
        self.controller = Controller(robot, None, ControllerOptions(target_timeout=0.0, **options))
        self.controller.start()
        self.now, self.sent, self.times = 10.0, [], []
        self.q, self._v, self._stiffness = robot.home.copy(), np.zeros(robot.nq), stiffness
        self.held = self.q.copy()  # the command that the drive holds
        self.goal = robot.kinematics.tip_position(np.clip(robot.home + 3.0 * AWAY, robot.lower, robot.upper))
        self.target_age = 0.0  # s

    def run(self, seconds: float, *, seen: bool = True, frozen: bool = False) -> TickResult:
        """frozen: the hand and its driver stand still as well, as a stopped process does."""
        for _ in range(round(seconds / T)):
            self.now += T
            if not frozen:
                self._drive()
            measured = Measurement(self.q.copy(), self.now) if seen else None
            result = self.controller.tick(
                self.now, measured, Targets(self.goal, np.full(4, self.now - self.target_age))
            )
            if result.command is not None:
                self.held = result.command
                self.sent.append(result.command)
                self.times.append(self.now)
        return result

    def _drive(self) -> None:
        for _ in range(4):
            pull = self._stiffness**2 * (self.held - self.q) - 2.0 * self._stiffness * self._v
            self._v = self._v + pull * T / 4
            self.q = self.q + self._v * T / 4

    def fastest(self) -> float:
        """Largest step of all commands, silence or not between them, over what the velocity limit allows."""
        return float((np.abs(np.diff(self.sent, axis=0)) / (self.robot.velocity * T)).max())


@pytest.mark.parametrize("response", ["stop", "hold"])
@pytest.mark.parametrize("stiffness", [10.0, 20.0, 40.0])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("gap", [0.11, 0.15, 0.3, 1.5])
def test_no_gap_of_joint_states_in_the_middle_of_a_motion_makes_the_command_jump(
    hand: Robot, response: str, stiffness: float, frozen: bool, gap: float
) -> None:
    for begin in (0.05, 0.15):
        rig = DrivenHand(hand, stiffness, on_stale_state=response)
        rig.run(begin)
        assert rig.run(gap, seen=False, frozen=frozen).hand_state is TipState.STALE_STATE
        assert rig.run(1.5).hand_state is not TipState.STALE_STATE
        assert rig.fastest() <= 1.0 + 1e-6
        changes = np.abs(np.diff(rig.sent, 2, axis=0)).max(0)  # a silence stands between two commands at rest
        assert (changes <= hand.acceleration * T * T * 1.001).all()


@pytest.mark.parametrize("elsewhere", [0.2, 0.6])
def test_a_hand_that_rests_elsewhere_after_silence_is_taken_up_where_it_is(hand: Robot, elsewhere: float) -> None:
    rig = DrivenHand(hand, 40.0, on_stale_state="stop")
    rig.run(1.0)
    assert rig.run(1.5, seen=False).command is None
    begin = len(rig.sent)
    rig.q = np.clip(rig.q - elsewhere, hand.lower, hand.upper)  # another driver: holds its hand where that stands
    rig.held = rig.q.copy()
    where = rig.q.copy()
    result = rig.run(0.2)
    assert (result.hand_state, result.command) == (TipState.STALE_STATE, None)
    rig.run(0.1)
    np.testing.assert_allclose(rig.sent[begin], where, atol=hand.acceleration.max() * T * T * 1.01)


@pytest.mark.parametrize("why", ["paused", "stale targets"])
def test_after_silence_nothing_is_sent_to_a_hand_that_nobody_sees(hand: Robot, why: str) -> None:
    rig = DrivenHand(hand, 40.0, on_stale_state="hold", on_stale_target="stop")
    rig.run(1.0)
    if why == "paused":
        rig.controller.pause()
    else:
        rig.controller.set_options(
            ControllerOptions(on_stale_state="hold", on_stale_target="stop", target_timeout=0.001)
        )
        rig.target_age = 1.0
    assert rig.run(0.5).command is None
    rig.q = np.clip(rig.q - 0.6, hand.lower, hand.upper)  # somebody moves the hand
    where = rig.held = rig.q.copy()
    rig.run(0.5)
    before = len(rig.sent)
    rig.run(0.5, seen=False)
    rig.controller.start()
    rig.target_age = 0.0
    assert rig.run(0.5, seen=False).hand_state is TipState.STALE_STATE
    assert len(rig.sent) == before
    rig.run(0.5)
    np.testing.assert_allclose(rig.sent[before], where, atol=hand.acceleration.max() * T * T * 1.01)


@pytest.mark.parametrize("pause", [False, True])
def test_a_command_that_leads_as_far_as_it_may_comes_to_rest_and_falls_silent(hand: Robot, pause: bool) -> None:
    rig = DrivenHand(hand, 20.0, on_stale_state="stop")
    rig.run(0.1)
    if pause:
        rig.controller.pause()
    assert rig.run(2.0, seen=pause, frozen=True).command is None


@pytest.mark.parametrize("why", ["pause", "reset", "stale targets"])
@pytest.mark.parametrize(("noise", "gain"), [(0.01, 0.0), (0.001, 2.0)])
def test_a_hand_that_presses_with_all_of_its_lead_falls_silent_however_its_encoders_tremble(
    hand: Robot, noise: float, gain: float, why: str
) -> None:
    options = ControllerOptions(closed_loop_gain=gain, target_timeout=3.0, on_stale_target="stop")
    controller, rng, commands = Controller(hand, None, options), np.random.default_rng(1), []
    controller.start()
    goal = hand.kinematics.tip_position(hand.home + np.tile([0.1, 0.8, 0.2, 0.0], 4))
    for k in range(round(5.0 / T)):  # something blocks all of it
        now = k * T
        if why != "stale targets" and k == round(3.0 / T):
            getattr(controller, why)()
        measured = Measurement(hand.home + noise * rng.normal(size=hand.nq), now)
        commands.append(controller.tick(now, measured, Targets(goal, np.zeros(4))).command)
    assert commands[-1] is None
    silent = [command is None for command in commands].index(True)
    assert silent * T < 3.5
    steps = np.diff([*commands[:silent], commands[silent - 1]], axis=0) / T
    change = np.abs(np.diff(steps, axis=0)) / (hand.acceleration * T)
    assert change.max() <= 1.0 + 1e-6, "it stands when it falls silent"


@pytest.mark.parametrize(
    "calls", [("reset", "start"), ("pause", "reset", "start"), ("reset", "home", "start"), ("reset", "home")]
)
def test_a_start_right_after_a_reset_in_motion_begins_at_the_hand_but_only_after_silence(
    hand: Robot, calls: tuple[str, ...]
) -> None:
    rig = DrivenHand(hand, 20.0)
    rig.run(0.1)
    for call in calls:
        getattr(rig.controller, call)()
    rig.run(0.5)
    count = 1 + int(np.argmax(np.diff(rig.times)))
    assert 0.25 <= rig.times[count] - rig.times[count - 1] < 0.3
    assert np.abs(rig.sent[count] - rig.sent[count - 1]).max() < 0.05, "the hand was given time to arrive"


def test_no_storm_of_an_operators_calls_makes_the_command_jump(hand: Robot) -> None:
    rig, rng = DrivenHand(hand, 10.0), np.random.default_rng(5)
    for _ in range(300):
        getattr(rig.controller, rng.choice(["start", "start", "pause", "reset", "home"]))()
        rig.run(rng.choice([T, 0.02, 0.1]))
    step = (np.abs(np.diff(rig.sent, axis=0)) / (hand.velocity * T)).max(axis=-1)
    assert len(step) > 1000
    assert step[np.diff(rig.times) < 0.25].max() <= 1.0 + 1e-6


@pytest.mark.parametrize("again", [False, True])
def test_a_reset_in_motion_brakes_within_the_acceleration_limits_before_it_forgets(hand: Robot, again: bool) -> None:
    rig = DrivenHand(hand, 20.0)
    rig.run(0.06)
    before = len(rig.sent)
    rig.controller.reset()
    if again:
        rig.controller.start()
    rig.run(0.5)
    step = np.diff(rig.sent, axis=0) / T
    assert np.abs(step[before - 2]).max() > 0.2, "it was on its way"
    pauses = np.flatnonzero(np.diff(rig.times) > 1.5 * T)
    end = pauses[0] if len(pauses) else len(step)
    assert end - before > 5, "it brakes for a while"
    assert np.abs(step[end - 1]).max() < 0.3, "and all but rests in the end"
    change = np.abs(np.diff(step[before - 3 : end], axis=0)) / (hand.acceleration * T)
    assert change.max() <= 1.0 + 1e-6
