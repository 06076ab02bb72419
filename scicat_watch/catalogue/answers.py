"""What a SciCat backend's answers mean: JSON, readable complaints, times to come back. Pure.

Backends complain in three shapes (measured on 4.5): a list of texts, one text, or one text that
holds JSON again, with the faults of nested fields in `children`. A body may also be a bare text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_COMPLAINT = 2000
"""Characters of a server's complaint that are repeated."""


class NotJson(ValueError):
    """The body is not JSON: it does not come from SciCat, but from something before it."""


def parsed(content: bytes) -> Any:
    """The JSON in a body; None if the body is empty, which is how SciCat says "nothing found"."""
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NotJson("the answer is not JSON") from error


def complaint(content: bytes) -> str:
    """What a refusal says, for people, with the names of the fields that it is about."""
    try:
        body = parsed(content)
    except NotJson:
        return "the answer is not SciCat's (no JSON)"
    text = "; ".join(_sentences(body)) or "no reason given"
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_COMPLAINT else text[:LONGEST_COMPLAINT] + " ..."


def seconds_to_wait(retry_after: str | None, now: datetime) -> float | None:
    """What a Retry-After header says, in seconds from `now`; None if it says nothing usable."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _sentences(body: Any) -> Iterator[str]:
    match body:
        case str():
            yield from _text(body)
        case list():
            for member in body:
                yield from _sentences(member)
        case {"property": name, **rest}:
            yield from _faults(str(name), rest)
        case {"message": message} if message:
            yield from _sentences(message)
        case {"error": str(error)} if error:
            yield error
        case {"errors": dict(errors)} if errors:
            yield from (f"{name} is not valid" for name in errors)


def _text(text: str) -> Iterator[str]:
    if text.lstrip().startswith(("[", "{")):
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, list | dict):
            sentences = list(_sentences(inner))
            yield from sentences or [text]
            return
    yield text


def _faults(place: str, fault: Mapping[Any, Any]) -> Iterator[str]:
    """What the validator says about one field; nested fields are named with dots."""
    constraints = fault.get("constraints")
    for sentence in constraints.values() if isinstance(constraints, dict) else ():
        yield str(sentence) if place in str(sentence) else f"{place}: {sentence}"
    children = fault.get("children")
    for child in children if isinstance(children, list) else ():
        if isinstance(child, dict) and "property" in child:
            yield from _faults(f"{place}.{child['property']}", child)
