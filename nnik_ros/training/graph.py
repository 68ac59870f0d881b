"""Records array arithmetic as an ONNX graph: `Graph` is an array namespace like numpy or torch, of the few functions that
the kinematics and the step use. One source thus runs in training and is written into the file, node for node.

Every `Value` carries an example computed by numpy alongside, from which shapes are known and constants are folded.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

IR_VERSION, OPSET = 8, 17  # old enough for every onnxruntime since 1.12
_Key = int | slice | None | EllipsisType | NDArray[np.int64]


class Graph:
    """An array namespace (`xp`) that records. Axes are never the batch axis unless said so; its size is left open."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._count = itertools.count()
        self._initializers: dict[str, NDArray[Any]] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._shared: dict[tuple[str, bytes, tuple[int, ...]], str] = {}

    def input(self, name: str, example: NDArray[np.float32]) -> Value:
        """An input whose first axis is the batch."""
        self._inputs.append(_info(name, ("batch", *example.shape[1:])))
        return Value(self, example, name)

    def optional_input(self, name: str, default: NDArray[np.float32]) -> Value:
        """An input that may be left out; never folded, so that what is handed in reaches the result."""
        self._inputs.append(_info(name, default.shape))
        self._initializers[name] = default
        return Value(self, default, name)

    def named(self, name: str, constant: NDArray[np.float32]) -> Value:
        """A constant that is found again in the file by its name."""
        self._initializers[name] = constant
        return Value(self, constant, name)

    def model(self, outputs: dict[str, Value], name: str) -> onnx.ModelProto:
        """The recorded arithmetic with `outputs` (first axis: batch), without what they do not need."""
        names = {value.name: key for key, value in outputs.items()}
        nodes = [_renamed(node, names) for node in _needed(self._nodes, set(names))]
        used = {name for node in nodes for name in _inputs(node)}
        initializers = [
            numpy_helper.from_array(array, key)
            for key, array in self._initializers.items()
            if key in used or any(key == value.name for value in self._inputs)
        ]
        infos = [_info(key, ("batch", *value.example.shape[1:])) for key, value in outputs.items()]
        graph = helper.make_graph(nodes, name, self._inputs, infos, initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model

    def asarray(self, value: Any, dtype: Any = None) -> Value:
        return value if isinstance(value, Value) else Value(self, np.asarray(value, dtype=np.float32))

    def addmm(self, c: Any, x: Value, matrix: Any) -> Value:
        """c + x matrix, of arrays of two axes (c may have one)."""
        c, matrix = self.asarray(c), self.asarray(matrix)
        return self.record("Gemm", x.example @ matrix.example + c.example, x, matrix, c)

    def sum_of_squares(self, x: Value) -> Value:
        """Over the last axis, which is kept."""
        example = (x.example * x.example).sum(-1, keepdims=True)
        return self.record("ReduceSumSquare", example, x, axes=[_from_end(-1, x.example.ndim)], keepdims=1)

    def length(self, x: Value) -> Value:
        """Of vectors along the last axis, which is kept."""
        example = np.linalg.norm(x.example, axis=-1, keepdims=True)
        return self.record("ReduceL2", example, x, axes=[_from_end(-1, x.example.ndim)], keepdims=1)

    def softsign(self, x: Value) -> Value:
        """x / (1 + |x|)."""
        return self.record("Softsign", x.example / (1.0 + np.abs(x.example)), x)

    def differ(self, x: Value, y: Any) -> Value:
        """Whether any entry of x is another one than in y (or is not a number)."""
        difference = x - y
        example = np.abs(difference.example).sum()
        whole = self.record("ReduceL1", example, difference, keepdims=0)
        return self.record("Cast", np.asarray(example != 0), whole, to=TensorProto.BOOL)

    def hard_sigmoid(self, x: Value, slope: float, offset: float) -> Value:
        """slope x + offset, within [0, 1]."""
        example = np.clip(slope * x.example + offset, 0.0, 1.0)
        return self.record("HardSigmoid", example, x, alpha=slope, beta=offset)

    def choose(self, condition: Value, yes: Callable[[], Value], no: Callable[[], Value]) -> Value:
        """The result of one of two recordings, of which only that one is evaluated."""
        branches, examples = {}, []
        for name, record in (("then_branch", yes), ("else_branch", no)):
            outside, self._nodes = self._nodes, []
            value = record()
            if not any(
                value.name in node.output for node in self._nodes
            ):  # recorded before: a branch has outputs of its own
                value = self.record("Identity", value.example, value)
            nodes, self._nodes = self._nodes, outside
            info = _info(value.name, ("batch", *value.example.shape[1:]))
            branches[name] = helper.make_graph(_needed(nodes, {value.name}), name, [], [info])
            examples.append(value.example)
        return self.record("If", examples[0 if condition.example else 1], condition, **branches)

    def sin(self, x: Value) -> Value:
        return self.record("Sin", np.sin(x.example), x)

    def cos(self, x: Value) -> Value:
        return self.record("Cos", np.cos(x.example), x)

    def atan(self, x: Value) -> Value:
        return self.record("Atan", np.arctan(x.example), x)

    def sqrt(self, x: Value) -> Value:
        return self.record("Sqrt", np.sqrt(x.example), x)

    def log(self, x: Value) -> Value:
        return self.record("Log", np.log(x.example), x)

    def tanh(self, x: Value) -> Value:
        return self.record("Tanh", np.tanh(x.example), x)

    def sigmoid(self, x: Value) -> Value:
        return self.record("Sigmoid", (1.0 / (1.0 + np.exp(-x.example))).astype(np.float32), x)

    def relu(self, x: Value) -> Value:
        return self.record("Relu", np.maximum(x.example, 0.0), x)

    def sign(self, x: Value) -> Value:
        return self.record("Sign", np.sign(x.example), x)

    def minimum(self, x: Value, y: Any) -> Value:
        y = self.asarray(y)
        return self.record("Min", np.minimum(x.example, y.example), x, y)

    def maximum(self, x: Value, y: Any) -> Value:
        y = self.asarray(y)
        return self.record("Max", np.maximum(x.example, y.example), x, y)

    def sum(self, x: Value, axis: int, keepdim: bool = False) -> Value:
        axes = self.integers([_from_end(axis, x.example.ndim)])
        return self.record("ReduceSum", x.example.sum(axis, keepdims=keepdim), x, axes, keepdims=int(keepdim))

    def swapaxes(self, x: Value, first: int, second: int) -> Value:
        order = list(range(x.example.ndim))
        order[first], order[second] = order[second], order[first]
        return self.record("Transpose", np.swapaxes(x.example, first, second), x, perm=order)

    def reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        return self.record("Reshape", x.example.reshape(shape), x, self.integers(shape))

    def concatenate(self, values: Sequence[Value], axis: int) -> Value:
        rank = max(value.example.ndim for value in values)
        result = np.concatenate([value.example for value in values], axis)
        return self.record("Concat", result, *values, axis=_from_end(axis, rank))

    def split(self, x: Value, sizes: Sequence[int], axis: int) -> list[Value]:
        """Pieces of `sizes` along a (negative) axis."""
        axis = _from_end(axis, x.example.ndim)
        number = next(self._count)
        pieces = np.split(x.example, np.cumsum(sizes)[:-1], axis)
        values = [Value(self, np.ascontiguousarray(piece), f"split_{number}_{i}") for i, piece in enumerate(pieces)]
        inputs = [x.name, self.integers(sizes).name]
        self._nodes.append(helper.make_node("Split", inputs, [value.name for value in values], axis=axis))
        return values

    def integers(self, values: Sequence[int] | NDArray[np.int64]) -> Value:
        return Value(self, np.asarray(values, dtype=np.int64))

    def record(self, kind: str, example: NDArray[Any], *inputs: Value, **attributes: Any) -> Value:
        """One node, or a constant when nothing variable goes in. example: the node's result for the inputs' examples."""
        if all(value.constant for value in inputs):
            return Value(self, example)
        name = f"{kind.lower()}_{next(self._count)}"
        self._nodes.append(helper.make_node(kind, [value.name for value in inputs], [name], **attributes))
        return Value(self, example, name)

    def name_of(self, constant: NDArray[Any]) -> str:
        """The initializer of a constant; equal constants share one."""
        key = (str(constant.dtype), constant.tobytes(), constant.shape)
        if key not in self._shared:
            self._shared[key] = f"constant_{len(self._shared)}"
            self._initializers[self._shared[key]] = constant
        return self._shared[key]


class Value:
    """One array of the graph; `name` is None in a constant that no node has used yet."""

    __array_ufunc__ = None  # numpy arrays on the left leave the arithmetic to this class

    def __init__(self, graph: Graph, example: NDArray[Any], name: str | None = None) -> None:
        self.graph = graph
        self.example = example if example.dtype in (np.int64, np.bool_) else np.asarray(example, dtype=np.float32)
        self.constant = name is None
        self._name = name

    @property
    def name(self) -> str:
        if self._name is None:
            self._name = self.graph.name_of(self.example)
        return self._name

    @property
    def dtype(self) -> Any:
        return self.example.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.example.shape

    def __add__(self, other: Any) -> Value:
        return self._binary("Add", np.add, self, other)

    def __sub__(self, other: Any) -> Value:
        return self._binary("Sub", np.subtract, self, other)

    def __rsub__(self, other: Any) -> Value:
        return self._binary("Sub", np.subtract, other, self)

    def __mul__(self, other: Any) -> Value:
        return self._binary("Mul", np.multiply, self, other)

    def __truediv__(self, other: Any) -> Value:
        return self._binary("Div", np.divide, self, other)

    def __matmul__(self, other: Any) -> Value:
        return self._binary("MatMul", np.matmul, self, other)

    __radd__, __rmul__ = __add__, __mul__

    def __getitem__(self, key: _Key | tuple[_Key, ...]) -> Value:
        keys = _without_ellipsis(key if isinstance(key, tuple) else (key,), self.example.ndim)
        value = _slice(self, [k for k in keys if k is not None])
        for axis, k in reversed(list(enumerate(k for k in keys if k is not None))):
            if not isinstance(k, slice):
                index = np.asarray(k, dtype=np.int64)
                example = np.take(value.example, index, axis)
                value = self.graph.record("Gather", example, value, self.graph.integers(index), axis=axis)
        new_axes, place = [], 0
        for k in keys:
            if k is None:
                new_axes.append(place)
            place += 1 if k is None or isinstance(k, slice) else np.ndim(k)
        if not new_axes:
            return value
        example = np.expand_dims(value.example, tuple(new_axes))
        return self.graph.record("Unsqueeze", example, value, self.graph.integers(new_axes))

    def _binary(self, kind: str, function: Any, left: Any, right: Any) -> Value:
        a, b = self.graph.asarray(left), self.graph.asarray(right)
        return self.graph.record(kind, function(a.example, b.example), a, b)


def _without_ellipsis(keys: tuple[Any, ...], rank: int) -> list[Any]:
    """The same index with every axis named."""
    missing = rank - sum(1 for k in keys if k is not None and k is not Ellipsis)
    full = [piece for k in keys for piece in ([slice(None)] * missing if k is Ellipsis else [k])]
    return full + [slice(None)] * (rank - sum(1 for k in full if k is not None))


def _slice(value: Value, keys: list[Any]) -> Value:
    """All slices of an index in one node."""
    cut = [
        (axis, k.indices(value.shape[axis])) for axis, k in enumerate(keys) if isinstance(k, slice) and k != slice(None)
    ]
    if not cut:
        return value
    example = value.example[tuple(k if isinstance(k, slice) else slice(None) for k in keys)]
    starts, ends, steps = zip(*(extent for _, extent in cut), strict=True)
    extents = [value.graph.integers(numbers) for numbers in (starts, ends, [axis for axis, _ in cut], steps)]
    return value.graph.record("Slice", example, value, *extents)


def _needed(nodes: list[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """The nodes that `wanted` depends on, in their order."""
    kept = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= _inputs(node)
            kept.append(node)
    return kept[::-1]


def _inputs(node: onnx.NodeProto) -> set[str]:
    """Names that a node needs, those inside its branches included."""
    branches = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    return set(node.input).union(*(_inputs(inner) for branch in branches for inner in branch.node))


def _renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    renamed = onnx.NodeProto()
    renamed.CopyFrom(node)
    renamed.input[:] = [names.get(name, name) for name in node.input]
    renamed.output[:] = [names.get(name, name) for name in node.output]
    return renamed


def _info(name: str, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _from_end(axis: int, rank: int) -> int:
    return axis % rank
