"""Services and live parameters."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from node_bench import Bench, wait_for
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParametersAtomically
from rclpy.parameter import Parameter

from nnik_ros.controller_options import ControllerOptions
from nnik_ros.nodes.loading import load
from nnik_ros.nodes.node_options import NodeOptions
from nnik_ros.nodes.session import Session
from nnik_ros.nodes.statistics import TimedNetwork
from nnik_ros.options import describe
from nnik_ros.paths import model_file
from nnik_ros.states import Measurement, Targets


@pytest.fixture
def at_rest(bench: Bench) -> Bench:
    """Started, all tips enabled, at a target."""
    assert set_parameters(bench, speed=1.0)[0]
    for tip in bench.robot.tip_names:
        bench.enable(tip, True)
    bench.trigger("start")
    bench.reach(bench.robot.kinematics.tip_position(bench.robot.home))
    bench.come_to_rest()
    return bench


def set_parameters(bench: Bench, **values: object) -> tuple[bool, str]:
    request = SetParametersAtomically.Request(
        parameters=[Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    )
    result = bench.station.call(SetParametersAtomically, "controller/set_parameters_atomically", request).result
    return result.successful, result.reason


def value_of(bench: Bench, name: str) -> object:
    (value,) = bench.station.call(
        GetParameters, "controller/get_parameters", GetParameters.Request(names=[name])
    ).values
    return Parameter.from_parameter_msg(_named(name, value)).value


def _named(name: str, value: object) -> object:
    from rcl_interfaces.msg import Parameter as Message

    return Message(name=name, value=value)


def moved_goal(bench: Bench) -> np.ndarray:
    return bench.robot.kinematics.tip_position(bench.robot.home + 0.1)


def test_a_disabled_finger_holds_while_the_others_follow(at_rest: Bench) -> None:
    bench, goal = at_rest, moved_goal(at_rest)
    assert bench.enable("middle", False).success
    bench.until("DISABLED", "middle.state")
    rest = bench.hand.q[4:8].copy()
    bench.until("REACHED", "thumb.state", lambda: bench.send(goal))
    wait_for(
        lambda: np.linalg.norm(bench.tips() - goal, axis=-1)[[0, 2, 3]].max() < 0.0006, "three tips", bench.process
    )
    assert np.abs(bench.hand.q[4:8] - rest).max() < 1e-6
    bench.enable("middle", True)
    bench.reach(goal)


def test_home_brings_every_joint_to_the_home_position(at_rest: Bench) -> None:
    bench = at_rest
    bench.reach(moved_goal(bench))
    assert bench.trigger("home").success
    bench.until("HOMING")
    wait_for(lambda: np.abs(bench.hand.q - bench.robot.home).max() < 1e-3, "the home position", bench.process)


def test_home_leaves_a_disabled_finger_where_it_is(at_rest: Bench) -> None:
    bench = at_rest
    bench.reach(moved_goal(bench))
    bench.come_to_rest()
    assert bench.enable("ring", False).success
    bench.until("DISABLED", "ring.state")
    rest = bench.hand.q[8:12].copy()
    assert bench.trigger("home").success
    others = np.setdiff1d(np.arange(16), np.arange(8, 12))
    wait_for(lambda: np.abs(bench.hand.q - bench.robot.home)[others].max() < 1e-3, "the others at home", bench.process)
    assert np.abs(bench.hand.q[8:12] - rest).max() < 1e-6
    bench.until("DISABLED", "ring.state")


def test_a_call_that_is_refused_changes_nothing_of_what_it_asked_for(at_rest: Bench) -> None:
    """The solver was once exchanged before the weights were found to be wrong."""
    ok, reason = set_parameters(at_rest, model="auto", tip_weight=[1.0, 0.5])
    assert not ok and "tip_weight" in reason
    assert value_of(at_rest, "model") == "none"
    at_rest.reach(moved_goal(at_rest))
    assert {at_rest.state(f"{tip}.solver") for tip in at_rest.robot.tip_names} <= {"STAND_IN", "HOLD"}


def test_reset_pauses_and_forgets_the_targets(at_rest: Bench) -> None:
    bench = at_rest
    assert bench.trigger("reset").success
    bench.until("PAUSED")
    bench.fall_silent()
    rest = bench.hand.q.copy()
    bench.trigger("start")
    bench.until("IDLE")
    assert np.abs(bench.hand.q - rest).max() < 1e-6


def test_a_live_parameter_changes_the_running_controller(at_rest: Bench) -> None:
    bench = at_rest
    assert set_parameters(bench, speed=0.0)[0]
    rest = bench.hand.q.copy()
    bench.send(moved_goal(bench))
    bench.count_statuses(8)
    assert np.abs(bench.hand.q - rest).max() < 1e-4
    assert set_parameters(bench, speed=1.0)[0]
    bench.reach(moved_goal(bench))


def test_one_finger_waits_while_its_weight_is_zero(at_rest: Bench) -> None:
    bench = at_rest
    assert set_parameters(bench, tip_weight=[1.0, 0.0, 1.0, 1.0])[0]
    rest, goal = bench.tips(), moved_goal(bench)
    wait_for(lambda: bench.send(goal) or np.linalg.norm(bench.tips()[0] - goal[0]) < 0.001, "the index", bench.process)
    assert np.linalg.norm(bench.tips()[1] - rest[1]) < 1e-4
    ok, reason = set_parameters(bench, tip_weight=[1.0, 0.5])
    assert not ok
    assert "tip_weight: has 2 values, must be 1 or 4" in reason
    ok, reason = set_parameters(bench, pointing=[1.0, 0.5])
    assert not ok
    assert "pointing: has 2 values, must be 1 or 4" in reason
    assert set_parameters(bench, tip_weight=1.0)[0]
    bench.reach(goal)


def test_several_bad_values_are_refused_together_and_nothing_changes(at_rest: Bench) -> None:
    bench = at_rest
    before = value_of(bench, "tolerance")
    ok, reason = set_parameters(bench, on_stale_state="panic", on_stale_target="shout", tolerance=0.002)
    assert not ok
    assert "on_stale_state: is 'panic', must be one of 'hold', 'stop'" in reason
    assert "on_stale_target: is 'shout'" in reason
    assert value_of(bench, "tolerance") == before


@pytest.mark.parametrize(("name", "value"), [("rate", 200.0), ("robot", "allegro_left"), ("driver", "allegro_v5")])
def test_what_is_not_live_is_read_only_while_configured(at_rest: Bench, name: str, value: object) -> None:
    before = value_of(at_rest, name)
    ok, reason = set_parameters(at_rest, **{name: value})
    assert not ok
    assert f"{name}: read-only" in reason
    assert value_of(at_rest, name) == before


def test_a_wrong_network_is_refused_while_running_and_the_hand_goes_on(at_rest: Bench) -> None:
    ok, reason = set_parameters(at_rest, model="no_such_network")
    assert not ok
    assert "no_such_network" in reason
    at_rest.reach(moved_goal(at_rest))


@pytest.mark.parametrize("path", ["~nobody_of_this_name/mine.onnx", f"/tmp/{'x' * 300}.onnx"])
def test_a_network_where_nobody_can_look_is_refused_and_what_was_set_beside_it_stays(at_rest: Bench, path: str) -> None:
    before = value_of(at_rest, "model"), value_of(at_rest, "speed")
    ok, reason = set_parameters(at_rest, model=path, speed=0.5)
    assert not ok
    assert f"'{path}' cannot be looked at" in reason
    assert (value_of(at_rest, "model"), value_of(at_rest, "speed")) == before
    at_rest.reach(moved_goal(at_rest))


def test_a_network_that_is_set_again_is_read_again(at_rest: Bench, tmp_path: Path) -> None:
    """The same path was once accepted and nothing was done, also for a network that was benched or made anew."""
    file = tmp_path / "mine.onnx"
    shutil.copy(model_file("allegro_right"), file)
    assert set_parameters(at_rest, model=str(file))[0]
    file.write_bytes(b"broken")
    ok, reason = set_parameters(at_rest, model=str(file))
    assert not ok
    assert str(file) in reason
    assert set_parameters(at_rest, model="none")[0]


def test_a_network_that_is_taken_away_while_a_tick_asks_it_is_in_use_until_that_tick_ends(
    lab, robot, monkeypatch
) -> None:
    """The executor once put another one in its place under the control thread, which then failed or lost the time of it."""
    loaded = load(NodeOptions())
    session = Session(lab.station().node, loaded, NodeOptions(), ControllerOptions())
    network = loaded.policy
    assert isinstance(network, TimedNetwork)
    ask = network.step

    def taken_away(q: np.ndarray, target: np.ndarray) -> np.ndarray:
        session.change_policy(None)
        return ask(q, target)

    monkeypatch.setattr(network, "step", taken_away)
    goal = robot.kinematics.tip_position(robot.home + 0.1)
    monkeypatch.setattr(session, "_take_inputs", lambda now: [])
    monkeypatch.setattr(session._state, "measured", lambda commanded: Measurement(robot.home, 1.0))
    session._targets.targets = Targets(goal, np.full(robot.nt, 1.0), np.full((robot.nt, 3), np.nan))
    session.follow()
    for tick in range(5):
        session._tick(1.0 + 0.003 * tick)
    assert len(session.data.inference.values()) == 1
    session.destroy()


def test_a_fault_that_comes_and_goes_does_not_flood_the_log(lab, capfd) -> None:
    """The good tick between two of them once made each a new one, up to hundreds a second."""
    session = Session(lab.station().node, load(NodeOptions()), NodeOptions(), ControllerOptions())
    for tick in range(50):
        session._tick(0.003 * tick)
        session._on_error(RuntimeError("broken"))
    assert 1 <= capfd.readouterr().err.count("RuntimeError: broken") < 50
    session.destroy()


def test_every_option_is_a_described_parameter(at_rest: Bench) -> None:
    infos = [*describe(ControllerOptions), *describe(NodeOptions)]
    request = DescribeParameters.Request(names=[info.name for info in infos])
    found = at_rest.station.call(DescribeParameters, "controller/describe_parameters", request).descriptors
    for info, descriptor in zip(infos, found, strict=True):
        assert info.doc in descriptor.description
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        assert all(r.to_value == info.high or not np.isfinite(info.high) for r in ranges)
        assert len(ranges) == (1 if info.type in (int, float) and np.isfinite(info.high) and not info.many else 0)
