"""Targets of people on the page: silent at first, held, and given up to whoever else speaks."""

from __future__ import annotations

import numpy as np

from nnik_ros.geometry import Array
from nnik_ros.nodes.web_presets import Preset
from nnik_ros.nodes.web_steering import Steering

HERE, THERE = np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.2, 0.1])


class Wire:
    def __init__(self) -> None:
        self.sent: list[tuple[int, tuple[float, ...]]] = []

    def send(self, tip: int, position: Array) -> int:
        self.sent.append((tip, tuple(position.tolist())))
        return len(self.sent)


def test_nothing_is_sent_before_a_person_acts() -> None:
    wire = Wire()
    steering = Steering(4, wire.send)
    for step in range(100):
        steering.update(0.03 * step)
    assert wire.sent == []


def test_a_dragged_target_is_sent_again_and_again_and_only_for_its_tip() -> None:
    wire = Wire()
    steering = Steering(4, wire.send)
    steering.drag(2, HERE)
    for step in range(100):
        steering.update(0.01 * step)
    assert 10 <= len(wire.sent) <= 25
    assert set(wire.sent) == {(2, (0.1, 0.2, 0.3))}


def test_a_target_of_another_publisher_ends_ours_and_our_own_echo_does_not() -> None:
    wire = Wire()
    steering = Steering(2, wire.send)
    steering.drag(0, HERE)
    steering.drag(1, HERE)
    steering.update(0.0)
    steering.heard(0, HERE, stamp=1, now=0.01)
    assert steering.held == [True, True]
    steering.heard(0, THERE, stamp=987654, now=0.02)
    assert steering.held == [False, True]
    wire.sent.clear()
    steering.update(0.2)
    assert [tip for tip, _ in wire.sent] == [1]
    np.testing.assert_array_equal(steering.goal(0, 0.5), THERE)
    assert steering.goal(0, 5.0) is None


def test_a_target_of_another_publisher_from_before_ours_goes_out_does_not_undo_what_a_person_did() -> None:
    """Of two pages that take turns, each sends twenty times a second: a third of the presses was lost."""
    wire = Wire()
    steering = Steering(2, wire.send)
    steering.drag(0, HERE)
    steering.heard(0, THERE, stamp=987654, now=0.0)
    steering.update(0.01)
    assert wire.sent == [(0, (0.1, 0.2, 0.3))]
    wire.sent.clear()
    steering.play(Preset("there", 1.0, np.array([[THERE, THERE]])), 0.02)
    steering.heard(1, HERE, stamp=987655, now=0.03)
    steering.update(0.04)  # not due yet
    steering.heard(0, HERE, stamp=987656, now=0.05)
    steering.update(0.1)
    assert wire.sent == [(0, (0.3, 0.2, 0.1)), (1, (0.3, 0.2, 0.1))]
    steering.heard(1, HERE, stamp=987657, now=0.11)
    assert steering.held == [True, False], "what comes after ours ends it"


def test_a_released_target_is_not_kept_from_following_others() -> None:
    steering = Steering(1, Wire().send)
    steering.drag(0, HERE)
    steering.release()
    steering.heard(0, THERE, stamp=987654, now=0.0)
    np.testing.assert_array_equal(steering.goal(0, 0.1), THERE)


def test_a_target_of_another_publisher_that_bears_the_stamp_of_ours_ends_ours() -> None:
    """Both are stamped zero where the ROS time stands still, or where the other one sends no stamps."""
    steering = Steering(2, lambda tip, position: 0)
    steering.drag(0, HERE)
    steering.drag(1, HERE)
    steering.update(0.0)
    steering.heard(0, HERE, stamp=0, now=0.01)
    steering.heard(1, THERE, stamp=0, now=0.01)
    assert steering.held == [True, False]
    steering.heard(0, None, stamp=0, now=0.02)
    assert steering.held == [False, False], "our own are never in a frame that cannot be shown"


def test_a_target_of_another_publisher_ends_a_preset_and_is_shown_where_its_frame_is_known() -> None:
    wire = Wire()
    steering = Steering(1, wire.send)
    steering.play(Preset("there and back", 1.0, np.array([[HERE], [THERE]])), 0.0)
    steering.update(0.1)
    steering.heard(0, None, stamp=987654, now=0.2)
    assert steering.goal(0, 0.3) is None
    wire.sent.clear()
    steering.update(1.5)
    assert wire.sent == []


def test_release_ends_drags_and_presets() -> None:
    wire = Wire()
    steering = Steering(1, wire.send)
    steering.play(Preset("there and back", 1.0, np.array([[HERE], [THERE]])), 0.0)
    steering.update(0.1)
    steering.release()
    wire.sent.clear()
    for step in range(50):
        steering.update(0.2 + 0.1 * step)
    assert wire.sent == []


def test_a_preset_visits_its_places_in_turn_and_holds_the_last() -> None:
    wire = Wire()
    steering = Steering(1, wire.send)
    steering.play(Preset("there and back", 1.0, np.array([[HERE], [THERE], [HERE]])), 0.0)
    for now in (0.5, 1.5, 2.5, 9.0):
        steering.update(now)
    assert [position for _, position in wire.sent] == [tuple(p.tolist()) for p in (HERE, THERE, HERE, HERE)]


def test_a_drag_ends_a_preset_that_plays() -> None:
    wire = Wire()
    steering = Steering(1, wire.send)
    steering.play(Preset("there and back", 1.0, np.array([[HERE], [HERE]])), 0.0)
    steering.update(0.1)
    steering.drag(0, THERE)
    steering.update(0.2)
    steering.update(1.5)
    assert [position for _, position in wire.sent[1:]] == [tuple(THERE.tolist())] * 2
