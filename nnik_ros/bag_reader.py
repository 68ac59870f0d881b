"""rosbag2 recordings (sqlite3 or mcap) without a ROS installation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError
from rosbags.typesys import Stores, get_typestore

from nnik_ros.errors import FileError, NnikError

_TOLD = (AnyReaderError, ReaderError, OSError)  # with a message for people
_REFUSED = "is not a readable rosbag2 (a folder with metadata.yaml)"


@contextmanager
def opened(path: Path) -> Iterator[AnyReader]:
    """Raises FileError: not a readable bag, which may show only while it is read."""
    try:
        if missing := _missing(path):
            raise FileError(str(path), [f"{_REFUSED}: {missing}"])
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            yield reader
    except NnikError:
        raise
    except Exception as error:
        # damaged bytes make the reader library raise whatever they lead to, from KeyError to MemoryError
        name = "" if isinstance(error, _TOLD) and str(error) else f"{type(error).__name__} "
        reason = " ".join(f"{name}{error}".split())
        raise FileError(str(path), [f"{_REFUSED}: {reason}"]) from error


def _missing(path: Path) -> str:
    """What there is not of a bag's folder; empty where all is there. The reader library calls the folder itself missing."""
    if path.is_file():
        return "it is a file, name the folder around it"
    if not path.is_dir():
        return "there is no such folder"
    made = "; `ros2 bag reindex` makes it, where a recording was cut off before its end"
    return "" if (path / "metadata.yaml").exists() else f"there is no metadata.yaml in it{made}"


def messages(reader: AnyReader, connections: Sequence[Connection]) -> Iterator[tuple[Connection, Any, bytes]]:
    """All messages of these connections in their order: connection, time of receipt [ns] and bytes.

    Raises:
        ReaderError: the bag holds another number of them than it says. So a part of it that was lost shows, over which the
            reader library goes on without a word.
    """
    count = 0
    for message in reader.messages(connections) if connections else ():
        count += 1
        yield message
    told = sum(connection.msgcount for connection in connections)
    if count != told:
        topics = ", ".join(sorted({connection.topic for connection in connections}))
        raise ReaderError(f"{count} of {told} messages of {topics} are there")
