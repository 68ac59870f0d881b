"""Calls of several services of one node arrive in the order in which somebody asked for them."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from node_bench import PATIENCE, Lab, wait_for
from std_srvs.srv import Trigger

from nnik_ros.nodes.calls import Calls

NAMES = ("home", "start", "reset", "pause")


class Stage:
    """A node that serves, and one that asks; the first is slow at times, so that requests wait for it together."""

    def __init__(self, lab: Lab) -> None:
        self.server, asking = lab.station(), lab.station()
        self.served: list[str] = []
        for name in NAMES:
            self.server.node.create_service(Trigger, name, lambda _, answer, name=name: self._serve(name, answer))
        self.clients: dict[str, Any] = {
            name: asking.node.create_client(Trigger, f"{self.server.namespace}/{name}") for name in NAMES
        }
        self.nobody = asking.node.create_client(Trigger, "of_nobody")
        assert all(client.wait_for_service(PATIENCE) for client in self.clients.values())
        self.server.node.create_service(Trigger, "ready", lambda _, answer: answer)
        # clients are discovered in their order, so who hears this answer will hear those of the clients above
        asking.call(Trigger, f"{self.server.namespace}/ready")

    def _serve(self, name: str, answer: Trigger.Response) -> Trigger.Response:
        threading.Event().wait(0.02)
        self.served.append(name)
        answer.success, answer.message = True, f"{name}: done"
        return answer


@pytest.fixture
def stage(lab: Lab) -> Stage:
    return Stage(lab)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which an answer is waited for; it stands still, whatever the machine does."""
    now = [100.0]
    monkeypatch.setattr("nnik_ros.nodes.calls.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_requests_that_come_together_are_served_in_their_order(stage: Stage, now: list[float]) -> None:
    calls, told, wanted = Calls(), [], NAMES * 10
    for name in wanted:
        calls.add(stage.clients[name], Trigger.Request(), told.append)
    wait_for(lambda: calls.go_on() or len(told) == len(wanted), "all answers")
    assert tuple(stage.served) == wanted
    assert tuple(told) == tuple(f"{name}: done" for name in wanted)


def test_an_answer_that_never_comes_keeps_the_next_request_waiting_for_half_a_second_at_most(
    stage: Stage, now: list[float]
) -> None:
    calls, told = Calls(), []
    calls.add(stage.nobody, Trigger.Request(), told.append)
    calls.add(stage.clients["pause"], Trigger.Request(), told.append)
    now[0] += 0.49
    calls.go_on()
    threading.Event().wait(0.1)
    assert not stage.served
    now[0] += 0.02
    wait_for(lambda: calls.go_on() or told, "the pause")
    assert told == ["pause: done"]
