from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nnik_ros.errors import InputError
from nnik_ros.geometry import (
    distance,
    frozen,
    quat_wxyz_from_rotation,
    rotation_about_axis,
    rotation_from_quat_wxyz,
    rotation_from_rpy,
    rpy_from_rotation,
    shaped,
    skew,
)


def test_rotations_agree_with_scipy(rng: np.random.Generator) -> None:
    for _ in range(50):
        rpy, axis, angle = rng.uniform(-3, 3, 3), rng.normal(size=3), rng.uniform(-3, 3)
        axis /= np.linalg.norm(axis)
        np.testing.assert_allclose(rotation_from_rpy(rpy), Rotation.from_euler("xyz", rpy).as_matrix(), atol=1e-12)
        np.testing.assert_allclose(
            rotation_about_axis(axis, angle), Rotation.from_rotvec(angle * axis).as_matrix(), atol=1e-12
        )
        quat_xyzw = Rotation.random(random_state=int(rng.integers(1 << 30))).as_quat()
        matrix = Rotation.from_quat(quat_xyzw).as_matrix()
        np.testing.assert_allclose(rotation_from_quat_wxyz(3 * np.roll(quat_xyzw, 1)), matrix, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.5, np.pi / 2, 2.5, np.pi - 1e-9, np.pi, -2.5, 5.0])
@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0, 0.8), (-0.6, 0.8, 0)])
def test_a_rotation_survives_the_way_through_its_quaternion(axis: tuple[float, ...], angle: float) -> None:
    R = rotation_about_axis(axis, angle)
    quat = quat_wxyz_from_rotation(R)
    np.testing.assert_allclose(rotation_from_quat_wxyz(quat), R, atol=1e-12)
    assert quat[0] >= 0.0


def test_skew_is_the_cross_product(rng: np.random.Generator) -> None:
    u, v = rng.normal(size=(2, 20, 3))
    np.testing.assert_allclose((skew(u) @ v[..., None])[..., 0], np.cross(u, v))


def test_a_frozen_array_is_a_read_only_copy() -> None:
    source = np.zeros(3)
    copy = frozen(source)
    source[0] = 1.0
    assert copy[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        copy[0] = 1.0


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_distance_is_that_of_exactly_the_coordinates_that_are_given(width: int, kind: type) -> None:
    np.testing.assert_allclose(
        distance(np.ones((4, width), kind), np.zeros((4, width), kind)), np.sqrt(width), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [((4, 3), (4, 3)), ((4, 3), (1, 3)), ((4, 3), (3,)), ((3,), (3,)), ((5, 4, 3), (4, 3)), ((4, 5, 3), (4, 5, 3)),
     ((4, 5, 3), (4, 1, 3)), ((3, 3), (3,))],
)  # fmt: skip
def test_distances_are_those_of_numpy_whatever_is_broadcast_and_unknown_where_a_point_is(
    first: tuple[int, ...], second: tuple[int, ...], rng: np.random.Generator
) -> None:
    a, b = rng.normal(size=first), rng.normal(size=second)
    np.testing.assert_allclose(distance(a, b), np.linalg.norm(a - b, axis=-1), rtol=1e-14)
    a.reshape(-1, 3)[0, 1] = np.nan
    np.testing.assert_array_equal(np.isnan(distance(a, b)), np.isnan(a - b).any(axis=-1))


@pytest.mark.parametrize("values", [["a", 1.0], [[1.0], 2.0], [10**400, 0.0], None, 1.0, [1.0], [[1.0, 2.0]]])
def test_what_is_no_array_of_numbers_of_the_wanted_shape_is_refused(values: object) -> None:
    with pytest.raises(InputError, match=r"^joint positions (are no array of numbers|have shape)"):
        shaped("joint positions", values, (2,))


def test_roll_pitch_yaw_give_the_rotation_back() -> None:
    rng = np.random.default_rng(0)
    for rpy in (*rng.uniform(-3, 3, (20, 3)), [0.3, np.pi / 2, 0.0], [0.3, -np.pi / 2, 0.7]):
        R = rotation_from_rpy(rpy)
        assert np.allclose(rotation_from_rpy(rpy_from_rotation(R)), R, atol=1e-7)
