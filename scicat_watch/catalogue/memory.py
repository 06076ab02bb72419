"""What we wrote of a scan to a catalogue, as far as that is remembered: each write is noted before and after it.

So a process that was killed, or an answer that got lost, leaves three kinds of steps: done, begun, and not sent. What
is in the catalogue is found there by reading. Only where our account may not read what it wrote, or nobody wants to
ask, these notes decide alone; a step that was begun and not ended is in doubt then, and never done a second time.
That a step is done is kept together with the beginning of the next one, which halves what is written.

A memory keeps one text for each dataset; the service has it kept in the journal. It also keeps the late checks
(`LateCheck`): a write that was sent and not answered may arrive long after the state was read.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, Protocol

from scicat_watch.catalogue.baseline import Baseline, part_of
from scicat_watch.errors import CatalogueError, Refused
from scicat_watch.progress import LateCheck

_BASELINE = "baseline"
_UNSURE = "unsure"
Part = Literal["dataset", "origdatablock", "attachment"]


class Memory(Protocol):
    """Keeps texts by the ids of datasets; of one catalogue. Used by several threads, for one dataset by one."""

    def recall(self, pid: str) -> str:
        """What was remembered last of a dataset; empty for nothing."""

    def remember(self, pid: str, text: str) -> None:
        """Keep `text` in place of what was remembered of a dataset."""

    def late_check(self, wanted: LateCheck) -> None:
        """Keep a late check in place of the one of the same dataset."""

    def next_late_check(self) -> LateCheck | None:
        """The one that is due first; None if there is none."""

    def settled(self, pid: str) -> None:
        """A dataset needs no late check any more."""


class ShortMemory:
    """Remembers until the process ends."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._late_checks: dict[str, LateCheck] = {}

    def recall(self, pid: str) -> str:
        """See `Memory`."""
        return self._texts.get(pid, "")

    def remember(self, pid: str, text: str) -> None:
        """See `Memory`."""
        self._texts[pid] = text

    def late_check(self, wanted: LateCheck) -> None:
        """See `Memory`."""
        self._late_checks[wanted.pid] = wanted

    def next_late_check(self) -> LateCheck | None:
        """See `Memory`."""
        return min(list(self._late_checks.values()), key=lambda one: one.due, default=None)

    def settled(self, pid: str) -> None:
        """See `Memory`."""
        self._late_checks.pop(pid, None)


class Written:
    """The steps of writing one dataset: which are done, and which were begun. What is written goes by its `digest`."""

    def __init__(self, memory: Memory, pid: str) -> None:
        self._memory, self._pid = memory, pid
        self._text = memory.recall(pid)
        known = _known(self._text)
        self._steps = {step: sure for step, sure in known.items() if isinstance(sure, bool)}
        self.baseline = _baseline(known.get(_BASELINE))
        """What the dataset is compared with; None if nobody knows. Kept at the next step, or by `keep`."""
        self.unsure = known.get(_UNSURE) == 1
        """Whether a write to the dataset may still arrive; kept as `baseline` is."""

    @property
    def broken_off(self) -> bool:
        """Whether a write was begun of which no answer was ever noted."""
        return not all(self._steps.values())

    def any(self, part: Part) -> bool:
        """Whether a write of this part was ever begun."""
        return any(step.startswith(f"{part}:") for step in self._steps)

    def done(self, part: Part, content: str) -> bool | None:
        """Whether just this was written; None if that is in doubt."""
        known = self._steps.get(f"{part}:{content}", ...)
        return None if known is False else known is True

    def others(self, part: Part, contents: Iterable[str]) -> bool:
        """Whether a write of this part was begun that is none of these."""
        ours = {f"{part}:{content}" for content in contents}
        return any(step.startswith(f"{part}:") and step not in ours for step in self._steps)

    def holds(self, part: Part, contents: Iterable[str]) -> bool:
        """Whether just these, and nothing else of this part, were written, without any doubt."""
        known = {step: sure for step, sure in self._steps.items() if step.startswith(f"{part}:")}
        return known == {f"{part}:{content}": True for content in contents}

    @contextmanager
    def writing(self, part: Part, content: str) -> Iterator[None]:
        """Within it one write is made: of the whole part for a dataset, of one more for the others.

        That it began is kept before it; that it is done is kept at the next step, or by `keep`.
        """
        step, before = f"{part}:{content}", dict(self._steps)
        self._steps[step] = False
        self.keep()
        try:
            yield
        except CatalogueError as error:
            if isinstance(error, Refused) or not error.sent:
                self._steps = before
                self.keep()
            raise
        if part == "dataset":  # Until now, what it was before may still have been there.
            self._forget(part)
        self._steps[step] = True

    def agrees(self, parts: Mapping[Part, Iterable[str]]) -> None:
        """The catalogue was found, or made, to hold just this of these parts."""
        for part, contents in parts.items():
            self._forget(part)
            self._steps |= {f"{part}:{content}": True for content in contents}
        self.keep()

    def made(self, part_id: str) -> None:
        """A file list or thumbnail of this id is ours; kept at the next step, or by `keep`."""
        if part_id:
            baseline = self.baseline or Baseline()
            self.baseline = replace(baseline, parts=baseline.parts | {part_of(part_id)})

    def keep(self) -> None:
        """Keep all that is known by now."""
        known: dict[str, Any] = dict(self._steps)
        if self.baseline is not None:
            known[_BASELINE] = base64.b85encode(self.baseline.as_bytes()).decode("ascii")
        if self.unsure:
            known[_UNSURE] = 1
        text = json.dumps(known, separators=(",", ":"))
        if text != self._text:
            self._memory.remember(self._pid, text)
            self._text = text

    def _forget(self, part: Part) -> None:
        self._steps = {step: sure for step, sure in self._steps.items() if not step.startswith(f"{part}:")}


def is_written(text: str) -> bool:
    """Whether a dataset was written, as far as what is remembered of it says."""
    return any(step.startswith("dataset:") and sure is True for step, sure in _known(text).items())


def digest(content: Any) -> str:
    """What stands for a document in a memory."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _known(text: str) -> dict[str, Any]:
    try:
        known = json.loads(text) if text else {}
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


def _baseline(kept: Any) -> Baseline | None:
    try:
        return Baseline.from_bytes(base64.b85decode(kept)) if isinstance(kept, str) else None
    except ValueError:
        return None
