"""The file list of one data file in the form of ESS's ingestor: the file, and the file with its checksum."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from scicat_watch.compat.ess.settings import FileHandling
from scicat_watch.documents import DataFile
from scicat_watch.errors import AssemblyError, ConfigError, ReadingError
from scicat_watch.files import replace as written

LARGEST_CHECKSUM = 1024
"""Bytes; a larger file where a checksum is to be written holds something else, and is not overwritten."""


def listed(data_file: Path, settings: FileHandling, now: datetime) -> tuple[DataFile, ...]:
    """The data file as it is now, and the file that its checksum was written to if that is wanted.

    Paths are absolute; links are not followed and ".." stays. Raises `ReadingError` if a file cannot be
    examined, `ConfigError` if the checksum cannot be made or written.
    """
    place = Path.cwd() / data_file
    chk = _checksum(place, settings) if settings.compute_file_hash else None
    files = [_entry(place, settings, now, chk)]
    if settings.save_file_hash:
        if chk is None:
            raise ConfigError("save_file_hash without compute_file_hash: there is no checksum to save")
        files.append(_entry(_saved(place, settings, chk), settings, now, None))
    return tuple(files)


def relative(files: Iterable[DataFile], folder: str) -> tuple[DataFile, ...]:
    """The same files with paths relative to the dataset's source folder; `AssemblyError` for one outside it."""
    base, placed = PurePosixPath(os.path.normpath(folder)), []
    for file in files:
        path = PurePosixPath(os.path.normpath(file.path))
        if not path.is_relative_to(base):
            raise AssemblyError(
                f"{file.path} is not below the dataset's sourceFolder {folder}, and file_path_type is relative: "
                "have the schema make another sourceFolder, or set file_path_type to absolute"
            )
        placed.append(replace(file, path=path.relative_to(base).as_posix()))
    return tuple(placed)


def _checksum(place: Path, settings: FileHandling) -> str:
    from scicat_watch.pipeline.reading.checksums import digest

    return digest(place, settings.file_hash_algorithm).chk


def _saved(place: Path, settings: FileHandling, chk: str) -> Path:
    """The file that the checksum was written to."""
    file = place.parent / settings.ingestor_files_directory / f"{place.stem}.{settings.hash_file_extension}"
    try:
        if file.exists() and (file.samefile(place) or file.stat().st_size > LARGEST_CHECKSUM):
            raise ConfigError(
                f"the checksum of {place} is not saved: {file} is there and is no checksum; "
                "choose another hash_file_extension or ingestor_files_directory"
            )
        written(file, chk)
    except OSError as error:
        raise ConfigError(
            f"the checksum of {place} cannot be saved as {file}: {error.strerror}; the directory "
            "ingestor_files_directory must exist and be writable"
        ) from error
    return file


def _entry(place: Path, settings: FileHandling, now: datetime, chk: str | None) -> DataFile:
    # A name that is not UTF-8 cannot be said in JSON; the catalogue gets it with marks in place.
    path = os.fsencode(place).decode("utf-8", "replace")
    try:
        status = place.stat()
    except OSError as error:
        raise ReadingError(f"{place}: cannot be examined: {error.strerror}") from error
    if not settings.compute_file_stats:
        return DataFile(path, status.st_size, _time(now), chk=chk)  # Backends refuse files without a size.
    return DataFile(
        path=path,
        size=status.st_size,
        time=_time(datetime.fromtimestamp(status.st_ctime, UTC)),
        uid=str(status.st_uid),
        gid=str(status.st_gid),
        perm=oct(status.st_mode),
        chk=chk,
    )


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
