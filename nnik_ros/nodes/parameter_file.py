"""Which values of a ROS parameter file a node gets, by rcl's rules, for whoever has to know them before the node runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


def parameters_of(path: Path, node: str, *, by_name: bool = False) -> dict[str, Any]:
    """Values for `node`, a full name such as '/left/controller': of all sections that match it, a later one over an earlier.
    by_name: of those that end with its own name alone, for '/**' may be meant for another node.

    Nothing of a file that is no parameter file; that is told by the node that is started with it.
    """
    found: dict[str, Any] = {}
    own = node[node.rindex("/") :] if by_name else ""
    for name, values in _sections(_document(path), ""):
        if name.endswith(own) and re.fullmatch(_pattern(name), node):
            found.update(values)
    return found


def sections_of_others(path: Path, nodes: Sequence[str]) -> list[str]:
    """The names of all sections of a file in which none is for any of the nodes: rcl passes over such a file without a word.
    Empty where one is for them, and of no parameter file."""
    names = [name for name, _ in _sections(_document(path), "")]
    return [] if any(re.fullmatch(_pattern(name), node) for name in names for node in nodes) else names


def with_last_word(values: Mapping[str, Any], node: str, files: Iterable[Path]) -> str:
    """The text of a parameter file whose values go before all of `files`, if it is given to `node` after them.

    rcl puts sections of one name together and takes them in the order in which their names came first, so that what comes last
    in a section of a name that was there before, as '/**' is after any `-p`, may be overruled by a section between the two.
    """
    taken = {name for file in files for name, _ in _sections(_document(file), "")}
    section = node
    while section in taken:
        section = f"/**{section}"  # which is the same node
    # quotes every text, and is YAML, but for how it escapes what lies beyond 16 bits, and control characters that it leaves
    text = json.dumps({section: {"ros__parameters": dict(values)}}, indent=2, ensure_ascii=False, default=str)
    return re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _document(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _sections(tree: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Full names, with wildcards, and values. Namespaces may be levels of their own, and no name needs a leading '/'."""
    for key, branch in tree.items() if isinstance(tree, dict) else ():
        if key != "ros__parameters":
            yield from _sections(branch, f"{name}/{str(key).removeprefix('/')}")
        elif isinstance(branch, dict):
            yield name, branch


def _pattern(name: str) -> str:
    """'*' is one word of a full name, '**' any number of them, none included."""
    return re.escape(name).replace(r"/\*\*", r"(/\w+)*").replace(r"/\*", r"/\w+")
