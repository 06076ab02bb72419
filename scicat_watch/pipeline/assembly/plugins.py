"""Operators that other packages bring, by entry points (`pipeline.plugins`), kept from doing harm.

    [project.entry-points."scicat_watch.operators"]
    hex_to_int = "my_package:HEX_TO_INT"        # an `assembly.operators.Operator`

An operator that cannot be used costs the variables that want it, with the reason: neither the daemon nor other
variables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from scicat_watch.errors import ScicatWatchError, SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline import plugins
from scicat_watch.pipeline.assembly import operators
from scicat_watch.pipeline.assembly.operations import Arguments
from scicat_watch.pipeline.assembly.operators import Operator
from scicat_watch.pipeline.plugins import Plugins, Unusable


def _accepted(whose: str, thing: object) -> Operator:
    if not isinstance(thing, Operator):
        raise Unusable(f"the operator {whose} is a {type(thing).__name__}, not an Operator")
    return replace(thing, apply=_guarded(whose, thing.apply))


def _guarded(whose: str, apply: Callable[[Quantity, Arguments], Quantity]) -> Callable[[Quantity, Arguments], Quantity]:
    """A package's operator whose faults are those of one variable."""

    return lambda quantity, arguments: quantity_from(f"the operator {whose}", lambda: apply(quantity, arguments))


def quantity_from(what: str, make: Callable[[], object]) -> Quantity:
    """What a package's code makes; `SourceError`, which names `what`, for whatever else it does."""
    try:
        made = make()
    except ScicatWatchError:
        raise
    except Exception as error:
        raise SourceError(f"{what} failed: {plugins.described(error)}") from error
    if not isinstance(made, Quantity):
        raise SourceError(f"{what} gave a {type(made).__name__}, not a Quantity")
    return made


OPERATORS: Plugins[Operator] = Plugins(plugins.OPERATORS, operators.NAMES, _accepted)
"""The operators that packages bring."""
