from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from nnik_ros.calibration import rotation_from_vector
from nnik_ros.contract import OPTIONAL_INPUTS
from nnik_ros.errors import ContractError
from nnik_ros.geometry import Array
from nnik_ros.kinematics import KinematicParameters
from nnik_ros.onnx_policy import OnnxPolicy, read_contract
from nnik_ros.paths import model_file, robot_file, share_dir, shipped
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.export import export, read_layers, write
from nnik_ros.training.mirror import mirrored
from nnik_ros.training.network import Layers, StepNetwork, torch_constants
from nnik_ros.training.recipe import load_recipe
from nnik_ros.training.rows import Layout, own_layout, rows_of

Make = Callable[[Robot], StepNetwork]


def exported(robot: Robot, network: StepNetwork, path: Path) -> OnnxPolicy:
    write(export(robot, network.layers()), robot, path, {})
    return OnnxPolicy(path, robot)


def in_float64(network: StepNetwork) -> StepNetwork:
    """The same weights and kinematics at double precision: the judge of both single-precision runs."""
    return copy.deepcopy(network).double()


def assert_steps_as_torch(policy: OnnxPolicy, network: StepNetwork, q: Array, target: Array) -> None:
    """The file's step is that of torch at double precision, as far as single precision tells: a nearly singular pose
    magnifies the last bit, for the file about as often as for torch's own single precision. It may cost the file a digit
    more: the scaling is folded into its weights, and onnxruntime's sigmoid is exact to the last bit of 1, not of the result."""
    q, target = (array.astype(np.float32).astype(np.float64) for array in (q, target))
    with torch.no_grad():
        single = network(torch.from_numpy(q.astype(np.float32)), torch.from_numpy(target.astype(np.float32)))[0].numpy()
        wanted, tip = (x.numpy() for x in in_float64(network)(torch.from_numpy(q), torch.from_numpy(target)))
    reach = policy.robot.kinematics.reach.max()
    np.testing.assert_allclose(tip, policy.robot.kinematics.tip_position(q), rtol=0, atol=2e-6 * reach)
    got, own = (np.abs(_turned(policy.robot, x - wanted)).max(-1) for x in (policy.step(q, target), single))
    assert np.median(got) < 2e-5
    for share in (0.9, 0.95, 0.99):
        assert np.quantile(got, share) <= 2e-5 + 50.0 * np.quantile(own, share)


def _turned(robot: Robot, difference: Array) -> Array:
    """Differences of joint positions; a full circle is none where a joint turns one."""
    turns = robot.upper - robot.lower >= 2 * np.pi - 1e-6
    return np.where(turns, (difference + np.pi) % (2 * np.pi) - np.pi, difference)


@pytest.mark.parametrize("batch", [1, 257])
def test_the_file_steps_as_torch_does(
    any_robot: Robot, lively: Make, rng: np.random.Generator, tmp_path: Path, batch: int
) -> None:
    network = lively(any_robot)
    policy = exported(any_robot, network, tmp_path / "network.onnx")
    q, goal = (any_robot.random_joint_position(rng, batch) for _ in range(2))
    assert_steps_as_torch(policy, network, q, any_robot.kinematics.tip_position(goal))


def test_the_file_steps_as_torch_does_with_large_outputs_and_targets_far_away(
    any_robot: Robot, lively: Make, rng: np.random.Generator, tmp_path: Path
) -> None:
    network = lively(any_robot)
    with torch.no_grad():
        network.weights[-1] *= 5.0
    policy = exported(any_robot, network, tmp_path / "network.onnx")
    q = any_robot.random_joint_position(rng, 500)
    target = rng.normal(size=(500, any_robot.nt, 3)) * any_robot.kinematics.reach[:, None]
    moved = policy.step(q, target)
    assert np.median(np.abs(moved - q).max(-1)) > 0.3  # the outputs are large indeed
    assert_steps_as_torch(policy, network, q, target)


@pytest.mark.parametrize("name", shipped(share_dir() / "models", ".onnx"))
def test_a_shipped_file_steps_as_torch_does_with_its_weights(name: str, rng: np.random.Generator) -> None:
    robot = load_robot(robot_file(read_contract(model_file(name)).robot))
    recipe = load_recipe(share_dir() / "config" / "training" / f"{name}.yaml")
    layout = mirrored(recipe, robot)[1] if recipe.mirror else own_layout(robot)
    network = FromFile(robot, read_layers(model_file(name)), layout)
    q, goal = (robot.random_joint_position(rng, 500) for _ in range(2))
    assert_steps_as_torch(OnnxPolicy(model_file(name), robot), network, q, robot.kinematics.tip_position(goal))


class FromFile(StepNetwork):
    """A network with the weights of a file, which need no folding."""

    def __init__(self, robot: Robot, layers: Layers, layout: Layout) -> None:
        super().__init__(robot, [1], torch.Generator(), shared=len(layers.weights[0]) == 1)
        self.rows = rows_of(robot, layout)
        self.constants = torch_constants(self.rows.constants)
        self._layers = [
            tuple(torch.from_numpy(x.copy()) for x in pair) for pair in zip(layers.weights, layers.biases, strict=True)
        ]

    def folded(self) -> list[tuple[torch.Tensor, ...]]:
        return [tuple(x.to(self.center.dtype) for x in pair) for pair in self._layers]


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


def test_a_step_over_the_stop_of_a_full_circle_goes_on_from_the_other_stop(
    planar: Robot, lively: Make, tmp_path: Path
) -> None:
    policy = exported(planar, lively(planar), tmp_path / "network.onnx")
    q = np.array([[3.13, 1.0]])
    goal = np.array([[-3.13, 1.0]])
    target = planar.kinematics.tip_position(goal)
    for _ in range(6):
        q = policy.step(q, target)
    np.testing.assert_allclose(q, goal, rtol=0, atol=1e-5)


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


@pytest.mark.parametrize("field", KinematicParameters._fields)
def test_each_constant_alone_moves_the_target_of_the_steps(
    field: str, lively: Make, rng: np.random.Generator, tmp_path: Path
) -> None:
    arm, path = load_robot(robot_file("spatial_2j")), tmp_path / "network.onnx"
    exported(arm, lively(arm), path)
    value = np.array(getattr(arm.kinematics.parameters, field))
    change = rng.uniform(-0.03, 0.03, (arm.nq, 3))
    if field == "joint_origin_rotation":
        value = value @ [rotation_from_vector(turn) for turn in change]
    else:
        value += change[:, 0] if value.ndim == 1 else change[: len(value)]
    real = arm.kinematics.calibrated(arm.kinematics.parameters._replace(**{field: value}))
    goal = arm.lower + rng.uniform(0.3, 0.7, (50, arm.nq)) * (arm.upper - arm.lower)
    policy, q, target = OnnxPolicy(path, arm, real), goal + 0.02, real.tip_position(goal)
    for _ in range(15):
        q = policy.step(q, target)
    error = np.linalg.norm(real.tip_position(q) - target, axis=-1)
    assert np.median(error) < 1e-5 * arm.kinematics.reach.max()


def test_the_constants_of_the_robot_are_inputs_that_may_be_left_out(
    planar: Robot, lively: Make, tmp_path: Path
) -> None:
    exported(planar, lively(planar), tmp_path / "network.onnx")
    graph = onnx.load(tmp_path / "network.onnx").graph
    assert [i.name for i in graph.input] == [*OPTIONAL_INPUTS, "joint_position", "tip_target"]
    assert set(OPTIONAL_INPUTS) <= {tensor.name for tensor in graph.initializer}


def test_the_range_in_the_contract_is_the_square_around_the_disc_of_the_planar_arm(
    planar: Robot, lively: Make, tmp_path: Path
) -> None:
    policy = exported(planar, lively(planar), tmp_path / "network.onnx")
    lowest, highest = np.array(policy.contract.trained_range)
    np.testing.assert_allclose(lowest, [[-10.0, -10.0, 0.0]], atol=0.05)
    np.testing.assert_allclose(highest, [[10.0, 10.0, 0.0]], atol=0.05)


def test_weights_are_read_back_as_they_were_written(planar: Robot, lively: Make, tmp_path: Path) -> None:
    layers = lively(planar).layers()
    write(export(planar, layers), planar, tmp_path / "network.onnx", {})
    found = read_layers(tmp_path / "network.onnx")
    for a, b in zip((*found.weights, *found.biases), (*layers.weights, *layers.biases), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_network_with_weights_of_its_own_for_each_tip_steps_and_is_read_as_torch_has_it(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    hand = load_robot(robot_file("allegro_right"))
    network = StepNetwork(hand, (8,), torch.Generator().manual_seed(5), shared=False)
    with torch.no_grad():
        for part in (*network.weights, *network.biases):
            part += 0.1 * torch.randn(part.shape, generator=torch.Generator().manual_seed(6))
    policy = exported(hand, network, tmp_path / "network.onnx")
    q, goal = (hand.random_joint_position(rng, 200) for _ in range(2))
    assert_steps_as_torch(policy, network, q, hand.kinematics.tip_position(goal))
    found, given = read_layers(tmp_path / "network.onnx"), network.layers()
    for a, b in zip((*found.weights, *found.biases), (*given.weights, *given.biases), strict=True):
        assert len(a) == hand.nt
        np.testing.assert_array_equal(a, b)


def test_a_file_with_other_weights_than_it_was_probed_with_is_refused(
    planar: Robot, lively: Make, tmp_path: Path
) -> None:
    path = tmp_path / "network.onnx"
    exported(planar, lively(planar), path)
    model = onnx.load(path)
    (bias,) = (tensor for tensor in model.graph.initializer if tensor.name == "bias_0")
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.5), "bias_0"))
    onnx.save(model, path)
    with pytest.raises(ContractError, match="probe"):
        OnnxPolicy(path, planar)


def test_a_file_of_another_origin_has_no_weights_to_read(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "other", [value], [value])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(ContractError, match="not exported by this package"):
        read_layers(tmp_path / "other.onnx")
