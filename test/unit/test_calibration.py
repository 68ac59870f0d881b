"""A calibration is written, read and applied exactly, and never to another robot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from nnik_ros.calibration import (
    Calibration,
    calibration_of,
    load_calibration,
    rotation_from_vector,
    vector_from_rotation,
)
from nnik_ros.errors import FileError, InputError
from nnik_ros.geometry import rotation_from_rpy
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot


def random_calibration(robot: Robot, rng: np.random.Generator) -> Calibration:
    """Differences of up to 5 cm and 0.2 rad in every number."""
    return Calibration(
        robot.name, robot.kinematics.digest(), robot.joint_names, robot.tip_names,
        rng.uniform(-0.2, 0.2, robot.nq), rng.uniform(-0.05, 0.05, (robot.nq, 3)),
        rng.uniform(-0.1, 0.1, (robot.nq, 3)), rng.uniform(-0.05, 0.05, (robot.nt, 3)), "a recording",
    )  # fmt: skip


def edited(path: Path, change: Callable[[dict], None]) -> Path:  # type: ignore[type-arg]
    document = yaml.safe_load(path.read_text())
    change(document)
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def written(hand: Robot, rng: np.random.Generator, tmp_path: Path) -> Path:
    path = tmp_path / "hand.yaml"
    random_calibration(hand, rng).write(path)
    return path


def test_a_written_calibration_reads_back_to_the_nanometre(
    any_robot: Robot, rng: np.random.Generator, tmp_path: Path
) -> None:
    calibration = random_calibration(any_robot, rng)
    calibration.write(tmp_path / "file.yaml")
    again = load_calibration(tmp_path / "file.yaml", any_robot)
    for name in ("joint_zero", "joint_origin_shift", "joint_origin_turn", "tip_shift"):
        np.testing.assert_allclose(getattr(again, name), getattr(calibration, name), rtol=0, atol=6e-10)
        assert not getattr(again, name).flags.writeable
    assert (again.robot, again.source) == (any_robot.name, "a recording")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("joint_zero", -0.51, r"zero of 'joint_1.0': is -0.51 rad, must be within \[-0.5, 0.5\]"),
        ("joint_zero", np.nan, "zero of 'joint_1.0': is nan rad"),
        ("joint_origin_shift", 0.11, r"origin_shift of 'joint_1.0': is 0.11, .* m, must be within \[-0.1, 0.1\]"),
        ("joint_origin_turn", 0.6, "origin_turn of 'joint_1.0': is 0.6, .* rad, must be"),
        ("tip_shift", -0.12, "shift of 'middle': is -0.12, .* m, must be"),
    ],
)
def test_a_calibration_that_could_not_be_read_again_is_not_written(
    hand: Robot, rng: np.random.Generator, tmp_path: Path, name: str, value: float, told: str
) -> None:
    calibration = random_calibration(hand, rng)
    values = getattr(calibration, name).copy()
    values[(1,) + (0,) * (values.ndim - 1)] = value
    with pytest.raises(FileError, match=told):
        replace(calibration, **{name: values}).write(tmp_path / "file.yaml")
    assert not list(tmp_path.iterdir())


def test_the_largest_differences_are_written_and_read(hand: Robot, rng: np.random.Generator, tmp_path: Path) -> None:
    calibration = replace(
        random_calibration(hand, rng), joint_zero=np.full(hand.nq, 0.5 + 1e-12), tip_shift=np.full((hand.nt, 3), -0.1)
    )
    calibration.write(tmp_path / "file.yaml")
    assert (load_calibration(tmp_path / "file.yaml", hand).joint_zero == 0.5).all()


def test_the_planar_arm_moves_as_trigonometry_says_with_other_links_and_zeros(planar: Robot) -> None:
    nominal = planar.kinematics.parameters
    first, second = 0.013, -0.007  # m, longer links
    zeros = np.array([0.05, -0.03])
    along = [np.array([1.0, 0.0, 0.0]) * value for value in (0.0, first)]
    calibration = Calibration(
        planar.name, planar.kinematics.digest(), planar.joint_names, planar.tip_names, zeros, np.array(along),
        np.zeros((2, 3)), np.array([[second, 0.0, 0.0]]),
    )  # fmt: skip
    q = np.array([0.4, -0.9])
    a, b = q[0] + zeros[0], q.sum() + zeros.sum()
    l1, l2 = nominal.joint_origin_position[1, 0] + first, nominal.tip_offset[0, 0] + second
    expected = [l1 * np.cos(a) + l2 * np.cos(b), l1 * np.sin(a) + l2 * np.sin(b)]
    np.testing.assert_allclose(calibration.apply(planar).tip_position(q)[0, :2], expected, rtol=0, atol=1e-12)


def test_the_differences_of_an_applied_calibration_are_its_own(hand: Robot, rng: np.random.Generator) -> None:
    calibration = random_calibration(hand, rng)
    again = calibration_of(hand, calibration.apply(hand).parameters)
    for name in ("joint_zero", "joint_origin_shift", "joint_origin_turn", "tip_shift"):
        np.testing.assert_allclose(getattr(again, name), getattr(calibration, name), rtol=0, atol=1e-12)
        assert not getattr(again, name).flags.writeable


def test_no_difference_leaves_every_tip_where_it_was(any_robot: Robot, rng: np.random.Generator) -> None:
    calibration = calibration_of(any_robot, any_robot.kinematics.parameters)
    q = any_robot.random_joint_position(rng, 20)
    np.testing.assert_allclose(
        calibration.apply(any_robot).tip_position(q), any_robot.kinematics.tip_position(q), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    "vector", [(0.0, 0.0, 0.0), (1e-14, 0.0, 0.0), (0.0, 0.01, 0.0), (0.3, -0.2, 0.1), (0.0, 3.0, 0.0)]
)
def test_rotation_vectors_survive_the_way_through_a_matrix(vector: tuple[float, float, float]) -> None:
    again = vector_from_rotation(rotation_from_vector(vector))
    np.testing.assert_allclose(again, vector, rtol=0, atol=1e-9 * max(np.linalg.norm(vector), 1e-20))


def test_a_rotation_vector_along_x_is_a_roll() -> None:
    np.testing.assert_allclose(rotation_from_vector((0.7, 0.0, 0.0)), rotation_from_rpy((0.7, 0.0, 0.0)), atol=1e-15)


def test_a_joint_frame_that_is_turned_about_its_own_axis_is_a_zero(hand: Robot, rng: np.random.Generator) -> None:
    q, none = hand.random_joint_position(rng, 20), calibration_of(hand, hand.kinematics.parameters)
    zero = rng.uniform(-0.2, 0.2, hand.nq)
    turned = replace(none, joint_origin_turn=zero[:, None] * hand.kinematics.topology.axis)
    np.testing.assert_allclose(
        turned.apply(hand).tip_position(q), hand.kinematics.tip_position(q + zero), rtol=0, atol=1e-12
    )


def test_a_file_for_another_robot_is_refused_with_both_names(written: Path, planar: Robot) -> None:
    with pytest.raises(FileError) as error:
        load_calibration(written, planar)
    assert "'joint_0.0' is unknown; the robot has" in str(error.value)


def test_a_file_for_the_other_hand_is_refused_with_both_names(hand: Robot, written: Path) -> None:
    with pytest.raises(FileError) as error:
        load_calibration(written, load_robot(robot_file("allegro_left")))
    assert error.value.problems == ("robot: is allegro_right, the robot has allegro_left",)


def test_a_file_for_a_changed_description_is_refused(hand: Robot, written: Path) -> None:
    changed = hand.kinematics.parameters._replace(tip_offset=hand.kinematics.parameters.tip_offset + 0.001)
    with pytest.raises(FileError, match="kinematics_digest"):
        load_calibration(written, replace(hand, kinematics=hand.kinematics.calibrated(changed)))


def test_a_calibration_is_not_applied_to_another_robot(hand: Robot, planar: Robot, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="robot: is planar_2r, the robot has allegro_right"):
        random_calibration(planar, rng).apply(hand)


@pytest.mark.parametrize("what", ["joint_names", "tip_names"])
def test_a_calibration_in_another_order_is_not_applied(hand: Robot, rng: np.random.Generator, what: str) -> None:
    calibration = random_calibration(hand, rng)
    turned = replace(calibration, **{what: getattr(calibration, what)[::-1]})
    with pytest.raises(InputError, match=f"the calibration does not fit the robot: {what.removesuffix('_names')}s: is"):
        turned.apply(hand)


@pytest.mark.parametrize(
    ("place", "key", "largest"),
    [("joints", "zero", 0.5), ("joints", "origin_turn", 0.5), ("joints", "origin_shift", 0.1), ("tips", "shift", 0.1)],
)
def test_a_difference_is_taken_up_to_half_a_radian_or_a_decimetre(
    hand: Robot, written: Path, place: str, key: str, largest: float
) -> None:
    def set_to(value: float) -> Callable[[dict], None]:  # type: ignore[type-arg]
        return lambda d: d[place][1].update({key: value if key == "zero" else [0.0, value, 0.0]})

    for sign in (-1.0, 1.0):
        load_calibration(edited(written, set_to(0.999 * sign * largest)), hand)
        with pytest.raises(FileError, match=rf"{place}\[1\]\.{key}"):
            load_calibration(edited(written, set_to(1.001 * sign * largest)), hand)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema=2), "schema: is 2"),
        (lambda d: d.update(extra=1), "extra: unknown key"),
        (lambda d: d["joints"][3].update(zero=3.0), r"joints\[3\].zero: is 3.0, must be within"),
        (lambda d: d["joints"][3].pop("zero"), r"joints\[3\].zero: missing"),
        (lambda d: d["joints"][2].update(origin_shift=[1.0, 2.0, 3.0]), r"joints\[2\].origin_shift: is \[1.0"),
        (lambda d: d["joints"][2].update(origin_turn=[0.0, float("nan"), 0.0]), r"joints\[2\].origin_turn"),
        (lambda d: d["tips"][0].update(shift=["1e-3", 0.0, 0.0]), r"shift.*YAML reads 1e-3 as text, write 0\.001"),
        (lambda d: d["joints"].pop(5), "joints: 'joint_5.0' is missing"),
        (lambda d: d["joints"].append(d["joints"][1]), "joints: 'joint_1.0' is given twice"),
        (lambda d: d["tips"][0].update(name="pinky"), "tips: 'pinky' is unknown; the robot has index, middle"),
        (lambda d: d["tips"][0].update(shift=[0.0, 0.0]), r"tips\[0\].shift"),
        (lambda d: d["tips"][2].pop("shift"), r"tips\[2\].shift: missing"),
        (
            lambda d: d["tips"][0].update(shift=[0.0, "x", 0.0]),
            r"tips\[0\].shift: is \[0.0, 'x', 0.0\], must be 3 finite numbers",
        ),
        (lambda d: d["tips"][0].update(shift=[False, 0.0, 0.0]), r"tips\[0\].shift: is \[False, 0.0, 0.0\], must be 3"),
        (lambda d: d["tips"][0].update(zero=0.0), r"tips\[0\].zero: unknown key"),
    ],
)
def test_a_wrong_file_is_refused_and_the_place_is_named(
    hand: Robot,
    written: Path,
    change: Callable[[dict], None],
    message: str,  # type: ignore[type-arg]
) -> None:
    with pytest.raises(FileError, match=message):
        load_calibration(edited(written, change), hand)


def test_a_name_that_yaml_reads_as_a_number_is_told_alone(hand: Robot, written: Path) -> None:
    with pytest.raises(FileError) as caught:
        load_calibration(edited(written, lambda d: d["joints"][3].update(name=3)), hand)
    told = "joints[3].name: is 3, must be a non-empty text (YAML reads it as a number, write it in quotes)"
    assert [*caught.value.problems] == [told]


def test_all_faults_of_a_file_are_told_at_once(hand: Robot, written: Path) -> None:
    def spoil(document: dict) -> None:  # type: ignore[type-arg]
        document["joints"][0]["zero"] = "much"
        document["tips"][1]["shift"] = 7
        del document["kinematics_digest"]

    with pytest.raises(FileError) as error:
        load_calibration(edited(written, spoil), hand)
    assert len(error.value.problems) == 3


def test_joints_and_tips_may_stand_in_any_order_and_zero_vectors_may_be_left_out(hand: Robot, written: Path) -> None:
    before = load_calibration(written, hand)

    def shuffle(document: dict) -> None:  # type: ignore[type-arg]
        document["joints"].reverse()
        document["tips"].reverse()
        del document["joints"][0]["origin_turn"]

    after = load_calibration(edited(written, shuffle), hand)
    np.testing.assert_array_equal(after.joint_zero, before.joint_zero)
    np.testing.assert_array_equal(after.tip_shift, before.tip_shift)
    np.testing.assert_array_equal(after.joint_origin_turn[-1], 0.0)
    np.testing.assert_array_equal(after.joint_origin_turn[:-1], before.joint_origin_turn[:-1])


def test_a_file_that_cannot_be_written_is_an_error_of_the_package(
    hand: Robot, rng: np.random.Generator, tmp_path: Path
) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        random_calibration(hand, rng).write(tmp_path / "absent" / "file.yaml")
