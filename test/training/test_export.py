from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from nnik_ros.contract import OPTIONAL_INPUTS
from nnik_ros.errors import ContractError
from nnik_ros.kinematics import KinematicParameters
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.robot import Robot
from nnik_ros.training.export import export, read_layers, write
from nnik_ros.training.network import StepNetwork

Make = Callable[[Robot], StepNetwork]


def exported(robot: Robot, network: StepNetwork, path: Path) -> OnnxPolicy:
    write(export(robot, network.layers()), robot, path, {})
    return OnnxPolicy(path, robot)


@pytest.mark.parametrize("batch", [1, 257])
def test_the_file_steps_as_torch_does(
    any_robot: Robot, lively: Make, rng: np.random.Generator, tmp_path: Path, batch: int
) -> None:
    network = lively(any_robot)
    policy = exported(any_robot, network, tmp_path / "network.onnx")
    q = any_robot.random_joint_position(rng, batch)
    target = any_robot.kinematics.tip_position(any_robot.random_joint_position(rng, batch))
    with torch.no_grad():
        wanted, tip = network(*(torch.from_numpy(array.astype(np.float32)) for array in (q, target)))
    np.testing.assert_allclose(tip, any_robot.kinematics.tip_position(q), atol=2e-6 * any_robot.kinematics.reach.max())
    difference = np.abs(policy.step(q, target) - wanted.numpy()).max(-1)
    assert np.quantile(difference, 0.95) < 1e-5  # a nearly singular pose magnifies the last bit
    assert difference.max() < 1e-3


def test_every_step_stays_within_the_limits_from_anywhere_to_anywhere(
    any_robot: Robot, lively: Make, rng: np.random.Generator, tmp_path: Path
) -> None:
    exported(any_robot, lively(any_robot), tmp_path / "network.onnx")
    session = OnnxPolicy(tmp_path / "network.onnx", any_robot)
    q = any_robot.random_joint_position(rng, 500)
    target = rng.normal(size=(500, any_robot.nt, 3)) * 2 * any_robot.kinematics.reach[:, None]
    for _ in range(5):
        q = session.step(q, target)
        assert (q >= any_robot.lower).all() and (q <= any_robot.upper).all()


def test_the_step_vanishes_with_the_error(
    any_robot: Robot, lively: Make, rng: np.random.Generator, tmp_path: Path
) -> None:
    policy = exported(any_robot, lively(any_robot), tmp_path / "network.onnx")
    q = any_robot.random_joint_position(rng, 200)
    steps = [
        np.abs(policy.step(q, any_robot.kinematics.tip_position(q + size * np.sign(any_robot.home - q))) - q).max(-1)
        for size in (0.0, 1e-3, 1e-2)
    ]
    assert np.median(steps[0]) < 1e-5
    assert np.median(steps[1]) < 0.3 * np.median(steps[2])


def test_calibrated_constants_move_the_target_of_the_steps(
    any_robot: Robot, lively: Make, rng: np.random.Generator, tmp_path: Path
) -> None:
    path = tmp_path / "network.onnx"
    nominal = exported(any_robot, lively(any_robot), path)
    old = any_robot.kinematics.parameters
    zero = np.array(old.joint_zero) + rng.uniform(-0.05, 0.05, any_robot.nq)
    position = np.array(old.joint_origin_position) * 1.02
    real = any_robot.kinematics.calibrated(
        KinematicParameters(position, old.joint_origin_rotation, zero, np.array(old.tip_offset) * 0.97)
    )
    goal = any_robot.lower + rng.uniform(0.3, 0.7, (100, any_robot.nq)) * (any_robot.upper - any_robot.lower)
    target = real.tip_position(goal)
    left = {}
    for name, policy in (("nominal", nominal), ("calibrated", OnnxPolicy(path, any_robot, real))):
        q = goal + 0.02
        for _ in range(15):
            q = policy.step(q, target)
        left[name] = (
            np.median(np.linalg.norm(real.tip_position(q) - target, axis=-1)) / any_robot.kinematics.reach.max()
        )
    assert left["calibrated"] < 1e-5
    assert left["nominal"] > 1e-3


def test_the_constants_of_the_robot_are_inputs_that_may_be_left_out(
    planar: Robot, lively: Make, tmp_path: Path
) -> None:
    exported(planar, lively(planar), tmp_path / "network.onnx")
    graph = onnx.load(tmp_path / "network.onnx").graph
    assert [i.name for i in graph.input] == [*OPTIONAL_INPUTS, "joint_position", "tip_target"]
    assert set(OPTIONAL_INPUTS) <= {tensor.name for tensor in graph.initializer}


def test_weights_are_read_back_as_they_were_written(planar: Robot, lively: Make, tmp_path: Path) -> None:
    layers = lively(planar).layers()
    write(export(planar, layers), planar, tmp_path / "network.onnx", {})
    found = read_layers(tmp_path / "network.onnx")
    for a, b in zip((found.bias, *found.weights), (layers.bias, *layers.weights), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_file_of_another_origin_has_no_weights_to_read(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "other", [value], [value])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(ContractError, match="not exported by this package"):
        read_layers(tmp_path / "other.onnx")
