"""A site that runs ESS's ingestor: configuration, schemas, a data file, and a SciCat that remembers what it is sent."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import h5py
import yaml

from tests.catalogue.faulty import Answer, Loopback, Request

BIN = Path(sys.executable).parent
COMMAND = shutil.which("scicat_background_ingestor", path=str(BIN)) or "scicat_background_ingestor"
OTHER_COMMAND = shutil.which("scicat_offline_ingestor", path=str(BIN)) or "scicat_offline_ingestor"
TOKEN = "generated-token"

CONFIG: dict[str, Any] = {
    "nexus_file": None,
    "id": "test",
    "dataset": {"default_access_groups": ["staff"], "default_owner_group": "owners"},
    "ingestion": {
        "check_if_dataset_exists_by_metadata": False,
        "file_handling": {"save_file_hash": False, "data_file_open_max_tries": 0},
    },
    "kafka": {"topics": "x"},
    "logging": {},
    "scicat": {"token": TOKEN, "timeout": 10},
    "health_check": {"port": 8080},
}
"""A small configuration; everything else has ESS's defaults."""

FIELDS = {
    "pid": "20.500.99999/<job_id>",
    "datasetName": "<title>",
    "principalInvestigator": "P. Investigator",
    "creationLocation": "lab",
    "owner": "O. Wner",
    "ownerEmail": "o@example.org",
    "sourceFolder": "<folder>",
    "contactEmail": "c@example.org",
    "creationTime": "<now>",
}
SCHEMA: dict[str, Any] = {
    "id": "all",
    "name": "All files",
    "instrument": "*",
    "order": 10,
    "selector": "*",
    "variables": {
        "job_id": {"source": "NXS", "path": "/entry/entry_identifier_uuid", "value_type": "string"},
        "title": {"source": "NXS", "path": "/entry/title", "value_type": "string"},
        "folder": {
            "source": "VALUE",
            "operator": "dirname-2",
            "value": "<data_file_path>",
            "value_type": "string",
        },
    },
    "schema": {
        name: {"field_type": "high_level", "machine_name": name, "value": value, "type": "string"}
        for name, value in FIELDS.items()
    }
    | {"job": {"field_type": "scientific_metadata", "machine_name": "job_id", "value": "<job_id>", "type": "string"}},
}
"""A schema that takes every file."""


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with what `above` says otherwise; null in `above` removes a key."""
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return both


class Scicat(Loopback):
    """Answers with the given records, stores what is posted, and can be made to answer otherwise."""

    def __init__(self, records: Mapping[str, Any] | None = None, datasets: list[dict[str, Any]] | None = None) -> None:
        self.records = dict(records or {})
        self.datasets = {one["pid"]: one for one in datasets or []}
        self.blocks: list[dict[str, Any]] = []
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.odd: dict[tuple[str, str], list[Answer]] = {}
        """Answers to be given first, by method and path below the base."""
        super().__init__(self._answer)

    def asked(self, method: str, path: str = "") -> list[str]:
        """The addresses that were asked for, below the base."""
        below = [request.path.removeprefix("/api/v3/") for request in self.requests if request.method == method]
        return [address for address in below if address.startswith(path)]

    def posted(self, collection: str) -> list[dict[str, Any]]:
        return [body for name, body in self.posts if name == collection]

    def _answer(self, request: Request) -> Answer:
        address = urlsplit(request.path)
        below = address.path.removeprefix("/api/v3/")
        waiting = self.odd.get((request.method, below))
        if waiting:
            return waiting.pop(0)
        parts = [unquote(part) for part in below.split("/")]
        if request.method == "POST":
            return self._post(parts[0], json.loads(request.body))
        return self._get(parts, parse_qs(address.query))

    def _post(self, collection: str, body: dict[str, Any]) -> Answer:
        if collection == "datasets":
            body.setdefault("pid", "assigned/1")
            if body["pid"] in self.datasets:
                return _json({"message": "it exists already"}, 409)
            self.datasets[body["pid"]] = body
        elif collection == "origdatablocks":
            self.blocks.append(body)
        self.posts.append((collection, body))
        return _json({**body, "_id": f"id-{len(self.posts)}"}, 201)

    def _get(self, parts: list[str], query: dict[str, list[str]]) -> Answer:
        match parts:
            case ["datasets"]:
                return _json(self._found(json.loads(query["filter"][0])["where"]))
            case ["datasets", pid]:
                return _json(self.datasets[pid]) if pid in self.datasets else _json({"message": "none"}, 404)
            case ["datasets", pid, "origdatablocks"]:
                return _json([block for block in self.blocks if block["datasetId"] == pid])
            case ["proposals", key]:
                found = [one for one in self.records.get("proposals", []) if one["proposalId"] == key]
                return _json(found[0]) if found else _json({"message": "none"}, 404)
            case [collection] if collection in self.records:
                return _json(self.records[collection])
        return _json({"message": "no such route"}, 404)

    def _found(self, where: dict[str, Any]) -> list[dict[str, Any]]:
        """As a real backend: a plain text that reads like a date or a number is converted, and finds nothing."""
        [(path, asked)] = where.items()
        values = asked["$in"] if isinstance(asked, dict) else [] if re.search(r"[ -]\d{1,2}$|^\d+$", asked) else [asked]
        found = []
        for dataset in self.datasets.values():
            member: Any = dataset
            for step in path.split("."):
                member = member.get(step, {}) if isinstance(member, dict) else {}
            if member in values:
                found.append(dataset)
        return found


def _json(body: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode())


class EssSite:
    """A folder with a configuration, schemas and a data file, and ESS's command run on it."""

    def __init__(self, root: Path, scicat: Loopback, config: Mapping[str, Any] | None = None) -> None:
        self.root, self.scicat = root, scicat
        self.schemas = root / "schemas"
        self.schemas.mkdir(exist_ok=True)
        self.raw = root / "proposal" / "raw"
        self.raw.mkdir(parents=True, exist_ok=True)
        self.config_file = root / "config.yml"
        base = {"scicat": {"host": scicat.base}, "ingestion": {"schemas_directory": str(self.schemas)}}
        self.config = merged(merged(CONFIG, base), config or {})

    def configure(self, changes: Mapping[str, Any]) -> None:
        self.config = merged(self.config, changes)

    def schema(self, changes: Mapping[str, Any] | None = None, name: str = "all.imsc.yml") -> None:
        (self.schemas / name).write_text(yaml.safe_dump(merged(SCHEMA, changes or {}), sort_keys=False))

    def nexus(self, name: str = "run.hdf", job: str = "job-1") -> Path:
        path = self.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["entry/entry_identifier_uuid"] = job
            file["entry/title"] = "a title"
            file["entry/experiment_identifier"] = "443503"
            file["entry/sample/name"] = "A Sample"
        path.chmod(0o644)
        return path

    def run(
        self, file: Path | str | None, *more: str, command: str = COMMAND, json_config: bool = False, **how: Any
    ) -> subprocess.CompletedProcess[str]:
        text = json.dumps(self.config) if json_config else yaml.safe_dump(self.config)
        self.config_file.write_text(text)
        data = [] if file is None else ["--nexus-file", str(file)]
        line = [command, "-c", str(self.config_file), *data, *more]
        given: dict[str, Any] = {"cwd": self.root, "capture_output": True, "text": True, "timeout": 90}
        # A test that read a file in this process has turned HDF5's locks off for itself.
        given.setdefault("env", {key: value for key, value in os.environ.items() if key != "HDF5_USE_FILE_LOCKING"})
        return subprocess.run(line, check=False, **(given | how))
