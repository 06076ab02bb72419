"""The files of one scan, as the catalogue lists them.

Which they are says `pipeline.belonging`; of folders that belong to a scan everything in them is listed.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from scicat_watch.documents import DataFile
from scicat_watch.errors import ReadingError
from scicat_watch.files import Roots
from scicat_watch.model import Scan
from scicat_watch.pipeline.belonging import belonging, matcher
from scicat_watch.pipeline.handover import ReadLimits
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.words import harmless

MOST_FILES = 1_000_000
"""So many files of one scan are listed; a scan with more is refused, as its list would not be complete."""


@dataclass(frozen=True, slots=True)
class FileList:
    """A scan's files, and how old and new they are."""

    files: tuple[DataFile, ...]
    """Sorted by path; paths relative to the scan directory."""
    first_time: float | None
    """Oldest modification time, seconds since 1970; None without files."""
    last_time: float | None
    """Newest modification time."""


def list_files(scan: Scan, limits: ReadLimits, roots: Iterable[Path], notes: Notes) -> FileList:
    """List the files of `scan` as they are now; those that vanish meanwhile are not listed. Owners are numbers.

    Symbolic links count as what they lead to, if that is in one of `roots`. Raises `ReadingError` if a
    folder cannot be listed for a reason that may pass: half a list must not count as the whole.
    """
    listing = _Listing(scan, limits, roots, notes)
    for beginning in (scan.stem, *scan.extras):
        listing.take(beginning)
    return listing.finish()


def with_names(files: Iterable[DataFile]) -> tuple[DataFile, ...]:
    """The same files with the names of their users and groups, where these have one."""
    return tuple(
        DataFile(one.path, one.size, one.time, _user(one.uid), _group(one.gid), one.perm, one.chk) for one in files
    )


class _Listing:
    """The list of a scan's files while it is made."""

    def __init__(self, scan: Scan, limits: ReadLimits, roots: Iterable[Path], notes: Notes) -> None:
        self._scan, self._limits, self._notes = scan, limits, notes
        self._roots = Roots(roots)
        self._skipped = matcher(limits.skipped_files)
        self._found: dict[str, os.stat_result] = {}
        self._folders: list[str] = []
        self._linked_folders: list[str] = []
        self._entered: set[tuple[int, int]] = set()

    def take(self, beginning: str) -> None:
        """Find all files and folders whose names begin as `beginning` says."""
        place = Path(os.path.normpath(self._scan.directory / beginning))
        if not place.name or not self._roots.hold(place.parent):
            self._notes.add(f"{beginning}: is outside the beamtime's directories; none of its files are listed")
            return
        belongs = belonging(place.name, self._limits.file_list)
        for entry in self._entries(str(place.parent)):
            if belongs(entry.name):
                self._add(entry)

    def finish(self) -> FileList:
        """List all folders that were found, too; a folder that is there under several names only once.

        Real folders come before linked ones, so that the result does not depend on the disk's order.
        """
        while self._folders or self._linked_folders:
            if not self._folders:
                self._linked_folders.sort(reverse=True)
            folder = self._folders.pop() if self._folders else self._linked_folders.pop()
            with suppress(FileNotFoundError):
                status = Path(folder).stat()
                if (status.st_dev, status.st_ino) not in self._entered:
                    self._entered.add((status.st_dev, status.st_ino))
                    for entry in self._entries(folder):
                        self._add(entry)
        start = str(self._scan.directory).rstrip("/") + "/"
        listed = sorted((_relative(path, start), status) for path, status in self._found.items())
        times = [status.st_mtime for _, status in listed]
        files = tuple(_data_file(path, status) for path, status in listed)
        return FileList(files, min(times, default=None), max(times, default=None))

    def _add(self, entry: os.DirEntry[str]) -> None:
        try:
            if entry.is_symlink():
                if not self._roots.hold(entry.path):
                    self._notes.add(f"{entry.path}: is a link out of the beamtime's directories, and is not listed")
                    return
                if entry.is_dir():
                    self._linked_folders.append(entry.path)
                    return
            elif entry.is_dir():
                self._folders.append(entry.path)
                return
            if self._skipped(entry.name) or self._skipped(entry.path):
                return
            status = entry.stat()
        except FileNotFoundError:
            return  # A dangling link, or a file that vanished meanwhile.
        except OSError as error:
            raise ReadingError(f"{entry.path}: cannot be examined now ({error.strerror}); try again later") from error
        if stat.S_ISREG(status.st_mode):
            self._found[entry.path] = status
            if len(self._found) > MOST_FILES:
                raise ReadingError(f"{self._scan.place}: has more than {MOST_FILES} files, more than one list can hold")

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                yield from entries
        except FileNotFoundError:
            return
        except PermissionError:
            self._notes.add(f"{folder}: may not be listed by this account; its files are missing from the file list")
        except OSError as error:
            raise ReadingError(f"{folder}: cannot be listed now ({error.strerror}); try again later") from error


def _relative(path: str, start: str) -> str:
    relative = path[len(start) :] if path.startswith(start) else os.path.relpath(path, start)
    # A name that is not UTF-8 cannot be said in JSON; the catalogue gets it with marks in place.
    return harmless(relative if relative.isascii() else os.fsencode(relative).decode("utf-8", "replace"))


def _data_file(path: str, status: os.stat_result) -> DataFile:
    seconds, rest = divmod(status.st_ctime_ns, 1_000_000_000)
    return DataFile(
        path=path,
        size=status.st_size,
        time=f"{_moment(seconds)}.{rest // 1_000_000:03d}Z",
        uid=str(status.st_uid),
        gid=str(status.st_gid),
        perm=_permissions(status.st_mode),
    )


@lru_cache(maxsize=1024)
def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=1024)
def _user(number: str | None) -> str | None:
    try:
        return pwd.getpwuid(int(number or "")).pw_name
    except (KeyError, OverflowError, ValueError):
        return number


@lru_cache(maxsize=1024)
def _group(number: str | None) -> str | None:
    try:
        return grp.getgrgid(int(number or "")).gr_name
    except (KeyError, OverflowError, ValueError):
        return number


@lru_cache(maxsize=1024)
def _permissions(mode: int) -> str:
    return stat.filemode(mode & ~(stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX))
