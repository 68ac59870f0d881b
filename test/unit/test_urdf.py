"""A URDF is read as it stands, and everything wrong with it is told at once."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nnik_ros.errors import FileError
from nnik_ros.urdf import Urdf, load_urdf

LINKS = '<link name="base"/><link name="one"/><link name="two"/>'
JOINT = '<joint name="{0}" type="{1}"><parent link="{2}"/><child link="{3}"/>{4}</joint>'


def read(folder: Path, inside: str) -> Urdf:
    (folder / "arm.urdf").write_text(f"<robot>{inside}</robot>")
    return load_urdf(folder / "arm.urdf")


def refusal(folder: Path, inside: str) -> tuple[str, ...]:
    with pytest.raises(FileError) as caught:
        read(folder, inside)
    return caught.value.problems


def arm(first: str = "", second: str = "", kind: str = "continuous") -> str:
    """Three links in a row on two joints, with this inside."""
    return LINKS + JOINT.format("a", kind, "base", "one", first) + JOINT.format("b", "fixed", "one", "two", second)


def test_what_a_joint_does_not_say_is_the_default_of_urdf(tmp_path: Path) -> None:
    urdf = read(tmp_path, arm())
    a, b = urdf.joints.values()
    assert (urdf.name, urdf.root, list(urdf.links)) == ("arm", "base", ["base", "one", "two"])
    assert (a.kind, a.parent, a.child, a.mimic) == ("continuous", "base", "one", "")
    assert (a.lower, a.upper, a.velocity, a.effort) == (-math.inf, math.inf, math.inf, math.inf)
    np.testing.assert_array_equal(a.axis, [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(a.T_parent_joint, np.eye(4))
    assert (b.kind, b.parent, b.child) == ("fixed", "one", "two")


def test_what_a_joint_says_is_read_and_its_axis_is_made_a_unit_vector(tmp_path: Path) -> None:
    first = (
        '<origin xyz="1 2 3" rpy="0.1 -0.2 0.3"/><axis xyz="0 3 -4"/><mimic joint="b"/>'
        '<limit lower="-1.5" upper="2" velocity="3" effort="4"/>'
    )
    joint = read(tmp_path, arm(first)).joints["a"]
    np.testing.assert_allclose(joint.axis, [0.0, 0.6, -0.8], atol=1e-15)
    np.testing.assert_array_equal(joint.T_parent_joint[:, 3], [1.0, 2.0, 3.0, 1.0])
    turned = Rotation.from_euler("xyz", [0.1, -0.2, 0.3]).as_matrix()
    np.testing.assert_allclose(joint.T_parent_joint[:3, :3], turned, atol=1e-15)
    assert (joint.lower, joint.upper, joint.velocity, joint.effort, joint.mimic) == (-1.5, 2.0, 3.0, 4.0, "b")
    for values in (joint.axis, joint.T_parent_joint):
        assert not values.flags.writeable


@pytest.mark.parametrize("length", ["1e-8", "1e-300", "1e155", "1e200", "1.7e308"])
def test_a_joint_turns_about_its_axis_however_long_that_is(tmp_path: Path, length: str) -> None:
    if float(length) < 1e-9:
        assert "joint 'a': axis is zero" in refusal(tmp_path, arm(f'<axis xyz="0 -{length} 0"/>'))
    else:
        axis = read(tmp_path, arm(f'<axis xyz="0 -{length} 0"/>')).joints["a"].axis
        np.testing.assert_allclose(axis, [0.0, -1.0, 0.0], atol=1e-15)


def test_shapes_colours_and_masses_of_a_link_are_read(tmp_path: Path) -> None:
    link = (
        '<material name="steel"><color rgba="0.1 0.2 0.3 1"/></material><link name="base">'
        '<visual><geometry><box size="1 2 3"/></geometry><material name="steel"/></visual>'
        '<visual><origin xyz="0 0 5"/><geometry><cylinder radius="0.5" length="2"/></geometry>'
        '<material name="steel"><color rgba="1 0 0 0.5"/></material></visual>'
        '<visual><geometry><mesh filename="a.stl"/></geometry><material name="unknown"/></visual>'
        '<collision><geometry><sphere radius="0.25"/></geometry></collision><collision/><collision><geometry/></collision>'
        '<inertial><origin xyz="1 0 0"/><mass value="7"/>'
        '<inertia ixx="1" ixy="2" ixz="3" iyy="4" iyz="5" izz="6"/></inertial></link>'
    )
    base = read(tmp_path, link).links["base"]
    assert [(s.kind, s.size, s.rgba) for s in base.visuals] == [
        ("box", (1.0, 2.0, 3.0), (0.1, 0.2, 0.3, 1.0)),
        ("cylinder", (0.5, 2.0), (1.0, 0.0, 0.0, 0.5)),
        ("mesh", (), None),
    ]
    assert base.visuals[1].T_link_shape[2, 3] == 5.0
    assert [(s.kind, s.size, s.rgba) for s in base.collisions] == [
        ("sphere", (0.25,), None),
        ("", (), None),
        ("", (), None),
    ]
    assert base.inertial is not None
    assert (base.inertial.mass, base.inertial.T_link_inertial[0, 3]) == (7.0, 1.0)
    np.testing.assert_array_equal(base.inertial.tensor, [[1, 2, 3], [2, 4, 5], [3, 5, 6]])


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        ("", "must have exactly one root link, has 0: none"),
        (LINKS, "must have exactly one root link, has 3: base, one, two"),
        (arm(kind="revolute"), "joint 'a': a revolute joint needs <limit lower=... upper=...>"),
        (arm('<limit lower="1"/>', kind="revolute"), "joint 'a': a revolute joint needs <limit lower=... upper=...>"),
        (arm('<limit upper="1"/>', kind="revolute"), "joint 'a': a revolute joint needs <limit lower=... upper=...>"),
        (arm('<limit lower="1" upper="0.5"/>', kind="revolute"), "joint 'a': lower limit 1 must not be above upper limit 0.5"),
        (arm('<axis xyz="0 0 0"/>'), "joint 'a': axis is zero"),
        (arm('<axis xyz="1.7e308 1.7e308 0"/>'), "joint 'a': axis is too long"),
        (arm('<axis xyz="0 nan 1"/>'), "joint 'a': xyz=\"0 nan 1\" must be 3 finite numbers"),
        (arm('<origin xyz="1 2"/>'), "joint 'a': xyz=\"1 2\" must be 3 finite numbers"),
        (arm('<origin rpy="1 2 x"/>'), "joint 'a': rpy=\"1 2 x\" must be 3 finite numbers"),
        (arm('<limit velocity="fast"/>'), "joint 'a': velocity=\"fast\" must be 1 finite number"),
        (arm().replace('<parent link="one"/>', ""), "joint 'b': <parent link=...> is missing"),
        (arm().replace('<child link="two"/>', "<child/>"), "joint 'b': <child link=...> is missing"),
        (arm().replace('name="b"', ""), "a <joint> has no name"),
        (arm().replace('link="two"', 'link="one"'), "link 'one': has two parents, 'base' and 'one'"),
        (arm().replace('parent link="base"', 'parent link="two"'), "link 'one': the chain above it is a loop"),
        ('<link name="base"><inertial/></link>', "link 'base': attribute 'value' is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, inside: str, told: str) -> None:
    assert told in refusal(tmp_path, inside)


def test_another_document_is_refused(tmp_path: Path) -> None:
    (tmp_path / "world.xml").write_text("<world/>")
    with pytest.raises(FileError, match="root element is <world>, must be <robot>"):
        load_urdf(tmp_path / "world.xml")


@pytest.mark.parametrize("namespace", ["http://www.ros.org/wiki/xacro", "http://ros.org/wiki/xacro"])
def test_what_xacro_has_not_yet_made_a_urdf_of_is_refused_and_what_it_has_is_not(
    tmp_path: Path, namespace: str
) -> None:
    """Its elements may stand for links, and deep inside of one for the shapes that keep fingers apart."""
    head = f'<robot name="arm" xmlns:xacro="{namespace}">'
    shapes = '<link name="base"><xacro:insert_block name="shapes"/></link>'
    unprocessed = arm().replace('<link name="base"/>', shapes)
    (tmp_path / "arm.urdf").write_text(f'{head}<xacro:finger prefix="a"/>{unprocessed}</robot>')
    with pytest.raises(FileError) as caught:
        load_urdf(tmp_path / "arm.urdf")
    (told,) = caught.value.problems
    assert told.startswith(
        "is xacro with <xacro:finger>, <xacro:insert_block>, must be the URDF that xacro makes of it"
    )
    (tmp_path / "arm.urdf").write_text(f"{head}{arm()}</robot>")
    assert list(load_urdf(tmp_path / "arm.urdf").joints) == ["a", "b"]


def test_a_chain_leads_down_from_its_base_and_none_leads_up_or_to_a_stranger(tmp_path: Path) -> None:
    urdf = read(tmp_path, arm())
    assert [joint.name for joint in urdf.chain("two", "base")] == ["a", "b"]
    assert [joint.name for joint in urdf.chain("two", "one")] == ["b"]
    assert urdf.chain("one", "one") == []
    for link, base, told in (("base", "two", "does not hang below 'two'"), ("lid", "base", "'lid' is not in the URDF")):
        with pytest.raises(KeyError, match=told):
            urdf.chain(link, base)
