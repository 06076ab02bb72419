"""The command line: one command per file, each loaded only when it is called.

Exit status of every command: 0 all done; 1 something failed, and the output says what; 2 wrong usage or
configuration; 3 the catalogue is unreachable. The commands with ESS's names (`compat.ess`) have their own
exit statuses, and load none of the libraries that these need.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

_GUARDED = frozenset({"config", "ingest", "pause", "preview", "rescan", "resume"})
"""Commands that use directories of beamtimes; the daemon's guards itself."""


def __getattr__(name: str) -> Any:
    """`cli`, the group of all commands, and `VERBS`, loaded on first use: ESS's commands do not need them."""
    if name not in ("cli", "VERBS"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scicat_watch.cli import group

    return getattr(group, name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a `ScicatWatchError` becomes a message and an exit status."""
    if arguments is None:
        _guard(*sys.argv[1:2])
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


def _guard(verb: str = "") -> None:
    """Go on in a child process if the command of this name uses directories that may not answer."""
    if verb in _GUARDED:
        from scicat_watch.service.daemon import guard

        guard.guard(guard.ENDS_WITHIN if verb == "ingest" else guard.COMMAND_ENDS_WITHIN, stuck=1)


def _fail(error: Exception, status: int) -> None:
    import click

    click.echo(f"scicat-watch: {error}", err=True)
    sys.exit(status)
