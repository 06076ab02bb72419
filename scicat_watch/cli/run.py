"""`scicat-watch run`."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from scicat_watch.cli.options import PATH, configured, settings_from
from scicat_watch.errors import ConfigError
from scicat_watch.settings.model import Settings


@click.command("run")
@click.argument("directories", nargs=-1, type=PATH, metavar="[DIR]...")
@configured
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the embedded catalogue; 0 selects a free port.")
def command(
    directories: tuple[Path, ...], config: Path | None, var_dir: Path | None, log_level: str | None, port: int | None
) -> None:
    """Watch beamtimes and ingest their scans, until stopped.

    Each DIR is a beamtime directory; without DIR those of the configuration are watched. Without a
    configuration the datasets go to the embedded catalogue, whose address is printed.
    """
    beamtimes = {"directories": [str(directory.absolute()) for directory in directories]} if directories else {}

    def read() -> Settings:
        read = settings_from(config, var_dir, beamtimes=beamtimes, embedded={} if port is None else {"port": port})
        if not read.beamtimes.directories and not read.beamtimes.base_directories:
            message = "nothing to watch: name a directory, or set beamtimes.directories in a configuration (-c)"
            raise ConfigError(message)
        return read

    settings = read()

    from scicat_watch.service import logs
    from scicat_watch.service.answering import needed
    from scicat_watch.service.daemon.alone import alone
    from scicat_watch.service.daemon.search import may_hang

    for directory in directories:
        with needed(directory):
            if not may_hang(directory) and not directory.is_dir():
                raise ConfigError("no such directory", directory)
    logs.set_up(settings.logging, log_level)
    with alone(settings.var_dir):
        # Loaded only by the daemon.
        from scicat_watch.service.daemon import daemon
        from scicat_watch.service.reload import Configuration
        from scicat_watch.service.site import Site

        site = Site(settings, threading.Event())
        where = f"{site.page}  (embedded catalogue, data in {settings.var_dir})" if site.page else site.catalogue_url
        daemon.run(site, Configuration(read, log_level), ready=lambda: click.echo(f"scicat-watch: datasets at {where}"))
