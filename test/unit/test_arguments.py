from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nnik_ros.arguments import Help, check_apart, check_writable, number, seed, whole_number
from nnik_ros.errors import FileError


@pytest.mark.parametrize(
    ("parse", "good", "bad", "allowed"),
    [
        (number(), ["1e3", "-2.5"], ["nan", "inf", "-inf", "1,5", "", "1e999"], "a finite number$"),
        (number(low=0.0), ["0"], ["-1e-9", "nan"], "a finite number not below 0$"),
        (number(above=0.0), ["1e-9"], ["0", "-1"], "a finite number above 0$"),
        (number(low=0.0, high=1.0), ["0", "1"], ["2", "-1", "nan"], r"a finite number within \[0, 1\]$"),
        (whole_number(5), ["5", "20000"], ["4", "-5", "5.0", "many", "1_0", "9" * 5000], "a whole number not below 5$"),
        (whole_number(0, 9), ["0", "9"], ["10", "-1"], r"a whole number within \[0, 9\]$"),
        (seed, ["0", "2147483647"], ["-1", "2147483648", "nan"], r"a whole number within \[0, 2147483647\]$"),
    ],
)
def test_an_argument_is_a_number_in_its_range_or_the_error_says_what_is_allowed(
    parse: Callable[[str], float], good: list[str], bad: list[str], allowed: str
) -> None:
    assert [parse(text) for text in good] == [float(text) for text in good]
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=f"^is '{text}', must be {allowed}"):
            parse(text)


def test_whether_a_file_can_be_written_is_found_out_without_writing(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("kept")
    for path in (tmp_path / "new", tmp_path / "old"):
        check_writable(path)
        check_writable(path, makes_folder=True)
    check_writable(tmp_path / "a" / "b", makes_folder=True)
    assert os.listdir(tmp_path) == ["old"] and (tmp_path / "old").read_text() == "kept"


@pytest.mark.parametrize(("name", "makes_folder"), [("", False), ("a/b", False), ("old/b", False), ("old/a/b", True)])
def test_a_file_that_cannot_be_written_is_refused_by_its_name(tmp_path: Path, name: str, makes_folder: bool) -> None:
    (tmp_path / "old").write_text("kept")
    with pytest.raises(
        FileError, match=rf"{tmp_path / name}: 1 problem\n  - cannot be written: (is a|there is no) folder"
    ):
        check_writable(tmp_path / name, makes_folder=makes_folder)


def test_the_help_of_an_option_tells_its_default_once_and_none_where_there_is_none() -> None:
    parser = argparse.ArgumentParser(formatter_class=Help)
    parser.add_argument("files", nargs="*", help="files")
    parser.add_argument("--rate", default=333.0, help="rate [Hz]")
    parser.add_argument("--none", default=0, help="how many")
    parser.add_argument("--side", default="", help="side; default: the robot's")
    parser.add_argument("--robot", help="another robot")
    parser.add_argument("--only", nargs="+", default=[], help="only these")
    parser.add_argument("--play", action="store_true", help="play")
    parser.add_argument("--tips", default="tips", help="topic (default: %(default)s)")
    lines = [" ".join(line.split()) for line in parser.format_help().splitlines()]
    told = {line.split()[0]: line for line in lines if line.startswith("--")}
    assert told["--rate"].endswith("rate [Hz] (default: 333.0)")
    assert told["--none"].endswith("how many (default: 0)")
    assert told["--tips"].endswith("topic (default: tips)")
    for name in ("--side", "--robot", "--only", "--play"):
        assert "(default" not in told[name]


def test_a_file_that_is_read_is_not_written_by_whatever_name(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("kept")
    (tmp_path / "link").symlink_to("old")
    read = {"the robot file": tmp_path / "old", "the network": tmp_path / "missing"}
    for path in (tmp_path / "new", tmp_path / "missing"):
        check_apart(path, read)
    for path in (tmp_path / "old", tmp_path / "link", tmp_path / "new" / ".." / "old"):
        (tmp_path / "new").mkdir(exist_ok=True)
        with pytest.raises(FileError, match="cannot be written: is the robot file, which would be lost"):
            check_apart(path, read)
