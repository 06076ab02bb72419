"""How fast the embedded catalogue answers when it is full: lists, searches, full text, over HTTP.

`python -m tests.benchmarks.bench_full --datasets 100000`; the catalogue is a process of its own. Beside the times that
a client waits stands the CPU time of the catalogue for one answer, which a busy machine changes little.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from scicat_watch.embedded import forms
from scicat_watch.embedded.store import Store
from scicat_watch.embedded.tables import DATASETS
from tests.benchmarks.table import head, milliseconds, note, show, timed

SERVER = """
import sys
from pathlib import Path
from scicat_watch.embedded.app import serve
from scicat_watch.embedded.options import ServeOptions
place = Path(sys.argv[1])
serve(ServeOptions(place / "c.sqlite", place / "a.json", port=0), lambda url: print(url, flush=True))
"""
MATERIALS = ("iron", "copper", "garnet", "vanadium", "perovskite", "graphite", "quartz", "lysozyme")
ACCOUNT = {"username": "reader", "password": "reader", "groups": ["bt-7"], "roles": []}
ADMIN = {"username": "admin", "password": "admin", "groups": [], "roles": ["admin"]}
FACETS = ["type", "ownerGroup", "keywords", "creationLocation"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    head()
    with tempfile.TemporaryDirectory() as place:
        fill(Path(place) / "c.sqlite", given.datasets)
        accounts = Path(place) / "a.json"
        accounts.write_text(json.dumps({"secret": "s" * 32, "accounts": [ACCOUNT, ADMIN]}))
        accounts.chmod(0o600)
        server = subprocess.Popen([sys.executable, "-c", SERVER, place], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            measure(server.stdout.readline().strip(), server.pid, given.datasets, given.rounds)
        finally:
            server.terminate()
            server.wait()
    show()


def fill(path: Path, count: int) -> None:
    """Make a catalogue of datasets with some 60 entries of metadata each."""
    began, store = time.perf_counter(), Store(path)
    for first in range(0, count, 1000):
        with store.writing() as session:
            for number in range(first, min(first + 1000, count)):
                session.insert(DATASETS, dataset(number))
    store.close()
    print(f"{count:,} datasets made in {time.perf_counter() - began:.0f} s: {path.stat().st_size / 1e6:.0f} MB")


def dataset(number: int) -> dict[str, Any]:
    """A dataset as a scan of a beamline has it."""
    chance = random.Random(number)
    beamtime, day = number // 100 % 200, f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
    motors = {f"motor_{n}": {"value": round(chance.uniform(-9, 9), 4), "unit": "mm"} for n in range(55)}
    body = {
        "type": "raw", "ownerGroup": f"bt-{beamtime}", "accessGroups": ["bl07"], "owner": "Ada Example",
        "contactEmail": "ada@example.org", "sourceFolder": f"/data/bt-{beamtime}/scan_{number:06d}",
        "datasetName": f"scan_{number:06d}", "creationTime": f"{day}T08:00:00.000Z", "creationLocation": "/SITE/BL07",
        "principalInvestigator": "Prof. P", "proposalId": str(beamtime), "keywords": [chance.choice(MATERIALS), "scan"],
        "description": f"A film of {chance.choice(MATERIALS)} at {chance.randrange(300)} K",
        "scientificMetadata": {"scan_id": f"id-{number}", "energy": {"value": 12.4, "unit": "keV"}, **motors},
    }  # fmt: skip
    return forms.new_dataset(body, f"20.500.1/{number:06d}", "ingestor", f"{day}T09:00:00.000Z")


def used(process: int) -> float:
    """Seconds of CPU time that all threads of a process have used."""
    threads = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in threads) / 1e9


def measure(url: str, server: int, count: int, rounds: int) -> None:
    """Medians of each request, by an account that may read one beamtime and by an admin."""
    newest = {"limits": {"limit": 25, "order": "creationTime:desc"}}
    rare, common = f"scan_{count // 2:06d}", "scan"
    requests_made: list[tuple[str, str, dict[str, Any]]] = [
        ("newest 25", "api/v3/datasets", {"filter": newest}),
        ("newest 10 (v4)", "api/v4/datasets", {}),
        ("count", "api/v3/datasets/count", {}),
        ("one by id", f"api/v3/datasets/20.500.1%2F{count // 2:06d}", {}),
        ("of a proposal", "api/v3/datasets", {"filter": newest | {"where": {"proposalId": "7"}}}),
        ("by a value of the metadata", "api/v3/datasets/count",
         {"filter": {"where": {"scientificMetadata.scan_id": {"$in": [f"id-{count // 2}"]}}}}),
        ("full text, a rare word", "api/v3/datasets/fullquery", {"fields": {"text": rare}, "limits": {"limit": 25}}),
        ("full text, two words", "api/v3/datasets/fullquery",
         {"fields": {"text": "garnet film"}, "limits": {"limit": 25, "order": "creationTime:desc"}}),
        ("full text, a word in all", "api/v3/datasets/fullquery",
         {"fields": {"text": common}, "limits": {"limit": 25}}),
        ("facets", "api/v3/datasets/fullfacet", {"facets": FACETS, "fields": {}}),
        ("the largest 25", "api/v3/datasets", {"filter": {"limits": {"limit": 25, "order": "size:desc"}}}),
        ("keys of the metadata", "api/v3/datasets/metadataKeys", {}),
        ("page", "", {}),
        ("page, a part of a name", "", {"q": rare[-4:]}),
        ("page, a word in all names", "", {"q": common}),
    ]  # fmt: skip
    for account in (ADMIN, ACCOUNT):
        session = requests.Session()
        login = {name: account[name] for name in ("username", "password")}
        token = session.post(f"{url}/api/v3/auth/login", json=login, timeout=600).json()["id"]
        session.headers["Authorization"] = f"Bearer {token}"
        for what, path, parameters in requests_made:
            if not path and account is ACCOUNT:
                continue
            texts = {name: one if isinstance(one, str) else json.dumps(one) for name, one in parameters.items()}

            def ask(path: str = path, texts: dict[str, str] = texts, session: requests.Session = session) -> None:
                answer = session.get(f"{url}/{path}", params=texts, timeout=600)
                assert answer.status_code in (200, 403), answer.text

            ask()
            before = used(server)
            waited = milliseconds([timed(ask) for _ in range(rounds)])
            cpu = (used(server) - before) / rounds * 1000
            note(f"{count:,} datasets, {account['username']}: {what}", f"{waited}; CPU {cpu:.1f} ms")


if __name__ == "__main__":
    main()
