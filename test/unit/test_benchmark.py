"""The benchmark's own mathematics, without any peer."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks import measure, perceptron, scores, workloads
from benchmarks.acceptance import judge
from benchmarks.markdown import number, table
from benchmarks.own import GUARDED
from benchmarks.plain_urdf import plain_urdf
from benchmarks.solver import Solver
from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.closest import closest_distance
from nnik_ros.geometry import Array
from nnik_ros.guarded_solver import GuardedSolver
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.export import read_layers
from nnik_ros.urdf import load_urdf


@pytest.fixture(scope="module")
def robot() -> Robot:
    return load_robot(robot_file("allegro_right"))


def test_targets_are_reached_by_a_posture_within_the_limits(robot: Robot) -> None:
    problems = workloads.static_problems(robot, robot.kinematics, np.random.default_rng(0), 5)
    for problem in problems.values():
        assert (closest_distance(DampedLeastSquares(robot), problem.target, np.random.default_rng(1)) < 1e-5).all()
    distance = np.abs(problems["near"].start - problems["rest"].start).max()
    assert distance > 0.1
    assert {name: p.start.shape for name, p in problems.items()} == dict.fromkeys(workloads.STARTS, (5, robot.nq))


def test_the_oracle_finds_the_distance_beyond_a_stretched_finger(robot: Robot) -> None:
    # stretched straight the index finger is as long as it gets; further out along the finger no joint can help
    q = np.zeros(robot.nq)
    frames = robot.kinematics.frames(q)
    away = frames.tip_position - frames.joint_position[:, 1]
    beyond = frames.tip_position + 0.02 * away / np.linalg.norm(away, axis=-1, keepdims=True)
    found = closest_distance(DampedLeastSquares(robot), beyond[None], np.random.default_rng(0))[0, 0]
    assert found == pytest.approx(0.02, abs=1e-6)


def test_no_sampled_posture_is_closer_than_the_oracle(robot: Robot) -> None:
    rng = np.random.default_rng(3)
    target = workloads.beyond_path(robot, rng, 100).target[20:80:20]
    best = closest_distance(DampedLeastSquares(robot), target, rng)
    tips = robot.kinematics.tip_position(robot.random_joint_position(np.random.default_rng(9), 20_000))
    sampled = np.linalg.norm(tips[None] - target[:, None], axis=-1).min(axis=1)
    assert (best <= sampled + 1e-6).all()


@pytest.mark.parametrize("make", [workloads.smooth_path, workloads.singular_path])
def test_paths_begin_at_rest_and_are_slower_than_the_joints(make: object, robot: Robot) -> None:
    path = make(robot, np.random.default_rng(0), 1332)  # type: ignore[operator]
    assert path.joint_speed < robot.velocity.min()
    first, second = np.linalg.norm(np.diff(path.target[:3], axis=0), axis=-1)
    assert first.max() < 1e-4
    assert second.max() < 3e-4
    assert np.allclose(robot.kinematics.tip_position(path.start), path.target[0])


def test_the_plain_urdf_has_the_geometry_of_the_calibrated_hand(robot: Robot, tmp_path: Path) -> None:
    built = workloads.calibrated(robot.kinematics, np.random.default_rng(2))
    file = tmp_path / "hand.urdf"
    file.write_text(plain_urdf(robot, built))
    urdf = load_urdf(file)
    q = robot.random_joint_position(np.random.default_rng(0), 1)[0]
    for tip, link in enumerate(robot.tip_links):
        T = np.eye(4)
        for joint in urdf.chain(link, robot.base_frame):
            T = T @ joint.T_parent_joint
            if joint.name in robot.joint_names:
                T[:3, :3] = T[:3, :3] @ _turn(joint.axis, q[robot.joint_names.index(joint.name)])
        assert np.allclose(T[:3, 3], built.tip_position(q)[tip], atol=1e-12)
    assert len(ElementTree.parse(file).getroot().findall("joint")) == robot.nq + robot.nt


def test_a_hand_outside_its_limits_does_not_count_as_solved(robot: Robot) -> None:
    problems = workloads.static_problems(robot, robot.kinematics, np.random.default_rng(0), 3)["near"]
    goal = np.where(np.arange(robot.nq) == 2, robot.upper + 0.1, 0.5 * (robot.lower + robot.upper))
    problems = problems._replace(target=np.repeat(robot.kinematics.tip_position(goal)[None], 3, axis=0))
    scene = measure.Scene(robot, robot.kinematics, "")
    cheat = Solver("cheat", "", "", lambda q, target: goal, None)
    run = measure.static(scene, [cheat], problems, measure.QUICK._replace(repeats=1))["cheat"]
    assert scores.static_score(run)["share_coarse"] == 0.0


def test_calls_are_counted_until_all_tips_are_there(robot: Robot) -> None:
    problems = workloads.static_problems(robot, robot.kinematics, np.random.default_rng(0), 1)["random"]
    goal = workloads.static_problems(robot, robot.kinematics, np.random.default_rng(0), 1)
    answer = _answer(robot, problems.target[0])
    count = [0]

    def third_time(q: Array, target: Array) -> Array:
        count[0] += 1
        return answer if count[0] > 3 else q  # one call warms up

    scene = measure.Scene(robot, robot.kinematics, "")
    run = measure.static(
        scene, [Solver("slow", "", "", third_time, None)], goal["random"], measure.QUICK._replace(repeats=1)
    )
    assert run["slow"].calls.tolist() == [3.0]


def test_tracking_scores_see_a_jump(robot: Robot) -> None:
    q = np.tile(0.5 * (robot.lower + robot.upper), (11, 1))
    q[6:, 3] += 0.01
    reference = np.repeat(robot.kinematics.tip_position(q[0])[None], 10, axis=0)
    elsewhere = reference + np.array([0.0, 0.0, 1.0])  # the target as given
    run = measure.TrackRun(q, elsewhere, reference, np.full((1, 10), 2e-6))
    score = scores.track_score(robot, robot.kinematics, run)
    assert score["speed_max"] == pytest.approx(0.01 * workloads.RATE)
    assert score["second_difference"] == pytest.approx(0.01)
    assert score["tick_p50_us"] == pytest.approx(2.0)
    assert score["error_max_mm"] == pytest.approx(0.267, rel=0.02)  # 26.7 mm from the last joint to the tip
    assert score["target_rms_mm"] == pytest.approx(1000.0, abs=0.3) == score["target_max_mm"]
    assert score["outside_rad"] == 0.0


def test_a_run_carries_the_targets_as_given_beside_the_reference_that_a_solver_follows(robot: Robot) -> None:
    path = workloads.smooth_path(robot, np.random.default_rng(0), 50)
    late = Solver("late", "", "", None, lambda q: lambda target: (q, target - 0.02))
    run = measure.track([late], path, measure.QUICK)["late"]
    assert np.array_equal(run.target, path.target[: len(run.target)]) and len(run.target) == len(run.reference) == 50
    assert np.allclose(run.target - run.reference, 0.02)


def test_out_of_reach_is_scored_against_the_target_as_given_over_its_closest_point(robot: Robot) -> None:
    q = 0.5 * (robot.lower + robot.upper)
    away = 1e-3 * np.array([  # m, of the tips from their targets, where every second tick counts
        [3.0, 2.0, 1.0, 0.0], [99.0, 99.0, 99.0, 99.0], [52.0, 44.0, 3.0, 4.0], [99.0, 99.0, 99.0, 99.0],
    ])  # fmt: skip
    closest = 1e-3 * np.array([[0.0, 0.5, 0.0, 0.0], [50.0, 43.0, 0.0, 0.0], [7.0, 7.0, 7.0, 7.0]])  # of a longer path
    target = robot.kinematics.tip_position(q) + away[..., None] * np.array([0.6, 0.0, 0.8])
    seconds = np.array([[2e-6, 2e-6, 5e-6, 5e-6]])
    run = measure.TrackRun(np.tile(q, (5, 1)), target, target - 0.5, seconds)
    assert scores.beyond_score(robot.kinematics, run, closest, 2) == pytest.approx({
        "outside_tips": 2.0, "excess_p50_mm": 1.5, "excess_p99_mm": 1.99, "excess_max_mm": 2.0,
        "within_p99_mm": 3.95, "cost_growth": 2.5,
    })  # fmt: skip


def test_a_path_within_reach_has_no_score_out_of_reach(robot: Robot) -> None:
    q = np.tile(0.5 * (robot.lower + robot.upper), (3, 1))
    target = robot.kinematics.tip_position(q[1:])
    run = measure.TrackRun(q, target, target, np.full((1, 2), 1e-6))
    assert scores.beyond_score(robot.kinematics, run, np.zeros((2, robot.nt)), 1) == {}


def test_a_share_of_steps_counts_hands_that_were_there_before() -> None:
    errors = np.full((10, 4), 1.0)
    errors[2, 0] = errors[4, 1] = errors[9, 2] = 5e-5
    assert scores.steps_score(errors) == {"hands": 4.0, "share_3": 0.25, "share_5": 0.5, "share_10": 0.75}


def test_merged_scores_keep_the_worst_path() -> None:
    found = scores.merged([{"tick_p50_us": 1.0, "error_max_mm": 3.0, "ticks": 5.0, "error_rms_mm": 3.0},
                           {"tick_p50_us": 3.0, "error_max_mm": 2.0, "ticks": 5.0, "error_rms_mm": 4.0}])  # fmt: skip
    assert found == {"tick_p50_us": 2.0, "error_max_mm": 3.0, "ticks": 10.0, "error_rms_mm": pytest.approx(12.5**0.5)}


def test_a_slower_median_than_a_solving_peer_fails_and_a_peer_that_does_not_solve_is_no_rival() -> None:
    static = {"share_fine": 1.0, "fine_p50_us": 90.0}
    results = {
        "solvers": [{"name": GUARDED, "ours": True}, {"name": "a", "ours": False}, {"name": "b", "ours": False}],
        "static": {"random": {GUARDED: static, "a": {**static, "fine_p50_us": 100.0},
                              "b": {"share_fine": 0.9, "fine_p50_us": 1.0}}},
        "steps": {}, "batch": {}, "several": {}, "step": {}, "tracking": {"smooth": {}, "beyond": {}}, "velocity_limit": 6.28,
        "node": None,
    }  # fmt: skip
    assert _median_verdict(results) is True
    results["static"]["random"]["b"]["share_fine"] = 1.0  # type: ignore[index]
    assert _median_verdict(results) is False


def test_several_steps_in_one_call_are_judged_against_separate_calls_of_the_same_run(robot: Robot) -> None:
    solver = GuardedSolver(DampedLeastSquares(robot), DampedLeastSquares(robot))
    problems = workloads.static_problems(robot, robot.kinematics, np.random.default_rng(3), 5)["near"]
    times = measure.several(solver, problems, 1e-4, 1)
    assert times["separate_us"] > 0.0 and times["one_call_us"] > 0.0 and times["steps"] >= 1.0
    for factor, passed in ((0.9, True), (1.1, False)):
        times["one_call_us"] = factor * times["separate_us"]
        results = {
            "solvers": [], "static": {"random": {}}, "steps": {}, "batch": {}, "several": {"0.1": times}, "step": {},
            "tracking": {"smooth": {}, "beyond": {}}, "velocity_limit": 6.28, "node": None,
        }  # fmt: skip
        assert [verdict.passed for verdict in judge(results) if "separate calls" in verdict.criterion] == [passed]


def test_a_step_of_the_network_is_judged_against_bare_perceptrons_of_its_own_size_and_of_the_yardstick(
    robot: Robot,
) -> None:
    policy = OnnxPolicy(model_file("allegro_right"), robot)
    weights = read_layers(policy.path).weights
    sizes = perceptron.perceptron_sizes(policy)
    assert sizes == (weights[0].shape[1], 144, 144, 144, 144, weights[-1].shape[2])
    problems = workloads.static_problems(robot, robot.kinematics, np.random.default_rng(3), 1)["near"]
    costs = perceptron.step_costs(policy, problems, 2)
    for end in ("_us", "_kept_us"):
        assert costs["step" + end] > costs["bare" + end] > 0.0
    for step, verdicts in ((2.9, [True, True]), (3.1, [False, True]), (4.1, [False, False])):
        results = {
            "solvers": [], "static": {"random": {}}, "steps": {}, "batch": {}, "several": {},
            "step": {"step_us": step, "bare_us": 1.0, "yardstick_us": 1.0}, "tracking": {"smooth": {}, "beyond": {}},
            "velocity_limit": 6.28, "node": None,
        }  # fmt: skip
        assert [verdict.passed for verdict in judge(results) if "one step" in verdict.criterion[:8]] == verdicts


def test_the_bare_perceptron_is_one(rng: np.random.Generator) -> None:
    model = onnx.load_from_string(perceptron.perceptron((5, 7, 6, 3)))
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    x = rng.normal(size=(4, 5)).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = x
    for i in range(3):
        wanted = wanted @ arrays[f"w{i}"] + arrays[f"b{i}"]
        wanted = np.maximum(wanted, 0.0) if i < 2 else wanted
    np.testing.assert_allclose(session.run(None, {"x": x})[0], wanted, atol=1e-5)


def test_numbers_and_tables_are_short() -> None:
    assert [number(v) for v in (1234.5, 12.345, 0.00123, np.inf, 0.0)] == ["1,234", "12.3", "0.00123", "–", "0"]
    assert table(("a", "b"), [("x", "1")]).splitlines() == ["| a | b |", "|---|--:|", "| x | 1 |"]


def _median_verdict(results: dict[str, object]) -> bool | None:
    return next(v.passed for v in judge(results) if "median time" in v.criterion)


def _turn(axis: Array, angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    x, y, z = axis
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) * c + s * K + (1 - c) * np.outer(axis, axis)


def _answer(robot: Robot, target: Array) -> Array:
    from nnik_ros.baseline import DampedLeastSquares

    solver, q = DampedLeastSquares(robot), 0.5 * (robot.lower + robot.upper)
    for _ in range(50):
        q = solver.step(q, target)
    return q
