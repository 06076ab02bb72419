"""A preview as a JSON object, for programs; `docs/reference/schemas.md` documents its keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from scicat_watch.catalogue.difference import Change, Difference
from scicat_watch.documents import strict
from scicat_watch.errors import AssemblyError
from scicat_watch.pipeline.assembly.variables import Evaluated
from scicat_watch.pipeline.schema.model import Variable
from scicat_watch.service.preview import Preview


def as_json(preview: Preview) -> dict[str, Any]:
    """The preview; of a thumbnail only caption and size in bytes."""
    scan, schema = preview.scan, preview.schema
    shown: dict[str, Any] = {
        "pid": scan.pid,
        "file": str(scan.master) if scan.master else None,
        "schema": None if schema is None else {"id": schema.id, "name": schema.name, "file": schema.file},
        "passed_over": dict(preview.passed_over),
        "variables": [_variable(made) for made in preview.variables],
        "waiting": preview.waiting,
        "problem": preview.problem,
        "catalogue": _difference(preview.difference),
    }
    bundle = preview.bundle
    if bundle is not None:
        whole = replace(bundle, attachments=()).as_json()
        shown["dataset"], shown["origdatablocks"] = whole["dataset"], whole["origdatablocks"]
        shown["thumbnails"] = [{"caption": one.caption, "bytes": len(one.png)} for one in bundle.attachments]
        shown["notes"] = whole["notes"]
    return shown


def _place(variable: Variable) -> str:
    """Where the source finds the value, as the schema writes it, e.g. "/entry/title"."""
    if variable.source == "VALUE":
        value = variable.value if isinstance(variable.value, str) else str(strict(variable.value))
        return f"{variable.operator} of {value}" if variable.operator else value
    return variable.path or variable.url or str(variable.arguments.get("field", ""))


def _variable(made: Evaluated) -> dict[str, Any]:
    variable = made.variable
    shown: dict[str, Any] = {
        "name": variable.name,
        "line": variable.line,
        "source": variable.source,
        "from": _place(variable),
        "type": variable.value_type,
        "found": None if made.found is None else _plain(made.found.value),
        "converted": _converted(made),
        "required": variable.required,
    }
    if made.quantity is None:
        return shown | {"problem": made.reason}
    shown |= {"value": _plain(made.quantity.value), "unit": made.quantity.unit}
    return shown | {"by_default": made.reason} if made.by_default else shown


def _converted(made: Evaluated) -> bool:
    """Whether the value differs from what its source gave, in type or content."""
    if made.found is None or made.quantity is None:
        return False
    found, value = made.found.value, made.quantity.value
    return type(found) is not type(value) or bool(found != value)


def _difference(difference: Difference) -> dict[str, Any]:
    blocks, thumbnails = difference.blocks, difference.thumbnails
    return {
        "state": difference.state.value,
        "reason": difference.reason,
        "pid": difference.pid,
        "changes": _changes(difference.changes),
        "left": _changes(difference.left),
        "origdatablocks": {"replace": len(blocks.replace), "add": len(blocks.add), "remove": len(blocks.remove)},
        "thumbnails": {"clear": thumbnails.clear, "add": len(thumbnails.add)},
    }


def _changes(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [{"field": change.field, "stored": change.stored, "wanted": change.wanted} for change in changes]


def _plain(value: Any) -> Any:
    try:
        return strict(value)
    except AssemblyError:
        return str(value)
