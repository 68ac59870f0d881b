"""The learned baselines under the same contract: the control node runs them as it runs the package's own networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_bench import Bench, Lab, wait_for
from sensor_msgs.msg import JointState

from nnik_ros.paths import robot_file, share_dir
from nnik_ros.robot import load_robot

OF_EACH_SYSTEM = [
    ("allegro_right", "s1_allegro_dense"),
    ("allegro_right", "s2_allegro_sac"),
    ("spatial_2j", "s3_spatial_tips"),
    ("planar_2r", "s4_planar_absolute"),
    ("planar_2r", "s5_planar_incremental"),
]
ITS_OWN = ("NETWORK", "SHORTENED")
WAY = 0.4  # rad, of every joint from home to the goal at most


@pytest.fixture
def lab_of(log_dir: Path) -> Iterator[Callable[[str], Lab]]:
    labs: list[Lab] = []

    def make(name: str) -> Lab:
        labs.append(Lab(load_robot(robot_file(name)), log_dir))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


@pytest.mark.parametrize(("name", "model"), OF_EACH_SYSTEM)
def test_a_baseline_of_each_system_moves_its_simulated_robot_towards_the_targets(
    lab_of: Callable[[str], Lab], name: str, model: str
) -> None:
    lab = lab_of(name)
    robot, station = lab.robot, lab.station()
    states = station.listen(JointState, "joint_states")
    statistics = station.listen(DiagnosticStatus, "statistics")
    lab.start("sim_hand_node", station.namespace, robot=name)
    path = share_dir() / "models" / "seeds" / f"{model}.onnx"
    settings = {"model": path, "start_paused": False, "rate": 100, "closed_loop_gain": 4.0, "bench_after": 0}
    controller = lab.start("controller_node", station.namespace, robot=name, **settings)
    bench = Bench(station, robot, None, controller)
    q = np.clip(robot.home + np.random.default_rng(0).uniform(-WAY, WAY, robot.nq), robot.lower, robot.upper)
    goals = [robot.kinematics.tip_position(q), robot.kinematics.tip_position(robot.home)]
    arrivals = 0

    def distance() -> float:
        tips = robot.kinematics.tip_position(np.array(states[-1].position))
        return float(np.linalg.norm(tips - goals[arrivals % 2], axis=-1).mean())

    wait_for(lambda: states, "joint states", controller)
    start = distance()

    def moved_by_the_network() -> bool:
        """There and back again, until enough of the steps were the network's own, or a part of them."""
        nonlocal arrivals
        bench.send(goals[arrivals % 2])
        arrivals += distance() < 0.2 * start
        counts = {pair.key: pair.value for pair in statistics[-1].values} if statistics else {}
        steps = sum(int(counts.get(f"solver.{tip}.{solver}", "0")) for tip in robot.tip_names for solver in ITS_OWN)
        return arrivals > 0 and steps >= 10

    wait_for(moved_by_the_network, f"{model} to bring the tips near their targets", controller)
    assert f"network '{path}'" in controller.output
