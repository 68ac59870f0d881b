"""Training sets out of a recording of a real robot that a recipe names, in place of simulated poses (S1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnik_ros.driver import joint_map, load_driver
from nnik_ros.paths import driver_file
from nnik_ros.robot import Robot
from nnik_ros.training.alignment import aligned, check_independent, followed
from nnik_ros.training.bag import TIP_TOPIC, Topics, read_bag
from nnik_ros.training.calibration_check import MOVE_ALL, check_robot, hardly_moved, little_motion
from nnik_ros.training.recorded_samples import Samples, part, recorded_samples, split
from nnik_ros.training.recording import RecordingOptions
from nnik_ros.yaml_file import Section


@dataclass(frozen=True)
class Source:
    """bag: folder of a rosbag2; driver: a shipped name or a file, whose joint names the bag has; joints: topic, the driver's
    when empty; tips: topic of a PoseArray in tip order. Paths are relative to the recipe."""

    bag: str
    driver: str
    joints: str
    tips: str


def read_source(section: Section) -> Source | None:
    """The optional key `recording`."""
    if not section.has("recording"):
        return None
    inner = section.section("recording")
    source = Source(
        inner.text("bag"), inner.text("driver", "simulated"), inner.text("joints", ""), inner.text("tips", TIP_TOPIC)
    )
    inner.finish()
    return source


def recorded_sets(
    source: Source, folder: Path, robot: Robot, counts: Sequence[int], rng: np.random.Generator
) -> tuple[list[Samples], str]:
    """Samples for training and for testing, so many of each, from different stretches of time, and what became of the
    recording. folder: of the recipe.

    Raises:
        FileError: no such bag or topic, see `read_bag`, or no such driver.
        InputError: see `aligned`; a tip that was not measured in one of the parts, tips that were computed from the joints
            or that do not follow them, a recording of another robot, or one in which nothing moved.
    """
    is_file = source.driver.endswith(".yaml")
    driver = load_driver(driver_file(str(folder / source.driver) if is_file else source.driver))
    topics = Topics(source.joints or driver.topic(driver.state), source.tips)
    bag = read_bag(folder / source.bag, robot, joint_map(driver, robot), topics)
    recording, delay = aligned(bag, robot, RecordingOptions())
    moved = np.ptp(recording.q, axis=0)
    little = hardly_moved(moved, robot)
    still = f"{told}; {MOVE_ALL}" if (told := little_motion(little, moved, robot)) else ""
    check_robot(recording, robot, [still] if little.all() else [])
    recording = followed(recording, robot)
    check_independent(bag, recording, robot, delay)
    held_out = split(recording)
    sets = [
        recorded_samples(part(recording, rows), robot, count, rng, near_share=0.0)
        for rows, count in zip((~held_out, held_out), counts, strict=True)
    ]
    late = f"the stamps of the tips are late by {delay * 1e3:.2f} ms"
    return sets, "\n".join(filter(None, [recording.report.text(), late, still]))
