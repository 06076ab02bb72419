"""Calls on roots, made one after the other, so that a root that does not answer holds up no other.

Each root has a thread. Whoever wants calls made waits for that, but not for a file system that does not answer: then
the next root is due, and the thread goes on by itself if an answer comes in time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scicat_watch.clock import Clock
from scicat_watch.discovery.events.filesystems import Mounts
from scicat_watch.service.calls import SILENT_AFTER, Calls, Silence
from scicat_watch.service.serial import SerialThread

log = logging.getLogger(__name__)

_CHECK_EVERY = 0.5
_STANDS = 2.0
"""Seconds without an answer after which a root is waited for no longer once the program is to stop."""


class Bulkheads:
    """Used by one thread, which asks no file system of a root itself."""

    def __init__(
        self,
        calls: Calls,
        clock: Clock,
        stopping: threading.Event,
        serial: Callable[[str], SerialThread] = SerialThread,
    ) -> None:
        """`calls`: where the calls that are made say what they are about."""
        self._calls, self._clock, self._stopping, self._serial = calls, clock, stopping, serial
        self._threads: dict[Path, SerialThread] = {}
        self.named: set[Path] = set()
        """Roots that did not answer at some time."""
        self._left: dict[Path, Silence] = {}

    def left(self) -> dict[Path, Silence]:
        """The roots of which calls were not made, as they did not answer."""
        return dict(self._left)

    def make(self, root: Path, call: Callable[[], object]) -> Silence | None:
        """Have calls on a root made, and raise what they raise; the silence of the root if it does not answer.

        Then they are made when it does, if the program still runs.
        """
        errors, made = list[Exception](), threading.Event()

        def caught() -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - raised again by the thread that waits.
                errors.append(error)
            made.set()
            self._left.pop(root, None)

        silence = self.silence(root)
        thread = self._thread(root if silence is None else silence.root)
        thread.put(caught)
        while silence is None and not thread.settle(_CHECK_EVERY):
            silence = self.silence(root)
        if silence is None:
            for error in errors:
                raise error
            return None
        self._left[root] = replace(silence, root=root)
        if made.is_set():
            self._left.pop(root, None)  # Just now.
        return self._left.get(root)

    def ask(self, root: Path, call: Callable[[], object]) -> Silence | None:
        """The same for a call that is nothing but calls on the root."""

        def asked() -> None:
            with self._calls.on(root):
                call()

        return self.make(root, asked)

    def silence(self, root: Path) -> Silence | None:
        """That of a root which does not answer now, or of another one whose calls wait for the same file system."""
        silences = self._calls.check(_STANDS if self._stopping.is_set() else SILENT_AFTER)
        for silence in silences.values():
            if silence.root not in self.named:
                self.named.add(silence.root)
                log.warning("%s; the others go on", silence)
        if root in silences or not silences:
            return silences.get(root)
        mounts = Mounts.now()
        point = mounts.holding(root).point
        return next((one for one in silences.values() if mounts.holding(one.path).point == point), None)

    def _thread(self, root: Path) -> SerialThread:
        if root not in self._threads:
            self._threads[root] = self._serial(f"calls on {root}")
        return self._threads[root]
