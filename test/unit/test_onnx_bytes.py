"""What is written into the bytes of a file has the effect of handing it in, and onnxruntime judges."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from nnik_ros.contract import OPTIONAL_INPUTS
from nnik_ros.onnx_bytes import with_constants, with_outputs
from nnik_ros.paths import model_file, share_dir, shipped
from nnik_ros.robot import Robot

MODELS = shipped(share_dir() / "models", ".onnx")


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def turned(robot: Robot, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The optional inputs of a hand that is not as described."""
    return {
        name: (np.array(value) + rng.uniform(-0.01, 0.01, np.shape(value))).astype(np.float32)
        for name, value in zip(OPTIONAL_INPUTS, robot.kinematics.parameters, strict=True)
    }


@pytest.mark.parametrize("changed", [OPTIONAL_INPUTS, ("joint_zero",), ("tip_offset",), ("joint_origin_rotation",)])
def test_constants_in_the_bytes_move_a_hand_as_constants_handed_in(
    hand: Robot, rng: np.random.Generator, changed: tuple[str, ...]
) -> None:
    model = model_file("allegro_right").read_bytes()
    constants = {name: array for name, array in turned(hand, rng).items() if name in changed}
    q = hand.random_joint_position(rng, 20).astype(np.float32)
    feed = {
        "joint_position": q,
        "tip_target": hand.kinematics.tip_position(hand.random_joint_position(rng, 20)).astype(np.float32),
    }
    _, tip = session(model).run(None, feed)
    handed_in, inside = (s.run(None, f) for s, f in (
        (session(model), {**feed, **constants}), (session(with_constants(model, constants)), feed),
    ))  # fmt: skip
    assert np.abs(handed_in[1] - tip).max() > 1e-4  # they do something
    np.testing.assert_allclose(inside[1], handed_in[1], rtol=0, atol=1e-6)
    assert np.quantile(np.abs(inside[0] - handed_in[0]), 0.9) < 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_what_is_constant_is_no_input_any_more(name: str) -> None:
    model = model_file(name).read_bytes()
    defaults = session(model)
    constants = {value.name: None for value in defaults.get_overridable_initializers()}
    assert set(constants) == set(OPTIONAL_INPUTS)
    shapes = {value.name: value.shape for value in defaults.get_overridable_initializers()}
    zeros = {key: np.zeros(shape, dtype=np.float32) for key, shape in shapes.items()}
    assert session(with_constants(model, zeros)).get_overridable_initializers() == []
    assert {v.name for v in session(with_constants(model, zeros)).get_inputs()} == {"joint_position", "tip_target"}


def test_a_model_without_changes_is_the_same_bytes() -> None:
    model = model_file("planar_2r").read_bytes()
    assert with_constants(model, {}) == model


@pytest.mark.parametrize("size", [0, 1, 100, 123, 124, 125, 126, 127, 128, 129, 300, 16_370, 16_379, 16_380, 16_384])
def test_a_graph_of_any_length_is_wrapped_as_the_library_of_onnx_wraps_it(size: int) -> None:
    model = onnx.ModelProto(ir_version=-1, graph=onnx.GraphProto(name="x" * size)).SerializeToString()
    assert with_constants(model, {}) == model


def test_fields_of_every_wire_type_are_passed_over_by_their_own_length() -> None:
    """Fields that no version of ONNX has yet, before a graph."""
    graph = onnx.ModelProto(graph=onnx.GraphProto(name="x")).SerializeToString()
    number, of_eight, of_four = b"\xc0\x3e\xff\x01", b"\xc1\x3e" + b"\xff" * 8, b"\xc5\x3e" + b"\xff" * 4
    for model in (number + graph, of_eight + graph, of_four + graph, number + of_eight + of_four + graph):
        onnx.ModelProto.FromString(model)  # well formed
        assert with_constants(model, {}) == model


@pytest.mark.parametrize(
    "model", [b"\x80", b"\x08\x80", b"\x3a\x80", b"\xff" * 11], ids=["key", "value", "size", "endless"]
)
def test_a_number_that_is_cut_off_or_does_not_end_is_refused(model: bytes) -> None:
    with pytest.raises(ValueError, match="a number is cut off"):
        with_constants(model, {})


@pytest.mark.parametrize("kind", [3, 4, 6, 7])
def test_a_field_of_a_wire_type_that_onnx_does_not_use_is_refused(kind: int) -> None:
    with pytest.raises(ValueError, match=f"unknown wire type {kind}"):
        with_constants(bytes([1 << 3 | kind]), {})


@pytest.mark.parametrize("length", [10, 1000, 10_000])
def test_cut_off_bytes_are_refused(length: int) -> None:
    model = model_file("allegro_right").read_bytes()[:length]
    with pytest.raises(ValueError, match="cut off"):
        with_constants(model, {"tip_offset": np.zeros((4, 3), dtype=np.float32)})


def test_constants_that_the_model_does_not_know_or_of_another_size_are_refused() -> None:
    model = model_file("allegro_right").read_bytes()
    with pytest.raises(ValueError, match="no initializers thumb"):
        with_constants(model, {"thumb": np.zeros(3, dtype=np.float32)})
    with pytest.raises(ValueError, match=r"has \[48\] bytes, must have \[36\]"):
        with_constants(model, {"tip_offset": np.zeros((3, 3), dtype=np.float32)})


@pytest.mark.parametrize("name", MODELS)
def test_of_some_outputs_alone_a_model_gives_the_same_and_has_no_nodes_for_others(name: str) -> None:
    whole = onnx.load(model_file(name))
    for output in ("joint_position_next", "tip_position"):
        model = with_outputs(whole.SerializeToString(), [output])
        # the library of onnx cuts a model, too
        expected = onnx.utils.Extractor(whole).extract_model([i.name for i in whole.graph.input], [output])
        left = onnx.load_from_string(model).graph
        assert [node.output for node in left.node] == [node.output for node in expected.graph.node]
        assert len(left.node) < len(whole.graph.node)
        assert [value.name for value in left.output] == [output]


def test_a_model_of_all_its_outputs_is_the_same_bytes() -> None:
    model = model_file("allegro_right").read_bytes()
    assert with_outputs(model, ["joint_position_next", "tip_position"]) == model
