"""Compiles the arithmetic of the control tick with numba, where there is numba; else Python runs the same lines, slower.

Compiled when the module is imported, for the given types only, so that no tick ever waits for the compiler, and kept in
numba's cache, so that only the first import of a version takes its time. `NUMBA_DISABLE_JIT=1` runs the lines uncompiled,
which gives the same numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

try:
    import numba
except ImportError:  # as documented in the README: correct, but too slow for the full rate
    numba = None

_F = TypeVar("_F", bound=Callable[..., Any])

Array = NDArray[np.float64]

# arrays that a function only reads, in signatures: of floats, integers and truth values, by their dimensions
F1, F2, F3, F4 = (f"Array(float64, {n}, 'C', readonly=True)" for n in (1, 2, 3, 4))
I1, I2 = (f"Array(int64, {n}, 'C', readonly=True)" for n in (1, 2))
B1 = "Array(boolean, 1, 'C', readonly=True)"

COMPILED = numba is not None and not numba.config.DISABLE_JIT


def compiled(signature: str) -> Callable[[_F], _F]:
    """Decorator: compile a function for numba's `signature`. Arrays are contiguous; a division by zero gives inf or nan.

    A compiled function may call compiled functions of its own module only: numba's cache does not see changes elsewhere.
    """

    def decorate(function: _F) -> _F:
        if not COMPILED:
            return function
        try:
            result: Any = numba.njit(signature, cache=True, error_model="numpy")(function)
        except RuntimeError:  # no folder to write the cache to
            result = numba.njit(signature, error_model="numpy")(function)
        _tell(function.__module__, bool(result.stats.cache_hits))
        return result  # type: ignore[no-any-return]

    return decorate


_told: set[str] = set()


def _tell(module: str, cached: bool) -> None:
    """Once for each module: why its import takes long."""
    if not cached and module not in _told:
        print(f"{module}: compiled by numba, once; this takes some seconds", file=sys.stderr, flush=True)
        _told.add(module)
