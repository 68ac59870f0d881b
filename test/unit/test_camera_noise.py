"""The program behind the table of filters on the page about one's own node."""

from __future__ import annotations

import re

import numpy as np

from benchmarks.camera import FILTERS, Filter
from nnik_ros.paths import share_dir


def test_the_page_has_a_row_for_every_filter_and_no_other() -> None:
    page = (share_dir() / "docs" / "tutorials" / "3_your_own_node.md").read_text(encoding="utf-8")
    section = page.partition("### From a camera")[2].partition("\n#")[0]
    assert re.findall(r"^\| ([^|]*) \| \d+ % / \d+ % \| \d+ mm \|$", section, re.MULTILINE) == list(FILTERS)


def test_a_median_of_three_passes_over_a_single_target_and_is_one_frame_late() -> None:
    seen = np.zeros((9, 1, 3))
    seen[3] = 0.05
    np.testing.assert_array_equal(Filter(frames=3)(seen), np.zeros_like(seen))
    seen[4:] = 0.05
    np.testing.assert_array_equal(Filter(frames=3)(seen)[1:], seen[:-1])


def test_a_low_pass_comes_by_its_time_constant_and_without_one_all_passes() -> None:
    seen = np.zeros((31, 1, 3))
    seen[1:] = 1.0
    np.testing.assert_allclose(Filter(time=0.1)(seen)[1:, 0, 0], 1.0 - np.exp(-np.arange(1, 31) / 30.0 / 0.1))
    np.testing.assert_array_equal(Filter()(seen), seen)
