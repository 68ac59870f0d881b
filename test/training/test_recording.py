"""A rosbag2 becomes a data set: right joints at the right time, and nothing that cannot be trusted."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore

from nnik_ros.calibration import load_calibration
from nnik_ros.driver import JointMap, joint_map, load_driver
from nnik_ros.errors import FileError, InputError
from nnik_ros.geometry import Array
from nnik_ros.paths import driver_file, robot_file, share_dir
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training import record_simulation
from nnik_ros.training.bag import JOINT_STATE, POSE_ARRAY, BagData, Topics, read_bag
from nnik_ros.training.record_simulation import Measurements, write_bag
from nnik_ros.training.recorded_samples import recorded_samples, split
from nnik_ros.training.recording import RecordingOptions, align, read_recording, without

TOPICS = Topics("joint_states", "measured_tip_poses")
STORE = get_typestore(Stores.ROS2_JAZZY)


@pytest.fixture(scope="module")
def joints(hand: Robot) -> JointMap:
    return joint_map(load_driver(driver_file("simulated")), hand)


def posture(robot: Robot, time: Array) -> Array:
    """A smooth motion (n, nq) whose value is known at every time."""
    phase = np.arange(robot.nq) * 0.7
    middle, half = 0.5 * (robot.lower + robot.upper), 0.3 * (robot.upper - robot.lower)
    return middle + half * np.sin(2.0 * time[:, None] + phase)


def measurements(robot: Robot, duration: float = 4.0) -> Measurements:
    """Joints at 200 Hz, exact tips at 50 Hz in between."""
    joint_time = np.arange(0.0, duration, 0.005)
    tip_time = np.arange(0.1023, duration - 0.1, 0.02)
    tip = robot.kinematics.tip_position(posture(robot, tip_time))
    return Measurements(joint_time, posture(robot, joint_time), tip_time, tip)


def bag_data(data: Measurements) -> BagData:
    return BagData(
        0, data.joint_stamp, data.encoder, data.tip_stamp, data.tip, len(data.encoder), len(data.tip), {}, False
    )


class Bag:
    """Writes messages that a well-behaved recorder would not write."""

    def __init__(self, path: Path, robot: Robot) -> None:
        self.path, self.robot = path, robot
        self.rows: list[tuple[str, str, int, Any]] = []

    def joints(self, time: float, q: Array, names: tuple[str, ...] | None = None, stamp: float | None = None) -> None:
        empty = np.zeros(0)
        message = STORE.types[JOINT_STATE](
            header=self._header(time if stamp is None else stamp, ""), name=list(names or self.robot.joint_names), position=q,
            velocity=empty, effort=empty,
        )  # fmt: skip
        self.rows.append(("/joint_states", JOINT_STATE, round(time * 1e9), message))

    def tips(self, time: float, tip: Array, frame: str | None = None, stamp: float | None = None) -> None:
        types = STORE.types
        identity = types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)
        points = [types["geometry_msgs/msg/Point"](x=x, y=y, z=z) for x, y, z in tip.tolist()]
        poses = [types["geometry_msgs/msg/Pose"](position=point, orientation=identity) for point in points]
        header = self._header(time if stamp is None else stamp, self.robot.base_frame if frame is None else frame)
        message = types[POSE_ARRAY](header=header, poses=poses)
        self.rows.append(("/measured_tip_poses", POSE_ARRAY, round(time * 1e9), message))

    def write(self) -> Path:
        with Writer(self.path, version=9) as writer:
            kinds = {topic: kind for topic, kind, _, _ in self.rows}
            connections = {t: writer.add_connection(t, kind, typestore=STORE) for t, kind in kinds.items()}
            for topic, kind, time, message in self.rows:
                writer.write(connections[topic], time, STORE.serialize_cdr(message, kind))
        return self.path

    @staticmethod
    def _header(time: float, frame: str) -> Any:
        nanoseconds = round(time * 1e9)
        stamp = STORE.types["builtin_interfaces/msg/Time"](sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
        return STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame)


@pytest.fixture
def bag(tmp_path: Path, hand: Robot) -> Bag:
    """Two joint states around one message of tips."""
    bag = Bag(tmp_path / "bag", hand)
    bag.joints(10.0, hand.home)
    bag.joints(10.01, hand.home)
    bag.tips(10.005, hand.kinematics.tip_position(hand.home))
    return bag


class TestReading:
    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    @pytest.mark.parametrize("single_tips", [False, True])
    def test_both_storages_and_both_kinds_of_topics_give_back_what_was_measured(
        self, hand: Robot, joints: JointMap, tmp_path: Path, storage: str, single_tips: bool
    ) -> None:
        data = measurements(hand)
        write_bag(tmp_path / "bag", hand, data, storage, single_tips=single_tips)
        tips = {name: f"{name}/measured_pose" for name in hand.tip_names} if single_tips else "measured_tip_poses"
        read = read_bag(tmp_path / "bag", hand, joints, Topics("/joint_states", tips))
        np.testing.assert_array_equal(read.joint_position, data.encoder)
        np.testing.assert_array_equal(read.tip_position, data.tip)
        np.testing.assert_allclose(read.joint_stamp, data.joint_stamp, rtol=0, atol=1e-9)
        np.testing.assert_allclose(read.tip_stamp, data.tip_stamp, rtol=0, atol=1e-9)
        assert not read.dropped
        assert not read.joint_position.flags.writeable and not read.tip_position.flags.writeable

    def test_joints_are_found_by_name_in_any_order(self, bag: Bag, hand: Robot, joints: JointMap) -> None:
        q = np.linspace(0.1, 0.4, hand.nq)
        order = np.random.default_rng(0).permutation(hand.nq)
        bag.joints(10.02, q[order], tuple(np.array(hand.joint_names)[order].tolist()))
        np.testing.assert_array_equal(read_bag(bag.write(), hand, joints, TOPICS).joint_position[-1], q)

    def test_a_driver_with_other_joint_names_and_thumb_first_fills_the_robots_order(
        self, hand: Robot, tmp_path: Path
    ) -> None:
        mapped = joint_map(load_driver(driver_file("wonik_ros2_control")), hand)
        bag = Bag(tmp_path / "bag", hand)
        q = np.linspace(0.1, 0.4, hand.nq)
        bag.joints(10.0, mapped.to_array(q), mapped.names)
        bag.joints(10.0, np.zeros(2), ("arm_1", "arm_2"))
        bag.tips(10.0, hand.kinematics.tip_position(q))
        read = read_bag(bag.write(), hand, mapped, TOPICS)
        np.testing.assert_array_equal(read.joint_position, q[None])
        assert read.dropped == {"joint state of another robot": 1}

    def test_joint_states_that_cannot_be_used_are_dropped_with_a_reason(
        self, bag: Bag, hand: Robot, joints: JointMap
    ) -> None:
        bag.joints(10.02, np.full(hand.nq, np.nan))
        bag.joints(10.03, hand.home[:-1], hand.joint_names[:-1])
        bag.joints(10.04, hand.home, stamp=10.01)
        read = read_bag(bag.write(), hand, joints, TOPICS)
        assert len(read.joint_position) == 2
        assert sorted(read.dropped.values()) == [1, 1, 1]
        reasons = " ".join(read.dropped)
        assert "not finite" in reasons and "missing joint_15.0" in reasons and "was there before" in reasons

    def test_a_tip_that_is_not_finite_is_missing_and_the_others_stay(
        self, bag: Bag, hand: Robot, joints: JointMap
    ) -> None:
        tip = hand.kinematics.tip_position(hand.home).copy()
        tip[2, 1] = np.inf
        bag.tips(10.006, tip)
        read = read_bag(bag.write(), hand, joints, TOPICS)
        np.testing.assert_array_equal(np.isnan(read.tip_position[-1]).all(-1), [False, False, True, False])

    def test_a_message_with_too_few_tips_is_dropped(self, bag: Bag, hand: Robot, joints: JointMap) -> None:
        bag.tips(10.006, np.zeros((3, 3)))
        assert read_bag(bag.write(), hand, joints, TOPICS).dropped == {"tip poses: 3 of them, the robot has 4 tips": 1}

    def test_times_of_receipt_are_used_for_both_topics_when_headers_have_none(
        self, hand: Robot, joints: JointMap, tmp_path: Path
    ) -> None:
        bag = Bag(tmp_path / "bag", hand)
        bag.joints(10.0, hand.home, stamp=0.0)
        bag.joints(10.01, hand.home, stamp=0.0)
        bag.tips(10.004, hand.kinematics.tip_position(hand.home), stamp=500.0)
        read = read_bag(bag.write(), hand, joints, TOPICS)
        assert read.by_receipt
        np.testing.assert_allclose(read.joint_stamp, [0.0, 0.01], atol=1e-9)
        np.testing.assert_allclose(read.tip_stamp, [0.004], atol=1e-9)

    @pytest.mark.parametrize("frame", ["camera", ""])
    def test_tips_in_another_frame_are_refused_with_both_frames(
        self, bag: Bag, hand: Robot, joints: JointMap, frame: str
    ) -> None:
        bag.tips(10.006, hand.kinematics.tip_position(hand.home), frame=frame)
        with pytest.raises(FileError, match=f"are in frame '{frame}', must be in 'palm_link'"):
            read_bag(bag.write(), hand, joints, TOPICS)

    @pytest.mark.parametrize(
        ("topics", "message"),
        [
            (
                Topics("joints", "measured_tip_poses"),
                "'joints' is not in the bag; topics of sensor_msgs/msg/JointState: /joint_st",
            ),
            (
                Topics("joint_states", "joint_states"),
                "'joint_states' is sensor_msgs/msg/JointState; topics of geometry_msgs",
            ),
            (Topics("joint_states", {"pinky": "a"}), "tip 'pinky' is unknown; the robot has index"),
            (Topics("joint_states", {}), "no topic of tip poses"),
        ],
    )
    def test_a_wrong_topic_is_refused_and_the_right_ones_are_listed(
        self, bag: Bag, hand: Robot, joints: JointMap, topics: Topics, message: str
    ) -> None:
        with pytest.raises(FileError, match=message):
            read_bag(bag.write(), hand, joints, topics)

    def test_a_recording_of_nothing_but_refused_messages_names_the_reasons(
        self, hand: Robot, joints: JointMap, tmp_path: Path
    ) -> None:
        bag = Bag(tmp_path / "bag", hand)
        bag.joints(10.0, np.full(hand.nq, np.nan))
        bag.tips(10.0, hand.kinematics.tip_position(hand.home))
        with pytest.raises(FileError, match="no usable joint states: 1 x joint state: a joint position is not finite"):
            read_bag(bag.write(), hand, joints, TOPICS)

    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    @pytest.mark.parametrize("damage", ["no bag", "no metadata", "cut short", "empty", "no storage"])
    def test_a_damaged_bag_is_an_error_of_the_package(
        self, hand: Robot, joints: JointMap, tmp_path: Path, storage: str, damage: str
    ) -> None:
        path = tmp_path / "bag"
        if damage != "no bag":
            write_bag(path, hand, measurements(hand, 1.0), storage)
            stored = next(file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
            content = stored.read_bytes()
            {
                "no metadata": lambda: (path / "metadata.yaml").unlink(),
                "cut short": lambda: stored.write_bytes(content[: len(content) // 2]),
                "empty": lambda: stored.write_bytes(b""),
                "no storage": stored.unlink,
            }[damage]()
        with pytest.raises(FileError, match="not a readable rosbag2"):
            read_bag(path, hand, joints, TOPICS)

    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    def test_flipped_bytes_are_an_error_of_the_package_or_change_values_only(
        self, tmp_path: Path, storage: str
    ) -> None:
        robot = load_robot(robot_file("spatial_2j"))
        joints = joint_map(load_driver(driver_file("simulated")), robot)
        path, rng = tmp_path / "bag", np.random.default_rng(1)
        write_bag(path, robot, measurements(robot, 0.3), storage)
        stored = next(file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
        content = np.frombuffer(stored.read_bytes(), np.uint8)
        refused = 0
        for flips in (1, 5, 40) * 30:
            damaged = content.copy()
            damaged[rng.integers(0, len(content), flips)] = rng.integers(0, 256, flips)
            stored.write_bytes(damaged.tobytes())
            try:
                data = read_bag(path, robot, joints, TOPICS)
            except FileError:
                refused += 1
            else:
                assert np.isfinite(data.joint_position).all() and (np.diff(data.tip_stamp) > 0).all()
        assert 10 < refused < 90

    @pytest.mark.parametrize(
        ("place", "told"),
        [
            ("", r"there is no metadata\.yaml in it; `ros2 bag reindex` makes it"),
            ("bag.mcap", "it is a file, name the folder around it"),
            ("none", "there is no such folder"),
        ],
    )
    def test_what_is_no_bag_is_told_by_what_is_missing(
        self, hand: Robot, joints: JointMap, tmp_path: Path, place: str, told: str
    ) -> None:
        path = tmp_path / "bag"
        write_bag(path, hand, measurements(hand), "mcap")
        (path / "metadata.yaml").unlink()  # as a recorder leaves it that lost its power
        with pytest.raises(FileError, match=told):
            read_bag(path / place, hand, joints, TOPICS)

    @pytest.mark.parametrize("at", [0.3, 0.5, 0.7])
    def test_a_bag_with_a_lost_part_is_refused_though_the_reader_goes_on_over_it(
        self, hand: Robot, joints: JointMap, tmp_path: Path, at: float
    ) -> None:
        """As a disk leaves it that lost its power: a block of zeros in the middle."""
        path = tmp_path / "bag"
        write_bag(path, hand, measurements(hand), "mcap")
        stored = path / "bag.mcap"
        content = stored.read_bytes()
        start = int(at * len(content))
        stored.write_bytes(content[:start] + bytes(4096) + content[start + 4096 :])
        with pytest.raises(FileError, match="not a readable rosbag2"):
            read_bag(path, hand, joints, TOPICS)

    @pytest.mark.parametrize("error", [KeyError("pose"), OverflowError("too large"), MemoryError(), AssertionError()])
    def test_whatever_the_reader_library_raises_is_told_as_a_damaged_bag(
        self, bag: Bag, hand: Robot, joints: JointMap, error: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def deserialize(*_: object) -> None:
            raise error

        monkeypatch.setattr(AnyReader, "deserialize", deserialize)
        with pytest.raises(FileError, match=f"is not a readable rosbag2 .*: {type(error).__name__}"):
            read_bag(bag.write(), hand, joints, TOPICS)

    def test_a_time_of_receipt_that_is_none_is_told_as_a_damaged_bag(
        self, bag: Bag, hand: Robot, joints: JointMap
    ) -> None:
        bag.rows[-1] = (*bag.rows[-1][:2], -5, bag.rows[-1][3])
        with pytest.raises(FileError, match=r"a message of measured_tip_poses was received at -5 ns"):
            read_bag(bag.write(), hand, joints, TOPICS)

    def test_a_recording_is_never_overwritten(self, hand: Robot, tmp_path: Path) -> None:
        (tmp_path / "bag").mkdir()
        with pytest.raises(InputError, match="exists already"):
            write_bag(tmp_path / "bag", hand, measurements(hand, 0.5))


class TestSimulatedRecording:
    """The command that records a simulated robot."""

    @pytest.mark.parametrize(
        ("option", "text"),
        [
            ("--duration", "-5"), ("--duration", "0"), ("--duration", "nan"), ("--duration", "1e9"), ("--noise-mm", "-1"),
            ("--length-error-mm", "-2"), ("--joint-offset-deg", "nan"), ("--axis-error-deg", "90"),
            ("--tip-delay-ms", "inf"), ("--outliers", "2"), ("--outliers", "nan"), ("--seed", "-1"), ("--seed", "1.5"),
        ],
    )  # fmt: skip
    def test_a_number_that_makes_no_recording_is_refused_by_name_with_what_is_allowed(
        self, tmp_path: Path, option: str, text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            record_simulation.main(["--robot", "spatial_2j", "--output", str(tmp_path / "bag"), option, text])
        assert stopped.value.code == 2
        assert re.search(
            rf"argument {option}: is '{text}', must be a .* within \[.*\]$", capsys.readouterr().err.strip()
        )
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("place", ["no/bag", "file/bag", "file", "", "late"])
    def test_a_place_that_cannot_be_written_is_refused_before_anything_is_simulated(
        self, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("kept")
        (tmp_path / "late.truth.yaml").mkdir()
        monkeypatch.setattr(record_simulation, "measure", lambda *_: pytest.fail("it was simulated"))
        assert record_simulation.main(["--robot", "spatial_2j", "--output", str(tmp_path / place)]) == 2
        assert re.search("cannot be written|exists already", capsys.readouterr().err)
        assert (tmp_path / "file").read_text() == "kept" and not (tmp_path / "late").exists()

    @pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
    def test_a_bag_that_grows_beyond_what_may_be_written_is_told_by_its_name(
        self, tmp_path: Path, storage: str
    ) -> None:
        command = ["--robot", "planar_2r", "--duration", "20", "--storage", storage, "--output", str(tmp_path / "bag")]
        words = [sys.executable, "-m", record_simulation.__name__, *command]
        # the largest file of the process, 100 kB, stands in for a full disk
        shell = f"trap '' XFSZ; ulimit -f 100; exec {shlex.join(words)}"
        ended = subprocess.run(["bash", "-c", shell], cwd=share_dir(), capture_output=True, text=True)
        assert ended.returncode == 2 and "Traceback" not in ended.stderr
        assert ended.stderr.startswith(f"{tmp_path / 'bag'}: 1 problem\n  - cannot be written: ")

    def test_the_largest_errors_that_can_be_asked_for_are_written_as_a_truth_that_is_read(self, tmp_path: Path) -> None:
        words = "--duration 1 --joint-offset-deg 28 --axis-error-deg 16 --length-error-mm 50 --outliers 1"
        for robot in ("spatial_2j", "allegro_right"):
            path = tmp_path / robot
            assert record_simulation.main(["--robot", robot, "--output", str(path), *words.split()]) == 0
            load_calibration(Path(f"{path}.truth.yaml"), load_robot(robot_file(robot)))


class TestAlignment:
    def test_joints_stand_at_the_times_of_the_tips(self, hand: Robot, joints: JointMap, tmp_path: Path) -> None:
        data = measurements(hand)
        write_bag(tmp_path / "bag", hand, data)
        recording = read_recording(tmp_path / "bag", hand, joints, TOPICS)
        # a straight line over 5 ms of a sine of 2 rad/s is off by at most 0.0025^2 / 2 of its 4-fold amplitude
        np.testing.assert_allclose(recording.q, posture(hand, data.tip_stamp), rtol=0, atol=1e-5)
        assert recording.report.kept == recording.report.measurements == 4 * len(data.tip)

    def test_the_velocity_is_the_slope_of_the_motion(self, hand: Robot) -> None:
        data = measurements(hand)
        recording = align(bag_data(data), hand, RecordingOptions())
        h = 1e-6
        slope = (posture(hand, data.tip_stamp + h) - posture(hand, data.tip_stamp - h)) / (2 * h)
        np.testing.assert_allclose(recording.dq, slope, rtol=0, atol=5e-3)

    def test_a_known_delay_of_the_tips_is_taken_off(self, hand: Robot) -> None:
        data = measurements(hand)
        late = bag_data(data._replace(tip_stamp=data.tip_stamp + 0.05))
        np.testing.assert_allclose(
            align(late, hand, RecordingOptions(), 0.05).q, posture(hand, data.tip_stamp), rtol=0, atol=1e-5
        )

    def test_no_joints_are_invented_over_a_gap_or_outside_the_recording(self, hand: Robot) -> None:
        data = measurements(hand)
        rows = (data.joint_stamp < 1.0) | ((data.joint_stamp > 1.5) & (data.joint_stamp < 3.0))
        cut = data._replace(joint_stamp=data.joint_stamp[rows], encoder=data.encoder[rows])
        recording = align(bag_data(cut), hand, RecordingOptions(longest_gap=0.02))
        inside = (data.tip_stamp < 0.995) | ((data.tip_stamp > 1.505) & (data.tip_stamp < 2.995))
        np.testing.assert_array_equal(recording.stamp, data.tip_stamp[inside])
        (n,) = (n for reason, n in recording.report.dropped.items() if "no joint states within 0.02 s" in reason)
        assert n == 4 * (~inside).sum()

    def test_nobody_writes_into_a_recording(self, hand: Robot) -> None:
        data = measurements(hand)
        recording = align(bag_data(data), hand, RecordingOptions())
        less = without(recording, np.arange(len(data.tip))[:, None] < [3, 3, 3, 3], "no reason")
        assert len(less.q) == len(recording.q) - 3
        for whole in (recording, less):
            assert not any(part.flags.writeable for part in (whole.stamp, whole.q, whole.dq, whole.tip))

    def test_topics_from_different_times_are_refused_with_both_times(self, hand: Robot) -> None:
        data = measurements(hand)
        with pytest.raises(InputError, match=r"joints from 0.000 to 3.995 s, tips from 1000.102"):
            align(bag_data(data._replace(tip_stamp=data.tip_stamp + 1000.0)), hand, RecordingOptions())

    def test_a_single_joint_state_gives_the_pose_at_its_own_time_only(self, hand: Robot) -> None:
        data = measurements(hand)
        one = data._replace(joint_stamp=data.tip_stamp[3:4], encoder=posture(hand, data.tip_stamp[3:4]))
        recording = align(bag_data(one), hand, RecordingOptions())
        np.testing.assert_array_equal(recording.stamp, data.tip_stamp[3:4])

    def test_joint_states_far_beyond_the_limits_are_dropped_and_counted_and_the_others_stay(self, hand: Robot) -> None:
        data = measurements(hand)
        encoder = data.encoder.copy()
        encoder[100:140, 2] = hand.upper[2] + 0.51
        encoder[300:330, 5] = hand.lower[5] - 0.51
        encoder[500, 5], encoder[501, 2] = hand.lower[5] - 0.49, hand.upper[2] + 0.49
        recording = align(bag_data(data._replace(encoder=encoder)), hand, RecordingOptions())
        ((reason, n),) = (item for item in recording.report.dropped.items() if item[0].startswith("joint state"))
        assert n == 70 and "more than 0.5 rad beyond its limits" in reason
        hole = ((data.tip_stamp > 0.5) & (data.tip_stamp < 0.695)) | ((data.tip_stamp > 1.5) & (data.tip_stamp < 1.645))
        assert not np.isin(data.tip_stamp[hole], recording.stamp).any()
        assert np.isin(data.tip_stamp[~hole & (np.abs(data.tip_stamp - 2.5) > 0.02)], recording.stamp).all()


class TestOutliers:
    def test_every_jump_of_a_centimetre_goes_and_every_good_measurement_stays(self, hand: Robot) -> None:
        data = measurements(hand, 8.0)
        rng = np.random.default_rng(4)
        wrong = rng.random(data.tip.shape[:2]) < 0.03
        direction = rng.normal(size=data.tip.shape)
        direction *= 0.01 / np.linalg.norm(direction, axis=-1, keepdims=True)
        tip = data.tip + rng.normal(0.0, 1e-4, data.tip.shape) + direction * wrong[..., None]
        recording = align(bag_data(data._replace(tip=tip)), hand, RecordingOptions())
        np.testing.assert_array_equal(recording.measured, ~wrong)

    def test_tips_of_a_hand_that_is_not_as_described_are_no_outliers(self, hand: Robot) -> None:
        data = measurements(hand)
        parameters = hand.kinematics.parameters
        off = hand.kinematics.calibrated(
            parameters._replace(joint_zero=parameters.joint_zero + 0.1, tip_offset=parameters.tip_offset + 0.005)
        )
        tip = off.tip_position(posture(hand, data.tip_stamp))
        assert align(bag_data(data._replace(tip=tip)), hand, RecordingOptions()).measured.all()

    def test_tips_farther_away_than_a_finger_is_long_go_however_many_they_are(self, hand: Robot) -> None:
        data = measurements(hand)
        tip = data.tip.copy()
        tip[:100, 1] += 0.5
        recording = align(bag_data(data._replace(tip=tip)), hand, RecordingOptions())
        np.testing.assert_array_equal(recording.measured[:, 1], np.arange(len(tip)) >= 100)
        assert recording.report.dropped == {"tip measurement: farther away than the finger is long": 100}

    def test_the_report_accounts_for_every_measurement(self, hand: Robot) -> None:
        data = measurements(hand)
        tip = data.tip.copy()
        tip[5, 0] += 0.03
        tip[9] = np.nan
        report = align(bag_data(data._replace(tip=tip)), hand, RecordingOptions()).report
        assert report.measurements == report.kept + sum(report.dropped.values()) == 4 * (len(tip) - 1)
        assert "sudden departure" in report.text() and f"{report.kept} of {report.measurements}" in report.text()


class TestSamples:
    def test_the_label_of_a_sample_puts_the_tips_on_its_target(self, hand: Robot) -> None:
        recording = align(bag_data(measurements(hand)), hand, RecordingOptions())
        samples = recorded_samples(recording, hand, 500, np.random.default_rng(1))
        np.testing.assert_allclose(hand.kinematics.tip_position(samples.q_goal), samples.tip_target, rtol=0, atol=1e-5)
        np.testing.assert_allclose(hand.kinematics.tip_position(samples.q), samples.tip, rtol=0, atol=1e-5)

    def test_fingers_are_combined_to_hand_poses_that_were_not_recorded(self, hand: Robot) -> None:
        recording = align(bag_data(measurements(hand)), hand, RecordingOptions())
        samples = recorded_samples(recording, hand, 200, np.random.default_rng(1))
        recorded = {tuple(q) for q in recording.q.tolist()}
        assert sum(tuple(q) in recorded for q in samples.q_goal.tolist()) < 20
        assert all(tuple(q) in recorded for q in samples.q.tolist())

    def test_near_goals_are_near_in_every_joint_of_the_finger(self, hand: Robot) -> None:
        recording = align(bag_data(measurements(hand)), hand, RecordingOptions())
        samples = recorded_samples(recording, hand, 300, np.random.default_rng(1), near_share=1.0, near=0.3)
        assert np.abs(samples.q_goal - samples.q).max() <= 0.3

    def test_four_goals_of_ten_are_near_unless_asked_otherwise(self, hand: Robot) -> None:
        recording = align(bag_data(measurements(hand, 20.0)), hand, RecordingOptions())
        samples = recorded_samples(recording, hand, 500, np.random.default_rng(1))
        assert (np.abs(samples.q_goal - samples.q).max(-1) <= 0.2).mean() == pytest.approx(0.4, abs=0.07)

    def test_the_closest_pose_is_the_goal_where_none_is_near(self, hand: Robot) -> None:
        data, thumb = measurements(hand), hand.kinematics.topology.chain[3]
        data.tip[::2, 3] = np.nan
        recording = align(bag_data(data), hand, RecordingOptions())
        samples = recorded_samples(recording, hand, 50, np.random.default_rng(1), near_share=1.0, near=0.0)
        seen = recording.q[recording.measured[:, 3]][:, thumb]
        closest = np.abs(samples.q[:, None, thumb] - seen).max(-1).min(-1)
        assert closest.max() > 0.0
        np.testing.assert_array_equal(np.abs(samples.q_goal - samples.q)[:, thumb].max(-1), closest)

    def test_a_missing_tip_is_never_a_target(self, hand: Robot) -> None:
        data = measurements(hand)
        tip = data.tip.copy()
        tip[::2, 3] = np.nan
        recording = align(bag_data(data._replace(tip=tip)), hand, RecordingOptions())
        assert np.isfinite(recorded_samples(recording, hand, 500, np.random.default_rng(1)).tip_target).all()

    def test_the_same_seed_gives_the_same_samples(self, hand: Robot) -> None:
        recording = align(bag_data(measurements(hand)), hand, RecordingOptions())
        first, second = (recorded_samples(recording, hand, 50, np.random.default_rng(8)) for _ in range(2))
        np.testing.assert_array_equal(first.q_goal, second.q_goal)

    def test_a_tip_without_any_measurement_is_refused_by_name(self, hand: Robot) -> None:
        data = measurements(hand)
        tip = data.tip.copy()
        tip[:, 2] = np.nan
        recording = align(bag_data(data._replace(tip=tip)), hand, RecordingOptions())
        with pytest.raises(InputError, match="no measurement of ring"):
            recorded_samples(recording, hand, 5, np.random.default_rng(0))

    @pytest.mark.parametrize("duration", [3.0, 60.0, 301.0])
    def test_held_out_poses_are_a_fifth_in_whole_blocks(self, hand: Robot, duration: float) -> None:
        recording = align(bag_data(measurements(hand)), hand, RecordingOptions())
        stamp = np.arange(0.0, duration, 0.01)
        held_out = split(replace(recording, stamp=stamp))
        assert 0.15 <= held_out.mean() <= 0.25
        ends = np.flatnonzero(np.diff(held_out, prepend=False, append=False))
        np.testing.assert_allclose(0.01 * np.diff(ends)[::2], min(2.0, duration / 20.0), rtol=0, atol=0.011)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("stamp", [[5.0], [5.0] * 7])
    def test_nothing_is_held_out_of_a_single_moment(self, hand: Robot, stamp: list[float]) -> None:
        recording = align(bag_data(measurements(hand)), hand, RecordingOptions())
        assert split(replace(recording, stamp=np.array(stamp))).tolist() == [False] * len(stamp)

    @pytest.mark.parametrize("begin", [(0.0, 30.0, 58.0), (0.0, 58.0), (0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 58.0)])
    def test_a_fifth_is_held_out_of_a_recording_in_which_the_tips_are_seen_a_few_times(
        self, hand: Robot, begin: tuple[float, ...]
    ) -> None:
        recording = align(bag_data(measurements(hand)), hand, RecordingOptions())
        stamp = np.concatenate([at + np.arange(0.0, 0.9, 0.01) for at in begin])
        held_out = split(replace(recording, stamp=stamp))
        assert 0.15 <= held_out.mean() <= 0.25
        assert np.count_nonzero(np.diff(held_out)) < 15

    @pytest.mark.parametrize(("seen", "period"), [(1.5, 10.0), (2.0, 5.0), (3.0, 5.0), (0.3, 10.0), (0.01, 10.0)])
    def test_a_fifth_is_held_out_of_a_recording_in_which_the_tips_are_seen_in_a_rhythm(
        self, hand: Robot, seen: float, period: float
    ) -> None:
        recording = align(bag_data(measurements(hand)), hand, RecordingOptions())
        stamp = np.arange(0.0, 40.0 * period, 0.01)
        assert 0.15 <= split(replace(recording, stamp=stamp[stamp % period < seen])).mean() <= 0.25
