"""Calls that are made one after the other in a thread of their own, so that one that hangs holds up nobody else."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

Call = Callable[[], object]


class SerialThread:
    """Makes calls in the order in which they came. Its thread lives only while there are some."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: deque[Call] = deque()
        self._changed = threading.Condition()
        self._running = False

    def put(self, call: Call) -> None:
        """Have a call made; returns at once, in any thread."""
        with self._changed:
            self._calls.append(call)
            if not self._running:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._running = True

    def settle(self, seconds: float) -> bool:
        """Wait until all calls were made, at most so many seconds; whether they were."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._calls:
                    self._running = False
                    self._changed.notify_all()
                    return
                call = self._calls.popleft()
            try:
                call()
            except Exception:
                # Whatever it was, it must not cost the calls that come after it.
                log.exception("%s: a fault of scicat-watch", self._name)
