"""Fits the bytes of an ONNX file to what a policy asks of it, for which onnxruntime alone has no function.

A geometry that may be handed in with every step is computed anew with every step. What a policy knows when it is loaded is
therefore written into the file's bytes in memory, and onnxruntime computes everything that follows from it once, while loading.
What a policy never asks for is taken out: onnxruntime would compute it, or look with every step for what it may leave out.
The format is that of protocol buffers: https://protobuf.dev/programming-guides/encoding, with the field numbers of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

_GRAPH = 7  # of ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12  # of GraphProto
_NODE_INPUT, _NODE_OUTPUT, _ATTRIBUTE, _BRANCH = 1, 2, 5, 6  # of NodeProto, and of its AttributeProto
_VALUE_NAME, _TENSOR_NAME, _RAW_DATA, _EXTERNAL_DATA = 1, 8, 9, 13  # of ValueInfoProto and TensorProto
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types


def with_constants(model: bytes, constants: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The same model, in which the optional inputs of these names are constants.

    Raises:
        ValueError: the bytes are no protocol buffer, an input's default is not stored as raw bytes of this size, or weights
            are in another file: bytes have no folder, and onnxruntime would take a file of that name from the working folder.
    """
    return _with_graph(model, lambda graph: _graph(graph, constants))


def with_outputs(model: bytes, names: Collection[str]) -> bytes:
    """The same model with these of its outputs alone, and what they need.

    Raises:
        ValueError: the bytes are no protocol buffer.
    """
    return _with_graph(model, lambda graph: _needed(graph, set(names)))


def _with_graph(model: bytes, changed: Callable[[bytes], bytes]) -> bytes:
    return b"".join(
        _wrapped(number, changed(body)) if number == _GRAPH else whole for number, body, whole in _fields(model)
    )


def _needed(graph: bytes, wanted: set[str]) -> bytes:
    """From the end: a node stands after all that it needs."""
    parts = []
    for number, body, whole in reversed(list(_fields(graph))):
        if number == _OUTPUT and _text(body, _VALUE_NAME) not in wanted:
            continue
        if number == _NODE:
            if wanted.isdisjoint(_texts(body, _NODE_OUTPUT)):
                continue
            wanted |= _uses(body)
        parts.append(whole)
    return b"".join(reversed(parts))


def _uses(node: bytes) -> set[str]:
    """Names that a node needs, those inside its branches included."""
    attributes = [body for number, body, _ in _fields(node) if number == _ATTRIBUTE]
    branches = [body for attribute in attributes for number, body, _ in _fields(attribute) if number == _BRANCH]
    inner = [body for branch in branches for number, body, _ in _fields(branch) if number == _NODE]
    return set(_texts(node, _NODE_INPUT)).union(*map(_uses, inner))


def _graph(graph: bytes, constants: Mapping[str, NDArray[np.float32]]) -> bytes:
    parts, written = [], set()
    for number, body, whole in _fields(graph):
        if number == _INPUT and _text(body, _VALUE_NAME) in constants:
            continue
        name = _text(body, _TENSOR_NAME) if number == _INITIALIZER else ""
        if name and any(n == _EXTERNAL_DATA for n, _, _ in _fields(body)):
            raise ValueError(f"{name} is in another file, must be in this one (external data)")
        if name in constants:
            whole = _wrapped(number, _tensor(body, constants[name]))
            written.add(name)
        parts.append(whole)
    if missing := sorted(constants.keys() - written):
        raise ValueError(f"no initializers {', '.join(missing)}")
    return b"".join(parts)


def _tensor(tensor: bytes, array: NDArray[np.float32]) -> bytes:
    data = np.ascontiguousarray(array, dtype="<f4").tobytes()
    sizes = [len(body) for number, body, _ in _fields(tensor) if number == _RAW_DATA]
    if sizes != [len(data)]:
        raise ValueError(f"a constant has {sizes} bytes, must have [{len(data)}]")
    return b"".join(_wrapped(n, data) if n == _RAW_DATA else whole for n, _, whole in _fields(tensor))


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, content and whole encoding of each field."""
    start = 0
    while start < len(message):
        key, at = _varint(message, start)
        kind = key & 7
        if kind == _VARINT:
            _, end = _varint(message, at)
        elif kind == _BYTES:
            size, at = _varint(message, at)
            end = at + size
        elif kind in (_EIGHT, _FOUR):
            end = at + (8 if kind == _EIGHT else 4)
        else:
            raise ValueError(f"unknown wire type {kind}")
        if end > len(message):
            raise ValueError("a field is cut off")
        yield key >> 3, message[at:end], message[start:end]
        start = end


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that starts there, and where it ends."""
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
    raise ValueError("a number is cut off")


def _wrapped(number: int, body: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(body)) + body


def _encoded(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _text(message: bytes, number: int) -> str:
    return "".join(_texts(message, number))


def _texts(message: bytes, number: int) -> list[str]:
    return [body.decode() for n, body, _ in _fields(message) if n == number]
