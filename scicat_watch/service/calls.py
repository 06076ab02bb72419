"""Which roots are being worked on, and which of them do not answer.

A root is a directory that the configuration names, or a beamtime directory. A call on a file system whose server is
gone does not return, and nothing can end it. So each root has threads of its own, and here they say when they are
about to make calls. Whoever asks learns where no answer has come for long; asking touches no file system.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from scicat_watch.clock import Clock
from scicat_watch.discovery.events.filesystems import Mounts

SILENT_AFTER = 10.0
"""Seconds without an answer after which a root counts as one that does not answer."""
_ASKED_FOR = 1.0
"""Seconds that a file system has to answer when it is to be found out which one does not."""
_MOST_ASKED = 50


@dataclass(frozen=True, slots=True)
class Silence:
    """A root that does not answer."""

    root: Path
    path: Path
    """What the call is about that is not answered."""
    since: datetime
    """In UTC."""

    def __str__(self) -> str:
        return f"{self.path}: {self.said}"

    @property
    def said(self) -> str:
        """What is to be said of the path."""
        return f"its file system has not answered since {self.since:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(slots=True, eq=False)
class Work:
    """Calls on one root that a thread makes; `path` may be set to what they are about at the moment."""

    root: Path
    path: Path
    thread: int
    """Number of the thread in this system."""
    moved_at: float
    """Monotonic time at which the thread was last seen to have gone on."""
    seen: tuple[str, Path] | None = None
    """What the system said of the thread then, and what its calls were about."""
    named: Path | None = None
    """What they were about when it was found out what does not answer."""


class Calls:
    """The calls that are under way on all roots. Used by all threads."""

    def __init__(self, clock: Clock, activity: Callable[[int], str] | None = None) -> None:
        """`activity`: says of a thread something that is the same only as long as it is in one system call."""
        self._clock = clock
        self._activity = activity or activity_of
        self._lock = threading.Lock()
        self._works: set[Work] = set()
        self._own = threading.local()
        """The work of each thread."""
        self._silent: dict[Path, Silence] = {}
        self._standing: dict[Path, list[Work]] = {}
        """By root that does not answer, the works that stood still when that was last checked."""

    @contextmanager
    def on(self, root: Path) -> Iterator[Work]:
        """Around calls on a root, in the thread that makes them."""
        work = Work(root, root, threading.get_native_id(), self._clock.monotonic())
        before, self._own.work = getattr(self._own, "work", None), work
        with self._lock:
            self._works.add(work)
        try:
            yield work
        finally:
            self._own.work = before
            with self._lock:
                self._works.discard(work)

    def about(self, path: Path, name: str = "") -> None:
        """The calls of this thread are about `path` from now on, or about what has that name in it."""
        if (work := getattr(self._own, "work", None)) is not None:
            work.path = path / name if name else path

    def check(self, after: float = SILENT_AFTER) -> dict[Path, Silence]:
        """The roots that do not answer, each once. To be called every few seconds, by one thread.

        `after`: seconds without an answer.
        """
        now = self._clock.monotonic()
        with self._lock:
            works = list(self._works)
        standing: dict[Path, list[Work]] = {}
        for work in works:
            # A rescan may take minutes; only a thread that stands in one and the same call gets no answer.
            seen = (self._activity(work.thread), work.path)
            if seen != work.seen:
                work.seen, work.moved_at = seen, now
            if now - work.moved_at >= after:
                standing.setdefault(work.root, []).append(work)
        longest = {root: min(some, key=lambda one: one.moved_at) for root, some in standing.items()}
        self._silent, self._standing = {root: self._silence(work, now) for root, work in longest.items()}, standing
        return dict(self._silent)

    def silence(self, root: Path) -> Silence | None:
        """Since when a root has not answered, as of the last check; None if it answers, or has done so since then."""
        with self._lock:
            stands = any(work in self._works for work in self._standing.get(root, ()))
        return self._silent.get(root) if stands else None

    def silences(self, but_for: Container[Path] = ()) -> list[Silence]:
        """All roots that did not answer when that was last checked."""
        return [silence for root, silence in self._silent.items() if root not in but_for]

    def hangs(self, path: Path) -> bool:
        """Whether `path` is in a root that did not answer when that was last checked."""
        return any(path.is_relative_to(root) for root in self._silent)

    def _silence(self, work: Work, now: float) -> Silence:
        known = self._silent.get(work.root)
        if known is not None and work.named == work.path:
            return known  # Said in the same words as long as it lasts, whatever is done to the time of day.
        work.named, path = work.path, _without_answer(work)
        return Silence(work.root, path, self._clock.now() - timedelta(seconds=now - work.moved_at))


def _without_answer(work: Work) -> Path:
    """What of a root does not answer: what its calls are about, or a file system that is mounted below the root.

    Each is asked by a thread of its own, which stays where no answer comes.
    """
    mounts = Mounts.now()
    below = [mount.point for mount in mounts.below(mounts.follow(work.root)) if mount.may_hang]
    asking: list[tuple[Path, threading.Thread]] = []
    for path in (work.path, *sorted(below)[:_MOST_ASKED]) if below else ():
        thread = threading.Thread(target=_ask, args=(path,), name=f"asks {path}", daemon=True)
        thread.start()
        asking.append((path, thread))
    until = time.monotonic() + _ASKED_FOR
    for _, thread in asking:
        thread.join(max(0.0, until - time.monotonic()))
    return next((path for path, thread in asking if thread.is_alive()), work.path)


def _ask(path: Path) -> None:
    with suppress(OSError):
        os.statvfs(path)  # Which is not answered from what the kernel remembers.


def activity_of(thread: int) -> str:
    """How often a thread of this process gave up its processor, and how long it ran (proc(5)); empty if unknown.

    While it waits in a system call, neither changes.
    """
    try:
        status = Path(f"/proc/self/task/{thread}/status").read_text(encoding="ascii", errors="replace")
        times = Path(f"/proc/self/task/{thread}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    switches = [line for line in status.splitlines() if line.startswith(("voluntary", "nonvoluntary"))]
    return " ".join([*switches, *times.rpartition(")")[2].split()[11:13]])
