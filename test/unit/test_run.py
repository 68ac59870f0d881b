"""The program `run`: a closed pipe is no fault, and nothing is deleted that it did not make."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def program() -> Any:
    loader = importlib.machinery.SourceFileLoader("run_program", str(ROOT / "run"))
    spec = importlib.util.spec_from_loader("run_program", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def environment(program: Any, tmp_path: Path) -> Any:
    return program.Environment(tmp_path / "jazzy", "jazzy", "")


def test_help_into_a_pipe_that_nobody_reads_ends_without_a_word_of_complaint() -> None:
    help_text = subprocess.Popen(
        [sys.executable, str(ROOT / "run"), "help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert help_text.stdout is not None
    assert help_text.stderr is not None
    help_text.stdout.close()  # before it has written anything
    assert help_text.stderr.read() == ""
    help_text.stderr.close()
    assert help_text.wait() == 0


@pytest.mark.parametrize("content", ["pyvenv.cfg", "bin/python", "notes.txt"])
def test_a_folder_of_somebody_else_is_left_as_it_is(program: Any, environment: Any, content: str) -> None:
    file = environment.path / content
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    with pytest.raises(program.RunError, match="was not made by this program, so it is left alone"):
        program.make_environment(environment)
    assert file.read_text() == "mine"


def test_a_link_to_another_environment_is_left_as_it_is(program: Any, environment: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / program.MARK).touch()
    (other / "file").write_text("mine")
    environment.path.symlink_to(other)
    with pytest.raises(program.RunError, match="left alone"):
        program.make_environment(environment)
    assert (other / "file").read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_left_as_it_is(program: Any, environment: Any) -> None:
    environment.path.write_text("mine")
    with pytest.raises(program.RunError, match="left alone"):
        program.make_environment(environment)
    assert environment.path.read_text() == "mine"


def test_what_an_interrupted_attempt_left_is_replaced_by_a_working_environment(program: Any, environment: Any) -> None:
    environment.path.mkdir()
    (environment.path / program.MARK).touch()
    (environment.path / "half").write_text("written")
    program.make_environment(environment)
    assert not (environment.path / "half").exists()
    assert (environment.path / program.MARK).exists()
    done = subprocess.run([environment.python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True)
    assert done.stdout.strip() == str(environment.path)


def test_an_environment_with_the_stamp_of_an_older_version_is_known_as_its_own(program: Any, environment: Any) -> None:
    environment.path.mkdir()
    (environment.path / program.STAMP).write_text(json.dumps({"python": "/usr/bin/python 3.9.1"}))
    assert program.is_own(environment.path)
    (environment.path / program.STAMP).write_text("[]")
    assert not program.is_own(environment.path)
