"""Every peer that can be loaded here, and the reason of every other one."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

from benchmarks import peers_other, peers_qp
from benchmarks.solver import Absent, Scene, Solver

PEERS: dict[str, Callable[[Scene], Solver]] = {
    "placo": peers_qp.placo,
    "pink": peers_qp.pink,
    "mink": peers_qp.mink,
    "pinocchio + DLS": peers_other.pinocchio,
    "roboticstoolbox": peers_other.roboticstoolbox,
    "dex-retargeting": peers_other.dex_retargeting,
    "dex-retargeting (default)": peers_other.dex_default,
}
NOT_HERE = (
    Absent("PyKDL", "no wheel exists, and the distributions' build for numpy 1 crashes beside numpy 2"),
)  # fmt: skip


def load_peers(scene: Scene) -> tuple[list[Solver], list[Absent]]:
    """All peers for the hand of `scene`."""
    found: list[Solver] = []
    absent = list(NOT_HERE)
    for name, make in PEERS.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                found.append(make(scene))
        except (ImportError, OSError) as error:
            absent.append(Absent(name, f"cannot be loaded: {error}"))
    return found, absent
