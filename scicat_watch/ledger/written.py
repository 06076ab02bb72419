"""What was written to catalogues, one text for each dataset: a part of the journal.

What the texts mean is the catalogue's side to know (`catalogue.memory`). Losing them costs a question more for each
scan, but where our account may not read what it wrote: there nobody can say then what is missing. Datasets to which a
write may still arrive late are in a table of their own, which is nearly always empty.
"""

from __future__ import annotations

from scicat_watch.ledger.known import text as storable
from scicat_watch.ledger.storage import Storage
from scicat_watch.progress import LateCheck

# With rowids: rows of more than 1 kB would each take a page of their own otherwise.
SCHEMA = """
create table if not exists written (
    catalogue text not null, pid text not null, steps text not null, primary key (catalogue, pid)
);
create table if not exists late_checks (
    catalogue text not null, pid text not null, since real not null, due real not null, documents text not null,
    made integer not null, reason text not null, primary key (catalogue, pid)
);
"""


class WrittenDocuments:
    """What was written to one catalogue; used by several threads."""

    def __init__(self, storage: Storage, catalogue: str) -> None:
        self._storage, self._catalogue = storage, catalogue

    def recall(self, pid: str) -> str:
        """What was remembered last of a dataset; empty for nothing."""
        values = (self._catalogue, storable(pid))
        rows = self._storage.all("select steps from written where catalogue=? and pid=?", values)
        return str(rows[0][0]) if rows else ""

    def remember(self, pid: str, text: str) -> None:
        """Keep `text` in place of what was remembered of a dataset."""
        values = (self._catalogue, storable(pid), text)
        # Unlike a replaced row, a changed one stays where it is: less of the file is written, as the index is not.
        upsert = "insert into written values (?,?,?) on conflict do update set steps=excluded.steps"
        self._storage.execute(upsert, values)

    def all(self) -> list[tuple[str, str]]:
        """What is remembered of each dataset, with its id."""
        return self._storage.all("select pid, steps from written where catalogue=?", (self._catalogue,))

    def late_check(self, wanted: LateCheck) -> None:
        """Keep a late check in place of the one of the same dataset."""
        values = (self._catalogue, storable(wanted.pid), wanted.since, wanted.due, wanted.documents, wanted.made)
        self._storage.execute("insert or replace into late_checks values (?,?,?,?,?,?,?)", (*values, wanted.reason))

    def next_late_check(self) -> LateCheck | None:
        """The one that is due first; None if there is none."""
        query = (
            "select pid, since, due, documents, made, reason from late_checks where catalogue=? order by due limit 1"
        )
        rows = self._storage.all(query, (self._catalogue,))
        return LateCheck(*rows[0]) if rows else None

    def settled(self, pid: str) -> None:
        """A dataset needs no late check any more."""
        self._storage.execute("delete from late_checks where catalogue=? and pid=?", (self._catalogue, storable(pid)))

    def late_checks(self) -> list[LateCheck]:
        """All of them, without the documents; the first to be made comes first."""
        query = "select pid, since, due, '', made, reason from late_checks where catalogue=? order by due"
        return [LateCheck(*row) for row in self._storage.all(query, (self._catalogue,))]
