from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot
from nnik_ros.training.error_map import main, runs, text


def test_the_map_tells_errors_limits_and_stretched_poses_of_every_target() -> None:
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
    values = np.linalg.svd(robot.kinematics.jacobian(goal)[:, 0], compute_uv=False)
    np.testing.assert_allclose(
        values[:, 0] * found.singular[:, 0], lengths.prod() * np.abs(np.sin(goal[:, 1])), atol=1e-6
    )
    radius = np.linalg.norm(robot.kinematics.tip_position(goal)[:, 0], axis=-1)
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


def test_an_unknown_name_is_refused_before_anything_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["planar_2r", "nosuch", "--targets", "50", "--folder", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("model 'nosuch' is unknown; shipped: ") and not printed.out
    assert not list(tmp_path.iterdir())


def test_a_missed_target_is_counted_where_it_lies() -> None:
    robot = load_robot(robot_file("planar_2r"))
    found = runs(DampedLeastSquares(robot), 400)
    assert 0 < found.missed.sum() < 400
    line = text(found, robot.tip_names).splitlines()[1].split()
    assert int(line[1]) == found.missed.sum()
    assert int(line[2]) == (found.margin < 0.05)[found.missed].sum()
