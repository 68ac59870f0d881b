"""What a process may do for a steady loop; every request reports what it got, and how to permit what was refused."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import struct
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nnik_ros.errors import InputError

_SWITCH_INTERVAL = 1e-4  # s; other Python threads give way to the loop after at most this long
_MCL_CURRENT_AND_FUTURE = 3
_PR_SET_TIMERSLACK = 29
_WAKING = Path("/dev/cpu_dma_latency")  # how long waking may take, while the file is open
_LIMITS = (
    "add '@realtime - rtprio 98' and '@realtime - memlock unlimited' to /etc/security/limits.conf and join that group"
)


@dataclass
class RealtimeReport:
    """`got` and `refused` in words, for the log and the diagnostics."""

    got: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def checked_cpus(numbers: Iterable[int]) -> frozenset[int]:
    """Processor numbers; none: any.

    Raises:
        InputError: a processor that this process may not use.
    """
    cpus, allowed = frozenset(numbers), os.sched_getaffinity(0)
    if not cpus <= allowed:
        raise InputError(f"cpu_affinity: is {_listed(cpus)}, this process may use {_listed(allowed)}")
    return cpus


def prepare_interpreter() -> None:
    """Collect once, keep what lives out of later collections, collect only when asked to (`gc.collect` between ticks), and let
    threads change places quickly."""
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(_SWITCH_INTERVAL)


def release_interpreter() -> None:
    """The garbage collector as before; what was kept out of its collections is collected again, with a session that ended."""
    gc.unfreeze()
    gc.enable()


def sharpen_timer() -> None:
    """Let this thread wake up on time: by default the kernel may be 50 us late, to wake several threads at once."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def apply_realtime(priority: int, lock_memory: bool, cpus: frozenset[int], report: RealtimeReport) -> None:
    """Called in the control thread. priority: SCHED_FIFO for it, and one less for all other threads, 0 leaves all as they are;
    cpus: for the control thread alone.

    The other threads need it too: one that holds the interpreter's lock while others of the machine take its processor would
    keep the control thread waiting for as long.
    """
    if lock_memory:
        _lock_memory(report)
    if cpus:
        os.sched_setaffinity(threading.get_native_id(), cpus)
        report.got.append(f"control thread on processor {_listed(cpus)}")
    if priority > 0:
        _set_priority(priority, report)


def keep_awake(report: RealtimeReport) -> contextlib.AbstractContextManager[object]:
    """A context in which no processor of the machine enters an idle state that takes long to wake from."""
    try:
        file = _WAKING.open("wb", buffering=0)
        file.write(struct.pack("i", 0))  # us
    except OSError as error:
        report.refused.append(
            f"processors kept awake: {_WAKING}: {error.strerror}; docs/safety.md says how to permit it"
        )
        return contextlib.nullcontext()
    report.got.append("processors kept awake")
    return file


@contextlib.contextmanager
def elevated(priority: int) -> Iterator[None]:
    """Children that are started in this context run under SCHED_FIFO at `priority` (0: as usual)."""
    if not priority:
        yield
        return
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def may_use_realtime() -> bool:
    """Whether this user may use SCHED_FIFO."""
    try:
        with elevated(1):
            return True
    except OSError:
        return False


def _set_priority(priority: int, report: RealtimeReport) -> None:
    try:
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_FIFO, os.sched_param(priority))
        for thread in Path("/proc/self/task").iterdir():
            if int(thread.name) != threading.get_native_id():
                _raise_other(int(thread.name), max(1, priority - 1))
        report.got.append(f"SCHED_FIFO priority {priority}")
    except PermissionError:
        report.refused.append(f"SCHED_FIFO priority {priority} is not permitted; {_LIMITS}")


def _raise_other(thread: int, priority: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have ended meanwhile
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))


def _lock_memory(report: RealtimeReport) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:
        # locking would succeed now and let a later allocation fail
        report.refused.append(f"memory locking: the limit is {soft} bytes; {_LIMITS}")
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT_AND_FUTURE) == 0:
        report.got.append("memory locked")
    else:
        report.refused.append(f"memory locking: {os.strerror(ctypes.get_errno())}; {_LIMITS}")


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
