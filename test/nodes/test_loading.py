"""What the node loads and what its loop was permitted, seen from outside."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from node_bench import Lab, diagnostics_of, wait_for
from std_msgs.msg import Float64MultiArray

from nnik_ros.calibration import Calibration
from nnik_ros.geometry import frozen
from nnik_ros.nodes.inbox import Inbox, newest
from nnik_ros.paths import share_dir, shipped
from nnik_ros.robot import Robot


def test_the_shipped_network_of_the_robot_moves_the_hand(lab: Lab, robot: Robot) -> None:
    assert robot.name in shipped(share_dir() / "models", ".onnx")
    bench = lab.bench(model="auto")
    bench.until("IDLE")
    solvers: list[str] = []
    goal = robot.kinematics.tip_position(robot.home + 0.15)

    def reached() -> bool:
        bench.send(goal)
        solvers.append(bench.state("index.solver"))
        return bool(np.linalg.norm(bench.tips() - goal, axis=-1).max() < 0.0006)

    wait_for(reached, "the goal", bench.process)
    assert "NETWORK" in solvers
    assert "network 'allegro_right'" in bench.process.output


@pytest.mark.parametrize("model", ["auto", "none"])
def test_a_calibrated_robot_reaches_targets_with_its_own_geometry(
    lab: Lab, robot: Robot, tmp_path: Path, model: str
) -> None:
    nq, nt = robot.nq, robot.nt
    calibration = Calibration(
        robot.name, robot.kinematics.digest(), robot.joint_names, robot.tip_names, frozen(np.full(nq, 0.03)),
        frozen(np.zeros((nq, 3))), frozen(np.zeros((nq, 3))), frozen(np.full((nt, 3), 0.001)), "a test",
    )  # fmt: skip
    path = tmp_path / "calibration.yaml"
    calibration.write(path)
    own = calibration.apply(robot)
    bench = lab.bench(model=model, calibration=path)
    goal = own.tip_position(robot.home + 0.1)

    def reached() -> bool:
        bench.send(goal)
        return bool(np.linalg.norm(own.tip_position(bench.hand.q) - goal, axis=-1).max() < 0.0006)

    wait_for(reached, "the goal in the calibrated geometry", bench.process)
    assert np.linalg.norm(bench.tips() - goal, axis=-1).max() > 0.001  # by the description the hand is elsewhere


def test_a_calibration_that_is_missing_is_refused(lab: Lab) -> None:
    process = lab.start("controller_node", "/refused", model="none", calibration="/nowhere/hand.yaml")
    assert process.exit_code() == 1
    assert "/nowhere/hand.yaml" in process.output


def test_the_diagnostics_tell_what_the_loop_was_permitted(lab: Lab) -> None:
    bench = lab.bench(realtime_priority=10, lock_memory=True)
    arrays = bench.station.listen(DiagnosticArray, "diagnostics")

    def told() -> bool:
        return bool(arrays) and any("SCHED_FIFO" in value for value in diagnostics_of(arrays, "loop").values())

    wait_for(told, "the outcome of the request", bench.process)
    values = diagnostics_of(arrays, "loop")
    threads = [int(name) for name in os.listdir(f"/proc/{bench.process.number}/task")]
    priorities = {os.sched_getparam(t).sched_priority for t in threads if os.sched_getscheduler(t) == os.SCHED_FIFO}
    permitted = 10 in priorities
    assert ("SCHED_FIFO priority 10" in values["realtime"]) == permitted
    assert ("SCHED_FIFO priority 10 is not permitted; add '@realtime" in values["realtime_refused"]) != permitted
    assert ("memory locked" in values["realtime"]) != ("memory locking" in values["realtime_refused"])


def test_an_inbox_gives_the_newest_message_once(lab: Lab) -> None:
    station = lab.station()
    inbox: Inbox[Float64MultiArray] = Inbox(station.node, Float64MultiArray, "numbers", newest(1))
    got: list[float] = []

    def arrived() -> bool:
        station.publish("numbers", Float64MultiArray(data=[float(len(got))]))
        got.extend(message.data[0] for message in inbox.take())
        return len(got) >= 5

    wait_for(arrived, "five messages")
    assert got == sorted(got)
    wait_for(lambda: inbox.take() == [], "an empty inbox")
