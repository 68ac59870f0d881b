from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from nnik_ros.driver import COMMAND_TYPES, JointMap, joint_map, load_driver
from nnik_ros.errors import FileError, InputError
from nnik_ros.paths import driver_file, robot_file, share_dir, shipped
from nnik_ros.robot import Robot, load_robot

DRIVERS = shipped(share_dir() / "config" / "drivers", ".yaml")
HAND_DRIVERS = [name for name in DRIVERS if name.startswith(("allegro", "wonik"))]


def bound(name: str, robot: Robot) -> JointMap:
    return joint_map(load_driver(driver_file(name)), robot)


def hands_of(driver: str) -> list[Robot]:
    """The shipped hands that a driver is for."""
    kinds = ["allegro_v5_a", "allegro_v5_b"] if driver.startswith("allegro_v5") else ["allegro"]
    return [load_robot(robot_file(f"{kind}_{side}")) for kind in kinds for side in ("right", "left")]


@pytest.mark.parametrize("name", DRIVERS)
def test_every_shipped_profile_is_named_as_its_file_and_fits_all_its_hands(name: str) -> None:
    driver = load_driver(driver_file(name))
    assert driver.name == name
    assert driver.command_type in COMMAND_TYPES
    for hand in hands_of(name):
        assert sorted(joint_map(driver, hand).robot_index) == list(range(16))


@pytest.mark.parametrize("name", ["allegro_v5", "allegro_v5_2024"])
def test_the_driver_of_the_v5_does_not_move_a_hand_with_the_geometry_of_the_v4(name: str, hand: Robot) -> None:
    with pytest.raises(FileError, match=f"(?s)'{name}' with robot 'allegro_right'.*'joint_0.0'.*'joint_0_0'"):
        bound(name, hand)


@pytest.mark.parametrize("name", ["allegro_v4", "wonik_ros2_control"])
def test_a_driver_of_the_v4_does_not_move_a_hand_with_the_geometry_of_the_v5(name: str) -> None:
    with pytest.raises(FileError, match=f"(?s)'{name}' with robot 'allegro_v5_b_right'.*'joint_0_0'.*'joint_0.0'"):
        bound(name, load_robot(robot_file("allegro_v5_b_right")))


@pytest.mark.parametrize("name", DRIVERS)
def test_an_array_read_back_is_the_position_that_was_written(name: str, rng: np.random.Generator) -> None:
    hand = hands_of(name)[0]
    joints, q = bound(name, hand), hand.random_joint_position(rng, 1)[0]
    assert np.array_equal(joints.from_array(joints.to_array(q)), q)


@pytest.mark.parametrize("name", DRIVERS)
def test_states_are_read_by_name_in_any_order(name: str, rng: np.random.Generator) -> None:
    hand = hands_of(name)[0]
    joints, q = bound(name, hand), hand.random_joint_position(rng, 1)[0]
    order = rng.permutation(16)
    names = [joints.names[i] for i in order]
    assert np.array_equal(joints.joint_position(names, joints.to_array(q)[order]), q)


def test_the_ros2_control_array_begins_with_the_thumb_and_ends_with_the_ring_finger(hand: Robot) -> None:
    joints = bound("wonik_ros2_control", hand)
    assert joints.names[0] == "ah_joint00"
    assert joints.names[15] == "ah_joint33"
    by_joint = dict(zip(hand.joint_names, range(16), strict=True))  # the value of joint_i.0 is i
    q = np.array([float(by_joint[name]) for name in hand.joint_names])
    assert joints.to_array(q).tolist() == [12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]


def test_the_two_hands_of_ros2_control_have_prefixes_and_topics_of_their_own() -> None:
    right, left = (load_driver(driver_file(f"wonik_ros2_control_{side}")) for side in ("right", "left"))
    assert {name[:4] for name in right.driver_joints} == {"ahr_"}
    assert {name[:4] for name in left.driver_joints} == {"ahl_"}
    assert right.topic(right.command) == "allegro_hand_position_controller_r/commands"
    assert left.topic(left.command) == "allegro_hand_position_controller_l/commands"


@pytest.mark.parametrize(("name", "third"), [("allegro_v4", "joint_2.0"), ("allegro_v5", "joint_2_0")])
def test_the_joint_state_drivers_keep_the_order_of_the_hand(name: str, third: str) -> None:
    joints = bound(name, hands_of(name)[0])
    assert joints.names[2] == third
    assert joints.to_array(np.arange(16.0)).tolist() == list(range(16))


def test_topics_lie_in_the_namespace_of_the_driver_or_the_one_that_is_given() -> None:
    driver = load_driver(driver_file("allegro_v5"))
    assert driver.topic(driver.state) == "allegroHand_0/joint_states"
    assert driver.topic(driver.state, "allegroHand_1") == "allegroHand_1/joint_states"
    assert driver.topic(driver.state, "/") == "/joint_states"
    assert driver.topic(driver.state, "") == "allegroHand_0/joint_states"  # the parameter driver_namespace, not given
    late = load_driver(driver_file("allegro_v5_2024"))
    assert late.topic(late.command, "allegroHand_1") == "/allegroHand/joint_cmd"


@pytest.mark.parametrize("namespace", ["left-hand", "2nd", "a//b", "two words", "ümlaut"])
def test_a_namespace_that_no_topic_can_have_is_refused_with_what_is_allowed(namespace: str) -> None:
    driver = load_driver(driver_file("allegro_v5"))
    with pytest.raises(InputError, match=r"allegro_v5.*joint_states.*letters, digits and underscores"):
        driver.topic(driver.state, namespace)


def test_every_wrong_joint_name_is_told(hand: Robot) -> None:
    joints = bound("simulated", hand)
    names = ["joint_1.0", *hand.joint_names[1:15], "elbow"]
    with pytest.raises(InputError) as caught:
        joints.joint_position(names, np.zeros(16))
    for part in ("missing joint_0.0", "missing joint_15.0", "doubled joint_1.0", "unknown elbow", "simulated"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "names", [[f"joint_{i}.0" for i in range(16)], ["joint_0.0"], [f"arm_{'x' * 20}_{i}" for i in range(900)]]
)
def test_however_many_joints_are_missing_the_first_300_characters_tell_what_is_there_instead_and_what_to_do(
    names: list[str],
) -> None:
    joints = bound("allegro_v5", load_robot(robot_file("allegro_v5_a_right")))
    with pytest.raises(InputError) as caught:
        joints.joint_position(names, np.zeros(len(names)))
    told = str(caught.value)[:300]  # as much of a reason stands in the status
    for part in ("missing joint_0_0", "13 more missing", f"unknown {names[0]}", "other_joints"):
        assert part in told


def test_on_a_shared_topic_the_joints_of_others_are_passed_over(hand: Robot) -> None:
    joints = bound("wonik_ros2_control", hand)
    names = ["elbow", *joints.names, "wrist"]
    q = joints.joint_position(names, [9.0, *np.arange(16.0), 9.0])
    assert np.array_equal(joints.to_array(q), np.arange(16.0))
    assert not joints.concerns(["elbow", "wrist"])
    assert joints.concerns(["elbow", "ah_joint00"])
    assert bound("simulated", hand).concerns(["elbow"])


@pytest.mark.parametrize("position", [[0.0] * 15, [0.0] * 17, [], [math.nan] + [0.0] * 15, [0.0] * 15 + [math.inf]])
def test_positions_that_do_not_fit_their_names_are_refused(hand: Robot, position: list[float]) -> None:
    joints = bound("simulated", hand)
    with pytest.raises(InputError, match=r"positions|not finite"):
        joints.joint_position(hand.joint_names, position)
    with pytest.raises(InputError, match=r"16 values|not finite"):
        joints.from_array(position)


def test_a_profile_that_does_not_fit_the_robot_names_both_sides(planar: Robot) -> None:
    with pytest.raises(FileError) as caught:
        joint_map(load_driver(driver_file("allegro_v4")), planar)
    assert planar.joint_names[0] in str(caught.value)
    assert "joint_15.0" in str(caught.value)


@pytest.mark.parametrize("name", [name for name in DRIVERS if name not in HAND_DRIVERS])
def test_a_profile_without_joints_takes_those_of_any_robot(name: str, planar: Robot) -> None:
    joints = bound(name, planar)
    assert joints.names == planar.joint_names
    assert joints.robot_index.tolist() == list(range(planar.nq))


def test_all_faults_of_a_profile_are_told_together(tmp_path: Path) -> None:
    document = yaml.safe_load(driver_file("allegro_v4").read_text())
    document["rate"] = -1
    document["colour"] = "black"
    document["command"]["type"] = "telepathy"
    document["state"]["depth"] = "deep"
    document["joints"][1] = document["joints"][0]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(FileError) as caught:
        load_driver(path)
    told = "\n".join(caught.value.problems)
    for part in (
        "rate",
        "colour",
        "'telepathy'",
        "joint_state, float64_multi_array, joint_trajectory",
        "'deep'",
        "joints: driver: 'joint_0.0' is given twice",
        "joints: robot: 'joint_0.0' is given twice",
    ):
        assert part in told


def test_a_trajectory_profile_must_tell_how_long_its_point_takes(tmp_path: Path) -> None:
    document = yaml.safe_load(driver_file("joint_trajectory_controller").read_text())
    del document["command"]["point_duration"]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(FileError, match=r"command\.point_duration: missing"):
        load_driver(path)
    document["command"]["point_duration"] = 0.0
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(FileError, match=r"command\.point_duration: is 0\.0, must be"):
        load_driver(path)
