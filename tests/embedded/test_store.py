"""The database: durable, never in the way of a start, and of one mind with the filters."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_watch.embedded import conversion
from scicat_watch.embedded.accounts import Caller
from scicat_watch.embedded.database import APPLICATION_ID, SCHEMA_VERSION, GoneError, lost
from scicat_watch.embedded.query import Query, matches, ordered
from scicat_watch.embedded.store import DuplicateError, Store
from scicat_watch.embedded.tables import ATTACHMENTS, BLOCKS, DATASETS
from scicat_watch.errors import ConfigError

STAMP = ("2024-05-01T08:00:00.000Z", "ada")


def document(pid: str, **fields: Any) -> dict[str, Any]:
    base = {"_id": pid, "pid": pid, "datasetName": "scan", "ownerGroup": "g1", "size": 0, "numberOfFiles": 0}
    return base | {"createdAt": STAMP[0], "updatedAt": STAMP[0], "updatedBy": "ada"} | fields


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "catalogue.sqlite")
    yield store
    store.close()


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    store = Store(path)
    with store.writing() as session:
        session.insert(DATASETS, document("p/ü", size=5, keywords=["a"]))
    # Not closed: another process sees it nevertheless.
    again = Store(path)
    with again.reading() as session:
        assert session.get(DATASETS, "p/ü") == document("p/ü", size=5, keywords=["a"])
        assert session.get(DATASETS, "p/u") is None
    again.close()
    store.close()


def test_every_commit_is_flushed_to_the_disk(store: Store) -> None:
    with store.writing() as session:
        assert session.connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert session.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_id_is_taken_once(store: Store) -> None:
    with store.writing() as session:
        session.insert(DATASETS, document("p/1"))
    with pytest.raises(DuplicateError), store.writing() as session:
        session.insert(DATASETS, document("p/1"))


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    version = store.version

    def cut_short() -> None:
        with store.writing() as session:
            session.insert(DATASETS, document("p/1"))
            raise RuntimeError("power failure")

    with pytest.raises(RuntimeError):
        cut_short()
    assert store.version == version
    with store.writing() as session:
        assert session.get(DATASETS, "p/1") is None
        session.insert(DATASETS, document("p/1"))
    assert store.version != version


def test_totals_survive_many_writers(store: Store) -> None:
    with store.writing() as session:
        session.insert(DATASETS, document("p/1"))

    def add(number: int) -> None:
        with store.writing() as session:
            block = {"_id": str(number), "datasetId": "p/1", "size": 3, "dataFileList": [{}, {}]}
            session.insert(BLOCKS, block | {"createdAt": STAMP[0]})
            session.add_totals("p/1", 3, 2, STAMP)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(150)))
    with store.reading() as session:
        found = session.get(DATASETS, "p/1")
    assert found is not None
    assert (found["size"], found["numberOfFiles"]) == (450, 300)
    with store.writing() as session:
        session.sum_totals("p/1", STAMP)
        again = session.get(DATASETS, "p/1")
    assert again == found


@pytest.mark.parametrize("damage", [b"this is no database, and quite long enough to be read as one" * 99, None])
def test_a_damaged_database_is_kept_aside_and_a_new_one_made(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "catalogue.sqlite"
    store = Store(path)
    with store.writing() as session:
        for number in range(300):
            session.insert(DATASETS, document(f"p/{number}", description="x" * 500))
    store.close()
    content = path.read_bytes()
    path.write_bytes(damage or content[:8192] + b"\xff" * 65536 + content[73728:])
    store = Store(path)
    assert store.moved_to is not None
    assert store.moved_to.exists()
    with store.reading() as session:
        assert session.count(DATASETS, {}) == 0
    store.close()
    sound = Store(path)
    assert sound.moved_to is None
    sound.close()


def test_a_new_database_remembers_what_was_published_to_one_in_its_place_until_it_is_there_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "catalogue #1?.sqlite"
    assert lost(path) == 0
    assert not path.exists()
    Store(path).close()
    assert lost(path) == 0
    path.write_bytes(b"damaged" * 999)
    store = Store(path, lambda: ["p/1", "p/2", "p/2"])
    assert (store.moved_to is not None, lost(path)) == (True, 2)
    with store.writing() as session:
        session.insert(DATASETS, document("p/2"))
        session.insert(DATASETS, document("p/3"))
    assert lost(path) == 1
    with store.writing() as session:
        session.insert(DATASETS, document("p/1"))
    store.close()
    Store(path, lambda: ["p/4"]).close()
    assert lost(path) == 0, "only a new one is asked what it lacks"


@pytest.mark.parametrize("replaced", [False, True])
def test_a_database_that_is_gone_is_said_once_and_ends_the_process_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, replaced: bool
) -> None:
    path = tmp_path / "catalogue.sqlite"
    store = Store(path)
    ended: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    try:
        store.still_there()
        path.rename(tmp_path / "elsewhere")
        if replaced:
            path.touch()
        for _ in range(3):
            with pytest.raises(GoneError, match="replaced" if replaced else "removed"), store.writing():
                raise AssertionError("nothing is written any more")
    finally:
        signal.signal(signal.SIGTERM, before)
        store.close()
    assert ended == [signal.SIGTERM]
    assert len(caplog.messages) == 1


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE precious (x)")
    connection.close()
    with pytest.raises(ConfigError, match="another program"):
        Store(path)


def test_the_tables_are_those_of_catalogues_that_exist(store: Store) -> None:
    # A column that is renamed, added or removed needs another SCHEMA_VERSION, and a conversion of what is stored.
    rights = ["ownerGroup", "isPublished", "readers"]
    stamps = ["createdAt", "updatedAt", "updatedBy", "doc"]
    columns = {
        "datasets": ["pid", "datasetName", "creationTime", "type", "size", "numberOfFiles", *rights],
        "origdatablocks": ["_id", "datasetId", "size", "files", *rights],
        "attachments": ["_id", "datasetId", "picture", *rights],
        "proposals": ["proposalId", *rights],
        "samples": ["sampleId", "proposalId", *rights],
        "instruments": ["pid", "uniqueName"],
        "publisheddata": ["doi", *rights],
        "jobs": ["id", *rights],
        "policies": ["_id", *rights],
    }
    with store.reading() as session:
        for table, names in columns.items():
            found = [row[1] for row in session.connection.execute(f"PRAGMA table_info({table})")]
            assert found == ["seq", *names, *stamps]
        assert session.connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,) == (3,)


def test_a_newer_catalogue_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError, match="newer"):
        Store(path)


def test_a_path_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(ConfigError, match="directory"):
        Store(tmp_path / "directory")


def test_lists_hold_what_their_reader_may_read(store: Store) -> None:
    with store.writing() as session:
        session.insert(DATASETS, document("own"))
        session.insert(DATASETS, document("opened", ownerGroup="g2", accessGroups=["g1", "g3"]))
        session.insert(DATASETS, document("shared", ownerGroup="g2", sharedWith=["ada@x.org"]))
        session.insert(DATASETS, document("public", ownerGroup="g2", isPublished=True))
        session.insert(DATASETS, document("foreign", ownerGroup="g2", accessGroups=["ada@x.org"], sharedWith=["g1"]))
    ada = Caller("ada", "ada@x.org", frozenset({"g1"}))
    with store.reading() as session:
        assert [found["pid"] for found in session.find(DATASETS, Query(), ada)] == ["own", "opened", "shared", "public"]
        assert session.count(DATASETS, {}, ada) == 4
        assert session.count(DATASETS, {"pid": "foreign"}, ada) == 0
        assert session.count(DATASETS, {}, Caller()) == 1
        assert session.count(DATASETS, {}, Caller("admin", roles=frozenset({"admin"}))) == 5


names = st.sampled_from(["a", "b", "", "5", None, 5])
conditions = st.one_of(
    names,
    st.lists(names, max_size=3).map(lambda found: {"$in": found}),
    st.builds(lambda operator, value: {operator: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$ne"]), names),
)
wheres = st.recursive(
    st.dictionaries(st.sampled_from(["datasetName", "pid", "ownerGroup", "size", "comment"]), conditions, max_size=2),
    lambda inner: st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"$and": parts}),
    max_leaves=3,
)
texts = st.sampled_from(["a", "b", "", "5", None])
datasets = st.lists(st.tuples(texts, texts, st.integers(0, 5)), max_size=8)
orders = st.lists(st.tuples(st.sampled_from(["datasetName", "size", "comment"]), st.booleans()), max_size=2)


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("store") / "catalogue.sqlite")
    yield store
    store.close()


@given(rows=datasets, where=wheres, order=orders, skip=st.integers(0, 3), limit=st.integers(1, 4))
def test_columns_and_filters_are_of_one_mind(
    shared_store: Store,
    rows: list[tuple[Any, Any, int]],
    where: dict[str, Any],
    order: list[tuple[str, bool]],
    skip: int,
    limit: int,
) -> None:
    documents = [
        document(str(n), datasetName=name, comment=comment, size=size) for n, (name, comment, size) in enumerate(rows)
    ]
    with shared_store.writing() as session:
        session.connection.execute("DELETE FROM datasets")
        for one in documents:
            session.insert(DATASETS, one)
        found = session.find(DATASETS, Query(where, limit=limit, skip=skip, order=tuple(order)))
        count = session.count(DATASETS, where)
    expected = [one for one in documents if matches(where, one)]
    assert count == len(expected)
    sorted_ones = ordered(expected, tuple(order))[skip : skip + limit]
    keys = [name for name, _ in order]
    assert [[one[key] for key in keys] for one in found] == [[one[key] for key in keys] for one in sorted_ones]
    if not order:
        assert found == sorted_ones


V1 = """
CREATE TABLE datasets (seq INTEGER PRIMARY KEY AUTOINCREMENT, "pid" TEXT NOT NULL UNIQUE, "datasetName",
 "creationTime", "type", "size", "numberOfFiles", "search", "ownerGroup", "isPublished", "readers", "createdAt",
 "updatedAt", "updatedBy", doc TEXT NOT NULL);
CREATE TABLE attachments (seq INTEGER PRIMARY KEY AUTOINCREMENT, "_id" TEXT NOT NULL UNIQUE, "datasetId",
 "picture", "ownerGroup", "isPublished", "readers", "createdAt", "updatedAt", "updatedBy", doc TEXT NOT NULL);
CREATE INDEX attachments_datasetId ON attachments ("datasetId");
INSERT INTO datasets (pid, ownerGroup, size, doc) VALUES ('p/1', 'g1', 5,
 '{"_id":"p/1","pid":"p/1","proposalIds":["P1",null],"ownerGroup":"g1"}');
INSERT INTO attachments (_id, datasetId, ownerGroup, doc) VALUES ('a1', 'p/1', 'g1',
 '{"_id":"a1","caption":"c","datasetId":"p/1","sampleId":"S1","ownerGroup":"g1"}');
PRAGMA user_version = 1;
"""
"""What a catalogue of the first version had, as far as it is converted."""


def test_an_index_that_came_later_is_made_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY 1"
    store = Store(path)
    with store.writing() as session:
        session.insert(DATASETS, document("p/1", type="raw"))
        expected = session.connection.execute(indexes).fetchall()
        session.connection.execute("DROP INDEX datasets_type")
    store.close()
    store = Store(path)
    with store.reading() as session:
        assert session.connection.execute(indexes).fetchall() == expected
        assert session.count(DATASETS, {"type": "raw"}) == 1
    store.close()


def test_a_conversion_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "catalogue.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(f"{V1} PRAGMA application_id = {APPLICATION_ID};")
    connection.close()
    monkeypatch.setattr(conversion, "_REPORT_EVERY", 0.0)
    Store(path).close()
    assert "0 of 1 datasets" in caplog.text


def test_a_catalogue_of_the_first_version_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(f"{V1} PRAGMA application_id = {APPLICATION_ID};")
    connection.close()
    for _ in range(2):
        store = Store(path)
        assert store.moved_to is None
        with store.reading() as session:
            found = session.find(DATASETS, Query({"proposalIds": "P1"}))
            assert [(one["pid"], one["size"]) for one in found] == [("p/1", 5)]
            (attachment,) = session.find(ATTACHMENTS, Query({"datasetId": "p/1"}))
            targets = [(one["targetType"], one["targetId"]) for one in attachment["relationships"]]
            assert targets == [("dataset", "p/1"), ("sample", "S1")]
            assert "datasetId" not in attachment
            assert session.find(ATTACHMENTS, Query({"relationships.targetId": "S1"})) == [attachment]
        store.close()


def test_a_catalogue_of_the_second_version_gets_its_names_of_metadata(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    store = Store(path)
    both = ("SELECT * FROM datasets_links ORDER BY 1, 2, 3", "SELECT * FROM datasets_keys ORDER BY 1")
    with store.writing() as session:
        for number, keys in enumerate(("ab", "ab", "c", "")):
            metadata = {key: {"value": number} for key in keys}
            session.insert(DATASETS, document(f"p/{number}", keywords=["k"], scientificMetadata=metadata))
        expected = [session.connection.execute(sql).fetchall() for sql in both]
        assert len(expected[1]) == 2
    with store.writing() as session:
        session.connection.execute("DROP TABLE datasets_keys")
        session.connection.execute("DELETE FROM datasets_links WHERE field = ':keys'")
        session.connection.execute("PRAGMA user_version = 2")
        words = session.connection.execute("SELECT rowid, names FROM datasets_names").fetchall()
    store.close()
    store = Store(path)
    with store.reading() as session:
        assert [session.connection.execute(sql).fetchall() for sql in both] == expected
        assert session.connection.execute("SELECT rowid, names FROM datasets_names").fetchall() == words
    store.close()


def test_links_follow_what_is_changed_and_deleted(store: Store) -> None:
    def found(key: str) -> list[str]:
        with store.reading() as session:
            return [one["pid"] for one in session.find(DATASETS, Query({"keywords": {"$in": [key, "x"]}}))]

    with store.writing() as session:
        session.insert(DATASETS, document("p/1", keywords=["a", "b", "a"]))
        session.insert(DATASETS, document("p/2", keywords=["b"]))
    assert (found("a"), found("b")) == (["p/1"], ["p/1", "p/2"])
    with store.writing() as session:
        session.update(DATASETS, document("p/1", keywords=["c"]))
    assert (found("a"), found("b"), found("c")) == ([], ["p/2"], ["p/1"])
    with store.writing() as session:
        session.delete(DATASETS, "p/1")
        assert session.connection.execute(
            "SELECT count(*) FROM datasets_links WHERE field = 'keywords'"
        ).fetchone() == (1,)
