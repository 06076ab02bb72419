"""References between the records of a catalogue, and how they follow the records into another one. Pure.

Ids do not stay the same on the way: a dataset gets the prefix of the other catalogue, and each catalogue makes the ids
of its instruments itself. So a line that is carried names those ids in it that are of records of its own catalogue:

    "links": {"datasets": {"20.500.1/9/scan_1": "9/scan_1"}, "instruments": {"20.500.1/4c1e…": "bl07"}}

each with what the other record is known by everywhere: a dataset by its id without prefix, an instrument by its unique
name. What is not named there, such as a dataset of somewhere else, stays as it is. Proposals and samples keep theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from scicat_watch.errors import AssemblyError

DATASETS, INSTRUMENTS = "datasets", "instruments"
Links = Mapping[str, Mapping[str, str]]
Follow = Callable[[str, str], str | None]
"""From what a record refers to (DATASETS or INSTRUMENTS) and its id, to the id that is to be there; None: none."""

_PLACES = (
    (DATASETS, ("inputDatasets",)),
    (DATASETS, ("relationships", "pid")),
    (DATASETS, ("pidArray",)),
    (DATASETS, ("datasetPids",)),
    (DATASETS, ("datasetList", "pid")),
    (DATASETS, ("jobParams", "datasetList", "pid")),
    (INSTRUMENTS, ("instrumentId",)),
    (INSTRUMENTS, ("instrumentIds",)),
    (INSTRUMENTS, ("MeasurementPeriodList", "instrument")),
)
"""Where records of all models have ids of others: those of datasets, published data and jobs, then of instruments."""


class Names:
    """By which name each dataset of a catalogue is carried: its id without prefix."""

    def __init__(self, pids: Iterable[str], prefixes: Iterable[str]) -> None:
        """`prefixes`: the one of the documents' ids, and the one that the catalogue gives to ids of its own making."""
        self._prefixes = [prefix for prefix in prefixes if prefix]
        self._pids = frozenset(pids)

    def __contains__(self, pid: str) -> bool:
        return pid in self._pids

    def of(self, pid: str) -> str:
        """The name; the whole id if another dataset has the rest for its id."""
        for prefix in self._prefixes:
            rest = pid.removeprefix(prefix)
            if rest and rest != pid and rest not in self._pids:
                return rest
        return pid


def links_of(document: Mapping[str, Any], names: Names, instruments: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Those ids in a document that are of records of its own catalogue; `instruments`: their names by id."""
    found: dict[str, dict[str, str]] = {}

    def note(kind: str, key: str) -> str:
        name = instruments.get(key) if kind == INSTRUMENTS else names.of(key) if key in names else None
        if name:
            found.setdefault(kind, {})[key] = name
        return key

    followed(document, note)
    return found


def redirected(document: Mapping[str, Any], links: Any, follow: Follow) -> dict[str, Any]:
    """A document that is carried, with its `links` as the other catalogue has them.

    `follow` is asked with the names of the records; one that is not there is left out of the document.
    """
    known = _checked(links)

    def change(kind: str, key: str) -> str | None:
        name = known.get(kind, {}).get(key)
        return key if name is None else follow(kind, name)

    return followed(document, change)


def followed(document: Mapping[str, Any], follow: Follow) -> dict[str, Any]:
    """A document with each id of another record replaced by what `follow` says."""
    changed = dict(document)
    for kind, (name, *below) in _PLACES:
        if name in changed:
            value = _replaced(changed[name], below, lambda key, kind=kind: follow(kind, key))  # type: ignore[misc]
            if value != changed[name] and value in (None, []):
                del changed[name]
            else:
                changed[name] = value
    return changed


def _replaced(value: Any, path: Collection[str], change: Callable[[str], str | None]) -> Any:
    if isinstance(value, list):
        members = (_replaced(one, path, change) for one in value)
        return [new for new, old in zip(members, value, strict=True) if new is not None or old is None]
    if not path:
        return change(value) if isinstance(value, str) and value else value
    name, *below = path
    if not isinstance(value, Mapping) or name not in value:
        return value
    new = _replaced(value[name], below, change)
    return value if new is None else {**value, name: new}


def _checked(links: Any) -> Links:
    if not isinstance(links, Mapping) or not all(isinstance(one, Mapping) for one in links.values()):
        raise AssemblyError("its links are no objects of ids and names")
    if wrong := [name for name in _texts(links) if not isinstance(name, str) or not name]:
        raise AssemblyError(f"its links have {wrong[0]!r:.80}, which is no name")
    return links


def _texts(links: Mapping[str, Mapping[str, Any]]) -> Iterator[Any]:
    return (name for one in links.values() for name in one.values())
