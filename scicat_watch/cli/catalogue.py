"""`scicat-watch catalogue`, and `export`, `import`, `push` below it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from scicat_watch import kernel
from scicat_watch.cli.lines import on_terminal, say
from scicat_watch.cli.options import PATH, configured, settings_from
from scicat_watch.files import replacing
from scicat_watch.words import counted

if TYPE_CHECKING:
    from scicat_watch.service.transfer import Summary
    from scicat_watch.settings.model import Settings


@click.group("catalogue", invoke_without_command=True)
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
    """Serve the embedded catalogue without the daemon: SciCat's REST API (v3 and v4) and web pages.

    Its subcommands carry catalogues, the embedded one or another, to files and to other catalogues.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from scicat_watch.service import logs, serving
    from scicat_watch.service.answering import ATTENDANT

    given = {name: str(value) if isinstance(value, Path) else value for name, value in embedded.items()}
    found: list[Settings] = []

    def prepare() -> None:
        chosen = {name: value for name, value in given.items() if value is not None}
        found.append(settings := settings_from(config, var_dir, embedded=chosen))
        logs.set_up(settings.logging, log_level or ("warning" if as_child else "info"))
        serving.prepare(settings)

    ATTENDANT.attend(prepare)  # Only until its files have answered: the server needs the main thread.
    settings = found[0]
    if as_child:
        # A daemon that was killed may keep our input open, as long as a thread of it waits for a file system.
        kernel.end_with(os.getppid(), signal.SIGTERM)
        threading.Thread(target=_end_with_input, daemon=True).start()
    said = "" if as_child else "scicat-watch: catalogue at "
    serving.serve(settings, lambda url: click.echo(f"{said}{url}"), ours=as_child or embedded["database"] is None)


@command.command("export", short_help="Write the catalogue as JSON lines.")
@click.argument("file", type=PATH, default="-")
@configured
def export(file: Path, config: Path | None, var_dir: Path | None, log_level: str | None) -> None:
    """Write instruments, proposals, samples and datasets with their file lists and thumbnails to FILE, as JSON lines.

    The catalogue is the configured one, or the embedded one. Without FILE they go to standard output. A FILE that is
    there is replaced when all is written.
    """
    from scicat_watch.service.moving import exported

    count = 0
    # What is no file, such as a pipe, cannot be replaced by one.
    whole = str(file) != "-" and (file.is_file() or not file.exists())
    try:
        with replacing(file.resolve()) if whole else click.open_file(str(file), "w", encoding="utf-8") as out:
            for line in exported(_settings(config, var_dir, log_level), _progress):
                out.write(f"{line}\n")
                count += 1
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror or error}") from None
    _end_progress()
    say(f"{counted(count, 'record')} written to {'standard output' if str(file) == '-' else file}", err=True)


@command.command("import", short_help="Read JSON lines into the catalogue.")
@click.argument("file", type=click.File("rb"))
@configured
def import_(file: IO[bytes], config: Path | None, var_dir: Path | None, log_level: str | None) -> None:
    """Bring the records in FILE, as `export` writes them, into the catalogue. Safe to repeat.

    Lines that cannot be used are reported, and the others imported. Exit status: 0 all are there, 1 some were refused,
    3 the catalogue is unreachable.
    """
    from scicat_watch.service.moving import imported

    _conclude(imported(_settings(config, var_dir, log_level), file, _progress))


@command.command("push", short_help="Bring the catalogue's records into another one.")
@click.option("--to", "target", type=PATH, required=True, help="Configuration file whose catalogue gets the records.")
@configured
def push(target: Path, config: Path | None, var_dir: Path | None, log_level: str | None) -> None:
    """Bring instruments, proposals, samples and datasets into the catalogue of another configuration. Safe to repeat.

    Datasets get the `catalogue.pid_prefix` of that configuration, and what refers to them or to instruments follows.
    What is there already is compared, and brought up to date as `catalogue.update` of that configuration says.
    Exit status: 0 all are there, 1 some were refused, 3 one of the catalogues is unreachable.
    """
    from scicat_watch.service.moving import pushed

    source = _settings(config, var_dir, log_level)
    _conclude(pushed(source, settings_from(target, None), _progress))


def _settings(config: Path | None, var_dir: Path | None, log_level: str | None) -> Settings:
    from scicat_watch.service import logs

    settings = settings_from(config, var_dir)
    logs.set_up(settings.logging, log_level or "warning")
    return settings


def _progress(done: int, total: int) -> None:
    """One line for each hundred records, and on a terminal one that counts."""
    text = f"{done} of {total}" if total else str(done)
    if on_terminal(err=True):
        click.echo(f"\r{text} ", err=True, nl=False)
    elif done % 100 == 0:
        click.echo(text, err=True)


def _end_progress() -> None:
    if on_terminal(err=True):
        click.echo("\r", err=True, nl=False)


def _conclude(summary: Summary) -> None:
    _end_progress()
    for name, why in summary.failures:
        say(f"failed {name}: {why}", err=True)
    counts = {str(status): count for status, count in summary.counts.items()}
    say(", ".join(f"{counts[status]} {status}" for status in ("created", "updated", "unchanged", "failed")))
    if summary.unreachable:
        say(f"catalogue unreachable: {summary.unreachable}", err=True)
        say("the rest was not tried; run the command again to go on, what is there already is not made twice", err=True)
        sys.exit(3)
    if summary.failures:
        sys.exit(1)


def _end_with_input() -> None:
    # Not through sys.stdin: a thread that waits in its buffer would block the interpreter at exit.
    while os.read(0, 1 << 16):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
