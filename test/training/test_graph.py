"""The recorded graph gives what numpy gives for the same expression; onnx's reference runtime is the judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from nnik_ros.training.graph import Graph

TABLE = np.array([[2, 0], [1, 3]])
EXPRESSIONS: dict[str, Callable[[Any, Any], Any]] = {
    "gather": lambda xp, x: x[..., TABLE],
    "gather with a new axis": lambda xp, x: x[..., TABLE[:, None]][..., None, :],
    "integer and slices": lambda xp, x: x[:, 1, 1:3],
    "stepped slice": lambda xp, x: x[..., ::2],
    "new axes around": lambda xp, x: x[:, None, :, None] * x[:, :, None, :, None][:, 0, None],
    "arithmetic from both sides": lambda xp, x: 2.0 - x / (1.5 + x * x) - 1.0 + 3.0 * x,
    "array on the left": lambda xp, x: np.arange(4.0) + x,
    "products": lambda xp, x: x @ np.eye(4, 3) @ np.ones((3, 4)),
    "concatenation": lambda xp, x: xp.concatenate([x[..., 1:], x], -1),
    "arc tangent": lambda xp, x: np.arctan(x) if xp is np else xp.atan(x),
    "swapped axes": lambda xp, x: xp.swapaxes(x, -1, -2),
    "functions": lambda xp, x: (
        xp.sin(x) + xp.cos(x) + xp.sqrt(x * x + 1.0) + xp.log(x * x + 1.0) + xp.minimum(x, 0.2) + xp.maximum(x, 0.1)
    ),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_recorded_expression_equals_numpy(name: str) -> None:
    rng = np.random.default_rng(3)
    graph = Graph()
    x = graph.input("x", rng.normal(size=(2, 3, 4)).astype(np.float32))
    model = graph.model({"y": EXPRESSIONS[name](graph, x)}, "test")
    given = rng.normal(size=(5, 3, 4)).astype(np.float32)  # another batch than the recorded one
    (got,) = ReferenceEvaluator(model).run(None, {"x": given})
    np.testing.assert_allclose(got, EXPRESSIONS[name](np, given), rtol=1e-5, atol=1e-6)


def test_arithmetic_of_constants_and_unused_results_leave_no_nodes() -> None:
    graph = Graph()
    x = graph.input("x", np.ones((2, 3), dtype=np.float32))
    constant = graph.sin(graph.asarray(np.ones(3))) * 2.0
    graph.cos(x)
    assert [node.op_type for node in graph.model({"y": x * constant}, "test").graph.node] == ["Mul"]


def test_a_split_gives_the_pieces_in_order() -> None:
    graph = Graph()
    x = graph.input("x", np.zeros((2, 5), dtype=np.float32))
    first, second = graph.split(x, [2, 3], -1)
    model = graph.model({"a": first, "b": second}, "test")
    given = np.arange(5.0, dtype=np.float32)[None]
    a, b = ReferenceEvaluator(model).run(None, {"x": given})
    assert a.tolist() == [[0, 1]] and b.tolist() == [[2, 3, 4]]


def test_a_product_with_a_sum_is_one_node() -> None:
    graph = Graph()
    x = graph.input("x", np.ones((2, 3), dtype=np.float32))
    model = graph.model({"y": graph.addmm(np.arange(2.0), x, np.eye(3, 2))}, "test")
    given = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    (got,) = ReferenceEvaluator(model).run(None, {"x": given})
    assert [node.op_type for node in model.graph.node] == ["Gemm"]
    assert got.tolist() == [[0, 2], [3, 5]]


def test_sums_of_squares_and_bent_lines_equal_their_formulas() -> None:
    graph = Graph()
    x = graph.input("x", np.ones((2, 3), dtype=np.float32))
    outputs = {"a": graph.sum_of_squares(x), "b": graph.softsign(x), "c": graph.hard_sigmoid(x, 2.0, 0.5)}
    given = np.array([[-1.0, 0.1, 3.0]], dtype=np.float32)
    a, b, c = ReferenceEvaluator(graph.model(outputs, "test")).run(None, {"x": given})
    np.testing.assert_allclose(a, [[10.01]], rtol=1e-6)
    np.testing.assert_allclose(b, [[-0.5, 0.1 / 1.1, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(c, [[0.0, 0.7, 1.0]], rtol=1e-6)


@pytest.mark.parametrize(("shift", "wanted"), [(0.0, 2.0), (1e-6, 3.0), (np.nan, 3.0)])
def test_a_choice_is_made_by_whether_a_constant_was_given_another_value(shift: float, wanted: float) -> None:
    graph = Graph()
    x = graph.input("x", np.ones((2, 3), dtype=np.float32))
    default = np.linspace(0.0, 1.0, 4).astype(np.float32)
    constant = graph.optional_input("constant", default)
    y = graph.choose(graph.differ(constant, default), lambda: x * 3.0, lambda: x * 2.0)
    model = graph.model({"y": y + 0.0}, "test")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"x": np.ones((1, 3), dtype=np.float32), "constant": default + np.float32(shift)})
    assert got.tolist() == [[wanted] * 3]
    (got,) = session.run(None, {"x": np.ones((1, 3), dtype=np.float32)})
    assert got.tolist() == [[2.0] * 3]
