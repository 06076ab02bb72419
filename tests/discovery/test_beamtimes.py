"""Beamtime directories and their metadata files, as DESY writes them and as they can be broken."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.discovery import beamtimes
from scicat_watch.discovery.beamtimes import BrokenBeamtime
from scicat_watch.discovery.rules import BeamtimeRules
from scicat_watch.errors import BeamtimeError
from scicat_watch.model import Beamtime
from tests.discovery.child import run_as_nobody


def _metadata(directory: Path, name: str = "beamtime-metadata-11018765.json", **fields: Any) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / name
    file.write_text(json.dumps({"beamtimeId": "11018765", "title": "Spin waves", **fields}))
    return file


def test_the_id_is_the_one_inside_the_file_whatever_its_name(tmp_path: Path) -> None:
    _metadata(tmp_path, "beamtime-metadata-today.json", beamtimeId="20990042", corePath="/asap3/x/")
    (found,) = beamtimes.find(tmp_path, BeamtimeRules())
    assert isinstance(found, Beamtime)
    assert (found.id, found.directory, found.core_path) == ("20990042", tmp_path, "/asap3/x")
    assert not found.generated


def test_several_beamtimes_share_a_directory_and_a_broken_file_stops_none(tmp_path: Path) -> None:
    for number in ("1", "2"):
        _metadata(tmp_path, f"beamtime-metadata-{number}.json", beamtimeId=number)
    (tmp_path / "beamtime-metadata-3.json").write_text('{"beamtimeId": ')
    one, two, three = beamtimes.find(tmp_path, BeamtimeRules())
    assert [found.id for found in (one, two) if isinstance(found, Beamtime)] == ["1", "2"]
    assert isinstance(three, BrokenBeamtime)
    assert "is not JSON" in three.reason


def test_private_and_skipped_beamtimes_are_left_out(tmp_path: Path) -> None:
    _metadata(tmp_path, "beamtime-metadata-1.json", beamtimeId="1", proposalType="P")
    _metadata(tmp_path, "beamtime-metadata-2.json", beamtimeId="2")
    assert beamtimes.find(tmp_path, BeamtimeRules(skipped_ids=("2",))) == []


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"beamtimeId": null}', '{"beamtimeId": "  "}', '{"beamtimeId": true}', '{"beamtimeId": "../x"}',
     '{"beamtimeId": ".."}', '{"beamtimeId": "a b"}', '{"beamtimeId": "1\\n"}', "[" * 100_000, "\xff", ""],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_which_and_why(tmp_path: Path, text: str) -> None:
    file = tmp_path / "beamtime-metadata-1.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(BeamtimeError, match=r"beamtime-metadata-1\.json: .+"):
        beamtimes.read(file)


def test_a_numeric_id_and_the_mark_that_windows_writes_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "beamtime-metadata-1.json"
    file.write_bytes(b'\xef\xbb\xbf{"beamtimeId": 42}')
    assert beamtimes.read(file).id == "42"


@pytest.mark.timeout(120)
def test_a_pipe_in_the_place_of_a_metadata_file_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "beamtime-metadata-1.json")
    (found,) = beamtimes.find(tmp_path, BeamtimeRules())
    assert isinstance(found, BrokenBeamtime)
    assert "regular file" in found.reason


def test_a_link_that_leads_out_of_the_beamtime_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"beamtimeId": "1", "title": "nobody\'s business"}')
    directory = tmp_path / "bt"
    (directory / "meta").mkdir(parents=True)
    file = directory / "beamtime-metadata-1.json"
    file.symlink_to(secret)
    (broken,) = beamtimes.find(directory, BeamtimeRules())
    assert isinstance(broken, BrokenBeamtime)
    assert "leads out of the beamtime" in broken.reason
    file.unlink()
    file.symlink_to("../bt/meta/one.json")
    (directory / "meta" / "one.json").write_text('{"beamtimeId": "1"}')
    assert beamtimes.read(file).id == "1"  # One that stays there is.


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "beamtime-metadata-1.json").open("wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(BeamtimeError, match="MB"):
        beamtimes.read(tmp_path / "beamtime-metadata-1.json")


def test_a_directory_without_a_metadata_file_is_a_beamtime_that_is_generated(tmp_path: Path) -> None:
    directory = tmp_path / "My Scans (2099)!"
    directory.mkdir()
    (found,) = beamtimes.find(directory, BeamtimeRules())
    assert isinstance(found, Beamtime)
    assert (found.id, found.generated, found.core_path) == ("My-Scans-2099", True, str(directory))
    assert beamtimes.generated(Path("/")).id == "beamtime"
    (tmp_path / ("n" * 250)).mkdir()
    assert len(beamtimes.generated(tmp_path / ("n" * 250)).id) == 100


def test_a_directory_that_is_not_there_is_not_generated(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        beamtimes.find(tmp_path / "none", BeamtimeRules())


def test_below_a_base_directory_those_with_a_metadata_file_count_each_once(tmp_path: Path) -> None:
    base = tmp_path / "base"
    for name in ("b1", "b2", ".hidden"):
        _metadata(base / name)
    (base / "empty").mkdir()
    (base / "file").touch()
    settings = BeamtimeRules(directories=(base / "b2",), base_directories=(base, tmp_path / "later"))
    assert list(beamtimes.directories(settings)) == [base / "b2", base / "b1"]


def test_one_directory_that_cannot_be_looked_at_hides_no_other_beamtime(public: Path) -> None:
    base = public / "base"
    _metadata(base / "good")
    locked = public / "locked"
    _metadata(locked / "inner")
    (base / "away").symlink_to(locked / "inner")
    (base / "round").symlink_to(base / "round")
    locked.chmod(0)
    program = """
        import sys
        from pathlib import Path
        from scicat_watch.discovery import beamtimes
        from scicat_watch.discovery.rules import BeamtimeRules
        become_nobody()
        for path in beamtimes.directories(BeamtimeRules(base_directories=(Path(sys.argv[1]),))):
            print(path.name)
    """
    try:
        assert run_as_nobody(program, base) == ["good"]
    finally:
        locked.chmod(0o755)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raw/scicat-datasets-11018765.lst", True),
        ("scicat-datasets-11018765.lst", True),
        ("scratch_cc", True),
        ("raw/scicat-datasets-current.lst", False),
        ("raw/deep/scicat-datasets-11018765.lst", False),
        ("raw/x.nxs", False),
    ],
)
def test_a_list_of_another_id_shows_that_a_metadata_file_will_come(tmp_path: Path, name: str, expected: bool) -> None:
    directory = tmp_path / "current"
    path = directory / name
    path.parent.mkdir(parents=True)
    path.write_text("")
    found = beamtimes.expects_file(directory, BeamtimeRules())
    assert found == (path if expected else None)
    assert beamtimes.expects_file(directory, BeamtimeRules(expected_by=())) is None
