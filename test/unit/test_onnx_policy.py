"""A network proves that it belongs to the robot before it moves anything."""

from __future__ import annotations

import copy
import hashlib
import json
import multiprocessing
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from nnik_ros.baseline import DampedLeastSquares
from nnik_ros.contract import JOINT_POSITION_NEXT, METADATA_KEY, TIP_POSITION
from nnik_ros.errors import ContractError, InputError
from nnik_ros.guarded_solver import GuardedSolver
from nnik_ros.kinematics import Kinematics
from nnik_ros.nodes.tape_identity import describe_policy
from nnik_ros.onnx_policy import OnnxPolicy, read_contract
from nnik_ros.paths import model_file, robot_file, share_dir, shipped
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot, load_robot

MODELS = shipped(share_dir() / "models", ".onnx")


@pytest.fixture
def altered(tmp_path: Path) -> Callable[[bytes, bytes], Path]:
    """The right hand's network with some bytes replaced by as many others."""

    def alter(old: bytes, new: bytes) -> Path:
        data = model_file("allegro_right").read_bytes()
        assert old in data
        assert len(old) == len(new)
        path = tmp_path / "altered.onnx"
        path.write_bytes(data.replace(old, new))
        return path

    return alter


@pytest.mark.parametrize("name", MODELS)
def test_every_shipped_network_belongs_to_its_robot_and_carries_its_origin(name: str) -> None:
    contract = read_contract(model_file(name))
    policy = OnnxPolicy(model_file(name), load_robot(robot_file(contract.robot)))
    assert {"recipe", "seed", "commit", "metrics"} <= set(policy.contract.provenance)


@pytest.mark.parametrize("later", [b"another", None])
def test_a_recording_names_the_network_that_runs_whatever_lies_in_its_place_later(
    later: bytes | None, tmp_path: Path
) -> None:
    path, content = tmp_path / "mine.onnx", model_file("allegro_right").read_bytes()
    path.write_bytes(content)
    policy = OnnxPolicy(path, load_robot(robot_file("allegro_right")))
    path.unlink()
    if later:
        path.write_bytes(later)
    assert describe_policy(policy) == {"file": str(path), "sha256": hashlib.sha256(content).hexdigest()}


def test_a_copy_and_a_solver_in_another_process_give_the_same_steps_whatever_became_of_the_file(
    hand: Robot, rng: np.random.Generator, tmp_path: Path
) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(model_file("allegro_right").read_bytes())
    q, goal = hand.random_joint_position(rng, 20), hand.random_joint_position(rng, 20)
    target = hand.kinematics.tip_position(goal)
    parameters = hand.kinematics.parameters
    calibrated = hand.kinematics.calibrated(parameters._replace(tip_offset=parameters.tip_offset + 0.001))
    policy = OnnxPolicy(path, hand, calibrated)
    solver = GuardedSolver(policy, DampedLeastSquares(hand))
    path.unlink()
    assert np.array_equal(copy.deepcopy(policy).step(q, target), policy.step(q, target))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply(solver.solve, (q, target)).q, solver.solve(q, target).q)


@pytest.mark.parametrize("name", MODELS)
def test_steps_stay_in_the_limits_and_end_at_the_target(name: str, rng: np.random.Generator) -> None:
    robot = load_robot(robot_file(read_contract(model_file(name)).robot))
    policy = OnnxPolicy(model_file(name), robot)
    q, goal = robot.random_joint_position(rng, 200), robot.random_joint_position(rng, 200)
    target = robot.kinematics.tip_position(goal)
    for _ in range(6):
        q = policy.step(q, target)
        assert np.all((q >= robot.lower) & (q <= robot.upper))
    error = np.linalg.norm(robot.kinematics.tip_position(q) - target, axis=-1) / robot.kinematics.reach
    assert np.quantile(error, 0.9) < 1e-3


def test_a_batch_of_any_shape_gives_the_same_steps(hand: Robot, rng: np.random.Generator) -> None:
    policy = OnnxPolicy(model_file("allegro_right"), hand)
    q = hand.random_joint_position(rng, 6)
    target = hand.kinematics.tip_position(hand.random_joint_position(rng, 6))
    batched = policy.step(q.reshape(2, 3, -1), target.reshape(2, 3, hand.nt, 3)).reshape(6, -1)
    single = np.stack([policy.step(q[i], target[i]) for i in range(6)])
    np.testing.assert_allclose(batched, single, atol=1e-5)


@pytest.mark.parametrize("solver", ["network", "damped", "guarded"])
def test_one_target_serves_a_whole_batch_and_targets_whose_axes_are_exchanged_are_refused(
    hand: Robot, rng, solver: str
) -> None:
    network, damped = OnnxPolicy(model_file("allegro_right"), hand), DampedLeastSquares(hand)
    policy: Policy = {"network": network, "damped": damped, "guarded": GuardedSolver(network, damped)}[solver]
    q, target = hand.random_joint_position(rng, 3), hand.kinematics.tip_position(hand.home)
    wanted = np.stack([policy.step(each, target) for each in q])
    np.testing.assert_allclose(policy.step(q, target), wanted, atol=1e-5)
    exchanged = np.swapaxes(np.stack([target] * 3), 0, 1)  # (nt, batch, 3), as many numbers as there should be
    transposed = np.stack([target.T] * 3)  # (batch, 3, nt), too
    for wrong in (exchanged, transposed, target.T, target[0], np.stack([target[:3]] * 3), np.stack([target] * 4)):
        with pytest.raises(InputError, match=re.escape(f"targets have shape {wrong.shape}, must have (3, 4, 3)")):
            policy.step(q, wrong)
    with pytest.raises(InputError, match=re.escape("targets have shape (3, 4), must have (4, 3)")):
        policy.step(q[0], target.T)
    with pytest.raises(InputError, match=re.escape("joint positions have shape (16, 3), must end with 16 joints")):
        policy.step(q.T, target)


def test_calibrated_constants_bring_the_tips_of_the_calibrated_hand_to_the_target(hand: Robot, rng) -> None:
    parameters = hand.kinematics.parameters
    calibrated: Kinematics = hand.kinematics.calibrated(
        parameters._replace(
            joint_zero=rng.uniform(-0.05, 0.05, hand.nq),
            joint_origin_position=parameters.joint_origin_position + rng.uniform(-0.002, 0.002, (hand.nq, 3)),
        )
    )
    target = calibrated.tip_position(0.5 * hand.random_joint_position(rng, 300) + 0.25 * (hand.lower + hand.upper))
    medians = []
    for kinematics in (None, calibrated):
        policy, q = OnnxPolicy(model_file("allegro_right"), hand, kinematics), np.tile(hand.home, (300, 1))
        for _ in range(8):
            q = policy.step(q, target)
        medians.append(np.median(np.linalg.norm(calibrated.tip_position(q) - target, axis=-1)))
    assert medians[0] > 1e-3
    assert medians[1] < 1e-5


@pytest.mark.parametrize(("other", "size"), [("planar_2r", "2 joints, 1 tips"), ("allegro_left", "16 joints, 4 tips")])
@pytest.mark.parametrize("solver", ["network", "damped"])
def test_the_kinematics_of_another_robot_is_refused_as_such_and_not_blamed_on_the_file(
    hand: Robot, solver: str, other: str, size: str
) -> None:
    kinematics = load_robot(robot_file(other)).kinematics
    with pytest.raises(InputError) as caught:
        OnnxPolicy(model_file("allegro_right"), hand, kinematics) if solver == "network" else DampedLeastSquares(
            hand, kinematics
        )
    assert str(caught.value) == (
        f"the kinematics ({size}) must be that of robot 'allegro_right' (16 joints, 4 tips), as described or calibrated: "
        "it has other chains or joint axes"
    )


def test_a_network_of_another_robot_is_refused_with_both_values_of_every_field() -> None:
    with pytest.raises(ContractError) as caught:
        OnnxPolicy(model_file("allegro_right"), load_robot(robot_file("allegro_left")))
    text = str(caught.value)
    assert "robot: the network has 'allegro_right', the robot has 'allegro_left'" in text
    assert "kinematics_digest: the network has" in text


def test_a_network_of_a_robot_with_other_joints_is_refused_before_it_runs(planar: Robot) -> None:
    with pytest.raises(
        ContractError, match=r"joint_names: the network has .*joint_15.0\), the robot has \(joint_1, joint_2\)"
    ):
        OnnxPolicy(model_file("allegro_right"), planar)


def test_a_missing_file_is_named(hand: Robot, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"nowhere\.onnx: 1 problem\n  - there is no such file"):
        OnnxPolicy(tmp_path / "nowhere.onnx", hand)


def test_a_folder_in_place_of_a_file_is_named_as_such(hand: Robot, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="1 problem\n  - is a folder"):
        OnnxPolicy(tmp_path, hand)


def test_a_network_whose_weights_are_in_another_file_is_refused_whatever_lies_in_the_working_folder(
    hand: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("its own", "elsewhere"):
        (tmp_path / folder).mkdir()
        onnx.save(
            onnx.load(model_file("allegro_right")), tmp_path / folder / "split.onnx", save_as_external_data=True,
            location="weights", size_threshold=1024,
        )  # fmt: skip
    weights = tmp_path / "elsewhere" / "weights"
    weights.write_bytes(bytes(weights.stat().st_size))  # of another network
    for folder in (tmp_path, tmp_path / "its own", tmp_path / "elsewhere"):
        monkeypatch.chdir(folder)
        with pytest.raises(ContractError, match="is in another file, must be in this one"):
            OnnxPolicy(tmp_path / "its own" / "split.onnx", hand)


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x00" * 1000])
def test_a_file_that_is_no_network_is_refused(hand: Robot, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ContractError, match=r"x\.onnx: 1 problem"):
        OnnxPolicy(path, hand)


def test_a_truncated_network_is_refused(hand: Robot, tmp_path: Path) -> None:
    data = model_file("allegro_right").read_bytes()
    for share in (0.3, 0.9, 0.999):
        path = tmp_path / "x.onnx"
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(ContractError):
            OnnxPolicy(path, hand)


def test_a_network_without_a_contract_is_refused(hand: Robot, altered) -> None:
    with pytest.raises(ContractError, match="has no metadata 'nnik_contract'"):
        OnnxPolicy(altered(b"nnik_contract", b"nnik_contrast"), hand)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b'"schema": 1', b'"schema": 7', "schema: is 7, this version reads 1"),
        (b'"robot": "allegro_right"', b'"robot": "allegro_wrong"', "robot: the network has 'allegro_wrong'"),
        (b'"tip_names": ["index"', b'"tip_names": ["pinky"', r"tip_names: the network has \(pinky, .* has \(index"),
        (b'"base_frame"', b'"case_frame"', "base_frame: missing"),
        (b'"joint_names": [', b'"joint_names": ;', "is not JSON"),
        (b'"lower": [-0.47', b'"lower": [-0.46', r"lower: the network has \[-0.46"),
        (b'"upper": [0.47', b'"upper": [0.46', r"upper: the network has \[0.46"),
        (
            b'"base_frame": "palm',
            b'"base_frame": "foot',
            "base_frame: the network has 'foot_link', the robot has 'palm",
        ),
    ],
)
def test_every_field_of_the_contract_is_compared(hand: Robot, altered, old: bytes, new: bytes, complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        OnnxPolicy(altered(old, new), hand)


def test_a_network_that_takes_only_so_many_robots_at_once_is_refused(planar: Robot, tmp_path: Path) -> None:
    """As many as in its probe, which therefore runs, but one hand alone could not be stepped."""
    model = onnx.load(model_file("planar_2r"))
    for value in (*model.graph.input[-2:], *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, tmp_path / "four.onnx")
    with pytest.raises(ContractError, match="joint_position: has a batch of 4, must leave its size open"):
        OnnxPolicy(tmp_path / "four.onnx", planar)


def test_a_network_of_another_precision_is_refused(planar: Robot, tmp_path: Path) -> None:
    model = onnx.load(model_file("planar_2r"))
    for node in model.graph.node:
        node.output[:] = ["single" if name == JOINT_POSITION_NEXT else name for name in node.output]
    cast = onnx.helper.make_node("Cast", ["single"], [JOINT_POSITION_NEXT], to=onnx.TensorProto.DOUBLE)
    model.graph.node.append(cast)
    output = next(value for value in model.graph.output if value.name == JOINT_POSITION_NEXT)
    output.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    onnx.save(model, tmp_path / "double.onnx")
    with pytest.raises(ContractError, match=r"joint_position_next: is of tensor\(double\), must be of tensor\(float\)"):
        OnnxPolicy(tmp_path / "double.onnx", planar)


def changed(output: str, kind: str, by: float) -> onnx.ModelProto:
    """The network of the planar arm with another result."""
    model = onnx.load(model_file("planar_2r"))
    for node in model.graph.node:
        node.output[:] = ["before" if name == output else name for name in node.output]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(by), "by"))
    model.graph.node.append(onnx.helper.make_node(kind, ["before", "by"], [output]))
    return model


def change_probe(model: onnx.ModelProto, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    (entry,) = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    contract = json.loads(entry.value)
    contract["probe"][name] = change(np.float32(contract["probe"][name])).tolist()
    entry.value = json.dumps(contract)


@pytest.mark.parametrize(
    ("output", "fits", "complaint"),
    [
        (JOINT_POSITION_NEXT, False, "joint_position_next differs"),
        (TIP_POSITION, False, "tip_position differs"),
        (TIP_POSITION, True, "tip_position against the robot's kinematics differs"),
    ],
)
def test_a_probe_fails_by_another_step_by_other_tips_and_by_a_probe_that_fits_tips_that_are_not_the_robots(
    planar: Robot, tmp_path: Path, output: str, fits: bool, complaint: str
) -> None:
    model = changed(output, "Mul", 1.001)
    if fits:
        change_probe(model, output, lambda values: values * np.float32(1.001))
    onnx.save(model, tmp_path / "more.onnx")
    with pytest.raises(ContractError, match=complaint):
        OnnxPolicy(tmp_path / "more.onnx", planar)


@pytest.mark.parametrize("beyond", [-9.0, 9.0])
def test_a_step_beyond_the_joint_limits_ends_exactly_on_them(planar: Robot, tmp_path: Path, beyond: float) -> None:
    model = changed(JOINT_POSITION_NEXT, "Add", beyond)
    change_probe(model, JOINT_POSITION_NEXT, lambda values: values + np.float32(beyond))
    onnx.save(model, tmp_path / "beyond.onnx")
    q = OnnxPolicy(tmp_path / "beyond.onnx", planar).step(planar.home, planar.kinematics.tip_position(planar.home))
    np.testing.assert_array_equal(q, planar.lower if beyond < 0.0 else planar.upper)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_probe_with_fewer_results_than_questions_fails(planar: Robot, tmp_path: Path, rows: int) -> None:
    model = onnx.load(model_file("planar_2r"))
    change_probe(model, JOINT_POSITION_NEXT, lambda values: values[:rows])
    onnx.save(model, tmp_path / "fewer.onnx")
    with pytest.raises(ContractError, match="joint_position_next differs"):
        OnnxPolicy(tmp_path / "fewer.onnx", planar)


def test_a_network_with_damaged_weights_fails_its_probe(hand: Robot, tmp_path: Path) -> None:
    data = bytearray(model_file("allegro_right").read_bytes())
    middle = len(data) // 3
    data[middle : middle + 4000] = np.full(1000, 0.5, dtype=np.float32).tobytes()
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    with pytest.raises(ContractError):
        OnnxPolicy(path, hand)
