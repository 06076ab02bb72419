"""Queues: the requests of one scan directory go one after the other, different directories side by side."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.clock import Clock
from scicat_watch.discovery.pending import Ready
from scicat_watch.errors import Unavailable
from scicat_watch.model import Beamtime, Outcome, Status
from scicat_watch.service.ingest import Ingestor, Stopped, UnderWay

log = logging.getLogger(__name__)

Finished = Callable[[Outcome], None]
"""Called with the outcome, by the queue's thread."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A request in a queue."""

    ready: Ready
    beamtime: Beamtime
    finished: Finished


class Dispatcher:
    """Threads that ingest: at most `side_by_side` queues at a time."""

    def __init__(
        self, ingestor: Ingestor, clock: Clock, stopping: threading.Event, *, side_by_side: int, read_ahead: int
    ) -> None:
        """`read_ahead`: how many scans of a queue are read while the one before them is published."""
        self._ingestor, self._clock, self._stopping = ingestor, clock, stopping
        self._side_by_side, self._ahead = side_by_side, max(1, read_ahead)
        self._waiting: dict[Path, deque[_Item]] = {}
        self._busy: dict[Path, deque[_Item]] = {}
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self.idle = threading.Event()
        """Set while there is nothing to do."""
        self.idle.set()
        self.unavailable: Unavailable | None = None
        """Why the queues gave up; None while they have not."""

    def put(self, ready: Ready, beamtime: Beamtime, finished: Finished) -> None:
        """Append a request to the queue of the directory that its scan is named in."""
        directory, item = ready.request.scan.directory, _Item(ready, beamtime, finished)
        with self._changed:
            self.idle.clear()
            if directory in self._busy:
                self._busy[directory].append(item)
            else:
                self._waiting.setdefault(directory, deque()).append(item)
            if len(self._threads) < self._side_by_side and self._waiting:
                thread = threading.Thread(target=self._work, name=f"queue {len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def drop(self, beamtime: Beamtime, seconds: float) -> None:
        """Forget what waits of a beamtime, and wait for what is under way in its directories, at most so long."""
        root = beamtime.directory
        with self._changed:
            for items in (*self._waiting.values(), *self._busy.values()):
                others = [item for item in items if item.beamtime != beamtime]
                items.clear()
                items.extend(others)
            self._waiting = {directory: items for directory, items in self._waiting.items() if items}
            self._changed.wait_for(lambda: not any(busy.is_relative_to(root) for busy in self._busy), seconds)
            self._note_idle()

    def join(self, seconds: float) -> bool:
        """After `stopping` is set: whether all threads ended within so many seconds."""
        until = self._clock.monotonic() + seconds
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (queue := self._next()) is not None:
            directory, items = queue
            try:
                self._run(directory, items)
            except Stopped:
                return
            except Unavailable as error:
                self.unavailable = error
                self._stopping.set()
                return
            except Exception:
                # Whatever it was, it must not cost the other queues their thread.
                log.exception("%s: a fault of scicat-watch", directory)
            finally:
                with self._changed:
                    left = self._busy.pop(directory, None)
                    if left:
                        self._waiting[directory] = left
                    self._note_idle()
                    self._changed.notify_all()

    def _next(self) -> tuple[Path, deque[_Item]] | None:
        with self._changed:
            while not self._stopping.is_set():
                if self._waiting:
                    directory = next(iter(self._waiting))
                    items = self._waiting.pop(directory)
                    self._busy[directory] = items
                    return directory, items
                self._changed.wait()
        return None

    def _run(self, directory: Path, items: deque[_Item]) -> None:
        under_way: deque[tuple[UnderWay, _Item]] = deque()
        taken: deque[_Item] = deque()  # What has no outcome yet.
        try:
            while not self._stopping.is_set():
                while len(under_way) <= self._ahead and (item := self._pop(items)) is not None:
                    taken.append(item)
                    under_way.append((self._ingestor.start(item.ready, item.beamtime), item))
                if under_way:
                    first, item = under_way.popleft()
                    outcome = self._ingestor.finish(first)
                    taken.popleft()
                    item.finished(outcome)
                elif self._leave(directory, items):
                    return
        except (Stopped, Unavailable):
            raise
        except Exception as error:
            # Nobody else knows of these: without an outcome they would not come again before the next start.
            for item in taken:
                item.finished(Outcome(item.ready.request, Status.FAILED, f"a fault of scicat-watch: {error!r}"))
            raise

    def _leave(self, directory: Path, items: deque[_Item]) -> bool:
        """Close the queue, unless something came into it just now."""
        with self._changed:
            if not items:
                del self._busy[directory]
                self._note_idle()
                self._changed.notify_all()
            return not items

    def _note_idle(self) -> None:
        if not self._waiting and not self._busy:
            self.idle.set()

    def _pop(self, items: deque[_Item]) -> _Item | None:
        with self._changed:
            return items.popleft() if items else None
