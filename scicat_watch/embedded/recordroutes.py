"""The routes of records, which are the same in both versions of the API."""

from __future__ import annotations

from collections.abc import Iterator

from scicat_watch.embedded.records import Records
from scicat_watch.embedded.routing import Route


def records_routes(name: str, records: Records) -> Iterator[Route]:
    """What all kinds of records have."""
    yield Route("POST", name, records.create, records.rules)
    filters = (records.filter_name,)
    yield Route("GET", name, records.find, query=filters)
    yield Route("GET", f"{name}/count", records.count, query=filters)
    yield Route("GET", f"{name}/findOne", records.find_one, query=filters)
    yield Route("GET", f"{name}/fullquery", records.full_query, query=("fields", "limits"))
    yield Route("GET", f"{name}/{{id}}", records.read)
    yield Route("PATCH", f"{name}/{{id}}", records.patch, records.changed)
    yield Route("DELETE", f"{name}/{{id}}", records.delete)
