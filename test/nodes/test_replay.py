"""A recorded session comes back bit for bit, from a file and from bags, and whatever does not is named."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_bench import Bench, Lab, wait_for
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from nnik_ros.calibration import Calibration
from nnik_ros.controller import Controller
from nnik_ros.nodes.demo_arguments import read_arguments
from nnik_ros.nodes.demo_node import Demo
from nnik_ros.nodes.replay import DIFFERENT, IDENTICAL, UNUSABLE, Comparison, main
from nnik_ros.paths import robot_file, share_dir
from nnik_ros.robot import Robot
from nnik_ros.tape import Tick

LATE = QoSProfile(
    depth=1000, reliability=QoSReliabilityPolicy.RELIABLE, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
)  # fmt: skip
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def session(module_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[String]]:
    """A session in which an operator did everything that one can do: its file, and what came on the topic."""
    file = tmp_path_factory.mktemp("session") / "session.jsonl"
    bench = module_lab.bench(model="allegro_right", record=file, record_topic=True)
    robot = bench.robot
    far, near = (robot.kinematics.tip_position(robot.home + shift) for shift in (0.25, -0.1))
    bench.until("IDLE")
    heard = bench.station.listen(String, "tape", LATE)  # late: the session has begun
    wait_for(lambda: heard, "the tape on its topic", bench.process)
    bench.until("REACHED", meanwhile=lambda: bench.send(far))
    set_parameters(bench, speed="0.5")
    bench.enable("ring", False)
    for _ in range(20):
        bench.send(near)
        bench.count_statuses(1)
    bench.enable("ring", True)
    bench.trigger("home")
    bench.until("HOMING")
    bench.trigger("pause")
    bench.until("PAUSED")
    set_parameters(bench, model="none")
    bench.trigger("start")
    bench.until("REACHED", meanwhile=lambda: bench.send(near))
    bench.trigger("reset")
    bench.until("PAUSED")
    bench.process.close()
    assert '"end"' in file.read_text().splitlines()[-1]
    wait_for(lambda: '"end"' in heard[-1].data, "the end of the recording on the topic")
    return file, heard


def set_parameters(bench: Bench, **values: str) -> None:
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
    from rcl_interfaces.srv import SetParameters

    request = SetParameters.Request()
    for name, value in values.items():
        typed = (
            ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value) if name == "model"
            else ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=float(value))
        )  # fmt: skip
        request.parameters.append(Parameter(name=name, value=typed))
    (result,) = bench.station.call(SetParameters, "controller/set_parameters", request).results
    assert result.successful, result.reason


def ticks_of(file: Path) -> int:
    return sum("now" in json.loads(line) for line in file.read_text().splitlines())


def call(lines: Lines, name: str) -> dict[str, Any]:
    """The first call of that name."""
    return next(line for line in lines if line.get("call") == name)


def ticks_before(file: Path, line: int) -> int:
    return sum("now" in json.loads(text) for text in file.read_text().splitlines()[:line])


def first_command_after(file: Path, tick: int) -> int:
    """The number of the first tick with a command from `tick` on."""
    ticks = [values for line in file.read_text().splitlines() if "now" in (values := json.loads(line))]
    return next(n for n in range(tick, len(ticks)) if ticks[n]["command"])


def nth_tick(lines: Lines, n: int) -> dict[str, Any]:
    return [line for line in lines if "now" in line][n]


def changed(file: Path, folder: Path, change: Callable[[Lines], None]) -> Path:
    """A copy of a recording after `change`."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    change(lines)
    copy = folder / "changed.jsonl"
    copy.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return copy


def test_a_session_with_every_call_of_an_operator_comes_back_bit_for_bit(
    session: tuple[Path, list[String]], capsys: pytest.CaptureFixture[str]
) -> None:
    file, _ = session
    calls = {json.loads(line).get("call") for line in file.read_text().splitlines()} - {None}
    assert calls == {"start", "pause", "home", "reset", "forget", "enable", "options", "model"}
    assert main([str(file)]) == IDENTICAL
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"replay: {ticks_of(file)} ticks, ")
    assert last.endswith("all identical")


def test_a_session_comes_back_from_anywhere_but_not_with_another_calibration_or_urdf(
    lab: Lab, robot: Robot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nq, nt = robot.nq, robot.nt
    Calibration(
        robot.name, robot.kinematics.digest(), robot.joint_names, robot.tip_names, np.full(nq, 0.03), np.zeros((nq, 3)),
        np.zeros((nq, 3)), np.full((nt, 3), 0.001), "a test",
    ).write(tmp_path / "mine.yaml")  # fmt: skip
    (tmp_path / "hand.yaml").write_text(robot_file("allegro_right").read_text().replace("../../urdf/", ""))
    shutil.copy(robot.urdf_path, tmp_path)
    here = Path(os.path.relpath(tmp_path, share_dir()))  # from where the controller runs
    bench = lab.bench(
        robot=here / "hand.yaml", calibration=here / "mine.yaml", model="allegro_right", record=tmp_path / "tape.jsonl"
    )
    bench.until("IDLE")
    bench.set_out(robot.kinematics.tip_position(robot.home + 0.25), 0.1)
    bench.process.close()
    monkeypatch.chdir(tmp_path)
    assert main(["tape.jsonl"]) == IDENTICAL
    for name, words in (("mine.yaml", "mine.yaml is"), (robot.urdf_path.name, "hand.yaml or its URDF is")):
        with (tmp_path / name).open("a") as file:
            file.write("\n")
        assert main(["tape.jsonl"]) == UNUSABLE
        assert f"{tmp_path}/{words} another one than in the recording" in capsys.readouterr().err


@pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])
def test_a_bag_that_began_late_holds_the_whole_session(
    session: tuple[Path, list[String]], storage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, heard = session
    write_bag(tmp_path / "bag", storage, {"/hand/tape": heard, "/other": [String(data="something else")]})
    assert main([str(tmp_path / "bag")]) == IDENTICAL
    assert f"replay: {ticks_of(file)} ticks" in capsys.readouterr().out


def write_bag(folder: Path, storage: str, topics: dict[str, list[String]]) -> None:
    with Writer(folder, version=9, storage_plugin=StoragePlugin[storage]) as writer:
        for topic, messages in topics.items():
            connection = writer.add_connection(topic, "std_msgs/msg/String", typestore=get_typestore(Stores.ROS2_JAZZY))
            for step, message in enumerate(messages):
                writer.write(connection, 10**9 + step, serialize_message(message))


def test_a_bag_without_the_topic_names_those_that_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bag(tmp_path / "bag", "MCAP", {"/chatter": [String(data="hello")]})
    assert main([str(tmp_path / "bag")]) == UNUSABLE
    assert "has no topic '/tape'" in (words := capsys.readouterr().err)
    assert "/chatter" in words


def test_a_changed_command_is_found_with_its_tick_joint_and_size(
    session: tuple[Path, list[String]], robot: Robot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = first_command_after(session[0], 40)

    def change(lines: Lines) -> None:
        nth_tick(lines, place)["command"][6] += 1e-12

    assert main([str(changed(session[0], tmp_path, change))]) == DIFFERENT
    out = capsys.readouterr().out
    assert f"tick {place}: {robot.joint_names[6]}: " in out
    assert "1e-12 rad apart" in out
    assert out.splitlines()[-1].endswith("1 ticks differ")


def test_ctrl_c_in_compiled_code_ends_a_replay_and_is_no_difference(
    session: tuple[Path, list[String]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tick = Controller.tick

    def interrupted(*given: Any) -> Any:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise SystemError("returned a result with an exception set") from error
        return tick(*given)

    monkeypatch.setattr(Controller, "tick", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main([str(session[0])])
    assert capsys.readouterr().out == ""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_difference_names_the_joint_as_it_is_called_and_numbers_in_all_their_digits(robot: Robot) -> None:
    called = dataclasses.replace(robot, joint_names=("joint (1)", *robot.joint_names[1:]))
    recorded = Tick(0.0, None, 0.0, np.zeros((4, 3)), np.zeros(4), None, robot.home, ())
    again = recorded._replace(command=robot.home + np.eye(16)[0] * 0.1)
    comparison = Comparison()
    comparison.add(called, recorded, again)
    was, now = robot.home.tolist()[0], again.command.tolist()[0]
    assert comparison.differences[0].what == f"joint (1): {was} recorded, {now} now, 0.1 rad apart"


def test_a_changed_measurement_changes_the_commands_from_its_tick_on(
    session: tuple[Path, list[String]], robot: Robot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(lines: Lines) -> None:
        first.append(next(i for i, line in enumerate(lines) if line.get("q")))
        lines[first[0]]["q"][2] += 1e-9

    first: list[int] = []
    assert main([str(changed(session[0], tmp_path, change))]) == DIFFERENT
    out = capsys.readouterr().out
    assert f"tick {ticks_before(session[0], first[0])}: {robot.joint_names[2]}: " in out
    assert "1e-09 rad apart" in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines.pop(20), "line 21: is entry 21, entry 20 was expected"),
        (lambda lines: lines[0].update(version=7), "version is 7, this program reads 1"),
        (lambda lines: lines[0].update(tape="other"), "no recording of this package"),
        (lambda lines: lines[0].pop("model"), "model is missing"),
        (lambda lines: nth_tick(lines, 30).pop("state"), "is damaged: 'state' is missing"),
        (lambda lines: nth_tick(lines, 30).update(state=["x"]), "is damaged: invalid literal"),
        (lambda lines: nth_tick(lines, 30).update(state=[math.inf]), "is damaged: cannot convert float infinity to integer"),
        (lambda lines: nth_tick(lines, 30).update(now=10**400), "is damaged: int too large to convert to float"),
        (lambda lines: nth_tick(lines, 30).update(command=[10**400]), "is damaged: int too large to convert to float"),
        (lambda lines: lines[0]["options"].update(rate=-1.0), "rate: is -1.0"),
        (lambda lines: lines[0]["options"].update(rate=10**400), "must be a finite number within [50, 1000] Hz"),
        (lambda lines: lines[0]["model"].update(file=f"/{'x' * 300}.onnx"), "cannot be looked at: File name too long"),
        (lambda lines: lines[0]["model"].update(file="/proc/self/mem"), "/proc/self/mem cannot be read: "),
        (lambda lines: lines[0]["model"].update(file="/nowhere.onnx"), "does not exist any more; name the file with --model"),
        (lambda lines: lines[0]["model"].update(sha256="0"), "is another one than in the recording"),
        (lambda lines: lines[0]["robot"].update(sha256="0"), "is another one than in the recording"),
        (lambda lines: nth_tick(lines, 5).update(call="fly"), "'fly' is no call of a controller"),
        (lambda lines: lines[0].update(robot=None), "line 1: robot is None, must have a file and its sha256"),
        (lambda lines: lines[0].update(model="x.onnx"), "line 1: model is 'x.onnx', must have a file and its sha256"),
        (lambda lines: lines[0]["model"].pop("sha256"), "must have a file and its sha256"),
        (lambda lines: lines[0].update(options=[1]), "line 1: options is [1], must be a mapping"),
        (lambda lines: call(lines, "options").update(value=None), "is damaged: options: is None, must be a mapping"),
        (lambda lines: call(lines, "options")["value"].update(speed="x"), "is damaged: speed: is 'x', must be a finite number"),
        (lambda lines: call(lines, "enable").update(value=[1]), "is damaged: enable: is [1], must be a list of true and false"),
        (lambda lines: lines.clear(), "it is empty"),
        (lambda lines: lines.__delitem__(slice(1, None)), "holds no tick, so there is nothing to compare"),
    ],
)  # fmt: skip
def test_a_recording_that_cannot_be_used_says_where_and_why(
    session: tuple[Path, list[String]],
    change: Callable[[Lines], None],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(changed(session[0], tmp_path, change))]) == UNUSABLE
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--robot", "planar_2r"), "robot: {robots}/planar_2r.yaml or its URDF is another one than in the recording"),
        (("--calibration", "mine.yaml"), "--calibration mine.yaml: the recording was made without a calibration"),
        (("--topic", "left/tape"), "--topic left/tape: only a bag has topics, and this is a file"),
    ],
)
def test_an_argument_that_does_not_fit_the_recording_is_the_one_thing_complained_about(
    session: tuple[Path, list[String]], words: tuple[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(session[0]), *words]) == UNUSABLE
    complaint = complaint.format(robots=share_dir() / "config" / "robots")
    assert capsys.readouterr().err == f"replay: {session[0]}: 1 problem\n  - {complaint}\n"


def test_a_network_for_a_recording_of_damped_least_squares_is_refused(
    session: tuple[Path, list[String]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = changed(session[0], tmp_path, lambda lines: lines[0].update(model=None))
    assert main([str(file), "--model", "x.onnx"]) == UNUSABLE
    assert "--model x.onnx: the recording was made without a model" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"P6 \xff\xfe", b"[1, 2]\n", b"no tape\n"])
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(content)
    assert main([str(tmp_path / "file")]) == UNUSABLE
    assert "file: 1 problem" in capsys.readouterr().err
    assert main([str(tmp_path / "absent")]) == UNUSABLE


def test_a_recording_that_was_cut_off_is_replayed_as_far_as_it_goes(
    session: tuple[Path, list[String]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = session[0].read_text()
    (tmp_path / "cut").write_text(text[: len(text) // 2])
    assert main([str(tmp_path / "cut")]) == IDENTICAL
    out = capsys.readouterr().out
    assert "was cut off" in out
    assert "all identical" in out


def test_a_file_that_is_no_recording_is_not_written_into(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine\n")
    process = lab.start("controller_node", lab.station().namespace, record=tmp_path / "notes.txt")
    assert process.exit_code() == 1
    assert "exists and is no recording" in process.output
    assert (tmp_path / "notes.txt").read_text() == "mine\n"


def test_a_second_controller_is_refused_the_file_that_another_one_records_into(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of two hands with one parameter file; the recordings of both would be lost."""
    file = tmp_path / "both.jsonl"
    bench = lab.bench(record=file)
    bench.until("IDLE")
    second = lab.start("controller_node", lab.station().namespace, model="none", record=file)
    assert second.exit_code() == 1
    assert f"another controller writes into '{file}'" in second.output
    bench.count_statuses(3)
    bench.process.close()
    assert main([str(file)]) == IDENTICAL
    third = lab.bench(record=file)
    third.until("IDLE")


def test_a_session_behind_one_that_was_cut_off_within_a_line_can_be_replayed_with_it(
    session: tuple[Path, list[String]], lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a power cut or a full disk the same `record` once made both unreadable."""
    text, file = session[0].read_text(), tmp_path / "cut.jsonl"
    whole = text[: len(text) // 2].rpartition("\n")[0] + "\n"
    file.write_text(whole + '{"i":7,"now":12.')
    bench = lab.bench(record=file)
    bench.until("IDLE")
    bench.process.close()
    assert file.read_text().startswith(whole + '{"i":0,')
    assert main([str(file)]) == IDENTICAL
    assert f"replay: {ticks_of(file)} ticks" in capsys.readouterr().out


@pytest.mark.timeout(120)
def test_a_demo_over_dds_with_its_mujoco_hand_is_recorded_and_replayed(tmp_path: Path) -> None:
    file = tmp_path / "demo.jsonl"
    demo = subprocess.run(
        [sys.executable, "-m", "nnik_ros.nodes.demo", "--headless", "--seconds", "3", "--record", str(file)],
        cwd=share_dir(), capture_output=True, text=True,
    )  # fmt: skip
    assert f"recorded: ./run replay {file}" in demo.stdout, demo.stderr
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from nnik_ros.nodes.replay import main; code = main(); "
         "print('rclpy' in sys.modules); sys.exit(code)", str(file)],
        cwd=share_dir(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == IDENTICAL, done.stdout + done.stderr
    summary, uses_ros = done.stdout.splitlines()[-2:]
    assert summary.endswith("all identical")
    assert int(summary.split()[1]) == ticks_of(file) > 300
    assert uses_ros == "False", "a replay needs no ROS"
    moved = np.array([c for line in file.read_text().splitlines() if (c := json.loads(line).get("command"))])
    assert np.ptp(moved, axis=0).max() > 0.1, "the hand moved"


def test_sessions_one_after_the_other_in_one_file_are_all_replayed(
    session: tuple[Path, list[String]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two").write_text(2 * session[0].read_text())
    assert main([str(tmp_path / "two")]) == IDENTICAL
    assert f"replay: {2 * ticks_of(session[0])} ticks" in capsys.readouterr().out


@pytest.mark.timeout(300)
def test_a_bag_of_a_demo_is_replayed_and_holds_the_commands_that_went_over_the_wire(tmp_path: Path) -> None:
    """Of three tries the best tells how many are missing: where the machine stands still, best effort loses what it likes."""
    tries = (commands_in_a_bag(tmp_path / name) for name in ("a", "b", "c"))
    assert any(count > 300 and within < 0.2 and at_the_end < 0.2 for count, within, at_the_end in tries)
    again = record_bag(tmp_path / "a")
    assert again.returncode == 2
    assert "--record-bag" in again.stderr


def record_bag(bag: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nnik_ros.nodes.demo", "--headless", "--seconds", "3", "--record-bag", str(bag)]
    return subprocess.run(command, cwd=share_dir(), capture_output=True, text=True)


def commands_in_a_bag(bag: Path) -> tuple[int, float, float]:
    """How many of a demo's commands its bag holds, the share of those that it lost between them, and at the end, where some
    waited for the writer."""
    demo = record_bag(bag)
    assert f"recorded: ./run replay {bag}" in demo.stdout, demo.stderr
    assert main([str(bag)]) == IDENTICAL
    with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        said: dict[str, list[Any]] = {}
        for connection, _, data in reader.messages():
            said.setdefault(connection.topic, []).append(reader.deserialize(data, connection.msgtype))
    lines = [json.loads(line) for message in said["/tape"] for line in message.data.splitlines()]
    assert "end" in lines[-1]
    taped = [line["command"] for line in lines if line.get("command")]
    wire = [message.position.tolist() for message in said["/joint_cmd"]]
    first = taped.index(wire[0])
    places = [first]
    for position in wire[1:]:  # best effort may lose some, but changes none and keeps their order
        places.append(taped.index(position, places[-1]))
    count = len(wire)
    return count, (places[-1] - first + 1 - count) / count, (len(taped) - places[-1]) / count


@pytest.mark.parametrize("option", ["--record", "--record-bag"])
def test_a_recording_for_which_the_disk_has_no_room_is_told_and_is_no_success(option: str, tmp_path: Path) -> None:
    """A bag once ended the demo with a traceback, and a file was told as recorded."""
    command = [sys.executable, "-m", "nnik_ros.nodes.demo", "--headless", "--robot", "planar_2r", "--seconds", "3"]
    room = 50_000 if option == "--record" else 200_000  # B; a bag is written in large pieces
    demo = subprocess.run(
        [*command, option, str(tmp_path / "recording")], cwd=share_dir(), capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        env={**os.environ, "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},  # the limit is on shared memory, too
    )  # fmt: skip
    # 1 says that the rate was missed as well, as on a machine that has other work
    assert demo.returncode in (1, 2), demo.stdout + demo.stderr
    assert "the recording ends here" in demo.stderr
    assert "Traceback" not in demo.stderr
    assert "recorded: " not in demo.stdout


def test_what_waits_when_a_demo_ends_is_in_its_bag_with_the_time_of_its_arrival(tmp_path: Path) -> None:
    """A demo that got little of a busy processor wrote a tenth of the commands, all of them from the beginning."""
    arguments = read_arguments(None, ["--record-bag", str(tmp_path / "bag")])
    arguments.robot = "planar_2r"
    arguments.begun_with = arguments.robot, arguments.model
    demo, executor = Demo(arguments), SingleThreadedExecutor()
    executor.add_node(demo)
    commands, tape = demo.create_publisher(JointState, "joint_cmd", 1), demo.create_publisher(String, "tape", LATE)
    begin = time.time_ns()
    try:
        wait_for(lambda: commands.get_subscription_count() > 0 and tape.get_subscription_count() > 0, "the recorder")
        tape.publish(String(data='{"end": 600}'))
        for i in range(600):
            commands.publish(JointState(position=[float(i), 0.0]))
        said = time.time_ns()
        time.sleep(0.5)
        demo.close(executor)
    finally:
        executor.shutdown()
        demo.destroy_node()
    with AnyReader([tmp_path / "bag"], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        written = [
            (reader.deserialize(data, connection.msgtype).position[0], stamp)
            for connection, stamp, data in reader.messages()
            if connection.topic == "/joint_cmd"
        ]
    assert [position for position, _ in written] == list(range(600))
    assert begin < written[0][1] < written[-1][1] < said + 50_000_000
