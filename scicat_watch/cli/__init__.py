"""The command line: one verb per file, each loaded only when it is called.

Exit status of every verb: 0 all done; 1 something failed, and it was said which; 2 wrong usage or
configuration; 3 the catalogue is unreachable. The commands of ESS's name (`compat.ess`) have their own,
and none of the libraries that the verbs need.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any


def __getattr__(name: str) -> Any:
    """`cli`, the group of all verbs, and `VERBS`: loaded when somebody asks, as not every command needs them."""
    if name not in ("cli", "VERBS"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scicat_watch.cli import group

    return getattr(group, name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors of ours become a message and an exit status."""
    from scicat_watch.cli.group import cli
    from scicat_watch.errors import CatalogueError, ConfigError, ScicatWatchError, Unavailable

    keywords: dict[str, Any] = {"prog_name": "scicat-watch"}
    try:
        cli.main(arguments, **keywords)
    except ConfigError as error:
        _complain(error, 2)
    except Unavailable as error:
        _complain(error, 3)
    except (CatalogueError, ScicatWatchError) as error:
        _complain(error, 1)


def _complain(error: Exception, status: int) -> None:
    import click

    click.echo(f"scicat-watch: {error}", err=True)
    sys.exit(status)
