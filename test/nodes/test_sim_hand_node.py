"""The simulated hand speaks every dialect, and takes commands as the drivers do."""

from __future__ import annotations

import numpy as np
import pytest
from node_bench import Lab, wait_for
from sensor_msgs.msg import JointState

from nnik_ros.driver import joint_map, load_driver
from nnik_ros.nodes.commands import CommandMessage
from nnik_ros.paths import driver_file, robot_file
from nnik_ros.robot import Robot, load_robot


@pytest.mark.parametrize("name", ["allegro_v4", "allegro_v5", "wonik_ros2_control_left", "joint_trajectory_controller"])
def test_it_speaks_the_dialect_of_its_driver(lab: Lab, robot: Robot, name: str) -> None:
    robot = load_robot(robot_file("allegro_v5_b_left")) if name == "allegro_v5" else robot
    driver = load_driver(driver_file(name))
    joints = joint_map(driver, robot)
    station = lab.station()
    states = station.listen(JointState, driver.topic(driver.state))
    process = lab.start("sim_hand_node", station.namespace, robot=robot.name, driver=name, physics="stiff")
    wait_for(lambda: states, "joint states", process)
    assert states[-1].name == list(joints.names)
    assert np.allclose(joints.joint_position(states[-1].name, states[-1].position), robot.home, atol=1e-6)
    goal = robot.home + np.linspace(0.01, 0.16, robot.nq)
    command = CommandMessage(driver, joints).set(goal, 0)
    station.publish(driver.topic(driver.command), command)
    wait_for(
        lambda: np.allclose(joints.joint_position(states[-1].name, states[-1].position), goal, atol=1e-4),
        "motion",
        process,
    )


def test_the_last_command_holds_and_a_bad_one_changes_nothing(lab: Lab, robot: Robot) -> None:
    station = lab.station()
    states = station.listen(JointState, "joint_states")
    process = lab.start("sim_hand_node", station.namespace, physics="stiff")
    goal = robot.home + 0.1
    station.publish("joint_cmd", JointState(position=goal.tolist()))
    wait_for(lambda: states and np.allclose(states[-1].position, goal, atol=1e-4), "motion", process)
    station.publish("joint_cmd", JointState(position=[0.0] * 15))
    wait_for(lambda: "a command has 16 values, got 15" in process.output, "the refusal", process)
    count = len(states)
    wait_for(lambda: len(states) > count + 50, "more states", process)
    assert np.allclose(states[-1].position, goal, atol=1e-4)


def test_the_drive_of_the_simulated_allegro_sags_but_holds(lab: Lab, robot: Robot) -> None:
    station = lab.station()
    states = station.listen(JointState, "joint_states")
    process = lab.start("sim_hand_node", station.namespace, physics="mujoco")
    wait_for(lambda: len(states) > 100, "a third of a second", process)
    error = np.abs(np.array(states[-1].position) - robot.home).max()
    assert 1e-4 < error < 0.2
