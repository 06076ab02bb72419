"""File events of Linux: one inotify instance with a watch on each directory and list that is known, and no more.

The instance and its thread are watchdog's `InotifyFD`, the layer below its observers: it reports a queue that
overflowed, reached limits and the end of a watch, which the observers hide, and it never lists a directory. It is not
documented as public, so watchdog is pinned below 8, and `tests/discovery/events` is what a newer one has to pass.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyEvent,
    InotifyFD,
    Mask,
    Watch,
    WatchCallback,
    WatchDescriptor,
    inotify_add_watch,
)
from watchdog.observers.inotify_c import InotifyConstants as In

from scicat_watch.discovery.events.source import Event, Gaps, Sink

log = logging.getLogger(__name__)

_DIRECTORY = Mask(
    In.IN_CREATE | In.IN_MOVED_TO | In.IN_MOVED_FROM | In.IN_DELETE | In.IN_CLOSE_WRITE
    | In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_ONLYDIR
)  # fmt: skip
_LIST = Mask(In.IN_MODIFY | In.IN_CLOSE_WRITE | In.IN_ATTRIB | In.IN_DELETE_SELF | In.IN_MOVE_SELF)
_GONE = In.IN_DELETE | In.IN_MOVED_FROM | In.IN_DELETE_SELF | In.IN_MOVE_SELF
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_LIMITS = (errno.ENOSPC, errno.EMFILE, errno.ENFILE)
_TRIES = 5  # To watch a path whose watch ends in that moment.
_END_WITHIN = 5.0
"""Seconds that `close` waits for a sink that does not return."""


class _Watch(NamedTuple):
    directory: Path
    is_list: bool
    """Whether it is on the list in the directory."""
    callback: CallbackId


class _Instance(InotifyFD):
    """An inotify instance that holds no lock while it asks a file system for a watch.

    The kernel's call does not return from a mount whose server is gone. `InotifyFD` makes it under the lock that its
    thread needs for each event, so one such mount would end the events of all others.
    """

    def __init__(self) -> None:
        super().__init__()
        self._asking = 0
        """How many threads ask the kernel for a watch."""
        self._ended: set[WatchDescriptor] = set()
        """Watches that ended while somebody asked for one: it may have got just that one."""
        self._to_be_closed = False

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        """See `InotifyFD`. Events from before this returns may be dropped; OSError, for EACCES as well."""
        for _ in range(_TRIES):
            with self._lock:
                if self._closed:
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                self._asking += 1
            descriptor = inotify_add_watch(self._inotify_fd, path, mask)
            number = ctypes.get_errno()
            with self._lock:
                ended = descriptor in self._ended
                self._asked()
                if descriptor == -1:
                    raise OSError(number, os.strerror(number))
                if not ended:
                    # Without the path, which watchdog keeps for its messages: of a large site it takes megabytes.
                    watch = self._watch_for_wd.setdefault(descriptor, Watch(descriptor, mask, b""))
                    watch.callbacks[id_] = callback
                    return descriptor
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def holds(self, descriptor: WatchDescriptor) -> bool:
        """Whether the watch is still there."""
        return descriptor in self._watch_for_wd

    def _asked(self) -> None:
        self._asking -= 1
        if not self._asking:
            self._ended.clear()
            if self._to_be_closed:
                super()._close_resources()

    def _remove_watch(self, wd: WatchDescriptor) -> Sequence[WatchCallback]:
        if self._asking:
            self._ended.add(wd)
        return super()._remove_watch(wd)

    def _close_resources(self) -> None:
        # Not while somebody is on the way into the kernel: the number could be that of another file by then.
        if self._asking:
            self._to_be_closed = True
        else:
            super()._close_resources()


class InotifySource:
    """An `EventSource`: passes the kernel's events to a sink, from a thread of its own."""

    reports_ours = True

    def __init__(self, sink: Sink) -> None:
        """OSError if no inotify instance is to be had."""
        self._sink = sink
        self._lock = threading.Lock()
        self._watched: dict[WatchDescriptor, _Watch] = {}
        self._unwatched: dict[Path, int] = {}
        """Paths that are there and could not be watched when it was last tried, each with the error's number."""
        self._limited = self._closed = False
        self._ids = itertools.count()
        self._inotify = _Instance()
        os.set_inheritable(self._inotify._inotify_fd, False)
        self._inotify.name = "file events"
        self._inotify.start()

    @property
    def incomplete(self) -> bool:
        """Whether changes may be missed: a limit is reached, a path cannot be watched, or the thread has ended.

        A path that this account may not read counts for nothing: a rescan could not read it either.
        """
        unwatched = any(number not in _FORBIDDEN for number in list(self._unwatched.values()))
        return unwatched or not self._inotify.is_alive()

    def gaps(self, root: Path) -> Gaps:
        """What is not reported of `root` and of what is below it; see `incomplete`."""
        if not self._inotify.is_alive():
            return Gaps("the file events have ended")
        below = [number for path, number in list(self._unwatched.items()) if path.is_relative_to(root)]
        numbers = [number for number in below if number not in _FORBIDDEN]
        if any(number in _LIMITS for number in numbers):
            return Gaps("the limit of inotify watches is reached (fs.inotify.max_user_watches)", len(numbers))
        return Gaps(f"it cannot be watched: {os.strerror(numbers[0])}", len(numbers)) if numbers else Gaps()

    def watch(self, directory: Path, name: str = "") -> None:
        """Report changes in a directory, or of the list of a `name` in it; see `EventSource`."""
        if self._closed:
            return
        number = CallbackId(next(self._ids))  # One of its own, because the instance warns of one that it knows.
        try:  # Without a lock: the file system may not answer.
            path = os.fsencode(f"{directory}/{name}" if name else directory)
            descriptor = self._inotify.add_callback(path, _LIST if name else _DIRECTORY, self, number)
        except OSError as error:
            with self._lock:
                self._failed(directory / name, error)
            return
        with self._lock:
            if self._unwatched:
                self._unwatched.pop(directory / name, None)
            before = self._watched.get(descriptor)
            self._watched[descriptor] = _Watch(directory, bool(name), number)
            if before is not None:
                self._inotify.remove_callbacks([(descriptor, before.callback)])
            if not self._inotify.holds(descriptor):
                del self._watched[descriptor]  # It ended meanwhile.

    def retry(self, root: Path) -> bool:
        """Whether there is room for another watch, where that was missing; asked without touching `root`."""
        unwatched = list(self._unwatched.items())
        if self._closed or not any(number in _LIMITS and path.is_relative_to(root) for path, number in unwatched):
            return False
        number = CallbackId(next(self._ids))
        try:
            descriptor = self._inotify.add_callback(os.fsencode(os.devnull), Mask(In.IN_DELETE_SELF), self, number)
        except OSError:
            return False
        self._inotify.remove_callbacks([(descriptor, number)])
        self._limited = False
        return True

    def unwatch(self, path: Path) -> None:
        """Report nothing more of the directory `path`; see `EventSource`."""
        if self._closed:
            return
        number = CallbackId(next(self._ids))
        try:  # The kernel gives the same descriptor for a directory that is watched; without a lock, as in `watch`.
            descriptor = self._inotify.add_callback(os.fsencode(path), _DIRECTORY, self, number)
        except OSError:
            return  # It is gone, and its watch with it; or it could not be watched either.
        with self._lock:
            before = self._watched.pop(descriptor, None)
            if self._inotify.holds(descriptor):
                known = [] if before is None else [(descriptor, before.callback)]
                self._inotify.remove_callbacks([*known, (descriptor, number)])

    def close(self) -> None:
        """Report nothing more, end the thread and close all descriptors.

        A watch that a file system which does not answer holds up keeps them open until it is answered.
        """
        with self._lock:
            self._closed = True
        self._inotify.stop()
        self._inotify.join(_END_WITHIN)

    def on_event(self, event: InotifyEvent) -> None:
        """Pass an event on; called by the instance, in its thread."""
        name = os.fsdecode(event.name)
        with self._lock:
            watch = self._watched.get(event.wd)
            if watch is None:
                return
            if event.is_move_self:
                # Under its new name it is found and watched anew; events under the old one would mislead.
                del self._watched[event.wd]
                self._inotify.remove_callbacks([(event.wd, watch.callback)])
            if event.mask & _GONE and not watch.is_list:
                for path in [path for path in self._unwatched if path.is_relative_to(watch.directory / name)]:
                    del self._unwatched[path]
        if event.mask & In.IN_UNMOUNT:
            self._report(Event(watch.directory, unmounted=True))
        elif watch.is_list:
            self._report(Event(watch.directory))
        else:
            is_directory = bool(name) and bool(event.mask & In.IN_ISDIR)
            self._report(Event(watch.directory, name, is_directory, event.is_close_write))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Forget a watch that the kernel ended; called by the instance."""
        with self._lock:
            self._watched.pop(wd, None)

    def on_queue_overflow(self) -> None:
        """Report that events were lost; called by the instance, in its thread."""
        log.warning("file events were lost, because more came than fs.inotify.max_queued_events: full rescan")
        self._report(Event(None))

    def _report(self, event: Event) -> None:
        try:
            self._sink(event)
        except Exception:
            log.exception("a file event could not be passed on; the next rescan finds what it was about")

    def _failed(self, path: Path, error: OSError) -> None:
        if self._closed:
            return
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            self._unwatched.pop(path, None)
            return
        known = path in self._unwatched
        self._unwatched[path] = error.errno or 0
        if error.errno in _LIMITS and not self._limited:
            self._limited = True
            log.warning(
                "%s: cannot be watched: the limit of inotify watches is reached (fs.inotify.max_user_watches); "
                "directories are rescanned at the poll interval instead", path,
            )  # fmt: skip
        elif error.errno not in _LIMITS and not known:
            # What may not be read is a problem that the next rescan reports.
            level = logging.DEBUG if error.errno in _FORBIDDEN else logging.WARNING
            log.log(level, "%s: cannot be watched: %s; rescans find what changes there", path, error.strerror)
