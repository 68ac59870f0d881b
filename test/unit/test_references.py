"""Which targets are there, how old they are, and which of them are followed."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.kernels.references import judged

NOW, HERE = 10.0, (0.1, 0.2, 0.3)
NAN, INF = np.nan, np.inf
# position, stamp, enabled; given, age, too old at a timeout of half a second
TARGETS = [
    (HERE, 9.8, True, True, 0.2, False),
    (HERE, 9.5, True, True, 0.5, False),
    (HERE, 9.4, True, True, 0.6, True),
    (HERE, 10.6, True, True, 0.6, True),
    (HERE, 10.3, True, True, 0.3, False),
    (HERE, 9.8, False, True, 0.2, False),
    (HERE, 9.0, False, True, 1.0, True),
    (HERE, NAN, True, True, NAN, True),
    (HERE, -INF, True, False, INF, False),
    ((NAN, 0.2, 0.3), 9.8, True, False, INF, False),
    ((0.1, NAN, 0.3), 9.8, True, False, INF, False),
    ((0.1, 0.2, INF), 9.8, True, False, INF, False),
]


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("timeout", [0.5, 0.0])
def test_a_target_is_followed_that_is_given_whole_and_neither_too_old_nor_of_a_time_to_come_by_who_may_move(
    timeout: float, running: bool
) -> None:
    positions, stamps, enabled, given, age, old = (np.array(column) for column in zip(*TARGETS, strict=True))
    stale = old & (timeout > 0.0)
    follows = given & ~stale & enabled & running
    told = judged(NOW, positions, stamps, timeout, enabled, running)
    np.testing.assert_array_equal(told[0], given)
    np.testing.assert_allclose(told[1], age, atol=1e-12)
    np.testing.assert_array_equal(told[2], stale)
    np.testing.assert_array_equal(told[3], follows)
    np.testing.assert_array_equal(told[4], np.where(follows[:, None], positions, NAN))
