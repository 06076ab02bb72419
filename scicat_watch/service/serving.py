"""The embedded catalogue served by this process."""

from __future__ import annotations

from collections.abc import Callable

from scicat_watch.embedded.app import serve as serve_embedded
from scicat_watch.service.answering import needed
from scicat_watch.settings.model import Settings


def prepare(settings: Settings) -> None:
    """Make the state directory, and wait until the files of the catalogue answer."""
    options = settings.serve_options()
    with needed(settings.var_dir):
        settings.var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in (options.database, options.accounts):
        with needed(file):
            file.exists()


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the address. `ConfigError` if it cannot be served there."""
    serve_embedded(settings.serve_options(), ready)
