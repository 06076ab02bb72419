"""The words by which datasets are found: what is indexed of a document, and what is asked of the index. Pure.

Two indexes of SQLite's FTS5 stand beside the datasets: one finds any part of a name, an id, a keyword or a proposal id;
the other finds whole words in all texts and numbers of the document, metadata included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from scicat_watch.embedded.tables import Document

_LONGEST = 64 * 1024
"""Characters of a document that are indexed."""
_LONGEST_LIST = 16
"""Members of a list that are indexed: long ones are data, not words."""
_MOST_WORDS = 16
NOT_ALL = "notallofitswordsareindexed"
"""A word in the index of each document of which something was left out, so that filters do not miss it."""
NOT_INDEXED = frozenset({"datasetlifecycle", "createdAt", "updatedAt", "_id", "__v", "valueSI", "unitSI"})
"""Names of members, at any depth, whose values are in no index."""
_PLAIN = re.compile(r"[A-Za-z0-9]")


def names(document: Document) -> str:
    """What a search for a part of a word goes through."""
    found = [document.get("datasetName"), document["pid"], *(document.get("keywords") or ())]
    found += document.get("proposalIds") or ()
    return _clean("\n".join(str(one) for one in found if one).lower())


def texts(document: Document) -> str:
    """What a search for whole words goes through."""
    found: list[str] = []
    size = 0
    for text in _texts(document):
        size += len(text) + 1
        if size > _LONGEST:
            return _clean("\n".join([*found, NOT_ALL]))
        found.append(text)
    return _clean("\n".join(found))


def any_part(words: str) -> tuple[str, list[str]]:
    """Which rows of `datasets_names` have all space-separated `words` somewhere: SQL, and its values."""
    clauses, values, phrases = [], [], []
    for word in _clean(words.lower()).split()[:_MOST_WORDS]:
        if len(word) >= 3:
            phrases.append(_quoted(word))
        else:  # The index is one of three letters: shorter ones are searched in the narrow table itself.
            clauses.append("instr(names, ?) > 0")
            values.append(word)
    if phrases:
        clauses.append("datasets_names MATCH ?")
        values.append(" AND ".join(phrases))
    return " AND ".join(clauses) or "1", values


def whole_words(words: str) -> str:
    """The question to `datasets_texts` for documents that have all of `words`; empty if none can be asked."""
    asked = [word for word in _clean(words).split()[:_MOST_WORDS] if _PLAIN.search(word)]
    return " AND ".join(map(_quoted, asked))


def values(wanted: list[Any]) -> str:
    """The question to `datasets_texts` for the documents that can have one of these values; empty if there is none."""
    asked = []
    for value in wanted:
        text = _written(value)
        if text is None or not _PLAIN.search(text):
            return ""
        # A beginning is enough, as the document is compared afterwards; it must end between words.
        asked.append(_quoted(" ".join(_clean(text).split()[:8])))
    return " OR ".join([*asked, NOT_ALL]) if 0 < len(asked) <= 64 else ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name not in NOT_INDEXED:
                yield from _texts(member)
    elif isinstance(value, list):
        for member in value[:_LONGEST_LIST]:
            yield from _texts(member)
        if len(value) > _LONGEST_LIST:
            yield NOT_ALL
    else:
        text = _written(value)
        if text is not None:
            yield text


def _written(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # 5 and 5.0 are equal, so they are the same word.
    return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)


def _clean(text: str) -> str:
    return text.replace("\0", " ")


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
