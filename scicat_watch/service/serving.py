"""The embedded catalogue served by this process."""

from __future__ import annotations

import logging
from collections.abc import Callable

from scicat_watch.embedded.app import serve as serve_embedded
from scicat_watch.service import lost
from scicat_watch.service.answering import needed
from scicat_watch.settings.model import Settings

log = logging.getLogger(__name__)


def prepare(settings: Settings) -> None:
    """Make the state directory, and wait until the files of the catalogue answer."""
    options = settings.serve_options()
    with needed(settings.var_dir):
        settings.var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in (options.database, options.accounts):
        with needed(file):
            file.exists()


def serve(settings: Settings, ready: Callable[[str], None], *, ours: bool) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the address. `ConfigError` if it cannot be served there.

    `ours`: this is the catalogue that the daemon of these settings uses, and not another one.
    """
    options = settings.serve_options()

    def published() -> list[str]:
        if found := lost.published(settings) if ours else []:
            log.error("%s", lost.said(str(options.database), "is new", len(found)))
        return found

    serve_embedded(options, ready, published=published)
