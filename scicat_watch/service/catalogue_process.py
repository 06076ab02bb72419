"""The embedded catalogue as a process of its own, kept running for as long as we need it.

A catalogue that another scicat-watch of the same state directory has running is used instead: a
one-shot beside the daemon writes into the same catalogue.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from scicat_watch.catalogue.options import CatalogueOptions, LoginOptions
from scicat_watch.errors import ConfigError, ScicatWatchError
from scicat_watch.files import replace
from scicat_watch.settings.model import Settings

log = logging.getLogger(__name__)

_ACCOUNT = "ingestor"
_START = 30.0  # Seconds that the catalogue may take to start.
_RESTART_AFTER = 2.0


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
        """Start the catalogue, or find it running; how to reach it. `ConfigError` if neither is possible."""
        try:
            self._spawn()
        except ScicatWatchError as error:
            found = self._running()
            if found is None:
                raise ConfigError(str(error)) from None
            log.info("using the embedded catalogue that runs at %s", self.url)
            return found
        threading.Thread(target=self._keep, name="embedded catalogue", daemon=True).start()
        return self._reached()

    def find(self) -> CatalogueOptions | None:
        """How to reach the catalogue if it is running and ours; it is not started. Our account logs in to see."""
        return self._running() if self._settings.embedded.port else None

    def close(self) -> None:
        """End the catalogue if it is ours."""
        self._closing.set()
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout=6)
            except subprocess.TimeoutExpired:
                self._child.kill()

    def _spawn(self) -> None:
        serve = self._serve
        command = [
            sys.executable, "-m", "scicat_watch", "catalogue", "--host", serve.host, "--port", str(self._port),
            "--database", str(serve.database), "--accounts", str(serve.accounts),
            "--pid-prefix", serve.pid_prefix, "--as-child",
            "--var-dir", str(self._settings.var_dir),
        ]  # fmt: skip
        # It ends when its standard input does, so it never outlives us, however we end.
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        address = _first_line(child, _START)
        if not address.startswith("http"):
            child.terminate()
            raise ScicatWatchError(
                f"the embedded catalogue could not be started at {serve.host}:{self._port}; "
                "the reason stands above. If another program has the port, choose one with embedded.port"
            )
        self._child, self.url = child, address
        self._port = int(address.rstrip("/").rpartition(":")[2])

    def _keep(self) -> None:
        while self._child is not None:
            status = self._child.wait()
            if self._closing.wait(_RESTART_AFTER):
                return
            log.error("the embedded catalogue ended with status %s; starting it again", status)
            try:
                self._spawn()
            except ScicatWatchError as error:
                log.error("%s", error)

    def _reached(self) -> CatalogueOptions:
        credentials = self._settings.var_dir / "catalogue-credentials.json"
        secret = json.dumps({"username": _ACCOUNT, "password": _password(self._serve.accounts)})
        if not credentials.exists() or credentials.read_text(encoding="utf-8") != secret:
            replace(credentials, secret, mode=0o600)
        known = self._settings.catalogue.options(f"{self.url}/api/v3")
        return dataclasses.replace(known, login=LoginOptions(_ACCOUNT, credentials))

    def _running(self) -> CatalogueOptions | None:
        """How to reach a catalogue that is there already, if it knows our account."""
        self.url = f"http://{self._serve.host}:{self._serve.port}"
        try:
            reached = self._reached()
        except (ConfigError, OSError):
            return None
        return reached if self._answers(reached) else None


def _password(accounts: Path) -> str:
    try:
        known = json.loads(accounts.read_text(encoding="utf-8"))["accounts"]
        return next(str(account["password"]) for account in known if account["username"] == _ACCOUNT)
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        raise ConfigError(f"no account {_ACCOUNT!r} in it, which the daemon logs in with", accounts) from None


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
