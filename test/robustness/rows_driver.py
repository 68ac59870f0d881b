"""Group driver: what stands at the other end of the line, and every dialect that it may speak."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState

from nnik_ros.geometry import Array
from test.robustness.bench_node import PromiseError, wait_for
from test.robustness.matrix import row
from test.robustness.rows_input import refused, spoiled
from test.robustness.stand import Stand, Workshop


@row(
    "driver",
    "states with ring before index, as some hands are wired",
    "read by name: the right fingers move",
    shared=True,
)
def fingers_swapped_in_order(stand: Stand) -> str:
    assert stand.line is not None

    def swap(message: JointState) -> None:
        for values in (message.name, message.position):
            values[0:4], values[8:12] = values[8:12], values[0:4]

    stand.line.fault = spoiled(swap)
    took = stand.follows()
    time.sleep(0.3)
    off = float(np.abs(stand.observer_command() - stand.hand()).max())
    if off > 0.25:
        raise PromiseError(f"command and hand are {off:.2f} rad apart")
    return f"followed in {took:.2f} s, hand within {off:.3f} rad of the command"


def _replaced(workshop: Workshop, share: float, **parameters: Any) -> str:
    """The hand ends away from home, and comes back at home."""
    stand = workshop.stand(**parameters)
    assert stand.sim is not None and stand.line is not None
    stand.follows()
    stand.sender.path = lambda t: stand.goal(share)
    time.sleep(1.0)
    gap = float(np.abs(stand.hand() - stand.robot.home).max())
    workshop.discard(stand.sim)
    stand.until("STALE_STATE")
    time.sleep(1.0)
    stand.observer.new_hand()
    stand.line.newest = None
    stand.sim = stand.start_sim()
    home = stand.hand()
    time.sleep(0.5)
    start = stand.look().start
    took = stand.follows()
    off = np.abs(home - stand.robot.home).max()
    return (
        f"hand {gap:.2f} rad from home before, {off:.2f} after, first command {start:.3f} rad off it, "
        f"followed in {took:.2f} s"
    )


@row("driver", "the driver ends, and another one starts with the hand more than max_lead elsewhere",
     "begins again where the hand now stands")  # fmt: skip
def driver_restarted_far(workshop: Workshop) -> str:
    return _replaced(workshop, 1.3)


@row("driver", "the driver ends, and another one starts with the hand some 0.2 rad elsewhere",
     "begins again where the hand now stands")  # fmt: skip
def driver_restarted_near(workshop: Workshop) -> str:
    return _replaced(workshop, 0.6)


def _offset(joint: int, offset: float) -> Callable[[JointState], None]:
    def spoil(message: JointState) -> None:
        message.position[joint] += offset

    return spoil


@row(
    "driver",
    "a joint jumps by 0.8 rad in one single message",
    "refused for that message, counted; the hand holds",
    shared=True,
)
def state_jumps_once(stand: Stand) -> str:
    assert stand.line is not None
    stand.rests()
    stand.look()
    before, count = refused(stand, "joint_states", "jump"), [0]

    def once(message: JointState) -> None:
        count[0] += 1
        message.position[1] += 0.8 if count[0] % 30 == 0 else 0.0

    stand.line.fault = spoiled(once)
    time.sleep(1.0)
    stand.line.fault = None
    stand.wait(lambda: refused(stand, "joint_states", "jump") > before, "a refusal")
    travel = stand.holds()
    counted = refused(stand, "joint_states", "jump") - before
    return f"{count[0] // 30} jumps, {counted} refused, command moved {1e3 * travel:.2f} mrad"


@row("driver", "the encoder of a joint jumps by 0.8 rad, beyond max_lead, and stays there",
     "not believed: STALE_STATE with the reason, the joint is not dragged along", shared=True)  # fmt: skip
def state_jumps_and_stays(stand: Stand) -> str:
    assert stand.line is not None
    stand.rests()
    stand.look()
    stand.line.fault = spoiled(_offset(2, 0.8))
    took = stand.until("STALE_STATE", limit=5.0)
    stand.wait(lambda: "joint_2.0 jumped by" in stand.status.message, "the reason in the status")
    time.sleep(0.5)
    travel = stand.holds()
    return f"STALE_STATE after {took:.2f} s, command moved {1e3 * travel:.2f} mrad"


@row("driver", "the encoder of a joint jumps by 0.25 rad, within max_lead, and stays there",
     "believed when three messages agree; the hand holds", shared=True)  # fmt: skip
def state_jumps_near(stand: Stand) -> str:
    assert stand.line is not None
    stand.rests()
    stand.look()
    before = refused(stand, "joint_states", "jump")
    stand.line.fault = spoiled(_offset(2, 0.25))
    stand.wait(lambda: refused(stand, "joint_states", "jump") > before, "a refusal")
    time.sleep(0.5)
    travel, state = stand.holds(), stand.status.values["state"]
    if state == "STALE_STATE":
        raise PromiseError("the jump was not believed: STALE_STATE")
    return f"{refused(stand, 'joint_states', 'jump') - before} refused, command moved {1e3 * travel:.2f} mrad, state {state}"


@row("driver", "another node publishes on the command topic, or on that of the joint states",
     "a warning that names it, in status and diagnostics, counted; gone when it is gone", shared=True)  # fmt: skip
def several_publishers(stand: Stand) -> str:
    stand.rests()
    took = []
    for topic in ("joint_cmd", "joint_states"):
        before = int(stand.status.diagnostics.get("publishers", {}).get(f"appeared.{stand.namespace}/{topic}", "0"))
        other = stand.node.create_publisher(JointState, topic, 1)
        warning = f"{stand.namespace}/{topic} is published by several: "
        took.append(stand.wait(lambda w=warning: w in stand.status.message, f"'{warning}'"))  # type: ignore[misc]
        if f"{stand.namespace}/bench" not in stand.status.message:
            raise PromiseError(f"the warning does not name the node: {stand.status.message!r}")
        stand.wait(
            lambda t=topic, b=before: int(  # type: ignore[misc]
                stand.status.diagnostics.get("publishers", {}).get(f"appeared.{stand.namespace}/{t}", "0")
            ) == b + 1,
            "the counter in the diagnostics",
        )  # fmt: skip
        stand.node.destroy_publisher(other)
        stand.wait(lambda: "several" not in stand.status.message, "the warning to end")
    return f"named after {took[0]:.2f} and {took[1]:.2f} s"


@row(
    "driver",
    "joint states frozen while they keep coming",
    "the command stops at max_lead (0.4 rad), no wind-up",
    shared=True,
)
def states_frozen(stand: Stand) -> str:
    assert stand.line is not None
    stand.rests()
    frozen = JointState(name=list(stand.robot.joint_names), position=stand.hand().tolist())
    stand.line.fault = lambda message, now: [frozen]
    goal = stand.goal(4.0)
    stand.sender.path = lambda t: goal
    time.sleep(1.5)
    stand.come_to_rest()
    lead = float(np.abs(stand.observer_command() - np.array(frozen.position)).max())
    if not 0.2 < lead < 0.401:
        raise PromiseError(f"the command rests {lead:.3f} rad away from the frozen joints")
    return f"command rests {lead:.3f} rad away"


@row("driver", "one finger is blocked", "it winds nothing up; the others follow", shared=True)
def finger_blocked(stand: Stand) -> str:
    assert stand.line is not None
    stand.rests()
    blocked = stand.hand()[0:4].tolist()

    def block(message: JointState) -> None:
        for i, value in enumerate(blocked):
            message.position[i] = value

    stand.line.fault = spoiled(block)
    goal = stand.goal(4.0)
    stand.sender.path = lambda t: goal
    ended = ("REACHED", "UNREACHABLE", "COLLISION")
    for tip in ("middle", "ring"):
        wait_for(lambda tip=tip: stand.status.values[f"{tip}.state"] in ended, tip, 10.0)  # type: ignore[misc]
    lead = float(np.abs(stand.observer_command()[0:4] - blocked).max())
    if lead > 0.45:  # 0.4, and what the finger needs to brake
        raise PromiseError(f"the blocked finger's command is {lead:.3f} rad away")
    return f"middle {stand.status.values['middle.state']}, blocked finger's command {lead:.3f} rad away"


@row("driver", "two publishers of joint states, 0.05 rad apart", "within all limits", shared=True)
def states_from_two(stand: Stand) -> str:
    assert stand.line is not None

    def both(message: JointState, now: float) -> list[JointState]:
        other = JointState(name=message.name, position=[x + 0.05 for x in message.position])
        return [message, other] if int(now * 1e3) % 2 else [other, message]

    stand.line.fault = both
    stand.moves(1.0)
    return f"followed in {stand.follows():.2f} s"


@row("driver", "nobody listens to the commands", "status and diagnostics say so; the command stays within max_lead")
def nobody_listens(workshop: Workshop) -> str:
    stand = workshop.stand(hand=False)
    workshop.discard(stand.observer)  # it would be a listener itself
    assert stand.line is not None
    message = JointState(name=list(stand.robot.joint_names), position=stand.robot.home.tolist())
    publisher = stand.line.publisher
    stand.sender.path = lambda t: stand.goal(4.0)
    for told, what in (
        (lambda: stand.status.diagnostics.get("loop", {}).get("command_receivers") == "0", "diagnostics that show 0 receivers"),
        (lambda: "nobody receives" in stand.status.message, "a status that says so"),
    ):  # fmt: skip
        wait_for(told, what, meanwhile=lambda: publisher.publish(message))
    stand.observer = workshop.observer(stand.namespace, stand.robot.name, "simulated", "hand/joint_states", 333.0)
    return "both say so"


def _speaks(workshop: Workshop, driver: str, robot: str) -> str:
    stand = workshop.stand(driver, robot=robot, line=False)
    took = stand.follows()
    again = stand.follows()
    time.sleep(0.5)
    found = stand.look()
    off = float(np.abs(np.array(found.command) - np.array(found.hand)).max())
    if off > 0.3:
        raise PromiseError(f"command and hand are {off:.2f} rad apart")
    return f"followed in {took:.2f} and {again:.2f} s, hand within {off:.3f} rad of the command"


def _profile(driver: str, words: str, robot: str = "allegro_right") -> None:
    def check(workshop: Workshop) -> str:
        return _speaks(workshop, driver, robot)

    check.__name__ = f"speaks_{driver}"
    row("driver", f"profile {driver}: {words}", "followed within all limits, fingers in their places")(check)


_profile("allegro_v4", "JointState, joint_0.0")
_profile("allegro_v5", "JointState, joint_0_0", "allegro_v5_b_right")
_profile("allegro_v5_2024", "the same, the command topic elsewhere", "allegro_v5_a_left")
_profile("wonik_ros2_control", "Float64MultiArray, thumb first, 100 Hz")
_profile("wonik_ros2_control_right", "the same, right of two hands")
_profile("wonik_ros2_control_left", "the same, left of two hands")
_profile("joint_trajectory_controller", "JointTrajectory of one point, 100 Hz")
_profile("joint_state", "JointState on a shared topic")


@row("driver", "another robot's joints on the shared topic of the joint states", "passed over; followed")
def shared_topic(workshop: Workshop) -> str:
    stand = workshop.stand("joint_state", line=False)
    other = stand.node.create_publisher(JointState, "joint_states", 10)
    message = JointState(name=["elbow", "wrist"], position=[1.0, 2.0])
    timer = stand.node.create_timer(0.003, lambda: other.publish(message))
    took = stand.follows()
    stand.moves(1.0)
    stand.node.destroy_timer(timer)
    return f"followed in {took:.2f} s, {stand.status.values['refused']} refused"


@row("driver", "the hand was moved 0.3 rad by somebody else while paused", "start begins where the hand now stands")
def moved_while_paused(workshop: Workshop) -> str:
    stand = workshop.stand()
    stand.follows()
    stand.trigger("pause")
    stand.until("PAUSED")
    stand.come_to_rest()
    elsewhere: Array = np.array(stand.look().command) + np.array([0.0, 0.3, 0.0, 0.0] * 4)
    other = workshop.program("test.robustness.commander", stand.namespace, "1.0", *[f"{x:.6f}" for x in elsewhere])
    wait_for(lambda: not other.alive, "the other commander to end")
    stand.observer.new_hand()
    time.sleep(0.3)
    stand.look()
    stand.found.clear()  # the other commander's own jump is not the controller's
    stand.trigger("start")
    time.sleep(0.5)
    found = stand.look()
    took = stand.follows()
    return f"first command {found.start:.3f} rad off the hand, followed in {took:.2f} s"
