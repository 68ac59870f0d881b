"""What the documents say is what the code does."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nnik_ros.states import TipState

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "models").glob("*.md"),
        *(ROOT / "config").rglob("*.md"),
    ]
)


@pytest.fixture
def tables() -> Any:
    """The program that makes them."""
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_readme_are_those_of_the_code(tables: Any) -> None:
    text = (ROOT / "README.md").read_text()
    assert text == tables.with_tables(text), "run PYTHONPATH=. .venv/jazzy/bin/python docs/make_tables.py"


def test_the_tables_are_not_written_by_who_asks_how_they_are_made(tables: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "with_tables", lambda text: pytest.fail("made the tables"))
    with pytest.raises(SystemExit):
        tables.main(["--help"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text())
    missing = [t for t in targets if not t.startswith("http") and not (document.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_section_leads_to_its_heading(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]*)\)", document.read_text())
    assert [link for link in links if link[1] not in headings(document.parent / link[0] if link[0] else document)] == []


def headings(document: Path) -> set[str]:
    """As GitHub names them in links."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_topics_are_recorded_by_name_as_every_distribution_takes_them() -> None:
    paths = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]
    texts = [path.read_text() for path in paths]
    commands = re.findall(r"ros2 bag record ([^\n`#]*)", "\n".join(texts))
    assert len(commands) >= 4
    for command in commands:  # after Jazzy topics without an option before them are deprecated
        assert re.fullmatch(r"(-o \w+ )?(-a|--topics)\b.*", command), command


def test_every_command_that_the_readme_names_exists() -> None:
    listed = subprocess.run([sys.executable, ROOT / "run", "help"], capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"\./run ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named <= {line.split()[0] for line in listed.splitlines() if line.startswith("  ")}


def test_the_readme_says_of_every_state_in_which_a_hand_may_stand_what_to_do() -> None:
    section = (ROOT / "README.md").read_text().partition("## It does not move")[2].partition("\n## ")[0]
    told = {name for row in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE) for name in re.findall(r"\w+", row)}
    moving = {"TRACKING"}
    of_the_node = {"INACTIVE"}  # of a controller whose loop does not run
    assert told == {state.name for state in TipState} - moving | of_the_node
