"""Brings one scan into SciCat, but leaves a dataset that is there already as it is: only a missing file list is added.

Every write first makes sure that it is still needed, so that an earlier run that broke off is completed, and several
processes may publish the same scan side by side.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scicat_watch.catalogue.publisher import Published, UpdatePolicy
from scicat_watch.catalogue.scicat.api import AlreadyThere, ScicatApi
from scicat_watch.catalogue.scicat.parts import folder, groups, part
from scicat_watch.clock import Clock
from scicat_watch.documents import Dataset, OrigDatablock
from scicat_watch.errors import CatalogueError, Refused
from scicat_watch.model import Status

log = logging.getLogger(__name__)

SOMEBODY_ELSE = 3.0
"""Seconds after which a dataset without a file list is asked for again: another process may be about to add it."""


def find(dataset: Dataset, policy: UpdatePolicy, api: ScicatApi) -> Mapping[str, Any] | None:
    """The stored dataset that `policy` takes for this one; None if there is none, or SciCat refuses to say."""
    if policy.find_by_pid and dataset.pid:
        try:
            if stored := api.dataset(dataset.pid):
                return stored
        except Refused as refused:
            # Posting will show it: a pid that is taken is refused.
            log.warning("whether dataset %s exists is not known: %s", dataset.pid, refused)
    entry = policy.find_by_metadata
    known = dataset.fields.get("scientificMetadata", {}).get(entry) if entry else None
    value = known.get("value") if isinstance(known, Mapping) else None
    if value is not None:
        try:
            return api.dataset_with(entry, value)
        except Refused as refused:
            log.warning("whether a dataset with %s %s exists is not known: %s", entry, value, refused)
    return None


@dataclass(frozen=True, slots=True)
class Completion:
    """One scan to be published; `clock` and `stopping` are for the wait for another process."""

    dataset: Dataset
    blocks: tuple[OrigDatablock, ...]
    api: ScicatApi
    clock: Clock
    stopping: threading.Event

    def publish(self, policy: UpdatePolicy) -> Published:
        """Create the dataset with its file lists, or add the file lists that a stored one lacks.

        Raises `Refused` if the dataset was refused, `Unavailable` as it comes.
        """
        stored = find(self.dataset, policy, self.api)
        if stored is None:
            try:
                full_pid = self.api.create_dataset(self.dataset)
            except AlreadyThere:
                try:
                    stored = self.api.dataset(self.dataset.pid) or {}
                except Refused as refused:
                    # It exists, and is not ours to complete.
                    log.warning("dataset %s exists already; what it holds is not known: %s", self.dataset.pid, refused)
                    return Published(self.api.full_pid(self.dataset.pid), Status.UNCHANGED)
            else:
                return self._add(full_pid, self.dataset.pid or self.api.document_pid(full_pid), Status.CREATED)
        return self._complete(stored)

    def _complete(self, stored: Mapping[str, Any]) -> Published:
        full_pid = str(stored.get("pid") or self.dataset.pid)
        pid, there = self.api.document_pid(full_pid), f"dataset {full_pid} exists already"
        if folder(stored.get("sourceFolder")) != folder(self.dataset.source_folder):
            log.warning("%s; it is left as it is", there)
            return Published(full_pid, Status.UNCHANGED)
        try:
            missing = not self.api.datablocks(pid)
            if missing:
                self.clock.wait(SOMEBODY_ELSE, self.stopping)
                missing = not self.api.datablocks(pid)
        except CatalogueError as error:
            log.warning("%s; whether its file list is there is not known: %s", there, error)
            return Published(full_pid, Status.UNCHANGED)
        if not missing:
            log.warning("%s; it is left as it is", there)
            return Published(full_pid, Status.UNCHANGED, Status.UNCHANGED)
        return self._add(full_pid, pid, Status.UPDATED)

    def _add(self, full_pid: str, pid: str, status: Status) -> Published:
        """Add the file lists to a dataset that has none; `status` is what became of the dataset."""
        if not pid:
            raise Refused("the catalogue's answer to the new dataset names no pid, so its file list cannot be added")
        log.info("%s dataset %s", status, full_pid)
        refused: dict[str, Refused] = {}
        datablock = part("datablock", full_pid, lambda: self._blocks_added(pid), refused)
        return Published(full_pid, status, datablock, refused=refused)

    def _blocks_added(self, pid: str) -> Status | None:
        for block in self.blocks:
            self.api.add_datablock(pid, block, groups(self.dataset))
        return Status.CREATED if self.blocks else None
