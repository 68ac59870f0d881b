"""Services that are asked until they answer: a server that has not discovered its client yet answers into the void."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node

_AGAIN = 10.0  # s; the answer to the first question is taken, too, when it comes later


def ask(
    node: Node, kind: type[Any], service: str, request: Any, wait_for: Callable[[Callable[[], bool], str], Any]
) -> Any:
    """The answer. node: served by a thread of its own; wait_for: waits for a condition and names what it is, or raises."""
    client = node.create_client(kind, service)
    wait_for(client.service_is_ready, f"a service {service}")
    if kind is ChangeState:
        # must not be asked for twice. Clients are discovered in their order, so who hears an answer here hears that one
        ask(node, GetState, f"{service.rsplit('/', 1)[0]}/get_state", GetState.Request(), wait_for)
    futures: list[Any] = []
    asked = -math.inf

    def answered() -> bool:
        nonlocal asked
        if not futures or (kind is not ChangeState and time.monotonic() - asked > _AGAIN):
            futures.append(client.call_async(request))
            asked = time.monotonic()
        return any(future.done() for future in futures)

    wait_for(answered, f"an answer of {service}")
    node.destroy_client(client)
    return next(future.result() for future in futures if future.done())
