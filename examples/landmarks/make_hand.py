"""Makes made_up_hand.csv: 21 points of a right hand that was never there, in the layout of a real recording.

A drawing of a hand with straight segments bends its fingers one after the other, then all of them, while the wrist turns and
wanders. Five seconds at 30 frames a second, lengths in metres.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from nnik_ros.geometry import Array, rotation_about_axis
from nnik_ros.landmarks import POINTS, TIME

FRAMES, RATE = 150, 30.0
# knuckle (3,) and three segments [m], drawn with x towards the thumb, y along the fingers, z out of the palm
DRAWING = {
    "index": ((0.025, 0.090, 0.0), (0.045, 0.025, 0.020)),
    "middle": ((0.003, 0.095, 0.0), (0.050, 0.030, 0.022)),
    "ring": ((-0.018, 0.090, 0.0), (0.045, 0.028, 0.022)),
    "little": ((-0.037, 0.080, 0.0), (0.035, 0.020, 0.018)),
}
THUMB = ((0.022, 0.020, 0.008), (0.042, 0.032, 0.026))


def bends(time: float) -> dict[str, float]:
    """Flexion of each finger, 0 open to 1 bent, and of the thumb."""
    wave = {
        name: 0.5 - 0.5 * np.cos(2.0 * np.pi * np.clip(time / 2.0 - 0.15 * i, 0.0, 1.0))
        for i, name in enumerate(DRAWING)
    }
    fist = 0.5 - 0.5 * np.cos(np.pi * np.clip(time - 3.2, 0.0, 1.8) / 0.9)
    return {"thumb": 0.8 * fist, **{name: 0.25 + 0.6 * max(wave[name], fist) for name in DRAWING}}


def hand(time: float) -> Array:
    """(21, 3) [m]."""
    bend = bends(time)
    points = [
        np.zeros(3),
        *finger(*THUMB, 0.25 + 0.5 * bend["thumb"], np.array([0.45, 0.55, 0.7]), np.array([-0.7, 0.1, 0.7])),
    ]
    for name, (knuckle, segments) in DRAWING.items():
        points += finger(knuckle, segments, 1.25 * bend[name], np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    turn = rotation_about_axis(np.array([0.0, 1.0, 0.0]), 0.6 * np.sin(time)) @ rotation_about_axis(
        np.array([1.0, 0.0, 0.0]), 0.4 * np.cos(time)
    )
    place = np.array([0.1 * np.sin(0.7 * time), 0.2, 0.5 + 0.05 * time])
    moved: Array = np.array(points) @ turn.T + place
    return moved


def finger(
    knuckle: tuple[float, ...], segments: tuple[float, ...], bend: float, along: Array, inward: Array
) -> list[Array]:
    """Knuckle, two joints and tip (3,) of a finger whose segments turn by `bend` [rad] each from `along` to `inward`."""
    along = along / np.linalg.norm(along)
    inward = inward - (inward @ along) * along
    inward /= np.linalg.norm(inward)
    points = [np.array(knuckle)]
    for i, length in enumerate(segments):
        angle = bend * (1.0 + 0.8 * i)
        points.append(points[-1] + length * (np.cos(angle) * along + np.sin(angle) * inward))
    return points


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("file", nargs="?", type=Path, default=Path(__file__).with_name("made_up_hand.csv"))
    path = parser.parse_args().file
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([TIME, *(f"{point}_{axis}" for point in POINTS for axis in "xyz")])
        for frame in range(FRAMES):
            time = frame / RATE
            table.writerow([f"{time:.4f}", *(f"{value:.5f}" for value in hand(time).ravel())])
    print(f"{path}: {FRAMES} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
