"""Calls of services in the order in which somebody asked for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

_LONGEST = 0.5  # s that a call waits for the answer to the one before; Pause must not wait for ever


class Calls:
    """One after the other: a node serves requests of several services that wait for it together in any order, and Pause after
    Home must not become Home after Pause. Called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Any, Any, Callable[[str], None]]] = deque()
        self._asked: Any = None  # future of the call that is not answered yet
        self._since = 0.0

    def add(self, client: Any, request: Any, answered: Callable[[str], None]) -> None:
        """Ask, when it is its turn; the message of the answer goes to `answered`, in the executor."""
        self._waiting.append((client, request, answered))
        self.go_on()

    def go_on(self) -> None:
        """Send the next one, if it is its turn: to be called now and then, for an answer may never come."""
        with self._lock:
            if not self._waiting or (self._asked is not None and time.monotonic() - self._since < _LONGEST):
                return
            client, request, answered = self._waiting.popleft()
            self._asked, self._since = client.call_async(request), time.monotonic()
            future = self._asked
        future.add_done_callback(lambda done: self._take(done, answered))

    def _take(self, future: Any, answered: Callable[[str], None]) -> None:
        with self._lock:
            if future is self._asked:
                self._asked = None
        answered(future.result().message)
        self.go_on()
