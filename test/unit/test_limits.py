from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nnik_ros.kernels.joints import stopping_speed
from nnik_ros.limits import JointLimits, Limit, limit_names

T = 0.003
LOWER, UPPER = np.array([-0.5, -1.0, 0.0]), np.array([0.5, 1.0, 2.0])
VELOCITY, ACCELERATION = np.array([3.0, 3.0, 2.0]), np.array([80.0, 80.0, 60.0])
GROUP = np.array([0, 0, 1])


def limits() -> JointLimits:
    return JointLimits(LOWER, UPPER, VELOCITY, ACCELERATION, GROUP, T)


wishes = st.lists(st.tuples(*[st.floats(-10, 10) for _ in range(3)]), min_size=1, max_size=200)


@settings(max_examples=60, deadline=None)
@given(wishes, st.tuples(st.floats(-0.5, 0.5), st.floats(-1, 1), st.floats(0, 2)))
def test_no_sequence_of_wishes_breaks_a_position_velocity_or_acceleration_limit(wanted, start) -> None:
    q, v = np.array(start), np.zeros(3)
    for wish in wanted:
        step = limits().step(q, v, np.array(wish))
        assert np.all(step.q >= LOWER)
        assert np.all(step.q <= UPPER)
        assert np.all(np.abs(step.v) <= VELOCITY * (1 + 1e-9))
        assert np.all(np.abs(step.v - v) <= ACCELERATION * T * (1 + 1e-6) + 1e-9)
        q, v = step.q, step.v


def test_where_not_all_limits_can_be_kept_position_goes_before_velocity_and_velocity_before_acceleration() -> None:
    """From a state that no step of these limits leads to."""
    q, v = np.array([0.4999, -0.9999, 1.0]), np.array([3.0, -9.0, 9.0])
    step = limits().step(q, v, q + 3.0 * np.sign(v))
    assert np.all((step.q >= LOWER) & (step.q <= UPPER))
    assert np.all(np.abs(step.v) <= VELOCITY * (1 + 1e-9))
    assert np.all(np.abs(step.v - v) > ACCELERATION * T)


def test_a_wish_far_beyond_a_limit_ends_exactly_on_it_and_can_leave_again() -> None:
    q, v = np.zeros(3) + 0.1, np.zeros(3)
    for _ in range(2000):
        step = limits().step(q, v, np.array([9.0, 9.0, 9.0]))
        q, v = step.q, step.v
    np.testing.assert_allclose(q, UPPER, atol=1e-6)
    back = limits().step(q, v, np.zeros(3))
    assert np.all(back.q < q)


def test_a_finger_is_slowed_as_a_whole_so_its_direction_is_kept() -> None:
    q, v = np.zeros(3) + 0.1, np.zeros(3)
    v = np.array([3.0, 1.5, 0.0])
    step = limits().step(q, v, q + [0.3, 0.15, 0.0])
    change = step.q - q
    assert np.isclose(change[0] / change[1], 2.0, atol=1e-6)
    assert change[2] == 0.0
    assert step.limited[0] & Limit.VELOCITY
    assert not step.limited[2]


def test_stopping_speed_is_the_fastest_that_really_stops_in_time() -> None:
    for distance in np.linspace(1e-7, 0.3, 400):
        for factor, fits in ((1.0, True), (1.001, False)):
            v, travelled = stopping_speed(float(distance), 50.0, T) * factor, 0.0
            while v > 0:
                travelled += v * T
                v -= 50.0 * T
            assert bool(travelled <= distance * (1 + 1e-9)) is fits


def test_a_far_wish_that_rests_is_hardly_overshot_and_met_exactly() -> None:
    q, v, path = np.zeros(3) + 0.1, np.zeros(3), []
    goal = np.array([0.4, -0.6, 1.5])
    for _ in range(300):
        step = limits().step(q, v, goal)
        q, v = step.q, step.v
        path.append(q)
    beyond = (np.array(path) - goal) * np.sign(goal - 0.1)
    assert beyond.max() < 0.005  # of 1.4 rad
    np.testing.assert_allclose(q, goal, atol=1e-9)


def test_a_joint_is_told_held_back_by_what_holds_it_back_alone() -> None:
    """At its limit, at its velocity, on its way up to it, and where it is wanted."""
    middle, far = np.array([0.0, 0.0, 1.0]), np.full(3, 9.0)
    at_limit = np.array([UPPER[0], 0.0, 1.0])
    told = limits().step(at_limit, np.zeros(3), at_limit + [9.0, 9.0, 0.0]).limited
    assert told.tolist() == [Limit.VELOCITY | Limit.POSITION, Limit.VELOCITY | Limit.ACCELERATION, Limit.NONE]
    told = limits().step(middle, VELOCITY, middle + far).limited
    assert told.tolist() == [Limit.VELOCITY] * 3
    told = limits().step(middle, np.zeros(3), middle + 0.99 * ACCELERATION * T * T).limited
    assert told.tolist() == [Limit.NONE] * 3
    told = limits().step(middle, np.zeros(3), middle + 1.5 * ACCELERATION * T * T).limited
    assert told.tolist() == [Limit.ACCELERATION] * 3
    assert limits().step(middle, np.zeros(3), middle).limited.tolist() == [Limit.NONE] * 3


def test_limits_are_named_in_the_order_of_their_bits() -> None:
    assert limit_names(0) == []
    every = sum(limit.value for limit in Limit)
    assert limit_names(every) == ["VELOCITY", "ACCELERATION", "POSITION", "LEAD", "COLLISION", "SPEED"]
