"""What ingests: it has scans read whenever there is room for one, and has threads that publish what was read.

Which scan is next is said by `queues`. Whatever thread makes room, as the one that has read a scan, has the next one
begin; only one does so at a time. Nothing here touches a directory of a beamtime.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scicat_watch.clock import Clock
from scicat_watch.discovery.completeness import Ready
from scicat_watch.errors import Unavailable
from scicat_watch.model import Beamtime, Fault, Outcome, Status
from scicat_watch.service.ingest import Ingestor, Read, Stopped, UnderWay
from scicat_watch.service.queues import Item, Load, Queues
from scicat_watch.service.turns import Urgency
from scicat_watch.words import why

log = logging.getLogger(__name__)

Finished = Callable[[Outcome], None]
"""Called with the outcome, by a thread of the dispatcher."""


class Dispatcher:
    """Ingests what is put into it. Its threads start when they are needed first."""

    def __init__(
        self,
        ingestor: Ingestor,
        clock: Clock,
        stopping: threading.Event,
        *,
        connections: int,
        readers: int,
        hangs: Callable[[Path], bool] = lambda directory: False,
    ) -> None:
        """See `Queues`."""
        self._ingestor, self._clock, self._stopping = ingestor, clock, stopping
        self._connections = connections
        self._queues = Queues(readers=readers, connections=connections, hangs=hangs)
        self._lock = threading.Lock()
        self._to_publish, self._ended = threading.Condition(self._lock), threading.Condition(self._lock)
        self._beginning = False
        """Whether some thread has scans begin; it sees whatever becomes possible meanwhile."""
        self._threads: list[threading.Thread] = []
        self._resting = 0
        """How many threads have nothing to publish."""
        self.idle = threading.Event()
        """Set while there is nothing to do."""
        self.idle.set()
        self.unavailable: Unavailable | None = None
        """Why the work was given up; None while it was not."""

    def put(self, ready: Ready, beamtime: Beamtime, finished: Finished, *, suspect: bool = False) -> None:
        """Append a request to the queue of the directory that its scan is named in.

        `suspect`: whether its scan cost a reader before.
        """
        with self._lock:
            self.idle.clear()
            self._queues.put(Item(ready, beamtime, finished, urgency(ready, suspect)))
        self._have_read()

    def load(self, beamtime: Beamtime) -> Load:
        """How many requests of a beamtime are on their way."""
        with self._lock:
            return self._queues.load(beamtime)

    def drop(self, beamtime: Beamtime, seconds: float) -> None:
        """Forget what waits of a beamtime, and wait for what is being published of it, at most so long."""
        with self._lock:
            self._queues.drop(beamtime)
            self._note_end()
        self._have_read()
        with self._lock:
            self._ended.wait_for(lambda: not self._queues.load(beamtime).publishing, seconds)

    def join(self, seconds: float) -> bool:
        """After `stopping` is set: whether all threads ended within so many seconds."""
        until = self._clock.monotonic() + seconds
        self.wake()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, until - self._clock.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _start_thread(self, name: str) -> None:
        thread = threading.Thread(target=self._publish_all, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _note_end(self) -> None:
        """Something ended, and somebody may have waited for that."""
        if self._queues.empty:
            self.idle.set()
        self._ended.notify_all()

    def wake(self) -> None:
        """See what there is to do by now: the program ends, or a file system answers again."""
        with self._lock:
            self._to_publish.notify_all()
        self._have_read()

    def _have_read(self) -> None:
        """Have scans read, as many as may be."""
        with self._lock:
            if self._beginning:
                return
            self._beginning = True
        while (item := self._next_to_read()) is not None:
            self._start(item)

    def _next_to_read(self) -> Item | None:
        with self._lock:
            item = None if self._stopping.is_set() else self._queues.to_read()
            self._beginning = item is not None
            return item

    def _start(self, item: Item) -> None:
        try:
            under_way = self._ingestor.start(
                item.ready, item.beamtime, partial(self._takes_long, item), suspect=item.urgency is Urgency.SUSPECT
            )
            under_way.running.add_done_callback(partial(self._is_read, item, under_way))
        except Stopped:
            log.debug("no more reading: the program ends")
        except Exception as error:
            log.exception("%s: a fault of scicat-watch", item.pid)
            self._conclude_unread(item, _fault(item, error))

    def _takes_long(self, item: Item) -> None:
        with self._lock:
            self._queues.takes_long(item)
        self._have_read()

    def _is_read(self, item: Item, under_way: UnderWay) -> None:
        """Called by whatever thread ends the reading."""
        if self._stopping.is_set():
            return
        try:
            match self._ingestor.read(under_way):
                case Read() as read:
                    self._hand_on(item, read)
                case outcome:
                    self._conclude_unread(item, outcome)
        except Stopped:
            log.debug("no more reading: the program ends")
        self._have_read()

    def _hand_on(self, item: Item, read: Read) -> None:
        with self._lock:
            if not self._queues.was_read(item, read):
                self._note_end()
                return
            # The threads that rest may be woken already, for another one.
            if len(self._threads) < self._connections and self._queues.publishable() > self._resting:
                self._start_thread(f"queue {len(self._threads) + 1}")
            self._to_publish.notify()

    def _conclude_unread(self, item: Item, outcome: Outcome) -> None:
        with self._lock:
            again = outcome.fault is Fault.READER and self._queues.set_apart(item)
            wanted = not again and self._queues.was_read(item, None)
            if not again and not wanted:
                self._note_end()
        if again:
            log.info("%s: %s; it is read again apart from the others", item.pid, outcome.reason)
        elif wanted:
            self._conclude(item, outcome)

    def _publish_all(self) -> None:
        try:
            while self._publish_next():
                pass
        except Stopped:
            log.debug("no more publishing: the program ends")
        except Unavailable as error:
            self.unavailable = error
            self._stopping.set()
            self.wake()

    def _publish_next(self) -> bool:
        """Wait for something to publish, and publish it; False if the program ends."""
        if (chosen := self._next_read()) is None:
            return False
        item, read = chosen
        try:
            outcome = self._ingestor.publish(read)
        except (Stopped, Unavailable):
            raise
        except Exception as error:
            log.exception("%s: a fault of scicat-watch", item.pid)
            outcome = _fault(item, error)
        self._conclude(item, outcome)
        return True

    def _next_read(self) -> tuple[Item, Read] | None:
        with self._lock:
            while not self._stopping.is_set():
                if (chosen := self._queues.to_publish()) is not None:
                    return chosen
                self._resting += 1
                self._to_publish.wait()
                self._resting -= 1
        return None

    def _conclude(self, item: Item, outcome: Outcome) -> None:
        try:
            item.finished(outcome)
        except Exception:
            # Whatever it was, it must not cost the other requests their thread.
            log.exception("%s: a fault of scicat-watch", item.pid)
        with self._lock:
            self._queues.end(item)
            self._note_end()
        self._have_read()


def urgency(ready: Ready, suspect: bool) -> Urgency:
    """How soon a request is to be read. A scan that cost a reader is a suspect, however new its file is."""
    return Urgency.SUSPECT if suspect else Urgency.BACKLOG if ready.backlog else Urgency.LIVE


def _fault(item: Item, error: Exception) -> Outcome:
    return Outcome(item.ready.request, Status.FAILED, f"a fault of scicat-watch: {type(error).__name__}: {why(error)}")
