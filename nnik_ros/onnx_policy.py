"""The learned step: an ONNX network that proved to belong to the robot."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from nnik_ros.contract import (
    JOINT_POSITION,
    JOINT_POSITION_NEXT,
    METADATA_KEY,
    OPTIONAL_INPUTS,
    PROBE_TOLERANCE,
    TIP_POSITION,
    TIP_TARGET,
    Contract,
    check_contract,
    contract_from_json,
)  # fmt: skip
from nnik_ros.errors import ContractError, Problems
from nnik_ros.geometry import Array
from nnik_ros.kernels import points
from nnik_ros.kinematics import Kinematics
from nnik_ros.onnx_bytes import with_constants, with_outputs
from nnik_ros.robot import Robot

_STEP = [JOINT_POSITION_NEXT]


class OnnxPolicy:
    """One network in one onnxruntime session (one thread, no spinning: the default threads cost milliseconds in spikes)."""

    name = "network"

    def __init__(self, path: Path | str, robot: Robot, kinematics: Kinematics | None = None) -> None:
        """Load `path`, compare it with `robot`, run its probe.

        kinematics: the calibrated geometry, handed to the network's optional inputs; the robot's own when absent.

        Raises:
            ContractError: missing or damaged file, no contract, a field that differs from the robot, or a probe that
                does not give the results of its export.
            InputError: the kinematics of another robot.
        """
        source, path = str(path), Path(path)
        self.robot, self.path = robot, path
        self.kinematics = robot.calibrated_or_own(kinematics)
        self._session = _open(path)
        self.contract = _read_contract(self._session, source)
        check_contract(self.contract, robot, source)
        _check_signature(self._session, robot, source)
        self._run_probe(source)
        constants = {
            name: np.asarray(value, dtype=np.float32)
            for name, value in zip(OPTIONAL_INPUTS, self.kinematics.parameters, strict=True)
        }
        content = path.read_bytes()
        self.digest = hashlib.sha256(content).hexdigest()  # of what runs, whatever lies there later
        try:
            # the bytes that run; a step does not ask for the tips
            self.content = with_outputs(with_constants(content, constants), _STEP)
            self._start_session()
        except ValueError as error:
            raise ContractError(source, [f"is not stored as this package stores it: {error}"]) from error

    def _start_session(self) -> None:
        self._session = open_session(self.content)
        self._options = onnxruntime.RunOptions()  # made anew in every call that brings none

    def __getstate__(self) -> dict[str, Any]:
        """A copy, here or in another process, opens a session of its own on the same bytes."""
        return {name: value for name, value in vars(self).items() if name not in ("_session", "_options")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._start_session()

    def step(self, q: Array, target: Array) -> Array:
        """See `Policy.step`. A non-finite input gives a non-finite result; the caller checks."""
        start, goal = self.kinematics.rows(q, target, np.float32)
        result = self._session.run(_STEP, {JOINT_POSITION: start, TIP_TARGET: goal}, self._options)[0]
        q_next: Array = points.within(result, self.robot.lower, self.robot.upper)
        return q_next.reshape(q.shape)

    def _run_probe(self, source: str) -> None:
        probe = self.contract.probe
        problems = Problems(source, ContractError)
        try:
            inputs = {
                JOINT_POSITION: np.array(probe.joint_position, dtype=np.float32),
                TIP_TARGET: np.array(probe.tip_target, dtype=np.float32),
            }
            results = self._session.run([JOINT_POSITION_NEXT, TIP_POSITION], inputs)
            expected = [np.array(probe.joint_position_next), np.array(probe.tip_position)]
        except Exception as error:  # onnxruntime raises its own, undocumented types
            raise ContractError(source, [f"probe: cannot be run: {error}"]) from error
        expected.append(self.robot.kinematics.tip_position(inputs[JOINT_POSITION].astype(np.float64)))
        for name, got, wanted in zip(
            (JOINT_POSITION_NEXT, TIP_POSITION, f"{TIP_POSITION} against the robot's kinematics"),
            (*results, results[1]), expected, strict=True,
        ):  # fmt: skip
            if got.shape != wanted.shape or not np.allclose(got, wanted, rtol=0, atol=PROBE_TOLERANCE):
                problems.add(f"probe: {name} differs from its expected values: the file is damaged or does not fit")
        problems.raise_if_any()


def read_contract(path: Path | str) -> Contract:
    """The contract of a network file, without a robot to compare it with.

    Raises:
        ContractError: missing or damaged file, or one without a readable contract.
    """
    return _read_contract(_open(Path(path)), str(path))


def _open(path: Path) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise ContractError(str(path), ["is a folder" if path.is_dir() else "there is no such file"])
    try:
        return open_session(str(path))
    except Exception as error:  # onnxruntime raises its own, undocumented types
        raise ContractError(str(path), [f"is not a usable ONNX file: {' '.join(str(error).split())}"]) from error


def open_session(model: str | bytes) -> onnxruntime.InferenceSession:
    """A session of a file, or of its bytes, with one thread that does not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _read_contract(session: onnxruntime.InferenceSession, source: str) -> Contract:
    metadata = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise ContractError(source, [f"has no metadata '{METADATA_KEY}': not a network of this package"])
    return contract_from_json(metadata[METADATA_KEY], source)


def _check_signature(session: onnxruntime.InferenceSession, robot: Robot, source: str) -> None:
    problems = Problems(source, ContractError)
    batched = (*session.get_inputs(), *session.get_outputs())
    for value in batched:
        if value.shape and isinstance(value.shape[0], int):
            problems.add(f"{value.name}: has a batch of {value.shape[0]}, must leave its size open")
    initializers = session.get_overridable_initializers()
    optional = {value.name: value.shape for value in initializers}
    for value in (*batched, *initializers):
        if value.type != "tensor(float)":
            problems.add(f"{value.name}: is of {value.type}, must be of tensor(float)")
    wanted = {name: list(value.shape) for name, value in zip(OPTIONAL_INPUTS, robot.kinematics.parameters, strict=True)}
    for what, given, expected in (
        ("inputs", {i.name: i.shape[1:] for i in session.get_inputs()},
         {JOINT_POSITION: [robot.nq], TIP_TARGET: [robot.nt, 3]}),
        ("outputs", {o.name: o.shape[1:] for o in session.get_outputs()},
         {JOINT_POSITION_NEXT: [robot.nq], TIP_POSITION: [robot.nt, 3]}),
        ("optional inputs", optional, wanted),
    ):  # fmt: skip
        if given != expected:
            problems.add(f"{what}: has {given}, must have {expected} (batch left out)")
    problems.raise_if_any()
