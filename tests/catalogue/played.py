"""A backend on loopback that answers what a real one did (`tests/data/scicat`), and what it was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.catalogue.faulty import Answer, Loopback, Request
from tests.recorded import ROOT, SCICAT

WORDED = ROOT.parent / "shared" / "data" / "scicat" / "exchanges.json"
"""The same exchanges with the wording of messages, which is only where the project is developed."""
MOMENT = "2026-11-05T12:00:00.000Z"
_ID = re.compile(r"<id (\d+)>")


def exchange(name: str, *, worded: bool = False) -> dict[str, Any]:
    """A recorded exchange: `body`, and `expected` with `status` and `answer`; `worded`: as the backend said it."""
    if worded and not WORDED.exists():
        pytest.skip("the wording of a backend's messages is not part of a clone")
    text = (WORDED if worded else SCICAT / "exchanges.json").read_text().replace("<now>", MOMENT)
    found: dict[str, Any] = next(one for one in json.loads(_ID.sub(r"id-\1", text)) if one["name"] == name)
    return found


def answer(name: str) -> Any:
    """What the backend answered in a recorded exchange."""
    return exchange(name)["expected"]["answer"]


def played(name: str, *, worded: bool = False) -> Answer:
    """The answer of a recorded exchange, to be given again."""
    expected = exchange(name, worded=worded)["expected"]
    return said(expected["answer"], expected["status"])


def said(body: Any, status: int = 200) -> Answer:
    """An answer that is put together from recorded ones."""
    return Answer(status, b"" if body is None else json.dumps(body).encode())


class Played(Loopback):
    """Answers by a script; what is not in it is an unknown route, as a backend says it."""

    def __init__(self, script: Mapping[str, Answer | list[Answer]]) -> None:
        """`script`: by "METHOD path", without the query; of several answers one after the other, then the last."""
        usual = {"GET /api/v3/auth/whoami": played("whoami"), "GET /api/v3/health": played("health")}
        self._script = {route: list(given) if isinstance(given, list) else [given] for route, given in script.items()}
        self._script |= {route: [given] for route, given in usual.items() if route not in script}
        super().__init__(self._answered)

    def asked(self) -> list[str]:
        """The requests that came so far, without those about our account."""
        lines = [f"{one.method} {one.path.partition('?')[0]}" for one in self.requests]
        return [line for line in lines if "/auth/" not in line]

    def sent(self, method: str) -> list[Any]:
        """The bodies of the requests of a method."""
        return [json.loads(one.body) for one in self.requests if one.method == method]

    def _answered(self, request: Request) -> Answer:
        answers = self._script.get(f"{request.method} {request.path.partition('?')[0]}")
        if not answers:
            return played("unknown route")
        return answers.pop(0) if len(answers) > 1 else answers[0]
