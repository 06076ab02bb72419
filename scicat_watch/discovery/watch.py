"""One beamtime under watch: which scans are there, and which of them are complete and can be read.

`BeamtimeWatch.step` is called with hints (what events named) or without (a look at everything), and
tells the scans that have become ready since. A scan is handed out once; whoever took it says with
`again` that it is to come once more, or with `forget` that it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.discovery import superblock
from scicat_watch.discovery.datasetlist import DatasetList
from scicat_watch.discovery.pending import Pending, Ready, ScanKey, Waiting, key_of
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.superblock import Signature
from scicat_watch.discovery.tree import Node, Tree
from scicat_watch.model import BadLine, Beamtime, ListEntry, Scan, line_of_found


@dataclass(frozen=True, slots=True)
class Hints:
    """What events said since the last step."""

    directories: frozenset[Path] = frozenset()
    """Directories in which names came or went, or whose list changed."""
    files: frozenset[Path] = frozenset()
    """Data files that were closed after writing."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one step found."""

    ready: tuple[Ready, ...]
    """Scans that are complete, in the order of their lists."""
    missed: tuple[Path, ...] = ()
    """Directories that had changed without an event, seen in a look at everything."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a watch asks about the past; the ledger's knowledge, brought by the caller."""

    wanted: Callable[[Scan], bool]
    """Whether a scan is still to be ingested."""
    begun: Callable[[Scan], bool] = lambda scan: False
    """Whether a scan has begun to be ingested as a found one of the beamtime directory, or was: it stays one."""
    changed: Callable[[Scan, Signature], bool] = lambda scan, signature: False
    """Whether a found file that was ingested looks different from then."""


class BeamtimeWatch:
    """Keeps watch over one beamtime directory. Not thread-safe: one thread steps it."""

    def __init__(
        self,
        beamtime: Beamtime,
        rules: WatchRules,
        host: str,
        ledger: Ledger,
        entered: Callable[[Path], None] = lambda path: None,
        *,
        patient: bool = True,
        within: Path | None = None,
    ) -> None:
        """`entered` is told each directory and list before it is read; `patient`: see `Pending`, `within`: `Tree`."""
        self.beamtime = beamtime
        self.list_name = rules.list_name(beamtime.id, host)
        self.tree = Tree(beamtime.directory, self.list_name, rules, within)
        self._rules, self._ledger, self._entered = rules, ledger, entered
        self._longest_line = rules.longest_line
        self._lists: dict[Path, DatasetList] = {}
        self._pending = Pending(rules, (beamtime.directory,), self.list_name, patient=patient)
        self._handed: set[ScanKey] = set()
        self._found_as: dict[Path, Scan] = {}
        self._listed_before: set[Path] = set()
        self._troubled: dict[Path, str] = {}

    def step(self, now: float, hints: Hints | None) -> Findings:
        """Look where `hints` say, or everywhere (None), and at the pending scans that are due at `now`."""
        known = {path: node.signature for path, node in self.tree.nodes.items()} if hints is None else {}
        listed = self.tree.refresh(now, None if hints is None else hints.directories, self._entered)
        if self._rules.trigger != "files":
            self._forget_lists()
            for path in self._list_paths(hints, listed):
                self._look_at_list(path, now, everywhere=hints is None)
        if self._rules.trigger != "lists":
            for node in listed:
                self._look_at_files_of(node, now)
        for file in hints.files if hints else ():
            self._look_at_closed(file, now)
        ready = tuple(self._pending.take_ready(now))
        self._handed |= {key_of(one.scan) for one in ready}
        missed = tuple(node.path for node in listed if known.get(node.path, node.signature) != node.signature)
        return Findings(ready, missed)

    def offer(self, file: Path, now: float) -> None:
        """Take a data file for a scan of its own, whatever its name and directory; call `step` first."""
        self._offer(scan_of_file(self.beamtime.id, self.tree.scan_directory(file.parent), file), now, None)

    def again(self, scan: Scan, at: float) -> None:
        """A scan that was handed out is to be looked at once more, not before the monotonic time `at`."""
        self._handed.discard(key_of(scan))
        self._pending.admit(scan, at, due=at)

    def forget(self, scan: Scan) -> None:
        """A scan that was handed out is done with."""
        self._handed.discard(key_of(scan))
        if not scan.listed:
            self._found_as.pop(scan.place, None)

    def next_look(self) -> float | None:
        """Monotonic time at which a pending scan may have become ready; None if none is pending."""
        return self._pending.next_due()

    def waiting(self) -> Iterator[Waiting]:
        """The scans that are not complete yet."""
        return self._pending.waiting()

    def bad_lines(self) -> Iterator[tuple[Path, BadLine]]:
        """The lines that cannot be used, each with its list."""
        return ((path, line) for path, known in self._lists.items() for line in known.bad)

    def scan_directories(self) -> list[Path]:
        """The directories that name scans: the beamtime directory, and those with a list."""
        found = {node.path for node in self.tree.nodes.values() if node.has_list}
        return sorted(found | {self.beamtime.directory})

    def problems(self) -> list[str]:
        """Directories and lists that cannot be read, for people."""
        nodes = [node.problem for node in self.tree.nodes.values() if node.problem]
        lists = [known.problem for known in self._lists.values() if known.problem]
        return nodes + lists + list(self._troubled.values())

    def _forget_lists(self) -> None:
        """A list that went is read from the start when it comes back: it may be another one."""
        nodes = self.tree.nodes
        for path in [path for path in self._lists if path.parent not in nodes or not nodes[path.parent].has_list]:
            del self._lists[path]

    def _list_paths(self, hints: Hints | None, listed: list[Node]) -> list[Path]:
        """The lists to look at; of directories that are new as well, before their files are taken for found ones."""
        nodes = self.tree.nodes
        hinted = {path for path in hints.directories if path in nodes} if hints else set()
        where = nodes.keys() if hints is None else hinted | {node.path for node in listed}
        return sorted(path / self.list_name for path in where if nodes[path].has_list)

    def _look_at_list(self, path: Path, now: float, *, everywhere: bool) -> None:
        if path not in self._lists:
            self._lists[path] = DatasetList(path, self._longest_line)
        self._entered(path)
        known = self._lists[path]
        if known.refresh(self.beamtime.directory):
            claims = known.claims
            # First what the list speaks for now goes, then its lines come: a found file may have the key of a line.
            self._pending.keep_listed(
                path.parent, {entry.line for entry in known.entries}, lambda scan: self._claimed(scan, claims)
            )
        elif not everywhere:
            return
        # What was open at the last look is offered again, so that nothing depends on a scan's being handed on.
        offered = [(entry, self._scan_of(path.parent, entry)) for entry in known.open]
        try:
            known.open = [entry for entry, scan in offered if self._offer(scan, now, known.changed_at)]
        except OSError as error:
            known.unread(f"what was ingested cannot be told: {error}")

    def _look_at_files_of(self, node: Node, now: float) -> None:
        """As `_look_at_files`; if the ledger cannot be read there, the directory is looked at again next time."""
        self._troubled.pop(node.path, None)
        try:
            self._look_at_files(node, now)
        except OSError as error:
            self._troubled[node.path] = f"{node.path}: what was ingested cannot be told: {error}"
            self.tree.look_again(node.path)

    def _look_at_files(self, node: Node, now: float) -> None:
        first = node.path not in self._listed_before
        claims = self._claims_on(node.path)
        for file in node.data:
            scan = self._found(file)
            if not self._claimed(scan, claims) and not self._offer(scan, now, None) and first:
                self._offer_if_changed(scan, file, now)
        self._listed_before.add(node.path)

    def _look_at_closed(self, file: Path, now: float) -> None:
        self._pending.hurry(file, now)
        node = self.tree.nodes.get(file.parent)
        if self._rules.trigger == "lists" or node is None or file not in node.data:
            return
        scan = self._found(file)
        if not self._claimed(scan, self._claims_on(file.parent)):
            self._offer_if_changed(scan, file, now)

    def _claims_on(self, directory: Path) -> set[Path]:
        known = self._lists.get(self.tree.scan_directory(directory) / self.list_name)
        return known.claims if known is not None else set()

    def _claimed(self, scan: Scan, claims: set[Path]) -> bool:
        """Whether a list speaks for a found scan; not if its ingestion has begun, which is to end as it began."""
        return scan.place in claims and not self._ledger.begun(scan)

    def _found(self, file: Path) -> Scan:
        """The scan of a file that no list names; as it is under way already, if a list came or went meanwhile."""
        known = self._found_as.get(file.with_name(file.name.rpartition(".")[0]))
        if known is not None and self._is_under_way(known):
            return known
        scan = scan_of_file(self.beamtime.id, self.tree.scan_directory(file.parent), file)
        if scan.directory != self.beamtime.directory and self._ledger.begun(scan):
            return scan_of_file(self.beamtime.id, self.beamtime.directory, file)
        return scan

    def _offer(self, scan: Scan, now: float, changed_at: float | None) -> bool:
        """Make a scan pending if it is wanted; whether it is under way."""
        if self._is_under_way(scan):
            return True
        if not self._ledger.wanted(scan):
            return False
        if not scan.listed:
            self._found_as[scan.place] = scan
        self._pending.admit(scan, now, changed_at)
        return True

    def _is_under_way(self, scan: Scan) -> bool:
        key = key_of(scan)
        return key in self._handed or key in self._pending

    def _offer_if_changed(self, scan: Scan, file: Path, now: float) -> None:
        if self._is_under_way(scan):
            return
        try:
            looks = superblock.signature(file.stat())
        except OSError:
            return  # Gone again; if it comes back it is found again.
        if self._ledger.changed(scan, looks):
            self._pending.admit(scan, now)

    def _scan_of(self, directory: Path, entry: ListEntry) -> Scan:
        return Scan(
            beamtime=self.beamtime.id,
            place=directory / entry.name,
            directory=directory,
            line=entry.line,
            stem=entry.stem,
            entry=entry.entry,
            extras=entry.extras,
            again=entry.again is not None or bool(entry.entry),
        )


def scan_of_file(beamtime: str, directory: Path, file: Path) -> Scan:
    """The scan of a data file that no list names, in the scan directory `directory`."""
    place = file.with_name(file.name.rpartition(".")[0])
    name = place.relative_to(directory).as_posix()
    return Scan(beamtime, place, directory, line_of_found(name), name, master=file, listed=False)
