"""The commands that the pages tell to type are typed here: the demo's and the replay's for real, the options of all others."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sourced import needs

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "config").rglob("*.md"),
        *(ROOT / "models").glob("*.md"),
    ]
)
HISTORY = ROOT / "docs" / "LOG.md"  # tells what was typed then
DEMO_MODULE = "nnik_ros.nodes.demo"


def told() -> list[tuple[str, ...]]:
    """Every `./run ...` of the pages, as words, in the order of the pages."""
    found: dict[tuple[str, ...], None] = {}
    for page in PAGES:
        if page == HISTORY:
            continue
        text = page.read_text().replace("\\\n", " ")
        lines = re.findall(r"^(?: {4})?\./run ([^\n#|]*)", text, re.MULTILINE) + re.findall(r"`\./run ([^`|]+)`", text)
        for line in lines:
            found[tuple(shlex.split(re.sub(r"\s*\[[^\]]*\]", "", line)))] = None
    return list(found)


TOLD = told()
WHOLE = [words for words in TOLD if words[0] == "demo" and not any(word.isupper() for word in words)]


@cache
def program() -> Any:
    loader = importlib.machinery.SourceFileLoader("run_program", str(ROOT / "run"))
    spec = importlib.util.spec_from_loader("run_program", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["run_program"] = module
    loader.exec_module(module)
    return module


@cache
def options_of(command: str) -> frozenset[str]:
    """The options that a command of `run` knows by its own help."""
    module = inspect.getclosurevars(program().COMMANDS[command].run).nonlocals.get("name")
    if module is None:
        return frozenset({"--distro"})
    source = ROOT / f"{module.replace('.', '/')}"
    files = [source.with_suffix(".py")] if source.with_suffix(".py").exists() else sorted(source.glob("*.py"))
    text = "".join(file.read_text() for file in files)
    for shared in re.findall(r"^from ([\w.]+_arguments) import", text, re.MULTILINE):
        text += (ROOT / f"{shared.replace('.', '/')}.py").read_text()
    return frozenset(re.findall(r'"(--[a-z-]+)"', text)) | {"--distro", "--help"}


def test_there_are_commands_on_the_pages() -> None:
    assert len(TOLD) > 20
    assert len(WHOLE) >= 6


@pytest.mark.parametrize("words", TOLD, ids=" ".join)
def test_every_command_and_option_of_the_pages_exists(words: tuple[str, ...]) -> None:
    for command in re.split(r",\s*", words[0]):
        assert command == "help" or command in program().COMMANDS
    if words[0] != "help":
        assert {word.partition("=")[0] for word in words[1:] if word.startswith("--")} <= options_of(words[0])


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder in which the pages' commands find the sources' folders, and leave what they make."""
    for name in ("examples", "config", "models", "urdf"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(desk: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-u", "-m", module, *words], cwd=desk, env={**os.environ, "PYTHONPATH": path}, capture_output=True,
        text=True,
    )  # fmt: skip


@needs("viser", "rosbags")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("words", WHOLE, ids=" ".join)
def test_every_demo_of_the_pages_runs(words: tuple[str, ...], desk: Path) -> None:
    arguments = list(words[1:])
    if (
        "--model" in arguments
        and not (desk / (model := arguments[arguments.index("--model") + 1])).exists()
        and model != "none"
    ):
        arguments[arguments.index("--model") + 1] = "none"  # a network that one makes by following the page
    if "--seconds" not in arguments:
        arguments += ["--seconds", "2"]
    done = run(desk, DEMO_MODULE, *arguments, *([] if "--headless" in arguments else ["--port", "8650"]))
    output = done.stdout + done.stderr
    if {"--headless", "--landmarks"} & {
        *arguments
    }:  # how well it follows depends on how busy this machine is, and is judged elsewhere
        assert done.returncode in (0, 1), output
        assert re.search("^(passed|failed)$", done.stdout, re.MULTILINE), output
    else:
        assert done.returncode == 0, output
        host = arguments[arguments.index("--host") + 1] if "--host" in arguments else "127.0.0.1"
        assert f"page: http://{host}:" in done.stdout


def test_every_picture_of_the_pages_is_made_by_a_program() -> None:
    shown = {name for page in PAGES for name in re.findall(r"\]\([^)]*images/([\w]+)\.png\)", page.read_text())}
    programs = [
        ROOT / "docs" / "make_pictures.py",
        *ROOT.glob("benchmarks/*.py"),
        *ROOT.glob("nnik_ros/training/**/*.py"),
    ]
    sources = "".join(path.read_text() for path in programs)
    screenshots = set(re.findall(r'"(\w+)"', re.findall(r"^PICTURES = (\{.*\})", sources, re.MULTILINE)[0]))
    plots = {name.replace("{name}", r"\w+") for name in re.findall(r"((?:\w|\{name\})+)\.png", sources)}
    assert screenshots <= shown, "a screenshot that no page shows"
    assert {name for name in shown - screenshots if not any(re.fullmatch(plot, name) for plot in plots)} == set()
    assert {path.stem for path in (ROOT / "docs" / "images").glob("*.png")} == shown, "a picture that no page shows"


RECORDINGS = re.findall(
    r"^```\n(\./run demo [^\n]*)\n(\./run replay [^\n]*)\n```",
    (ROOT / "docs" / "tutorials" / "6_record_and_replay.md").read_text(),
    re.MULTILINE,
)


def test_the_page_records_a_file_and_a_bag() -> None:
    assert len(RECORDINGS) == 2


@needs("viser", "rosbags")
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("record", "replay"), RECORDINGS)
def test_a_recording_of_the_page_is_replayed_by_its_next_line(record: str, replay: str, desk: Path) -> None:
    run(desk, DEMO_MODULE, *shlex.split(record)[2:])
    done = run(desk, "nnik_ros.nodes.replay", *shlex.split(replay)[2:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"replay: \d+ ticks, \d+ commands, all identical", done.stdout.splitlines()[-1])
