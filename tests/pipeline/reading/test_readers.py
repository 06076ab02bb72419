"""Which reader is for which file; readers that other packages bring; files that change while they are read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.errors import AssemblyError, ReadingError
from scicat_watch.model import HDF5_EXTENSIONS
from scicat_watch.pipeline import plugins
from scicat_watch.pipeline.assembly.assemble import assemble
from scicat_watch.pipeline.handover import FieldValue, Unread
from scicat_watch.pipeline.reading import filelist
from scicat_watch.pipeline.reading import read as reading_module
from scicat_watch.pipeline.reading.choose import BUILT_IN, reader_for
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.read import read
from scicat_watch.pipeline.schema.model import Variable
from tests.pipeline.hand_made import context, documents, high
from tests.pipeline.hand_made import schema as schema_of
from tests.pipeline.nexus_made import job, line_plot, nexus, scan, schema

PACKAGE = """
from contextlib import contextmanager
import numpy as np
from scicat_watch.errors import MissingValue
from scicat_watch.pipeline.reading.thumbnails import Plot
from scicat_watch.model import HDF5_EXTENSIONS
from scicat_watch.pipeline import plugins
from scicat_watch.pipeline.assembly.assemble import assemble
from scicat_watch.pipeline.handover import FieldValue

class File:
    def __init__(self, words):
        self.words = words
    def value(self, path, value_type, limit):
        if path == "broken":
            raise ZeroDivisionError("oh")
        if path == "odd":
            return FieldValue(object())
        if path not in self.words:
            raise MissingValue("is not there")
        return FieldValue(self.words[path], "mm", ())
    def tree(self, options, limit, notes):
        if "no tree" in self.words:
            raise ZeroDivisionError("oh")
        return {"words": self.words, "many": list(range(1000))}
    def plot(self, notes):
        return Plot(np.arange(5.0), "heading")

class SpecReader:
    source = "SPEC"
    @contextmanager
    def open(self, master, roots, entry):
        yield File(dict(line.split("=") for line in master.read_text().splitlines()))

class NoReader:
    pass

instance = SpecReader()
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that is installed with its entry points, as an installer leaves it."""
    place = tmp_path / "site"
    (place / "spec_reader-1.0.dist-info").mkdir(parents=True)
    (place / "spec_reader.py").write_text(PACKAGE)
    (place / "spec_reader-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: spec-reader\nVersion: 1.0\n"
    )
    (place / "spec_reader-1.0.dist-info/entry_points.txt").write_text(
        "[scicat_watch.readers]\nspec = spec_reader:SpecReader\nspc = spec_reader:instance\ngone = nowhere:Reader\n"
        "odd = spec_reader:NoReader\nfio = spec_reader:SpecReader\nNX5 = spec_reader:SpecReader\n"
    )
    monkeypatch.syspath_prepend(str(place))
    plugins.installed.cache_clear()
    yield
    sys.modules.pop("spec_reader", None)
    plugins.installed.cache_clear()


@pytest.mark.parametrize(
    ("name", "extension"), [("a.nxs", "nxs"), ("a.FIO", "fio"), ("a.h5", "h5"), ("a", "nxs"), ("a.xyz", "h5")]
)
def test_the_extension_says_which_reader(name: str, extension: str) -> None:
    notes = Notes()
    assert reader_for(Path(name), notes) is BUILT_IN[extension]
    assert notes.all() == ()


@pytest.mark.parametrize("extension", HDF5_EXTENSIONS)
def test_every_extension_of_hdf5_is_read_and_drawn_alike(tmp_path: Path, extension: str) -> None:
    nexus(tmp_path / f"scan_1.{extension}", line_plot)
    variables = [Variable("title", "NXS", "string", path="/entry/title")]
    reading = read(job(scan(tmp_path, "scan_1", f"scan_1.{extension}"), schema(variables)))
    assert BUILT_IN[extension] is BUILT_IN["nxs"]
    assert reading.values == {"title": FieldValue("theta scan")}
    assert reading.trees["tree"]["title"]["value"] == "theta scan"
    assert reading.thumbnail is not None


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["scan_1.spec", "scan_1.spc"])
def test_a_package_brings_a_reader_with_a_source_of_its_own(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("title=a spec scan\nmotor=3")
    variables = [Variable(path, "SPEC", "string", path=path) for path in ("title", "gone", "broken", "odd")]
    reading = read(job(scan(tmp_path, "scan_1", name), schema(variables)))
    assert reading.source == "SPEC"
    assert reading.values["title"] == FieldValue("a spec scan", "mm")
    reasons = {key: value.reason for key, value in reading.values.items() if isinstance(value, Unread)}
    assert set(reasons) == {"gone", "broken", "odd"}
    assert "'spec" in reasons["broken"] or "'spc'" in reasons["broken"]
    assert "ZeroDivisionError" in reasons["broken"]
    assert reading.trees["tree"]["words"] == {"title": "a spec scan", "motor": "3"}
    assert reading.thumbnail is not None


@pytest.mark.usefixtures("packages")
def test_its_variables_make_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "scan_1.spec").write_text("title=a spec scan")
    wanted = schema_of(
        {"title": {"source": "SPEC", "path": "title", "value_type": "string"}},
        {"description": high("description", "<title>")},
    )
    made = job(scan(tmp_path, "scan_1", "scan_1.spec"), wanted)
    with pytest.raises(AssemblyError):
        documents(read(made), made.beamtime)  # For what the catalogue demands, only.
    assert assemble(context(read(made), made.beamtime)).variables.known["title"].value == "a spec scan"


@pytest.mark.usefixtures("packages")
def test_what_a_packages_reader_gives_is_kept_within_the_limit(tmp_path: Path) -> None:
    (tmp_path / "scan_1.spec").write_text(f"title={'x' * 2000}")
    variables = [Variable("title", "SPEC", "string", path="title")]
    reading = read(job(scan(tmp_path, "scan_1", "scan_1.spec"), schema(variables), metadata_limit=1024))
    assert isinstance(reading.values["title"], Unread)
    assert reading.trees["tree"] == {"words": {}}
    assert reading.truncations


@pytest.mark.usefixtures("packages")
def test_a_tree_that_fails_is_noted(tmp_path: Path) -> None:
    (tmp_path / "scan_1.spec").write_text("no tree=1")
    reading = read(job(scan(tmp_path, "scan_1", "scan_1.spec")))
    assert reading.trees["tree"] == {}
    assert "ZeroDivisionError" in reading.notes[0]


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("extension", ["gone", "odd"])
def test_a_reader_that_cannot_be_used_is_a_note_and_the_files_are_listed(tmp_path: Path, extension: str) -> None:
    (tmp_path / f"scan_1.{extension}").write_text("x")
    reading = read(job(scan(tmp_path, "scan_1", f"scan_1.{extension}")))
    assert [file.path for file in reading.files] == [f"scan_1.{extension}"]
    assert f"'{extension}' of the package spec-reader" in reading.notes[0]


@pytest.mark.usefixtures("packages")
def test_a_package_cannot_take_an_extension_of_ours(tmp_path: Path) -> None:
    (tmp_path / "scan_1.fio").write_text("%p\na = 1\n")
    reading = read(job(scan(tmp_path, "scan_1", "scan_1.fio")))
    assert reading.source == "FIO"
    assert "spec-reader is not used" in reading.notes[0]
    nexus(tmp_path / "scan_2.nx5", line_plot)
    reading = read(job(scan(tmp_path, "scan_2", "scan_2.nx5")))
    assert reading.source == "NXS"
    assert "spec-reader is not used" in reading.notes[0]


@pytest.mark.parametrize("way", ["rewritten", "replaced", "grown", "gone"])
def test_a_file_that_changes_while_it_is_read_is_to_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    path = nexus(tmp_path / "scan_1.nxs", line_plot)
    list_files = filelist.list_files

    def meanwhile(*arguments: Any) -> Any:
        if way == "rewritten":
            status = path.stat()
            with path.open("r+b") as file:
                file.write(b"\x89HDF")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        elif way == "replaced":
            nexus(tmp_path / "new", line_plot).replace(path)
        elif way == "grown":
            with path.open("ab") as file:
                file.write(b"more")
        else:
            path.unlink()
        return list_files(*arguments)

    monkeypatch.setattr(filelist, "list_files", meanwhile)
    with pytest.raises(ReadingError, match=r"scan_1\.nxs: changed while it was read"):
        read(job(scan(tmp_path, "scan_1")))


def test_a_file_that_breaks_because_it_changes_says_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = nexus(tmp_path / "scan_1.nxs", line_plot)

    def truncated(*arguments: Any) -> Any:
        os.truncate(path, 100)
        raise OSError("read failed")

    monkeypatch.setattr(reading_module, "_schema", truncated)
    with pytest.raises(ReadingError, match="changed while it was read"):
        read(job(scan(tmp_path, "scan_1")))
