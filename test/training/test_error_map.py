from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot
from nnik_ros.training import error_map
from nnik_ros.training.error_map import draw, main, runs, text


def test_the_map_tells_errors_limits_and_stretched_poses_of_every_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_map, "_CHUNK", 70)
    robot = load_robot(robot_file("planar_2r"))
    found = runs(DampedLeastSquares(robot), 300)
    assert found.place.shape == (300, 1, 2)
    assert (found.margin >= 0.0).all() and (found.margin <= 0.5).all()
    # of a planar arm the area that its two slopes span is that of its bent elbow
    rng = np.random.default_rng(20_260_101)
    goal = robot.random_joint_position(rng, 300)
    lengths = np.linalg.norm(
        [robot.kinematics.parameters.joint_origin_position[1], robot.kinematics.parameters.tip_offset[0]], axis=-1
    )
    values = np.linalg.svd(robot.kinematics.tips(goal).jacobian[:, 0], compute_uv=False)
    np.testing.assert_allclose(
        values[:, 0] * found.singular[:, 0], lengths.prod() * np.abs(np.sin(goal[:, 1])), atol=1e-6
    )
    np.testing.assert_allclose(
        found.margin[:, 0], (0.5 - np.abs(goal / (2.0 * np.pi))).min(-1), rtol=0, atol=1e-6
    )  # every joint turns a full circle
    q, target = robot.random_joint_position(rng, 300), robot.kinematics.tip_position(goal)
    errors = []
    for _ in range(5):
        q = DampedLeastSquares(robot).step(q, target)
        errors.append(np.linalg.norm(robot.kinematics.tip_position(q) - target, axis=-1))
    np.testing.assert_allclose([found.early, found.late], [errors[1], errors[4]], rtol=0, atol=1e-9)
    radius = np.linalg.norm(target[:, 0], axis=-1)
    assert np.corrcoef(np.linalg.norm(found.place[:, 0], axis=-1), radius)[0, 1] > 0.95


def test_it_is_drawn_and_told_for_a_shipped_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--targets", "1000", "--folder", str(tmp_path)]) == 0
    by_default = capsys.readouterr().out
    assert main(["allegro_right", "--targets", "1000", "--folder", str(tmp_path)]) == 0
    assert (tmp_path / "error_map_allegro_right.png").stat().st_size > 10_000
    told = capsys.readouterr().out
    assert told == by_default
    assert "allegro_right.onnx, 1000 targets" in told
    assert [line.split()[0] for line in told.splitlines()[2:]] == ["index", "middle", "ring", "thumb"]


@pytest.mark.parametrize(("name", "unit"), [("planar_2r", 1.0), ("allegro_right", 1.0), ("planar_2r", 1e-3)])
def test_the_picture_of_a_robot_of_any_size_holds_every_target(
    name: str, unit: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    robot = load_robot(robot_file(name))
    found = runs(DampedLeastSquares(robot), 300)
    found = replace(found, early=unit * found.early, singular=unit * found.singular)
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    draw(found, robot.tip_names, tmp_path / "map.png")
    above, below = np.array(drawn[0].axes[: 2 * robot.nt]).reshape(2, robot.nt)
    for t in range(robot.nt):
        shades = above[t].collections[0]
        assert shades.norm.vmax >= shades.get_array().max() == pytest.approx(found.early[:, t].max() * 1e3 + 1e-6)
        assert below[t].get_ylim()[1] >= found.singular[:, t].max() * 1e3


def test_an_unknown_name_is_refused_before_anything_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["planar_2r", "nosuch", "--targets", "50", "--folder", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("model 'nosuch' is unknown; shipped: ") and not printed.out
    assert not list(tmp_path.iterdir())


def test_a_map_that_cannot_be_written_is_refused_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("kept")
    assert main(["planar_2r", "--targets", "50", "--folder", str(tmp_path / "file")]) == 2
    printed = capsys.readouterr()
    assert f"cannot be written: there is no folder {tmp_path / 'file'}" in printed.err and not printed.out


def test_a_map_that_a_full_disk_does_not_take_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "error_map_planar_2r.png").symlink_to("/dev/full")
    assert main(["planar_2r", "--targets", "50", "--folder", str(tmp_path)]) == 2
    assert "error_map_planar_2r.png: 1 problem\n  - cannot be written: No space left" in capsys.readouterr().err


def test_a_finger_of_two_joints_beside_one_of_four_is_judged_by_its_own_two_slopes(tmp_path: Path) -> None:
    joint = (
        '<joint name="{0}" type="revolute"><parent link="{1}"/><child link="{0}_link"/><origin xyz="{2} 0 0"/>'
        '<axis xyz="{3}"/><limit lower="-1" upper="1"/></joint><link name="{0}_link"/>'
    )
    arm = [("a", "base", 0.0, "0 0 1"), ("b", "a_link", 0.3, "0 0 1"), ("tip_1", "b_link", 0.2, "0 0 1")]
    other = [("c", "base", 1.0, "0 0 1"), ("d", "c_link", 0.1, "0 1 0"), ("e", "d_link", 0.1, "0 1 0")]
    other += [("f", "e_link", 0.1, "1 0 0"), ("tip_2", "f_link", 0.1, "1 0 0")]
    text_of = "".join(joint.format(*row) for row in [*arm, *other])
    for tip in ("tip_1", "tip_2"):
        text_of = text_of.replace(f'name="{tip}" type="revolute"', f'name="{tip}" type="fixed"')
    (tmp_path / "hand.urdf").write_text(f'<robot name="hand"><link name="base"/>{text_of}</robot>')
    joints = "".join(f"  - {{name: {name}, velocity: 1.0, acceleration: 1.0}}\n" for name in "abcdef")
    tips = "".join(f"  - {{name: {tip}, link: {tip}_link}}\n" for tip in ("tip_1", "tip_2"))
    head = "schema: 1\nname: hand\nurdf: hand.urdf\nbase_frame: base\n"
    (tmp_path / "hand.yaml").write_text(f"{head}joints:\n{joints}tips:\n{tips}")
    robot = load_robot(tmp_path / "hand.yaml")
    found = runs(DampedLeastSquares(robot), 100)
    a, b = robot.random_joint_position(np.random.default_rng(20_260_101), 100)[:, :2].T
    slope_b = 0.2 * np.stack([-np.sin(a + b), np.cos(a + b)], -1)
    slope_a = 0.3 * np.stack([-np.sin(a), np.cos(a)], -1) + slope_b
    values = np.linalg.svd(np.stack([slope_a, slope_b], -1), compute_uv=False)
    np.testing.assert_allclose(found.singular[:, 0], values[:, 1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.margin[:, 0], 0.5 - 0.5 * np.maximum(np.abs(a), np.abs(b)), rtol=0, atol=1e-12)


def test_a_missed_target_is_counted_where_it_lies() -> None:
    robot = load_robot(robot_file("planar_2r"))
    found = runs(DampedLeastSquares(robot), 400)
    assert 0 < found.missed.sum() < 400
    line = text(found, robot.tip_names).splitlines()[1].split()
    assert int(line[1]) == (found.late > 1e-4).sum()
    for words, close in ((line[2:8], found.margin < 0.05), (line[8:], found.singular < 0.005)):
        assert words == [str(close[found.missed].sum()), f"({close.mean() * 100:.0f}", "%", "of", "all", "targets)"]
