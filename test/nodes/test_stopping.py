"""Pausing, staleness, signals and lifecycle: the hand comes to rest, and what ends, ends cleanly."""

from __future__ import annotations

import contextlib
import functools
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node_bench import Bench, Lab, diagnostics_of, pose_array, wait_for
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from nnik_ros.nodes.control_loop import ControlLoop
from nnik_ros.nodes.controller_node import ControllerNode
from nnik_ros.paths import driver_file
from nnik_ros.robot import Robot
from test.robustness.processes import Process, flood_with_signals, ros_arguments


def far_goal(bench: Bench) -> np.ndarray:
    """A second or so away."""
    q = bench.robot.home.copy()
    q[1::4] += 0.6
    return bench.robot.kinematics.tip_position(np.clip(q, bench.robot.lower, bench.robot.upper))


def largest_jump(bench: Bench, first: int = 0) -> float:
    """Largest change of a joint between two commands in a row [rad]."""
    return float(np.abs(np.diff(np.array(bench.hand.commands[first:]), axis=0)).max())


def test_started_paused_it_sends_nothing_until_start_is_called(lab: Lab) -> None:
    bench = lab.bench(start_paused=True)
    bench.until("PAUSED")
    wait_for(lambda: bench.hand.connected, "the hand to hear the controller", bench.process)
    bench.send(far_goal(bench))
    bench.count_statuses(10)
    assert bench.hand.commands == []
    assert f"call {bench.station.namespace}/controller/start" in bench.message
    assert bench.trigger("start").success
    wait_for(lambda: bench.hand.commands, "a command", bench.process)
    assert np.abs(bench.hand.commands[0] - bench.robot.home).max() < 0.01


def test_pause_and_resume_in_the_middle_of_a_motion_have_no_bump(lab: Lab) -> None:
    bench = lab.bench(speed=0.2, target_timeout=0.0)
    bench.until("IDLE")
    bench.set_out(far_goal(bench), 0.1)
    bench.trigger("pause")
    bench.until("PAUSED")
    count, rest = bench.fall_silent(), bench.hand.q.copy()
    bench.trigger("start")
    wait_for(lambda: len(bench.hand.commands) > count, "commands after the pause", bench.process)
    first_step = bench.robot.acceleration.max() * 0.01**2  # at the bench's 100 Hz
    assert np.abs(bench.hand.commands[count] - rest).max() < 1.01 * first_step
    bench.reach(far_goal(bench))
    assert largest_jump(bench) < 0.2  # a bump to the goal would be larger


@pytest.mark.parametrize("started", ["half a second later", "at once"])
def test_a_hand_that_was_moved_while_paused_is_not_pulled_back(lab: Lab, started: str) -> None:
    bench = lab.bench()
    bench.reach(bench.robot.kinematics.tip_position(bench.robot.home))
    bench.trigger("pause")
    bench.until("PAUSED")
    count = bench.fall_silent()
    bench.hand.q = bench.robot.home.copy()
    bench.hand.q[1::4] += 0.7
    moved = bench.hand.q.copy()
    if started == "at once":
        wait_for(lambda: "jumped by" in bench.process.output, "the doubt", bench.process)
    else:
        bench.count_statuses(5)
    bench.trigger("start")
    wait_for(lambda: len(bench.hand.commands) > count, "commands after the pause", bench.process)
    assert np.abs(bench.hand.commands[count] - moved).max() < 0.02


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_controller_cleanly_and_its_last_command_holds(lab: Lab, number: signal.Signals) -> None:
    bench = lab.bench(speed=0.2, target_timeout=0.0)
    bench.until("IDLE")
    bench.set_out(far_goal(bench), 0.05)
    bench.process.send(number)
    bench.process.send(number)  # launch sends a second one
    assert bench.process.exit_code() == 0, bench.process.output
    assert "Traceback" not in bench.process.output
    assert "rror" not in bench.process.output
    assert largest_jump(bench) < 0.2
    wait_for(lambda: bench.state() == "INACTIVE", "the last status")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_simulated_hand_cleanly(lab: Lab, number: signal.Signals) -> None:
    station = lab.station()
    states = station.listen(JointState, "joint_states")
    process = lab.start("sim_hand_node", station.namespace)
    wait_for(lambda: states, "joint states", process)
    process.send(number)
    assert process.exit_code() == 0, process.output
    assert "Traceback" not in process.output


def test_under_nohup_the_controller_outlives_its_terminal(lab: Lab) -> None:
    station = lab.station()
    arguments = ros_arguments(station.namespace, {"model": "none", "robot": lab.robot.name})
    nohup = functools.partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)
    process = Process("nnik_ros.nodes.controller_node", arguments, lab.log_dir, before=nohup)
    bench = Bench(station, lab.robot, None, process)
    bench.until("WAITING_STATE")
    process.send(signal.SIGHUP)
    bench.count_statuses(5)
    process.send(signal.SIGTERM)
    assert process.exit_code() == 0, process.output


def test_several_signals_at_once_end_the_controller_every_time(lab: Lab) -> None:
    """Some of them interrupt other threads than the one that waits for them; all were lost then, in one case of six."""
    for _ in range(6):
        station = lab.station()
        process = lab.start("controller_node", station.namespace, model="none")
        wait_for(lambda process=process: "WAITING_STATE" in process.output, "its first word", process)
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            process.send(number)
        assert process.exit_code() == 0, process.output
        assert "Traceback" not in process.output


def test_signals_without_end_end_the_controller_as_one_does(lab: Lab) -> None:
    """On Kilted one that came while ROS ended killed it: rclpy made the handlers the default ones for a moment."""
    for _ in range(4):
        station = lab.station()
        process = lab.start("controller_node", station.namespace, model="none")
        wait_for(lambda process=process: "WAITING_STATE" in process.output, "its first word", process)
        flood_with_signals(process.process)
        assert process.exit_code() == 0, process.output
        assert "Traceback" not in process.output


REFUSED = """
import signal
from nnik_ros.errors import InputError
from nnik_ros.nodes.process import run_node
def refuse():
    raise InputError("no such robot")
assert run_node(refuse) == 1
print(*{signal.getsignal(number).name for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)})
"""


def test_a_node_that_is_refused_is_not_killed_by_a_signal_while_its_process_ends() -> None:
    """One that came then ended it with another exit code, and left the shared memory of its DDS."""
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("SIG_IGN\n", "no such robot\n")


IGNORED = """
import os, signal, subprocess, sys
from nnik_ros.nodes.process import Stop, ignore_signals, on_signals
on_signals(Stop().set)
flood = "import os, signal, sys\\nwhile True: os.kill(int(sys.argv[1]), signal.SIGINT)"
flooding = subprocess.Popen([sys.executable, "-c", flood, str(os.getpid())])
for _ in range(20000):
    on_signals(Stop().set)
    ignore_signals()
flooding.kill()
flooding.wait()
print("never told")
"""


def test_a_signal_that_comes_when_signals_begin_to_be_ignored_is_not_told_as_an_error() -> None:
    """Python told of it with a traceback, 26 times in 200,000 changes under a flood of signals."""
    done = subprocess.run([sys.executable, "-c", IGNORED], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("never told\n", "")


def test_the_processors_are_kept_awake_as_long_as_the_loop_runs(lab: Lab) -> None:
    bench = lab.bench(keep_awake=True, start_paused=True)
    bench.until("PAUSED")
    if "processors kept awake: /dev/cpu_dma_latency: " in bench.process.output:
        return  # not permitted here, and told; the loop runs all the same
    assert "processors kept awake" in bench.process.output
    for transition, awake in (
        (Transition.TRANSITION_DEACTIVATE, False),
        (Transition.TRANSITION_ACTIVATE, True),
        (Transition.TRANSITION_DEACTIVATE, False),
    ):
        assert keeps_awake(bench.process) != awake
        assert change(bench, transition)
        wait_for(lambda awake=awake: keeps_awake(bench.process) == awake, "another state", bench.process)


def keeps_awake(process: Process) -> bool:
    """Whether it has the file open that keeps processors awake."""
    for file in Path(f"/proc/{process.number}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            if str(file.readlink()) == "/dev/cpu_dma_latency":
                return True
    return False


def test_without_joint_states_it_waits_and_names_the_topic(lab: Lab) -> None:
    station = lab.station()
    bench = Bench(station, lab.robot, None, lab.start("controller_node", station.namespace, model="none"))
    bench.until("WAITING_STATE")
    assert f"{station.namespace}/joint_states has 0 publishers" in bench.message


def test_joint_states_of_another_type_do_not_count_as_such(lab: Lab) -> None:
    station = lab.station()
    station.node.create_publisher(Float64MultiArray, "joint_states", 1)
    bench = Bench(station, lab.robot, None, lab.start("controller_node", station.namespace, model="none"))
    bench.until("WAITING_STATE")
    words = "joint_states has 0 publishers of sensor_msgs/msg/JointState, but 1 of std_msgs/msg/Float64MultiArray"
    wait_for(lambda: words in bench.message, words, bench.process)


def test_who_waits_on_a_shared_topic_tells_whose_joint_states_come_and_whose_are_waited_for(lab: Lab) -> None:
    station = lab.station()
    process = lab.start("controller_node", station.namespace, model="none", driver="wonik_ros2_control")
    bench = Bench(station, lab.robot, None, process)
    bench.until("WAITING_STATE")
    assert "of others" not in bench.message
    right = JointState(name=[f"ahr_joint{i}{j}" for i in range(4) for j in range(4)], position=[0.5] * 16)

    def told() -> bool:
        station.publish("joint_states", right)
        return "of others, ahr_joint00, ahr_joint01, ahr_joint02, ..., not of ah_joint00, ah_joint01" in bench.message

    wait_for(told, "the names of both", process, every=0.05)
    right.name = ["x" * 100_000]
    wait_for(lambda: station.publish("joint_states", right) or "xxx" in bench.message, "the endless name", process)
    assert len(bench.message) < 500


def test_stale_joint_states_hold_the_hand_and_fresh_ones_let_it_go_on(lab: Lab) -> None:
    bench = lab.bench(speed=0.2, target_timeout=0.0)
    bench.until("IDLE")
    bench.set_out(far_goal(bench), 0.05)
    bench.hand.silent = True
    bench.until("STALE_STATE")
    bench.come_to_rest()
    assert np.linalg.norm(bench.tips() - far_goal(bench), axis=-1).max() > 0.005
    bench.hand.silent = False
    bench.reach(far_goal(bench))
    assert largest_jump(bench) < 0.2


def test_a_paused_controller_warns_of_joint_states_that_stopped_and_of_no_others(lab: Lab) -> None:
    bench = lab.bench(start_paused=True)
    bench.until("PAUSED")

    def ten_without_a_warning() -> bool:
        bench.count_statuses(10)
        last = bench.statuses[-10:]
        return all(told.level == DiagnosticStatus.OK and "joint states" not in told.message for told in last)

    wait_for(ten_without_a_warning, "no warning while joint states come", bench.process)
    bench.hand.silent = True
    words = f"the last joint states on {bench.station.namespace}/joint_states are "
    wait_for(lambda: words in bench.message, words, bench.process)
    assert (bench.statuses[-1].level, bench.state()) == (DiagnosticStatus.WARN, "PAUSED")
    bench.hand.silent = False
    wait_for(lambda: "joint states" not in bench.message, "the end of the warning", bench.process)
    bench.trigger("start")
    bench.until("IDLE")


def test_commands_that_nobody_receives_are_warned_of_as_long_as_some_are_sent(lab: Lab) -> None:
    bench = lab.bench()
    bench.until("IDLE")
    bench.hand.fall_deaf()
    words = f"nobody receives {bench.station.namespace}/joint_cmd"

    def warned() -> bool:
        status = bench.statuses[-1]
        return words in status.message and status.level == DiagnosticStatus.WARN

    wait_for(warned, words, bench.process)
    bench.trigger("pause")
    bench.until("PAUSED")
    wait_for(lambda: bench.statuses[-1].level == DiagnosticStatus.OK, "the end of the warning", bench.process)
    assert words not in bench.message


def test_joint_states_that_come_too_slowly_are_told_with_the_parameter_that_says_so(lab: Lab) -> None:
    """Its publisher is there, so nothing else says what to do."""
    bench = lab.bench(state_timeout=0.3)
    bench.until("IDLE")
    bench.hand.silent = True
    bench.until("STALE_STATE")
    assert "joint_states has 1 publisher; state_timeout is 0.3 s" in bench.message


def test_a_stale_target_stops_the_hand_on_its_way(lab: Lab) -> None:
    bench = lab.bench(speed=0.1, target_timeout=0.2)
    bench.until("IDLE")
    bench.set_out(far_goal(bench), 0.02)
    bench.until("STALE_TARGET")
    bench.come_to_rest()
    assert np.linalg.norm(bench.tips() - far_goal(bench), axis=-1).max() > 0.005
    bench.reach(far_goal(bench))


def change(bench: Bench, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(bench.station.call(ChangeState, "controller/change_state", request).success)


def test_a_lifecycle_manager_can_run_it_twice(lab: Lab) -> None:
    bench = lab.bench(autostart=False)
    assert bench.station.call(GetState, "controller/get_state").current_state.id == State.PRIMARY_STATE_UNCONFIGURED
    for _ in range(2):
        assert change(bench, Transition.TRANSITION_CONFIGURE)
        bench.until("INACTIVE")
        count = len(bench.hand.commands)
        assert change(bench, Transition.TRANSITION_ACTIVATE)
        bench.until("IDLE")
        wait_for(lambda count=count: len(bench.hand.commands) > count, "commands", bench.process)
        assert change(bench, Transition.TRANSITION_DEACTIVATE)
        bench.until("INACTIVE")
        assert change(bench, Transition.TRANSITION_CLEANUP)
    bench.process.send(signal.SIGTERM)
    assert bench.process.exit_code() == 0, bench.process.output


def test_the_status_tells_a_fingers_switch_in_every_state_and_a_new_configuration_keeps_it(lab: Lab) -> None:
    """It was once seen in some states alone, and all fingers were enabled again without a word."""
    bench = lab.bench(start_paused=True)
    bench.until("PAUSED")
    assert bench.enable("ring", False).success
    switches = {f"{tip}.enabled": "false" if tip == "ring" else "true" for tip in bench.robot.tip_names}

    def told() -> bool:
        return switches.items() <= bench.values.items()

    wait_for(told, "the switches while it is paused", bench.process)
    assert change(bench, Transition.TRANSITION_DEACTIVATE)
    bench.until("INACTIVE")
    assert told()
    assert change(bench, Transition.TRANSITION_CLEANUP)
    assert change(bench, Transition.TRANSITION_CONFIGURE)
    assert "still disabled: ring" in bench.process.output
    assert change(bench, Transition.TRANSITION_ACTIVATE)
    bench.until("PAUSED")
    assert told()
    assert bench.trigger("start").success
    bench.until("DISABLED", "ring.state")


def test_an_inactive_controller_tells_no_rate_and_who_else_publishes_its_commands(lab: Lab) -> None:
    bench = lab.bench()
    bench.until("IDLE")
    assert change(bench, Transition.TRANSITION_DEACTIVATE)
    bench.until("INACTIVE")
    other = bench.station.node.create_publisher(JointState, "joint_cmd", 1)
    arrays = bench.station.listen(DiagnosticArray, "diagnostics")
    topic = f"{bench.station.namespace}/joint_cmd"
    wait_for(
        lambda: arrays and "/station" in diagnostics_of(arrays, "publishers").get(topic, ""),
        "the other one",
        bench.process,
    )
    (loop,) = (status for status in arrays[-1].status if status.name.endswith(": loop"))
    assert loop.message.startswith("not running")
    bench.station.node.destroy_publisher(other)


def test_two_controllers_of_one_namespace_name_each_other_although_their_hands_lie_apart(lab: Lab) -> None:
    """One call starts both, and both follow the same targets."""
    bench = lab.bench(driver_namespace="/left_hand")
    lab.start("controller_node", bench.station.namespace, model="none", driver_namespace="/right_hand")
    name = f"{bench.station.namespace}/controller"
    words = f"{bench.station.namespace}/status is published by several: {name}, {name}"
    wait_for(lambda: words in bench.message, words, bench.process)


@pytest.mark.parametrize("sent", ["before", "meanwhile"])
def test_no_target_from_before_its_activation_moves_the_hand(lab: Lab, sent: str) -> None:
    """Whoever sent it may have meant another moment."""
    bench = lab.bench(target_timeout=0.0)
    bench.until("IDLE")
    if sent == "before":
        bench.set_out(far_goal(bench), 0.02)
    assert change(bench, Transition.TRANSITION_DEACTIVATE)
    bench.until("INACTIVE")
    if sent == "meanwhile":
        for _ in range(5):
            bench.send(far_goal(bench))
            bench.count_statuses(1)
    bench.fall_silent()
    start = bench.hand.q.copy()
    assert change(bench, Transition.TRANSITION_ACTIVATE)
    bench.until("IDLE")
    bench.count_statuses(10)
    bench.until("IDLE")  # such a target would never go stale
    np.testing.assert_allclose(bench.hand.q, start, atol=1e-6)
    bench.reach(far_goal(bench))


def test_no_joint_states_from_before_its_activation_are_begun_with(lab: Lab) -> None:
    """They may well be younger than a long state_timeout, and the hand was moved since: it once jumped back there."""
    bench = lab.bench(state_timeout=5.0)
    bench.until("IDLE")
    assert bench.trigger("pause").success
    bench.until("PAUSED")
    bench.count_statuses(30)  # of silence, after which nothing is waited for
    count = bench.fall_silent()
    assert change(bench, Transition.TRANSITION_DEACTIVATE)
    bench.until("INACTIVE")
    bench.hand.q = moved = bench.hand.q + 0.15
    bench.count_statuses(5)
    assert change(bench, Transition.TRANSITION_ACTIVATE)
    bench.until("IDLE")
    np.testing.assert_allclose(bench.hand.commands[count], moved, atol=1e-6)


def test_a_command_that_was_not_due_is_not_sent_when_the_node_is_activated_again(lab: Lab) -> None:
    """The hand may have been moved since; a paused controller once sent it back there."""
    bench = lab.bench(driver="wonik_ros2_control", rate=800, start_paused=True)
    for shift in (0.2, -0.1, 0.1, -0.2):  # of eight commands in a row, seven wait for their turn
        bench.until("PAUSED")
        count = len(bench.hand.commands)
        assert bench.trigger("start").success
        wait_for(lambda count=count: len(bench.hand.commands) > count, "commands", bench.process)
        assert change(bench, Transition.TRANSITION_DEACTIVATE)
        bench.until("INACTIVE")
        count = bench.fall_silent()
        bench.hand.q = bench.robot.home + shift
        assert change(bench, Transition.TRANSITION_ACTIVATE)
        bench.until("PAUSED")
        bench.count_statuses(5)
        assert len(bench.hand.commands) == count


def test_a_transition_that_the_state_does_not_have_is_refused_and_the_hand_goes_on(lab: Lab) -> None:
    """The rclpy of Jazzy raises on it; that once ended the process while the loop still ran."""
    bench = lab.bench()
    bench.until("IDLE")
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP, 77):
        assert not change(bench, transition)
    bench.reach(far_goal(bench))
    bench.process.send(signal.SIGTERM)
    assert bench.process.exit_code() == 0, bench.process.output
    assert "Traceback" not in bench.process.output


def test_after_a_shutdown_by_a_manager_it_ends_in_order(lab: Lab) -> None:
    bench = lab.bench()
    bench.until("IDLE")
    assert change(bench, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    bench.process.send(signal.SIGINT)
    assert bench.process.exit_code() == 0, bench.process.output
    assert "Traceback" not in bench.process.output


def test_a_managed_controller_that_cannot_be_configured_stays_alive_unconfigured(lab: Lab) -> None:
    bench = lab.bench(autostart=False, robot="shadow")
    assert not change(bench, Transition.TRANSITION_CONFIGURE)
    assert bench.station.call(GetState, "controller/get_state").current_state.id == State.PRIMARY_STATE_UNCONFIGURED
    assert "'shadow'" in bench.process.output


def test_a_configuration_that_fails_leaves_nothing_behind(lab: Lab, robot: Robot, tmp_path: Path) -> None:
    document = yaml.safe_load(driver_file("simulated").read_text())
    document["command"]["topic"] = "joint-cmd"
    driver, tape = tmp_path / "driver.yaml", tmp_path / "tape.jsonl"
    driver.write_text(yaml.safe_dump(document))
    station = lab.station()
    process = lab.start("controller_node", station.namespace, autostart=False, driver=driver, record=tape)
    bench = Bench(station, robot, None, process)
    for _ in range(2):
        assert not change(bench, Transition.TRANSITION_CONFIGURE)
    assert "'joint-cmd' must consist of letters" in bench.process.output
    assert not tape.exists()
    topic = f"{bench.station.namespace}/target_poses"
    assert bench.station.node.get_subscriptions_info_by_topic(topic) == []


def entities_of(node: ControllerNode) -> list[int]:
    """How many of each kind the node has."""
    return [len(list(kind)) for kind in (node.publishers, node.subscriptions, node.services, node.timers)]


@pytest.fixture
def unconfigured(monkeypatch) -> Iterator[ControllerNode]:
    """A controller in this process, for a manager; with damped least squares."""
    monkeypatch.setattr(ControllerNode, "_start_by_itself", lambda node: None)
    node = ControllerNode()
    node.set_parameters([Parameter("model", value="none")])
    yield node
    node.close()
    node.destroy_node()


def test_a_configuration_that_fails_in_the_middle_leaves_nothing_behind(unconfigured, tmp_path: Path) -> None:
    """Its recording once went on, and kept the next configuration from writing there."""
    document = yaml.safe_load(driver_file("simulated").read_text())
    document["command"].update(topic="joint_states", type="float64_multi_array")  # no topic has two types
    driver = tmp_path / "driver.yaml"
    driver.write_text(yaml.safe_dump(document))
    node, bare = unconfigured, entities_of(unconfigured)
    node.set_parameters(
        [Parameter("driver", value=str(driver)), Parameter("record", value=str(tmp_path / "tape.jsonl"))]
    )
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert entities_of(node) == bare
    node.set_parameters([Parameter("driver", value="simulated")])
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS


def test_a_target_that_is_sent_as_soon_as_the_activation_is_answered_is_not_lost(
    unconfigured, lab: Lab, monkeypatch
) -> None:
    """Locking the memory takes its time; whatever came before the first tick was once thrown away."""
    node, station = unconfigured, lab.station()
    begin = threading.Event()
    monkeypatch.setattr("nnik_ros.nodes.session.apply_realtime", lambda *options: begin.wait(5.0))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    session = node._session
    goal = session.robot.kinematics.tip_position(session.robot.home)
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    station.publish("/target_poses", pose_array(session.robot.base_frame, goal))
    threading.Event().wait(0.5)  # for the message to arrive
    begin.set()
    wait_for(lambda: session.result is not None and np.allclose(session.targets, goal, atol=1e-9), "the target")


@pytest.mark.parametrize(("fails", "method"), [("activate", "start"), ("deactivate", "stop")])
def test_a_transition_that_fails_is_told_and_leaves_nothing_behind(
    unconfigured, monkeypatch, capfd, fails: str, method: str
) -> None:
    """A second configuration once made a second session beside the first, whose services answered too."""
    node, bare = unconfigured, entities_of(unconfigured)
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    configured = entities_of(node)
    if fails == "deactivate":
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    right, calls = getattr(ControlLoop, method), []

    def fail_once(loop: ControlLoop) -> None:
        calls.append(loop)
        if len(calls) == 1:
            raise RuntimeError("can't start new thread")
        right(loop)

    monkeypatch.setattr(ControlLoop, method, fail_once)
    assert getattr(node, f"trigger_{fails}")() == TransitionCallbackReturn.ERROR
    assert "can't start new thread" in capfd.readouterr().err
    assert entities_of(node) == bare
    assert gc.isenabled()
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert entities_of(node) == configured
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS


def test_a_state_timeout_that_the_drivers_joint_states_hardly_keep_is_warned_of(lab: Lab) -> None:
    bench = lab.bench(driver="wonik_ros2_control", state_timeout=0.012)
    bench.until("IDLE")
    assert (
        "state_timeout is 0.012 s, and driver wonik_ros2_control sends joint states every 0.01 s"
        in bench.process.output
    )
