"""The recorded ticks in a rosbag2 (sqlite3 or mcap), without a ROS installation."""

from __future__ import annotations

from pathlib import Path

from nnik_ros.bag_reader import messages, opened
from nnik_ros.errors import FileError
from nnik_ros.nodes.tape_identity import TAPE_TOPIC

_TEXT = "std_msgs/msg/String"


def texts_of_bag(path: Path, topic: str = "") -> list[str]:
    """The messages of the topic `tape` (or `topic`) in their order.

    Raises:
        FileError: not a readable bag, or not exactly one such topic in it.
    """
    with opened(path) as reader:
        name = _chosen(path, {c.topic for c in reader.connections if c.msgtype == _TEXT}, topic)
        wanted = [c for c in reader.connections if c.topic == name]
        return [str(reader.deserialize(data, c.msgtype).data) for c, _, data in messages(reader, wanted)]  # type: ignore[attr-defined]


def _chosen(path: Path, topics: set[str], topic: str) -> str:
    wanted = f"/{topic.lstrip('/')}" if topic else f"/{TAPE_TOPIC}"
    found = sorted(name for name in topics if name == wanted or (not topic and name.endswith(wanted)))
    if len(found) == 1:
        return found[0]
    if found:
        raise FileError(str(path), [f"holds several recordings, choose one with --topic: {', '.join(found)}"])
    raise FileError(
        str(path),
        [f"has no topic '{wanted}' of {_TEXT}, which the controller publishes with record_topic:=true; "
         f"topics of that type: {', '.join(sorted(topics)) or 'none'}"],
    )  # fmt: skip
