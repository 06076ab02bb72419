"""Which function answers a request: the table of routes of one version of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from scicat_watch.embedded.validation import Rules
from scicat_watch.embedded.web import Answer, Call, Served

ANYTHING = Rules({})
"""The rules of a body that may hold whatever it likes."""
Handler = Callable[..., Answer]
"""Takes the catalogue, the call, and the ids that the path names."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path."""

    method: str
    path: str
    """Below the version, ids in braces, e.g. "datasets/{pid}/origdatablocks"."""
    handler: Handler
    body: Rules | None = None
    """What the body of the request may hold, for the description of the API."""
    query: tuple[str, ...] = ()
    """The parameters of the address, for the same."""

    @property
    def pattern(self) -> tuple[str | None, ...]:
        """The path's parts as they are searched: words in lower case, ids as None."""
        return tuple(None if part.startswith("{") else part.lower() for part in self.path.split("/"))


class Router:
    """The routes of one version of the API."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._known = {(route.method, *route.pattern): route for route in self.routes}

    def answer(self, catalogue: Served, call: Call, segments: Sequence[str]) -> Answer | None:
        """The answer to a request for the path `segments` below the version; None if there is no such route.

        Words of a path may be written in any case. A word goes before an id: `datasets/count` is no dataset.
        """
        if not 0 < len(segments) <= _LONGEST:
            return None
        method = "GET" if call.method == "HEAD" else call.method
        for is_word in product((True, False), repeat=len(segments)):
            parts = (part.lower() if word else None for part, word in zip(segments, is_word, strict=True))
            route = self._known.get((method, *parts))
            if route is not None:
                ids = (part for part, word in zip(segments, is_word, strict=True) if not word)
                return route.handler(catalogue, call, *ids)
        return None


_LONGEST = 5
"""Parts of a path: more have no route."""
