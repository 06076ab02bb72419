"""Which directories are beamtimes, and what their metadata files say (fields: DESY's `beamtime-metadata-*.json`)."""

from __future__ import annotations

import json
import pwd
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scicat_watch.discovery.rules import BeamtimeRules
from scicat_watch.errors import BeamtimeError
from scicat_watch.files import Roots, plain, read_ordinary
from scicat_watch.model import Beamtime, FileState

_LARGEST = 4 << 20  # A metadata file has some kilobytes; more than this is another file.


@dataclass(frozen=True, slots=True)
class BrokenBeamtime:
    """A metadata file that cannot be used, and why."""

    file: Path
    reason: str
    state: FileState | None = None
    """What the file was like before it was read; None if that cannot be said."""


def directories(rules: BeamtimeRules, entered: Callable[[Path], None] = lambda path: None) -> Iterator[Path]:
    """The beamtime directories that the configuration names, those below base directories included, each once.

    `entered` is called with each directory before its file system is asked.
    """
    seen: set[Path] = set()
    named = [plain(path) for path in rules.directories]
    for base in rules.base_directories:
        for path in below(base, entered):
            entered(path)
            named += [path] if metadata_files(path, rules) else []
    for path in named:
        if path not in seen:
            seen.add(path)
            yield path


def below(base: Path, entered: Callable[[Path], None] = lambda path: None) -> list[Path]:
    """What is in a base directory; nothing if it is not there, as it may come later, or come back."""
    entered(base)
    try:
        return sorted(path for path in plain(base).iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def metadata_files(directory: Path, rules: BeamtimeRules) -> list[Path]:
    """The metadata files in a directory, by name; none if it cannot be read, or is no directory."""
    prefix, suffix = rules.file_prefix, rules.file_suffix
    try:
        names = [path for path in directory.iterdir() if path.name.startswith(prefix) and path.name.endswith(suffix)]
    except OSError:
        return []
    return sorted(names)


def find(directory: Path, rules: BeamtimeRules) -> list[Beamtime | BrokenBeamtime]:
    """The beamtimes of a directory; one that is generated if it has no metadata file.

    Private and skipped beamtimes are left out. OSError if the directory cannot be read.
    """
    next(directory.iterdir(), None)
    files = metadata_files(directory, rules)
    if not files:
        return [generated(directory)]
    found: list[Beamtime | BrokenBeamtime] = []
    for file in files:
        state = _state(file)
        try:
            beamtime = read(file)
        except BeamtimeError as error:
            found.append(BrokenBeamtime(file, str(error), state))
            continue
        if beamtime.metadata.get("proposalType") in rules.skipped_types or beamtime.id in rules.skipped_ids:
            continue
        found.append(beamtime)
    return found


def read(file: Path) -> Beamtime:
    """The beamtime of one metadata file; its id is the `beamtimeId` inside, whatever the file is called.

    Raises `BeamtimeError` if the file cannot be read, is a link that leads out of its directory, is not a JSON object,
    or has no usable id.
    """
    try:
        data: Any = json.loads(read_ordinary(file, _LARGEST, roots=Roots([file.parent])).decode("utf-8-sig"))
    except OSError as error:
        raise BeamtimeError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BeamtimeError(f"{file}: is not JSON, so it has to be corrected: {error}") from error
    if not isinstance(data, dict):
        raise BeamtimeError(f"{file}: is not a JSON object with the beamtime's fields")
    beamtime = data.get("beamtimeId")
    if isinstance(beamtime, int) and not isinstance(beamtime, bool):
        beamtime = str(beamtime)
    if not isinstance(beamtime, str) or not beamtime.strip():
        raise BeamtimeError(f"{file}: has no 'beamtimeId'; it names every dataset of the beamtime")
    if not _usable_id(beamtime):
        raise BeamtimeError(f"{file}: 'beamtimeId' {beamtime!r} cannot be a part of file names and dataset ids")
    return Beamtime(beamtime, file.parent.absolute(), data, file.absolute())


def generated(directory: Path) -> Beamtime:
    """A beamtime for a directory without a metadata file, from its name, its owner and its times."""
    status = directory.stat()
    name = generated_id(directory)
    changed = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds")
    person = _person(status.st_uid)
    metadata: Mapping[str, Any] = {
        "beamtimeId": name,
        "proposalId": name,
        "title": f"Scans in {directory.name or directory}",
        "corePath": str(directory),
        "facility": "",
        "beamline": "",
        "beamlineAlias": "",
        "applicant": person,
        "leader": person,
        "pi": person,
        "eventStart": changed,
        "eventEnd": changed,
        "generated": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Beamtime(name, directory.absolute(), metadata)


def generated_id(directory: Path) -> str:
    """The id of the beamtime of a directory as long as it has no metadata file."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", directory.name).strip("-.")[:100] or "beamtime"


def expects_file(directory: Path, rules: BeamtimeRules) -> Path | None:
    """What in a directory without a metadata file shows that there will be one; None if nothing does. OSError."""
    own = generated_id(directory)
    for pattern in rules.expected_by:
        found = (path for path in directory.glob(pattern) if own not in path.name)
        if (first := next(found, None)) is not None:
            return first
    return None


def _state(file: Path) -> FileState | None:
    try:
        return FileState.of(file.stat())
    except OSError:
        return None


def _usable_id(text: str) -> bool:
    return bool(re.fullmatch(r"[\w.@+-]{1,100}", text)) and text not in (".", "..")


def _person(uid: int) -> dict[str, str]:
    try:
        entry = pwd.getpwuid(uid)
        username, full = entry.pw_name, entry.pw_gecos.split(",")[0].strip()
    except KeyError:
        username, full = f"uid-{uid}", ""
    first, _, last = (full or username).rpartition(" ")
    host = socket.gethostname()  # Not getfqdn: a name server that does not answer would hold us up.
    # SciCat takes only addresses with a dotted domain; "invalid" is the domain that is never anybody's (RFC 2606).
    domain = host if re.fullmatch(r"([A-Za-z0-9-]+\.)+[A-Za-z]{2,}", host) else "host.invalid"
    address = re.sub(r"[^A-Za-z0-9._+-]", "-", username)
    return {"firstname": first, "lastname": last, "username": username, "email": f"{address}@{domain}", "institute": ""}
