"""What the embedded catalogue has lost: datasets that were published to it before its file was removed or damaged.

The journal knows what was published, and a catalogue that is made anew remembers which of these it does not have. Only
that counts: what people remove from a catalogue is theirs to remove.
"""

from __future__ import annotations

from scicat_watch.catalogue.memory import is_written
from scicat_watch.embedded import database
from scicat_watch.ledger.journal import Journal
from scicat_watch.service.site import journal_to_read
from scicat_watch.settings.model import Settings
from scicat_watch.words import counted

_WHAT_TO_DO = (
    "stop the daemon and restore its backup; then, or without a backup, `scicat-watch ingest PATH` creates the rest "
    "again from the data, or `scicat-watch catalogue import FILE` from an export"
)


def published(settings: Settings) -> list[str]:
    """Ids of the datasets that the embedded catalogue had, as far as the journal knows."""
    journal = journal_to_read(settings)
    try:
        return _published(journal)
    finally:
        journal.close()


def lost(settings: Settings, journal: Journal) -> str:
    """What a person is to know of the embedded catalogue's file; empty if nothing is known to be lost."""
    if settings.catalogue.url is not None:
        return ""
    path = settings.serve_options().database
    if path.exists():
        count, what = database.lost(path), "is new"
    else:
        count, what = len(_published(journal)), "is not there"
    return said(str(path), what, count) if count else ""


def said(path: str, what: str, count: int) -> str:
    """What happened, and what a person can do."""
    datasets = counted(count, "dataset")
    before = f"{datasets} {'was' if count == 1 else 'were'} published to it before: {_WHAT_TO_DO}"
    return f"the catalogue's file {path} {what}, but {before}"


def _published(journal: Journal) -> list[str]:
    return [pid for pid, steps in journal.written("").all() if is_written(steps)]
