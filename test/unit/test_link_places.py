"""Every link hangs where a walk through the tree by hand says; what moves against the base in an unknown way is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from nnik_ros.geometry import Array
from nnik_ros.link_places import BASE, link_places
from nnik_ros.robot import load_robot

RNG = np.random.default_rng(9)
POSES = {name: (RNG.normal(size=3), RNG.uniform(-1.5, 1.5, 3)) for name in
         ("base", "post", "lever", "plate", "one", "two", "tip", "nail", "lid", "screw", "bracket", "hook")}  # fmt: skip
TREE = {  # link: its parent and the kind of the joint between
    "arm": ("world", "revolute"), "base": ("arm", "fixed"), "post": ("arm", "fixed"), "lever": ("arm", "revolute"),
    "plate": ("base", "fixed"), "one": ("base", "revolute"), "two": ("one", "revolute"), "tip": ("two", "fixed"),
    "nail": ("tip", "fixed"), "lid": ("two", "revolute"), "screw": ("lid", "fixed"),
    "bracket": ("two", "fixed"), "hook": ("bracket", "revolute"),
}  # fmt: skip


def pose(link: str) -> Array:
    """Of a link in its parent, with the joint between at zero: (4, 4)."""
    position, rpy = POSES[link]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_euler("xyz", rpy).as_matrix(), position
    return matrix


def test_every_link_has_the_place_that_a_walk_through_the_tree_gives(tmp_path: Path) -> None:
    parts = ['<robot name="arm"><link name="world"/>']
    for link, (parent, kind) in TREE.items():
        position, rpy = POSES.get(link, (np.zeros(3), np.zeros(3)))
        parts.append(
            f'<link name="{link}"/><joint name="to_{link}" type="{kind}"><parent link="{parent}"/><child link="{link}"/>'
            f'<origin xyz="{" ".join(map(str, position))}" rpy="{" ".join(map(str, rpy))}"/><axis xyz="0 0 1"/>'
            '<limit lower="-1" upper="1" effort="1" velocity="1"/></joint>'
        )
    (tmp_path / "arm.urdf").write_text("".join(parts) + "</robot>")
    (tmp_path / "arm.yaml").write_text(
        "{schema: 1, name: arm, urdf: arm.urdf, base_frame: base, tips: [{name: tip, link: tip}],"
        " joints: [{name: to_one, acceleration: 1}, {name: to_two, acceleration: 1}]}"
    )
    expected = {
        "arm": (BASE, -1, np.linalg.inv(pose("base")), False),
        "base": (BASE, -1, np.eye(4), False),
        "post": (BASE, -1, np.linalg.inv(pose("base")) @ pose("post"), False),
        "plate": (BASE, -1, pose("plate"), False),
        "one": (0, 0, np.eye(4), False),
        "two": (0, 1, np.eye(4), False),
        "tip": (0, 1, pose("tip"), False),
        "nail": (0, 1, pose("tip") @ pose("nail"), False),
        "lid": (0, 1, pose("lid"), True),
        "screw": (0, 1, pose("lid") @ pose("screw"), True),
        "bracket": (0, 1, pose("bracket"), False),
        "hook": (0, 1, pose("bracket") @ pose("hook"), True),
    }  # neither the lever nor the world: joints whose angles nobody tells lie between them and the base
    found = link_places(load_robot(tmp_path / "arm.yaml"))
    assert list(found) == [link for link in ("world", *TREE) if link in expected]
    for link, (tip, depth, T, held) in expected.items():
        place = found[link]
        assert (place.tip, place.depth, place.held) == (tip, depth, held), link
        np.testing.assert_allclose(place.T_carrier_link, T, atol=1e-12, err_msg=link)
