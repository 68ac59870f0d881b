"""Processes under test: their output is kept, their memory is read, and all of them end with the workshop."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnik_ros.paths import share_dir
from test.robustness.judge import Findings

PATIENCE = 60.0  # s; a limit for what normally takes one, and on a machine with other work twenty
_CAP_IPC_LOCK, _CAP_SYS_NICE = 14, 23
_PR_CAPBSET_DROP = 24


class Process:
    """`python -m module arguments`."""

    def __init__(
        self, module: str, arguments: Sequence[str], log_dir: Path, *, before: Callable[[], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """before: called in the child before it becomes Python; environment: more than that of this process."""
        path = os.pathsep.join(
            filter(None, (str(share_dir()), os.environ.get("PYTHONPATH")))
        )  # a sourced ROS lies on it
        environment = {
            **os.environ, "PYTHONPATH": path, "ROS_LOG_DIR": str(log_dir), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=share_dir(), env=environment, preexec_fn=before,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._lines: list[str] = []
        self._answered = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    @property
    def number(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def memory(self) -> int:
        """Resident memory [bytes]."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()

    @property
    def processor_time(self) -> float:
        """User and system time so far [s]."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ask(self, line: str) -> dict[str, Any]:
        """Write a line and wait for the next line of JSON."""
        assert self.process.stdin is not None
        if not self.alive:
            raise RuntimeError(f"'{line}' was asked of a process that ended: {self.output[-2000:]}")
        with self._answered:
            before = len(self._lines)
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            arrived = self._answered.wait_for(lambda: any(x.startswith("{") for x in self._lines[before:]), PATIENCE)
            if not arrived:
                raise RuntimeError(f"no answer to '{line}': {self.output[-2000:]}")
            answer: dict[str, Any] = json.loads(next(x for x in self._lines[before:] if x.startswith("{")))
            del self._lines[before:]
        return answer

    def exit_code(self) -> int:
        """Waits for the end."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def close(self) -> None:
        if self.alive:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                self.process.wait(5.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._answered:
                self._lines.append(line)
                self._answered.notify_all()


class Observer(Process):
    """See `observer.py`."""

    def window(self) -> Findings:
        """What was found since the last call."""
        return Findings(**self.ask("window"))

    def new_hand(self) -> None:
        """Another hand takes the place of the one observed so far."""
        self.ask("new_hand")


def flood_with_signals(process: subprocess.Popen[str]) -> None:
    """Ask it to end, again and again, until it has ended."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(number)


def end_on_sigterm() -> None:
    """SIGTERM ends this process as an exception does, so that those it started end with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def ros_arguments(namespace: str, parameters: Mapping[str, Any], remaps: Mapping[str, str] | None = None) -> list[str]:
    """A parameter "params_file" is a file of parameters; the others go over it."""
    words = ["--ros-args", "-r", f"__ns:={namespace}"]
    if "params_file" in parameters:
        words += ["--params-file", str(parameters["params_file"])]
    for name, value in parameters.items():
        if name == "params_file":
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        words += ["-p", f"{name}:={text}"] if text else ["-p", f'{name}:=""']
    for name, topic in (remaps or {}).items():
        words += ["-r", f"{name}:={topic}"]
    return words


def without_rights() -> None:
    """For a child before it becomes another program: no real-time priority, no locked memory, even for root."""
    for capability in (_CAP_SYS_NICE, _CAP_IPC_LOCK):
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    for limit in (resource.RLIMIT_RTPRIO, resource.RLIMIT_MEMLOCK):
        resource.setrlimit(limit, (0, 0))
