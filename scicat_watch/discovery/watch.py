"""One beamtime under watch: which scans are there, and which of them are complete and can be read.

`BeamtimeWatch.step` is called with hints (what events named) or without (a full rescan), and returns the requests
whose scans have become ready since. A request is handed out once; whoever took it says with `again` that it is to
come once more, or with `forget` that it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.discovery.completeness import WITHOUT_FILES, Ready, find_master
from scicat_watch.discovery.datasetlist import DatasetList
from scicat_watch.discovery.lines import MANY, LinesWithoutFiles
from scicat_watch.discovery.past import DoneFiles, Ledger
from scicat_watch.discovery.pending import Pending, Waiting
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.tree import DirectoryNode, Entered, Tree, age, in_order, unwatched
from scicat_watch.model import BadLine, Beamtime, FileState, ListEntry, Origin, Request, RequestKey, stem_of
from scicat_watch.words import why

_LIVE_FOR = 900.0
"""Seconds for which a directory counts as live after a change."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What events said since the last step."""

    directories: frozenset[Path] = frozenset()
    """Directories in which names came or went, or whose list changed."""
    files: frozenset[Path] = frozenset()
    """Data files that were closed after writing."""
    turn: frozenset[Path] = frozenset()
    """Directories of which nothing was said and whose turn it is: rescanned if they have changed."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one step found."""

    ready: tuple[Ready, ...]
    """Requests whose scans are complete, in the order of their lists."""
    missed: tuple[Path, ...] = ()
    """Directories that had changed without an event, seen in a full rescan."""


class BeamtimeWatch:
    """Keeps watch over one beamtime directory. Not thread-safe: one thread steps it."""

    def __init__(
        self,
        beamtime: Beamtime,
        rules: WatchRules,
        host: str,
        ledger: Ledger,
        entered: Entered = unwatched,
        left: Callable[[Path], None] = lambda path: None,
        *,
        patient: bool = True,
        within: tuple[Path, ...] = (),
    ) -> None:
        """`left` is called as by `Tree.rescan`.

        `patient`: see `Pending`; `within`: see `Tree`.
        """
        self.beamtime = beamtime
        self.list_name = rules.list_name(beamtime.id, host)
        self.tree = Tree(beamtime.directory, self.list_name, rules, within)
        self._rules, self._ledger, self._entered, self._left = rules, ledger, entered, left
        self._lists: dict[Path, DatasetList] = {}
        """By scan directory."""
        self._pending = Pending(rules, (beamtime.directory,), self.list_name, patient=patient)
        self._without_files = LinesWithoutFiles(self._pending.later, rules.without_files_after, rules.longest_line)
        self._patient = patient
        self._handed: set[RequestKey] = set()
        self._closed_again: dict[RequestKey, Path] = {}
        """Files that were closed while their requests were handed out: they may have changed after they were read."""
        self._recheck: list[Path] = []
        self._listed_before: set[Path] = set()
        self._done: dict[Path, DoneFiles] = {}
        """What is done, by scan directory; only as long as one step lasts."""
        self._troubled: dict[Path, str] = {}
        self._first = True
        """Whether nothing was rescanned yet: what is there now is the backlog."""

    def step(self, now: float, hints: Hints | None) -> Findings:
        """Rescan what `hints` name, or everything (None), and check the pending requests that are due at `now`."""
        known = self._states() if hints is None else {}
        named, turn = (None, ()) if hints is None else (hints.directories, hints.turn)
        listed = self.tree.rescan(now, named, self._entered, self._left, turn)
        if self._rules.trigger != "files":
            self._forget_lists()
            anew = {node.path for node in listed}
            for node in self._with_lists(hints, listed):
                self._check_list(node, now, full=hints is None, anew=node.path in anew)
        if self._rules.trigger != "lists":
            for node in listed:
                self._check_files(node, now)
            self._done.clear()
            if hints is None:
                self._pending.drop_gone(self._is_there)
        for file in (*self._recheck, *(hints.files if hints else ())):
            self._check_closed(file, now)
        self._recheck, self._first = [], False
        if hints:
            self._pending.rescan(hints.directories, now)
            self._without_files.hurry({*hints.directories, *(file.parent for file in hints.files)}, now)
        self._take_lines(now)
        ready = tuple(self._pending.take_ready(now))
        self._handed |= {one.request.key for one in ready}
        missed = tuple(node.path for node in listed if known.get(node.path, node.state) != node.state)
        return Findings(ready, missed)

    def offer_missing(self, files: Iterable[Path], found: Findings, now: float) -> None:
        """Take the data files that somebody named and that a full rescan has not found, whatever their names."""
        known = [one.request.scan for one in found.ready] + [one.request.scan for one in self._pending.waiting()]
        masters = {scan.master or find_master(scan, self._rules.master_extensions) for scan in known}
        for file in files:
            if file in masters:
                continue
            try:
                self._offer_file(file, now, Origin.BY_HAND)
            except OSError as error:
                self._troubled[file.parent] = f"{file}: what was ingested cannot be read: {why(error)}"

    def again(self, request: Request, at: float) -> None:
        """A request that was handed out is to be checked once more, not before the monotonic time `at`."""
        self._handed.discard(request.key)
        self._closed_again.pop(request.key, None)
        if not request.listed and self._claimed(request):
            return  # A list has named its file meanwhile: the line's request makes the same dataset.
        self._pending.admit(request, at, due=at)

    def forget(self, request: Request) -> None:
        """A request that was handed out is done with."""
        self._handed.discard(request.key)
        if (file := self._closed_again.pop(request.key, None)) is not None:
            self._recheck.append(file)

    @property
    def handed(self) -> int:
        """How many requests were handed out, and neither `again` nor `forget` was said of them."""
        return len(self._handed)

    def renew(self) -> None:
        """Have everything listed, and given to `entered`, at the next full rescan, changed or not."""
        for path in self.tree.nodes:
            self.tree.relist(path)

    def next_due(self) -> float | None:
        """Monotonic time at which something that waits may have become ready; None if nothing does."""
        times = (self._pending.next_due(), self._without_files.next_due())
        return min((time for time in times if time is not None), default=None)

    def live(self, now: float) -> frozenset[Path]:
        """The directories in which something changed lately."""
        return frozenset(self.tree.live(now - _LIVE_FOR))

    def waiting(self) -> Iterator[Waiting]:
        """The requests whose scans are not complete yet."""
        yield from self._pending.waiting()
        for entry, directory in self._without_files.waiting():
            if (request := self._ledger.open_line(entry, directory)) is not None:
                yield Waiting(request, WITHOUT_FILES, stuck=True)

    @property
    def stuck(self) -> bool:
        """Whether time alone will complete none of them."""
        return all(waiting.stuck for waiting in self._pending.waiting())

    @property
    def incomplete(self) -> int:
        """How many they are, besides those that were put off."""
        return self._pending.incomplete + len(self._without_files)

    def update(self, request: Request, now: float) -> None:
        """Let a request come although it is done, unless it is under way: the files of its scan have changed."""
        place = request.scan.place
        if not self.is_under_way(request.key) and not (not request.listed and self._pending.has_found(place)):
            self._pending.admit(request, now, backlog=True)

    def listed(self) -> Iterator[tuple[Path, ListEntry]]:
        """The lines of all lists that ask for a dataset, each after the directory of its list."""
        for directory, known in list(self._lists.items()):
            for entry in known.scans():
                yield directory, entry

    def line_of(self, file: Path) -> tuple[Path, ListEntry] | None:
        """The line of a list that speaks for a data file, after the directory of the list; None if there is none."""
        directory = self.tree.scan_directory(file.parent)
        if (known := self._lists.get(directory)) is None:
            return None
        stem = stem_of(file).relative_to(directory)
        entry = known.entry_of(stem.as_posix()) or known.entry_of(stem.parent.as_posix())
        return None if entry is None else (directory, entry)

    def found(self) -> Iterator[tuple[Path, Path]]:
        """The data files that are scans by themselves, each after the directory that names it now."""
        if self._rules.trigger == "lists":
            return
        for path in list(self.tree.nodes):
            node = self.tree.nodes.get(path)
            for file in node.data if node else ():
                if not self._claims(file):
                    yield self.tree.scan_directory(path), file

    def data_files(self, inodes: Collection[int]) -> Iterator[Path]:
        """The data files of all of the beamtime that may have one of these inodes, as it is now."""
        return self.tree.files_with(inodes)

    def bad_lines(self) -> Iterator[tuple[Path, BadLine]]:
        """The lines that cannot be used, each with its list."""
        return ((known.path, line) for known in self._lists.values() for line in known.bad)

    def scan_directories(self) -> list[Path]:
        """The directories that name scans: the beamtime directory, and those with a list."""
        root = self.beamtime.directory
        return [root, *(node.path for node in self.tree.nodes.values() if node.has_list and node.path != root)]

    def problems(self) -> list[str]:
        """Directories and lists that cannot be read, for people."""
        nodes = [node.problem for node in self.tree.nodes.values() if node.problem]
        lists = [known.problem for known in self._lists.values() if known.problem]
        return nodes + lists + list(self._troubled.values())

    def _forget_lists(self) -> None:
        """A list that went is read from the start when it comes back: it may be another one."""
        nodes = self.tree.nodes
        for directory in [path for path in self._lists if path not in nodes or not nodes[path].has_list]:
            del self._lists[directory]

    def _with_lists(self, hints: Hints | None, listed: list[DirectoryNode]) -> list[DirectoryNode]:
        """The directories whose lists are to be checked, also new ones, before their files are taken for found ones."""
        nodes = self.tree.nodes
        hinted = {path for path in hints.directories | hints.turn if path in nodes} if hints else set()
        where = nodes.keys() if hints is None else hinted | {node.path for node in listed}
        return [nodes[path] for path in in_order(where) if nodes[path].has_list]

    def _states(self) -> dict[Path, FileState | None]:
        """What the directories were like that are watched."""
        return {path: node.state for path, node in self.tree.nodes.items() if node.only_detectors is None}

    def _check_list(self, node: DirectoryNode, now: float, *, full: bool, anew: bool) -> None:
        """`anew`: its directory was listed, so it may be another file under the same name."""
        directory = node.path  # The same path for all that is kept: at a large site each copy takes megabytes.
        if directory not in self._lists:
            self._lists[directory] = DatasetList(directory, self.list_name, self._rules.longest_line)
            anew = True
        known = self._lists[directory]
        if anew:
            self._entered(directory, self.list_name)
        if known.refresh(self.beamtime.directory, lambda: self._ledger.done_lines(directory)):
            node.list_changed_at = now - (age(known.state) if self._first and known.state else 0)
            # First what the list speaks for now goes, then its lines come: a found file may have the key of a line.
            self._pending.drop_lines(directory, known.gone)
            self._without_files.drop(directory, known.gone)
            self._pending.drop_claimed(self._claimed)
        elif not full:
            return
        # What was open at the last rescan is offered again, so that nothing depends on a request's being handed on.
        try:
            done = self._ledger.done_lines(directory) if known.open else ()
            wanted = [entry for entry in known.open if entry.line not in done]
            if self._patient and len(wanted) >= MANY:
                wanted = self._keep_those_without_files(wanted, directory, now)
            known.open = [entry for entry in wanted if self._offer_line(entry, directory, now, known.changed_at)]
        except OSError as error:
            known.unread(f"what was ingested cannot be read: {why(error)}")

    def _check_files(self, node: DirectoryNode, now: float) -> None:
        """Offer the data files of a directory; if the ledger cannot be read there, it is listed again next time."""
        self._troubled.pop(node.path, None)
        first = node.path not in self._listed_before
        directory = self.tree.scan_directory(node.path)
        known, between = self._lists.get(directory), _between(directory, node.path)
        try:
            done = None
            for name in node.names:
                named = between + (name.rpartition(".")[0] or name)
                if known is not None and known.claims_stem(named):
                    continue
                # Nearly all files of a long beamtime are done: for these little may be done here.
                done = done or self._done_files(directory)
                if done.has(named) and (not first or done.agrees(named, f"{node.path}/{name}")):
                    continue
                file = node.path / name
                if not self._offer_file(file, now) and first:
                    self._offer_if_changed(file, now)
        except OSError as error:
            self._troubled[node.path] = f"{node.path}: what was ingested cannot be read: {why(error)}"
            self.tree.relist(node.path)
            return
        self._listed_before.add(node.path)

    def _done_files(self, directory: Path) -> DoneFiles:
        if directory not in self._done:
            self._done[directory] = self._ledger.done_files(directory)
        return self._done[directory]

    def _check_closed(self, file: Path, now: float) -> None:
        self._pending.hurry(file, now)
        node = self.tree.nodes.get(file.parent)
        if self._rules.trigger == "lists" or node is None or not node.has_data(file.name):
            return
        try:
            if not self._claims(file):
                self._offer_if_changed(file, now)
        except OSError as error:
            # The other scans of the beamtime must not wait for this directory; it is checked as on the first day.
            self._troubled[file.parent] = f"{file.parent}: what was ingested cannot be read: {why(error)}"
            self._listed_before.discard(file.parent)
            self.tree.relist(file.parent)

    def _is_there(self, file: Path) -> bool:
        """Whether a data file is there, or its directory cannot be read."""
        node = self.tree.nodes.get(file.parent)
        return node is not None and (bool(node.problem) or node.has_data(file.name))

    def _claims(self, file: Path) -> bool:
        """Whether a list speaks for a data file, which is no scan of its own then."""
        known = self._lists.get(self.tree.scan_directory(file.parent))
        return known is not None and known.claims(stem_of(file))

    def _claimed(self, request: Request) -> bool:
        return request.scan.master is not None and self._claims(request.scan.master)

    def _keep_those_without_files(self, lines: list[ListEntry], directory: Path, now: float) -> list[ListEntry]:
        """Of lines that came together keep those apart that have nothing on the disk; the others."""
        new: list[ListEntry] = []
        others: list[ListEntry] = []
        for entry in lines:
            (others if self.is_under_way(RequestKey(directory, entry.line)) else new).append(entry)
        return others + self._without_files.take_in(new, directory, now)

    def _take_lines(self, now: float) -> None:
        """Offer the lines for which something has come."""
        for entry, directory, since, late in self._without_files.take_due(now):
            known = self._lists.get(directory)
            try:
                self._offer_line(entry, directory, now, since=since, backlog=late)
            except OSError as error:
                if known is not None:
                    known.unread(f"what was ingested cannot be read: {why(error)}")
            if known is not None:
                known.open.append(entry)  # It is offered again at full rescans, as all that are open.

    def _offer_line(
        self, entry: ListEntry, directory: Path, now: float, changed_at: float = 0.0, *, since: float | None = None,
        backlog: bool = False,
    ) -> bool:  # fmt: skip
        """Make the request of a line pending if it is wanted; whether it is under way."""
        if self.is_under_way(RequestKey(directory, entry.line)):
            return True
        if (request := self._ledger.open_line(entry, directory)) is None:
            return False
        self._pending.admit(request, now, changed_at, since=since, backlog=backlog or self._first)
        return True

    def _offer_file(self, file: Path, now: float, origin: Origin = Origin.FOUND) -> bool:
        """Make the request of a found file pending if it is wanted; whether it is under way."""
        if self._pending.has_found(stem_of(file)):
            return True
        request = self._ledger.of_file(file, self.tree.scan_directory(file.parent), origin)
        if self.is_under_way(request.key):
            return True
        if not self._ledger.wanted(request):
            return False
        self._pending.admit(request, now, backlog=self._first)
        return True

    def _offer_if_changed(self, file: Path, now: float) -> None:
        if self._pending.has_found(stem_of(file)):
            return  # First: thousands of files may be closed at once, and how a scan is named takes long.
        request = self._ledger.of_file(file, self.tree.scan_directory(file.parent))
        if request.key in self._handed:
            self._closed_again[request.key] = file
            return
        if self.is_under_way(request.key):
            return
        try:
            state = FileState.of(file.stat())
        except OSError:
            return  # Gone again; if it comes back it is found again.
        if self._ledger.changed(request, state):
            self._pending.admit(request, now, backlog=self._first)

    def is_under_way(self, key: RequestKey) -> bool:
        """Whether a request is pending, or was handed out."""
        return key in self._handed or key in self._pending or key in self._without_files


def _between(directory: Path, below: Path) -> str:
    """What the names of the files in `below` begin with in `directory`, e.g. "raw/"."""
    return "" if directory == below else f"{below.relative_to(directory).as_posix()}/"
