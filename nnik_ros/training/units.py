"""In which unit of length measured tips were told, as the joints tell."""

from __future__ import annotations

import numpy as np

from nnik_ros.geometry import Array

FAR = 0.25  # reaches; a hand whose zeros are 3 degrees off departs by 0.07, the other hand by 0.7
_OTHERS = {"millimetres": 1e-3, "centimetres": 1e-2}  # m


def wrong_unit(tip: Array, described: Array, reach: Array) -> str:
    """The unit in which tips (n, nt, 3) lie where the joints put them, described (n, nt, 3) [m]; empty where they do in metres,
    or in none. Of the median, NaN left out; reach (nt,) [m]."""
    # what is only close to the origin, as all numbers are in a large unit, is not close
    length = np.minimum(reach, np.linalg.norm(described, axis=-1))
    for unit, size in {"": 1.0, **_OTHERS}.items():
        if np.nanmedian(np.linalg.norm(tip * size - described, axis=-1) / length) < FAR:
            return unit
    return ""
