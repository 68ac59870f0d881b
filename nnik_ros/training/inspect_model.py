"""Print what a network promises: `python -m nnik_ros.training.inspect_model MODEL`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from nnik_ros.contract import Contract
from nnik_ros.errors import NnikError
from nnik_ros.onnx_policy import read_contract
from nnik_ros.paths import model_file
from nnik_ros.training.compare import parameter_count


def describe(contract: Contract, path: Path) -> str:
    """The contract as text: robot, joints with limits, tips with their range, file, provenance."""
    graph = onnx.load(path).graph
    lines = [
        f"{path.name}: schema {contract.schema}, robot {contract.robot}, base frame {contract.base_frame}",
        f"kinematics {contract.kinematics_digest}",
        f"{len(graph.node)} nodes, {parameter_count(path)} trained parameters, probe of {len(contract.probe.joint_position)}",
        "joints [rad]:",
    ]
    limits = zip(contract.joint_names, contract.lower, contract.upper, strict=True)
    lines += [f"  {name:24} {low:9.4f} .. {high:9.4f}" for name, low, high in limits]
    lines.append("tips, range of random joint positions [m]:")
    for name, low, high in zip(contract.tip_names, *np.array(contract.trained_range), strict=True):
        box = ", ".join(f"{axis} {a:.4f} .. {b:.4f}" for axis, a, b in zip("xyz", low, high, strict=True))
        lines.append(f"  {name:24} {box}")
    lines.append("provenance:")
    for key, value in contract.provenance.items():
        text = value if isinstance(value, str) else json.dumps(value)
        indented = "".join(f"\n    {line}" for line in text.splitlines())
        lines.append(f"  {key}:{indented}" if "\n" in text else f"  {key}: {text}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="inspect", description="Print the contract of a network.")
    parser.add_argument("model", metavar="MODEL", help="a shipped network by its name, or a file")
    try:
        path = model_file(parser.parse_args(arguments).model)
        print(describe(read_contract(path), path))
        return 0
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
