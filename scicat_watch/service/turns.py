"""Whose turn it is to be read: beamtimes in turn, and within one its scan directories in turn. Pure.

Live scans come before the backlog, but every fourth turn is the backlog's, so that neither waits for the other's end.
Suspects come last, but for every eighth turn.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from enum import IntEnum
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from scicat_watch.model import Beamtime

ROUND = 8
"""Turns after which the order of the urgencies begins anew."""


class Urgency(IntEnum):
    """How soon a request is to be read."""

    LIVE = 0
    """Its scan was completed just now, and somebody may wait for it."""
    BACKLOG = 1
    """It was there at the start, or was tried before."""
    SUSPECT = 2
    """Reading its scan hung or crashed before; one such scan is read at a time, beside the others."""


class Waiting(Protocol):
    """What is to be known of something that waits."""

    beamtime: Beamtime
    urgency: Urgency

    @property
    def queue(self) -> Path:
        """The scan directory in whose queue it waits."""


Item = TypeVar("Item", bound=Waiting)
_Queues = OrderedDict[Path, deque[Item]]


class _Rotation(Generic[Item]):
    """The items of one urgency. What is taken costs the same however many there are."""

    def __init__(self) -> None:
        self.beamtimes: OrderedDict[Beamtime, _Queues[Item]] = OrderedDict()

    def queue_of(self, item: Item) -> deque[Item]:
        queues: _Queues[Item] = self.beamtimes.setdefault(item.beamtime, OrderedDict())
        return queues.setdefault(item.queue, deque())

    def take(self, held: Callable[[Beamtime], bool], full: Callable[[Path], bool]) -> Item | None:
        for beamtime, queues in self.beamtimes.items():
            queue = None if held(beamtime) else next((queue for queue in queues if not full(queue)), None)
            if queue is not None:
                return self._pop(beamtime, queue)
        return None

    def _pop(self, beamtime: Beamtime, queue: Path) -> Item:
        queues = self.beamtimes[beamtime]
        item = queues[queue].popleft()
        queues.move_to_end(queue)
        self.beamtimes.move_to_end(beamtime)
        if not queues[queue]:
            del queues[queue]
        if not queues:
            del self.beamtimes[beamtime]
        return item

    def drop(self, beamtime: Beamtime) -> list[Item]:
        return [item for queue in self.beamtimes.pop(beamtime, OrderedDict()).values() for item in queue]


class Turns(Generic[Item]):
    """All that waits to be read. Not thread-safe."""

    def __init__(self) -> None:
        self._rotations: dict[Urgency, _Rotation[Item]] = {urgency: _Rotation() for urgency in Urgency}
        self._turn = 0

    def put(self, item: Item) -> None:
        """Append an item to its queue."""
        self._rotations[item.urgency].queue_of(item).append(item)

    def put_back(self, item: Item) -> None:
        """Let an item that was taken be the first of its queue."""
        self._rotations[item.urgency].queue_of(item).appendleft(item)

    def take(
        self, urgencies: Collection[Urgency], held: Callable[[Beamtime], bool], full: Callable[[Path], bool]
    ) -> Item | None:
        """The next item of these urgencies; None if none may come now.

        `held`: whether no further item of a beamtime may, suspects aside; `full`: whether none of a queue may.
        """
        for urgency in self._order():
            if urgency not in urgencies:
                continue
            free = _none if urgency is Urgency.SUSPECT else held
            if (item := self._rotations[urgency].take(free, full)) is not None:
                self._turn = (self._turn + 1) % ROUND
                return item
        return None

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not any(rotation.beamtimes for rotation in self._rotations.values())

    def drop(self, beamtime: Beamtime) -> list[Item]:
        """Forget all of a beamtime; what that was."""
        return [item for rotation in self._rotations.values() for item in rotation.drop(beamtime)]

    def _order(self) -> tuple[Urgency, ...]:
        match self._turn:
            case 3:
                return (Urgency.BACKLOG, Urgency.SUSPECT, Urgency.LIVE)
            case 7:
                return (Urgency.SUSPECT, Urgency.BACKLOG, Urgency.LIVE)
            case _:
                return (Urgency.LIVE, Urgency.BACKLOG, Urgency.SUSPECT)


def _none(beamtime: Beamtime) -> bool:
    return False
