"""A request as the API's functions get it, their answers, and the errors that they raise.

The functions know nothing of sockets: they take a `Call` and return an `Answer`, or raise a
`ProblemError` that holds one. Error bodies have the shapes of a SciCat backend.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from scicat_watch.clock import Clock
from scicat_watch.embedded import filters, times, validation
from scicat_watch.embedded.accounts import Accounts, Caller
from scicat_watch.embedded.options import Public
from scicat_watch.embedded.patterns import PatternError
from scicat_watch.embedded.query import Query
from scicat_watch.embedded.store import Store

NOTHING = object()
"""The value of an answer with an empty body, which a backend sends where it finds nothing."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the API's functions work with; `pid_prefix` is that of new ids, `public` what everybody may read."""

    store: Store
    accounts: Accounts
    clock: Clock
    pid_prefix: str
    public: Public = "published"

    def now(self) -> str:
        """The time as records have it."""
        return times.utc_text(self.clock.now())


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON value."""

    value: Any = NOTHING
    status: int = 200

    @property
    def body(self) -> bytes:
        """The JSON text."""
        if self.value is NOTHING:
            return b""
        return json.dumps(self.value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class ProblemError(Exception):
    """A request that ends with an error."""

    def __init__(self, status: int, body: Any) -> None:
        self.answer = Answer(body, status)
        super().__init__(status, body)


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    method: str
    path: str
    """As it was sent, percent-encoded."""
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    """Names in lower case."""
    caller: Caller
    content: bytes = field(default=b"", repr=False)

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else None

    def document(self) -> dict[str, Any]:
        """The body, which must be a JSON object."""
        try:
            found = json.loads(self.content.decode("utf-8"), parse_constant=_refused)
        except (ValueError, RecursionError) as error:
            raise bad_request(f"the body is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise bad_request("the body is not a JSON object")
        # A lone surrogate is valid JSON, but no database can store it.
        if b"\\ud" in self.content or b"\\uD" in self.content:
            text = json.dumps(found, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
            found = json.loads(text)
        return dict(found)


def asked(call: Call, dialect: filters.Dialect = filters.V3, name: str = "filter") -> Query:
    """The query of a list request, from a parameter or from a header of the same name."""
    in_header = call.headers.get(name)
    in_address = call.parameter(name)
    if in_header is not None and in_address is not None:
        raise bad_request(f"{name} is given as a parameter and as a header: send one of them")
    return understood(in_address if in_address is not None else in_header, dialect)


def understood(text: str | None, dialect: filters.Dialect = filters.V3) -> Query:
    """The query that a text says; 400 if it says none."""
    try:
        return filters.parse(text, dialect)
    except (filters.BadQueryError, PatternError) as error:
        raise bad_request(str(error)) from error


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


def bad_request(message: str | list[str]) -> ProblemError:
    """400: the request cannot be understood."""
    return ProblemError(400, {"message": message, "error": "Bad Request", "statusCode": 400})


def faulty(faults: list[validation.Fault]) -> ProblemError:
    """400: a document breaks rules."""
    return bad_request(validation.as_sentences(faults))


def posted(call: Call, rules: validation.Rules) -> dict[str, Any]:
    """The body of a POST or PATCH by somebody who logged in, checked against `rules`."""
    if call.caller.anonymous:
        raise forbidden()
    body = call.document()
    faults = validation.check(body, rules)
    if faults:
        raise faulty(faults)
    return body


def faulty_dataset(faults: list[validation.Fault]) -> ProblemError:
    """400, in the shape that only v3 datasets have."""
    return ProblemError(400, {"status": 400, "message": validation.as_tree(faults)})


def forbidden(message: str = "Forbidden resource") -> ProblemError:
    """403: the caller, perhaps anonymous, may not do this."""
    return ProblemError(403, {"message": message, "error": "Forbidden", "statusCode": 403})


def not_found(message: str) -> ProblemError:
    """404, from reading."""
    return ProblemError(404, {"message": message, "error": "Not Found", "statusCode": 404})


def nothing_to_change() -> ProblemError:
    """404, from changing or deleting what does not exist: this one has no `error`."""
    return ProblemError(404, {"message": "Not Found", "statusCode": 404})


def conflict(message: str) -> ProblemError:
    """409: the id is taken."""
    return ProblemError(409, {"message": message, "error": "Conflict", "statusCode": 409})


def unmodified(call: Call, document: Mapping[str, Any]) -> None:
    """412 if `If-Unmodified-Since` names a time before the last change of a record; what is no time is ignored."""
    text = call.headers.get("if-unmodified-since")
    asked_for = times.header(text) if text else None
    last = times.parse(document["updatedAt"])
    if asked_for is not None and last is not None and asked_for <= last:
        message = "The record has been modified since the time that If-Unmodified-Since names"
        raise ProblemError(412, {"message": message, "error": "Precondition Failed", "statusCode": 412})
