"""Whole catalogues as JSON lines, and from one catalogue to another: each line is one record, all is safe to repeat.

A line is `{"model": "Proposals", "document": {…}}` for instruments, proposals and samples, and the one JSON form of a
bundle for a dataset with its file lists and thumbnails.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scicat_watch.catalogue import patience
from scicat_watch.catalogue.publisher import UpdatePolicy
from scicat_watch.catalogue.records import Records
from scicat_watch.clock import Clock
from scicat_watch.documents import Attachment, Bundle
from scicat_watch.errors import AssemblyError, Refused, ScicatWatchError
from scicat_watch.model import Status
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


def exported(records: Records) -> Iterator[str]:
    """The lines of a catalogue, without their ends."""
    for model in MODELS:
        for document in records.all_of(model):
            yield json.dumps({"model": model, "document": document}, ensure_ascii=False)
    for bundle in records.datasets():
        yield json.dumps(bundle, ensure_ascii=False)


def imported(
    lines: Iterable[str], target: OpenCatalogue, policy: UpdatePolicy, clock: Clock, done: Callable[[Summary], None]
) -> Summary:
    """Bring the records of these lines into a catalogue; `done` is called after each one.

    One that fails costs only itself. Raises `Unavailable` if the catalogue does not come back.
    """
    summary = Summary()
    patient = patience.few_tries(clock, threading.Event())
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name = f"line {number}"
        try:
            known = _line(line)
            name = _name(known) or name
            status = patient(lambda known=known: _brought(known, target, policy))  # type: ignore[misc]
            summary.counts[status] += 1
        except (Refused, AssemblyError) as error:
            summary.counts[Status.FAILED] += 1
            summary.failures.append((name, str(error)))
        done(summary)
    return summary


def _line(line: str) -> Mapping[str, Any]:
    try:
        known = json.loads(line)
    except ValueError as error:
        raise AssemblyError(f"it is not JSON: {error}") from None
    if not isinstance(known, dict) or not ({"dataset"} <= known.keys() or {"model", "document"} <= known.keys()):
        raise AssemblyError("it is neither a dataset nor a record with its model")
    return known


def _name(known: Mapping[str, Any]) -> str:
    document = known.get("dataset") or known.get("document")
    fields = document if isinstance(document, Mapping) else {}
    return next((str(fields[key]) for key in ("pid", "proposalId", "sampleId", "uniqueName") if fields.get(key)), "")


def _brought(known: Mapping[str, Any], target: OpenCatalogue, policy: UpdatePolicy) -> Status:
    if "model" in known:
        return target.records.post(str(known["model"]), known["document"], update=False).status
    published = target.publisher.publish(bundle_of(known), policy)
    if published.refused:
        raise Refused("; ".join(f"the {part} was refused: {why}" for part, why in published.refused.items()))
    return published.status


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
