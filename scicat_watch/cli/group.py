"""The commands of `scicat-watch`, each loaded only when it is called."""

from __future__ import annotations

import importlib

import click

from scicat_watch import __version__

VERBS = {
    "run": "The daemon: watch beamtimes and ingest their scans.",
    "ingest": "Ingest beamtimes, lists or files once.",
    "status": "What is waiting, what failed and why, what is done.",
    "rescan": "Have the running daemon make a full rescan now.",
    "reload": "Have the running daemon read its configuration again.",
    "pause": "Have the running daemon leave a beamtime alone for a while.",
    "resume": "Have the running daemon go on with a paused beamtime.",
    "preview": "What would be posted for a scan; posts nothing.",
    "config": "Check or show the configuration.",
    "catalogue": "Serve the embedded catalogue; export, import, push.",
    "post": "Post documents of any model to the catalogue.",
    "demo": "A simulated beamtime with daemon and catalogue.",
}


class _LazyGroup(click.Group):
    """Imports a command's file when it is called, so that `--help` and small commands are fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"scicat_watch.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="scicat-watch")
def cli() -> None:
    """Turns each scan on a beamline's disks into a dataset in a SciCat catalogue, exactly once, without losses."""
