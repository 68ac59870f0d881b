"""The processes of the demo: started in sessions of their own, watched, and ended without a trace."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from nnik_ros.nodes.realtime import elevated

_PATIENCE = 1.2  # s; from the polite signal to the one that cannot be refused
_DOMAINS = range(1, 102)  # above, the ports of DDS leave the range that Linux keeps free
_MARK = 7402  # of domain 0: DDS takes 7400, 7401, and from 7410 on
_LAST_LINES = 25
_PR_SET_PDEATHSIG = 1
_marks: list[socket.socket] = []  # they stand for the domains of this process
_POLITE = signal.SIGTERM  # ends also what is still importing, where an interrupt may be lost in a library's own code


class Child(NamedTuple):
    name: str
    process: subprocess.Popen[bytes]


class Processes:
    """A context: whatever was started in it is gone afterwards, within two seconds, or `patience` [s] and a little."""

    def __init__(self, domain: int, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._children: list[Child] = []
        self._folder = tempfile.TemporaryDirectory(prefix="nnik_ros_demo_")
        self.variables = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": self._folder.name,
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self.variables.pop("ROS_STATIC_PEERS", None)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self, name: str, module: str, parameters: Mapping[str, object], priority: int = 0) -> None:
        """Run `python -m module` with ROS parameters; priority > 0: under SCHED_FIFO."""
        # their values are YAML, and so is JSON: a text in quotes stays one, whatever stands in it
        words = [
            word
            for key, value in parameters.items()
            for word in ("-p", f"{key}:={json.dumps(value, ensure_ascii=False)}")
        ]
        command = [sys.executable, "-m", module, *(["--ros-args", *words] if words else [])]
        with self._log_file(name).open("wb") as output, elevated(priority):
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=self.variables,
                start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip
        self._children.append(Child(name, process))

    def fallen(self) -> str:
        """What to say about the first process that ended by itself; '' when all live."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                return f"{child.name} ended with exit code {code}:\n{self.log(child.name)}"
        return ""

    def log(self, name: str) -> str:
        """The last lines that a process wrote, also when it has ended."""
        return "\n".join(self._log_file(name).read_text(errors="replace").splitlines()[-_LAST_LINES:])

    def stop(self) -> None:
        """Ask all to end, then make them."""
        self._signal(_POLITE)
        deadline = time.monotonic() + self._patience
        for child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
        self._signal(signal.SIGKILL)
        for child in self._children:
            child.process.wait()
        self._children.clear()

    def _log_file(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.log"

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, number)


def free_domain() -> int:
    """A ROS domain that nobody on this machine uses, judged by the UDP ports of its first two participants. This process
    keeps it until it ends."""
    domains = list(_DOMAINS)
    random.shuffle(domains)
    for domain in domains:
        if all(_free_port(7410 + 250 * domain + offset) for offset in range(4)) and reserve_domain(domain):
            return domain
    return domains[0]


def reserve_domain(domain: int) -> bool:
    """Whether no `free_domain` takes it from now on, also before the first participant is there; False: another one has it."""
    mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        mark.bind(("127.0.0.1", _MARK + 250 * domain))
    except OSError:
        mark.close()
        return False
    _marks.append(mark)
    return True


def _end_with_parent() -> None:
    """Linux: even a demo that is killed leaves no hand moving."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(_POLITE))


def _free_port(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
