"""A database whose disk fails goes on in memory, and back to the disk with all that happened meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scicat_watch.ledger.storage import Storage

Stores = Callable[[Path | None], Storage]


def _opened(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
    try:
        connection.execute("create table if not exists kept (name text primary key, value text)")
        connection.execute("create table if not exists shown (name text primary key)")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@pytest.fixture
def stores() -> Iterator[Stores]:
    made: list[Storage] = []

    def make(path: Path | None) -> Storage:
        made.append(Storage(path, _opened, renewed=("shown",)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _put(store: Storage, name: str, value: str = "") -> None:
    store.execute("insert or replace into kept values (?, ?)", (name, value))


def _names(store: Storage) -> list[str]:
    return [name for (name,) in store.all("select name from kept order by name")]


def _full(store: Storage) -> None:
    """The next page that the database needs is not to be had, as on a full disk."""
    pages = store._connection.execute("pragma page_count").fetchone()[0]
    store._connection.execute(f"pragma max_page_count={pages}")


@pytest.fixture
def full(tmp_path: Path, stores: Stores) -> Storage:
    """One that has come to know that its disk is full."""
    store = stores(tmp_path / "db")
    _put(store, "before")
    store.execute("insert into shown values ('old')")
    _full(store)
    _put(store, "long", "x" * 100_000)
    return store


def test_what_a_full_disk_does_not_take_is_kept_in_memory(full: Storage, tmp_path: Path) -> None:
    assert "full" in full.problem
    assert _names(full) == ["before", "long"]
    _put(full, "later")
    assert _names(full) == ["before", "later", "long"]


def test_it_is_on_the_disk_once_that_is_well(full: Storage, stores: Stores, tmp_path: Path) -> None:
    full.execute("delete from shown")
    full.execute("insert into shown values ('new')")
    full.execute("delete from kept where name='none'")
    full.recover()
    assert full.problem == ""
    other = stores(tmp_path / "db")
    assert _names(other) == ["before", "long"]
    assert other.all("select name from shown") == [("new",)]
    _put(full, "after")
    assert "after" in _names(other)


def test_what_others_wrote_to_the_disk_meanwhile_stays(full: Storage, stores: Stores, tmp_path: Path) -> None:
    other = stores(tmp_path / "db")
    _put(other, "others")
    full.recover()
    assert _names(other) == ["before", "long", "others"]


def test_a_disk_that_still_fails_changes_nothing(full: Storage, tmp_path: Path) -> None:
    (tmp_path / "db").unlink()
    (tmp_path / "db").mkdir()
    full.recover()
    assert full.problem
    assert _names(full) == ["before", "long"]


def test_a_database_that_somebody_removed_is_made_anew(stores: Stores, tmp_path: Path) -> None:
    store = stores(tmp_path / "db")
    _put(store, "before")
    (tmp_path / "db").unlink()
    _put(store, "unnoticed")
    store.recover()
    _put(store, "after")
    assert _names(stores(tmp_path / "db")) == ["after", "before", "unnoticed"]


def test_one_that_is_damaged_while_it_is_used_costs_what_it_held_and_no_work(stores: Stores, tmp_path: Path) -> None:
    store = stores(tmp_path / "db")
    _put(store, "before", "x" * 100_000)
    size = (tmp_path / "db").stat().st_size
    (tmp_path / "db").write_bytes(b"x" * size)
    _put(store, "after")
    assert store.problem
    assert "after" in _names(store)


def test_one_that_is_closed_is_not_opened_again(stores: Stores, tmp_path: Path) -> None:
    store = stores(tmp_path / "db")
    store.close()
    _put(store, "late")
    store.recover()
    assert store.all("select name from kept") == []
    assert store.problem == ""
