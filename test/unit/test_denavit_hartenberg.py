"""Robots from Denavit-Hartenberg parameters move as the textbook product of link transforms says."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nnik_ros.denavit_hartenberg import DhLink, urdf_from_dh
from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.robot import Robot, load_robot

ROOT = Path(__file__).resolve().parents[2]
PLANAR = [DhLink(a=5.0, velocity=4.0, effort=3e4), DhLink(a=5.0, velocity=4.0, effort=3600.0)]


def robot_of(folder: Path, links: list[DhLink]) -> Robot:
    (folder / "chain.urdf").write_text(urdf_from_dh("chain", links, radius=0.01))
    joints = [{"name": f"joint_{i + 1}", "acceleration": 1.0} for i in range(len(links))]
    document = {"schema": 1, "name": "chain", "urdf": "chain.urdf", "base_frame": "base_link", "joints": joints}
    (folder / "chain.yaml").write_text(yaml.safe_dump(document | {"tips": [{"name": "tip", "link": "tip"}]}))
    return load_robot(folder / "chain.yaml")


def textbook(links: list[DhLink], q: Array) -> Array:
    """Siciliano et al. (2009), eq. 2.52, written out entry by entry."""
    T = np.eye(4)
    for link, angle in zip(links, q, strict=True):
        ct, st_ = math.cos(angle + link.theta), math.sin(angle + link.theta)
        ca, sa = math.cos(link.alpha), math.sin(link.alpha)
        T = T @ np.array(
            [
                [ct, -st_ * ca, st_ * sa, link.a * ct],
                [st_, ct * ca, -ct * sa, link.a * st_],
                [0.0, sa, ca, link.d],
                [0.0, 0.0, 0.0, 1.0],
            ]
        )
    return T


def test_the_shipped_planar_arm_is_what_its_parameters_generate() -> None:
    assert (ROOT / "urdf" / "planar_2r.urdf").read_text() == urdf_from_dh("planar_2r", PLANAR, radius=0.2)


right_angles = st.sampled_from([0.0, math.pi / 2, -math.pi / 2, math.pi])
angles = st.one_of(right_angles, st.floats(-math.pi, math.pi))
lengths = st.one_of(st.just(0.0), st.floats(-1.0, 1.0))
dh_links = st.builds(DhLink, a=lengths, alpha=angles, d=lengths, theta=angles)
dh_chains = st.lists(dh_links, min_size=1, max_size=6).filter(
    lambda links: sum(math.hypot(link.a, link.d) for link in links) > 1e-3  # without a reach it is refused
)


@settings(deadline=None, max_examples=60)
@given(links=dh_chains, seed=st.integers(0, 1000))
def test_any_chain_has_the_pose_of_the_textbook_product(
    tmp_path_factory: pytest.TempPathFactory, links: list[DhLink], seed: int
) -> None:
    robot = robot_of(tmp_path_factory.mktemp("dh"), links)
    q = robot.random_joint_position(np.random.default_rng(seed), 1)[0]
    expected = textbook(links, q)
    np.testing.assert_allclose(robot.kinematics.tip_position(q)[0], expected[:3, 3], atol=1e-9)
    np.testing.assert_allclose(robot.kinematics.tip_rotation(q)[0], expected[:3, :3], atol=1e-9)


def test_limits_and_speed_reach_the_robot(tmp_path: Path) -> None:
    robot = robot_of(tmp_path, [DhLink(a=1.0, lower=-0.5, upper=0.25, velocity=3.0)])
    assert (robot.lower[0], robot.upper[0], robot.velocity[0]) == (-0.5, 0.25, 3.0)


def test_each_drawn_rod_ends_where_the_next_joint_begins(tmp_path: Path) -> None:
    urdf = robot_of(tmp_path, [DhLink(a=0.3, d=0.4, alpha=0.7), DhLink(a=-0.2)]).urdf
    for link, joint, length in (("link_1", "joint_2", 0.5), ("link_2", "joint_tip", 0.2)):
        (rod,) = urdf.links[link].collisions
        assert rod.size == pytest.approx((0.01, length))
        start, end = (rod.T_link_shape @ np.array([0.0, 0.0, side * length / 2, 1.0]) for side in (-1, 1))
        np.testing.assert_allclose(start[:3], np.zeros(3), atol=1e-12)
        np.testing.assert_allclose(end[:3], urdf.joints[joint].T_parent_joint[:3, 3], atol=1e-12)


def test_a_name_with_markup_in_it_stays_a_name(tmp_path: Path) -> None:
    assert 'name="a&lt;b&amp;c"' in urdf_from_dh("a<b&c", PLANAR, radius=0.1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a": math.nan}, "links[1].a"),
        ({"alpha": math.inf}, "links[1].alpha"),
        ({"lower": 1.0, "upper": 1.0}, "lower 1"),
        ({"mass": 0.0}, "links[1].mass"),
        ({"velocity": -1.0}, "links[1].velocity"),
        ({"effort": 0.0}, "links[1].effort"),
    ],
)
def test_an_impossible_link_is_refused_by_number_and_name(change: dict[str, float], words: str) -> None:
    with pytest.raises(InputError) as caught:
        urdf_from_dh("arm", [PLANAR[0], replace(PLANAR[1], **change)], radius=0.1)
    assert words in str(caught.value)


@pytest.mark.parametrize("radius", [0.0, -1.0, math.nan, math.inf])
def test_a_radius_that_is_no_positive_number_is_refused(radius: float) -> None:
    with pytest.raises(InputError, match="radius"):
        urdf_from_dh("arm", PLANAR, radius)


def test_a_chain_without_links_is_refused() -> None:
    with pytest.raises(InputError, match="at least one link"):
        urdf_from_dh("arm", [], radius=0.1)
