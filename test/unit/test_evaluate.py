"""What is measured of a network, and the gate that decides whether it ships, by hand-made errors."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.optimize import differential_evolution

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.closest import closest_distance
from nnik_ros.evaluate import STEPS, Evaluation, Score, evaluate, final_distance, measured, table
from nnik_ros.gate import Gate, gate_table, passes
from nnik_ros.geometry import Array
from nnik_ros.paths import robot_file
from nnik_ros.robot import Robot, load_robot
from test.policies import Fixed

GATE = Gate(
    coarse=1e-2, fine=1e-3, median_1=0.5, median_2=0.05, median_3=0.005, tips_coarse=0.8, tips_fine=0.5, guarded_coarse=0.9,
    robots_fine_5=0.7, robots_fine_10=0.95, stay=1e-5, beyond=0.02,
)  # fmt: skip

KEYS = [field.name for field in fields(Gate) if field.name not in ("coarse", "fine")]
SHARES = ("tips_coarse", "tips_fine", "guarded_coarse", "robots_fine_5", "robots_fine_10")
AT_THE_GATE = {key: getattr(GATE, key) for key in KEYS}


def test_every_key_of_the_gate_is_measured_at_its_step_and_for_the_worst_tip(planar: Robot) -> None:
    ramp = np.arange(1.0, 11.0)  # of ten robots; its median is 5.5
    network = {
        1: np.stack([0.1 * ramp, 0.2 * ramp], axis=1),
        2: np.stack([0.04 * ramp, 0.03 * ramp], axis=1),
        3: np.stack([0.005 * ramp, 0.006 * ramp], axis=1),
        5: np.stack([_tip(fine=4, coarse=9), _tip(fine=6, coarse=7)], axis=1),
        10: np.stack([_tip(fine=8, coarse=10), _tip(fine=9, coarse=10)], axis=1),
    }
    guarded = {
        1: np.ones((10, 2)), 2: np.ones((10, 2)), 3: np.ones((10, 2)),
        5: np.stack([_tip(fine=5, coarse=8), _tip(fine=3, coarse=9)[::-1]], axis=1),  # no robot has both tips reached
        10: np.stack([_tip(fine=9, coarse=10), _tip(fine=8, coarse=10)[::-1]], axis=1),  # seven have
    }  # fmt: skip
    guarded[5][:2] = 5e-4  # but these two
    beyond = {"network": np.full(101, 7.0), "guarded": np.linspace(0.0, 1.0, 101), "damped": np.full(101, 9.0)}
    found = measured(_evaluation(planar, network, guarded, 3e-6, beyond), GATE)
    assert found == pytest.approx({
        "median_1": 1.1, "median_2": 0.22, "median_3": 0.033, "tips_coarse": 0.7, "tips_fine": 0.4,
        "guarded_coarse": 0.8, "robots_fine_5": 0.2, "robots_fine_10": 0.7, "stay": 3e-6, "beyond": 0.99,
    })  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_each_key_alone_decides_whether_a_network_passes(key: str) -> None:
    assert all(passes(GATE, AT_THE_GATE).values())
    worse, better = (0.999, 1.001) if key in SHARES else (1.001, 0.999)
    assert passes(GATE, AT_THE_GATE | {key: better * AT_THE_GATE[key]})[key]
    missed = AT_THE_GATE | {key: worse * AT_THE_GATE[key]}
    assert [name for name, good in passes(GATE, missed).items() if not good] == [key]
    (line,) = [line for line in gate_table(GATE, missed).splitlines() if line.startswith("MISS")]
    assert line.split()[1] == key


def test_a_value_that_is_no_number_passes_no_gate() -> None:
    assert not any(passes(GATE, dict.fromkeys(KEYS, np.nan)).values())


@pytest.mark.parametrize(("q", "excess"), [((0.0, 4.0), 4.0 - np.pi), ((-4.5, 0.0), 4.5 - np.pi)])
def test_a_joint_outside_its_limit_on_either_side_is_a_violation(
    planar: Robot, q: tuple[float, float], excess: float
) -> None:
    assert np.allclose([planar.lower, planar.upper], [[-np.pi] * 2, [np.pi] * 2])
    found = evaluate(planar, Fixed(planar, np.array(q)), 20)
    assert found.scores["random"]["network"].violation == pytest.approx(excess)
    assert found.scores["random"]["damped"].violation <= 0.0
    assert f"joint limit: {excess:.1e} rad" in table(found, GATE)


def test_a_network_that_leaves_its_target_does_not_stay(planar: Robot) -> None:
    # from (10, 0) the farthest of a hundred targets in the disc of 10 m lies near its other side
    found = evaluate(planar, Fixed(planar, np.zeros(2)), 20)
    assert 15.0 < found.stay <= 20.0


def test_beyond_is_what_a_solver_leaves_over_the_closest_point(planar: Robot) -> None:
    found = evaluate(planar, Fixed(planar, np.zeros(2)), 2000)
    assert np.median(found.beyond["network"]) > 1.0 > np.median(found.beyond["damped"])
    assert all(excess.min() >= 0.0 for excess in found.beyond.values())


def test_closest_points_lie_in_corners_that_damped_runs_do_not_find() -> None:
    """Nor did the solvers that were judged; scipy's differential evolution did."""
    robot, rng = load_robot(robot_file("allegro_v5_a_left")), np.random.default_rng(0)
    damped, n = DampedLeastSquares(robot), 60
    target = robot.kinematics.tip_position(robot.random_joint_position(rng, n)) + robot.random_displacement(rng, n, 0.2)
    starts = robot.random_joint_position(rng, 32 * n).reshape(32, n, robot.nq)
    runs, found = final_distance(damped, starts, target, 50).min(0), closest_distance(damped, target, rng)
    assert (found < runs + 1e-6).all()
    case, tip = np.unravel_index(np.argmax(runs - found), found.shape)
    assert runs[case, tip] - found[case, tip] > 3e-4
    joints = np.flatnonzero(robot.kinematics.tip_of_joint == tip)

    def away(angles: Array) -> float:
        q = robot.home.copy()
        q[joints] = angles
        return float(np.linalg.norm(robot.kinematics.tip_position(q)[tip] - target[case, tip]))

    bounds = list(zip(robot.lower[joints], robot.upper[joints], strict=True))
    oracle = differential_evolution(away, bounds, rng=0, tol=1e-10)
    assert found[case, tip] == pytest.approx(oracle.fun, abs=1e-6)


def test_an_evaluation_counts_from_points_that_the_search_of_its_own_alone_found(
    planar: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = Fixed(planar, np.zeros(2))
    without = evaluate(planar, still, 2000).beyond["network"]
    monkeypatch.setattr(
        "nnik_ros.evaluate.closest_distance", lambda damped, target, rng: np.full(target.shape[:-1], 0.02)
    )
    found = evaluate(planar, still, 2000).beyond["network"]
    assert found.shape == without.shape
    assert (found >= without).all() and (found > without + 0.1).any()


def test_a_planar_arm_is_asked_within_its_plane_alone_and_its_closest_points_are_those_of_its_disc(
    planar: Robot,
) -> None:
    asked: list[Array] = []

    class Stretched(Fixed):
        """Turned by 0.02 rad off the stretched pose that comes closest to a target outside of the disc of 10 m."""

        def step(self, q: Array, target: Array) -> Array:
            asked.append(target[..., 0, :])
            return np.stack([np.arctan2(target[..., 0, 1], target[..., 0, 0]) + 0.02, 0.0 * q[..., 0]], axis=-1)

    beyond = evaluate(planar, Stretched(planar, np.zeros(2)), 10_000).beyond["network"]
    assert not any(target[..., 2].any() for target in asked)
    far = np.unique(np.concatenate([target.reshape(-1, 3) for target in asked]), axis=0)
    radius = np.linalg.norm(far, axis=-1)
    radius = radius[radius > 10.0 * (1.0 + 1e-3)]
    assert len(radius) > 10
    off = np.hypot(radius - 10.0 * np.cos(0.02), 10.0 * np.sin(0.02)) - (radius - 10.0)
    np.testing.assert_allclose(np.sort(beyond), np.sort(off), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "axes"), [("planar_2r", [1, 1, 0]), ("spatial_2j", [1, 1, 1])])
def test_displacements_are_normal_in_reaches_along_the_axes_that_the_joints_move_a_tip_along(
    name: str, axes: list[int]
) -> None:
    robot = load_robot(robot_file(name))
    found = robot.random_displacement(np.random.default_rng(3), 4000, 0.3)
    assert found.shape == (4000, 1, 3)
    reach = {"planar_2r": 10.0, "spatial_2j": 0.55}[name]
    np.testing.assert_allclose(found.std(0)[0], 0.3 * reach * np.array(axes), rtol=0.05)
    drawn = np.random.default_rng(3).normal(size=(4000, 1, 3)) * 0.3 * reach
    np.testing.assert_allclose(found[..., axes == np.ones(3)], drawn[..., axes == np.ones(3)])


def test_the_gate_is_told_in_millimetres_and_percent(planar: Robot) -> None:
    text = gate_table(replace(GATE, stay=0.004), AT_THE_GATE)
    assert "required <= 4 mm" in text and "required >= 95 %" in text


def _tip(fine: int, coarse: int) -> Array:
    """Errors (10,) [m] of one tip: the first `fine` of them reached, up to `coarse` near."""
    errors = np.full(10, 0.5)
    errors[:coarse] = 5e-3
    errors[:fine] = 5e-4
    return errors


def _evaluation(
    robot: Robot, network: dict[int, Array], guarded: dict[int, Array], stay: float, beyond: dict[str, Array]
) -> Evaluation:
    """Errors of the random starts as given, and others elsewhere."""
    others = {k: np.full((10, 2), 3.0) for k in STEPS}
    solvers = {"network": Score(network, 0.0), "guarded": Score(guarded, 0.0), "damped": Score(others, 0.0)}
    easy = {name: Score(others, 0.0) for name in solvers}
    return Evaluation(robot, {"random": solvers, "near": easy, "home": easy}, stay, beyond)
