"""Whole catalogues as JSON lines, and from one catalogue to another: each line is one record, all is safe to repeat.

A line is `{"model": "Proposals", "document": {…}}` for instruments, proposals and samples, and the one JSON form of a
bundle for a dataset with its file lists and thumbnails; with `links` where it refers to other records (see there).
"""

from __future__ import annotations

import json
import logging
import threading
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from scicat_watch.catalogue.patience import Patience
from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.catalogue.records import Records
from scicat_watch.documents import Attachment, Bundle, Dataset
from scicat_watch.errors import AssemblyError, Refused, ScicatWatchError, Unavailable
from scicat_watch.model import Status
from scicat_watch.service import links
from scicat_watch.service.links import Names
from scicat_watch.service.site import OpenCatalogue
from scicat_watch.words import why

log = logging.getLogger(__name__)

MODELS = ("Instruments", "Proposals", "Samples")
"""What datasets refer to, and is carried before them."""


@dataclass(slots=True)
class Summary:
    """What became of the records."""

    counts: dict[Status, int] = field(default_factory=lambda: dict.fromkeys(Status, 0))
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Ids, or numbers of lines, each with the reason."""
    unreachable: str = ""
    """Why a catalogue does not answer any more, so that the rest was not tried."""

    @property
    def done(self) -> int:
        """How many records were tried."""
        return sum(self.counts.values())


class Export:
    """A catalogue as lines."""

    def __init__(self, records: Records, generated: str = "") -> None:
        """Reads all but the datasets; `generated`: the prefix of the ids that the catalogue gives itself."""
        self._records = records
        self._others = [(model, document) for model in MODELS for document in records.all_of(model)]
        self._instruments = {
            str(one["pid"]): str(one["uniqueName"])
            for model, one in self._others
            if model == "Instruments" and one.get("pid") and one.get("uniqueName")
        }
        self._pids = list(records.pids())
        self._names = Names(self._pids, (records.full_pid(""), generated))

    @property
    def total(self) -> int:
        """How many records there are."""
        return len(self._others) + len(self._pids)

    def lines(self) -> Iterator[str]:
        """The lines, without their ends; a dataset that is removed meanwhile is left out."""
        for model, document in self._others:
            made_here = {"pid"} if model == "Instruments" else set()
            kept = {name: value for name, value in document.items() if name not in made_here}
            yield self._line({"model": model, "document": kept}, kept)
        for pid in self._pids:
            bundle = self._records.bundle(pid)
            if bundle is not None:
                dataset = dict(bundle["dataset"]) | {"pid": self._names.of(pid)}
                yield self._line({**bundle, "dataset": dataset}, dataset)

    def _line(self, line: dict[str, Any], document: Mapping[str, Any]) -> str:
        found = links.links_of(document, self._names, self._instruments)
        return json.dumps(line | ({"links": found} if found else {}), ensure_ascii=False)


def imported(
    lines: Iterable[str | bytes],
    target: OpenCatalogue,
    policy: UpdatePolicy,
    patient: Patience,
    done: Callable[[Summary], None],
    connections: int,
    stopping: threading.Event,
) -> Summary:
    """Bring the records of these lines into a catalogue; `done` is called after each one.

    Over `connections` side by side, but other models before the datasets that come after them, and records of one id
    one after the other. One that fails costs only itself; if a catalogue does not come back, the rest is left for the
    next time. `patient` publishes datasets; `stopping`, which ends its waiting, is set if this is interrupted.
    """
    arrival = _Arrival(target, policy, patient)
    with ThreadPoolExecutor(connections) as pool:
        under_way = _UnderWay(done, 2 * connections - 1)
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    _begin(line, number, lambda known: pool.submit(arrival.bring, known), under_way)
            under_way.wait(0)
        except Unavailable as error:
            under_way.give_up()
            under_way.summary.unreachable = str(error)
        except BaseException:
            stopping.set()
            under_way.cancel()
            raise
    return under_way.summary


def _begin(
    line: str | bytes, number: int, bring: Callable[[Mapping[str, Any]], Future[Status]], under_way: _UnderWay
) -> None:
    """Begin to bring the record of a line; other models are brought before anything else goes on."""
    try:
        known = _parsed(line)
    except AssemblyError as error:
        under_way.ended((number, f"line {number}"), error)
        return
    name = _name(known) or f"line {number}"
    if "model" in known or under_way.has(name):
        under_way.wait(0)
    under_way.add((number, name), bring(known))
    under_way.wait(0 if "model" in known else under_way.most)


_Line = tuple[int, str]
"""The number of a line, and what it is called."""


class _UnderWay:
    """Records that are on their way, `most` of them at a time, and what became of those before."""

    def __init__(self, done: Callable[[Summary], None], most: int) -> None:
        self.summary, self.most = Summary(), most
        self._done = done
        self._futures: dict[Future[Status], _Line] = {}
        self._failed: list[_Line] = []

    def has(self, name: str) -> bool:
        """Whether one of this name is under way."""
        return any(name == other for _, other in self._futures.values())

    def add(self, line: _Line, future: Future[Status]) -> None:
        """One more is under way."""
        self._futures[future] = line

    def wait(self, most: int) -> None:
        """Return when at most so many are under way; raises what costs more than one record."""
        while len(self._futures) > most:
            for future in wait(self._futures, return_when=FIRST_COMPLETED).done:
                self._conclude(future)

    def give_up(self) -> None:
        """Begin nothing more, and wait for what is being sent."""
        self.cancel()
        for future in list(self._futures):
            with suppress(Unavailable, CancelledError):
                self._conclude(future)

    def cancel(self) -> None:
        """Begin nothing more."""
        for future in self._futures:
            future.cancel()

    def ended(self, line: _Line, what: Status | Exception) -> None:
        """A record is there, or failed; failures are in the order of the lines."""
        status = what if isinstance(what, Status) else Status.FAILED
        self.summary.counts[status] += 1
        if not isinstance(what, Status):
            insort(self._failed, line)
            self.summary.failures.insert(self._failed.index(line), (line[1], str(what)))
        self._done(self.summary)

    def _conclude(self, future: Future[Status]) -> None:
        line = self._futures.pop(future)
        try:
            self.ended(line, future.result())
        except (Refused, AssemblyError) as error:
            self.ended(line, error)


def _parsed(line: str | bytes) -> Mapping[str, Any]:
    try:
        text = line if isinstance(line, str) else line.decode("utf-8")
        known = json.loads(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"))
    except UnicodeDecodeError as error:
        raise AssemblyError(f"it is not UTF-8: {error.reason} at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise AssemblyError(f"it is not JSON: {error}") from None
    if not isinstance(known, dict) or not ({"dataset"} <= known.keys() or {"model", "document"} <= known.keys()):
        raise AssemblyError("it is neither a dataset nor a record with its model")
    return known


def _name(known: Mapping[str, Any]) -> str:
    document = known.get("dataset") or known.get("document")
    fields = document if isinstance(document, Mapping) else {}
    return next((str(fields[key]) for key in ("pid", "proposalId", "sampleId", "uniqueName") if fields.get(key)), "")


class _Arrival:
    """How lines become records of the target."""

    def __init__(self, target: OpenCatalogue, policy: UpdatePolicy, patient: Patience) -> None:
        self._target, self._policy, self._patient = target, policy, patient
        self._instruments: dict[str, str] = {}
        """Their ids there, by unique name; empty where there is none."""

    def bring(self, known: Mapping[str, Any]) -> Status:
        """Bring the record of a line there."""
        others = {name: value for name, value in known.items() if name != "links"}
        to_follow = known.get("links", {})
        if "model" in known:
            model, document = str(known["model"]), known["document"]
            if not isinstance(document, Mapping):
                raise AssemblyError("its document is not an object")
            posted = self._target.records.post(model, links.redirected(document, to_follow, self._follow), update=False)
            if model == "Instruments" and document.get("uniqueName"):
                self._instruments[str(document["uniqueName"])] = posted.key
            return posted.status
        bundle = bundle_of(others)
        fields = links.redirected(bundle.dataset.fields, to_follow, self._follow)
        fields["pid"] = self._target.records.document_pid(str(fields["pid"]))
        whole = Bundle(Dataset(fields), bundle.datablocks, bundle.attachments)
        published = self._patient(lambda: self._target.publisher.publish(whole, self._policy))
        if published.refused:
            raise Refused("; ".join(f"the {part} was refused: {why}" for part, why in published.refused.items()))
        return published.status

    def _follow(self, kind: str, name: str) -> str | None:
        """The id that a record of this name has there."""
        if kind == links.DATASETS:
            return self._target.records.full_pid(self._target.records.document_pid(name))
        if name not in self._instruments:
            self._instruments[name] = self._target.records.find("Instruments", name)
            if not self._instruments[name]:
                log.warning("there is no instrument %r at %s: records that name it go without", name, self._target.url)
        return self._instruments[name] or None


def bundle_of(known: Mapping[str, Any]) -> Bundle:
    """The bundle of a line; its thumbnails may be of any kind."""
    thumbnails = known.get("attachments", [])
    without = {name: value for name, value in known.items() if name != "attachments"}
    bundle = Bundle.from_json(without)
    if missing := [name for name in ("pid", "ownerGroup", "sourceFolder") if not bundle.dataset.fields.get(name)]:
        raise AssemblyError(f"its dataset has no {' and no '.join(missing)}")
    try:
        carried = tuple(Attachment.carried(str(one["thumbnail"]), str(one.get("caption", ""))) for one in thumbnails)
    except (TypeError, KeyError, AttributeError):
        raise AssemblyError("its attachments are no list of thumbnails with captions") from None
    return Bundle(bundle.dataset, bundle.datablocks, carried)


def documents_in(text: str, name: str) -> list[Mapping[str, Any]]:
    """The documents of a JSON or YAML file: one, or a list of them. `ScicatWatchError` for anything else."""
    import yaml

    try:
        found = json.loads(text) if name.lower().endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ScicatWatchError(f"{name}: cannot be read: {why(error)}") from None
    several = found if isinstance(found, list) else [found]
    if not several or not all(isinstance(one, dict) for one in several):
        raise ScicatWatchError(f"{name}: holds no document, nor a list of documents")
    return several
