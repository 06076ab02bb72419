"""What a VALUE variable can do to its value: the operators of metadata schemas.

`OPERATORS` is the table that schemas are evaluated with and that the reference page is made from. An
operator gets the rendered value with its unit and gives back another; conversion to `value_type`
follows. Except where the table says otherwise the unit is lost. Names are case-sensitive; a name
that is not in the table leaves the value as it is, which `lint` reports. Pure.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from scicat_watch.model import Quantity
from scicat_watch.pipeline.assembly import operations, techniques
from scicat_watch.pipeline.assembly.operations import Arguments


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator, with what the reference page says about it."""

    name: str
    effect: str
    """For curators: what it does."""
    apply: Callable[[Quantity, Arguments], Quantity]
    spellings: tuple[str, ...] = ()
    """Further names."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Keys of the variable that it uses, with their meaning."""
    needed: tuple[str, ...] = ()
    """Those of them without which it does nothing, or fails for every scan."""
    forgiving: bool = False
    """Whether elements of its list that have no value are passed over; it then gets a list of quantities."""
    new: bool = True
    """Whether it is an addition of ours to the schema language."""


def find(name: str) -> Operator | None:
    """The operator of that name or spelling; None if there is none. No name is the one that does nothing."""
    return _BY_NAME.get(name or "DO_NOTHING")


_PATTERN = {"pattern": "regular expression, limited in length and time"}

OPERATORS: tuple[Operator, ...] = (
    Operator("DO_NOTHING", "Value and unit stay; the same as no operator.", operations.nothing, new=False),
    Operator(
        "getitem",
        "An element of a mapping, a list or a text.",
        operations.getitem,
        arguments={"field": "key, or position from 0, or from -1 backwards"},
        needed=("field",),
        new=False,
    ),
    Operator(
        "str_replace",
        "Every occurrence of a text replaced; without both arguments the value stays.",
        operations.str_replace,
        spellings=("str-replace",),
        arguments={"pattern": "plain text", "replacement": "what to put instead"},
        needed=("pattern", "replacement"),
        new=False,
    ),
    Operator(
        "to_upper", "Upper case.", lambda q, _: Quantity(str(q.value).upper()), spellings=("to-upper",), new=False
    ),
    Operator(
        "to_lower", "Lower case.", lambda q, _: Quantity(str(q.value).lower()), spellings=("to-lower",), new=False
    ),
    Operator(
        "urlsafe",
        "Percent-encoded for a URL: a blank becomes +, a slash %2F.",
        operations.on_text(quote_plus),
        spellings=("url-safe",),
        new=False,
    ),
    Operator(
        "join_with_space",
        "The texts of a list, or the keys of a mapping, joined with a comma and a blank.",
        operations.join_with_space,
        spellings=("join-with-space",),
        new=False,
    ),
    Operator("dirname", "The parent folder of a path.", operations.on_text(posixpath.dirname), new=False),
    Operator(
        "dirname-2",
        "The folder above the parent folder.",
        operations.on_text(lambda path: posixpath.dirname(posixpath.dirname(path))),
        spellings=("dirname_2",),
        new=False,
    ),
    Operator("filename", "The last element of a path.", operations.on_text(posixpath.basename), new=False),
    Operator("sum", "The sum of a list of numbers; keeps the unit.", operations.sum_of, new=False),
    Operator(
        "first_of",
        "The first element of the list that has a value and is not empty, with its unit.",
        operations.first_of,
        spellings=("first-of",),
        forgiving=True,
    ),
    Operator(
        "join",
        "The elements joined; those that are empty or have no value are left out.",
        operations.join,
        arguments={"separator": 'text between them, ", " if not given'},
        forgiving=True,
    ),
    Operator(
        "email",
        "The first element that is an e-mail address with a full domain, as SciCat demands; without a name around it.",
        operations.email,
        forgiving=True,
    ),
    Operator(
        "person",
        'A name as "First Last": from a mapping with `firstname` and `lastname`, or from "Last, First".',
        operations.person,
    ),
    Operator(
        "iso_date",
        "A date in ISO 8601. With T and seconds, and no zone, Z or ±hh:mm, it stays as it is; any other becomes "
        "YYYY-MM-DDThh:mm:ss.ffffff±hhmm, and is in local time if it says no zone. With `zone` every date gets one.",
        operations.iso_date,
        spellings=("iso-date",),
        arguments={"zone": 'zone of dates without one: an IANA name, e.g. "Europe/Berlin", or "local"'},
    ),
    Operator(
        "techniques",
        "Techniques of an `experiment_description`: YAML with technique(s) and their pids, or a name, or a PaNET id.",
        operations.on_text(techniques.from_description),
    ),
    Operator(
        "techniques_of_definition",
        'Techniques of a NeXus `definition`, e.g. "NXsaxs": a comma list, without NX.',
        operations.on_text(techniques.from_definition),
        spellings=("techniques-of-definition",),
    ),
    Operator(
        "member_or_text",
        "A member of a text that is a YAML mapping; any other text as it is.",
        operations.member_or_text,
        spellings=("member-or-text",),
        arguments={"field": "name of the member, or a list of names to try"},
        needed=("field",),
    ),
    Operator(
        "regex_replace",
        "Every match of a regular expression replaced.",
        operations.regex_replace,
        spellings=("regex-replace",),
        arguments=_PATTERN | {"replacement": r"what to put instead; \1 is the first group"},
        needed=("pattern",),
    ),
    Operator(
        "regex_find",
        "What a regular expression finds first; no value if it finds nothing.",
        operations.regex_find,
        spellings=("regex-find",),
        arguments=_PATTERN | {"field": "group, by number or name; else the first one, or the whole match"},
        needed=("pattern",),
    ),
    Operator(
        "substring",
        "A slice of a text or a list.",
        operations.substring,
        arguments={"start": "first position, from 0", "stop": "first position after it; both may count from the end"},
    ),
    Operator(
        "multiply",
        "A number, or each of a list, times another. The result has `unit`, else the unit of the one that has one.",
        operations.multiply,
        arguments={"operand": "number or <variable>", "unit": "unit of the result"},
        needed=("operand",),
    ),
    Operator(
        "add",
        "A number, or each of a list, plus another of the same unit.",
        operations.add,
        arguments={"operand": "number or <variable>", "unit": "unit of the result"},
        needed=("operand",),
    ),
)
"""All operators, in the order of the reference page."""


def _named(operators: Iterable[Operator]) -> dict[str, Operator]:
    return {name: operator for operator in operators for name in (operator.name, *operator.spellings)}


_BY_NAME = _named(OPERATORS)

NAMES: tuple[str, ...] = tuple(_BY_NAME)
"""All names and spellings."""
