"""The log of ESS's drop-in commands, where ESS's `logging` section wants it.

Nothing that a data file or a server said can look like a line of ours: a message is one line.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path

from scicat_watch.compat.ess.settings import EssLogging
from scicat_watch.errors import ConfigError
from scicat_watch.service.logs import OneLine

_SYSTEM_LOG = Path("/dev/log")
_SYSLOG_LEVELS = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


class Gelf(logging.Handler):
    """Sends messages to a Graylog server: one compressed JSON object in a datagram each (GELF 1.1)."""

    def __init__(self, host: str, port: int, facility: str) -> None:
        super().__init__()
        self._address, self._facility = (host, port), facility

    def emit(self, record: logging.LogRecord) -> None:
        """Send one message; if that fails the others go on."""
        message = {
            "version": "1.1",
            "host": socket.gethostname(),
            "short_message": self.format(record),
            "timestamp": record.created,
            "level": _SYSLOG_LEVELS.get(record.levelno, 6),
            "_facility": self._facility,
            "_logger": record.name,
        }
        try:
            found = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)
            with socket.socket(found[0][0], socket.SOCK_DGRAM) as sender:
                sender.sendto(zlib.compress(json.dumps(message).encode()), found[0][4])
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is that of `logging`
        """A log that cannot be reached must not stop an ingestion, nor fill standard error."""


def set_up(settings: EssLogging, now: datetime) -> None:
    """Begin to log. `ConfigError` if a log that is asked for cannot be had."""
    outputs: list[logging.Handler] = []
    if settings.verbose:
        outputs.append(_formatted(logging.StreamHandler(sys.stdout), "%(asctime)s %(levelname)-8s %(message)s"))
    if settings.file_log:
        prefix = settings.log_message_prefix.replace("%", "%%")
        form = f"{prefix} - %(asctime)s - %(name)s - %(levelname)s - %(message)s"
        outputs.append(_formatted(_file(settings, now), form))
    if settings.graylog:
        outputs.append(_formatted(_graylog(settings), "%(message)s"))
    missing = ""
    if settings.system_log:
        if _SYSTEM_LOG.exists():
            outputs.append(_formatted(_system_log(), "%(name)s %(levelname)s %(message)s"))
        else:
            missing = f"there is no {_SYSTEM_LOG} on this host: logging.system_log has no effect"
    level = logging.getLevelName(settings.logging_level)
    if not outputs:
        outputs.append(_formatted(logging.StreamHandler(sys.stderr), "%(message)s"))
        level = max(level, logging.WARNING)
    logging.basicConfig(level=level, handlers=outputs, force=True)
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    if missing:
        logging.getLogger(__name__).warning("%s", missing)


def _formatted(handler: logging.Handler, form: str) -> logging.Handler:
    handler.setFormatter(OneLine(form, tracebacks=False))
    return handler


def _file(settings: EssLogging, now: datetime) -> logging.Handler:
    time = f"{now.astimezone(UTC):%Y%m%d%H%M%S%f}_" if settings.file_log_timestamp else ""
    path = Path(f"{settings.file_log_base_name}_{time}.log")
    try:
        return logging.FileHandler(path, mode="w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the log file cannot be written: {error.strerror}", path) from None


def _graylog(settings: EssLogging) -> logging.Handler:
    if not settings.graylog_host or not settings.graylog_port.isdecimal() or not 0 < int(settings.graylog_port) < 65536:
        raise ConfigError("logging.graylog is on, but graylog_host and graylog_port do not name a server")
    return Gelf(settings.graylog_host, int(settings.graylog_port), settings.graylog_facility)


def _system_log() -> logging.Handler:
    from logging.handlers import SysLogHandler

    return SysLogHandler(str(_SYSTEM_LOG))
