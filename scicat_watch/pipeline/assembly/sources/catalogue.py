"""SC: records of the catalogue, such as the proposal that a scan belongs to.

Asking is another room's: what is called here with "proposals/20990042" gives back the answer's JSON,
or raises `Unavailable` or `Refused`. While the catalogue is `Unavailable` no dataset is made, because
it would lack what the catalogue knows: the error passes through, and the scan waits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scicat_watch.clock import Clock
from scicat_watch.errors import MissingValue, Refused, SourceError
from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly.findings import Brought, Names, Remark, unless_default
from scicat_watch.pipeline.assembly.render import render
from scicat_watch.pipeline.assembly.sources.source import LookUp
from scicat_watch.pipeline.schema.model import Variable
from scicat_watch.words import nearest

ENDPOINTS = ("datasets", "proposals", "origdatablocks", "instruments", "samples")
"""What a URL that is to be completed may begin with."""


class Lookups:
    """Answers of the catalogue, asked for once and kept for a while.

    A thousand scans of a beamtime ask for the same proposal. Refusals are kept too; `Unavailable` is not.
    """

    def __init__(self, look_up: LookUp, clock: Clock, keep: float = 60.0) -> None:
        """`keep`: seconds after which the catalogue is asked again."""
        self._look_up, self._clock, self._keep = look_up, clock, keep
        self._answers: dict[str, tuple[float, Any]] = {}

    def __call__(self, url: str) -> Any:
        """The answer at `url`; `Refused` and `Unavailable` as the catalogue raises them."""
        now = self._clock.monotonic()
        self._answers = {asked: kept for asked, kept in self._answers.items() if now - kept[0] < self._keep}
        if url not in self._answers:
            try:
                answer = self._look_up(url)
            except Refused as refusal:
                answer = refusal
            self._answers[url] = (now, answer)
            return _given(answer)
        return _given(self._answers[url][1])


def _given(answer: Any) -> Any:
    if isinstance(answer, Refused):
        raise answer
    return answer


@dataclass(frozen=True)
class CatalogueSource:
    """SC: a member of the JSON that the catalogue has at the variable's `url`.

    `field` names the member; of a list it is a position, from 1 or from -1 backwards. Without one,
    and with 0, the whole answer is the value. There is no unit.
    """

    look_up: LookUp

    def read(self, variable: Variable, known: Mapping[str, Quantity]) -> Quantity:
        """The answer or its member; `Unavailable` passes through."""
        url = _checked(variable.url, str(render(variable.url, known).value))
        try:
            answer = self.look_up(url)
        except Refused as refusal:
            raise MissingValue(f"the catalogue has no {url!r} for us: {refusal}") from None
        wanted = variable.arguments.get("field")
        if not wanted:
            return Quantity(answer)
        try:
            if isinstance(answer, list):
                return Quantity(answer[int(wanted)])
            return Quantity(answer[wanted])
        except (KeyError, IndexError, TypeError, ValueError):
            raise MissingValue(f"the answer to {url!r} has no {wanted!r}") from None


def check(variable: Variable, names: Names, brought: Brought) -> Iterator[Remark]:
    """What is wrong with a variable of the source SC."""
    found = [Remark(why) for why in names.objections(variable.url, variable.name)]
    beginning = variable.url.partition("<")[0]
    whole = re.match(r"https?://[^/<>]", variable.url)
    known = beginning.startswith(ENDPOINTS) or (
        "<" in variable.url and any(endpoint.startswith(beginning) for endpoint in ENDPOINTS)
    )
    if not whole and not known:
        word = re.split(r"[/?]", variable.url)[0]
        found.append(Remark(f"the url {variable.url!r} leads to nothing that may be asked{nearest(word, ENDPOINTS)}"))
    yield from unless_default(variable, found)


def _checked(template: str, url: str) -> str:
    """`url` if it leads where the schema says; what a data file fills in must not lead elsewhere."""
    whole = re.compile(r"https?://[^/<>]+")
    host = whole.match(template)
    if host is None and not url.startswith(ENDPOINTS):
        raise SourceError(f"{url!r} begins with none of {', '.join(ENDPOINTS)}, and the schema gives no whole URL")
    if host is not None and not re.match(re.escape(host[0]) + r"(/|\?|$)", url):
        raise SourceError(f"{url!r} does not lead to {host[0]}")
    path = url.partition("?")[0]
    if ".." in path.split("/") or re.search(r"[\x00-\x1f\x7f\\#]", url):
        raise SourceError(f"{url!r} cannot be asked for: it has '..', '#', '\\' or a control character in it")
    return url
