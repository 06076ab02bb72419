"""Whether a configuration can work here: schemas, directories, credentials, catalogue."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.discovery.events.filesystems import lacks_notifications
from scicat_watch.errors import CatalogueError, ConfigError, NotLoggedIn, NotScicat, Unavailable
from scicat_watch.pipeline import plugins
from scicat_watch.pipeline.assembly import schemas
from scicat_watch.pipeline.reading import sandbox
from scicat_watch.service.answering import named_directories, needed
from scicat_watch.settings.model import Settings

_LITTLE = 1 << 20
"""Bytes that the state directory must have room for: a small journal has no more."""


@dataclass(slots=True)
class CheckReport:
    """What a check found."""

    mistakes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unreachable: str = ""
    """Why the catalogue does not answer; empty if it does, or was not asked."""
    open: bool = False
    """Whether something could not be found out, as a remark says."""


def examine(settings: Settings, *, ask: bool) -> CheckReport:
    """Check everything that `settings` name; `ask`: also log in to the catalogue."""
    findings = CheckReport()
    _schemas(settings, findings)
    _directories(settings, findings)
    with needed(settings.var_dir):
        _state(settings.var_dir, findings)
    findings.remarks += sandbox.gaps()
    if settings.catalogue.url is not None:
        _credentials(settings, findings)
        if ask and not findings.mistakes:
            _catalogue(settings, findings)
    return findings


def examine_schemas(place: Path | None) -> CheckReport:
    """Check the metadata schemas of a directory, or one file; None: those that are shipped."""
    findings = CheckReport()
    with needed(place or Path(__file__).parent):
        known, found = schemas.check(place)
    findings.mistakes += [str(problem) for problem in known.problems]
    findings.mistakes += [str(finding) for finding in found if finding.mistake]
    findings.mistakes += [f"plug-in: {problem}" for problem in _plugins()]
    findings.remarks += [*known.passed_over, *(str(finding) for finding in found if not finding.mistake)]
    if not known.schemas and not known.problems:
        findings.mistakes.append(f"{place}: there is no usable metadata schema (*.imsc.yml)")
    return findings


def _plugins() -> list[str]:
    """What is wrong with what other packages bring."""
    problems = schemas.plugin_problems()
    if plugins.installed(plugins.READERS):
        from scicat_watch.pipeline.reading.choose import READERS  # Brings h5py along.

        problems += READERS.problems()
    return problems


def _schemas(settings: Settings, findings: CheckReport) -> None:
    found = examine_schemas(settings.schemas.directory)
    findings.mistakes += found.mistakes
    findings.remarks += found.remarks


def _directories(settings: Settings, findings: CheckReport) -> None:
    named = (*settings.beamtimes.directories, *settings.beamtimes.base_directories)
    if not named:
        findings.remarks.append("no beamtime directories are set; name them on the command line")
    for path in named:
        _directory(path, settings, findings)
    for path in named_directories(settings.beamtimes.rules()):
        try:
            with needed(path):
                found = beamtimes.find(path, settings.beamtimes.rules())
        except OSError:
            continue  # Said above.
        findings.mistakes += [one.reason for one in found if isinstance(one, BrokenBeamtime)]


def _directory(path: Path, settings: Settings, findings: CheckReport) -> None:
    with needed(path):
        if not path.is_dir():
            findings.remarks.append(f"{path}: is not there yet; it is watched once it comes")
        elif not os.access(path, os.R_OK | os.X_OK):
            findings.mistakes.append(f"{path}: this account may not read it")
        elif lacks_notifications(path):
            interval = settings.watching.poll_interval
            remark = f"its file system sends no change notifications; full rescan every {interval:g} s"
            findings.remarks.append(f"{path}: {remark}")


def _state(var_dir: Path, findings: CheckReport) -> None:
    above = next((path for path in (var_dir, *var_dir.parents) if path.exists()), var_dir)
    if not os.access(above, os.W_OK | os.X_OK):
        findings.mistakes.append(f"var_dir {var_dir}: this account cannot write to it, or it is read-only")
    elif fault := _fault_of_writing(above):
        findings.mistakes.append(f"var_dir {var_dir}: nothing can be stored there: {fault}")
    elif lacks_notifications(above):
        findings.remarks.append(f"var_dir {var_dir}: is on a network file system; SQLite wants a local disk")


def _fault_of_writing(directory: Path) -> str:
    """Why not even a little can be stored in a directory; empty if it can. Nothing stays there."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(_LITTLE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _credentials(settings: Settings, findings: CheckReport) -> None:
    from scicat_watch.catalogue.login import read_credentials

    file = settings.catalogue.credential_file
    try:
        with needed(file or Path()):
            read_credentials(settings.catalogue.login())
            open_to_others = file is not None and file.stat().st_mode & 0o077
    except ConfigError as error:
        findings.mistakes.append(str(error))
        return
    if open_to_others:
        findings.remarks.append(f"{file}: others may read it; chmod 600 keeps the secret")


def _catalogue(settings: Settings, findings: CheckReport) -> None:
    from scicat_watch.clock import SystemClock
    from scicat_watch.service.checkrights import examine_rights
    from scicat_watch.service.site import find_catalogue

    try:
        _, publisher = find_catalogue(settings, SystemClock())
        if publisher is not None:
            with closing(publisher):
                publisher.ping(login=True)
                usable = schemas.load(settings.schemas.directory).schemas
                known = examine_rights(settings, usable, publisher, findings.mistakes, findings.remarks)
                findings.open = not known
    except (NotLoggedIn, NotScicat) as error:
        findings.mistakes.append(f"catalogue: {error}")
    except Unavailable as error:
        findings.unreachable = str(error)
    except (CatalogueError, ConfigError) as error:
        findings.mistakes.append(f"catalogue: {error}")
