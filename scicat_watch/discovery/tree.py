"""The directories of one beamtime, and what in them can be scans: dataset lists and data files.

A rescan is cheap: a directory whose times did not change since it was listed costs one `stat`. A
directory counts as unchanged only when its times were the same at two rescans that are further apart
than a clock's tick, because a name that comes within the tick of a rescan leaves the times as they were.
"""

from __future__ import annotations

import bisect
import fnmatch
import math
import os
import re
import time
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scicat_watch.discovery.rules import WatchRules
from scicat_watch.model import FileState

_SEPARATORS = re.compile("[_.-]")
_NONE: frozenset[Path] = frozenset()
_DETECTOR_FILES = 20  # Files from which on a directory with nothing else is one of detector files.
_SHORTEST_REST = 10.0
_TICK = 2.0  # Seconds: longer than the time stamps of any file system are coarse.


@dataclass(slots=True)
class DirectoryNode:
    """One directory as it was when we last listed it."""

    path: Path
    depth: int
    state: FileState | None = None
    """None: it is to be listed in any case."""
    steady_since: float | None = None
    """Monotonic time since which its times are the same."""
    changed_at: float = -math.inf
    """Monotonic time at which it last changed, as far as that is known: of the first listing by its own time."""
    settled: bool = False
    """Whether it was listed once more after its times had been the same for longer than a tick."""
    children: frozenset[Path] = frozenset()
    has_list: bool = False
    list_changed_at: float = -math.inf
    """Monotonic time at which its list was last seen to have changed."""
    names: tuple[str, ...] = ()
    """Names of data files that can be scans of their own, sorted."""
    problem: str = ""
    """Why it cannot be listed, for people."""
    only_detectors: float | None = None
    """Monotonic time since which it has been known to hold detector files and nothing else; None: it does not."""
    again_at: float = 0.0
    """When to examine one that does again."""
    has_scans_below: bool = False
    """Whether there are or were scans in one of the directories in it."""

    def has_data(self, name: str) -> bool:
        """Whether one of the data files has this name; many are asked for when many were closed."""
        place = bisect.bisect_left(self.names, name)
        return place < len(self.names) and self.names[place] == name

    @property
    def data(self) -> tuple[Path, ...]:
        """The data files of these names."""
        return tuple(self.path / name for name in self.names)


class Entered(Protocol):
    """Is called before something is read, so that a watch on it misses nothing."""

    def __call__(self, directory: Path, name: str = "", /) -> None:
        """A directory, or the dataset list of a `name` in it."""


def unwatched(directory: Path, name: str = "", /) -> None:
    """For those who watch nothing."""


class Tree:
    """What is known of the directories below one beamtime directory."""

    def __init__(self, root: Path, list_name: str, rules: WatchRules, within: tuple[Path, ...] = ()) -> None:
        """`list_name`: name of the beamtime's dataset list, e.g. "scicat-datasets-11018765.lst".

        `within`: rescan only these directories, those on the way to them (or to these files), and those below them.
        """
        self.root = root
        self._within = within
        self._left: Callable[[Path], None] = lambda path: None
        self.nodes: dict[Path, DirectoryNode] = {}
        self._list_name = list_name
        self._rules = rules
        self._blacklist = {root / path for path in rules.blacklist}
        self._ranks = {extension: rank for rank, extension in enumerate(rules.extensions)}
        self._ignored = re.compile("|".join(map(fnmatch.translate, rules.ignored_names)) or "(?!)")

    def rescan(
        self,
        now: float,
        hinted: Iterable[Path] | None,
        entered: Callable[[Path], None] = lambda path: None,
        left: Callable[[Path], None] = lambda path: None,
        turn: Iterable[Path] = (),
    ) -> list[DirectoryNode]:
        """Rescan the `hinted` directories, or all (None: a full rescan); the nodes that were listed anew.

        The directories whose `turn` it is are listed only if they have changed, as in a full rescan.
        `entered` is called with each directory just before it is listed, so that a watch on it misses nothing; `left`
        with one that needs no watch, because it holds nothing but detector files. A directory that vanished is dropped
        and comes back when it is found again.
        """
        self._left = left
        if self.root not in self.nodes:
            self.nodes[self.root] = DirectoryNode(self.root, 0)
        named = set() if hinted is None else set(hinted) & self.nodes.keys()
        todo = in_order(self.nodes if hinted is None else named | (set(turn) & self.nodes.keys()))
        listed: list[DirectoryNode] = []
        for path in todo:
            if (node := self.nodes.get(path)) is not None:
                listed += self._rescan_below(node, now, entered, hinted=path in named)
        return listed

    def live(self, since: float) -> set[Path]:
        """The directories in which something changed after `since`, and those on the way to them; none if none did."""
        found: set[Path] = set()
        for path, node in self.nodes.items():
            if node.changed_at >= since or node.list_changed_at >= since:
                while path not in found:
                    found.add(path)
                    if path != self.root:
                        path = path.parent  # noqa: PLW2901 - up to the root.
        return found

    def files_with(self, inodes: Collection[int]) -> Iterator[Path]:
        """The data files that may have one of these inodes, of all of the beamtime as it is now.

        Also where only a part is rescanned, or an event is late. What listing says of inodes decides: there may be a
        hundred thousand files, and few of them have one of these, or none has.
        """
        whole, todo = Tree(self.root, self._list_name, self._rules), [DirectoryNode(self.root, 0)]
        while todo:
            node = todo.pop()
            try:
                with os.scandir(node.path) as entries:
                    listed = list(entries)
                some = {entry.name for entry in listed if entry.inode() in inodes}
                is_sure = _says_inodes(node.path, listed)
                if some or not is_sure or any(map(_is_folder, listed)):
                    todo += [DirectoryNode(path, node.depth + 1) for path in whole._list(node, 0.0)]
            except OSError:
                continue
            yield from (node.path / name for name in node.names if name in some or not is_sure)

    def relist(self, path: Path) -> None:
        """Have a directory listed at the next rescan, changed or not."""
        if (node := self.nodes.get(path)) is not None:
            node.state, node.steady_since, node.settled = None, None, False

    def _rescan_below(
        self, top: DirectoryNode, now: float, entered: Callable[[Path], None], *, hinted: bool
    ) -> Sequence[DirectoryNode]:
        """Rescan a directory and what is new in it, however deep: with a stack of our own, not the interpreter's."""
        if not self._rescan_one(top, now, entered, hinted=hinted):
            return ()  # As nearly all of a full rescan are.
        listed, todo = [], [top]
        while todo:
            node = todo.pop()
            if node is not top and not self._rescan_one(node, now, entered, hinted=True):
                continue
            listed.append(node)
            new = in_order(child for child in node.children if child not in self.nodes)
            self.nodes |= {child: DirectoryNode(child, node.depth + 1) for child in new}
            todo += [self.nodes[child] for child in reversed(new)]
        return listed

    def _rescan_one(self, node: DirectoryNode, now: float, entered: Callable[[Path], None], *, hinted: bool) -> bool:
        """List one directory if it may have changed; whether it was listed."""
        unwatched = node.only_detectors is not None and not hinted
        if unwatched and self._has_scans_beside(node):
            unwatched, node.only_detectors, node.state = False, None, None
        if unwatched and now < node.again_at:
            return False
        try:
            found = FileState.of(os.stat(node.path))  # noqa: PTH116 - fast
            if found != node.state:
                node.changed_at = now if node.changed_at > -math.inf else now - age(found)
                node.state, node.steady_since, node.settled = found, now, False
            elif node.settled and not hinted and not node.problem:
                self._put_off(node, now)
                return False
            node.settled = node.steady_since is not None and now - node.steady_since > _TICK
            if not unwatched:
                entered(node.path)
            children = self._list(node, now)
            if unwatched and node.only_detectors is None:
                entered(node.path)  # It is listed under a watch as well, so that nothing is missed from here on.
                children = self._list(node, now)
        except OSError as error:
            self._missing(node, error)
            return False
        if node.only_detectors is not None and not unwatched:
            self._left(node.path)
        node.problem = ""
        for gone in node.children - children:
            self._drop(gone)
        # The paths of the nodes themselves: at a large site each second copy takes megabytes.
        node.children = frozenset(self.nodes[child].path if child in self.nodes else child for child in children)
        return True

    def _has_scans_beside(self, node: DirectoryNode) -> bool:
        above = self.nodes.get(node.path.parent)
        return above is not None and above.has_scans_below

    def _put_off(self, node: DirectoryNode, now: float) -> None:
        """Leave a directory with nothing but detector files alone: the longer it has been so, the longer."""
        if node.only_detectors is not None:
            known_for = max(now - node.only_detectors, _SHORTEST_REST)
            node.again_at = now + min(known_for, self._rules.detector_interval)

    def _list(self, node: DirectoryNode, now: float) -> frozenset[Path]:
        folders: list[str] = []
        names: list[str] = []
        has_list, others = False, 0
        with os.scandir(node.path) as entries:
            for entry in entries:  # There may be a million detector files, for which little may be done here.
                name = entry.name
                if name == self._list_name:
                    has_list = True
                elif name.rpartition(".")[2].lower() in self._ranks and not _is_folder(entry):
                    if not self._ignored.match(name):
                        names.append(name)
                    else:
                        others += 1
                elif not _is_folder(entry):
                    others += 1
                elif not self._ignored.match(name):
                    folders.append(name)
        node.has_list = has_list
        node.names = tuple(sorted(self._scans(names)))
        self._sort(node, now, only_others=others > _DETECTOR_FILES and not (names or folders or has_list))
        if has_list and not self._rules.below_lists:
            return _NONE
        if not folders or node.depth == self._rules.max_depth:
            return _NONE
        stems = {name.rpartition(".")[0] for name in names}  # A folder of the scan's name holds its detector files.
        inner = frozenset(node.path / folder for folder in folders if folder not in stems) - self._blacklist
        return frozenset(path for path in inner if self._leads_on(path)) if self._within else inner

    def _sort(self, node: DirectoryNode, now: float, *, only_others: bool) -> None:
        """Decide whether a directory is one of detector files alone; not where those beside it hold scans."""
        above = self.nodes.get(node.path.parent)
        if above is not None and (node.names or node.has_list):
            above.has_scans_below = True
        if only_others and above is not None and not above.has_scans_below and self._rules.detector_interval:
            node.only_detectors = now if node.only_detectors is None else node.only_detectors
            self._put_off(node, now)
        else:
            node.only_detectors = None

    def _leads_on(self, path: Path) -> bool:
        return any(within.is_relative_to(path) or path.is_relative_to(within) for within in self._within)

    def _scans(self, names: list[str]) -> Iterator[str]:
        """Names of data files without those that are parts of a scan: its detector files of a later extension."""
        if len({name.rpartition(".")[2].lower() for name in names}) < 2:
            yield from names
            return
        stems: dict[str, int] = {}
        for name in names:
            stem, _, extension = name.rpartition(".")
            rank = self._ranks[extension.lower()]
            stems[stem] = min(rank, stems.get(stem, rank))
        for name in names:
            stem, _, extension = name.rpartition(".")
            rank = self._ranks[extension.lower()]
            if rank == stems[stem] and all(stems[other] >= rank for other in _beginnings(stem, stems)):
                yield name

    def _missing(self, node: DirectoryNode, error: OSError) -> None:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and node.path != self.root:
            self._drop(node.path)
            return
        node.problem = f"{node.path}: cannot be scanned: {error.strerror}"
        self.relist(node.path)

    def _drop(self, path: Path) -> None:
        if (parent := self.nodes.get(path.parent)) is not None:
            parent.children -= {path}
        todo = [path]
        while todo:
            node = self.nodes.pop(todo.pop(), None)
            todo += node.children if node else ()

    def scan_directory(self, directory: Path) -> Path:
        """The directory that names the scans of `directory`: the nearest one above with a list, or the root."""
        above = directory
        while above not in (self.root, above.parent):  # Asked for each file: all parents at once would take longer.
            node = self.nodes.get(above)
            if node is not None and node.has_list:
                return node.path
            above = above.parent
        return self.root


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Directories in an order that is always the same, each before those in it; comparing paths takes long."""
    return sorted(paths, key=os.fspath)


def _beginnings(name: str, stems: Container[str]) -> Iterator[str]:
    """Those of `stems` that `name` goes on from, as in scan_1_0001 from scan_1; not `name` itself."""
    for separator in _SEPARATORS.finditer(name):
        if (beginning := name[: separator.start()]) in stems:
            yield beginning


def age(state: FileState) -> float:
    """How long ago a directory or list changed, by the clocks of file server and host.

    They may differ: nothing depends on it but how soon it is rescanned where no events come.
    """
    return max(0.0, time.time() - state.modified / 1e9)


def _says_inodes(directory: Path, listed: list[os.DirEntry[str]]) -> bool:
    """Whether listing says what `stat` says: some file systems list other numbers."""
    first = next((entry for entry in listed if not _is_folder(entry)), None)
    return first is None or os.lstat(f"{directory}/{first.name}").st_ino == first.inode()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # Links to directories are not followed: they could lead out of the beamtime, or in circles.
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
