"""What several commands share: the configuration, and a few of its keys as options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from scicat_watch.settings.load import default, load
from scicat_watch.settings.model import Settings

Function = TypeVar("Function", bound=Callable[..., Any])


class _Path(click.Path):
    """A path; an empty one is a mistake in a script, and does not mean the current directory.

    Nothing is checked: click's own conversion asks the file system, which may not answer.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty", param, ctx)
        return self.coerce_path_result(value)


PATH = _Path(path_type=Path)


def configured(function: Function) -> Function:
    """The options for the configuration file, and for keys that override it."""
    decorators = (
        click.option(
            "-c", "--config", type=PATH, envvar="SCICAT_WATCH_CONFIG", help="Configuration file (YAML)."
        ),
        click.option(
            "--var-dir", type=PATH, help="Directory for the program's own state; overrides the configuration."
        ),
        click.option(
            "-l", "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Lowest level to log."
        ),
    )  # fmt: skip
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def settings_from(config: Path | None, var_dir: Path | None, **sections: dict[str, Any]) -> Settings:
    """The settings of a configuration file, or the defaults, overridden by `var_dir` and `sections`."""
    from scicat_watch.service.answering import needed

    overrides: dict[str, Any] = {name: section for name, section in sections.items() if section}
    if var_dir is not None:
        overrides["var_dir"] = str(var_dir.absolute())
    if config is None:
        return default(overrides)
    with needed(config.absolute()):
        return load(config, overrides)
