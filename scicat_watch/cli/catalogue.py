"""`scicat-watch catalogue`."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import click

from scicat_watch import kernel
from scicat_watch.cli.options import PATH, configured, settings_from


@click.command("catalogue")
@configured
@click.option("--host", help="Address to serve on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to serve on; 0 selects a free port.")
@click.option("--database", type=PATH, help="The SQLite file.")
@click.option("--accounts", type=PATH, help="JSON file with the accounts; created if it does not exist.")
@click.option(
    "--public",
    type=click.Choice(["datasets", "published", "nothing"]),
    help="What everybody may read without an account.",
)
@click.option("--pid-prefix", help="Prefix of the ids that the catalogue generates.")
@click.option("--as-child", is_flag=True, hidden=True, help="Stop at the end of standard input.")
def command(
    config: Path | None,
    var_dir: Path | None,
    log_level: str | None,
    as_child: bool,
    **embedded: str | int | Path | None,
) -> None:
    """Serve the embedded catalogue without the daemon: SciCat's REST API (v3 and v4) and web pages."""
    given = {name: str(value) if isinstance(value, Path) else value for name, value in embedded.items()}
    settings = settings_from(
        config, var_dir, embedded={name: value for name, value in given.items() if value is not None}
    )

    from scicat_watch.service import logs, serving

    logs.set_up(settings.logging, log_level or ("warning" if as_child else "info"))
    if as_child:
        # A daemon that was killed may keep our input open, as long as a thread of it waits for a file system.
        kernel.end_with(os.getppid(), signal.SIGTERM)
        threading.Thread(target=_end_with_input, daemon=True).start()
    serving.serve(settings, lambda url: click.echo(url if as_child else f"scicat-watch: catalogue at {url}"))


def _end_with_input() -> None:
    # Not through sys.stdin: a thread that waits in its buffer would block the interpreter at exit.
    while os.read(0, 1 << 16):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
