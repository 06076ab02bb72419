"""Documents that people prepared, posted to the catalogue as records of a model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scicat_watch.catalogue.records import Posted
from scicat_watch.clock import SystemClock
from scicat_watch.errors import Refused, ScicatWatchError
from scicat_watch.model import Status
from scicat_watch.service.site import open_catalogue
from scicat_watch.service.transfer import documents_in
from scicat_watch.settings.model import Settings
from scicat_watch.words import why


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one document."""

    name: str
    """The record's id; or its file and place there, if it has none."""
    status: str
    detail: str
    good: bool
    """Whether the catalogue holds what the document says."""


def posted(settings: Settings, model: str, files: Sequence[Path], *, update: bool) -> Iterator[Row]:
    """Post all documents of these files; one that fails costs only itself.

    `ScicatWatchError` before anything is posted if a file cannot be read, `Unavailable` if the catalogue does not come
    back.
    """
    documents = [(f"{file}[{number}]", one) for file in files for number, one in enumerate(_read(file))]
    with open_catalogue(settings, threading.Event(), SystemClock()) as catalogue:
        for place, document in documents:
            try:
                made = catalogue.records.post(model, document, update=update)
            except Refused as refused:
                yield Row(place, Status.FAILED, str(refused), good=False)
            else:
                yield Row(made.key or place, made.status, _detail(made), good=not made.differs)


def _detail(made: Posted) -> str:
    if made.nameless:
        return "the document has no id: posted again, it makes another record"
    return f"differs in {', '.join(made.differs)}; --update writes them" if made.differs else ""


def _read(file: Path) -> list[Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScicatWatchError(f"{file}: cannot be read: {why(error)}") from None
    return list(documents_in(text, str(file)))
