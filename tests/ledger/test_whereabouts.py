"""A dataset belongs to a file: whatever is renamed, replaced and written while nobody watches, and rescanned first."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.ledger.test_identity import Story

PLACES = ("a/x", "a/y", "b/x", "c/x")
Step = tuple[str, ...]
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.sampled_from(("write", "replace", "remove")), st.sampled_from(PLACES)),
    st.tuples(st.sampled_from(("rename", "overwrite")), st.sampled_from(PLACES), st.sampled_from(PLACES)),
    st.tuples(st.just("all"), st.sampled_from("0123456789")),
    st.tuples(st.just("some"), st.sampled_from("0123456789")),
    st.just(("restart",)),
)


class History:
    """What happens to the files of a beamtime, and a model of which dataset each content has."""

    def __init__(self, story: Story) -> None:
        self.story, self.number = story, 0
        self.there: dict[str, int] = {}
        """What is at each place; no content comes twice."""
        self.died: dict[int, str] = {}
        """Where each content was that is nowhere any more."""
        self.datasets: dict[int, str] = {}
        self.owners: dict[str, int] = {}
        """The newest content of each dataset."""
        self.known: dict[int, set[str]] = {}
        """Where each content was seen."""
        self.seen: dict[int, str] = {}
        """Where it was seen last."""
        self.last: dict[str, int] = {}
        """What was seen last at each place."""

    def tell(self, verb: str, *names: str) -> None:
        if verb in ("all", "some"):
            self._rescan(verb, random.Random(names[0]))
        elif verb == "restart":
            self.story.start()
        elif verb in ("write", "replace"):
            self._write(names[0], replaced=verb == "replace")
        elif names[0] in self.there:
            self._move(verb, *names)

    def _write(self, name: str, *, replaced: bool) -> None:
        self.number += 1
        path = self._path(name)
        path.parent.mkdir(exist_ok=True)
        file = path.with_name(".new") if replaced else path
        file.write_text("x" * self.number)  # Each of another size: all is over within a tick of the clock.
        file.rename(path)
        self._comes(name, self.number)

    def _move(self, verb: str, name: str, to: str = "") -> None:
        if verb == "remove":
            self._path(name).unlink()
            self.died[self.there.pop(name)] = name
        elif name != to and (verb == "overwrite" or to not in self.there):
            self._path(to).parent.mkdir(exist_ok=True)
            self._path(name).rename(self._path(to))
            self._comes(to, self.there.pop(name))

    def _comes(self, name: str, content: int) -> None:
        if name in self.there:
            self.died[self.there[name]] = name
        self.there[name] = content

    def _path(self, name: str) -> Path:
        return self.story.root / f"{name}.nxs"

    def _rescan(self, verb: str, order: random.Random) -> None:
        names = order.sample(sorted(self.there), len(self.there))
        names = names if verb == "all" else names[: len(names) // 2]
        root, ledger = self.story.root, self.story.ledger
        ledger.make_way([ledger.of_file(self._path(name), root) for name in names], self._files)
        before = dict(self.owners)
        for name in names:
            self._check(name, self.there[name], self.story.ingest(name), before)
            assert self.story.asked(name).pid == self.datasets[self.there[name]]

    def _files(self, inodes: Collection[int]) -> Iterator[Path]:
        yield from map(self._path, self.there)

    def _check(self, name: str, content: int, pid: str, before: dict[str, int]) -> None:
        if content in self.datasets:
            assert pid == self.datasets[content], f"the dataset of {name} was {self.datasets[content]}, and is {pid}"
        elif pid in self.owners:
            owner = self.owners[pid]
            assert owner not in self.there.values(), f"{pid} is that of another file, which is there"
            assert owner == before.get(pid), f"{pid} was given twice"
            is_here = self.last.get(name) == owner and self.seen[owner] == name
            assert is_here or name == self.died[owner] != self.seen[owner], f"{pid} was not that of {name}"
        else:
            replaced = [one for one, where in self.died.items() if where == name and self._is_newest(one, name)]
            assert not replaced, f"{name} was replaced where it was, and is {pid} now"
        self.datasets[content], self.owners[pid] = pid, content
        self.known.setdefault(content, set()).add(name)
        self.seen[content], self.last[name] = name, content

    def _is_newest(self, content: int, name: str) -> bool:
        """Whether a content was the last one seen at a place, and seen nowhere else."""
        if self.known.get(content) != {name} or self.owners[self.datasets[content]] != content:
            return False
        return self.last.get(name) == content


RENAMED = [("write", "b/x"), ("all", "1"), ("rename", "b/x", "a/x"), ("write", "b/x")]

TAKEN = [("write", "a/x"), ("write", "b/x"), ("all", "0"), ("overwrite", "a/x", "b/x")]

LEFT = [("all", "1"), ("rename", "b/x", "c/x"), ("all", "1"), ("write", "b/x"), ("all", "1")]
TAKEN_AGAIN = [("write", "a/y"), ("all", "1"), ("remove", "c/x"), ("overwrite", "a/y", "b/x")]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=4, max_size=18))
@example([*RENAMED, ("all", "0")])
@example([*RENAMED, ("some", "0"), ("some", "1"), ("all", "3")])
@example([*RENAMED[:3], ("all", "1"), ("rename", "a/x", "c/x"), ("write", "b/x"), ("all", "0")])
@example([*RENAMED[:3], ("all", "1"), ("remove", "a/x"), ("write", "b/x"), ("all", "0")])
@example(
    [("write", "a/x"), ("write", "b/x"), ("all", "0"), ("overwrite", "a/x", "b/x"), ("write", "a/x"), ("all", "1")]
)
@example([*TAKEN, *LEFT, *TAKEN_AGAIN, *LEFT])
def test_each_content_has_one_dataset_for_ever_and_shares_it_with_none(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as place:
        story = Story(Path(place))
        try:
            history = History(story)
            for step in (*steps, ("all", "0")):
                history.tell(*step)
        finally:
            story.close()


def test_files_that_change_places_in_a_ring_keep_their_datasets(tmp_path: Path) -> None:
    history = History(Story(tmp_path))
    for name in ("a/x", "b/x", "c/x"):
        history.tell("write", name)
    history.tell("all", "0")
    for name, to in (("a/x", "a/y"), ("b/x", "a/x"), ("c/x", "b/x"), ("a/y", "c/x")):
        history.tell("rename", name, to)
    history.tell("some", "0")
    history.story.start()
    history.tell("all", "1")
    assert {name: history.datasets[content] for name, content in history.there.items()} == {
        "a/x": "1/b/x", "b/x": "1/c/x", "c/x": "1/a/x",
    }  # fmt: skip
    history.story.close()
