"""The simulated robots move as their own kinematics say and answer commands as the real drive does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import yaml

from nnik_ros.errors import FileError, InputError
from nnik_ros.geometry import Array, rotation_about_axis, transform
from nnik_ros.robot import Robot, load_robot
from nnik_ros.sim.hand import SimHand
from nnik_ros.sim.options import SimOptions, find_sim_file, load_sim_options
from nnik_ros.urdf import Inertial

ROBOTS = Path(__file__).resolve().parents[2] / "config" / "robots"
NAMES = sorted(path.stem for path in ROBOTS.glob("*.yaml"))
HANDS = [name for name in NAMES if name.startswith("allegro")]
TICK = 0.003


def simulated(name: str, **changes: Any) -> SimHand:
    robot = load_robot(ROBOTS / f"{name}.yaml")
    options = load_sim_options(find_sim_file(ROBOTS / "simulation", name), robot)
    return SimHand(robot, replace(options, **changes))


def run(hand: SimHand, seconds: float) -> None:
    for _ in range(round(seconds / TICK)):
        hand.step(TICK)


@pytest.mark.parametrize("name", NAMES)
class TestEveryShippedRobot:
    def test_mujoco_and_the_kinematics_agree_on_every_tip(self, name: str) -> None:
        hand = simulated(name)
        for q in hand.robot.random_joint_position(np.random.default_rng(3), 50):
            hand.reset(q)
            np.testing.assert_allclose(hand.tip_position(), hand.robot.kinematics.tip_position(q), rtol=0, atol=1e-9)

    def test_tips_are_those_of_the_joints_after_steps_too(self, name: str) -> None:
        hand = simulated(name)
        hand.command(hand.robot.home + 0.2)
        run(hand, 0.06)
        assert np.abs(hand.dq).max() > 0.01
        np.testing.assert_allclose(hand.tip_position(), hand.robot.kinematics.tip_position(hand.q), rtol=0, atol=1e-9)

    def test_it_starts_at_home_and_stays_near_it_without_a_command(self, name: str) -> None:
        hand = simulated(name)
        np.testing.assert_array_equal(hand.q, hand.robot.home)
        run(hand, 2.0)
        assert np.abs(hand.q - hand.robot.home).max() < 0.15

    def test_it_settles_near_a_command(self, name: str) -> None:
        hand = simulated(name)
        goal = hand.robot.home + 0.2 * np.minimum(1.0, hand.robot.upper - hand.robot.home)
        hand.command(goal)
        run(hand, 3.0)
        assert np.abs(hand.q - goal).max() < 0.2
        assert np.abs(hand.dq).max() < 1e-3

    def test_it_survives_commands_far_outside_the_limits_at_the_stops(self, name: str) -> None:
        hand = simulated(name)
        rng = np.random.default_rng(5)
        for _ in range(40):
            hand.command(rng.choice([-10.0, 10.0], hand.robot.nq))
            for _ in range(100):
                hand.step(TICK)
                assert np.all(hand.q > hand.robot.lower - 0.05)
                assert np.all(hand.q < hand.robot.upper + 0.05)
                assert np.abs(hand.dq).max() < 40.0
        assert hand.data.warning.number.sum() == 0

    def test_it_is_repeatable_bit_for_bit(self, name: str) -> None:
        first, second = simulated(name), simulated(name)
        run(second, 0.1)
        second.reset(second.robot.home)
        for hand in (first, second):
            hand.command(hand.robot.home + 0.1)
            run(hand, 0.3)
        np.testing.assert_array_equal(first.q, second.q)


@pytest.mark.parametrize("name", HANDS)
class TestAllegro:
    def test_the_weak_drive_sags_under_gravity_but_not_much(self, name: str) -> None:
        hand = simulated(name)
        run(hand, 2.0)
        sag = np.abs(hand.q - hand.robot.home).max()
        assert 0.005 < sag < 0.2

    def test_without_gravity_and_friction_it_does_not_sag(self, name: str) -> None:
        hand = simulated(name, gravity=np.zeros(3), friction=np.zeros(16))
        hand.command(hand.robot.home + 0.1)
        run(hand, 3.0)
        np.testing.assert_allclose(hand.q, hand.robot.home + 0.1, atol=1e-4)

    def test_torque_is_the_proportional_term_clipped_to_the_limit(self, name: str) -> None:
        hand = simulated(name)
        for offset in (0.05, -0.3, 3.0, -3.0):
            hand.reset(hand.robot.home)
            hand.command(hand.robot.home + offset)
            hand.step(hand.options.timestep)  # from rest: the damping term is zero
            limit = hand.options.torque_limit
            np.testing.assert_allclose(hand.torque, np.clip(hand.options.stiffness * offset, -limit, limit), atol=1e-12)

    def test_damping_is_part_of_the_drive_and_its_limit(self, name: str) -> None:
        hand = simulated(name)
        hand.data.qvel[hand._qvel] = 2.0
        hand.step(hand.options.timestep)
        limit = hand.options.torque_limit
        np.testing.assert_allclose(hand.torque, np.clip(-2.0 * hand.options.damping, -limit, limit), atol=1e-12)

    def test_no_links_touch_at_home(self, name: str) -> None:
        assert simulated(name).data.ncon == 0

    def test_fingers_that_are_pressed_together_stop_each_other(self, name: str) -> None:
        goal = np.array(load_robot(ROBOTS / f"{name}.yaml").home)
        towards_middle = -1.0 if name.endswith("right") else 1.0
        goal[[0, 8]] = np.array([1.0, -1.0]) * 0.47 * towards_middle
        goal[[1, 5, 9]], goal[[2, 3, 6, 7, 10, 11]] = 1.3, 0.1
        met, passed = simulated(name), simulated(name, self_contact=False)
        for hand in (met, passed):
            hand.command(goal)
            run(hand, 2.0)
        assert met.data.ncon > 0 and passed.data.ncon == 0
        assert _gap(met) > _gap(passed) + 0.002
        assert min(contact.dist for contact in met.data.contact) > -0.003

    def test_every_joint_can_reach_the_listed_acceleration_in_any_posture(self, name: str) -> None:
        hand = simulated(name)
        inertia = np.zeros((16, 16))
        for q in hand.robot.random_joint_position(np.random.default_rng(9), 300):
            hand.reset(q)
            mujoco.mj_fullM(hand.model, hand.data, inertia)
            M, gravity = inertia[np.ix_(hand._qvel, hand._qvel)], hand.data.qfrc_bias[hand._qvel]
            needed = np.abs(M) @ hand.robot.acceleration + np.abs(gravity)
            assert np.all(needed < hand.options.torque_limit)


def test_left_and_right_hand_move_as_mirror_images() -> None:
    sign = np.ones(16)
    sign[[0, 4, 8]] = -1.0
    right, left = simulated("allegro_right"), simulated("allegro_left")
    goal = right.robot.home + np.random.default_rng(4).uniform(-0.1, 0.1, 16)
    right.command(goal)
    left.command(sign * goal)
    for hand in (right, left):
        run(hand, 0.3)
    assert np.abs(right.q - right.robot.home).max() > 0.05
    np.testing.assert_allclose(left.q, sign * right.q, atol=1e-6)


def test_inertia_of_the_planar_arm_is_that_of_two_rods() -> None:
    hand = simulated("planar_2r")
    mass, length, radius, matrix = 1.0, 5.0, 0.2, np.zeros((2, 2))
    about_middle = mass * (3 * radius**2 + length**2) / 12
    for q in hand.robot.random_joint_position(np.random.default_rng(8), 20):
        hand.reset(q)
        mujoco.mj_fullM(hand.model, hand.data, matrix)
        far = mass * (length**2 + length**2 / 4 + length**2 * np.cos(q[1])) + about_middle
        near = mass * length**2 / 4 + about_middle
        mixed = near + mass * length**2 / 2 * np.cos(q[1])
        np.testing.assert_allclose(matrix, [[near + far, mixed], [mixed, near]], rtol=1e-9)


@pytest.mark.parametrize("name", HANDS)
def test_at_rest_the_drives_carry_the_slope_of_the_potential_energy(name: str) -> None:
    hand = simulated(name, friction=np.zeros(16))
    run(hand, 4.0)
    assert hand.data.ncon == 0
    slope = [(_energy(hand.robot, hand.q + h) - _energy(hand.robot, hand.q - h)) / 2e-5 for h in 1e-5 * np.eye(16)]
    assert np.abs(slope).max() > 0.02
    np.testing.assert_allclose(hand.torque, slope, atol=1e-5)


def test_time_that_is_no_whole_number_of_steps_is_not_lost() -> None:
    hand = simulated("planar_2r")
    for _ in range(333):
        hand.step(1.0 / 333.0)
    assert hand.time == pytest.approx(1.0, abs=1.01e-3)
    hand.step(0.0)
    hand.step(0.0004)
    before = hand.time
    hand.step(0.0007)
    assert hand.time >= before + 0.9e-3


def planar_arm(folder: Path, *changes: tuple[str, str]) -> Robot:
    """The planar arm, its files as text changed."""
    for file in (ROBOTS / "planar_2r.yaml", ROBOTS.parents[1] / "urdf" / "planar_2r.urdf"):
        text = file.read_text().replace("../../urdf/", "")
        for old, new in changes:
            text = text.replace(old, new)
        (folder / file.name).write_text(text)
    return load_robot(folder / "planar_2r.yaml")


@pytest.mark.parametrize("link", ["base_link", "link_1", "tip"])
def test_a_link_may_bear_the_name_of_the_world(link: str, tmp_path: Path) -> None:
    robot = planar_arm(tmp_path, (f'"{link}"', '"world"'), (f" {link}", " world"))
    assert "world" in robot.urdf.links and link not in robot.urdf.links
    hand = SimHand(robot, _options(robot))
    for q in robot.random_joint_position(np.random.default_rng(3), 20):
        hand.reset(q)
        np.testing.assert_allclose(hand.tip_position(), robot.kinematics.tip_position(q), rtol=0, atol=1e-9)


@pytest.mark.parametrize("limits", ['lower="-1" upper="1"', 'lower="0" upper="0"'])
def test_a_continuous_joint_turns_past_limits_that_its_urdf_writes_down_in_vain(limits: str, tmp_path: Path) -> None:
    robot = planar_arm(
        tmp_path, ('type="revolute"', 'type="continuous"'), ('lower="-3.14159265358979" upper="3.14159265358979"', limits),
        ("{name: joint_", "{lower: -3.0, upper: 3.0, name: joint_"),
    )  # fmt: skip
    hand = SimHand(robot, _options(robot))
    hand.command(np.full(2, 2.5))
    run(hand, 8.0)
    np.testing.assert_allclose(hand.q, 2.5, atol=0.1)


@pytest.mark.parametrize("turned", [(0.0, 0.0, 1.0, 0.0), (1.0, 2.0, 3.0, 0.7), (0.0, 1.0, 0.0, 0.4)])
@pytest.mark.parametrize("moments", [(0.0, 0.0, 0.0), (0.0, 3.0, 3.0), (0.1, 3.0, 3.1)])  # kg m^2: point, rod, plate
def test_a_point_a_thin_rod_and_a_thin_plate_at_the_tip_add_their_own_inertia(
    turned: tuple[float, ...], moments: tuple[float, ...]
) -> None:
    robot, mass = load_robot(ROBOTS / "planar_2r.yaml"), 0.5
    R = rotation_about_axis(np.array(turned[:3]) / np.linalg.norm(turned[:3]), turned[3])
    tensor = R @ np.diag(moments) @ R.T
    body = Inertial(mass, transform(np.eye(3), np.zeros(3)), 0.5 * (tensor + tensor.T))
    links = robot.urdf.links | {"tip": replace(robot.urdf.links["tip"], inertial=body)}
    loaded = SimHand(replace(robot, urdf=replace(robot.urdf, links=links)), _options(robot))
    q = np.array([0.3, 0.9])
    J = robot.kinematics.tips(q).jacobian[0]
    expected = mass * J.T @ J + tensor[2, 2]  # both joints turn the tip about z
    np.testing.assert_allclose(_mass_matrix(loaded, q) - _mass_matrix(simulated("planar_2r"), q), expected, atol=1e-6)


def arm_of_points(middle: float) -> Robot:
    """The planar arm, each of its moving links a point of 1 kg at `middle` [m] of its length."""
    robot = load_robot(ROBOTS / "planar_2r.yaml")
    point = Inertial(1.0, transform(np.eye(3), np.array([middle, 0.0, 0.0])), np.zeros((3, 3)))
    moved = {joint.child for joint in robot.urdf.joints.values() if joint.name in robot.joint_names}
    links = {name: replace(link, inertial=point if name in moved else None) for name, link in robot.urdf.links.items()}
    return replace(robot, urdf=replace(robot.urdf, links=links))


def test_an_arm_whose_moving_links_are_points_swings_as_these() -> None:
    robot, q, a = arm_of_points(2.0), np.array([0.3, 0.9]), 2.0
    length = float(np.linalg.norm(robot.kinematics.tip_position(np.zeros(2)))) / 2.0
    options = replace(_options(robot), armature=np.zeros(2))
    mixed = a * a + length * a * np.cos(q[1])
    expected = [[a * a + length**2 + 2.0 * length * a * np.cos(q[1]) + a * a, mixed], [mixed, a * a]]
    np.testing.assert_allclose(_mass_matrix(SimHand(robot, options), q), expected, atol=1e-9)


class TestRefusals:
    def test_a_joint_that_turns_a_point_on_its_axis_alone_is_refused_by_name(self) -> None:
        robot = arm_of_points(0.0)
        with pytest.raises(InputError, match="'planar_2r' cannot be simulated: no inertia is turned by joint_2:"):
            SimHand(robot, replace(_options(robot), armature=np.zeros(2)))

    @pytest.mark.parametrize(
        "bad", [[], [0.0], [0.0] * 3, [np.nan, 0.0], [0.0, np.inf], [[0.0, 0.0]], ["a", "b"], 1.0, None]
    )
    def test_a_position_of_wrong_size_or_not_finite_is_refused_and_changes_nothing(self, bad: Any) -> None:
        hand = simulated("planar_2r")
        for call in (hand.command, hand.reset):
            with pytest.raises(InputError):
                call(bad)
        np.testing.assert_array_equal(hand.data.ctrl, hand.robot.home)
        np.testing.assert_array_equal(hand.q, hand.robot.home)

    @pytest.mark.parametrize("dt", [-0.001, np.nan, np.inf])
    def test_a_time_that_does_not_pass_is_refused(self, dt: float) -> None:
        with pytest.raises(InputError, match="dt"):
            simulated("planar_2r").step(dt)

    def test_a_moving_link_without_mass_is_refused_by_name(self) -> None:
        robot = load_robot(ROBOTS / "planar_2r.yaml")
        links = {name: replace(link, inertial=None) for name, link in robot.urdf.links.items()}
        with pytest.raises(InputError, match="planar_2r"):
            SimHand(replace(robot, urdf=replace(robot.urdf, links=links)), _options(robot))

    @pytest.mark.parametrize(
        ("mass", "moments"), [(1.0, (1.0, 1.0, 3.0)), (-1.0, (1.0, 1.0, 1.0)), (1.0, (-1.0, 1.0, 1.0))]
    )
    def test_bodies_that_cannot_be_are_refused_all_by_name(self, mass: float, moments: tuple[float, ...]) -> None:
        robot = load_robot(ROBOTS / "planar_2r.yaml")
        moved = [joint.child for joint in robot.urdf.joints.values() if joint.name in robot.joint_names]
        links = dict(robot.urdf.links)
        for name in moved:
            links[name] = replace(links[name], inertial=Inertial(mass, np.eye(4), np.diag(moments)))
        told = ".*".join(rf"link '{name}': mass {mass:g} .* is not a possible body" for name in moved)
        with pytest.raises(InputError, match=f"'planar_2r' cannot be simulated: {told}"):
            SimHand(replace(robot, urdf=replace(robot.urdf, links=links)), _options(robot))

    def test_every_fault_of_a_simulation_file_is_reported_at_once(self, tmp_path: Path) -> None:
        robot = load_robot(ROBOTS / "planar_2r.yaml")
        document = yaml.safe_load((ROBOTS / "simulation" / "planar_2r.yaml").read_text())
        document |= {"gravity": [0, 0], "timestep": 1.0, "wind": 3}
        document["joints"][1] |= {"name": "joint_9", "torque_limit": 0.0}
        del document["joints"][0]["stiffness"]
        (tmp_path / "sim.yaml").write_text(yaml.safe_dump(document))
        with pytest.raises(FileError) as caught:
            load_sim_options(tmp_path / "sim.yaml", robot)
        told = "\n".join(caught.value.problems)
        assert "gravity" in told and "timestep" in told and "wind: unknown key" in told
        assert "joints[1].torque_limit" in told and "joints[0].stiffness: missing" in told
        assert "'joint_9' is unknown; robot 'planar_2r' has joint_1, joint_2" in told and "'joint_2' is missing" in told

    def test_a_joint_without_a_name_in_a_simulation_file_is_only_said_to_lack_it(self, tmp_path: Path) -> None:
        robot = load_robot(ROBOTS / "planar_2r.yaml")
        document = yaml.safe_load((ROBOTS / "simulation" / "planar_2r.yaml").read_text())
        for joint in document["joints"]:
            del joint["name"]
        (tmp_path / "sim.yaml").write_text(yaml.safe_dump(document))
        with pytest.raises(FileError) as caught:
            load_sim_options(tmp_path / "sim.yaml", robot)
        assert [*caught.value.problems] == [f"joints[{i}].name: missing" for i in range(2)]

    def test_a_robot_that_nobody_simulates_is_answered_with_those_that_are(self) -> None:
        with pytest.raises(InputError, match=r"allegro_right, allegro_left.*, planar_2r"):
            find_sim_file(ROBOTS / "simulation", "shadow_right")


def test_every_simulation_file_names_shipped_robots_and_none_is_named_twice() -> None:
    files = [yaml.safe_load(path.read_text()) for path in (ROBOTS / "simulation").glob("*.yaml")]
    assert sorted(name for file in files for name in file["robots"]) == NAMES


def _options(robot: Robot) -> SimOptions:
    return load_sim_options(find_sim_file(ROBOTS / "simulation", robot.name), robot)


def _mass_matrix(hand: SimHand, q: Array) -> Array:
    """At q (nq,) [rad]: (nq, nq) [kg m^2]."""
    hand.reset(q)
    matrix = np.zeros((hand.robot.nq, hand.robot.nq))
    for row, unit in zip(matrix, np.eye(hand.robot.nq), strict=True):
        mujoco.mj_mulM(hand.model, hand.data, row, unit)
    return matrix


def _gap(hand: SimHand) -> float:
    """Smallest distance between two of the three fingertips [m]."""
    index, middle, ring = hand.tip_position()[:3]
    return float(min(np.linalg.norm(index - middle), np.linalg.norm(ring - middle)))


def _energy(robot: Robot, q: Array) -> float:
    """Potential energy [J] of the URDF's masses, from a walk down the tree of its own."""
    angle = dict(zip(robot.joint_names, q, strict=True))
    pose = {robot.urdf.root: np.eye(4)}
    waiting = list(robot.urdf.joints.values())
    while waiting:
        joint = waiting.pop(0)
        if joint.parent not in pose:
            waiting.append(joint)
            continue
        turn = transform(rotation_about_axis(joint.axis, angle.get(joint.name, 0.0)), np.zeros(3))
        pose[joint.child] = pose[joint.parent] @ joint.T_parent_joint @ turn
    bodies = [(link.inertial, pose[name]) for name, link in robot.urdf.links.items()]
    return sum(9.81 * body.mass * float((T @ body.T_link_inertial)[2, 3]) for body, T in bodies if body is not None)
