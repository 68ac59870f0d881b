"""Writes the generated tables of README.md: parameters from the code, networks from models/README.md."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from nnik_ros.controller_options import ControllerOptions
from nnik_ros.nodes.node_options import NodeOptions
from nnik_ros.options import OptionInfo, describe

ROOT = Path(__file__).resolve().parents[1]


def parameters() -> str:
    """One row for each parameter of the controller node."""
    rows = ["| Parameter | Default | Unit | Allowed | Live | |", "|---|---|---|---|---|---|"]
    for info in [*describe(NodeOptions), *describe(ControllerOptions)]:
        default = str(info.plain).lower() if info.type is bool else str(info.plain)
        live = "yes" if info.live else ""
        rows.append(
            f"| `{info.name}` | {default or '(empty)'} | {info.unit} | {_allowed(info)} | {live} | {info.doc} |"
        )
    return "\n".join(rows)


def networks() -> str:
    """The table of models/README.md."""
    lines = (ROOT / "models" / "README.md").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("|"))


def with_tables(text: str) -> str:
    """README.md with its tables made anew."""
    for name, table in (("parameters", parameters()), ("networks", networks())):
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{table}\n{end}{after}"
    return text


def _allowed(info: OptionInfo) -> str:
    if info.choices:
        return ", ".join(info.choices)
    several = ", one or several" if info.many else ""
    return f"{info.low:g} to {info.high:g}{several}" if info.type in (int, float) else ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Rewrite README.md in place."""
    argparse.ArgumentParser(prog="make_tables", description=__doc__).parse_args(arguments)
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
