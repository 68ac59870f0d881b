from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from benchmarks.workloads import singular_path
from nnik_ros.collision import CollisionModel, links_of_meshes_alone
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.errors import InputError
from nnik_ros.geometry import Array
from nnik_ros.kernels.capsules import clearance_gradients, closest, remember
from nnik_ros.motion import JointMotion
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file, share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.states import Measurement, Targets

point = st.tuples(*[st.floats(-1, 1).map(lambda x: round(x, 3)) for _ in range(3)])


def between_segments(p1: Array, q1: Array, p2: Array, q2: Array) -> float:
    """The smallest of the distances of each end from the other segment and, where both feet lie within, of the two lines."""

    def from_segment(x: Array, p: Array, q: Array) -> float:
        d = q - p
        return float(np.linalg.norm(x - p - np.clip((x - p) @ d / max(d @ d, 1e-300), 0.0, 1.0) * d))

    lines = np.stack([q1 - p1, p2 - q2], axis=-1)
    feet = np.linalg.lstsq(lines, p2 - p1, rcond=None)[0]
    ends = [from_segment(p1, p2, q2), from_segment(q1, p2, q2), from_segment(p2, p1, q1), from_segment(q2, p1, q1)]
    within = bool(np.all((feet >= 0.0) & (feet <= 1.0)))
    return min([*ends, *([float(np.linalg.norm(lines @ feet - (p2 - p1)))] if within else [])])


@settings(max_examples=80, deadline=None)
@given(point, point, point, point)
@example((0.0, 0.0, 0.5), (0.156, 0.0, 0.0), (0.312, 0.0, -0.625), (0.0, 0.0, 0.75))  # all but parallel
@example((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.2, 0.5, 0.0), (0.7, 0.5, 0.0))
@example((0.1, 0.1, 0.1), (0.1, 0.1, 0.1), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0))
def test_segment_distance_agrees_with_that_of_ends_and_lines(p1, q1, p2, q2) -> None:
    p1, q1, p2, q2 = map(np.array, (p1, q1, p2, q2))
    between = np.empty(3)
    s, t = closest(np.array([p1, q1]), np.array([p2, q2]), between)
    assert abs(np.linalg.norm(between) - between_segments(p1, q1, p2, q2)) < 1e-9
    np.testing.assert_allclose(between, p1 + s * (q1 - p1) - p2 - t * (q2 - p2), atol=1e-12)


def test_the_home_position_is_clear_and_a_fist_through_the_thumb_is_not(hand: Robot) -> None:
    model = CollisionModel(hand)
    assert model.distances(hand.home).min() > 0.0
    poses = hand.random_joint_position(np.random.default_rng(3), 500)
    assert min(model.distances(q).min() for q in poses) < -0.005


@pytest.mark.parametrize("joints", [0, 3, 15, 17])
def test_a_pose_of_another_number_of_joints_is_refused_instead_of_read_past_its_end(hand: Robot, joints: int) -> None:
    model, q = CollisionModel(hand), np.zeros(joints)
    with pytest.raises(InputError, match=rf"have shape \({joints},\), must end with 16 joints"):
        model.distances(q)


def test_clearances_are_the_same_for_every_layout_of_the_same_pose(hand: Robot) -> None:
    model = CollisionModel(hand)
    strided = np.repeat(hand.home, 2)[::2]
    np.testing.assert_array_equal(model.distances(strided), model.distances(hand.home))
    single = hand.home.astype(np.float32)
    np.testing.assert_allclose(model.distances(single), model.distances(hand.home), atol=1e-6)


def test_clearance_agrees_with_the_simulator(hand: Robot) -> None:
    """MuJoCo sees a contact between two fingers exactly where the capsules overlap."""
    import mujoco

    from nnik_ros.sim.hand import SimHand
    from nnik_ros.sim.options import find_sim_file, load_sim_options

    options = load_sim_options(find_sim_file(share_dir() / "config" / "robots" / "simulation", hand.name), hand)
    model, sim = CollisionModel(hand), SimHand(hand, options)
    agreed = total = 0
    for q in hand.random_joint_position(np.random.default_rng(5), 150):
        sim.reset(q)
        mujoco.mj_forward(sim.model, sim.data)
        touching = any(sim.data.contact[i].dist < -1e-3 for i in range(sim.data.ncon))
        clear = model.distances(q).min()
        if abs(clear) > 3e-3:  # the two shapes of an edge differ by this much
            total += 1
            agreed += touching == (clear < 0)
    assert total > 100
    assert agreed / total > 0.9


def test_a_robot_without_collision_shapes_has_no_pairs_and_may_move_as_it_likes(planar: Robot) -> None:
    model = CollisionModel(planar)
    assert model.distances(planar.home).shape == (len(model.pair_tips),)
    bare = replace(
        planar, urdf=replace(planar.urdf, links={n: replace(x, collisions=()) for n, x in planar.urdf.links.items()})
    )
    assert CollisionModel(bare).distances(planar.home).shape == (0,)
    assert CollisionModel(bare).distances(np.stack([planar.home] * 3)).shape == (3, 0)


FINGER = """<robot name="finger"><link name="base"/><link name="one"/><link name="two"/>
  <link name="tip"><collision><geometry><sphere radius="0.2"/></geometry></collision></link>
  <joint name="a" type="revolute"><parent link="base"/><child link="one"/><axis xyz="0 0 1"/>
    <limit lower="-3" upper="3" effort="1" velocity="1"/></joint>
  <joint name="b" type="revolute"><parent link="one"/><child link="two"/><origin xyz="1 0 0"/><axis xyz="0 0 1"/>
    <limit lower="-3" upper="3" effort="1" velocity="1"/></joint>
  <joint name="c" type="fixed"><parent link="two"/><child link="tip"/><origin xyz="1 0 0"/></joint>
  <link name="post"><collision><geometry><sphere radius="0.2"/></geometry></collision></link>"""


def finger_and_post(folder: Path, joints: str, urdf: str = FINGER) -> Robot:
    """Two links of 1 m in a plane, a ball at their tip, and another one on the link `post`, which hangs as these joints say."""
    (folder / "finger.urdf").write_text(f"{urdf}{joints}</robot>")
    (folder / "finger.yaml").write_text(
        "{schema: 1, name: finger, urdf: finger.urdf, base_frame: base, tips: [{name: tip, link: tip}],"
        " joints: [{name: a, acceleration: 1}, {name: b, acceleration: 1}]}"
    )
    return load_robot(folder / "finger.yaml")


def joint(kind: str, parent: str, child: str, origin: str) -> str:
    return (
        f'<joint name="{parent}_{child}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin {origin}/><axis xyz="0 0 1"/><limit lower="0.5" upper="1" effort="1" velocity="1"/></joint>'
    )


@pytest.mark.parametrize(
    "joints",
    [
        joint("fixed", "base", "post", 'xyz="0 1.2 0"'),
        joint("revolute", "base", "post", 'xyz="0 1.2 0"'),
        '<link name="lid"/>' + joint("continuous", "base", "lid", 'xyz="0.2 0.9 0" rpy="0 0 1.5707963267948966"')
        + joint("fixed", "lid", "post", 'xyz="0.3 0.2 0"'),
        joint("fixed", "post", "base", 'xyz="-1.2 0 0" rpy="0 0 -1.5707963267948966"'),
        '<link name="arm"/>' + joint("fixed", "arm", "base", 'xyz="3 4 0" rpy="0 0 1.5707963267948966"')
        + joint("fixed", "arm", "post", 'xyz="1.8 4 0"'),
        '<link name="world"/><link name="arm"/>' + joint("revolute", "world", "arm", 'xyz="1 0 0"')
        + joint("fixed", "arm", "base", 'xyz="3 4 0" rpy="0 0 1.5707963267948966"')
        + joint("fixed", "arm", "post", 'xyz="1.8 4 0"'),
    ],
    ids=["on the base", "on a joint that is not listed", "behind one", "above the base", "beside the base", "on an arm"],
)  # fmt: skip
def test_a_finger_is_kept_from_a_post_where_the_tree_has_it(tmp_path: Path, joints: str) -> None:
    """Always 1.2 m to the left of the base."""
    model = CollisionModel(finger_and_post(tmp_path, joints))
    q = np.random.default_rng(6).uniform(-3.0, 3.0, (50, 2))
    x, y = np.cos(q[:, 0]) + np.cos(q.sum(axis=1)), np.sin(q[:, 0]) + np.sin(q.sum(axis=1))
    np.testing.assert_allclose(model.distances(q)[:, 0], np.hypot(x, y - 1.2) - 0.4, atol=1e-12)


def test_links_are_named_of_which_nothing_but_meshes_says_where_they_end(tmp_path: Path) -> None:
    mesh = '<collision><geometry><mesh filename="package://hand/link.stl"/></geometry></collision>'
    urdf = FINGER.replace('<link name="tip">', f'<link name="tip">{mesh}')  # beside a ball
    urdf = urdf.replace('<link name="two"/>', f'<link name="two">{mesh}{mesh}</link>')
    urdf = urdf.replace('<link name="base"/>', f'<link name="base">{mesh.replace("collision", "visual")}</link>')
    arm = f'<link name="arm">{mesh}</link>' + joint("revolute", "arm", "base", 'xyz="0 0 0"')
    robot = finger_and_post(tmp_path, arm + joint("fixed", "base", "post", 'xyz="0 1.2 0"'), urdf)
    assert links_of_meshes_alone(robot) == ["two"]
    assert len(CollisionModel(robot).pair_tips) == 1, "of the ball at the tip and the post"


def clearance_of_shape(
    folder: Path, link: float, ball: float, shape: str, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Clearances (n,) of a ball at the tip of two links from a shape of the base, and the ball's centres (n, 3) in the frame of
    the shape, which is turned, on a link that is, too, and lies 1.2 links from the base; all in m."""
    place, shift, rpy = 1.2 * link * np.array([-0.6, 0.8, 0.0]), link * rng.normal(size=3), rng.uniform(-3.0, 3.0, 3)
    carrier = Rotation.from_euler("z", 90, degrees=True)
    numbers = f'xyz="{" ".join(map(str, shift))}" rpy="{" ".join(map(str, rpy))}"'
    moving, fixed = FINGER.replace("1 0 0", f"{link} 0 0").split('<link name="post">')
    moving = moving.replace('"0.2"', f'"{ball}"')
    fixed = fixed.replace("<collision>", f"<collision><origin {numbers}/>").replace('<sphere radius="0.2"/>', shape)
    origin = " ".join(map(str, place - carrier.apply(shift)))
    on_base = joint("fixed", "base", "post", f'xyz="{origin}" rpy="0 0 {np.pi / 2}"')
    robot = finger_and_post(folder, on_base, f'{moving}<link name="post">{fixed}')
    q = rng.uniform(-3.0, 3.0, (10000, 2))
    angles = np.stack([q[:, 0], q.sum(axis=1)])
    centre = link * np.stack([np.cos(angles).sum(axis=0), np.sin(angles).sum(axis=0), 0.0 * q[:, 0]], axis=-1)
    clearance = CollisionModel(robot).watching(np.inf).distances(q).min(axis=1)
    return clearance, (carrier * Rotation.from_euler("xyz", rpy)).inv().apply(centre - place)


@pytest.mark.parametrize(
    ("link", "ball", "box"),
    [
        (1.0, 0.1, (0.1, 1.6, 1.8)),  # thin, in every position
        (1.0, 0.1, (1.6, 1.8, 0.1)),
        (1.0, 0.1, (1.8, 0.1, 1.6)),
        (1.0, 0.2, (0.4, 0.5, 0.8)),  # so thick that two capsules, three and one fill it
        (1.0, 0.2, (0.4, 0.7, 0.9)),
        (1.0, 0.2, (0.5, 0.5, 0.5)),
        (0.05, 0.005, (0.003, 0.08, 0.09)),  # thinner than a centimetre
        (0.05, 0.005, (0.008, 0.016, 0.09)),
    ],
)
def test_a_box_is_kept_clear_of_like_a_plate_with_round_edges_through_which_nothing_slips(
    tmp_path: Path, rng: np.random.Generator, link: float, ball: float, box: tuple[float, float, float]
) -> None:
    size = " ".join(map(str, box))
    clearance, centre = clearance_of_shape(tmp_path, link, ball, f'<box size="{size}"/>', rng)
    radius, gap = 0.5 * min(box), max(0.5 * min(box), 0.01)
    core = 0.5 * np.array(box) - radius  # flat
    away = np.linalg.norm(np.maximum(np.abs(centre) - core, 0.0), axis=-1)
    assert np.all(clearance >= away - radius - ball - 1e-9)
    assert np.all(clearance <= np.hypot(away, 0.5 * gap) - radius - ball + 1e-9)
    assert (clearance < 0.0).sum() > 30


def test_a_cylinder_is_kept_clear_of_like_a_capsule_and_a_sphere_like_a_sphere(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    clearance, centre = clearance_of_shape(tmp_path, 1.0, 0.2, '<cylinder radius="0.15" length="0.9"/>', rng)
    along = np.clip(centre[:, 2], -0.45, 0.45)
    away = np.linalg.norm(centre - along[:, None] * [0.0, 0.0, 1.0], axis=-1)
    np.testing.assert_allclose(clearance, away - 0.35, atol=1e-9)
    clearance, centre = clearance_of_shape(tmp_path, 1.0, 0.2, '<sphere radius="0.15"/>', rng)
    np.testing.assert_allclose(clearance, np.linalg.norm(centre, axis=-1) - 0.35, atol=1e-9)


@pytest.mark.parametrize("parent", ["arm", "post"])
def test_what_a_joint_above_the_base_moves_against_it_is_not_looked_at(tmp_path: Path, parent: str) -> None:
    turning = joint("revolute", parent, "base", 'xyz="-1.2 0 0"')
    beside = '<link name="arm"/>' + joint("fixed", "arm", "post", 'xyz="0 0 0"') if parent == "arm" else ""
    robot = finger_and_post(tmp_path, turning + beside)
    assert CollisionModel(robot).distances(robot.home).shape == (0,)


def test_three_fingers_of_a_hand_of_four_are_kept_from_each_other_as_before(hand: Robot, tmp_path: Path) -> None:
    document = yaml.safe_load(robot_file("allegro_right").read_text())
    document |= {"urdf": str(hand.urdf_path), "joints": document["joints"][:12], "tips": document["tips"][:3]}
    (tmp_path / "three.yaml").write_text(yaml.safe_dump(document))
    four, three = CollisionModel(hand), CollisionModel(load_robot(tmp_path / "three.yaml"))
    poses = hand.random_joint_position(np.random.default_rng(7), 200)
    nearest = []
    for model, q in ((four, poses), (three, poses[:, :12])):
        fingers = ((model.pair_tips >= 0) & (model.pair_tips < 3)).all(axis=1)
        nearest.append(model.distances(q)[:, fingers].min(axis=1))
    close = nearest[0] < 0.01
    assert close.sum() > 50
    np.testing.assert_allclose(nearest[1][close], nearest[0][close], atol=1e-12)


def two_fingers(folder: Path, apart: float, size: float = 1.0) -> Robot:
    """Two fingers of three links in a plane, with a ball of a tenth of a link at each tip; in units of the size [m] of a link
    they are so far apart. All joints at 0: upright."""
    urdf, document = ['<robot name="two"><link name="base"/>'], {"joints": [], "tips": []}
    for finger, x in (("a", 0.0), ("b", apart)):
        parent = "base"
        for depth in range(3):
            joint, origin = f"{finger}{depth}", f"{x * size} 0 0" if depth == 0 else f"0 {size} 0"
            urdf.append(
                f'<link name="{joint}_link"/><joint name="{joint}" type="revolute"><parent link="{parent}"/>'
                f'<child link="{joint}_link"/><origin xyz="{origin}"/><axis xyz="0 0 1"/>'
                '<limit lower="-2" upper="2" effort="1" velocity="2"/></joint>'
            )
            document["joints"].append({"name": joint, "acceleration": 20.0})
            parent = f"{joint}_link"
        urdf.append(
            f'<link name="{finger}_tip"><collision><geometry><sphere radius="{0.1 * size}"/></geometry></collision></link>'
            f'<joint name="{finger}_fixed" type="fixed"><parent link="{parent}"/><child link="{finger}_tip"/>'
            f'<origin xyz="0 {size} 0"/></joint>'
        )
        document["tips"].append({"name": finger, "link": f"{finger}_tip"})
    (folder / "two.urdf").write_text("".join(urdf) + "</robot>")
    (folder / "two.yaml").write_text(
        yaml.safe_dump({"schema": 1, "name": "two", "urdf": "two.urdf", "base_frame": "base"} | document)
    )
    return load_robot(folder / "two.yaml")


def clearance_of_two(q: Array, apart: float) -> Array:
    """From the closed form of two planar fingers at q (n, 6), in units of the size of a link."""
    angle = np.cumsum(q.reshape(-1, 2, 3), axis=-1)
    tips = np.stack([-np.sin(angle).sum(axis=-1), np.cos(angle).sum(axis=-1)], axis=-1) + [[0, 0], [apart, 0]]
    return np.linalg.norm(tips[:, 0] - tips[:, 1], axis=-1) - 0.2


def drawn_to_the_middle(robot: Robot, apart: float, margin: float) -> Array:
    """Commands (n, 6) of two fingers, each of which wants to go past the middle between them, apart [m]; the margin [m] is set
    in motion."""
    options = ControllerOptions(target_timeout=0.0)
    controller = Controller(robot, None, options, CollisionModel(robot))
    controller.start()
    q, sent = robot.home, []
    targets = Targets(np.array([[0.6 * apart, 0.0, 0.0], [0.4 * apart, 0.0, 0.0]]), np.zeros(2))
    for n in range(3000):
        if n == 10:
            controller.set_options(replace(options, collision_margin=margin))
        q = controller.tick(n / 333, Measurement(q, n / 333), targets).command
        sent.append(q)
    return np.array(sent)


def test_fingers_that_meet_only_where_few_postures_lead_are_kept_apart(tmp_path: Path) -> None:
    robot = two_fingers(tmp_path, 5.9)
    samples = robot.random_joint_position(np.random.default_rng(0), 1000)
    assert clearance_of_two(samples, 5.9).min() > 0.1
    gaps = clearance_of_two(drawn_to_the_middle(robot, 5.9, 0.002), 5.9)
    assert gaps[0] > 5.0
    assert 0.0 < gaps.min() < 0.01


@pytest.mark.parametrize("margin", [0.03, 0.05])
def test_a_margin_wider_than_fingers_ever_come_close_by_default_is_kept(tmp_path: Path, margin: float) -> None:
    """Stretched towards each other they are 2 cm apart."""
    robot, size = two_fingers(tmp_path, 6.6, 0.05), 0.05
    assert clearance_of_two(drawn_to_the_middle(robot, 0.33, 0.002)[-1], 6.6) * size < 0.021
    gaps = clearance_of_two(drawn_to_the_middle(robot, 0.33, margin), 6.6) * size
    assert 0.95 * margin < gaps.min() < 1.1 * margin


def test_the_closed_loop_gives_way_to_a_finger_that_comes_where_it_presses(tmp_path: Path) -> None:
    """A joint of one finger is held 0.2 rad back, and by as much its command goes on; there the other one arrives."""
    size, margin = 0.05, 0.004
    robot = two_fingers(tmp_path, 5.0, size)
    options = ControllerOptions(target_timeout=0.0, closed_loop_gain=4.0, collision_margin=margin)
    controller = Controller(robot, None, options, CollisionModel(robot))
    controller.start()
    command, ticks = robot.home, 0
    held_back = np.array([0.2, 0.0, 0.0, 0.0, 0.0, 0.0])

    def clearance_after(seconds: float, second_goal: tuple[float, float]) -> float:
        nonlocal command, ticks
        for _ in range(round(333 * seconds)):
            ticks += 1
            targets = Targets(np.array([[0.1, 0.05, 0.0], [*second_goal, 0.0]]), np.zeros(2))
            measured = Measurement(command + held_back, ticks / 333)
            command = controller.tick(ticks / 333, measured, targets).command
        return float(clearance_of_two(command[None], 5.0)[0]) * size

    assert clearance_after(6.0, (0.25, 0.1)) > 0.1
    assert clearance_after(12.0, (0.1065, 0.037)) > 0.5 * margin


def test_the_closed_loop_adds_to_fingers_that_come_closer_only_above_the_margin_and_takes_back_below_half_of_it(
    tmp_path: Path,
) -> None:
    """Two upright fingers 22 mm apart; what it adds bends them towards each other, and they stay 19 mm apart at least."""
    robot, period = two_fingers(tmp_path, 5.0, 0.0045), 1 / 333
    inwards, held = np.array([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0]), np.zeros(2, dtype=bool)
    motions = [JointMotion(robot, robot.kinematics, model, period) for model in (CollisionModel(robot), None)]

    def added(motion: JointMotion, ticks: int, gap: float, margin: float) -> Array:
        """What is sent beyond the command, inwards (6,) [rad], after ticks with joints that are a gap [rad] behind it."""
        options = ControllerOptions(closed_loop_gain=2.0, collision_margin=margin)
        for _ in range(ticks):
            motion.step(robot.home, np.zeros(2), np.ones(2), held, robot.home - gap * inwards, options)
        return (motion.sent - motion.q) * inwards

    careful, careless = (added(motion, 200, 0.1, 0.002) for motion in motions)
    np.testing.assert_array_equal(careful, careless)
    assert 0.03 < careful.min() <= careful.max() < 0.15
    motion = motions[0]
    apart = clearance_of_two(motion.sent[None], 5.0)[0] * 0.0045
    assert apart < clearance_of_two(motion.q[None], 5.0)[0] * 0.0045
    np.testing.assert_allclose(added(motion, 200, 0.1, 1.2 * apart), careful, atol=2e-3)
    less = added(motion, 60, -0.1, 1.2 * apart)
    assert np.all(less < careful - 0.005)
    assert np.abs(added(motion, 1000, 0.1, 2.5 * apart)).max() < 1e-3


def test_links_of_one_finger_and_of_the_base_are_no_pairs_nor_is_the_base_with_the_first_link_of_a_finger(
    hand: Robot,
) -> None:
    place, _, pairs, _ = CollisionModel(hand).watching(np.inf).pairs
    tips, depths = place[pairs, 0], place[pairs, 1]
    assert (tips[:, 0] != tips[:, 1]).all()
    base = tips == -1
    assert base.any()
    assert depths[:, ::-1][base].min() == 1
    assert depths[~base.any(axis=1)].min() == 0


def test_a_hand_and_its_mirror_image_are_checked_for_the_same_pairs(hand: Robot) -> None:
    left, right = CollisionModel(load_robot(robot_file("allegro_left"))), CollisionModel(hand)
    assert sorted(map(tuple, left.pair_tips.tolist())) == sorted(map(tuple, right.pair_tips.tolist()))


def test_gradients_of_clearances_agree_with_finite_differences_also_on_a_calibrated_hand(hand: Robot) -> None:
    rng, h = np.random.default_rng(3), 1e-6
    nominal = hand.kinematics.parameters
    longer = hand.kinematics.calibrated(
        nominal._replace(tip_offset=nominal.tip_offset * 1.05, joint_zero=np.full(16, 0.03))
    )
    model = CollisionModel(hand)
    before = model.distances(hand.home)
    model.set_kinematics(longer)
    assert np.abs(model.distances(hand.home) - before).max() > 1e-3
    (place, ends, every, _), off = model.pairs, []
    for q in hand.random_joint_position(rng, 20):
        pairs = np.flatnonzero(model.distances(q) > 1e-3)
        steps = h * np.eye(hand.nq)
        slopes = (model.distances(q + steps) - model.distances(q - steps)) / (2 * h)
        gradients = clearance_gradients(q, *longer.model, place, ends, every[pairs])
        off.append(np.abs(gradients - slopes.T[pairs]).ravel())
    # the distance of two segments has kinks, which a difference over them shows
    assert np.quantile(np.concatenate(off), 0.99) < 1e-6


@pytest.mark.parametrize(("name", "seed"), [("allegro_v5_a_right", 8), ("allegro_v5_b_left", 11)])
def test_no_gain_lets_fingers_meet_faster_than_they_can_stop(name: str, seed: int) -> None:
    sent, model = drawn_together(name, seed, 4.0, collision_gain=100.0)
    assert model.distances(sent).min() > 0.0


@pytest.mark.parametrize(
    ("name", "seed"), [("allegro_right", 6), ("allegro_right", 105), ("allegro_left", 7), ("allegro_v5_a_left", 3)]
)
def test_fingers_drawn_together_to_one_point_keep_their_distance_and_come_to_rest(name: str, seed: int) -> None:
    """Three in a row: the middle one, slowed before its one neighbour, must not stand in the way of the other."""
    sent, model = drawn_together(name, seed, 10.0)
    assert model.distances(sent).min() > 0.75 * ControllerOptions().collision_margin
    assert np.ptp(sent[-600:], axis=0).max() < 5e-3


@pytest.mark.parametrize("seed", range(4))
def test_the_closed_loop_presses_no_finger_that_is_held_into_its_neighbour(seed: int) -> None:
    robot = load_robot(robot_file("allegro_right"))
    rng, model = np.random.default_rng(seed), CollisionModel(robot)
    beside = robot.home
    while not 0.002 < model.distances(beside).min() < 0.004:
        beside = 0.6 * robot.random_joint_position(rng, 1)[0] + 0.4 * robot.home
    controller = Controller(robot, None, ControllerOptions(target_timeout=0.0, closed_loop_gain=2.0), model)
    controller.start()
    nearest = model.distances(beside).argmin()
    growth = (model.distances(beside + 1e-6 * np.eye(robot.nq)) - model.distances(beside))[:, nearest]
    joint = np.abs(growth).argmax()
    targets, sent = Targets(robot.kinematics.tip_position(beside), np.zeros(4)), [robot.home]
    for k in range(1200):
        measured = sent[-1].copy()
        if k > 500:
            measured[joint] += 0.2 * np.sign(growth[joint])  # something holds it away from its neighbour
        sent.append(controller.tick(k / 333.0, Measurement(measured, k / 333.0), targets).command)
    assert np.abs(sent[-1] - sent[500]).max() > 0.01
    assert model.distances(np.array(sent)).min() > 0.0015


def test_fingers_on_their_way_to_corners_of_their_joint_limits_keep_the_margin() -> None:
    """A joint that brakes before its limit was to evade, and nobody did: two fingers came within 0.3 mm."""
    robot = load_robot(robot_file("allegro_v5_a_left"))
    rng, model, options = np.random.default_rng(8), CollisionModel(robot), ControllerOptions(max_lead=3.2)
    motion, held, sent = JointMotion(robot, robot.kinematics, model, 1 / 333.0), np.zeros(robot.nt, dtype=bool), []
    for k in range(600):
        if k % 150 == 0:
            wish, side = robot.random_joint_position(rng, 1)[0], rng.integers(0, 4, robot.nq)
            wish = np.where(side == 0, robot.lower, np.where(side == 1, robot.upper, wish))
        motion.step(wish, np.zeros(robot.nt), np.ones(robot.nt), held, motion.q, options)
        sent.append(motion.q)
    assert model.distances(np.array(sent)).min() > options.collision_margin


def test_fast_fingers_that_stay_apart_are_not_slowed_for_fear_of_each_other() -> None:
    """They close by 0.2 m/s and more, centimetres apart: with less braking than they have they would be 2 mm behind."""
    robot = load_robot(robot_file("allegro_right"))
    path = singular_path(robot, np.random.default_rng((20_270_101, 1, 0)), 1332)
    settings = ControllerOptions(target_timeout=0.0)
    controller = Controller(robot, OnnxPolicy(model_file("allegro_right"), robot), settings, CollisionModel(robot))
    controller.start()
    q, errors = path.start, []
    for k, target in enumerate(path.target):
        now = k / settings.rate
        result = controller.tick(now, Measurement(q, now), Targets(target, np.full(4, now)))
        q = result.command
        errors.append(np.linalg.norm(result.tip_position - result.reference, axis=-1))
    assert np.max(errors) < 1e-4


def drawn_together(name: str, seed: int, seconds: float, **options: float) -> tuple[np.ndarray, CollisionModel]:
    """Commands (n, nq) [rad] of a hand from home to targets near one point, and the model that it is kept apart by."""
    robot = load_robot(robot_file(name))
    rng = np.random.default_rng(seed)
    tips = robot.kinematics.tip_position(robot.random_joint_position(rng, 1)[0])
    middle = tips.mean(axis=0)
    tips = middle + (tips - middle) * rng.uniform(0.0, 0.3)
    model, settings = CollisionModel(robot), ControllerOptions(target_timeout=0.0, **options)
    controller = Controller(robot, OnnxPolicy(model_file(name), robot), settings, model)
    controller.start()
    q, sent = robot.home, []
    for k in range(round(seconds * settings.rate)):
        now = k / settings.rate
        q = controller.tick(now, Measurement(q, now), Targets(tips, np.zeros(4))).command
        sent.append(q)
    return np.array(sent), model


def test_of_several_that_a_finger_meets_the_one_that_it_comes_too_close_to_by_most_is_told() -> None:
    """Capsules of the tips 0, 1 and 2, and of the base; the pairs in every order."""
    place, pairs = np.array([[0, 0], [1, 0], [2, 0], [-1, 0]]), np.array([[0, 1], [2, 0], [0, 3], [1, 2]])
    beyond = np.array([1e-3, 3e-3, 2e-3, 1e-4])
    for order in itertools.permutations(range(4)):
        met, excess, tight = np.full(3, -1), np.zeros(3), np.array(order)
        remember(place, pairs, tight, beyond[tight], met, excess)
        assert met.tolist() == [2, 0, 0]
        assert excess.tolist() == [3e-3, 1e-3, 3e-3]
