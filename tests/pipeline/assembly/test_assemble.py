from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import pytest

from scicat_watch.documents import Bundle, DataFile
from scicat_watch.errors import AssemblyError, Refused, Unavailable
from scicat_watch.model import Beamtime, Scan
from scicat_watch.pipeline.assembly.assemble import Additions, AssemblyOptions
from scicat_watch.pipeline.assembly.dataset import MANDATORY_AT_ESS, DatasetRules
from scicat_watch.pipeline.assembly.schemas import load
from scicat_watch.pipeline.handover import FieldValue, Reading, Unread
from scicat_watch.pipeline.schema.model import PREDEFINED, SAMPLE_NAME, SAMPLE_PROPOSAL
from scicat_watch.pipeline.schema.selector import Subject, choose
from tests.fakes import FakeClock
from tests.pipeline.hand_made import ENOUGH, documents, high, reading, scan, schema, text
from tests.recorded import ESS


def build(items: dict[str, Any] | None = None, variables: dict[str, Any] | None = None, **more: Any) -> Bundle:
    given = {name: more.pop(name) for name in ("additions", "options") if name in more}
    return documents(reading(schema(variables, {**ENOUGH, **(items or {})}), **more), **given)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ingestor_run_id", r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("data_file_path", "/gpfs/current/raw/scan_1.nxs"),
        ("data_file_name", "scan_1.nxs"),
        ("now", re.escape(FakeClock().now().isoformat(timespec="microseconds"))),
        ("ingestor_files_directory", r"\.\./ingestor"),
        ("ingestor_metadata_schema_id", "test"),
    ],
)
def test_predefined_variables(name: str, expected: str) -> None:
    assert name in PREDEFINED
    assert re.fullmatch(expected, build({"d": high("description", f"<{name}>")}).dataset.fields["description"])


def test_every_try_has_its_own_run_id_and_a_scan_without_data_file_its_place() -> None:
    item = {"d": high("description", "<ingestor_run_id>"), "k": high("runNumber", "<data_file_path>")}
    first, second = build(item, about=scan(master=None)), build(item)
    assert first.dataset.fields["description"] != second.dataset.fields["description"]
    assert first.dataset.fields["runNumber"] == "/gpfs/current/raw/scan_1"


def test_the_file_list_and_the_thumbnail_come_from_the_reading() -> None:
    bundle = build(thumbnail=b"png")
    (block,) = bundle.datablocks
    assert (block.size, [file.path for file in block.files]) == (7, ["scan_1.nxs"])
    assert [attachment.png for attachment in bundle.attachments] == [b"png"]
    assert not {"size", "numberOfFiles"} & set(bundle.dataset.fields)


def test_a_scan_without_files_and_thumbnail_is_a_dataset_alone() -> None:
    bundle = build(files=())
    assert (bundle.datablocks, bundle.attachments) == ((), ())
    assert bundle.notes


def test_notes_of_the_reading_are_kept() -> None:
    assert "no thumbnail" in build(notes=("no thumbnail",)).notes


def test_a_comment_and_keywords_are_added() -> None:
    items = {"c": high("comment", "by hand"), "k": high("keywords", ["scan"], "string[]")}
    fields = build(items, additions=Additions("abandoned", ("garnets", "scan"))).dataset.fields
    assert (fields["comment"], fields["keywords"]) == ("by hand; abandoned", ["scan", "garnets"])
    fields = build(additions=Additions("abandoned", ("garnets",))).dataset.fields
    assert (fields["comment"], fields["keywords"]) == ("abandoned", ["garnets"])
    assert not {"comment", "keywords"} & set(build().dataset.fields)


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        ("/core/raw", "a/b.cbf"),
        ("/core/raw/", "a/b.cbf"),
        ("/core", "raw/a/b.cbf"),
        ("/gpfs/current/raw", "a/b.cbf"),
        ("/gpfs", "current/raw/a/b.cbf"),
        ("/co", "a/b.cbf"),
        ("/archive", "a/b.cbf"),
    ],
)
def test_paths_are_relative_to_the_source_folder(folder: str, path: str) -> None:
    files = (DataFile("a/b.cbf", 1, "2099-05-04T10:00:00Z"),)
    bundle = build({"sourceFolder": high("sourceFolder", folder)}, files=files)
    assert [file.path for file in bundle.datablocks[0].files] == [path]
    assert any(folder in note for note in bundle.notes) is (folder in ("/co", "/archive"))


def test_paths_may_be_absolute_and_totals_given() -> None:
    options = AssemblyOptions(paths="absolute", totals=True, checksums="sha256")
    bundle = build({"s": high("size", 1, "integer")}, options=options)
    assert bundle.datablocks[0].as_json()["chkAlg"] == "sha256"
    assert [file.path for file in bundle.datablocks[0].files] == ["/gpfs/current/raw/scan_1.nxs"]
    assert (bundle.dataset.fields["size"], bundle.dataset.fields["numberOfFiles"]) == (7, 1)


def test_who_says_the_pid() -> None:
    assert build().dataset.pid == "20990042/scan_1"
    assert re.fullmatch("[0-9a-f]{32}", build(options=AssemblyOptions(pid="generated")).dataset.pid)
    assert build(options=AssemblyOptions(pid="catalogue")).dataset.pid == ""


SAMPLES = [{"sampleId": "s1"}, {"sampleId": "s2"}, {"sampleId": ""}, "odd"]


def with_sample(answer: Any, own: str = "", values: Any = None) -> tuple[Bundle, list[str]]:
    asked: list[str] = []

    def look_up(url: str) -> Any:
        asked.append(url)
        if isinstance(answer, Exception):
            raise answer
        return answer

    items = ENOUGH | ({"s": high("sampleId", own)} if own else {})
    described = schema({}, items, sample_attachment={"query_sample_name": True})
    values = values or {SAMPLE_NAME: text("YIG & co"), SAMPLE_PROPOSAL: text("4711")}
    return documents(reading(described, values), look_up=look_up), asked


def test_a_sample_is_looked_up_by_name_and_proposal() -> None:
    bundle, asked = with_sample(SAMPLES[:1])
    assert bundle.dataset.fields["sampleId"] == "s1"
    assert asked == [
        "samples?filter=%7B%22where%22%3A+%7B%22description%22%3A+%22YIG+%26+co%22%2C+%22proposalId%22%3A+%224711%22%7D%7D"
    ]


def test_the_schemas_own_sample_comes_first_and_others_are_noted() -> None:
    bundle, _ = with_sample(SAMPLES, own="mine")
    assert bundle.dataset.fields["sampleId"] == "mine"
    assert any("s1, s2" in note for note in bundle.notes)


@pytest.mark.parametrize("answer", [[], {}, None, Refused("404", 404)], ids=str)
def test_no_sample_is_no_harm(answer: Any) -> None:
    assert "sampleId" not in with_sample(answer)[0].dataset.fields


def test_without_a_name_no_sample_is_asked_for() -> None:
    bundle, asked = with_sample(SAMPLES, values={SAMPLE_NAME: Unread("none"), SAMPLE_PROPOSAL: text("1")})
    assert asked == []
    assert any("not looked up" in note for note in bundle.notes)


def test_a_catalogue_that_is_away_makes_the_scan_wait() -> None:
    with pytest.raises(Unavailable):
        with_sample(Unavailable("no answer"))


# ESS's recorded cases -----------------------------------------------------------------------------------------------

ROOT = Path("/root-of-the-case")


def records(url: str) -> Any:
    known = json.loads((ESS / "records.json").read_text())
    if url.startswith("instruments"):
        return known["instruments"]
    for proposal in known["proposals"]:
        if url == f"proposals/{proposal['proposalId']}":
            return proposal
    raise Refused(f"404: {url}", 404)


def ess_values(file: Path, paths: dict[str, str]) -> dict[str, FieldValue | Unread]:
    """The texts at these paths; all fields of these files are text scalars."""
    values: dict[str, FieldValue | Unread] = {}
    with h5py.File(file) as data:
        for name, path in paths.items():
            if "*" in path:
                before, after = path.split("*")
                group, begin = before.rsplit("/", 1)
                found = [
                    data[f"{group}/{member}{after}"][()].decode() for member in data[group] if member.startswith(begin)
                ]
                values[name] = FieldValue(found, None, (len(found),))
            elif path in data:
                values[name] = FieldValue(data[path][()].decode())
            else:
                values[name] = Unread(f"there is no {path}")
    return values


@pytest.mark.parametrize("name", ["imaging", "test-beamline", "values", "anything", "generated-pid"])
def test_datasets_of_ess(name: str) -> None:
    case = next(case for case in json.loads((ESS / "cases.json").read_text())["cases"] if case["name"] == name)
    expected = json.loads((ESS / f"expected/{name}.json").read_text())
    expected_block = expected["origdatablocks"][0]
    master = ROOT / case["as"]
    chosen, _ = choose(load(ESS / "schemas").schemas, Subject(str(master)))
    assert chosen is not None
    paths = {variable.name: variable.path for variable in chosen.variables if variable.source == "NXS"}
    read = Reading(
        Scan("", master.parent, master.stem, master.stem, master),
        chosen,
        values=ess_values(ESS / case["nexus"], paths),
        files=tuple(
            DataFile(
                master.name if "chk" in file or index == 0 else "../ingestor/small-ymir.b2b", file.get("size"), "@TIME@"
            )
            for index, file in enumerate(expected_block["dataFileList"])
        ),
    )
    file_handling = case.get("config", {}).get("ingestion", {}).get("file_handling", {})
    options = AssemblyOptions(
        rules=DatasetRules(
            MANDATORY_AT_ESS,
            {
                "instrumentId": "instrument-by-default",
                "proposalId": "proposal-by-default",
                "ownerGroup": "owner-by-default",
                "accessGroups": ["access-by-default", "staff"],
            },
        ),
        pid="generated" if name == "generated-pid" else "schema",
        paths=file_handling.get("file_path_type", "absolute"),
        totals=True,
        checksums="blake2b",
    )
    bundle = documents(read, Beamtime("", master.parent, {}), records, options)
    assert marked(bundle.dataset.fields) == expected["datasets"][0]
    made = [replace(file, path=marked(file.path)) for file in bundle.datablocks[0].files]
    assert [file.path for file in made] == [file["path"] for file in expected_block["dataFileList"]]
    assert bundle.datablocks[0].as_json()["chkAlg"] == "blake2b"


def marked(value: Any) -> Any:
    now = FakeClock().now()
    text = json.dumps(value).replace(str(ROOT), "@ROOT@").replace(now.isoformat(timespec="microseconds"), "@NOW@")
    text = text.replace(now.isoformat(), "@NOW@")
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "@UUID@", text)
    return json.loads(re.sub(r'"[0-9a-f]{32}"', '"@HEX32@"', text))


def test_a_required_value_that_is_missing_refuses_the_scan() -> None:
    required = {"v": {"source": "NXS", "path": "/entry/title", "value_type": "string", "required": True}}
    with pytest.raises(AssemblyError, match="v has no value"):
        build(variables=required)
