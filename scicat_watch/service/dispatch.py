"""Dispatcher: the scans of one list go one after the other in its order, different lists side by side."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from scicat_watch.discovery.pending import Ready
from scicat_watch.errors import Unavailable
from scicat_watch.model import Beamtime, Outcome, Status
from scicat_watch.service.ingest import Ingestor, Stopped, UnderWay

log = logging.getLogger(__name__)

Finished = Callable[[Ready, Outcome], None]
"""Told each outcome, from the lane's thread."""
Item = tuple[Ready, Beamtime, Finished]


class Dispatcher:
    """Threads that ingest: at most `side_by_side` lists at a time."""

    def __init__(self, ingestor: Ingestor, side_by_side: int, read_ahead: int, stopping: threading.Event) -> None:
        """`read_ahead`: how many scans of a lane are read while the one before them is published."""
        self._ingestor, self._ahead, self._stopping = ingestor, max(1, read_ahead), stopping
        self._side_by_side = side_by_side
        self._waiting: dict[Path, deque[Item]] = {}
        self._busy: dict[Path, deque[Item]] = {}
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self.unavailable: Unavailable | None = None
        """Why the lanes gave up; None while they have not."""

    def put(self, directory: Path, item: Item) -> None:
        """Append a scan to the lane of its scan directory."""
        with self._changed:
            if directory in self._busy:
                self._busy[directory].append(item)
            else:
                self._waiting.setdefault(directory, deque()).append(item)
            if len(self._threads) < self._side_by_side and self._waiting:
                thread = threading.Thread(target=self._work, name=f"lane {len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        with self._changed:
            return not self._waiting and not self._busy

    def wait_until_changed(self, seconds: float) -> None:
        """Wait until something was put in or a lane ended, at most so long."""
        with self._changed:
            self._changed.wait(seconds)

    def drop(self, root: Path, seconds: float) -> None:
        """Forget what waits for directories below `root`, and wait for what is under way there, at most so long."""
        with self._changed:
            for directory in [directory for directory in self._waiting if directory.is_relative_to(root)]:
                del self._waiting[directory]
            for directory, items in self._busy.items():
                if directory.is_relative_to(root):
                    items.clear()
            self._changed.wait_for(lambda: not any(busy.is_relative_to(root) for busy in self._busy), seconds)

    def join(self, until: float) -> bool:
        """After `stopping` is set: whether all threads ended by the monotonic time `until`."""
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (lane := self._next()) is not None:
            directory, items = lane
            try:
                self._run(directory, items)
            except Stopped:
                return
            except Unavailable as error:
                self.unavailable = error
                self._stopping.set()
                return
            except Exception:
                # Whatever it was, it must not cost the other lists their thread.
                log.exception("%s: a fault of scicat-watch", directory)
            finally:
                with self._changed:
                    left = self._busy.pop(directory, None)
                    if left:
                        self._waiting[directory] = left
                    self._changed.notify_all()

    def _next(self) -> tuple[Path, deque[Item]] | None:
        with self._changed:
            while not self._stopping.is_set():
                if self._waiting:
                    directory = next(iter(self._waiting))
                    items = self._waiting.pop(directory)
                    self._busy[directory] = items
                    return directory, items
                self._changed.wait()
        return None

    def _run(self, directory: Path, items: deque[Item]) -> None:
        under_way: deque[tuple[UnderWay, Finished]] = deque()
        taken: deque[Item] = deque()  # What has no outcome yet.
        try:
            while not self._stopping.is_set():
                while len(under_way) <= self._ahead and (item := self._pop(items)) is not None:
                    taken.append(item)
                    ready, beamtime, finished = item
                    under_way.append((self._ingestor.start(ready, beamtime), finished))
                if under_way:
                    first, finished = under_way.popleft()
                    outcome = self._ingestor.finish(first)
                    taken.popleft()
                    finished(first.ready, outcome)
                elif self._leave(directory, items):
                    return
        except (Stopped, Unavailable):
            raise
        except Exception as error:
            # Nobody else knows of these: without an outcome they would not come again before the next start.
            for ready, _, finished in taken:
                finished(ready, Outcome(ready.scan, Status.FAILED, f"a fault of scicat-watch: {error!r}"))
            raise

    def _leave(self, directory: Path, items: deque[Item]) -> bool:
        """Close the lane, unless something came into it just now."""
        with self._changed:
            if not items:
                del self._busy[directory]
                self._changed.notify_all()
            return not items

    def _pop(self, items: deque[Item]) -> Item | None:
        with self._changed:
            return items.popleft() if items else None
