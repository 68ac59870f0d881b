"""Messages that wait until they are taken."""

from __future__ import annotations

import time

import numpy as np
import pytest
from node_bench import Lab, Station, wait_for
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from nnik_ros.driver import load_driver
from nnik_ros.nodes.inbox import Inbox, newest, state_inbox
from nnik_ros.paths import driver_file


def number(value: float) -> Float64MultiArray:
    return Float64MultiArray(data=[float(value)])


def publish_all(station: Station, count: int) -> None:
    """Numbers from 0 on, until they have come to the inbox and to another one beside it."""
    publisher = station.node.create_publisher(Float64MultiArray, "numbers", 100)
    control: Inbox[Float64MultiArray] = Inbox(station.node, Float64MultiArray, "numbers", newest(100))
    wait_for(lambda: publisher.get_subscription_count() == 2, "the inboxes")
    heard: list[Float64MultiArray] = []
    for value in range(count):
        publisher.publish(number(value))
    wait_for(lambda: heard.extend(control.take()) or len(heard) == count, "all numbers")
    time.sleep(0.2)  # all ears are on this machine


def test_what_came_is_taken_oldest_first_and_once_and_of_too_many_the_newest_are_kept(lab: Lab) -> None:
    station = lab.station()
    inbox: Inbox[Float64MultiArray] = Inbox(station.node, Float64MultiArray, "numbers", newest(3))
    assert inbox.topic == f"{station.namespace}/numbers"
    publish_all(station, 8)
    assert [message.data[0] for message in inbox.take()] == [5.0, 6.0, 7.0]
    assert inbox.take() == []


def test_a_message_comes_with_the_time_at_which_it_was_sent_where_the_middleware_tells_it(lab: Lab) -> None:
    station = lab.station()
    inbox: Inbox[Float64MultiArray] = Inbox(station.node, Float64MultiArray, "numbers", newest(5))
    begin = time.time()
    publish_all(station, 2)
    (first, first_sent), (second, second_sent) = inbox.take_sent()
    assert (first.data[0], second.data[0]) == (0.0, 1.0)
    assert begin - 1e-3 < first_sent <= second_sent < time.time() - 0.15, "when it was sent, not when it was taken"


@pytest.mark.parametrize(("driver", "kept"), [("simulated", 1), ("joint_state", 10)])
def test_of_joint_states_the_newest_is_kept_and_of_a_shared_topic_as_many_as_the_driver_says(
    lab: Lab, driver: str, kept: int
) -> None:
    station, profile = lab.station(), load_driver(driver_file(driver))
    inbox = state_inbox(station.node, profile)
    publisher = station.node.create_publisher(JointState, inbox.topic, 100)
    wait_for(lambda: publisher.get_subscription_count() > 0, "the inbox")
    for value in range(20):
        publisher.publish(JointState(name=["elbow"], position=[float(value)]))
    time.sleep(0.5)
    taken = [message.position[0] for message in inbox.take()]
    np.testing.assert_array_equal(taken, np.arange(20.0 - kept, 20.0))
