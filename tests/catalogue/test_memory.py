from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scicat_watch.catalogue.memory import ShortMemory, Written, digest
from scicat_watch.catalogue.patience import ConnectionBroken
from scicat_watch.errors import CatalogueError, Refused, Unavailable


def again(memory: ShortMemory) -> Written:
    """What a process that starts now knows."""
    return Written(memory, "7/a")


@contextmanager
def keeping(memory: ShortMemory) -> Iterator[Written]:
    """A process that ends well."""
    written = again(memory)
    yield written
    written.keep()


def test_a_write_is_begun_before_it_is_done() -> None:
    memory = ShortMemory()
    with keeping(memory) as written, written.writing("origdatablock", "x"):
        assert again(memory).done("origdatablock", "x") is None
        assert again(memory).any("origdatablock")
        assert not again(memory).holds("origdatablock", ["x"])
    assert again(memory).done("origdatablock", "x") is True
    assert again(memory).done("origdatablock", "y") is False
    assert again(memory).holds("origdatablock", ["x"])
    assert not again(memory).any("attachment")
    assert Written(memory, "7/b").done("origdatablock", "x") is False


def test_that_a_write_is_done_is_kept_with_the_beginning_of_the_next_one() -> None:
    class Counting(ShortMemory):
        kept = 0

        def remember(self, pid: str, text: str) -> None:
            self.kept += 1
            super().remember(pid, text)

    memory = Counting()
    written = again(memory)
    with written.writing("dataset", "x"):
        pass
    with written.writing("origdatablock", "y"):
        assert again(memory).holds("dataset", ["x"])
        assert again(memory).done("origdatablock", "y") is None
    for _ in range(2):
        written.keep()
        assert again(memory).holds("origdatablock", ["y"])
    assert memory.kept == 3


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (Unavailable("no answer"), None),
        (Unavailable("broken", 500), None),
        (ConnectionBroken("reset"), None),
        (ConnectionBroken("nobody listens", sent=False), False),
        (Refused("no", 400), False),
    ],
)
def test_a_write_that_failed_is_in_doubt_unless_it_was_refused_or_not_sent(
    error: CatalogueError, known: bool | None
) -> None:
    memory = ShortMemory()
    with pytest.raises(CatalogueError), again(memory).writing("attachment", "x"):
        raise error
    assert again(memory).done("attachment", "x") is known


def test_a_dataset_is_as_it_was_written_last() -> None:
    memory = ShortMemory()
    with keeping(memory) as written, written.writing("dataset", "first"):
        pass
    with pytest.raises(Unavailable), again(memory).writing("dataset", "second"):
        raise Unavailable("no answer")
    assert again(memory).done("dataset", "first") is True
    assert not again(memory).holds("dataset", ["first"])
    with keeping(memory) as written, written.writing("dataset", "third"):
        pass
    assert again(memory).holds("dataset", ["third"])
    again(memory).agrees({"dataset": ("fourth",), "attachment": ()})
    assert again(memory).holds("dataset", ["fourth"])


@pytest.mark.parametrize("text", ["{", "[]", "1", '{"dataset:x": 1}'])
def test_what_another_version_wrote_is_no_knowledge(text: str) -> None:
    memory = ShortMemory()
    memory.remember("7/a", text)
    assert not again(memory).any("dataset")


def test_equal_documents_have_equal_digests() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest("\udcff") == digest("\udcff")
