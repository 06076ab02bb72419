"""One request, all the way: read in a worker process, assembled, published, and what came of it.

Reading needs no catalogue and publishing no reader, so they are two steps with a `Read` between them. Nothing here
touches the directories of a beamtime. Everything may be done twice: publishing makes sure of each step that it is still
needed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from scicat_watch.catalogue.availability import NO_ROOM, Availability
from scicat_watch.catalogue.patience import Postponed
from scicat_watch.catalogue.publisher import Published, Publisher, UpdatePolicy
from scicat_watch.clock import Clock
from scicat_watch.discovery.completeness import Ready
from scicat_watch.documents import Bundle
from scicat_watch.errors import (
    LoginUnanswered,
    NotLoggedIn,
    NotScicat,
    ReaderLost,
    Refused,
    ScicatWatchError,
    StorageHangs,
    Unavailable,
)
from scicat_watch.model import Beamtime, Extent, Fault, Outcome, Request, Stamps, Status
from scicat_watch.pipeline.assembly.assemble import Additions, assemble
from scicat_watch.pipeline.assembly.sources.catalogue import Lookups
from scicat_watch.pipeline.assembly.sources.source import Context
from scicat_watch.pipeline.handover import Reading, ReadJob
from scicat_watch.service.executors.executor import Executor, Running
from scicat_watch.words import why

log = logging.getLogger(__name__)

_TRIES = 3
"""How often a catalogue that answers may fail one scan before that counts as the scan's failure."""
_AGAIN = 0.5
"""Seconds before a scan is tried again that failed while the catalogue was well; they double."""


class _Unlucky(Exception):
    """The catalogue was back each time, and failed the same scan again."""


class Stopped(Exception):
    """The program is ending; nothing is known of the scan, and nothing is to be noted."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A scan whose reading has begun."""

    ready: Ready
    beamtime: Beamtime
    running: Running
    started: float


@dataclass(frozen=True, slots=True)
class Read:
    """A scan that has been read and is to be published."""

    under_way: UnderWay
    reading: Reading


class IngestSite(Protocol):
    """What ingesting needs of a site (`service.site`)."""

    executor: Executor
    publisher: Publisher
    policy: UpdatePolicy
    availability: Availability
    lookups: Lookups
    clock: Clock
    stopping: threading.Event
    catalogue_url: str

    def read_job(self, request: Request, beamtime: Beamtime) -> ReadJob:
        """What a reading process is to do for a request's scan."""


class Ingestor:
    """Ingests scans for one site; used by several threads."""

    def __init__(self, site: IngestSite, give_up_after: float | None = None) -> None:
        """`give_up_after`: seconds of an unavailable catalogue after which `Unavailable` is raised; None: never."""
        self._site = site
        self._give_up_after = give_up_after

    def start(
        self,
        ready: Ready,
        beamtime: Beamtime,
        takes_long: Callable[[], object] = lambda: None,
        *,
        suspect: bool = False,
    ) -> UnderWay:
        """Begin to read a scan, see `Executor`; `suspect`: it cost a reader before. `Stopped` when the program ends."""
        job = replace(self._site.read_job(ready.request, beamtime), suspect=suspect)
        try:
            running = self._site.executor.start(job, takes_long)
        except CancelledError:
            raise Stopped from None
        return UnderWay(ready, beamtime, running, self._site.clock.monotonic())

    def read(self, under_way: UnderWay) -> Read | Outcome:
        """Wait for what was read; the outcome if it could not be. `Stopped` when the program ends."""
        try:
            return Read(under_way, under_way.running.result())
        except CancelledError:
            raise Stopped from None
        except Exception as error:  # noqa: BLE001 - it must not cost the scans that come after this one.
            return self._failed(under_way, error)

    def publish(self, read: Read) -> Outcome:
        """Make the documents of a scan and publish them.

        Raises `Stopped` when the program ends, `Unavailable` when the catalogue was unavailable too long.
        """
        try:
            published, bundle = self._publish(read)
        except (Stopped, Unavailable):
            raise
        except _Unlucky as error:
            return self._failed(read.under_way, f"the catalogue accepts other scans, but fails at this one: {error}")
        except Exception as error:  # noqa: BLE001
            return self._failed(read.under_way, error)
        return self._outcome(read.under_way, published, bundle)

    def _publish(self, read: Read) -> tuple[Published, Bundle]:
        site, tries = self._site, 0
        limit: float | None = None
        while True:
            self._wait_for_catalogue(limit)
            seen = site.availability.successes
            try:
                done = self._publish_now(read)
            except NotLoggedIn as error:
                if self._give_up_after is not None:
                    raise  # Somebody is there to fix it.
                site.availability.met(error)
            except Unavailable as error:
                all_wait = site.availability.met(error)
                tries += self._blames_the_scan(error, all_wait, seen)
                if limit is None and self._give_up_after is not None and isinstance(error, NotScicat):
                    limit = site.clock.monotonic() + self._give_up_after
                # What is answered 500 while all is well will be answered so again.
                if tries == _TRIES or (error.status == 500 and not all_wait):
                    raise _Unlucky(str(error)) from error
                if not all_wait:
                    log.warning("%s: the catalogue is well, so it is tried again: %s", _pid(read), error)
                    site.clock.wait(_AGAIN * 2 ** (tries - 1), site.stopping)
            except Refused as refused:
                if refused.status is None:
                    site.availability.undecided()
                else:
                    site.availability.succeeded()
                raise
            except BaseException:
                site.availability.undecided()
                raise
            else:
                site.availability.succeeded()
                return done

    def _blames_the_scan(self, error: Unavailable, all_wait: bool, seen: int) -> bool:
        """Whether a failure counts against the scan; `seen`: how many successes there were before it was tried."""
        match error:
            case LoginUnanswered() | Postponed():
                return False
            case NotScicat():  # What is before SciCat fails all, unless others got through meanwhile.
                return self._site.availability.successes > seen
            case _:
                return not (all_wait and error.status == NO_ROOM)

    def _wait_for_catalogue(self, limit: float | None = None) -> None:
        """Return when the catalogue is available; `Stopped`, or `Unavailable` if it is given up.

        `limit`: until when it is waited for at most, by the monotonic clock; None: as long as usual.
        """
        site = self._site
        if limit is None and self._give_up_after is not None:
            limit = site.clock.monotonic() + self._give_up_after
        if site.availability.wait(limit):
            return
        if site.stopping.is_set():
            raise Stopped
        raise Unavailable(f"the catalogue at {site.catalogue_url} stayed unreachable: {site.availability.error}")

    def _publish_now(self, read: Read) -> tuple[Published, Bundle]:
        site = self._site
        context = Context(read.reading, read.under_way.beamtime, site.lookups, site.clock)
        bundle = assemble(context, additions=Additions(read.under_way.ready.comment)).documents()
        return site.publisher.publish(bundle, _policy(site.policy, read.under_way.ready.request)), bundle

    def _outcome(self, under_way: UnderWay, published: Published, bundle: Bundle) -> Outcome:
        now = self._site.clock.now().timestamp()
        refused = published.refused
        stamps = Stamps(
            dataset=now,
            datablock=-1.0 if "datablock" in refused else now,
            attachment=-1.0 if "attachment" in refused else now if bundle.attachments else 0.0,
        )
        status = Status.FAILED if refused else published.status
        reason = "; ".join(f"the {part} was refused: {error}" for part, error in refused.items())
        seconds = self._site.clock.monotonic() - under_way.started
        folder, notes = bundle.dataset.source_folder, (*bundle.notes, *published.left)
        return Outcome(under_way.ready.request, status, reason, stamps, notes, seconds, source_folder=folder)

    def _failed(self, under_way: UnderWay, error: Exception | str) -> Outcome:
        request, reason = under_way.ready.request, str(error)
        if not isinstance(error, ScicatWatchError | str):
            log.error("%s: a fault of scicat-watch", request.pid, exc_info=error)
            reason = f"a fault of scicat-watch: {type(error).__name__}: {why(error)}"
        seconds = self._site.clock.monotonic() - under_way.started
        return Outcome(request, Status.FAILED, reason, seconds=seconds, fault=_fault(error))


def _pid(read: Read) -> str:
    return read.under_way.ready.request.pid


def _fault(error: Exception | str) -> Fault:
    match error:
        case ReaderLost():
            return Fault.READER
        case StorageHangs():
            return Fault.STORAGE
        case _:
            return Fault.OTHER


def _policy(usual: UpdatePolicy, request: Request) -> UpdatePolicy:
    """The site's policy, with what the request asks for and allows."""
    parts: Literal["all", "files"] = "files" if request.update is Extent.FILES else usual.parts
    return replace(usual, parts=parts, moved_from=request.was_in)
