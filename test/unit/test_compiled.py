from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnik_ros.compiled import F1, compiled

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import hashlib, numpy as np
from nnik_ros import compiled
from nnik_ros.collision import CollisionModel
from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.motion import JointMotion
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot
from nnik_ros.states import Measurement, Targets

robot, rng = load_robot(robot_file("allegro_right")), np.random.default_rng(1)
options = ControllerOptions(target_timeout=0.0, pointing=(0.5,), closed_loop_gain=2.0)
controller, sent = Controller(robot, None, options, CollisionModel(robot)), hashlib.sha256()
controller.start()
q, now = robot.home, 0.0
for goal in robot.random_joint_position(rng, 4):
    directions = robot.kinematics.tip_rotation(goal)[..., 2]
    for _ in range(40):
        now += 1 / 333
        targets = Targets(robot.kinematics.tip_position(goal), np.full(4, now), directions)
        result = controller.tick(now, Measurement(q, now), targets)
        q = q + 0.5 * (result.command - q)
        sent.update(result.command.tobytes() + result.tip_state.tobytes())
motion = JointMotion(robot, robot.kinematics, None, 1 / 333)
for wish in (robot.upper, robot.upper * np.nan, robot.upper * np.inf):  # the last two bring the joints to rest
    for _ in range(10):
        motion.step(wish, np.zeros(4), np.ones(4), np.zeros(4, dtype=bool), motion.q, options)
        sent.update(motion.sent.tobytes())
print(compiled.COMPILED, sent.hexdigest())
"""


def run(**environment: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.split()


def test_uncompiled_the_controller_gives_the_same_commands_bit_for_bit() -> None:
    compiled_run, plain = run(), run(NUMBA_DISABLE_JIT="1")
    assert (compiled_run[0], plain[0]) == ("True", "False")
    assert compiled_run[1] == plain[1]


def test_without_numba_the_controller_gives_the_same_commands_too(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('not installed')")
    assert run(PYTHONPATH=str(tmp_path)) == ["False", run()[1]]


def test_what_is_compiled_in_another_way_is_compiled_anew(tmp_path: Path) -> None:
    package = tmp_path / "nnik_ros"
    (package / "kernels").mkdir(parents=True)
    text = (ROOT / "nnik_ros" / "compiled.py").read_text()
    ratio = "from nnik_ros.compiled import compiled\n\n@compiled('f8(f8, f8)')\ndef ratio(a, b):\n    return a / b\n"
    (package / "kernels" / "ratio.py").write_text(ratio)
    command = [sys.executable, "-c", "from nnik_ros.kernels.ratio import ratio; print(ratio(1.0, 0.0))"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for error_model, told in (("numpy", "inf"), ("python", "ZeroDivisionError")):
        (package / "compiled.py").write_text(text.replace('error_model="numpy"', f'error_model="{error_model}"'))
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert told in result.stdout + result.stderr


def test_a_function_with_other_arrays_than_it_was_compiled_for_is_refused_at_once_instead_of_compiled_in_a_tick() -> (
    None
):
    @compiled(f"f8({F1})")
    def first(values):
        return values[0]

    assert first(np.array([1.5, 2.0])) == 1.5
    with pytest.raises(TypeError):
        first(np.zeros((2, 2)))
