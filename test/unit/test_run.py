"""The program `run`: a closed pipe is no fault, only what it made is deleted, and files are where the user stands."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
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


@pytest.fixture
def become(
    program: Any, environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[list[str], dict[str, str]]]:
    """The command line and the variables that `./run` with these words would become for a user who stands in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *words: str) -> tuple[list[str], dict[str, str]]:
        found: list[Any] = []
        monkeypatch.setattr(program.os, "execve", lambda *given: found.extend(given))
        program.COMMANDS[name].run(environment, list(words))
        assert Path.cwd() == tmp_path
        return found[1], found[2]

    return run


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


def test_an_environment_that_cannot_be_made_in_its_place_is_told_with_the_reason(
    program: Any, environment: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    inside = environment._replace(path=tmp_path / "file" / "jazzy")
    with pytest.raises(program.RunError, match=r"jazzy cannot be made: Not a directory"):
        program.make_environment(inside)
    assert (tmp_path / "file").read_text() == "mine"


def test_what_an_interrupted_attempt_left_is_replaced_by_a_working_environment(program: Any, environment: Any) -> None:
    environment.path.mkdir()
    (environment.path / program.MARK).touch()
    (environment.path / "half").write_text("written")
    program.make_environment(environment)
    assert not (environment.path / "half").exists()
    assert (environment.path / program.MARK).exists()
    done = subprocess.run([environment.python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True)
    assert done.stdout.strip() == str(environment.path)


def test_a_python_is_the_same_from_within_an_environment_that_it_made(
    program: Any, environment: Any, tmp_path: Path
) -> None:
    program.make_environment(environment)
    (tmp_path / "python3").symlink_to(program.base_python())
    code = f"import runpy; print(runpy.run_path({str(ROOT / 'run')!r})['python_identity']())"
    told = {
        subprocess.run([python, "-c", code], env=program.variables(), capture_output=True, text=True, check=True).stdout
        for python in (environment.python, tmp_path / "python3")
    }
    assert len(told) == 1


def test_the_environment_that_runs_the_program_is_never_removed(
    program: Any, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.path.mkdir()
    (environment.path / program.MARK).touch()
    (environment.path / "in use").write_text("by this program")
    monkeypatch.setattr(program.sys, "prefix", str(environment.path))
    with pytest.raises(program.RunError, match="type `deactivate`"):
        program.make_environment(environment)
    assert (environment.path / "in use").exists()


def test_an_environment_with_the_stamp_of_an_older_version_is_known_as_its_own(program: Any, environment: Any) -> None:
    environment.path.mkdir()
    (environment.path / program.STAMP).write_text(json.dumps({"python": "/usr/bin/python 3.9.1"}))
    assert program.is_own(environment.path)
    (environment.path / program.STAMP).write_text("[]")
    assert not program.is_own(environment.path)


def test_an_environment_that_a_full_disk_does_not_take_is_told_without_a_traceback(
    program: Any, tmp_path: Path
) -> None:
    path = tmp_path / ".venv" / "jazzy"
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").symlink_to("/bin/false")
    (path / program.STAMP).write_text(json.dumps({"python": program.python_identity()}))
    shutil.copy(ROOT / "run", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    command = [program.base_python(), str(tmp_path / "run"), "inspect", "--distro", "jazzy"]
    full = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (0, 0))  # stands in for a full disk
    ended = subprocess.run(command, capture_output=True, text=True, env=program.variables(), preexec_fn=full)
    assert ended.returncode == 2 and "File too large" in ended.stderr and "Traceback" not in ended.stderr


def test_files_are_looked_for_where_the_user_stands(become: Any, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("name: mine")
    command, variables = become("evaluate", "allegro_right", "--robot", "my.yaml")
    done = subprocess.run([sys.executable, *command[1:]], env=variables, capture_output=True, text=True)
    assert done.returncode == 2
    assert "my.yaml" in done.stderr and "no such file" not in done.stderr and "joints" in done.stderr


def test_one_thread_computes_unless_the_user_wants_more(become: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert become("calibrate", "bag")[1]["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert become("calibrate", "bag")[1]["OMP_NUM_THREADS"] == "4"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs PYTHONSAFEPATH")
def test_nothing_is_imported_from_where_the_user_stands(become: Any, tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit('the user's own file')")
    command, variables = become("evaluate", "--help")
    done = subprocess.run([sys.executable, *command[1:]], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SLOW = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"
COMPILED = """
print('up', flush=True)
try:
    import time
    time.sleep(60)
except KeyboardInterrupt as error:
    raise SystemError('compiled code returned a result with an exception set') from error
"""
ENDLESS = "while True:\n    print('row')\n"
JUDGING = "import sys\nprint(sys.argv[1:], __name__, __spec__.name)\nsys.exit(3)\n"


@pytest.fixture
def own_module(program: Any, environment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Start a module of this text as a command of `./run`, with these words."""

    def start(text: str, *words: str) -> subprocess.Popen[str]:
        (tmp_path / "own_module.py").write_text(text)
        found: list[Any] = []
        monkeypatch.setattr(program.os, "execve", lambda *given: found.extend(given))
        program.module("own_module")(environment, list(words))
        variables = {**found[2], "PYTHONPATH": str(tmp_path)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, *found[1][1:]], env=variables, text=True, **pipes)

    return start


@pytest.mark.parametrize("text", [SLOW, COMPILED], ids=["interpreted", "compiled"])
def test_ctrl_c_ends_a_command_without_a_traceback(own_module: Any, text: str) -> None:
    process = own_module(text)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 130


def test_a_command_whose_reader_has_gone_ends_without_a_traceback_and_not_as_passed(own_module: Any) -> None:
    process = own_module(ENDLESS)
    assert process.stdout.readline() == "row\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(20) == 141


def test_a_command_gets_its_words_and_ends_with_its_own_exit_code(own_module: Any) -> None:
    process = own_module(JUDGING, "--a", "b c")
    assert process.communicate(timeout=20) == ("['--a', 'b c'] __main__ own_module\n", "")
    assert process.returncode == 3


@pytest.mark.parametrize(
    ("words", "distro", "why"),
    [(["demo"], "foxy", "NNIK_DISTRO is 'foxy'"), (["dance"], "", "there is no command 'dance'")],
)
def test_what_cannot_be_run_ends_with_2_for_1_says_that_it_was_run(words: list[str], distro: str, why: str) -> None:
    variables = {**os.environ, "NNIK_DISTRO": distro}
    done = subprocess.run([sys.executable, ROOT / "run", *words], env=variables, capture_output=True, text=True)
    assert done.returncode == 2
    assert why in done.stderr


def test_every_command_that_takes_files_stays_where_the_user_stands(program: Any, become: Any) -> None:
    for name in set(program.COMMANDS) - {"test", "check"}:
        assert become(name, "my/file")[0][-1] == "my/file"


def test_a_training_leaves_its_run_folder_in_the_repository_unless_told_otherwise(become: Any, tmp_path: Path) -> None:
    command = become("train", "my.yaml", "--runs", "mine")[0]
    option, folder, *words = command[command.index("nnik_ros.training.train") + 1 :]
    assert option == "--runs" and (tmp_path / folder).resolve() == ROOT / "runs"
    assert words == ["my.yaml", "--runs", "mine"]  # the later one counts


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["test_run.py"], ["{here}/test_run.py"]),
        (["-x", "test_run.py::test_one[a/b]"], ["-x", "{here}/test_run.py::test_one[a/b]"]),
        (["data", "../nodes"], ["{here}/data", "{here}/../nodes"]),
        (["-k", "data", "nosuch.py"], ["-k", "data", "nosuch.py"]),
    ],
    ids=" ".join,
)
def test_tests_are_looked_for_where_the_user_stands(
    words: list[str], named: list[str], program: Any, environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def python_module(_: Any, command: list[str]) -> int:
        called.append(command)
        return 0

    monkeypatch.setattr(program, "python_module", python_module)
    monkeypatch.setattr(program, "provide_browser", lambda: None)
    here = ROOT / "test" / "unit"
    monkeypatch.chdir(here)
    program.COMMANDS["test"].run(environment, words)
    assert called.pop()[1:] == [name.format(here=here) for name in named]
    monkeypatch.chdir(ROOT)
    program.COMMANDS["test"].run(environment, words)
    assert called.pop()[1:] == words
