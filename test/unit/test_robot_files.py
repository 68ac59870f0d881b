"""The shipped robots are what their makers say, and faulty robot files are refused with every fault named."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from nnik_ros.calibration import calibration_of, load_calibration
from nnik_ros.collision import CollisionModel
from nnik_ros.driver import load_driver
from nnik_ros.errors import FileError
from nnik_ros.geometry import Array
from nnik_ros.landmarks import read_hand_motion
from nnik_ros.onnx_policy import OnnxPolicy, read_contract
from nnik_ros.retarget import load_hand_map
from nnik_ros.robot import Robot, load_robot
from nnik_ros.urdf import FIXED, load_urdf

ROOT = Path(__file__).resolve().parents[2]
ROBOT_FILES = sorted((ROOT / "config" / "robots").glob("*.yaml"))
URDF_FILES = sorted((ROOT / "urdf").glob("*.urdf"))
REFERENCE = yaml.safe_load((Path(__file__).parent / "data" / "allegro_fk_reference.yaml").read_text())
V5_REFERENCE = yaml.safe_load((Path(__file__).parent / "data" / "allegro_v5_reference.yaml").read_text())
MIRROR = np.diag([1.0, -1.0, 1.0])
ABDUCTION = [0, 4, 8]  # the joints whose sign differs between the hands


def shipped(name: str) -> Robot:
    return load_robot(ROOT / "config" / "robots" / f"{name}.yaml")


def mirrored_joints(q: Array) -> Array:
    sign = np.ones(q.shape[-1])
    sign[ABDUCTION] = -1.0
    return q * sign


def test_a_file_is_named_by_a_path_or_by_a_text(tmp_path: Path) -> None:
    robot = load_robot(str(ROOT / "config" / "robots" / "allegro_right.yaml"))
    assert robot.kinematics.digest() == shipped("allegro_right").kinematics.digest()
    assert OnnxPolicy(str(ROOT / "models" / "allegro_right.onnx"), robot).path.is_file()
    assert read_contract(str(ROOT / "models" / "allegro_right.onnx")).robot == robot.name
    assert load_driver(str(ROOT / "config" / "drivers" / "allegro_v4.yaml")).name == "allegro_v4"
    assert len(load_hand_map(str(ROOT / "config" / "landmarks" / "allegro_right.yaml"), robot).fingers) == robot.nt
    assert len(read_hand_motion(str(ROOT / "examples" / "landmarks" / "made_up_hand.csv")).points)
    calibration_of(robot, robot.kinematics.parameters, "").write(tmp_path / "calibration.yaml")
    assert load_calibration(str(tmp_path / "calibration.yaml"), robot).robot == robot.name


def test_three_hands_for_either_side_and_two_arms_are_shipped() -> None:
    hands = {f"{hand}_{side}" for hand in ("allegro", "allegro_v5_a", "allegro_v5_b") for side in ("right", "left")}
    assert {path.stem for path in ROBOT_FILES} == hands | {"planar_2r", "spatial_2j"}


@pytest.mark.parametrize("path", ROBOT_FILES, ids=lambda path: path.stem)
class TestShippedRobot:
    def test_it_loads_under_the_name_of_its_file_and_says_what_it_is(self, path: Path) -> None:
        assert load_robot(path).name == path.stem
        assert len(yaml.safe_load(path.read_text())["description"]) > 20

    def test_home_is_away_from_the_limits_and_inside_them(self, path: Path) -> None:
        robot = load_robot(path)
        assert np.all(robot.home > robot.lower + 0.01) and np.all(robot.home < robot.upper - 0.01)

    def test_no_joint_is_asked_for_more_speed_than_its_urdf_allows(self, path: Path) -> None:
        robot = load_robot(path)
        allowed = [robot.urdf.joints[name].velocity for name in robot.joint_names]
        assert np.all(robot.velocity <= allowed)


@pytest.mark.parametrize("path", URDF_FILES, ids=lambda path: path.stem)
class TestShippedUrdf:
    def test_some_robot_uses_it(self, path: Path) -> None:
        assert path in {load_robot(robot_file).urdf_path.resolve() for robot_file in ROBOT_FILES}

    def test_every_moved_link_has_a_possible_inertia(self, path: Path) -> None:
        urdf = load_urdf(path)
        for joint in urdf.joints.values():
            inertial = urdf.links[joint.child].inertial
            if joint.kind == FIXED and inertial is None:
                continue
            assert inertial is not None, joint.child
            moments = np.linalg.eigvalsh(inertial.tensor)
            assert inertial.mass > 0 and moments[0] > 0, joint.child
            assert moments[0] + moments[1] >= moments[2] * (1 - 1e-3), joint.child

    def test_every_moving_joint_states_effort_and_velocity_as_ros_demands(self, path: Path) -> None:
        for joint in load_urdf(path).joints.values():
            assert joint.kind == FIXED or (math.isfinite(joint.effort) and math.isfinite(joint.velocity)), joint.name

    def test_everything_that_is_drawn_has_a_colour_and_needs_no_mesh(self, path: Path) -> None:
        for link in load_urdf(path).links.values():
            assert all(shape.rgba is not None and shape.kind != "mesh" for shape in link.visuals), link.name

    def test_every_attribute_is_free_of_negative_zero(self, path: Path) -> None:
        words = [word for e in ElementTree.parse(path).iter() for value in e.attrib.values() for word in value.split()]
        assert not {"-0", "-0.0"} & set(words)


class TestAllegro:
    @pytest.mark.parametrize("side", ["right", "left"])
    @pytest.mark.parametrize("posture", sorted(REFERENCE["joint_position"]))
    def test_tips_lie_where_the_reference_puts_them(self, side: str, posture: str) -> None:
        tips = shipped(f"allegro_{side}").kinematics.tip_position(np.array(REFERENCE["joint_position"][posture]))
        np.testing.assert_allclose(tips, REFERENCE["tip_position"][side][posture], rtol=0, atol=1e-6)

    def test_left_hand_is_the_mirror_image_of_the_right_hand(self) -> None:
        right, left = shipped("allegro_right"), shipped("allegro_left")
        q = right.random_joint_position(np.random.default_rng(7), 200)
        expected = right.kinematics.tip_position(q) @ MIRROR
        np.testing.assert_allclose(left.kinematics.tip_position(mirrored_joints(q)), expected, rtol=0, atol=1e-9)

    def test_both_hands_rest_in_mirrored_home_poses(self) -> None:
        np.testing.assert_array_equal(shipped("allegro_left").home, mirrored_joints(shipped("allegro_right").home))

    def test_left_urdf_mirrors_every_frame_axis_shape_and_mass_of_the_right_one(self) -> None:
        right, left = shipped("allegro_right").urdf, shipped("allegro_left").urdf
        flip = np.diag([1.0, -1.0, 1.0, 1.0])
        assert set(right.joints) == set(left.joints) and set(right.links) == set(left.links)
        for name, joint in right.joints.items():
            other = left.joints[name]
            expected = flip @ joint.T_parent_joint @ flip
            np.testing.assert_allclose(other.T_parent_joint, expected, atol=1e-9, err_msg=name)
            turn = 1.0 if name in ("joint_0.0", "joint_4.0", "joint_8.0") else -1.0
            if joint.kind != FIXED:
                np.testing.assert_allclose(other.axis, turn * MIRROR @ joint.axis, atol=1e-12, err_msg=name)
            assert (other.lower, other.upper, other.effort, other.velocity, other.parent, other.child) == (
                joint.lower, joint.upper, joint.effort, joint.velocity, joint.parent, joint.child,
            )  # fmt: skip
        for name, link in right.links.items():
            _assert_mirrored(link, left.links[name], flip)

    def test_it_weighs_what_its_links_are_said_to_weigh(self) -> None:
        palm, thumb = 0.4154, 0.0176 + 0.0119 + 0.038 + 0.0388 + 0.0168
        fingers = 3 * (0.0119 + 0.065 + 0.0355 + 0.0096 + 0.0168)
        masses = [link.inertial.mass for link in shipped("allegro_right").urdf.links.values() if link.inertial]
        assert sum(masses) == pytest.approx(fingers + thumb + palm, abs=1e-9)

    @pytest.mark.parametrize("side", ["right", "left"])
    def test_every_tip_is_the_centre_of_a_light_sphere_of_12_mm(self, side: str) -> None:
        robot = shipped(f"allegro_{side}")
        for link in robot.tip_links:
            for (shape,) in (robot.urdf.links[link].visuals, robot.urdf.links[link].collisions):
                assert (shape.kind, shape.size) == ("sphere", (0.012,))
                np.testing.assert_array_equal(shape.T_link_shape, np.eye(4))
            rgba = robot.urdf.links[link].visuals[0].rgba
            assert rgba is not None and min(rgba) > 0.7


@pytest.mark.parametrize("name", sorted(V5_REFERENCE))
class TestAllegroV5:
    def test_joints_have_the_names_order_and_limits_of_the_vendor(self, name: str) -> None:
        robot = shipped(name)
        assert robot.joint_names == tuple(f"joint_{i}_0" for i in range(16))
        assert robot.lower.tolist() == V5_REFERENCE[name]["lower"]
        assert robot.upper.tolist() == V5_REFERENCE[name]["upper"]

    @pytest.mark.parametrize(("posture", "share"), [("lower", 0.0), ("third", 1 / 3), ("upper", 1.0)])
    def test_tips_lie_where_the_reference_puts_them(self, name: str, posture: str, share: float) -> None:
        robot = shipped(name)
        tips = robot.kinematics.tip_position(robot.lower + share * (robot.upper - robot.lower))
        np.testing.assert_allclose(tips, V5_REFERENCE[name]["tip_position"][posture], rtol=0, atol=1e-6)

    def test_it_rests_in_nearly_the_mirror_image_of_the_other_hand(self, name: str) -> None:
        """Not quite: the vendor's two hands of a type differ by up to 2.5 mm where a finger begins."""
        other = name.replace("right", "left") if name.endswith("right") else name.replace("left", "right")
        tips, mirrored = (shipped(hand).kinematics.tip_position(shipped(hand).home) for hand in (name, other))
        np.testing.assert_allclose(tips, mirrored @ MIRROR, rtol=0, atol=0.0026)

    def test_no_two_links_meet_at_home(self, name: str) -> None:
        robot = shipped(name)
        assert CollisionModel(robot).distances(robot.home).min() > 0.002


class TestArms:
    def test_planar_arm_agrees_with_its_closed_form(self) -> None:
        robot = shipped("planar_2r")
        q = robot.random_joint_position(np.random.default_rng(1), 100)
        x = 5 * np.cos(q[:, 0]) + 5 * np.cos(q[:, 0] + q[:, 1])
        y = 5 * np.sin(q[:, 0]) + 5 * np.sin(q[:, 0] + q[:, 1])
        np.testing.assert_allclose(robot.kinematics.tip_position(q)[:, 0], np.stack([x, y, 0 * x], -1), atol=1e-12)

    def test_spatial_arm_agrees_with_its_closed_form(self) -> None:
        robot = shipped("spatial_2j")
        q = robot.random_joint_position(np.random.default_rng(2), 100)
        yaw, pitch, elbow = q.T
        r = 0.30 * np.cos(pitch) + 0.25 * np.cos(pitch + elbow)
        z = 0.30 * np.sin(pitch) + 0.25 * np.sin(pitch + elbow)
        expected = np.stack([r * np.cos(yaw), r * np.sin(yaw), z], -1)
        np.testing.assert_allclose(robot.kinematics.tip_position(q)[:, 0], expected, atol=1e-12)

    def test_planar_arm_turns_half_a_turn_both_ways(self) -> None:
        robot = shipped("planar_2r")
        np.testing.assert_allclose([robot.lower, robot.upper], [[-np.pi] * 2, [np.pi] * 2], atol=1e-12)


URDF = """<robot name="arm">
  <link name="base"/><link name="one"/><link name="two"/><link name="tip"/>
  <joint name="a" type="revolute"><parent link="base"/><child link="one"/><axis xyz="0 0 1"/>
    <limit lower="-1" upper="1" effort="1" velocity="1"/></joint>
  <joint name="b" type="revolute"><parent link="one"/><child link="two"/><origin xyz="1 0 0"/><axis xyz="0 0 1"/>
    <limit lower="-1" upper="1" effort="1" velocity="1"/></joint>
  <joint name="c" type="fixed"><parent link="two"/><child link="tip"/><origin xyz="1 0 0"/></joint>
</robot>"""


def arm() -> dict[str, Any]:
    return {
        "schema": 1, "name": "arm", "urdf": "arm.urdf", "base_frame": "base",
        "joints": [{"name": "a", "acceleration": 1.0}, {"name": "b", "acceleration": 1.0}],
        "tips": [{"name": "tip", "link": "tip"}],
    }  # fmt: skip


def written(folder: Path, document: dict[str, Any], urdf: str = URDF) -> Path:
    (folder / "arm.urdf").write_text(urdf)
    (folder / "arm.yaml").write_text(yaml.safe_dump(document))
    return folder / "arm.yaml"


def refusal(folder: Path, document: dict[str, Any], urdf: str = URDF) -> tuple[str, ...]:
    with pytest.raises(FileError) as caught:
        load_robot(written(folder, document, urdf))
    assert "arm.yaml" in str(caught.value)
    return caught.value.problems


def assert_told(problems: tuple[str, ...], *parts: tuple[str, ...]) -> None:
    for words in parts:
        assert any(all(word in problem for word in words) for problem in problems), (words, problems)


def fingers(n: int) -> str:
    """The URDF of a hand whose fingers have one joint each, and beside them a link that none of them hangs on."""
    parts = [
        f'<link name="one_{i}"/><link name="tip_{i}"/><joint name="j_{i}" type="revolute"><parent link="base"/>'
        f'<child link="one_{i}"/><axis xyz="0 0 1"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint>'
        f'<joint name="f_{i}" type="fixed"><parent link="one_{i}"/><child link="tip_{i}"/><origin xyz="1 0 0"/></joint>'
        for i in range(n)
    ]
    plate = '<link name="plate"/><joint name="p" type="fixed"><parent link="base"/><child link="plate"/></joint>'
    return f'<robot name="hand"><link name="base"/>{"".join(parts)}{plate}</robot>'


def hand_of(n: int) -> dict[str, Any]:
    return arm() | {
        "joints": [{"name": f"j_{i}", "acceleration": 1.0} for i in range(n)],
        "tips": [{"name": str(i), "link": f"tip_{i}"} for i in range(n)],
    }


class TestRefusals:
    def test_the_sound_file_of_these_tests_loads(self, tmp_path: Path) -> None:
        assert load_robot(written(tmp_path, arm())).nq == 2

    def test_every_fault_of_yaml_and_urdf_is_reported_at_once(self, tmp_path: Path) -> None:
        document = arm()
        document["colour"] = "red"
        del document["base_frame"]
        document["joints"] = [{"name": "a", "acceleration": 1.0}, {"name": "a"}]
        document["tips"] *= 2
        urdf = URDF.replace('<axis xyz="0 0 1"/>', '<axis xyz="0 0 0"/>', 1)
        urdf = urdf.replace('lower="-1" upper="1"', 'lower="1" upper="0"', 1)
        urdf = urdf.replace('<parent link="two"/>', '<parent link="nowhere"/>')
        urdf = urdf.replace('<link name="one"/>', '<link name="one"/>' * 2)
        assert_told(
            refusal(tmp_path, document, urdf),
            ("colour", "unknown key"),
            ("base_frame", "missing"),
            ("joints", "'a'", "twice"),
            ("tips", "'tip'", "twice"),
            ("joints[1].acceleration", "missing"),
            ("joint 'a'", "axis is zero"),
            ("joint 'a'", "lower limit 1", "above"),
            ("joint 'c'", "'nowhere'", "does not exist"),
            ("link 'one'", "twice"),
        )

    def test_a_tip_that_does_not_hang_below_the_base_is_refused(self, tmp_path: Path) -> None:
        document = arm() | {"base_frame": "two", "tips": [{"name": "tip", "link": "one"}]}
        assert_told(refusal(tmp_path, document), ("'one'", "does not hang below 'two'"))

    def test_limits_of_the_yaml_that_exclude_each_other_are_refused(self, tmp_path: Path) -> None:
        document = arm()
        document["joints"][1] |= {"lower": 0.5, "upper": 0.5}
        assert_told(refusal(tmp_path, document), ("joints[1]", "lower 0.5", "upper 0.5"))

    def test_a_listed_joint_that_moves_no_tip_is_refused(self, tmp_path: Path) -> None:
        document = arm()
        document["tips"] = [{"name": "tip", "link": "one"}]
        assert_told(refusal(tmp_path, document), ("'b'", "moves no tip"))

    def test_a_moving_joint_that_is_not_listed_is_refused(self, tmp_path: Path) -> None:
        document = arm()
        del document["joints"][1]
        assert_told(refusal(tmp_path, document), ("'tip'", "'b'", "not listed"))

    @pytest.mark.parametrize("listed", [True, False])
    def test_a_wrist_is_refused_with_the_base_frame_that_leaves_it_out(self, tmp_path: Path, listed: bool) -> None:
        wrist = (
            '<link name="arm"/><joint name="yaw" type="continuous"><parent link="arm"/><child link="wrist"/></joint>'
            '<link name="wrist"/><joint name="pitch" type="continuous"><parent link="wrist"/><child link="base"/></joint>'
        )
        urdf, document = fingers(3).replace('<robot name="hand">', f'<robot name="hand">{wrist}'), hand_of(3)
        if listed:
            document["joints"] += [
                {"name": name, "lower": -1.0, "upper": 1.0, "velocity": 1.0, "acceleration": 1.0}
                for name in ("yaw", "pitch")
            ]
        assert refusal(tmp_path, document | {"base_frame": "arm"}, urdf) == tuple(
            f"tips: '0' and '1' and '2' share joint '{joint}'; each tip needs its own joints: leave it out and take a "
            "base_frame that it moves, such as 'base'"
            for joint in ("yaw", "pitch")
        )
        assert load_robot(written(tmp_path, hand_of(3), urdf)).nt == 3

    def test_a_joint_that_two_of_three_tips_share_is_refused_without_a_way_out(self, tmp_path: Path) -> None:
        document, urdf = hand_of(3), fingers(3).replace('<parent link="base"/><child link="one_1"/>',
                                                        '<parent link="one_0"/><child link="one_1"/>')  # fmt: skip
        assert refusal(tmp_path, document, urdf) == (
            "tips: '0' and '1' share joint 'j_0'; each tip needs its own joints",
        )
        document["tips"] = [{"name": "all", "link": "tip_1"}, {"name": "part", "link": "tip_0"}]
        document["joints"] = document["joints"][:2]
        assert refusal(tmp_path, document, urdf) == (
            "tips: 'all' and 'part' share joint 'j_0'; each tip needs its own joints",
        )

    def test_names_that_yaml_reads_as_numbers_are_told_alone(self, tmp_path: Path) -> None:
        urdf = URDF.replace('<joint name="a"', '<joint name="0"').replace('<joint name="b"', '<joint name="1"')
        (tmp_path / "arm.urdf").write_text(urdf)
        document = yaml.safe_dump(arm()).replace("name: a\n", "name: 0\n").replace("name: b\n", "name: 1\n")
        (tmp_path / "arm.yaml").write_text(document)
        with pytest.raises(FileError) as caught:
            load_robot(tmp_path / "arm.yaml")
        assert caught.value.problems == tuple(
            f"joints[{i}].name: is {i}, must be a non-empty text (YAML reads it as a number, write it in quotes)"
            for i in (0, 1)
        )
        (tmp_path / "arm.yaml").write_text(document.replace("name: 0", "name: '0'").replace("name: 1", "name: '1'"))
        assert load_robot(tmp_path / "arm.yaml").joint_names == ("0", "1")

    def test_a_velocity_of_zero_in_the_urdf_is_told_as_the_urdfs(self, tmp_path: Path) -> None:
        document, urdf = arm(), URDF.replace('velocity="1"', 'velocity="0"')
        assert refusal(tmp_path, document, urdf) == tuple(
            f"joints[{i}].velocity: missing, and that of the URDF is 0, must be above 0" for i in (0, 1)
        )
        document["joints"] = [joint | {"velocity": 2.0} for joint in document["joints"]]
        assert load_robot(written(tmp_path, document, urdf)).velocity.tolist() == [2.0, 2.0]

    @pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.0, "fast", None, True])
    def test_a_speed_that_is_no_positive_number_is_refused(self, tmp_path: Path, value: object) -> None:
        document = arm()
        document["joints"][0]["velocity"] = value
        assert_told(refusal(tmp_path, document), ("joints[0].velocity",))

    @pytest.mark.parametrize(
        ("change", "reach"),
        [(('<origin xyz="1 0 0"/>', "", 2), "0"), (('xyz="1 0 0"', 'xyz="1e300 0 0"', 2), "inf"),
         (('xyz="1 0 0"', 'xyz="1e7 0 0"', 1), "1e+07")],
    )  # fmt: skip
    def test_a_tip_that_reaches_nowhere_or_beyond_all_numbers_is_refused(
        self, tmp_path: Path, change: tuple[str, str, int], reach: str
    ) -> None:
        assert refusal(tmp_path, arm(), URDF.replace(*change)) == (
            f"tips: 'tip': its reach is {reach} m from its first joint, must be within [1e-06, 1e+06] m",
        )

    def test_a_finger_whose_root_is_beyond_all_numbers_is_refused(self, tmp_path: Path) -> None:
        urdf = URDF.replace('<child link="one"/>', '<child link="one"/><origin xyz="1e300 0 0"/>')
        assert_told(
            refusal(tmp_path, arm(), urdf), ("'tip'", "its first joint is inf m from the base", "at most 1e+06")
        )

    def test_a_tip_that_hangs_on_no_joint_is_refused(self, tmp_path: Path) -> None:
        document = arm()
        document["tips"].append({"name": "palm", "link": "base"})
        assert refusal(tmp_path, document) == ("tips: 'palm' hangs on no joint; each tip needs its own joints",)

    def test_limits_in_degrees_and_others_outside_those_of_the_urdf_are_refused(self, tmp_path: Path) -> None:
        document = arm()
        document["joints"][0] |= {"lower": -90, "upper": 90}
        document["joints"][1] |= {"lower": -1.0, "upper": 1.0000001}
        assert refusal(tmp_path, document) == (
            "joints[0].lower: is -90.0, must be within the URDF's [-1.0, 1.0] rad",
            "joints[0].upper: is 90.0, must be within the URDF's [-1.0, 1.0] rad",
            "joints[1].upper: is 1.0000001, must be within the URDF's [-1.0, 1.0] rad",
        )

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"lower": "x", "upper": -0.5}, "joints[1].lower: is 'x', must be a finite number"),
            (
                {"lower": "x", "upper": 1.0, "home": -0.7, "preferred": -0.6},
                "joints[1].lower: is 'x', must be a finite number",
            ),
            ({"lower": 0.0, "home": 0.5}, "joints[1].upper: missing"),
            (
                {"lower": 0.0, "upper": 63.0, "home": -0.5},
                "joints[1].upper: is 63.0, must be within two turns of zero: is it in degrees?",
            ),
            ({"lower": 0.5, "upper": 0.5, "home": 0.5}, "joints[1]: lower 0.5 must be below upper 0.5"),
        ],
    )
    def test_beside_wrong_limits_a_home_position_is_no_second_fault(
        self, tmp_path: Path, given: dict[str, object], told: str
    ) -> None:
        urdf = URDF.replace('<joint name="b" type="revolute">', '<joint name="b" type="continuous">')
        first, second = urdf.rsplit(' lower="-1" upper="1"', 1)
        document = arm()
        document["joints"][1] |= given
        assert refusal(tmp_path, document, first + second) == (told,)

    def test_a_home_and_a_preferred_position_outside_the_limits_are_refused(self, tmp_path: Path) -> None:
        document = arm()
        document["joints"][0] |= {"lower": -0.5, "home": -0.6, "preferred": 1.1}
        assert refusal(tmp_path, document) == (
            "joints[0].home: is -0.6, must be within [-0.5, 1]",
            "joints[0].preferred: is 1.1, must be within [-0.5, 1]",
        )

    def test_narrower_limits_and_any_of_a_continuous_joint_are_taken(self, tmp_path: Path) -> None:
        document = arm()
        document["joints"][0] |= {"lower": -0.5, "upper": 1.0}
        document["joints"][1] |= {"lower": -7.0, "upper": 7.0}
        turning = '<joint name="b" type="continuous">'
        robot = load_robot(written(tmp_path, document, URDF.replace('<joint name="b" type="revolute">', turning)))
        assert (robot.lower.tolist(), robot.upper.tolist()) == ([-0.5, -7.0], [1.0, 7.0])

    def test_a_continuous_joint_without_limits_misses_them_and_nothing_else(self, tmp_path: Path) -> None:
        urdf = URDF.replace('<joint name="b" type="revolute">', '<joint name="b" type="continuous">')
        first, second = urdf.rsplit(' lower="-1" upper="1"', 1)
        assert refusal(tmp_path, arm(), first + second) == ("joints[1].lower: missing", "joints[1].upper: missing")

    def test_limits_in_degrees_are_refused_and_two_turns_are_not(self, tmp_path: Path) -> None:
        degrees = URDF.replace(' lower="-1" upper="1"', ' lower="-14" upper="63"', 1)
        assert refusal(tmp_path, arm(), degrees) == (
            "joints[0].lower: is -14.0, must be within two turns of zero: is it in degrees?",
            "joints[0].upper: is 63.0, must be within two turns of zero: is it in degrees?",
        )
        turns = URDF.replace(' lower="-1" upper="1"', f' lower="{-4.0 * math.pi}" upper="{4.0 * math.pi}"', 1)
        assert load_robot(written(tmp_path, arm(), turns)).upper[0] == 4.0 * math.pi
        narrower = arm()
        narrower["joints"][0] |= {"lower": -1.0, "upper": 1.0}
        assert load_robot(written(tmp_path, narrower, degrees)).upper[0] == 1.0

    def test_of_an_unreadable_urdf_only_its_own_problems_and_those_of_the_yaml_are_told(self, tmp_path: Path) -> None:
        assert refusal(tmp_path, arm(), "<robot") == ("arm.urdf: is not valid XML: unclosed token: line 1, column 0",)
        document = arm()
        document["joints"][0] |= {"lower": 0.5, "upper": 0.25, "velocity": -1.0}
        document["joints"][1]["home"] = "up"
        assert refusal(tmp_path, document, "<robot")[1:] == (
            "joints[0].velocity: is -1.0, must be above 0",
            "joints[0]: lower 0.5 must be below upper 0.25",
            "joints[1].home: is 'up', must be a finite number",
        )

    def test_a_urdf_of_a_name_that_no_file_can_have_is_refused(self, tmp_path: Path) -> None:
        (problem,) = refusal(tmp_path, arm() | {"urdf": "arm\0.urdf"})
        assert "cannot be read: embedded null" in problem

    def test_a_joint_that_the_urdf_lacks_is_named_and_its_limits_are_not_missed(self, tmp_path: Path) -> None:
        document = arm()
        document["joints"][1]["name"] = "elbow"
        assert refusal(tmp_path, document) == (
            "joints: 'elbow' is not in the URDF; its joints: a, b, c",
            "tips: 'tip' hangs on joint 'b', which is not listed under joints",
        )

    def test_a_wrong_base_frame_is_told_once_and_under_its_own_name(self, tmp_path: Path) -> None:
        document = hand_of(3)
        assert load_robot(written(tmp_path, document, fingers(3))).nt == 3
        links = "base, one_0, tip_0, one_1, tip_1, one_2, tip_2, plate"
        assert refusal(tmp_path, document | {"base_frame": "palm"}, fingers(3)) == (
            f"base_frame: link 'palm' is not in the URDF; its links: {links}",
        )
        assert refusal(tmp_path, document | {"base_frame": "plate"}, fingers(3)) == (
            "base_frame: no tip hangs below 'plate'; the root of the URDF is 'base'",
        )
        document["tips"][1]["link"] = "nowhere"
        problems = refusal(tmp_path, document | {"base_frame": "palm"}, fingers(3))
        assert_told(problems, ("base_frame", "'palm'"), ("tips: '1'", "'nowhere' is not in the URDF"))
        assert len(problems) == 2

    @pytest.mark.parametrize(
        ("listed", "told"),
        [(True, "joints[1]: joint 'b' is {0} in the URDF, must be revolute or continuous"),
         (False, "tips: 'tip' hangs on joint 'b', which is {0} in the URDF, must be revolute, continuous or fixed")],
    )  # fmt: skip
    @pytest.mark.parametrize("kind", ["prismatic", "planar", "floating"])
    def test_a_joint_of_a_finger_that_does_not_turn_is_refused(
        self, tmp_path: Path, kind: str, listed: bool, told: str
    ) -> None:
        document = arm()
        if not listed:
            del document["joints"][1]
        urdf = URDF.replace('<joint name="b" type="revolute">', f'<joint name="b" type="{kind}">')
        assert told.format(kind) in refusal(tmp_path, document, urdf)

    @pytest.mark.parametrize(
        ("listed", "told"),
        [(True, "joints[1]: joint 'b' follows 'a' in the URDF (<mimic>), must move on its own"),
         (False, "tips: 'tip' hangs on joint 'b', which follows 'a' in the URDF (<mimic>), must move on its own")],
    )  # fmt: skip
    def test_a_joint_of_a_finger_that_follows_another_one_is_refused(
        self, tmp_path: Path, listed: bool, told: str
    ) -> None:
        document = arm()
        if not listed:
            del document["joints"][1]
        urdf = URDF.replace('<parent link="one"/>', '<mimic joint="a" multiplier="0.5"/><parent link="one"/>')
        assert told in refusal(tmp_path, document, urdf)

    @pytest.mark.parametrize(
        ("listed", "told"), [(True, "joints[1]: joint 'b' {}"), (False, "tips: 'tip' hangs on joint 'b', which {}")]
    )
    def test_a_joint_of_a_finger_that_its_limits_lock_is_refused(self, tmp_path: Path, listed: bool, told: str) -> None:
        document = arm()
        first, limits, rest = URDF.rpartition('lower="-1" upper="1"')
        assert limits and 'name="b"' in first
        urdf = f'{first}lower="0.25" upper="0.25"{rest}'
        if not listed:
            del document["joints"][1]
        why = "cannot move in the URDF, whose limits are both 0.25 rad: give it limits there, or make it fixed"
        assert refusal(tmp_path, document, urdf) == (told.format(why),)

    def test_a_joint_that_is_locked_beside_the_fingers_is_of_no_concern(self, tmp_path: Path) -> None:
        lid = (
            '<link name="lid"/><joint name="l" type="revolute"><parent link="base"/><child link="lid"/>'
            '<limit lower="0" upper="0" effort="0" velocity="0"/></joint></robot>'
        )
        assert load_robot(written(tmp_path, arm(), URDF.replace("</robot>", lid))).joint_names == ("a", "b")

    def test_a_kind_of_joint_that_urdf_does_not_know_is_refused_wherever_it_is(self, tmp_path: Path) -> None:
        lid = '<link name="lid"/><joint name="l" type="hinge"><parent link="base"/><child link="lid"/></joint></robot>'
        assert_told(
            refusal(tmp_path, arm(), URDF.replace("</robot>", lid)),
            ("joint 'l'", "type is 'hinge', must be one of revolute, continuous, fixed, prismatic, planar, floating"),
        )

    @pytest.mark.parametrize("tag", ["visual", "collision"])
    @pytest.mark.parametrize("link", ["base", "two"])
    def test_a_shape_of_the_hand_that_nobody_knows_is_refused(self, tmp_path: Path, link: str, tag: str) -> None:
        shape = f'<{tag}><geometry><capsule radius="0.1" length="1"/></geometry></{tag}>'
        urdf = URDF.replace(f'<link name="{link}"/>', f'<link name="{link}">{shape}</link>')
        assert refusal(tmp_path, arm(), urdf) == (
            f"link '{link}': geometry is 'capsule', must be one of box, cylinder, sphere, mesh",
        )

    @pytest.mark.parametrize("tag", ["visual", "collision"])
    @pytest.mark.parametrize(
        ("geometry", "words"),
        [
            ('<box size="0.1 0.1 0"/>', "a box of 0.1 x 0.1 x 0 m"),
            ('<cylinder radius="-0.01" length="0.1"/>', "a cylinder of -0.01 x 0.1 m"),
            ('<sphere radius="0"/>', "a sphere of 0 m"),
        ],
    )
    def test_a_shape_of_the_hand_without_a_size_is_refused_and_one_of_an_arm_is_not(
        self, tmp_path: Path, tag: str, geometry: str, words: str
    ) -> None:
        shape = f"<{tag}><geometry>{geometry}</geometry></{tag}>"
        urdf = URDF.replace('<link name="two"/>', f'<link name="two">{shape}</link>')
        assert refusal(tmp_path, arm(), urdf) == (f"link 'two': {words}, every length must be above 0",)
        below = '<joint name="s" type="fixed"><parent link="stand"/><child link="base"/></joint></robot>'
        on_stand = URDF.replace("</robot>", f'<link name="stand">{shape}</link>{below}')
        assert load_robot(written(tmp_path, arm(), on_stand)).nq == 2

    @pytest.mark.parametrize("text", ["", "[]", "a: 1\na: 2\n", "a: [", "\x00"])
    def test_text_that_is_no_single_mapping_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "arm.yaml").write_text(text)
        with pytest.raises(FileError):
            load_robot(tmp_path / "arm.yaml")

    def test_a_missing_file_and_a_missing_urdf_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(FileError, match="cannot be read"):
            load_robot(tmp_path / "arm.yaml")
        assert_told(refusal(tmp_path, arm() | {"urdf": "other.urdf"}), ("other.urdf", "cannot be read"))

    def test_a_missing_base_frame_is_told_once(self, tmp_path: Path) -> None:
        document = arm()
        del document["base_frame"]
        assert refusal(tmp_path, document) == ("base_frame: missing",)

    @pytest.mark.parametrize("axis", [[0, 0, 0], [1, 2], [1, 2, "x"], [1.7e308, 1.7e308, 0]])
    def test_an_axis_that_is_no_direction_is_refused(self, tmp_path: Path, axis: list[object]) -> None:
        document = arm()
        document["tips"][0]["axis"] = axis
        (problem,) = refusal(tmp_path, document)
        assert problem.startswith("tips[0].axis: is [")


class TestWhatAFileNeedNotSay:
    def test_a_tip_moves_by_its_reach_points_along_z_and_joints_rest_in_the_middle(self, tmp_path: Path) -> None:
        robot = load_robot(written(tmp_path, arm()))
        reach = 2.0  # m
        motion = [robot.tip_velocity.tolist(), robot.tip_acceleration.tolist(), robot.tip_jerk.tolist()]
        assert motion == [[3.0 * reach], [30.0 * reach], [3000.0 * reach]]
        assert robot.tip_axis.tolist() == [[0.0, 0.0, 1.0]]
        assert (robot.home.tolist(), robot.velocity.tolist()) == ([0.0, 0.0], [1.0, 1.0])
        assert robot.preferred.tolist() == [0.0, 0.0]
        assert not robot.tip_axis.flags.writeable

    def test_what_it_says_counts(self, tmp_path: Path) -> None:
        document = arm()
        document["tips"][0] |= {"velocity": 0.5, "jerk": 7.0, "axis": [0.0, 3.0, -4.0]}
        document["joints"][0] |= {"velocity": 0.25, "lower": -0.5, "upper": 1.0}
        document["joints"][1] |= {"home": 1.0, "preferred": -0.5}
        robot = load_robot(written(tmp_path, document))
        assert [*robot.tip_velocity, *robot.tip_acceleration, *robot.tip_jerk] == [0.5, 60.0, 7.0]
        np.testing.assert_allclose(robot.tip_axis, [[0.0, 0.6, -0.8]], atol=1e-15)
        assert (robot.velocity.tolist(), robot.home.tolist()) == ([0.25, 1.0], [0.25, 1.0])
        assert robot.preferred.tolist() == [0.25, -0.5]
        assert robot.acceleration.tolist() == [1.0, 1.0]

    def test_random_displacements_leave_a_planar_arm_in_its_plane(self, tmp_path: Path) -> None:
        robot = load_robot(written(tmp_path, arm()))
        away = robot.random_displacement(np.random.default_rng(0), 4000, 0.1)
        assert away.shape == (4000, 1, 3)
        assert robot.tip_moves.tolist() == [[True, True, False]]
        np.testing.assert_allclose(away.std(axis=0), [[0.2, 0.2, 0.0]], rtol=0.05)


class TestWhatIsNoneOfTheHandsBusiness:
    @pytest.mark.parametrize("kind", ["prismatic", "planar", "floating"])
    def test_an_arm_may_lift_the_hand(self, tmp_path: Path, kind: str) -> None:
        lift = (
            '<link name="car"><collision><geometry><capsule radius="0.1" length="1"/></geometry></collision></link>'
            f'<joint name="lift" type="{kind}"><parent link="car"/><child link="base"/></joint></robot>'
        )
        robot = load_robot(written(tmp_path, arm(), URDF.replace("</robot>", lift)))
        np.testing.assert_allclose(robot.kinematics.tip_position(np.zeros(2)), [[2.0, 0.0, 0.0]], atol=1e-12)
        assert CollisionModel(robot).distances(robot.home).shape == (0,)

    def test_a_joint_that_no_tip_hangs_on_may_slide_or_follow_another_one(self, tmp_path: Path) -> None:
        lids = "".join(
            f'<link name="{name}"/><joint name="to_{name}" type="{kind}"><parent link="one"/><child link="{name}"/>'
            f'<mimic joint="a"/><limit lower="0" upper="1" effort="1" velocity="1"/></joint>'
            for name, kind in (("lid", "prismatic"), ("cap", "revolute"))
        )
        assert load_robot(written(tmp_path, arm(), URDF.replace("</robot>", f"{lids}</robot>"))).nq == 2

    def test_a_fixed_joint_needs_no_axis(self, tmp_path: Path) -> None:
        urdf = URDF.replace('<child link="tip"/>', '<child link="tip"/><axis xyz="0 0 0"/>')
        assert load_robot(written(tmp_path, arm(), urdf)).nq == 2

    def test_an_impossible_inertia_does_not_hinder_whoever_simulates_nothing(self, tmp_path: Path) -> None:
        inertial = '<inertial><mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="3"/></inertial>'
        urdf = URDF.replace('<link name="one"/>', f'<link name="one">{inertial}</link>')
        assert load_robot(written(tmp_path, arm(), urdf)).nq == 2


def _assert_mirrored(link: Any, other: Any, flip: Array) -> None:
    for mine, theirs in ((link.visuals, other.visuals), (link.collisions, other.collisions)):
        assert [(s.kind, s.size, s.rgba) for s in mine] == [(s.kind, s.size, s.rgba) for s in theirs], link.name
        for one, two in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(two.T_link_shape, flip @ one.T_link_shape @ flip, atol=1e-9, err_msg=link.name)
    if link.inertial is not None:
        flipped = flip @ link.inertial.T_link_inertial @ flip
        np.testing.assert_allclose(other.inertial.T_link_inertial, flipped, atol=1e-9, err_msg=link.name)
        tensor = MIRROR @ link.inertial.tensor @ MIRROR
        np.testing.assert_allclose(other.inertial.tensor, tensor, atol=1e-15, err_msg=link.name)
        assert other.inertial.mass == link.inertial.mass


def test_robots_and_their_kinematics_are_keys_and_equal_to_themselves_alone(hand: Robot) -> None:
    again = load_robot(ROOT / "config" / "robots" / "allegro_right.yaml")
    for one, other in ((hand, again), (hand.kinematics, again.kinematics)):
        assert one == one and one != other
        assert other not in {one: "first"} and {one: "first"}[one] == "first"
