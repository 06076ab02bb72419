"""What the PATHs of a command mean: which beamtimes, and which of their requests.

A data file has one identity by whichever way it is named: by itself, by a directory, by its list, or by the daemon's
configuration. So the beamtime of a PATH is searched upwards: a beamtime metadata file, a configured directory, or
lists that a generated beamtime left behind. Only if there is none of these is a beamtime generated.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.errors import ConfigError
from scicat_watch.files import plain
from scicat_watch.ledger.ledger import BeamtimeLedger
from scicat_watch.model import Beamtime, FileState, ListEntry, Origin, Request, stem_of
from scicat_watch.service.site import this_host
from scicat_watch.settings.model import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """Some requests of one beamtime."""

    beamtime: Beamtime
    rules: WatchRules
    meant: tuple[Callable[[Request], bool], ...]
    """A request is asked for if one of these says so."""
    within: tuple[Path, ...] = ()
    """Where to rescan: directories, and files to be reached; empty: the whole beamtime."""
    files: tuple[Path, ...] = ()
    """Data files that were named; they are taken even if no rule finds them."""

    def means(self, request: Request) -> bool:
        """Whether a request of the beamtime is asked for."""
        return any(meant(request) for meant in self.meant)


class NothingDone:
    """No file is done."""

    def has(self, name: str) -> bool:
        """Never."""
        return False

    def agrees(self, name: str, path: str) -> bool:
        """As no file is done, none agrees."""
        return False


@dataclass(frozen=True, slots=True)
class Once:
    """A ledger to which everything that is meant is still to be done, for a one-time ingest and a preview."""

    ledger: BeamtimeLedger
    meant: Callable[[Request], bool]

    def done_lines(self, directory: Path) -> Mapping[str, str]:
        """None is: what is meant is to be done again."""
        return {}

    def done_files(self, directory: Path) -> NothingDone:
        """The same."""
        return NothingDone()

    def open_line(self, entry: ListEntry, directory: Path) -> Request | None:
        """The request of a line, if it is meant."""
        request = self.ledger.as_listed(entry, directory)  # Most lines are not meant, and what is known takes long.
        return self.ledger.as_begun(request) if self.meant(request) else None

    def of_file(self, file: Path, directory: Path, origin: Origin = Origin.FOUND) -> Request:
        """As the ledger."""
        return self.ledger.of_file(file, directory, origin)

    def wanted(self, request: Request) -> bool:
        """Whether it is meant."""
        return self.meant(request)

    def changed(self, request: Request, state: FileState) -> bool:
        """What is meant comes in any case."""
        return False


Make = Callable[[Path, Callable[[], object]], object]
"""Has calls on a root made, and waits for that as long as the root answers."""


def targets(
    paths: tuple[Path, ...], settings: Settings, make: Make = lambda root, call: call()
) -> list[Target | BrokenBeamtime]:
    """What the PATHs mean; without any, all configured beamtimes. `ConfigError` for a path that is none.

    PATHs of one beamtime are one target, but for lists, which are read by rules of their own.
    """
    finder, rules = _Finder(settings, this_host()), settings.beamtimes.rules()
    for path in paths or rules.directories:
        make(path.absolute(), functools.partial(finder.take, path))
    for base in () if paths else rules.base_directories:
        below: list[Path] = []
        make(base.absolute(), lambda base=base, below=below: below.extend(beamtimes.below(base)))  # type: ignore[misc]
        for path in below:
            make(path, functools.partial(finder.take_if_named, path))
    return finder.found()


def _merged(one: Target, other: Target) -> Target:
    within = one.within + other.within if one.within and other.within else ()
    return dataclasses.replace(one, meant=one.meant + other.meant, within=within, files=one.files + other.files)


def targets_in(
    paths: tuple[Path, ...], beamtime: Beamtime, rules: WatchRules
) -> list[tuple[Path, Target | ConfigError]]:
    """What PATHs in the directory of a beamtime mean there, those of one kind as one; an error for what is none."""
    found: dict[object, tuple[Path, Target | ConfigError]] = {}
    for path in paths:
        try:
            target = _target_in(path, beamtime, rules)
        except ConfigError as error:
            found[path] = path, error
            continue
        known = found.get(target.rules)
        merged = _merged(known[1], target) if known is not None and isinstance(known[1], Target) else target
        found[target.rules] = path, merged
    return list(found.values())


def _target_in(path: Path, beamtime: Beamtime, rules: WatchRules) -> Target:
    if path.is_dir():
        return _all_in(path, beamtime, rules)
    if path.is_file():
        return _file_in(path, beamtime, rules)
    raise ConfigError("there is no such file or directory", path)


def names_list_of(path: Path, beamtime: Beamtime, rules: WatchRules, host: str) -> bool:
    """Whether a path has the name of a beamtime's dataset lists."""
    return rules.list_name(beamtime.id, host) == path.name


def _all_in(path: Path, beamtime: Beamtime, rules: WatchRules) -> Target:
    if path == beamtime.directory:
        return Target(beamtime, rules, (lambda request: True,))
    return Target(beamtime, rules, (lambda request: request.scan.place.is_relative_to(path),), (path,))


def _file_in(path: Path, beamtime: Beamtime, rules: WatchRules) -> Target:
    if path.suffix.lower().lstrip(".") in rules.master_extensions:
        return Target(beamtime, rules, (lambda request: _describes(path, request),), (path,), (path,))
    if path.suffix != ".lst" and not fnmatch.fnmatchcase(path.name, rules.list_name("*", "*")):
        raise ConfigError("is neither a data file nor a dataset list (scicat-datasets-….lst)", path)
    name = path.name.replace("{", "{{").replace("}", "}}")
    rules = dataclasses.replace(rules, trigger="lists", below_lists=True, dataset_list=name)
    return Target(beamtime, rules, (lambda request: request.key.directory == path.parent,), (path,))


class _Finder:
    """Finds the beamtimes of paths by one configuration."""

    def __init__(self, settings: Settings, host: str) -> None:
        self._settings, self._host = settings, host
        self._rules = settings.watch_rules()
        self._beamtimes = settings.beamtimes.rules()
        self._configured = set(map(plain, self._beamtimes.directories))
        self._found: dict[object, Target | BrokenBeamtime] = {}

    def found(self) -> list[Target | BrokenBeamtime]:
        """What was taken."""
        return list(self._found.values())

    def take_if_named(self, path: Path) -> None:
        """Take a directory in a base directory, if there is a metadata file in it."""
        if beamtimes.metadata_files(path, self._beamtimes):
            self.take(path)

    def take(self, path: Path) -> None:
        """Take what one PATH means."""
        for target in self.targets(plain(path)):
            if isinstance(target, BrokenBeamtime):
                self._found[target.file] = target
                continue
            key = (target.beamtime.directory, target.beamtime.id, target.rules)
            known = self._found.get(key)
            self._found[key] = _merged(known, target) if isinstance(known, Target) else target

    def targets(self, path: Path) -> list[Target | BrokenBeamtime]:
        """What one PATH means."""
        if path.is_dir():
            return self._of_directory(path)
        if path.is_file():
            return [self._of_file(path)]
        raise ConfigError("there is no such file or directory", path)

    def _of_directory(self, path: Path) -> list[Target | BrokenBeamtime]:
        try:
            found = self._beamtimes_of(path)
        except OSError as error:
            raise ConfigError(f"the directory cannot be read: {error.strerror}", path) from None
        if not found:
            log.warning("%s: holds only beamtimes that the configuration skips", path)
        return [one if isinstance(one, BrokenBeamtime) else _all_in(path, one, self._rules) for one in found]

    def _of_file(self, path: Path) -> Target | BrokenBeamtime:
        found = self._beamtimes_of(path.parent)
        if not found:
            raise ConfigError("belongs to a beamtime that the configuration skips", path)
        rules = self._rules
        usable = [one for one in found if isinstance(one, Beamtime)]
        # Of several beamtimes of one directory, a list belongs to the one whose name it has.
        beamtime = next((one for one in usable if names_list_of(path, one, rules, self._host)), found[0])
        return beamtime if isinstance(beamtime, BrokenBeamtime) else _file_in(path, beamtime, rules)

    def _beamtimes_of(self, directory: Path) -> list[Beamtime | BrokenBeamtime]:
        """The beamtimes that a directory belongs to. OSError if it cannot be read."""
        for above in (directory, *directory.parents):
            if beamtimes.metadata_files(above, self._beamtimes) or above in self._configured:
                return beamtimes.find(above, self._beamtimes)
            generated = beamtimes.generated(above)
            if self._was_generated(generated, directory):
                return [generated]
        log.info("%s: is in no known beamtime directory; it is ingested as a generated beamtime", directory)
        return beamtimes.find(directory, self._beamtimes)

    def _was_generated(self, beamtime: Beamtime, directory: Path) -> bool:
        """Whether there are lists of a generated beamtime on the way from its directory to this one."""
        ingested = self._settings.ingested_rules(self._host)
        names = [ingested.list_name(beamtime.id)]
        if (name := self._rules.list_name(beamtime.id, self._host)) != self._rules.list_name("", self._host):
            names.append(name)  # Otherwise a list of this name is there whatever the beamtime is.
        way = [path for path in (directory, *directory.parents) if path.is_relative_to(beamtime.directory)]
        places = (place / name for path in way for place in (path, *ingested.aside(path)) for name in names)
        # Not Path.exists, which raises where we may not look: the state directory may be another account's.
        return any(os.path.exists(place) for place in places)  # noqa: PTH110


def _describes(file: Path, request: Request) -> bool:
    """Whether `file` is the master file of a request's scan."""
    if not request.listed:
        return request.scan.master == file
    beside = request.scan.directory / request.scan.stem
    return stem_of(file) in (beside, beside / beside.name)
