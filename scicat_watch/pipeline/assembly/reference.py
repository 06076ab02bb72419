"""The tables of the schema language's page, made from what schemas are evaluated with. Pure: text from tables.

The page is `docs/reference/schemas.md`; `docs/generate.py` puts the tables into it, and a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from scicat_watch.pipeline.assembly.convert import CONVERSIONS
from scicat_watch.pipeline.assembly.dataset import FIELDS, MANDATORY
from scicat_watch.pipeline.assembly.operators import OPERATORS, Operator
from scicat_watch.pipeline.assembly.sources.scan import FACTS
from scicat_watch.pipeline.assembly.sources.table import SOURCES, SourceKind
from scicat_watch.pipeline.schema.model import PREDEFINED
from scicat_watch.words import markdown_table


def sources() -> str:
    """All sources with their keys and meanings."""
    return markdown_table(("source", "keys", "value"), [(f"`{one.name}`", _keys(one), one.meaning) for one in SOURCES])


def operators() -> str:
    """All operators with their spellings, keys and effects."""
    return markdown_table(("operator", "effect", "keys"), [_operator(one) for one in OPERATORS])


def predefined() -> str:
    """The predefined variables."""
    return markdown_table(("variable", "value"), [(f"`{name}`", meaning) for name, meaning in PREDEFINED.items()])


def facts() -> str:
    """What SCAN knows."""
    return markdown_table(("path", "value"), [(f"`{name}`", meaning) for name, meaning in FACTS.items()])


def fields() -> str:
    """The fields of a dataset."""
    names = [f"`{name}`" + ("*" if name in MANDATORY else "") for name in sorted(FIELDS, key=str.casefold)]
    return ", ".join(names) + "\n"


def types() -> str:
    """The names of the value types."""
    return ", ".join(f"`{name}`" for name in CONVERSIONS) + "\n"


TABLES: Mapping[str, Callable[[], str]] = {
    "sources": sources,
    "operators": operators,
    "predefined": predefined,
    "facts": facts,
    "fields": fields,
    "types": types,
}
"""The generated parts of the page by name."""


def filled_in(page: str) -> str:
    """`page` with its generated parts, between `<!-- table: NAME -->` and `<!-- end -->`, as they should be now."""
    return re.sub(
        r"<!-- table: (\w+) -->\n.*?<!-- end -->",
        lambda match: f"<!-- table: {match[1]} -->\n\n{TABLES[match[1]]()}\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


def _keys(kind: SourceKind) -> str:
    """The keys of a source's variables but for `unit`, which all may have."""
    return ", ".join(f"`{key}`" for key in (*kind.needs, *kind.takes) if key != "unit")


def _operator(operator: Operator) -> Sequence[str]:
    names = ", ".join(f"`{name}`" for name in (operator.name, *operator.spellings))
    keys = "; ".join(
        f"`{key}`{' (needed)' if key in operator.needed else ''}: {meaning}"
        for key, meaning in operator.arguments.items()
    )
    return names + (" *new*" if operator.new else ""), operator.effect, keys
