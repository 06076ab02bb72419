"""Where the log of ESS's commands goes."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scicat_watch.compat.ess import logs
from scicat_watch.compat.ess.settings import EssLogging

NOW = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """The log of the tests comes back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)


@pytest.mark.parametrize("facility", ["mail", "local0"])
def test_the_facility_of_the_system_log_has_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facility: str
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system_log:
        system_log.bind(str(tmp_path / "log"))
        system_log.settimeout(120)
        monkeypatch.setattr(logs, "_SYSTEM_LOG", tmp_path / "log")
        logs.set_up(EssLogging(system_log=True, system_log_facility=facility), NOW)
        logging.getLogger("scicat_watch").warning("hello")
        user, warning = 1, 4  # RFC 5424: the priority is facility * 8 + severity.
        assert system_log.recv(1000).startswith(b"<%d>scicat_watch WARNING hello" % (user * 8 + warning))


def test_a_host_without_a_system_log_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logs, "_SYSTEM_LOG", tmp_path / "log")
    logs.set_up(EssLogging(system_log=True), NOW)
    assert "logging.system_log has no effect" in capsys.readouterr().err


def test_nothing_that_a_file_says_looks_like_a_line_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(EssLogging(verbose=True), NOW)
    try:
        raise ValueError("one\ntwo \x1b[31m")
    except ValueError:
        logging.getLogger("scicat_watch").exception("a title\n2026-05-04 INFO all is well")
    (line,) = capsys.readouterr().out.splitlines()
    assert "a title | 2026-05-04 INFO all is well | Traceback" in line
    assert "\x1b" not in line
