"""The command line: one command per file, each loaded only when it is called.

Exit status of every command: 0 all done; 1 something failed, and the output says what; 2 wrong usage or
configuration; 3 the catalogue is unreachable. The commands with ESS's names (`compat.ess`) have their own
exit statuses, and load none of the libraries that these need.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Any


def __getattr__(name: str) -> Any:
    """`cli`, the group of all commands, and `VERBS`, loaded on first use: ESS's commands do not need them."""
    if name not in ("cli", "VERBS"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scicat_watch.cli import group

    return getattr(group, name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a `ScicatWatchError` becomes a message and an exit status."""
    given = sys.argv[1:] if arguments is None else []
    if arguments is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until somebody hears it, Ctrl-C ends the process without a word, and not with Python's account of what it did.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if given and "--as-child" not in given:
        if given[0] == "run":
            # It asks a daemon to read its configuration again; one that only starts has just read it.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        from scicat_watch.service.daemon import guard

        guard.guard()
    if given and not _serves(given):
        _attended(given)
    else:
        _run(arguments)


def _serves(arguments: Sequence[str]) -> bool:
    """Whether the command serves the embedded catalogue, whose server needs the main thread."""
    return arguments[0] == "catalogue" and not {"export", "import", "push"} & set(arguments)


def _attended(arguments: Sequence[str]) -> None:
    """Run it in a thread of its own, so that it ends whatever hangs."""
    from scicat_watch.service.answering import ATTENDANT

    ATTENDANT.attend(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> None:
    from scicat_watch.cli.group import cli
    from scicat_watch.errors import ConfigError, ScicatWatchError, Unavailable

    keywords: dict[str, Any] = {"prog_name": "scicat-watch"}
    try:
        cli.main(arguments, **keywords)
    except ConfigError as error:
        _fail(error, 2)
    except Unavailable as error:
        _fail(error, 3)
    except ScicatWatchError as error:
        _fail(error, 1)


def _fail(error: Exception, status: int) -> None:
    from scicat_watch.cli.lines import say

    for line in f"scicat-watch: {error}".split("\n"):
        say(line, err=True)
    sys.exit(status)
