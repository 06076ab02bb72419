"""`scicat_background_ingestor` and `scicat_offline_ingestor`: ESS's commands, with its configuration and options.

Made to be started by ESS's online program, so it is quick to start, asks nothing and ends by itself.
Exit status: 0 ingested, there already, or a dry run; 1 anything that failed; 2 a wrong command line.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scicat_watch.service.executors.single import SingleReader

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    try:
        # First of all: the reading process gets a copy of what is in memory, and loads its code meanwhile.
        with SingleReader() as reader:
            status = _run(sys.argv[1:] if arguments is None else arguments, reader)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    sys.exit(status)


def _run(arguments: Sequence[str], reader: SingleReader) -> int:
    given = vars(_parser().parse_args(arguments))

    from scicat_watch.clock import SystemClock
    from scicat_watch.compat.ess import logs
    from scicat_watch.compat.ess.settings import load
    from scicat_watch.errors import ConfigError, ScicatWatchError

    clock = SystemClock()
    try:
        settings, warnings = load(Path(given.pop("config_file")), given)
        logs.set_up(settings.logging, clock.now())
    except ConfigError as error:
        print(f"scicat-watch: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
        return 1
    for warning in warnings:
        log.warning("%s", warning)
    try:
        from scicat_watch.compat.ess.ingest import ingest

        log.info("%s", ingest(settings, reader, clock, threading.Event()))
        status = 0
    except ScicatWatchError as error:
        log.error("%s", error)
        status = 1
    except Exception as error:
        log.error("a fault of scicat-watch: %s: %s", type(error).__name__, error)
        log.debug("where it happened", exc_info=True)
        status = 1
    log.info("the ingestor exits with status %d", status)
    return status


def _parser() -> argparse.ArgumentParser:
    """The options: one for every key of the configuration that is no mapping, with `-` for `_`."""
    from scicat_watch.compat.ess.settings import options

    parser = argparse.ArgumentParser(
        description="Ingest one NeXus file into SciCat, on a configuration of ESS's scicat-ingestor.",
        epilog="Options overrule the configuration; those without a value turn something on.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("-c", "--config-file", required=True, metavar="FILE", help="YAML or JSON")
    for name, kind in options():
        if name == "config_file":
            continue
        flags = [*(["-d"] if name == "ingestion.dry_run" else []), "--" + name.replace("_", "-")]
        parser.add_argument(*flags, dest=name, **_taking(name, kind))
    return parser


def _taking(name: str, kind: Any) -> dict[str, Any]:
    if kind is bool:
        return {"action": "store_true"}
    metavar = name.rpartition(".")[2].upper()
    if kind in (tuple[str, ...], tuple[float, ...]):
        return {"nargs": "+", "type": kind.__args__[0], "metavar": metavar}
    return {"type": kind if kind in (int, float) else str, "metavar": metavar}
