"""ESS's commands on generated files: every key that shows in what is posted, and the faults of the original."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from scicat_watch.pipeline.handover import ReadLimits
from scicat_watch.service.executors import single
from tests.catalogue.faulty import Answer, Fault, Loopback, SpoilingProxy
from tests.flows.ess_site import COMMAND, TOKEN, EssSite, Scicat
from tests.flows.program import Site, eventually

PID = "20.500.99999/job-1"
HTML = Answer(200, b"<html>We are back soon.</html>", {"Content-Type": "text/html"})


def high(name: str, value: Any, kind: str = "string") -> dict[str, Any]:
    return {"schema": {name: {"field_type": "high_level", "machine_name": name, "value": value, "type": kind}}}


def handling(**keys: Any) -> dict[str, Any]:
    return {"ingestion": {"file_handling": keys}}


@pytest.fixture
def scicat() -> Iterator[Scicat]:
    server = Scicat(
        {"proposals": [{"proposalId": "443503", "pi_firstname": "Ada", "pi_lastname": "L", "pi_email": "a@b.c"}]}
    )
    yield server
    server.close()


@pytest.fixture
def site(tmp_path: Path, scicat: Scicat) -> EssSite:
    made = EssSite(tmp_path, scicat)
    made.schema()
    return made


def stored(site: EssSite, **more: Any) -> dict[str, Any]:
    return {"pid": PID, "datasetName": "already here", "sourceFolder": str(site.raw.parent)} | more


# The command line


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["--nexus-file", "x"],
        ["-c", "x", "--no-such-option"],
        ["-c", "x", "--ingestion.max-offline-ingestors", "many"],
        ["-c", "x", "--ingestion.dry-run", "yes"],
        ["-c", "x", "--kafka.topics", "t"],
        ["-c", "x", "--health-check.port", "1"],
        ["-c", "x", "--scicat.additional-headers", "t"],
        ["-c", "x", "--ingestion.check-if"],
    ],
)
def test_a_wrong_command_line_ends_with_status_2(line: list[str]) -> None:
    done = subprocess.run([COMMAND, *line], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_help_names_every_kind_of_option() -> None:
    done = subprocess.run([COMMAND, "-h"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    for option in ("-d", "--nexus-file", "--ingestion.file-handling.compute-file-hash", "--scicat.token", "--id"):
        assert option in done.stdout


def test_options_may_be_abbreviated_take_several_words_and_win_over_the_file(site: EssSite, scicat: Scicat) -> None:
    site.configure({"dataset": {"default_instrument_id": "from the file"}})
    done = site.run(
        site.nexus(),
        "--dataset.default-instr",
        "from the line",
        "--dataset.default-access-groups",
        "a",
        "b",
        "--id",
        "x",
    )
    assert done.returncode == 0, done.stderr
    [dataset] = scicat.posted("datasets")
    assert (dataset["instrumentId"], dataset["accessGroups"]) == ("from the line", ["a", "b"])


@pytest.mark.parametrize("flag", ["-d", "--ingestion.dry-run", "--ingestion.dry"])
def test_a_switch_turns_on_what_the_file_leaves_off(site: EssSite, scicat: Scicat, flag: str) -> None:
    site.configure({"ingestion": {"dry_run": False}})
    done = site.run(site.nexus(), flag)
    assert (done.returncode, scicat.posts) == (0, [])
    assert len(scicat.asked("GET", "datasets/")) == 1


def test_the_message_file_is_accepted_and_not_listed(site: EssSite, scicat: Scicat) -> None:
    message = site.raw / "run.message.json"
    message.write_text("[]")
    assert site.run(site.nexus(), "--done-writing-message-file", str(message)).returncode == 0
    assert len(scicat.blocks[0]["dataFileList"]) == 1


def test_the_data_file_may_be_named_in_the_configuration(site: EssSite, scicat: Scicat) -> None:
    site.configure({"nexus_file": str(site.nexus())})
    assert site.run(None).returncode == 0
    assert len(scicat.blocks) == 1


def test_without_a_data_file_it_says_what_to_do(site: EssSite) -> None:
    done = site.run(None)
    assert done.returncode == 1
    assert "--nexus-file" in done.stderr


def test_sections_of_the_online_program_may_be_missing_but_not_empty(site: EssSite, scicat: Scicat) -> None:
    del site.config["kafka"], site.config["health_check"], site.config["id"]
    assert site.run(site.nexus()).returncode == 0
    site.config["kafka"] = None
    assert site.run(site.nexus("second.hdf", "job-2")).returncode == 1
    assert len(scicat.posted("datasets")) == 1


# The dataset


def test_missing_groups_and_ids_have_the_configured_values(site: EssSite, scicat: Scicat) -> None:
    given = {"default_instrument_id": "I", "default_proposal_id": "P", "default_owner_group": "G"}
    site.configure({"dataset": given | {"default_access_groups": ["A", "B"]}})
    site.schema(high("proposalId", "<no such variable>"))
    assert site.run(site.nexus()).returncode == 0
    [dataset] = scicat.posted("datasets")
    names = ("instrumentId", "proposalId", "ownerGroup", "accessGroups")
    assert [dataset[name] for name in names] == ["I", "P", "G", ["A", "B"]]
    assert (scicat.blocks[0]["ownerGroup"], scicat.blocks[0]["accessGroups"]) == ("G", ["A", "B"])


@pytest.mark.parametrize("name", ["license", "comment", "isPublished", "scientificMetadata", "location"])
def test_fields_that_ess_does_not_send_are_left_out_with_a_warning(site: EssSite, scicat: Scicat, name: str) -> None:
    site.schema(high(name, "x"))
    done = site.run(site.nexus())
    assert done.returncode == 0
    assert f"{name!r}" in done.stderr
    [dataset] = scicat.posted("datasets")
    assert dataset["isPublished"] is False
    assert dataset.get(name) != "x"


@pytest.mark.parametrize("name", ["pid", "datasetName", "owner", "ownerEmail", "contactEmail", "sourceFolder"])
def test_a_mandatory_field_that_is_lost_refuses_the_file(site: EssSite, scicat: Scicat, name: str) -> None:
    site.schema(high(name, "<no such variable>"))
    done = site.run(site.nexus())
    assert (done.returncode, scicat.posts) == (1, [])
    assert f"{name} (<no such variable> has no value" in done.stderr


def _without_pid(site: EssSite) -> None:
    schema = site.schemas / "all.imsc.yml"
    schema.write_text("".join(line for line in _items(schema.read_text()) if "machine_name: pid\n" not in line))


def _items(text: str) -> list[str]:
    """The file cut before each item of its last section."""
    head, section = text.split("schema:\n")
    blocks = section.replace("\n  ", "\n\0  ").replace("\0    ", "    ").split("\0")
    return [head + "schema:\n", *blocks]


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("generated", [True, False])
@pytest.mark.parametrize("in_schema", [True, False])
def test_who_says_the_pid(site: EssSite, scicat: Scicat, allowed: bool, generated: bool, in_schema: bool) -> None:
    site.configure({"dataset": {"allow_dataset_pid": allowed, "generate_dataset_pid": generated}})
    if not in_schema:
        _without_pid(site)
    done = site.run(site.nexus())
    if not in_schema and not generated:
        assert (done.returncode, scicat.posts) == (1, [])
        return
    assert done.returncode == 0, done.stderr
    pid = scicat.posted("datasets")[0]["pid"]
    assert scicat.blocks[0]["datasetId"] == pid
    if not allowed and in_schema:
        assert pid == "assigned/1"
    elif generated:
        assert len(bytes.fromhex(pid)) == 16
    else:
        assert pid == PID


def test_a_sample_is_looked_up_by_its_name_and_proposal(site: EssSite, scicat: Scicat) -> None:
    scicat.records["samples"] = [{"sampleId": "sample-7"}]
    site.schema({"sample_attachment": {"query_sample_name": True}})
    assert site.run(site.nexus()).returncode == 0
    assert "443503" in scicat.asked("GET", "samples?filter=")[0]
    assert scicat.posted("datasets")[0]["sampleId"] == "sample-7"


# Schemas


def test_a_faulty_schema_file_is_reported_and_the_others_are_used(site: EssSite, scicat: Scicat) -> None:
    (site.schemas / "aaa.imsc.yml").write_text("id: [")
    done = site.run(site.nexus())
    assert (done.returncode, len(scicat.blocks)) == (0, 1)
    assert "aaa.imsc.yml" in done.stderr


def test_without_a_fitting_schema_the_fallback_is_used_whatever_its_selector(site: EssSite, scicat: Scicat) -> None:
    site.schema({"selector": "filename:contains:nothing like this"})
    file = site.nexus()
    assert site.run(file).returncode == 1
    site.schema({"id": "other", "selector": "filename:contains:neither"})
    other = shutil.move(site.schemas / "all.imsc.yml", site.root / "mine.yml")
    site.configure({"ingestion": {"fallback_schema_file_path": str(other)}})
    assert site.run(file).returncode == 0
    assert len(scicat.blocks) == 1


def test_the_built_in_fallback_is_shipped(site: EssSite, scicat: Scicat) -> None:
    (site.schemas / "all.imsc.yml").unlink()
    site.configure({"ingestion": {"fallback_schema_file_path": "ess-fallback"}})
    done = site.run(site.nexus())
    assert done.returncode == 0, done.stderr
    [dataset] = scicat.posted("datasets")
    assert (dataset["pid"], dataset["datasetName"]) == ("20.500.12269/job-1", "a title")
    assert (dataset["owner"], dataset["ownerEmail"], dataset["creationLocation"]) == ("Ada L", "a@b.c", "ESS")
    assert dataset["sourceFolder"] == str(site.raw.parent)


@pytest.mark.parametrize("content", [None, "id: ["])
def test_a_fallback_that_cannot_be_used_stops_the_run(site: EssSite, scicat: Scicat, content: str | None) -> None:
    path = site.root / "fallback.yml"
    if content is not None:
        path.write_text(content)
    site.configure({"ingestion": {"fallback_schema_file_path": str(path)}})
    done = site.run(site.nexus())
    assert (done.returncode, scicat.posts) == (1, [])
    assert "fallback" in done.stderr


def test_the_schemas_directory_may_be_relative_to_the_working_directory(site: EssSite, scicat: Scicat) -> None:
    site.configure({"ingestion": {"schemas_directory": "schemas"}})
    assert site.run(site.nexus()).returncode == 0
    site.configure({"ingestion": {"schemas_directory": "nowhere"}})
    assert site.run(site.nexus("b.hdf", "job-2")).returncode == 1


# The file list


def test_paths_are_relative_to_the_source_folder_also_with_a_variable_of_that_name(
    site: EssSite, scicat: Scicat
) -> None:
    folder = {"source": "VALUE", "operator": "dirname-2", "value": "<data_file_path>", "value_type": "string"}
    site.schema({"variables": {"source_folder": folder}})
    assert site.run(site.nexus()).returncode == 0
    assert [file["path"] for file in scicat.blocks[0]["dataFileList"]] == ["raw/run.hdf"]


def test_a_file_outside_the_source_folder_cannot_be_relative(site: EssSite, scicat: Scicat) -> None:
    site.schema(high("sourceFolder", "/somewhere/else"))
    done = site.run(site.nexus())
    assert (done.returncode, scicat.posts) == (1, [])
    assert "is not below the dataset's sourceFolder" in done.stderr
    site.configure(handling(file_path_type="absolute"))
    assert site.run(site.nexus()).returncode == 0


def test_a_relative_data_file_is_listed_absolute_and_stays_as_given_in_variables(site: EssSite, scicat: Scicat) -> None:
    site.configure(handling(file_path_type="absolute"))
    site.schema(high("description", "<data_file_path>"))
    site.nexus()
    assert site.run("./proposal/raw//run.hdf").returncode == 0
    assert scicat.posted("datasets")[0]["description"] == "proposal/raw/run.hdf"
    assert scicat.blocks[0]["dataFileList"][0]["path"] == str(site.raw / "run.hdf")


@pytest.mark.parametrize("algorithm", ["blake2b", "sha256", "sha512", "md5"])
def test_checksums_are_saved_and_named(site: EssSite, scicat: Scicat, algorithm: str) -> None:
    site.configure(handling(file_hash_algorithm=algorithm, save_file_hash=True, hash_file_extension="sum"))
    (site.raw.parent / "ingestor").mkdir()
    file = site.nexus("my.data.hdf")
    chk = hashlib.new({"blake2b": "blake2b512"}.get(algorithm, algorithm), file.read_bytes()).hexdigest()
    assert site.run(file).returncode == 0
    [block] = scicat.blocks
    data, saved = block["dataFileList"]
    assert (data["chk"], block["chkAlg"]) == (chk, algorithm)
    assert (saved["path"], saved.get("chk"), saved["size"]) == ("ingestor/my.data.sum", None, len(chk))
    assert (site.raw.parent / "ingestor" / "my.data.sum").read_text() == chk
    assert (scicat.posted("datasets")[0]["numberOfFiles"], block["size"]) == (2, data["size"] + saved["size"])


def test_a_checksum_is_saved_where_the_configuration_says_also_in_a_dry_run(site: EssSite, scicat: Scicat) -> None:
    place = site.root / "sums"
    place.mkdir()
    site.configure(handling(save_file_hash=True, ingestor_files_directory=str(place), file_path_type="absolute"))
    assert site.run(site.nexus(), "-d").returncode == 0
    assert [path.name for path in place.iterdir()] == ["run.b2b"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"save_file_hash": True}, "ingestor_files_directory"),
        ({"save_file_hash": True, "compute_file_hash": False}, "compute_file_hash"),
        ({"file_hash_algorithm": "crc32"}, "'crc32'"),
    ],
)
def test_a_checksum_that_cannot_be_had_stops_the_run(
    site: EssSite, scicat: Scicat, keys: dict[str, Any], said: str
) -> None:
    site.configure(handling(**keys))
    done = site.run(site.nexus())
    assert (done.returncode, scicat.posts) == (1, [])
    assert said in done.stderr


@pytest.mark.parametrize("extension", ["hdf", "nxs"])
def test_a_checksum_overwrites_no_data_file(site: EssSite, scicat: Scicat, extension: str) -> None:
    file, other = site.nexus("run.hdf"), site.nexus("run.nxs", "job-2")
    before = [path.read_bytes() for path in (file, other)]
    site.configure(handling(save_file_hash=True, hash_file_extension=extension, ingestor_files_directory="."))
    done = site.run(file)
    assert (done.returncode, scicat.posts) == (1, [])
    assert "hash_file_extension" in done.stderr
    assert [path.read_bytes() for path in (file, other)] == before


def test_a_json_configuration_may_hold_any_character(site: EssSite, scicat: Scicat) -> None:
    site.configure({"dataset": {"default_owner_group": "group \U0001f52c"}})
    assert site.run(site.nexus(), json_config=True).returncode == 0
    assert scicat.posted("datasets")[0]["ownerGroup"] == "group \U0001f52c"


def test_without_statistics_only_path_time_and_the_size_that_backends_demand_are_listed(
    site: EssSite, scicat: Scicat
) -> None:
    site.configure(handling(compute_file_stats=False, compute_file_hash=False))
    file = site.nexus()
    assert site.run(file).returncode == 0
    assert set(scicat.blocks[0]["dataFileList"][0]) == {"path", "time", "size"}
    assert scicat.blocks[0]["dataFileList"][0]["size"] == scicat.posted("datasets")[0]["size"] == file.stat().st_size


# Whether it is there already


def test_a_dataset_of_this_pid_is_left_as_it_is(site: EssSite, scicat: Scicat) -> None:
    scicat.datasets[PID] = stored(site)
    scicat.blocks.append({"datasetId": PID, "dataFileList": []})
    assert site.run(site.nexus()).returncode == 0
    assert scicat.posts == []


def test_a_dataset_that_an_earlier_run_left_without_its_file_list_gets_it(site: EssSite, scicat: Scicat) -> None:
    file = site.nexus()
    scicat.odd[("POST", "origdatablocks")] = [Answer(400, b'{"message": "not now"}')]
    assert site.run(file).returncode == 1
    assert (len(scicat.posted("datasets")), scicat.blocks) == (1, [])
    assert site.run(file).returncode == 0
    assert (len(scicat.posted("datasets")), len(scicat.blocks)) == (1, 1)
    assert scicat.blocks[0]["datasetId"] == PID


def test_a_new_file_costs_two_questions_and_two_posts_and_a_second_run_two_questions(
    site: EssSite, scicat: Scicat
) -> None:
    file = site.nexus()
    site.configure({"ingestion": {"check_if_dataset_exists_by_metadata": True}})
    site.run(file)
    assert [request.method for request in scicat.requests] == ["GET", "GET", "POST", "POST"]
    scicat.requests.clear()
    site.run(file)
    assert [request.method for request in scicat.requests] == ["GET", "GET"]


def test_a_file_list_that_somebody_else_is_about_to_add_is_not_added_twice(site: EssSite, scicat: Scicat) -> None:
    scicat.datasets[PID] = stored(site)
    scicat.blocks.append({"datasetId": PID, "dataFileList": []})
    scicat.odd[("GET", f"datasets/{PID.replace('/', '%2F')}/origdatablocks")] = [Answer(200, b"[]")]
    assert site.run(site.nexus()).returncode == 0
    assert scicat.posts == []
    assert len([asked for asked in scicat.asked("GET") if asked.endswith("/origdatablocks")]) == 2


def test_a_dataset_of_another_folder_gets_no_file_list_of_ours(site: EssSite, scicat: Scicat) -> None:
    scicat.datasets[PID] = stored(site, sourceFolder="/elsewhere")
    assert site.run(site.nexus()).returncode == 0
    assert scicat.posts == []


def test_without_the_check_a_taken_pid_counts_as_there(site: EssSite, scicat: Scicat) -> None:
    site.configure({"ingestion": {"check_if_dataset_exists_by_pid": False}})
    scicat.datasets[PID] = stored(site, sourceFolder="/elsewhere")
    assert site.run(site.nexus()).returncode == 0
    assert scicat.posts == []
    assert len(scicat.asked("POST", "datasets")) == 1


def test_an_empty_answer_is_not_taken_for_a_dataset_with_the_same_metadata(site: EssSite, scicat: Scicat) -> None:
    site.configure({"ingestion": {"check_if_dataset_exists_by_metadata": True}})
    assert site.run(site.nexus()).returncode == 0
    assert len(scicat.posted("datasets")) == 1
    assert "scientificMetadata.job_id.value" in scicat.asked("GET", "datasets?filter=")[0]


@pytest.mark.parametrize("job", ["job-1", "scan 7", "12345", "P-1", "1.50", "2024-05-01"])
def test_a_dataset_with_the_same_metadata_is_left_as_it_is(site: EssSite, scicat: Scicat, job: str) -> None:
    site.configure(
        {
            "dataset": {"generate_dataset_pid": True},
            "ingestion": {
                "check_if_dataset_exists_by_metadata": True,
                "check_if_dataset_exists_by_metadata_key": "job_id",
            },
        }
    )
    file = site.nexus(job=job)
    assert [site.run(file).returncode, site.run(file).returncode] == [0, 0]
    assert (len(scicat.posted("datasets")), len(scicat.blocks)) == (1, 1)


@pytest.mark.parametrize("by_pid", [True, False])
def test_a_dataset_that_exists_but_may_not_be_read_ends_with_status_0(
    site: EssSite, scicat: Scicat, by_pid: bool
) -> None:
    site.configure({"ingestion": {"check_if_dataset_exists_by_pid": by_pid}})
    scicat.datasets[PID] = stored(site)
    no = Answer(403, b'{"message": "Unauthorized access", "error": "Forbidden", "statusCode": 403}')
    scicat.odd[("GET", f"datasets/{PID.replace('/', '%2F')}")] = [no] * 8
    ended = site.run(site.nexus())
    assert ended.returncode == 0, ended.stderr
    assert scicat.posts == []


def test_no_metadata_check_without_such_an_entry(site: EssSite, scicat: Scicat) -> None:
    keys = {"check_if_dataset_exists_by_metadata": True, "check_if_dataset_exists_by_metadata_key": "other"}
    site.configure({"ingestion": keys})
    assert site.run(site.nexus()).returncode == 0
    assert scicat.asked("GET", "datasets?filter=") == []


def test_two_at_once_on_one_file_make_one_dataset(site: EssSite, scicat: Scicat) -> None:
    file = site.nexus()
    site.run(file, "-d")
    line = [COMMAND, "-c", str(site.config_file), "--nexus-file", str(file)]
    both = [subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.wait(timeout=60) for process in both] == [0, 0, 0]
    assert (len(scicat.posted("datasets")), len(scicat.blocks)) == (1, 1)


# The catalogue


@pytest.mark.parametrize("timeout", [0, None, 7.5])
def test_a_time_limit_of_nothing_does_not_stop_anything(site: EssSite, scicat: Scicat, timeout: float | None) -> None:
    site.configure({"scicat": {"timeout": timeout}})
    assert site.run(site.nexus()).returncode == 0
    assert len(scicat.blocks) == 1


def test_every_request_carries_the_token_and_the_further_headers(site: EssSite, scicat: Scicat) -> None:
    site.configure({"scicat": {"additional_headers": {"X-Site": "east", "authorization": "other"}}})
    assert site.run(site.nexus()).returncode == 0
    assert {request.token for request in scicat.requests} == {TOKEN}
    assert {request.headers["x-site"] for request in scicat.requests} == {"east"}


def test_collections_are_where_the_configuration_says(site: EssSite, scicat: Scicat) -> None:
    endpoints = {"datasets": "/api/v3/datasets", "origdatablocks": "origdatablocks/", "proposals": "odd/proposals"}
    site.configure({"scicat": {"host": f"{scicat.base}/", "api_endpoints": endpoints}})
    site.schema({"variables": {"mail": {"source": "SC", "url": "proposals/1", "field": "x", "value_type": "string"}}})
    assert site.run(site.nexus()).returncode == 0
    assert scicat.asked("GET", "odd/proposals/1")
    assert [name for name, _ in scicat.posts] == ["datasets", "origdatablocks"]


def test_another_server_is_asked_without_token(site: EssSite, scicat: Scicat) -> None:
    other = Loopback(lambda request: Answer(200, b'{"name": "from afar"}'))
    address = f"{other.base}/anything?x=1"
    site.configure({"scicat": {"additional_headers": {"X-Key": "SECRET"}}})
    site.schema({"variables": {"title": {"source": "SC", "url": address, "field": "name", "value_type": "string"}}})
    done = site.run(site.nexus())
    other.close()
    assert done.returncode == 0, done.stderr
    assert scicat.posted("datasets")[0]["datasetName"] == "from afar"
    assert [(one.path, one.token, one.headers.get("x-key")) for one in other.requests] == [
        ("/api/v3/anything?x=1", "", None)
    ]


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("body", [b'{"message": "no"}', b"<html>no</html>"])
def test_a_record_that_is_refused_only_loses_its_variable(
    site: EssSite, scicat: Scicat, status: int, body: bytes
) -> None:
    scicat.odd[("GET", "proposals/1")] = [Answer(status, body)]
    variable = {"source": "SC", "url": "proposals/1", "field": "", "value_type": "dict"}
    site.schema({"variables": {"proposal": variable}} | high("description", "<proposal>"))
    assert site.run(site.nexus()).returncode == 0
    assert "description" not in scicat.posted("datasets")[0]


def test_a_catalogue_that_is_busy_for_a_moment_is_asked_again(site: EssSite, scicat: Scicat) -> None:
    busy = Answer(503, b'{"message": "busy"}')
    scicat.odd[("GET", f"datasets/{PID.replace('/', '%2F')}")] = [busy]
    scicat.odd[("POST", "datasets")] = [busy]
    scicat.odd[("POST", "origdatablocks")] = [busy]
    done = site.run(site.nexus())
    assert done.returncode == 0, done.stderr
    assert (len(scicat.posted("datasets")), len(scicat.blocks)) == (1, 1)


def test_an_answer_that_gets_lost_makes_no_double(site: EssSite, scicat: Scicat) -> None:
    faults = [Fault.NONE, Fault.LOST, Fault.NONE, Fault.NONE, Fault.NONE, Fault.NONE, Fault.BROKEN]
    proxy = SpoilingProxy(scicat.base, faults)
    site.configure({"scicat": {"host": proxy.base}})
    file = site.nexus()
    statuses = [site.run(file).returncode, site.run(file).returncode]
    proxy.close()
    assert statuses == [0, 0]
    assert (len(scicat.posted("datasets")), len(scicat.blocks)) == (1, 1)


@pytest.mark.parametrize("answer", [HTML, Answer(500, b"oh"), Answer(400, b'{"message": ["owner must be text"]}')])
def test_a_dataset_that_is_not_taken_ends_with_status_1(site: EssSite, scicat: Scicat, answer: Answer) -> None:
    scicat.odd[("POST", "datasets")] = [answer] * 3
    done = site.run(site.nexus())
    assert (done.returncode, scicat.posts) == (1, [])
    assert done.stderr
    assert TOKEN not in done.stderr


def test_no_catalogue_ends_with_status_1(site: EssSite, scicat: Scicat) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        site.configure({"scicat": {"host": f"http://127.0.0.1:{taken.getsockname()[1]}/api/v3"}})
        done = site.run(site.nexus())
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr


# The data file


def test_a_file_that_is_not_there_yet_is_waited_for(site: EssSite, scicat: Scicat) -> None:
    site.configure(handling(data_file_open_max_tries=60, data_file_open_retry_delay=[1]))
    made = site.nexus()
    away = made.rename(site.root / "away.hdf")
    site.run(None)  # Writes the configuration.
    line = [COMMAND, "-c", str(site.config_file), "--nexus-file", str(made)]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=site.root) as process:
        away.rename(made)
        assert process.wait(timeout=90) == 0
    assert len(scicat.blocks) == 1


def test_a_file_that_a_writer_has_locked_is_not_read(site: EssSite, scicat: Scicat) -> None:
    file = site.nexus()
    with file.open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        done = site.run(file)
        assert (done.returncode, scicat.posts) == (1, [])
        assert "open for writing" in done.stderr
    assert site.run(file).returncode == 0


@pytest.mark.parametrize("spoil", ["missing", "text", "cut", "empty", "folder"])
def test_a_file_that_cannot_be_opened_ends_with_status_1(site: EssSite, scicat: Scicat, spoil: str) -> None:
    file = site.nexus()
    contents = {"text": b"no HDF5 " * 1000, "cut": file.read_bytes()[:1000], "empty": b""}
    file.unlink()
    if spoil in contents:
        file.write_bytes(contents[spoil])
    elif spoil == "folder":
        file.mkdir()
    done = site.run(file)
    assert (done.returncode, scicat.posts) == (1, [])
    assert "run.hdf" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_link_to_the_data_file_is_listed_as_it_was_named(site: EssSite, scicat: Scicat) -> None:
    elsewhere = site.root / "store" / "x.hdf"
    elsewhere.parent.mkdir()
    site.nexus().rename(elsewhere)
    (site.raw / "run.hdf").symlink_to(elsewhere)
    assert site.run(site.raw / "run.hdf").returncode == 0
    assert scicat.blocks[0]["dataFileList"][0]["path"] == "raw/run.hdf"


def test_the_file_is_read_without_network_and_rights_and_never_alone(site: EssSite) -> None:
    site.configure(handling(data_file_open_max_tries=100))
    site.run(None)  # Writes the configuration.
    environment = os.environ | {"SOME_TOKEN": "SECRET"}
    line = [COMMAND, "-c", str(site.config_file), "--nexus-file", "not-there.hdf"]
    with subprocess.Popen(line, stderr=subprocess.DEVNULL, env=environment) as command:

        def confined() -> int | None:
            for child in psutil.Process(command.pid).children():
                if "Seccomp:\t2" in Path(f"/proc/{child.pid}/status").read_text():
                    return child.pid
            return None

        reader = eventually(confined, "the reading process has given up what it could do harm with")
        assert "NoNewPrivs:\t1" in Path(f"/proc/{reader}/status").read_text()
        command.kill()
        command.wait()
        eventually(lambda: not psutil.pid_exists(reader), "the reading process ends with its command")


def test_the_reading_process_has_the_native_limits() -> None:
    assert ReadLimits().memory_limit == single.MEMORY_LIMIT


# The log


def test_without_a_log_warnings_and_errors_go_to_standard_error(site: EssSite) -> None:
    site.configure({"colour": 1})
    done = site.run(site.nexus())
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == ["the configuration's key 'colour' is not known, and has no effect"]


def test_the_log_can_be_read_on_standard_output(site: EssSite) -> None:
    done = site.run(site.nexus(), "--logging.verbose")
    assert (done.returncode, done.stderr) == (0, "")
    assert PID in done.stdout
    assert "exits" in done.stdout.splitlines()[-1]
    assert TOKEN not in done.stdout


@pytest.mark.parametrize("stamped", [True, False])
def test_the_log_file_is_written_anew_with_its_prefix(site: EssSite, stamped: bool) -> None:
    keys = {"file_log": True, "file_log_base_name": str(site.root / "log"), "file_log_timestamp": stamped}
    site.configure({"logging": keys | {"log_message_prefix": "50 %", "logging_level": "DEBUG"}})
    file = site.nexus()
    assert [site.run(file).returncode, site.run(file).returncode] == [0, 0]
    logs = sorted(site.root.glob("log_*.log"))
    assert len(logs) == (2 if stamped else 1)
    assert stamped or logs[0].name == "log_.log"
    text = logs[-1].read_text()
    assert all(line.startswith("50 % - ") for line in text.splitlines())
    assert "created" not in text
    assert TOKEN not in text


def test_a_log_that_cannot_be_had_is_reported(site: EssSite) -> None:
    for logging in ({"file_log": True, "file_log_base_name": "/no/such/place"}, {"graylog": True, "graylog_host": "x"}):
        site.config["logging"] = logging
        assert site.run(site.nexus()).returncode == 1


def test_messages_go_to_graylog(site: EssSite) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as graylog:
        graylog.bind(("127.0.0.1", 0))
        graylog.settimeout(120)
        address = {"graylog": True, "graylog_host": "127.0.0.1", "graylog_port": graylog.getsockname()[1]}
        site.configure({"logging": address | {"graylog_facility": "beamline"}})
        assert site.run(site.nexus()).returncode == 0
        message = json.loads(zlib.decompress(graylog.recv(65536)))
    assert (message["version"], message["_facility"], message["level"]) == ("1.1", "beamline", 6)


# The embedded catalogue


def test_the_embedded_catalogue_takes_the_documents(tmp_path: Path) -> None:
    (tmp_path / "catalogue" / "var").mkdir(parents=True)
    with Site(tmp_path / "catalogue").catalogue() as catalogue:
        site = EssSite(
            tmp_path, _At(catalogue.api), {"scicat": {"token": catalogue.headers["Authorization"].split()[1]}}
        )
        site.schema()
        file = site.nexus()
        done = [site.run(file), site.run(file)]
        assert [one.returncode for one in done] == [0, 0], done
        assert catalogue.pids() == [PID]
        assert catalogue.files(PID) == ["raw/run.hdf"]
        dataset = catalogue.dataset(PID)
        assert (dataset["numberOfFiles"], dataset["size"]) == (1, file.stat().st_size)
        assert dataset["scientificMetadata"]["job_id"]["value"] == "job-1"


class _At(Loopback):
    """A server that runs elsewhere."""

    def __init__(self, base: str) -> None:
        self.base = base


@pytest.mark.parametrize("body", [b"{}", b"[]"])
def test_an_empty_answer_to_a_new_dataset_is_a_failure_that_a_second_run_fixes(
    site: EssSite, scicat: Scicat, body: bytes
) -> None:
    file = site.nexus()
    scicat.odd["POST", "datasets"] = [Answer(201, body)]
    done = site.run(file)
    assert done.returncode == 1
    assert "is empty" in done.stderr
    assert scicat.blocks == []
    assert site.run(file).returncode == 0
    assert len(scicat.blocks) == 1
