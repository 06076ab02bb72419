"""The catalogue's pages: the list of datasets, updated as they arrive, and one page per dataset.

They are for the people at the beamline and need no login, so they show every dataset only where nobody
else can see them: when the server listens on loopback only and was called by a local name. Otherwise
they show only published datasets. All values come from files and are escaped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import Response

from scicat_watch import __version__
from scicat_watch.embedded import openapi, overview
from scicat_watch.embedded.options import Public
from scicat_watch.embedded.routing import Route
from scicat_watch.embedded.store import Store
from scicat_watch.embedded.tables import ATTACHMENTS, DATASETS, Document, targets
from scicat_watch.embedded.thumbnails import thumbnail
from scicat_watch.embedded.v3 import api as api_v3
from scicat_watch.embedded.v4 import api as api_v4

DATASETS_PER_PAGE = 50
FILES_PER_PAGE = 200
MOST_NODES = 5000
"""Maximum number of metadata entries on a page; the API returns all."""
_LONGEST_TEXT = 2000
_DEEPEST = 40
_LONGEST_SEARCH = 200

_HERE = Path(__file__).parent
_STATIC = {
    "style.css": ("text/css", (_HERE / "static" / "style.css").read_bytes()),
    "refresh.js": ("text/javascript", (_HERE / "static" / "refresh.js").read_bytes()),
}
_HEADERS = {
    "content-security-policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_HIDDEN = frozenset(
    {"scientificMetadata", "datasetlifecycle", "_id", "__v", "version", "pid", "datasetName", "size", "numberOfFiles",
     "packedSize", "numberOfFilesArchived", "classification", "history"}
)  # fmt: skip
"""Fields of a dataset that its page shows in other places, or that mean nothing to people."""


@dataclass(slots=True)
class Node:
    """An entry of the metadata: a value with its unit, or further entries."""

    name: str
    text: str = ""
    unit: str = ""
    children: list[Node] = field(default_factory=list)


class Pages:
    """Answers requests that are not the API's."""

    def __init__(self, store: Store, open_pages: bool, public: Public = "published") -> None:
        """`open_pages` says whether a browser on this machine sees all, `public` what others see."""
        self._store, self._open, self._public = store, open_pages, public
        loader = jinja2.FileSystemLoader(_HERE / "templates")
        self._templates = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
        self._templates.filters |= {"bytes": in_words, "moment": moment, "segment": segment}

    def response(self, request: Request, segments: list[str]) -> Response:
        """The page, thumbnail or file of our own that a path names; `segments` are its decoded parts."""
        if request.method not in ("GET", "HEAD"):
            return self._page("absent.html", 405, what="Pages can only be read.")
        everything = self._public == "datasets" or (self._open and _is_local(request.headers.get("host", "")))
        if self._public == "nothing" and segments[:1] not in (["static"], ["explorer"], ["explorer-json"]):
            return self._page("absent.html", 403, what="This catalogue shows nothing without an account.")
        match segments:
            case []:
                return self._list(request, everything)
            case ["datasets", *rest] if rest:
                return self._dataset(request, "/".join(rest), everything)
            case ["thumbnails", key]:
                return self._thumbnail(key, everything)
            case ["explorer"]:
                return self._page("explorer.html", versions=self._routes(), summary=openapi.summary)
            case ["explorer-json"]:
                described = openapi.described(self._routes(), __version__)
                return Response(json.dumps(described), headers=_HEADERS, media_type="application/json")
            case ["latest"]:
                return Response(self._store.version, headers=_HEADERS, media_type="text/plain")
            case ["static", name] if name in _STATIC:
                kind, content = _STATIC[name]
                return Response(content, headers=_HEADERS, media_type=kind)
        return self._page("absent.html", 404, what="There is no such page.")

    def _routes(self) -> dict[str, tuple[Route, ...]]:
        return {"v3": api_v3.ROUTER.routes, "v4": api_v4.ROUTER.routes}

    def _list(self, request: Request, everything: bool) -> Response:
        words = request.query_params.get("q", "")[:_LONGEST_SEARCH]
        version = self._store.version  # Before the list: what arrives meanwhile is shown by the next refresh.
        page = _number(request, "page")
        with self._store.reading() as session:
            skip = (page - 1) * DATASETS_PER_PAGE
            lines, total = overview.lines(session, words, not everything, DATASETS_PER_PAGE, skip)
            hidden = 0 if total or words or everything else session.count(DATASETS, {})
        pages = max(1, math.ceil(total / DATASETS_PER_PAGE))
        links = _links("/", page, pages, "page", {"q": words} if words else {})
        return self._page(
            "list.html",
            lines=lines,
            total=total,
            words=words,
            links=links,
            version=version,
            everything=everything,
            hidden=hidden,
        )

    def _dataset(self, request: Request, pid: str, everything: bool) -> Response:
        page = _number(request, "files")
        with self._store.reading() as session:
            dataset = session.get(DATASETS, pid)
            if dataset is None or not _shows(dataset, everything):
                return self._page("absent.html", 404, what=f"There is no dataset {pid}, or it is not published.")
            files, total = overview.files(session, pid, FILES_PER_PAGE, (page - 1) * FILES_PER_PAGE)
            thumbnails = list(overview.thumbnails(session, pid))
        pages = max(1, math.ceil(total / FILES_PER_PAGE))
        nodes = Nodes(dataset.get("scientificMetadata") or {})
        return self._page(
            "dataset.html",
            dataset=dataset,
            fields=list(_fields(dataset)),
            nodes=nodes.roots,
            truncated=nodes.truncated,
            files=files,
            total=total,
            thumbnails=thumbnails,
            links=_links(f"/datasets/{segment(pid)}", page, pages, "files", {}),
        )

    def _thumbnail(self, key: str, everything: bool) -> Response:
        with self._store.reading() as session:
            attachment = session.get(ATTACHMENTS, key)
            owners = (session.get(DATASETS, pid) for pid in targets(attachment, "dataset")) if attachment else ()
            found = thumbnail(attachment.get("thumbnail")) if attachment else None
            if found is None or not any(owner and _shows(owner, everything) for owner in owners):
                return self._page("absent.html", 404, what="There is no such thumbnail.")
        headers = _HEADERS | {"cache-control": "private, max-age=86400"}
        return Response(found.content, headers=headers, media_type=found.media_type)

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        html = self._templates.get_template(template).render(values)
        return Response(html.encode("utf-8", "replace"), status, _HEADERS, media_type="text/html")


class Nodes:
    """The metadata as entries of a page, at most `MOST_NODES` of them."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self._left = MOST_NODES
        self.roots = self._children(tree, 0)

    @property
    def truncated(self) -> bool:
        """Whether something is not shown."""
        return self._left <= 0

    def _children(self, tree: Mapping[str, Any], depth: int) -> list[Node]:
        found = []
        for name, value in tree.items():
            if self._left <= 0:
                break
            self._left -= 1
            found.append(self._node(str(name), value, depth))
        return found

    def _node(self, name: str, value: Any, depth: int) -> Node:
        if not isinstance(value, Mapping):
            return Node(name, _text(value))
        unit = value.get("unit")
        rest = {key: member for key, member in value.items() if key not in _SHOWN_BESIDE}
        node = Node(name)
        if "value" in value and not isinstance(value["value"], Mapping):
            node.text, node.unit = _text(value["value"]), _text(unit) if unit else ""
        else:
            rest = dict(value)
        if depth < _DEEPEST:
            node.children = self._children(rest, depth + 1)
        elif rest:
            node.text = "…"
        return node


_SHOWN_BESIDE = ("value", "unit", "valueSI", "unitSI", "type", "human_name")


def in_words(size: object) -> str:
    """A number of bytes for people, e.g. "1.5 GB"."""
    number = float(size) if isinstance(size, (int, float)) else 0.0
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(number) < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.4g} PB"


def moment(time: object) -> str:
    """A stored time for people, e.g. "2024-05-01 08:00:00 UTC"."""
    text = str(time or "")
    return f"{text[:10]} {text[11:19]} UTC" if text.endswith("Z") else text


def segment(key: object) -> str:
    """An id as one segment of a path."""
    return quote(str(key), safe="")


def _shows(dataset: Document, everything: bool) -> bool:
    return everything or bool(dataset.get("isPublished"))


_FIRST = ("description", "creationTime", "owner", "principalInvestigators", "proposalIds", "sampleIds", "techniques",
          "creationLocation", "instrumentIds", "sourceFolder")  # fmt: skip
"""The fields that come first on the page."""


def _fields(dataset: Document) -> Iterator[tuple[str, str]]:
    first = [name for name in _FIRST if name in dataset]
    for name in [*first, *(name for name in dataset if name not in first)]:
        value = dataset[name]
        if name in _HIDDEN or value in (None, "", [], {}, [None]):
            continue
        yield name, moment(value) if name.endswith(("Time", "At")) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        shown = ", ".join(_text(member) for member in value[:100])
        return shown[:_LONGEST_TEXT] + (" …" if len(value) > 100 or len(shown) > _LONGEST_TEXT else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(member)}" for key, member in list(value.items())[:20] if key != "_id")
    text = str(value)
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " …"


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "1")
    return max(1, int(text)) if text.isdecimal() and text.isascii() and len(text) < 8 else 1


def _links(path: str, page: int, pages: int, name: str, others: Mapping[str, str]) -> dict[str, Any]:
    def link(number: int) -> str:
        return f"{path}?{urlencode({**others, name: number})}"

    return {
        "page": page,
        "pages": pages,
        "before": link(page - 1) if page > 1 else None,
        "after": link(page + 1) if page < pages else None,
    }


def _is_local(host: str) -> bool:
    """Whether a Host header names loopback: anybody can make another name resolve to this machine (DNS rebinding)."""
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    return name in ("localhost", "::1") or (name.startswith("127.") and name.replace(".", "").isdecimal())
