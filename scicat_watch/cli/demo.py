"""`scicat-watch demo`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import click

from scicat_watch.cli.options import PATH, settings_from


@click.command("demo")
@click.option("--every", default=3.0, show_default=True, type=click.FloatRange(min=0.05), help="Seconds per scan.")
@click.option("--scans", default=0, help="How many scans to write; 0: until stopped.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port of the catalogue. Default: 8085, or a free one if it is in use."
)
@click.option("--directory", type=PATH, help="Directory for all files, and keep it. Default: a temporary one.")
def command(every: float, scans: int, port: int | None, directory: Path | None) -> None:
    """Simulate a beamtime: a scan every few seconds, the daemon, and the embedded catalogue that shows the datasets."""
    with _place(directory) as place:
        beamtime = place / "beamtime"
        settings = settings_from(
            None,
            place / "var",
            beamtimes={"directories": [str(beamtime)]},
            watching={"ingestion_delay": 1.0},
            embedded={} if port is None else {"port": port},
        )
        beamtime.mkdir(parents=True, exist_ok=True)

        from scicat_watch.service import logs
        from scicat_watch.service.daemon import daemon
        from scicat_watch.service.site import Site

        logs.set_up(settings.logging, None)
        command = [sys.executable, "-m", "scicat_watch.service.simulator", str(beamtime)]
        command += ["--every", str(every), "--scans", str(scans)]
        simulator = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603
        try:
            site = Site(settings, threading.Event())
            click.echo(f"scicat-watch: a simulated beamtime in {beamtime}")
            click.echo(f"scicat-watch: datasets at {site.page}  (stop with Ctrl-C)")
            daemon.run(site)
        finally:
            simulator.terminate()
            simulator.wait()


@contextlib.contextmanager
def _place(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="scicat-watch-demo-", ignore_cleanup_errors=True) as place:
        yield Path(place)
