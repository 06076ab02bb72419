"""API v3: which function answers which request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scicat_watch.embedded import datasets_v3 as datasets
from scicat_watch.embedded import logins_v3 as logins
from scicat_watch.embedded import parts_v3 as parts
from scicat_watch.embedded.records_v3 import Records, instruments, proposals, samples
from scicat_watch.embedded.web import Answer, Call, Served

Route = Callable[..., Answer]
"""Takes the catalogue, the call, and the ids that the path names."""

ROUTES: dict[tuple[str, str], Route] = {
    ("POST", "auth/login"): logins.log_in,
    ("POST", "auth/logout"): logins.log_out,
    ("GET", "auth/whoami"): logins.who_am_i,
    ("POST", "users/login"): logins.old_log_in,
    ("POST", "users/logout"): logins.log_out,
    ("GET", "users/my/self"): logins.myself,
    ("GET", "health"): logins.health,
    ("POST", "datasets"): datasets.create,
    ("POST", "datasets/isvalid"): datasets.is_valid,
    ("GET", "datasets"): datasets.find,
    ("GET", "datasets/count"): datasets.count,
    ("GET", "datasets/findone"): datasets.find_one,
    ("GET", "datasets/fullquery"): datasets.full_query,
    ("GET", "datasets/*"): datasets.read,
    ("PATCH", "datasets/*"): datasets.patch,
    ("DELETE", "datasets/*"): datasets.delete,
    ("GET", "datasets/*/thumbnail"): parts.thumbnail,
    ("POST", "datasets/*/origdatablocks"): parts.add_nested_block,
    ("GET", "datasets/*/origdatablocks"): parts.nested_blocks,
    ("GET", "datasets/*/origdatablocks/count"): parts.count_nested_blocks,
    ("DELETE", "datasets/*/origdatablocks"): parts.delete_nested_blocks,
    ("PATCH", "datasets/*/origdatablocks/*"): parts.patch_nested_block,
    ("DELETE", "datasets/*/origdatablocks/*"): parts.delete_nested_block,
    ("POST", "datasets/*/attachments"): parts.add_attachment,
    ("GET", "datasets/*/attachments"): parts.attachments,
    ("GET", "datasets/*/attachments/count"): parts.count_attachments,
    ("DELETE", "datasets/*/attachments"): parts.delete_attachments,
    ("DELETE", "datasets/*/attachments/*"): parts.delete_attachment,
    ("POST", "origdatablocks"): parts.add_block,
    ("GET", "origdatablocks"): parts.blocks,
    ("GET", "origdatablocks/count"): parts.count_blocks,
    ("GET", "origdatablocks/*"): parts.read_block,
    ("PATCH", "origdatablocks/*"): parts.patch_block,
    ("DELETE", "origdatablocks/*"): parts.delete_block,
}


def _add(name: str, records: Records, *, patchable: bool) -> None:
    ROUTES[("POST", name)] = records.create
    ROUTES[("GET", name)] = records.find
    ROUTES[("GET", f"{name}/count")] = records.count
    ROUTES[("GET", f"{name}/findone")] = records.find_one
    ROUTES[("GET", f"{name}/*")] = records.read
    if patchable:
        ROUTES[("PATCH", f"{name}/*")] = records.patch


_add("proposals", proposals, patchable=True)
_add("samples", samples, patchable=True)
_add("instruments", instruments, patchable=False)


def answer(catalogue: Served, call: Call, segments: Sequence[str]) -> Answer | None:
    """The answer to a request for the path `segments` below /api/v3; None if there is no such route.

    Words of a path may be written in any case; ids stand in the second and fourth place.
    """
    words = [segment.lower() for segment in segments]
    method = "GET" if call.method == "HEAD" else call.method
    for places in ((), (1,), (1, 3)):
        if places and places[-1] >= len(words):
            break
        pattern = "/".join("*" if number in places else word for number, word in enumerate(words))
        route = ROUTES.get((method, pattern))
        if route is not None:
            return route(catalogue, call, *(segments[place] for place in places))
    return None
