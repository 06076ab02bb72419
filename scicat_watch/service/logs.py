"""The log: one line for each thing done to a scan, to standard error and to a file if one is set."""

from __future__ import annotations

import logging
import shutil
import sys
from typing import TYPE_CHECKING

from scicat_watch.errors import ConfigError
from scicat_watch.service.answering import needed
from scicat_watch.words import printable, wrapped

if TYPE_CHECKING:
    from scicat_watch.settings.model import LoggingSection

_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
_TIMES = "%Y-%m-%d %H:%M:%S"
_LARGEST = 10_000_000


class OneLine(logging.Formatter):
    """A record is one line: what a file or server said cannot look like a line of ours."""

    def __init__(self, form: str, times: str | None = None, *, tracebacks: bool = True) -> None:
        """`tracebacks`: whether those keep their lines."""
        super().__init__(form, times)
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        text = super().format(record)
        return text if record.exc_info and self._tracebacks else printable(text.replace("\n", " | "))


class Fitted(OneLine):
    """The same on a terminal: what does not fit is indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines."""
        text = super().format(record)
        return text if record.exc_info else wrapped(text, shutil.get_terminal_size().columns, 4)


def set_up(settings: LoggingSection, level: str | None = None, *, said_later: bool = False) -> None:
    """Begin to log; `level` overrules the configuration. `ConfigError` if the log file cannot be written.

    `said_later`: scans that fail are named at the end by whoever calls, and not on standard error before.
    """
    console = logging.StreamHandler(sys.stderr)
    if said_later:
        console.addFilter(lambda record: not hasattr(record, "scan_failed"))
    handlers: list[logging.Handler] = [console]
    if settings.file is not None:
        from logging.handlers import RotatingFileHandler

        try:
            with needed(settings.file):
                settings.file.parent.mkdir(parents=True, exist_ok=True)
                handlers.append(RotatingFileHandler(settings.file, maxBytes=_LARGEST, backupCount=5))
        except OSError as error:
            raise ConfigError(f"the log file cannot be written: {error.strerror}", settings.file) from None
    for handler in handlers:
        form = Fitted if handler is console and sys.stderr.isatty() else OneLine
        handler.setFormatter(form(_FORMAT, _TIMES))
    logging.basicConfig(level=(level or settings.level).upper(), handlers=handlers, force=True)
    for chatty in ("urllib3", "filelock", "matplotlib", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("watchdog").setLevel(logging.ERROR)  # Of lost events and limits we say more than it does.
    logging.captureWarnings(True)
