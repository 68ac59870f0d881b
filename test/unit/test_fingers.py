"""The smallest motion of some joints that moves a tip, by linear algebra of another library."""

from __future__ import annotations

import numpy as np
import pytest

from nnik_ros.kernels.fingers import add_closest, subtract_motion


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("damping", [1e-4, 0.01, 3.0])
def test_the_smallest_motion_of_the_free_joints_is_added_that_the_damping_leaves(
    depth: int, damping: float, rng: np.random.Generator
) -> None:
    for _ in range(20):
        J, rest, before = rng.normal(size=(3, depth)), rng.normal(size=3), rng.normal(size=depth)
        fixed = rng.random(depth) < 0.3
        step, free = before.copy(), J * ~fixed
        add_closest(J, rest, fixed, damping, step)
        # min |free x - rest|^2 + damping |x|^2, as an overdetermined system
        system = np.vstack([free, np.sqrt(damping) * np.eye(depth)])
        wanted = np.linalg.lstsq(system, np.concatenate([rest, np.zeros(depth)]), rcond=None)[0]
        np.testing.assert_allclose(step - before, wanted, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(step[fixed], before[fixed])


def test_what_a_step_leaves_of_a_task_is_the_task_without_its_motion(rng: np.random.Generator) -> None:
    J, step, task, rest = rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=3), np.full(3, np.nan)
    subtract_motion(J, step, task, rest)
    np.testing.assert_allclose(rest, task - J @ step, atol=1e-14)
