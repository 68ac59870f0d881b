"""The tests' own way of asking services: an answer that gets lost is no failure of what is tested."""

from __future__ import annotations

from itertools import count

import pytest
from lifecycle_msgs.srv import ChangeState, GetState
from node_bench import Lab
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future
from std_srvs.srv import Trigger

from test.robustness import questions


def test_a_service_whose_first_answer_is_lost_is_asked_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    server, asking, numbers = lab.station(), lab.station(), count(1)

    async def answer_but_once(_: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        answer.message = str(next(numbers))
        if answer.message == "1":
            await Future()
        return answer

    server.node.create_service(Trigger, "lossy", answer_but_once, callback_group=ReentrantCallbackGroup())
    monkeypatch.setattr(questions, "_AGAIN", 0.2)
    assert int(asking.call(Trigger, f"{server.namespace}/lossy").message) > 1


def test_a_change_of_state_is_asked_for_once_after_the_state_was_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, asking = lab.station(), lab.station()
    asked: list[str] = []

    def tell(_: GetState.Request, answer: GetState.Response) -> GetState.Response:
        asked.append("state")
        return answer

    def change(_: ChangeState.Request, answer: ChangeState.Response) -> ChangeState.Response:
        asked.append("change")
        answer.success = True
        return answer

    server.node.create_service(GetState, "get_state", tell)
    server.node.create_service(ChangeState, "change_state", change)
    monkeypatch.setattr(questions, "_AGAIN", 0.0)
    assert asking.call(ChangeState, f"{server.namespace}/change_state").success
    assert asked.count("change") == 1 and asked[0] == "state"
