"""Compiles the arithmetic of the control tick with numba, where there is numba; else Python runs the same lines, slower.

Compiled when the module is imported, for the given types only, so that no tick ever waits for the compiler, and kept in
numba's cache, so that only the first import of a version takes its time. `NUMBA_DISABLE_JIT=1` runs the lines uncompiled,
which gives the same numbers.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

try:
    import numba
except ImportError:  # as documented in the README: correct, but too slow for the full rate
    numba = None

_F = TypeVar("_F", bound=Callable[..., Any])

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# arrays that a function only reads, in signatures: of floats, integers and truth values, by their dimensions
F1, F2, F3, F4 = (f"Array(float64, {n}, 'C', readonly=True)" for n in (1, 2, 3, 4))
I1, I2 = (f"Array(int64, {n}, 'C', readonly=True)" for n in (1, 2))
B1 = "Array(boolean, 1, 'C', readonly=True)"

_SOURCES = Path(__file__).with_name("kernels")
COMPILED = numba is not None and not numba.config.DISABLE_JIT


def compiled(signature: str) -> Callable[[_F], _F]:
    """Decorator: compile a function for numba's `signature`. Arrays are contiguous; a division by zero gives inf or nan."""

    def decorate(function: _F) -> _F:
        if not COMPILED:
            return function
        try:
            with _own_cache():
                result: Any = numba.njit(signature, cache=True, error_model="numpy")(function)
        except RuntimeError:  # no folder to write the cache to
            result = numba.njit(signature, error_model="numpy")(function)
        if not result.stats.cache_hits:
            _tell()
        return result  # type: ignore[no-any-return]

    return decorate


@contextmanager
def _own_cache() -> Iterator[None]:
    """A folder of numba's cache for exactly these sources and this way to compile them: numba itself looks for changes in a
    function's own module only, not in what it calls or is compiled by. A folder that the user chose (NUMBA_CACHE_DIR) stays in
    force, and numba falls back to its own choice where this one cannot be written to."""
    chosen = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(Path(chosen or _SOURCES.parent / "__pycache__") / f"kernels-{_digest()}")
    try:
        yield
    finally:
        numba.config.CACHE_DIR = chosen


@cache
def _digest() -> str:
    sources = (Path(__file__), *sorted(_SOURCES.glob("*.py")))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


@cache
def _tell() -> None:
    """Once: why the first import takes long."""
    print(
        "nnik_ros: the loops of a tick are compiled by numba, once; this takes some seconds",
        file=sys.stderr,
        flush=True,
    )
