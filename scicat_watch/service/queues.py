"""Which request is where on its way: queued, being read, read, being published. Pure; the threads are `dispatch`'s.

Here, and nowhere else, is decided which scan is read next (by `turns`) and how many are read at a time; executors read
at once what they are given. Scans of one directory are published one at a time, the earliest first of those that have
been read. Of the requests for one dataset, none is read before the one before it has ended.

How many scans are under way is bounded, because what has been read may be large: a catalogue that is slow or
unavailable stops the reading after a while, and everything else waits in its queue.

A scan that takes long to read holds up no others. After a second it counts only for its own beamtime, whose file
system may hang. When its time is over, or it has ended its reader, it becomes a suspect, and is read once more among
these: one at a time, beside all others, with more time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from scicat_watch.discovery.completeness import Ready
from scicat_watch.model import Beamtime, Outcome
from scicat_watch.service.turns import Turns, Urgency

if TYPE_CHECKING:
    from scicat_watch.service.ingest import Read


_MOST_LONG = 10
"""How many scans more than usual are read at most while some take long: ten files that hang delay nobody."""


class Stage(Enum):
    """Where a request is."""

    QUEUED = auto()
    READING = auto()
    READ = auto()
    """To be published."""
    PUBLISHING = auto()
    FAILED = auto()
    """It could not be read, and this is being noted."""
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Load:
    """How many datasets of a beamtime are on their way, each counted once, however many requests ask for it."""

    queued: int = 0
    """To be read."""
    reading: int = 0
    publishing: int = 0
    """Read, so that they are published now or next."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.queued + self.reading + self.publishing


@dataclass(slots=True, eq=False)
class Item:
    """A request on its way."""

    ready: Ready
    beamtime: Beamtime
    finished: Callable[[Outcome], None]
    urgency: Urgency
    number: int = 0
    """In the order in which they came."""
    stage: Stage = Stage.QUEUED
    takes_long: bool = False
    """Whether it has been read for more than a second."""
    dropped: bool = False
    """Whether it is forgotten as soon as its reading ends."""

    @property
    def queue(self) -> Path:
        """The directory that its scan is named in."""
        return self.ready.request.scan.directory

    @property
    def pid(self) -> str:
        """Of its dataset."""
        return self.ready.request.pid


class Queues:
    """All requests that are on their way. Not thread-safe."""

    def __init__(
        self, *, readers: int, connections: int, hangs: Callable[[Path], bool] = lambda directory: False
    ) -> None:
        """`readers`: how many scans are read at a time; `connections`: how many are published.

        `hangs`: whether a directory's file system does not answer, so that no scan there is read.
        """
        self._hangs = hangs
        self._readers = readers
        self._most_of_queue = readers + 2
        self._most = readers + 1 + 2 * connections
        self._turns: Turns[Item] = Turns()
        self._same: dict[str, deque[Item]] = {}
        """By pid: the item that is under way or about to be, and those whose turn came while it was."""
        self._reading: set[Item] = set()
        self._read: list[tuple[Item, Read]] = []
        self._publishing: set[Path] = set()
        """The queues of which one is being published."""
        self._of_queue: Counter[Path] = Counter()
        """How many of a queue are under way."""
        self._stages: dict[Beamtime, Counter[Stage]] = {}
        self._wanted: dict[Beamtime, Counter[str]] = {}
        """How many requests of a beamtime there are for each dataset, by pid."""
        self._number = 0

    @property
    def empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._stages

    def load(self, beamtime: Beamtime) -> Load:
        """How many datasets of a beamtime are on their way."""
        stages, wanted = self._stages.get(beamtime, Counter()), self._wanted.get(beamtime, Counter())
        publishing = sum(stages[stage] for stage in (Stage.READ, Stage.PUBLISHING, Stage.FAILED))
        again = stages.total() - len(wanted)  # Only one request for a dataset is anywhere but in a queue.
        return Load(stages[Stage.QUEUED] - again, stages[Stage.READING], publishing)

    def put(self, item: Item) -> None:
        """Append an item to its queue."""
        self._number += 1
        item.number = self._number
        self._stages.setdefault(item.beamtime, Counter())[item.stage] += 1
        self._wanted.setdefault(item.beamtime, Counter())[item.pid] += 1
        self._turns.put(item)

    def to_read(self) -> Item | None:
        """The item that is to be read now; None if none is, or as many are under way as may be."""
        suspects = Counter(item.queue for item in self._reading if item.urgency is Urgency.SUSPECT)
        long = Counter(item.beamtime for item in self._reading if item.takes_long and not _is_suspect(item))
        quick = len(self._reading) - suspects.total() - long.total()
        if self._of_queue.total() - suspects.total() - long.total() >= self._most:
            return None
        urgencies = set() if suspects else {Urgency.SUSPECT}
        if quick < self._readers and quick + long.total() < self._readers + _MOST_LONG:
            urgencies |= {Urgency.LIVE, Urgency.BACKLOG}
        while (
            item := self._turns.take(
                urgencies,
                held=lambda beamtime: quick + long[beamtime] >= self._readers,
                full=lambda queue: self._of_queue[queue] - suspects[queue] >= self._most_of_queue or self._hangs(queue),
            )
        ) is not None:
            same = self._same.setdefault(item.pid, deque([item]))
            if same[0] is item:
                self._begin(item)
                return item
            same.append(item)
        return None

    def takes_long(self, item: Item) -> None:
        """The reading of an item takes more than a second."""
        item.takes_long = item in self._reading

    def was_read(self, item: Item, read: Read | None) -> bool:
        """The reading of an item ended, without success if `read` is None; False if the item was dropped meanwhile."""
        self._reading.discard(item)
        if item.dropped:
            self.end(item)
            return False
        if read is None:
            self._move(item, Stage.FAILED)
        else:
            self._read.append((item, read))
            self._move(item, Stage.READ)
        return True

    def set_apart(self, item: Item) -> bool:
        """The reading of an item cost its reader, and is tried once more among the suspects; False if it is not.

        Those have been tried already, and what was dropped meanwhile is not tried again.
        """
        if _is_suspect(item) or item.dropped:
            return False
        self._reading.discard(item)
        self._leave_queue(item)
        self._move(item, Stage.QUEUED)
        item.urgency, item.takes_long = Urgency.SUSPECT, False
        self._turns.put(item)
        return True

    def publishable(self) -> int:
        """How many could be published now."""
        return len({item.queue for item, _ in self._read} - self._publishing)

    def to_publish(self) -> tuple[Item, Read] | None:
        """The item that is to be published now; None if none is."""
        queue = next((item.queue for item, _ in self._read if item.queue not in self._publishing), None)
        if queue is None:
            return None
        chosen = min((one for one in self._read if one[0].queue == queue), key=lambda one: one[0].number)
        self._read.remove(chosen)
        self._publishing.add(queue)
        self._move(chosen[0], Stage.PUBLISHING)
        return chosen

    def end(self, item: Item) -> None:
        """An item has its outcome, or is given up."""
        if item.stage is Stage.PUBLISHING:
            self._publishing.discard(item.queue)
        if item.stage is not Stage.QUEUED:
            self._leave_queue(item)
        same = self._same.get(item.pid, deque())
        if same and same[0] is item:
            same.popleft()
            if same:
                self._turns.put_back(same[0])
            else:
                del self._same[item.pid]
        self._move(item, Stage.ENDED)

    def drop(self, beamtime: Beamtime) -> None:
        """Forget the items of a beamtime, but for those that are being published."""
        for same in self._same.values():
            for item in [item for item in list(same)[1:] if item.beamtime == beamtime]:
                same.remove(item)
                self.end(item)
        read = [item for item, _ in self._read if item.beamtime == beamtime]
        self._read = [one for one in self._read if one[0].beamtime != beamtime]
        for item in (*self._turns.drop(beamtime), *read):
            self.end(item)
        for item in self._reading:
            item.dropped = item.dropped or item.beamtime == beamtime

    def _begin(self, item: Item) -> None:
        self._of_queue[item.queue] += 1
        self._reading.add(item)
        self._move(item, Stage.READING)

    def _leave_queue(self, item: Item) -> None:
        self._of_queue[item.queue] -= 1
        if not self._of_queue[item.queue]:
            del self._of_queue[item.queue]

    def _move(self, item: Item, stage: Stage) -> None:
        stages = self._stages[item.beamtime]
        stages[item.stage] -= 1
        if stage is not Stage.ENDED:
            stages[stage] += 1
        else:
            self._forget(item)
        item.stage = stage

    def _forget(self, item: Item) -> None:
        wanted = self._wanted[item.beamtime]
        wanted[item.pid] -= 1
        if not wanted[item.pid]:
            del wanted[item.pid]
        if not wanted:
            del self._wanted[item.beamtime], self._stages[item.beamtime]


def _is_suspect(item: Item) -> bool:
    return item.urgency is Urgency.SUSPECT
