from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnik_ros.errors import FileError, Problems, range_in_words
from nnik_ros.yaml_file import Section, load_mapping, report_duplicates


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3\n", "key 'a' is given twice"),
        ("a: {b: 1, b: 2}", "key 'b' is given twice"),
        ("a: [1", "is not valid YAML"),
        ("- 1\n- 2", "must be a mapping"),
        ("a: 2024-13-45", "is not valid YAML: month must be in 1..12"),
        (f"a: {'9' * 5000}", "is not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']", "is not valid YAML"),
        ("a: !!bool maybe", "is not valid YAML: a value is not what its tag says"),
        ("a: !!float ''", "is not valid YAML: a value is not what its tag says"),
        ("a: !!timestamp today", "is not valid YAML: a value is not what its tag says"),
        ("!!map [1]", "is not valid YAML: a value is not what its tag says"),
        (r'a: "\UFFFFFFFF"', "is not valid YAML: a value is not what its tag says"),
        (f"a: {'[' * 5000}{']' * 5000}", "is not valid YAML: too many lists or mappings within each other"),
    ],
)
def test_a_bad_document_is_refused_with_its_reason(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(FileError, match=complaint):
        load_mapping(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"nowhere\.yaml: 1 problem\n  - cannot be read: No such file"):
        load_mapping(tmp_path / "nowhere.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(FileError, match="not UTF-8 text"):
        load_mapping(path)


def test_a_path_may_be_a_text_and_anything_else_is_a_wrong_call_and_no_fault_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("a: 1")
    assert load_mapping(str(tmp_path / "good.yaml")) == {"a": 1}
    with pytest.raises(TypeError):
        load_mapping(3)  # type: ignore[arg-type]
    with pytest.raises(FileError, match="cannot be read: embedded null"):
        load_mapping(tmp_path / "no\0name.yaml")


def test_all_faults_of_a_section_are_collected_with_their_place() -> None:
    problems = Problems("f")
    section = Section({"a": "x", "b": -1, "c": [1, 2], "surplus": 0, "deep": {"k": 0}}, "top", problems)
    section.number("a")
    section.number("b", low=0.0, high=1.0)
    section.items("c", length=3)
    section.text("d")
    section.section("deep").number("k", above=0.0)
    section.finish()
    assert list(problems) == [
        "top.a: is 'x', must be a finite number",
        "top.b: is -1, must be within [0, 1]",
        "top.c: is [1, 2], must be a list of 3",
        "top.d: missing",
        "top.deep.k: is 0, must be above 0",
        "top.surplus: unknown key; allowed: a, b, c, d, deep",
    ]


def test_what_stands_in_for_a_missing_or_wrong_value_is_not_reported_as_well() -> None:
    problems = Problems("f")
    section = Section({"steps": "many"}, "", problems)
    for key in ("steps", "batch"):
        if section.integer(key, low=1, high=1000) < 10:
            section.wrong(key, 1, "at least 10")
    assert list(problems) == ["steps: is 'many', must be an integer within [1, 1000]", "batch: missing"]


def test_a_number_that_misses_one_of_two_bounds_is_told_both() -> None:
    problems = Problems("f")
    section = Section({"share": 0, "rate": 3.0}, "", problems)
    section.number("share", above=0.0, high=1.0)
    section.number("rate", above=0.0, high=2.0)
    assert list(problems) == [
        "share: is 0, must be above 0 and up to 1",
        "rate: is 3.0, must be above 0 and up to 2",
    ]


@pytest.mark.parametrize(("text", "spelling"), [
    ("1e-3", "0.001"), ("1e-7", "1.0e-07"), ("1.5e20", "1.5e+20"), ("'12'", "12"), ("-2e-30", "-2.0e-30"),
])  # fmt: skip
def test_a_number_that_yaml_reads_as_text_is_told_in_a_spelling_that_it_reads_as_a_number(
    text: str, spelling: str, tmp_path: Path
) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text(f"one: {text}\nthree: [1, {text}, 3]")
    problems = Problems("f")
    section = Section(load_mapping(path), "", problems)
    section.number("one")
    section.numbers("three", length=3)
    plain = text.strip("'")
    told = f" (YAML reads {plain} as text, write {spelling} without quotes)"
    assert list(problems) == [
        f"one: is '{plain}', must be a finite number{told}",
        f"three: is [1, '{plain}', 3], must be 3 finite numbers{told}",
    ]
    path.write_text(f"one: {spelling}")
    assert Section(load_mapping(path), "", problems).number("one") == float(plain)


@pytest.mark.parametrize(("text", "read"), [
    ("0", "a number"), ("1.5", "a number"), ("on", "true or false"), ("2026-01-02", "a date"),
])  # fmt: skip
def test_a_name_that_yaml_reads_as_something_else_is_told_to_be_put_in_quotes(
    text: str, read: str, tmp_path: Path
) -> None:
    path = tmp_path / "name.yaml"
    path.write_text(f"name: {text}\nquoted: '{text}'")
    problems = Problems("f")
    section = Section(load_mapping(path), "", problems)
    section.text("name")
    assert section.text("quoted") == text
    (problem,) = problems
    assert problem.endswith(f", must be a non-empty text (YAML reads it as {read}, write it in quotes)")


@pytest.mark.parametrize("bound", [1e-6, 3e-12, 1e30, 2.5e-9])
def test_a_bound_is_told_in_a_spelling_that_a_file_may_have(bound: float, tmp_path: Path) -> None:
    (tmp_path / "bound.yaml").write_text(f"bound: {range_in_words(bound, np.inf).split()[-1]}")
    assert load_mapping(tmp_path / "bound.yaml") == {"bound": bound}


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan"), True, "x", None])
def test_what_no_float_can_hold_is_no_number_alone_or_in_a_list(value: object) -> None:
    problems = Problems("f")
    section = Section({"one": value, "three": [0.0, value, 0.0]}, "", problems)
    assert section.number("one") == 0.0
    assert section.numbers("three", length=3) == []
    one, three = problems
    assert one.startswith("one: is ")
    assert one.endswith(", must be a finite number")
    assert three.startswith("three: is ")
    assert three.endswith(", must be 3 finite numbers")


def test_every_kind_of_value_is_read_as_it_stands_and_others_are_told_what_is_allowed() -> None:
    problems = Problems("f")
    good = {
        "flag": False,
        "word": "b",
        "empty": "",
        "count": 3,
        "list": [1, "x"],
        "parts": [{"k": 1}, {"k": 2}],
        "deep": {},
    }
    section = Section(good, "", problems)
    assert section.boolean("flag") is False and section.boolean("unsaid", True) is True
    assert (section.text("word", choices="ab"), section.text("empty", "")) == ("b", "")
    assert (section.integer("count", low=3, high=3), section.items("list", length=2)) == (3, [1, "x"])
    assert [part.integer("k", low=0, high=9) for part in section.sections("parts")] == [1, 2]
    section.section("deep").finish()
    assert section.has("flag") and not section.has("other")
    section.finish()
    assert not list(problems)
    bad = {"flag": 1, "word": "c", "empty": "", "count": True, "list": 5, "parts": [], "rows": [1], "deep": [2]}
    section = Section(bad, "top", problems)
    assert not section.boolean("flag") and not section.boolean("unsaid")
    section.text("word", choices="ab")
    assert (section.text("empty"), section.integer("count", low=2, high=9), section.items("list")) == ("", 2, [])
    assert section.sections("parts") == section.sections("absent") == []
    for part in (*section.sections("rows"), section.section("deep")):
        assert not part.has("k")
    Section([1], "", problems)
    section.finish()
    assert list(problems) == [
        "top.flag: is 1, must be true or false",
        "top.unsaid: missing",
        "top.word: is 'c', must be one of a, b",
        "top.empty: is '', must be a non-empty text",
        "top.count: is True, must be an integer within [2, 9]",
        "top.list: is 5, must be a list",
        "top.parts: is [], must be at least one item",
        "top.absent: missing",
        "top.rows[0]: must be a mapping, is 1",
        "top.deep: must be a mapping, is [2]",
        "document: must be a mapping, is [1]",
    ]


@pytest.mark.parametrize(("value", "told"), [("x" * 58, 58), ("x" * 59, 57), ("x" * 500, 57)])
def test_a_long_value_is_told_by_its_beginning(value: str, told: int) -> None:
    problems = Problems("f")
    Section({"key": value}, "", problems).number("key")
    shown = f"'{value}'" if told == 58 else f"'{value}"[:57] + "..."
    assert list(problems) == [f"key: is {shown}, must be a finite number"]


def test_bounds_belong_to_a_range_and_what_a_number_must_be_above_does_not() -> None:
    problems = Problems("f")
    section = Section({"low": 1, "high": 2.0, "at": 0.0, "over": 2.01}, "", problems)
    assert [section.number(key, low=1.0, high=2.0) for key in ("low", "high")] == [1.0, 2.0]
    section.number("at", above=0.0)
    section.number("over", high=2.0)
    assert [problem.split(":")[0] for problem in problems] == ["at", "over"]


def test_a_name_that_is_given_again_is_told_once_and_one_that_is_missing_is_not() -> None:
    problems = Problems("f")
    report_duplicates(iter(["b", "a", "b", "", "b", "", "a", "c"]), "joints", problems)
    assert list(problems) == ["joints: 'a' is given twice", "joints: 'b' is given twice"]
