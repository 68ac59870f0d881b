"""Recorded hands: read or refused with the reason, and led to the robot by the geometry that the page promises."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from nnik_ros.errors import FileError, InputError
from nnik_ros.geometry import Array, frozen
from nnik_ros.landmarks import POINTS, HandMotion, read_hand_motion
from nnik_ros.paths import robot_file, share_dir
from nnik_ros.retarget import HandMap, TipPath, load_hand_map, retarget
from nnik_ros.robot import Robot, load_robot

MAPS = share_dir() / "config" / "landmarks"
EXAMPLE = share_dir() / "examples" / "landmarks" / "made_up_hand.csv"
KNUCKLES = np.array([[-3.0, 2, 1], [2.5, 9, 0], [0.3, 9.5, 0], [-1.8, 9, 0], [-4.0, 8, 0]])  # thumb to little finger
SEGMENTS = np.array([[4.0, 3, 2], [4.5, 2.5, 2], [5, 3, 2.2], [4.5, 2.8, 2.2], [3.5, 2, 1.8]])
ALONG, INWARD = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])


def drawn_hand(direction: Array) -> Array:
    """A right hand in a drawing's frame, palm to +z: all fingers stretched along `direction` (3,): (21, 3) [cm]."""
    points = [np.zeros(3)]
    for knuckle, segments in zip(KNUCKLES, SEGMENTS, strict=True):
        points += [knuckle + length * direction for length in np.concatenate([[0.0], np.cumsum(segments)])]
    return np.array(points)


@pytest.fixture(scope="module")
def right() -> tuple[Robot, HandMap]:
    robot = load_robot(robot_file("allegro_right"))
    return robot, load_hand_map(MAPS / "allegro_right.yaml", robot)


def motion_of(*frames: Array) -> HandMotion:
    return HandMotion(np.arange(len(frames)) / 30.0, np.array(frames))


def test_stretched_fingers_point_where_the_robot_points_at_their_share_of_its_reach(
    right: tuple[Robot, HandMap],
) -> None:
    robot, hand_map = right
    # the middle of both knuckles lies askew of the wrist, so that the palm's frame is turned in the drawing's
    forward = np.array([0.5 * (2.5 - 4.0), 0.5 * (9 + 8), 0.0])
    forward /= np.linalg.norm(forward)
    inward_path = retarget(motion_of(drawn_hand(forward), drawn_hand(INWARD)), robot, hand_map)
    share = np.array([0.95, 0.95, 0.95, 0.7])
    length = (share * [0.1355, 0.1355, 0.1355, 0.1598])[:, None]
    start = robot.kinematics.first_joint_position
    np.testing.assert_allclose(inward_path.target[0], start + length * [0.0, 0.0, 1.0], atol=1e-4)  # fingers: +z
    np.testing.assert_allclose(
        inward_path.target[1], start + length * [1.0, 0.0, 0.0], atol=1e-4
    )  # out of the palm: +x


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(*[st.floats(-3.0, 3.0)] * 3), st.tuples(*[st.floats(-5.0, 5.0)] * 3), st.floats(0.01, 100.0), st.booleans()
)  # fmt: skip
def test_place_turn_size_and_side_of_the_human_hand_do_not_matter(
    turn: tuple[float, ...], place: tuple[float, ...], scale: float, mirrored: bool
) -> None:
    robot = load_robot(robot_file("allegro_right"))
    hand_map = load_hand_map(MAPS / "allegro_right.yaml", robot)
    motion = read_hand_motion(EXAMPLE)
    points = motion.points * ([-1.0, 1.0, 1.0] if mirrored else [1.0, 1.0, 1.0])
    moved = replace(
        motion, points=scale * (Rotation.from_rotvec(turn).apply(points.reshape(-1, 3)).reshape(points.shape) + place)
    )
    expected = retarget(motion, robot, hand_map).target
    got = retarget(moved, robot, hand_map, "left" if mirrored else "right").target
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_the_left_robot_hand_does_the_mirror_image_of_the_right_one(right: tuple[Robot, HandMap]) -> None:
    robot, hand_map = right
    left = load_robot(robot_file("allegro_left"))
    motion = read_hand_motion(EXAMPLE)
    mirror = retarget(motion, left, load_hand_map(MAPS / "allegro_left.yaml", left), "right").target
    np.testing.assert_allclose(mirror * [1.0, -1.0, 1.0], retarget(motion, robot, hand_map).target, atol=1e-9)


def test_the_wrong_side_is_not_the_same_hand(right: tuple[Robot, HandMap]) -> None:
    robot, hand_map = right
    motion = read_hand_motion(EXAMPLE)
    one, other = (retarget(motion, robot, hand_map, side).target for side in ("right", "left"))
    assert np.abs(one - other).max() > 0.05


def test_what_was_not_seen_in_a_frame_has_no_target_there_and_nothing_else_suffers(
    right: tuple[Robot, HandMap],
) -> None:
    robot, hand_map = right
    frames = [drawn_hand(ALONG) for _ in range(5)]
    whole = retarget(motion_of(*frames), robot, hand_map).target
    frames[1][POINTS.index("ring_tip")] = np.nan
    frames[2][POINTS.index("wrist")] = np.nan
    target = retarget(motion_of(*frames), robot, hand_map).target
    unseen = np.isnan(target).any(-1)
    assert unseen.tolist() == [[False] * 4, [False, False, True, False], [True] * 4, [False] * 4, [False] * 4]
    np.testing.assert_allclose(target[~unseen], whole[~unseen], atol=1e-12)


def test_a_segment_that_was_seen_too_long_in_one_frame_changes_the_targets_of_no_other_frame(
    right: tuple[Robot, HandMap],
) -> None:
    robot, hand_map = right
    frames = [drawn_hand(ALONG) for _ in range(5)]
    whole = retarget(motion_of(*frames), robot, hand_map).target
    root = POINTS.index("index_mcp")
    for segment in range(3):  # each in a frame of its own, so that the finger is too long in most frames
        frames[segment][root + 1 + segment : root + 4] += 3.0 * ALONG
    np.testing.assert_allclose(retarget(motion_of(*frames), robot, hand_map).target[3:], whole[3:], atol=1e-12)


@pytest.mark.filterwarnings("error")
def test_a_finger_that_was_never_seen_is_an_error_that_names_it(right: tuple[Robot, HandMap]) -> None:
    frame = drawn_hand(ALONG)
    frame[POINTS.index("middle_dip")] = np.nan
    with pytest.raises(FileError, match="the middle finger was not seen"):
        retarget(motion_of(frame, frame), *right)
    flat = drawn_hand(ALONG)
    flat[POINTS.index("index_mcp")] = flat[POINTS.index("little_mcp")]
    with pytest.raises(FileError, match="were not seen together"):
        retarget(motion_of(flat, flat), *right)


def test_targets_between_two_frames_lie_between_them() -> None:
    path = TipPath(
        np.array([0.0, 0.5, 1.0, 2.0]), np.array([[[4.0, 0, 0]], [[8.0, 0, 2]], [[np.nan, 0, 0]], [[6.0, 1, 0]]])
    )
    np.testing.assert_allclose(path.at(0.125), [[5.0, 0.0, 0.5]])
    np.testing.assert_allclose(path.at(0.5), [[8.0, 0.0, 2.0]])
    assert np.isnan(path.at(0.75)).any()
    assert np.isnan(path.at(1.5)).any()
    np.testing.assert_allclose(path.at(-3.0), [[4.0, 0.0, 0.0]])
    np.testing.assert_allclose(path.at(2.0), [[6.0, 1.0, 0.0]])
    np.testing.assert_allclose(path.at(9.0), [[6.0, 1.0, 0.0]])


@pytest.mark.parametrize("time", [-1.0, 0.0, 0.25, 0.5, 1.0, 2.0])
def test_targets_of_any_time_may_be_shifted_in_place_and_the_path_stays(time: float) -> None:
    path = TipPath(np.array([0.0, 0.5, 1.0]), frozen(np.arange(9.0).reshape(3, 1, 3)))
    before = path.at(time).copy()
    target = path.at(time)
    target += 1.0
    np.testing.assert_array_equal(path.at(time), before)


def test_a_human_hand_of_no_side_is_refused_with_the_sides_that_there_are(right: tuple[Robot, HandMap]) -> None:
    with pytest.raises(InputError, match="side is 'Left', must be one of right, left"):
        retarget(motion_of(drawn_hand(ALONG), drawn_hand(INWARD)), *right, "Left")


def test_a_map_of_a_hand_with_another_number_of_fingers_is_refused(right: tuple[Robot, HandMap]) -> None:
    with pytest.raises(InputError, match="the hand map leads 4 tips, robot 'planar_2r' has 1"):
        retarget(motion_of(drawn_hand(ALONG), drawn_hand(INWARD)), load_robot(robot_file("planar_2r")), right[1])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rate", [0.0, -30.0, float("nan"), float("inf")])
def test_a_rate_at_which_no_frames_follow_each_other_is_refused(rate: float, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 21, 3)))
    with pytest.raises(InputError, match=f"rate is {rate}, must be above 0 Hz"):
        read_hand_motion(tmp_path / "a.npy", rate)


def test_the_example_is_what_its_script_makes(tmp_path: Path) -> None:
    import runpy
    import sys
    from unittest import mock

    script = EXAMPLE.with_name("make_hand.py")
    with mock.patch.object(sys, "argv", [str(script), str(tmp_path / "hand.csv")]), pytest.raises(SystemExit) as end:
        runpy.run_path(str(script), run_name="__main__")
    assert end.value.code == 0
    made, shipped = (list(csv.reader(path.open())) for path in (tmp_path / "hand.csv", EXAMPLE))
    assert made[0] == shipped[0]
    np.testing.assert_allclose(np.array(made[1:], float), np.array(shipped[1:], float), atol=2e-5)


def write(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


NAMED = [f"{point}_{axis}" for point in POINTS for axis in "xyz"]
NUMBERED = [f"{axis}{i}" for i in range(21) for axis in "xyz"]


@pytest.mark.parametrize("names", [NAMED, NUMBERED], ids=["named", "numbered"])
def test_columns_are_found_by_name_in_any_order_with_or_without_times(names: list[str], tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 21, 3))
    rows: list[list[object]] = [list(row) for row in values.reshape(4, -1)]
    plain = read_hand_motion(write(tmp_path / "a.csv", names, rows), rate=10.0)
    np.testing.assert_array_equal(plain.points, values)
    np.testing.assert_allclose(plain.time, [0.0, 0.1, 0.2, 0.3])
    turned = write(
        tmp_path / "b.csv",
        [*reversed(names), "score", "Time"],
        [[*reversed(row), 1, 5.0 + i * i] for i, row in enumerate(rows)],
    )
    timed = read_hand_motion(turned)
    np.testing.assert_array_equal(timed.points, values)
    np.testing.assert_array_equal(timed.time, [0.0, 1.0, 4.0, 9.0])


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize(("comma", "end"), [(",", "\n"), (", ", "\r\n"), (" ,", "\n\n")])
def test_a_table_of_a_spreadsheet_reads_like_a_plain_one(mark: bytes, comma: str, end: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 21, 3))
    values[1, 4], values[2, 0] = np.nan, np.nan
    rows = [["" if np.isnan(value) else repr(value) for value in row] for row in values.reshape(3, -1).tolist()]
    rows[2][0] = "inf"  # no number that a point may have, so that the point was not seen
    lines = [comma.join(row) for row in ([name.upper() for name in NAMED], *rows)]
    (tmp_path / "a.csv").write_bytes(mark + end.join(lines).encode())
    np.testing.assert_array_equal(read_hand_motion(tmp_path / "a.csv").points, values)


@pytest.mark.parametrize("shape", [(4, 21, 3), (4, 63)])
def test_a_numpy_file_reads_like_the_table(shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(read_hand_motion(tmp_path / "a.npy").points, values.reshape(4, 21, 3))


def test_a_numpy_file_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}] * 3, dtype=object), allow_pickle=True)
    with pytest.raises(FileError, match="cannot be read"):
        read_hand_motion(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_an_archive_is_refused_under_any_name(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "archive.npz", points=np.zeros((4, 21, 3)))
    (tmp_path / "archive.npz").rename(tmp_path / name)
    with pytest.raises(FileError, match="must be one array" if name == "a.npy" else "cannot be read"):
        read_hand_motion(tmp_path / name)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"PK\x03\x04" + 100 * b"x")
    with pytest.raises(FileError, match="cannot be read"):
        read_hand_motion(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("(4, 21, 3), }", "(4, 21, 3)   "),  # a bracket that is never closed
        ("(4, 21, 3), }", "(4, 21, ??), }"),
        ("'<f8'", "'<,,'"),
        ("(4, ", "(True, "),
        ("(4, ", "(999999999999, "),
        ("(4, ", f"({'9' * 22}, "),
    ],
)
def test_an_array_whose_head_is_damaged_is_refused_as_any_other_file(was: str, becomes: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 21, 3)))
    start, size = 10, 118  # of the head of version 1.0
    content = (tmp_path / "a.npy").read_bytes()
    head = content[start : start + size].decode().replace(was, becomes).strip().ljust(size - 1) + "\n"
    (tmp_path / "a.npy").write_bytes(content[:start] + head.encode() + content[start + size :])
    with pytest.raises(FileError, match=r"a\.npy: 1 problem\n  - cannot be read: "):
        read_hand_motion(tmp_path / "a.npy")


def table_with(change: Callable[[list[str], list[list[object]]], None], path: Path) -> Path:
    header, rows = [*NAMED, "time"], [[0.1] * 63 + [float(i)] for i in range(3)]
    change(header, rows)
    return write(path, header, rows)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header, rows: header.__setitem__(5, "thumb_x"), "columns are missing: thumb_cmc_z"),
        (lambda header, rows: header.__setitem__(63, "wrist_x"), "column 'wrist_x' is given twice"),
        (lambda header, rows: rows[1].__setitem__(4, "left"), "row 2: thumb_cmc_y is 'left', must be a number"),
        (lambda header, rows: rows[2].pop(), "row 3: has 63 cells, the header has 64"),
        (lambda header, rows: rows[2].__setitem__(63, 1.0), "row 3: time 1 s does not follow 1 s"),
        (lambda header, rows: rows[1].__setitem__(63, ""), "row 2: time is '', must be a number"),
        (lambda header, rows: rows[1].__setitem__(63, "nan"), "row 2: time is 'nan', must be a finite number"),
        (lambda header, rows: rows[2].__setitem__(63, "inf"), "row 3: time is 'inf', must be a finite number"),
        (lambda header, rows: rows[2].__setitem__(63, "9" * 400), "row 3: time is '99999999"),
        (lambda header, rows: rows.__delitem__(slice(1, None)), "has 1 frames"),
        (lambda header, rows: [row.__setitem__(slice(0, 63), [""] * 63) for row in rows], "not one point was seen"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_says_where_and_why(
    change: Callable[[list[str], list[list[object]]], None], words: str, tmp_path: Path
) -> None:
    with pytest.raises(FileError) as error:
        read_hand_motion(table_with(change, tmp_path / "a.csv"))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("time", "told"), [("x", "time is 'x', must be a number"), ("0", "time 0 s does not follow 1 s")]
)
def test_empty_lines_count_in_no_row_number(time: str, told: str, tmp_path: Path) -> None:
    rows = [",".join([*["0.1"] * 63, second]) for second in ("0", "1", time)]
    (tmp_path / "a.csv").write_text("\n\n\n".join([",".join([*NAMED, "time"]), *rows]))
    with pytest.raises(FileError) as error:
        read_hand_motion(tmp_path / "a.csv")
    assert error.value.problems == (f"row 3: {told}",)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"\x93NUMPY"])
@pytest.mark.parametrize("name", ["a.csv", "a.npy"])
def test_a_file_of_another_kind_is_refused(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=name):
        read_hand_motion(tmp_path / name)
    with pytest.raises(FileError, match="cannot be read"):
        read_hand_motion(tmp_path / "absent.csv")


@pytest.mark.parametrize("file", sorted(MAPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_map_fits_its_robot(file: Path) -> None:
    robot = load_robot(robot_file(file.stem))
    hand_map = load_hand_map(file, robot)
    assert hand_map.fingers == robot.tip_names
    np.testing.assert_allclose(hand_map.palm[:, 2], [1.0, 0.0, 0.0], atol=1e-12)  # the palms look along +x


def test_fingers_of_a_map_may_stand_in_any_order(right: tuple[Robot, HandMap], tmp_path: Path) -> None:
    document = yaml.safe_load((MAPS / "allegro_right.yaml").read_text())
    document["fingers"].reverse()
    (tmp_path / "map.yaml").write_text(yaml.safe_dump(document))
    again = load_hand_map(tmp_path / "map.yaml", right[0])
    assert again.fingers == right[1].fingers and again.share.tolist() == right[1].share.tolist()


def test_a_wrong_map_names_every_problem(right: tuple[Robot, HandMap], tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(
        "schema: 1\nhand: mine\nside: up\npalm: {forward: [0, 0, 1], across: [0, 0, 2]}\n"
        "fingers: [{tip: index, finger: pinky}, {tip: index, finger: ring, scale: 2}]\n"
    )
    with pytest.raises(FileError) as error:
        load_hand_map(tmp_path / "map.yaml", right[0])
    words = str(error.value)
    fingers = "one of thumb, index, middle, ring, little"
    for part in (
        "side: is 'up'",
        "hand: unknown key",
        "must be two directions",
        fingers,
        "not given yet",
        "scale: unknown",
        "leads tip 'thumb'",
    ):
        assert part in words


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        (r"forward: \[.*?\], ", "", "palm.forward: missing"),
        (r"forward: \[.*?\]", "forward: [0, 0]", "palm.forward: is [0, 0], must be a list of 3"),
        (r"(?s)fingers:.*", "fingers: []", "fingers: is [], must be at least one item"),
        ("share: 0.7", "share: 0", "fingers[3].share: is 0, must be above 0 and up to 2"),
        ("share: 0.7", "share: 2.1", "fingers[3].share: is 2.1, must be above 0 and up to 2"),
    ],
)
def test_what_follows_from_a_missing_or_wrong_part_of_a_map_is_not_told_as_well(
    was: str, becomes: str, told: str, right: tuple[Robot, HandMap], tmp_path: Path
) -> None:
    (tmp_path / "map.yaml").write_text(re.sub(was, becomes, (MAPS / "allegro_right.yaml").read_text()))
    with pytest.raises(FileError) as error:
        load_hand_map(tmp_path / "map.yaml", right[0])
    assert error.value.problems == (told,)


@pytest.mark.parametrize("number", ["9" * 401, ".inf", ".nan", "true", "up"])
def test_a_map_whose_numbers_are_none_is_refused(number: str, right: tuple[Robot, HandMap], tmp_path: Path) -> None:
    text = (MAPS / "allegro_right.yaml").read_text()
    (tmp_path / "map.yaml").write_text(re.sub(r"forward: \[[^,]*,", f"forward: [{number},", text))
    with pytest.raises(FileError, match=r"palm\.forward: is \[.*, must be 3 finite numbers"):
        load_hand_map(tmp_path / "map.yaml", right[0])
