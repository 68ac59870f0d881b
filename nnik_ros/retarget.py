"""From the points of a human hand to tip targets of a robot hand.

Palm frame of the human hand, from wrist w and the knuckles i of the index and l of the little finger, in every frame anew:

    forward f = unit((i + l) / 2 - w),  across a = unit(v - (v f) f) with v = i - l,  normal n = +-(a x f)

with + for a right hand and - for a left one, so that n always leaves the palm on its inner side. The robot's palm frame
(F, A, N) is given in its base frame in the same way. M = F f' + A a' + N n' turns human directions into the robot's; it is a
reflection where hand and robot are of different sides. The target of a finger with human root r and tip t is

    target = K + share * R / L * M (t - r)

with K the first joint of the robot's finger, R its reach, and L the length of the human finger: the sum of its three segments,
each the median over all frames. So neither place, nor turn, nor size of the human hand matter, and a stretched human
finger asks for `share` of the robot finger's reach.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnik_ros.errors import FileError, InputError, Problems
from nnik_ros.geometry import Array, frozen
from nnik_ros.landmarks import FINGERS, WRIST, HandMotion
from nnik_ros.robot import Robot
from nnik_ros.yaml_file import Section, load_mapping

SCHEMA = 1
SIDES = {"right": 1.0, "left": -1.0}
_SHARE = 0.95
_FLAT = 1e-6  # of the palm's length: less width than this gives no direction


@dataclass(frozen=True)
class HandMap:
    """Which human finger leads which tip. fingers (nt): names of FINGERS; share (nt,) of the reach; palm (3, 3): columns
    forward, across and normal in the robot's base frame; side of the robot hand."""

    side: str
    fingers: tuple[str, ...]
    share: Array = field(repr=False)
    palm: Array = field(repr=False)


@dataclass(frozen=True)
class TipPath:
    """time (n,) [s] and target (n, nt, 3) [m] in the base frame, nan where the hand was not seen."""

    time: Array = field(repr=False)
    target: Array = field(repr=False)

    def at(self, time: float) -> Array:
        """Targets (nt, 3) [m], the caller's own, linear between two frames that both were seen; the ends hold."""
        place = float(np.interp(time, self.time, np.arange(len(self.time))))
        before = min(int(place), len(self.time) - 2)
        rest = place - before
        here, there = self.target[before], self.target[before + 1]
        # a frame that is hit exactly does not need its neighbour
        point: Array = here if rest == 0.0 else there if rest == 1.0 else (1.0 - rest) * here + rest * there
        return np.array(point)


def load_hand_map(path: Path | str, robot: Robot) -> HandMap:
    """Read a file of config/landmarks.

    Raises:
        FileError: unknown or missing keys, fingers or tips, or directions that span no palm.
    """
    problems = Problems(str(path))
    document = Section(load_mapping(path), "", problems)
    document.integer("schema", low=SCHEMA, high=SCHEMA)
    side = document.text("side", choices=SIDES)
    palm = document.section("palm")
    forward, across = (np.array(palm.numbers(key, length=3) or [0.0] * 3) for key in ("forward", "across"))
    palm.finish()
    chosen: dict[str, tuple[str, float]] = {}
    for section in document.sections("fingers"):
        tip = section.text("tip", choices=robot.tip_names)
        if tip in chosen:
            section.wrong("tip", tip, "a tip that is not given yet")
        chosen[tip] = (section.text("finger", choices=FINGERS), section.number("share", _SHARE, above=0.0, high=2.0))
        section.finish()
    document.finish()
    for tip in robot.tip_names if document.sound("fingers") else ():
        if tip not in chosen:
            problems.add(f"fingers: no finger leads tip '{tip}'")
    axes = _axes(forward, across, SIDES.get(side, 1.0))
    if palm.sound("forward", "across") and not np.isfinite(axes).all():
        problems.add("palm: forward and across must be two directions")
    problems.raise_if_any()
    fingers, share = zip(*(chosen[tip] for tip in robot.tip_names), strict=True)
    return HandMap(side, fingers, frozen(np.array(share)), frozen(axes))


def retarget(motion: HandMotion, robot: Robot, hand_map: HandMap, side: str = "") -> TipPath:
    """The tip path of a recorded hand. side: of the human hand, the robot's where not given.

    Raises:
        InputError: a side that there is not, or a map of another number of tips.
        FileError: a finger or the palm was not seen in any frame.
    """
    if side not in ("", *SIDES):
        raise InputError(f"side is '{side}', must be one of {', '.join(SIDES)}, or empty for the robot's")
    if len(hand_map.fingers) != robot.nt:
        raise InputError(f"the hand map leads {len(hand_map.fingers)} tips, robot '{robot.name}' has {robot.nt}")
    points = motion.points
    knuckles = points[:, FINGERS["index"][0]], points[:, FINGERS["little"][0]]
    forward = 0.5 * (knuckles[0] + knuckles[1]) - points[:, WRIST]
    palm = _axes(forward, knuckles[0] - knuckles[1], SIDES[side or hand_map.side])  # (n, 3, 3)
    if not np.isfinite(palm).all(axis=(1, 2)).any():
        raise FileError(
            "recorded hand", ["wrist, index and little finger's knuckles were not seen together in any frame"]
        )
    turn = hand_map.palm @ np.swapaxes(palm, -1, -2)
    tips = [_finger(points, turn, robot, hand_map, tip) for tip in range(robot.nt)]
    return TipPath(motion.time, frozen(np.stack(tips, axis=1)))


def _finger(points: Array, turn: Array, robot: Robot, hand_map: HandMap, tip: int) -> Array:
    """Targets (n, 3) [m] of one tip."""
    name = hand_map.fingers[tip]
    joints = points[:, FINGERS[name]]  # (n, 4, 3)
    segments = np.linalg.norm(np.diff(joints, axis=1), axis=-1)
    seen = np.isfinite(segments).all(axis=-1)
    length = float(np.median(segments[seen], axis=0).sum()) if seen.any() else 0.0
    if not length > 0.0:
        raise FileError("recorded hand", [f"the {name} finger was not seen whole in any frame, or has no length"])
    scale = hand_map.share[tip] * robot.kinematics.reach[tip] / length
    start = robot.kinematics.first_joint_position[tip]
    target: Array = start + scale * (turn @ (joints[:, 3] - joints[:, 0])[..., None])[..., 0]
    return target


def _axes(forward: Array, across: Array, handed: float) -> Array:
    """(..., 3, 3): columns forward, across and normal; nan where the two directions span no plane."""
    length = np.linalg.norm(forward, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        f = forward / length
        flat = across - (across * f).sum(-1, keepdims=True) * f
        width = np.linalg.norm(flat, axis=-1, keepdims=True)
        a = np.where(width > _FLAT * length, flat / width, np.nan)
    axes: Array = np.stack([f, a, handed * np.cross(a, f)], axis=-1)
    return axes
