"""The embedded catalogue as a process of its own, kept running for as long as we need it.

A catalogue that another scicat-watch of the same state directory has running is used instead: a
one-time ingest beside the daemon writes into the same catalogue. When that ends, one is started here.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from scicat_watch.catalogue.options import CatalogueOptions, LoginOptions
from scicat_watch.errors import ConfigError, ScicatWatchError
from scicat_watch.files import replace
from scicat_watch.service.control.client import connect
from scicat_watch.settings.model import Settings

log = logging.getLogger(__name__)

_ACCOUNT = "ingestor"
_CREDENTIALS = "catalogue-credentials.json"
_START = 120.0  # Seconds that the catalogue may take to start; a busy machine takes its time.
_START_PER_BYTE = 1e-6  # More seconds: a database is read whole, and that of an older version is converted.
_RESTART_AFTER = 2.0
_LISTENS_WITHIN = 5.0


class CatalogueProcess:
    """The embedded catalogue of one state directory."""

    def __init__(self, settings: Settings, answers: Callable[[CatalogueOptions], bool]) -> None:
        """`answers` says whether a catalogue answers and knows our account."""
        self._settings, self._answers = settings, answers
        self._serve = settings.serve_options()
        self._child: subprocess.Popen[str] | None = None
        self._closing = threading.Event()
        self._port = settings.embedded.port
        self.url = ""
        """Address of its page, e.g. "http://127.0.0.1:8085"; empty before `start`."""

    def start(self) -> CatalogueOptions:
        """Start the catalogue, or find it running; how to reach it. `ConfigError` if neither is possible.

        If nobody has chosen the port and it is in use, another one is taken.
        """
        options = self._of_daemon() or self._started()
        threading.Thread(target=self._keep, name="embedded catalogue", daemon=True).start()
        return options

    def find(self) -> CatalogueOptions | None:
        """How to reach the catalogue if it is running and ours; it is not started. Our account logs in to see."""
        return self._of_daemon() or (self._running(self._port) if self._port else None)

    def close(self) -> None:
        """End the catalogue if it is ours."""
        self._closing.set()
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout=6)
            except subprocess.TimeoutExpired:
                self._child.kill()

    def _started(self) -> CatalogueOptions:
        chosen = "port" in self._settings.embedded.model_fields_set
        if not chosen and _listens(self._serve.host, self._port):
            if (found := self._running(self._port)) is not None:
                return found
            log.warning("port %d is in use by another program: a free one is taken", self._port)
            self._port = 0
        try:
            self._spawn()
        except ScicatWatchError as error:
            found = self._running(self._port) if self._port else None
            if found is None:
                raise ConfigError(str(error)) from None
            return found
        return self._reached(self.url)

    def _spawn(self) -> None:
        serve = self._serve
        command = [
            sys.executable, "-m", "scicat_watch", "catalogue", "--host", serve.host, "--port", str(self._port),
            "--database", str(serve.database), "--accounts", str(serve.accounts),
            "--pid-prefix", serve.pid_prefix, "--as-child",
            "--var-dir", str(self._settings.var_dir),
        ]  # fmt: skip
        command += ["--public", serve.public] if serve.public else []
        # It ends when its standard input does, so it never outlives us, however we end.
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        address = _first_line(child, start_limit(serve.database))
        if not address.startswith("http"):
            child.terminate()
            raise ScicatWatchError(
                f"the embedded catalogue could not be started at {serve.host}:{self._port}; "
                "the reason stands above. If another program has the port, choose one with --port or embedded.port"
            )
        self._child, self.url = child, address
        self._port = int(address.rstrip("/").rpartition(":")[2])

    def _keep(self) -> None:
        """Start the catalogue again when it has ended, whoever had started it."""
        while True:
            status = self._child.wait() if self._child is not None else None
            if self._closing.wait(_RESTART_AFTER):
                return
            if status is None and _listens(self._serve.host, self._port):
                continue  # It is another one's, and still there.
            # What ended in an orderly way has said why.
            level = logging.INFO if status == 0 else logging.ERROR
            log.log(level, "the embedded catalogue has ended (status %s); starting it again", status)
            try:
                self._spawn()
            except ScicatWatchError as error:
                log.error("%s", error)

    def _reached(self, url: str) -> CatalogueOptions:
        accounts = self._serve.accounts
        secret = json.dumps({"username": _ACCOUNT, "password": _password(accounts)})
        # A state directory that is full or read-only stops no work: the catalogue's files may be on another disk.
        credentials = _written(secret, self._settings.var_dir / _CREDENTIALS, accounts.with_name(_CREDENTIALS))
        known = self._settings.catalogue.options(f"{url}/api/v3")
        http = dataclasses.replace(known.http, embedded=True)
        return dataclasses.replace(known, http=http, login=LoginOptions(_ACCOUNT, credentials))

    def _of_daemon(self) -> CatalogueOptions | None:
        """How to reach the catalogue of the running daemon, which need not be at the configured port."""
        try:
            if (control := connect(self._settings.var_dir)) is None:
                return None
            with control:
                daemon = control.ask("status")["state"]["daemon"]
        except ScicatWatchError:
            return None
        address = urlsplit(daemon["catalogue"] if daemon else "")
        if address.hostname != self._serve.host or address.port is None:
            return None  # It works with another catalogue.
        return self._running(address.port)

    def _running(self, port: int) -> CatalogueOptions | None:
        """How to reach a catalogue that is there already, if it knows our account."""
        url = f"http://{self._serve.host}:{port}"
        try:
            reached = self._reached(url)
        except (ConfigError, OSError):
            return None
        if not self._answers(reached):
            return None
        self._port, self.url = port, url
        log.info("using the embedded catalogue that runs at %s", self.url)
        return reached


def _listens(host: str, port: int) -> bool:
    """Whether a program listens at a port."""
    try:
        socket.create_connection((host, port), _LISTENS_WITHIN).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return True


def _password(accounts: Path) -> str:
    try:
        known = json.loads(accounts.read_text(encoding="utf-8"))["accounts"]
        return next(str(account["password"]) for account in known if account["username"] == _ACCOUNT)
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        raise ConfigError(f"no account {_ACCOUNT!r} in it, which the daemon logs in with", accounts) from None


def _written(secret: str, *files: Path) -> Path:
    """The first of these files that can hold a secret; `ConfigError` if none can."""
    reasons = []
    for file in files:
        try:
            if not file.exists() or file.read_text(encoding="utf-8") != secret:
                replace(file, secret, mode=0o600)
        except OSError as error:
            reasons.append(f"{file} cannot be written: {error.strerror}")
        else:
            return file
    raise ConfigError(f"the embedded catalogue cannot be used: {'; '.join(dict.fromkeys(reasons))}")


def start_limit(database: Path) -> float:
    """Seconds that the catalogue may take to start with this database."""
    size = database.stat().st_size if database.exists() else 0
    return _START + size * _START_PER_BYTE


def _first_line(child: subprocess.Popen[str], seconds: float) -> str:
    """The first line that a child prints; empty if it ends, or does not print one in time."""
    found: list[str] = []
    stdout = child.stdout
    if stdout is None:
        return ""
    reader = threading.Thread(target=lambda: found.append(stdout.readline()), daemon=True)
    reader.start()
    reader.join(seconds)
    return found[0].strip() if found else ""
