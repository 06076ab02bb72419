"""What can go wrong, sorted by who can fix it.

    ScicatWatchError
    ├── ConfigError        a person fixes the configuration or a schema file
    ├── BeamtimeError      a person fixes the beamtime file
    ├── ReadingError       a scan's data files cannot be read (now)
    │   ├── ReaderLost     reading hung or ended the worker process: the file is at fault
    │   └── StorageHangs   its directory does not answer: time fixes it
    ├── SourceError        a variable of a schema could not be made
    │   └── MissingValue   its source has no such value
    ├── AssemblyError      the documents of a scan cannot be made: a required value is missing
    ├── NameTaken          a person renames a scan: another one has the dataset of its name
    └── CatalogueError     a request to the catalogue did not succeed
        ├── Unavailable    time fixes it: no answer, 429, 5xx
        │   ├── NotLoggedIn  a person fixes our account or its password; until then all work waits
        │   ├── LoginUnanswered  nobody could log in: no scan is at fault
        │   └── NotScicat  something else answered in SciCat's place, such as a login page
        └── Refused        a person fixes it: the document, the account's rights or the settings

No caller reads a message to decide; the class says what to do, the message says what
happened to which scan, why, and what to do about it.
"""

from __future__ import annotations

from pathlib import Path


class ScicatWatchError(Exception):
    """Anything that scicat-watch itself reports."""


class ConfigError(ScicatWatchError):
    """A mistake in a file that an operator or curator wrote, with its place if it is known."""

    def __init__(self, message: str, file: Path | None = None, line: int | None = None) -> None:
        self.message, self.file, self.line = message, file, line
        place = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
        super().__init__(place + message)


class BeamtimeError(ScicatWatchError):
    """A beamtime metadata file that cannot be used; the beamtime waits until it is fixed."""


class ReadingError(ScicatWatchError):
    """The data files of a scan could not be read: damaged, vanished, too slow, or they killed their reader."""


class ReaderLost(ReadingError):
    """Reading a scan hung or ended the worker process: such a scan is read apart, and in the end quarantined."""


class StorageHangs(ReadingError):
    """Reading a scan hung, and so does the directory that it is in: the file system is at fault, and not the scan."""


class SourceError(ScicatWatchError):
    """A variable of a metadata schema could not be made."""


class MissingValue(SourceError):
    """The source of a variable has no such value."""


class AssemblyError(ScicatWatchError):
    """A scan's documents cannot be made: no schema fits, or a field that the catalogue demands has no value."""


class NameTaken(ScicatWatchError):
    """Another scan has the dataset of this scan's name, and keeps it; a person renames one of them."""


class CatalogueError(ScicatWatchError):
    """A request to the catalogue did not succeed; `status` is the HTTP status, None without an answer."""

    sent = True
    """Whether the request may have reached the catalogue; a write that did may have been done."""

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class Unavailable(CatalogueError):
    """The catalogue does not answer, or says that it cannot now (429, 5xx): worth asking again later."""


class NotLoggedIn(Unavailable):
    """The catalogue does not accept our account: no request would succeed, and all work can wait."""

    sent = False


class LoginUnanswered(Unavailable):
    """The login had no usable answer, so that the request proper was not sent: no scan is at fault."""

    sent = False


class NotScicat(Unavailable):
    """Something before SciCat answered in its place, with a page or a redirect: probably nobody gets through."""


class Refused(CatalogueError):
    """The catalogue answered no (any other 4xx): asking again with the same words has no effect."""
