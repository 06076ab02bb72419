"""The description of the API as OpenAPI 3.0, made from the routes and the rules that check documents. Pure."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from scicat_watch.embedded import rules_parts, rules_records, validation
from scicat_watch.embedded.routing import Route
from scicat_watch.embedded.validation import Check, Rules

_TEXT = {"type": "string"}
_SCHEMAS: dict[Check, dict[str, Any]] = {
    validation.text: _TEXT,
    validation.filled_text: _TEXT | {"minLength": 1},
    validation.word: _TEXT | {"minLength": 1},
    validation.mail: _TEXT | {"format": "email"},
    validation.mails: _TEXT | {"description": "E-mail addresses, separated by semicolons"},
    validation.host: _TEXT,
    validation.moment: _TEXT | {"format": "date-time"},
    validation.whole: {"type": "integer"},
    validation.number: {"type": "number"},
    validation.truth: {"type": "boolean"},
    validation.texts: {"type": "array", "items": _TEXT},
    validation.mapping: {"type": "object"},
    validation.metadata: {"type": "object"},
    validation.anything: {},
    rules_parts.target_type: _TEXT | {"enum": list(rules_parts.TARGET_TYPES)},
    rules_records.proposal_type: _TEXT | {"enum": sorted(rules_records.PROPOSAL_TYPES)},
}
_PARAMETERS = {
    "filter": "JSON: where, fields, limits (limit, skip, order or sort), include",
    "filters": "JSON: where, fields, limits (limit, skip, order)",
    "fields": "JSON: what is searched",
    "limits": "JSON: limit, skip, order",
    "facets": "JSON: a list of names of fields",
    "include": "A related kind of record; may be repeated",
    "pid": "Id of a dataset",
    "fieldName": "A list of texts of the dataset",
    "data": "JSON: a list of texts",
}
_VERBS = {"GET": "Read", "POST": "Create", "PATCH": "Change", "PUT": "Replace", "DELETE": "Delete"}
_ANSWERS = {"2XX": "Done", "400": "Bad request", "401": "Not logged in", "403": "Not allowed", "404": "No such record"}


def described(versions: Mapping[str, Iterable[Route]], release: str) -> dict[str, Any]:
    """The whole document; `versions` are the routes of "v3" and "v4"."""
    paths: dict[str, dict[str, Any]] = {}
    for version, routes in versions.items():
        for route in routes:
            path = paths.setdefault(f"/api/{version}/{route.path}", {})
            path[route.method.lower()] = _operation(version, route)
    security = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "scicat-watch: the embedded catalogue", "version": release},
        "paths": paths,
        "components": {"securitySchemes": security},
        "security": [{"bearer": []}, {}],
    }


def summary(route: Route) -> str:
    """What a route does, in one line."""
    first = (inspect.getdoc(route.handler) or "").partition("\n")[0]
    rest = first.partition("`: ")[2] or first.partition(": ")[2]
    return (rest[:1].upper() + rest[1:]).rstrip(".") or _VERBS[route.method]


def schema(rules: Rules) -> dict[str, Any]:
    """A kind of document as JSON schema; what only a function can check is left to the server."""
    properties = {name: _SCHEMAS.get(check, {}) for name, check in rules.fields.items()}
    for name, inner in rules.members.items():
        properties[name] = {"type": "array", "items": schema(inner)}
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | ({"required": sorted(rules.required)} if rules.required else {})


def _operation(version: str, route: Route) -> dict[str, Any]:
    ids = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in ids]
    for name in route.query:
        parameters.append({"name": name, "in": "query", "schema": _TEXT, "description": _PARAMETERS[name]})
    words = [part.strip("{}").capitalize() for part in route.path.split("/")]
    found: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{''.join(words)}_{version}",
        "tags": [route.path.partition("/")[0]],
        "summary": summary(route),
        "parameters": parameters,
        "responses": {code: {"description": text} for code, text in _ANSWERS.items()},
    }
    if route.body is not None:
        content = {"application/json": {"schema": schema(route.body)}}
        found["requestBody"] = {"required": True, "content": content}
    return found
