"""No file leads a reader out of the beamtime, round in circles or into a device."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t

from scicat_watch.errors import MissingValue, ReadingError
from scicat_watch.files import Roots
from scicat_watch.pipeline.reading.nexus import fields
from scicat_watch.pipeline.reading.nexus.links import MOST_STEPS, Links, NotFollowed
from tests.pipeline.nexus_made import nexus, opened

SECRET = b"the secret of another beamtime"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file outside of the beamtime: bytes, and a dataset."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_bytes(SECRET)
    nexus(outside / "secret.h5", lambda entry: entry.create_dataset("secret", data=SECRET))
    return outside


@pytest.fixture
def beamtime(tmp_path: Path) -> Path:
    (tmp_path / "beamtime").mkdir()
    return tmp_path / "beamtime"


def _dataset(path: Path, name: str) -> object:
    with opened(path) as links:
        node = links.find(f"/entry/{name}")
        storage = links.storage(node)
        assert not storage.refusal, storage.refusal
        return fields.element(fields.read(node, 1 << 20))


def test_soft_and_hard_links_are_followed_step_by_step(beamtime: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        entry["a"] = 7
        entry["hard"] = entry["a"]
        entry["soft"] = h5py.SoftLink("/entry/hard")
        entry["relative"] = h5py.SoftLink("soft")
        entry["through"] = h5py.SoftLink("/entry/group/relative")
        entry["group"] = h5py.SoftLink("/entry")

    path = nexus(beamtime / "a.nxs", fill)
    for name in ("hard", "soft", "relative", "through", "group/group/a"):
        assert _dataset(path, name) == 7


@pytest.mark.parametrize("count", [MOST_STEPS + 1, 1])
def test_soft_links_that_go_on_or_round_for_ever_end(beamtime: Path, count: int) -> None:
    def fill(entry: h5py.Group) -> None:
        for number in range(count):
            entry[f"s{number}"] = h5py.SoftLink(f"/entry/s{(number + 1) % count}")

    with opened(nexus(beamtime / "a.nxs", fill)) as links, pytest.raises(NotFollowed, match="circles"):
        links.find("/entry/s0")


def test_an_external_link_is_relative_to_its_file(beamtime: Path) -> None:
    nexus(beamtime / "sub/frames.h5", lambda entry: entry.create_dataset("n", data=3))
    nexus(
        beamtime / "sub/between.h5", lambda entry: entry.__setitem__("next", h5py.ExternalLink("frames.h5", "/entry/n"))
    )
    master = nexus(
        beamtime / "a.nxs", lambda entry: entry.__setitem__("far", h5py.ExternalLink("sub/between.h5", "/entry/next"))
    )
    assert _dataset(master, "far") == 3


def test_an_absolute_link_to_data_that_was_moved_is_found_beside_the_file(beamtime: Path) -> None:
    nexus(beamtime / "frames.h5", lambda entry: entry.create_dataset("n", data=3))
    link = h5py.ExternalLink("/gpfs/elsewhere/frames.h5", "/entry/n")
    assert _dataset(nexus(beamtime / "a.nxs", lambda entry: entry.__setitem__("far", link)), "far") == 3


@pytest.mark.parametrize("way", ["absolute", "dots", "symlink", "soft behind it"])
def test_an_external_link_never_leaves_the_beamtime(beamtime: Path, secret: Path, way: str) -> None:
    (beamtime / "inside.h5").symlink_to(secret / "secret.h5")
    target = {"absolute": str(secret / "secret.h5"), "dots": "../outside/secret.h5"}.get(way, "inside.h5")

    def fill(entry: h5py.Group) -> None:
        entry["out"] = h5py.ExternalLink(target, "/entry/secret")
        entry["over"] = h5py.SoftLink("/entry/out")

    with opened(nexus(beamtime / "a.nxs", fill)) as links:
        with pytest.raises(NotFollowed, match="out of the beamtime"):
            links.find("/entry/over" if way == "soft behind it" else "/entry/out")
        assert "/entry/out" in links.check(links.find("/entry"))


def test_a_fifo_or_device_behind_a_link_is_not_opened(beamtime: Path) -> None:
    os.mkfifo(beamtime / "pipe.h5")
    (beamtime / "zero.h5").symlink_to("/dev/zero")
    (beamtime / "self.h5").symlink_to("/proc/self/environ")

    def fill(entry: h5py.Group) -> None:
        for name in ("pipe", "zero", "self"):
            entry[name] = h5py.ExternalLink(f"{name}.h5", "/")

    with opened(nexus(beamtime / "a.nxs", fill)) as links:
        for name in ("pipe", "zero", "self"):
            with pytest.raises(NotFollowed):
                links.find(f"/entry/{name}")


def test_a_master_that_is_a_link_out_a_fifo_or_gone_is_refused(beamtime: Path, secret: Path) -> None:
    (beamtime / "out.nxs").symlink_to(secret / "secret.h5")
    os.mkfifo(beamtime / "pipe.nxs")
    (beamtime / "text.nxs").write_text("not HDF5")
    for name, words in {"out": "out of the", "pipe": "regular", "gone": "vanished", "text": "HDF5"}.items():
        with pytest.raises(ReadingError, match=words) as caught:
            opened(beamtime / f"{name}.nxs")
        assert str(beamtime / f"{name}.nxs") in str(caught.value)


def test_broken_links_are_missing_and_not_forbidden(beamtime: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        entry["soft"] = h5py.SoftLink("/entry/nothing")
        entry["file"] = h5py.ExternalLink("nothing.h5", "/entry")
        entry["path"] = h5py.ExternalLink("a.nxs", "/nothing")
        entry["number"] = 1

    with opened(nexus(beamtime / "a.nxs", fill)) as links:
        for name in ("soft", "file", "path", "number/below"):
            with pytest.raises(MissingValue):
                links.find(f"/entry/{name}")
        assert links.check(links.find("/entry")) == ""


def test_external_storage_outside_is_not_read_and_its_shape_is_known(beamtime: Path, secret: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        stored = [(str(secret / "secret.txt"), 0, len(SECRET))]
        entry.create_dataset("stolen", (len(SECRET),), "u1", external=stored)

    path = nexus(beamtime / "a.nxs", fill)
    with h5py.File(path) as file:
        assert bytes(file["entry/stolen"]) == SECRET  # HDF5 itself reads it.
    with opened(path) as links:
        storage = links.storage(links.find("/entry/stolen"))
        assert storage.shape == (len(SECRET),)
        assert "outside the beamtime" in storage.refusal
        assert "/entry/stolen" in links.check(links.find("/entry"))


def test_external_storage_inside_is_read(beamtime: Path) -> None:
    (beamtime / "frames.raw").write_bytes(bytes(range(8)))

    def fill(entry: h5py.Group) -> None:
        entry.create_dataset("raw", (8,), "u1", external=[(str(beamtime / "frames.raw"), 0, 8)])

    assert _dataset(nexus(beamtime / "a.nxs", fill), "raw") == list(range(8))


def _virtual(entry: h5py.Group, name: str, file: str, path: str, shape: tuple[int, ...] = (4,)) -> None:
    layout = h5py.VirtualLayout(shape, "i8")
    layout[...] = h5py.VirtualSource(file, path, shape)
    entry.create_virtual_dataset(name, layout)


def test_a_virtual_dataset_of_files_inside_is_read(beamtime: Path) -> None:
    nexus(beamtime / "frames.h5", lambda entry: entry.create_dataset("n", data=np.arange(4)))
    nexus(beamtime / "layer.h5", lambda entry: _virtual(entry, "n", "frames.h5", "/entry/n"))
    path = nexus(beamtime / "a.nxs", lambda entry: _virtual(entry, "all", "layer.h5", "/entry/n"))
    assert _dataset(path, "all") == [0, 1, 2, 3]


def _stealing(folder: Path, secret: Path, way: str) -> Path:
    """A master with a virtual dataset "all" that HDF5 would fill with what is outside."""
    numbers = secret / "numbers.h5"
    nexus(numbers, lambda entry: entry.create_dataset("n", data=np.arange(4)))
    if way == "layer":
        nexus(folder / "layer.h5", lambda entry: _virtual(entry, "n", str(numbers), "/entry/n"))
    elif way == "link":
        link = h5py.ExternalLink(str(numbers), "/entry/n")
        nexus(folder / "layer.h5", lambda entry: entry.__setitem__("n", link))
    elif way == "storage":
        (secret / "numbers.raw").write_bytes(np.arange(4).tobytes())
        stored = [(str(secret / "numbers.raw"), 0, 32)]
        nexus(folder / "layer.h5", lambda entry: entry.create_dataset("n", (4,), "i8", external=stored))
    file = str(numbers) if way == "direct" else "layer.h5"
    return nexus(folder / "a.nxs", lambda entry: _virtual(entry, "all", file, "/entry/n"))


@pytest.mark.parametrize("way", ["direct", "layer", "link", "storage"])
def test_a_virtual_dataset_that_leads_outside_is_not_read(beamtime: Path, secret: Path, way: str) -> None:
    path = _stealing(beamtime, secret, way)
    with h5py.File(path) as file:
        assert file["entry/all"][...].tolist() == [0, 1, 2, 3]  # HDF5 itself reads it.
    with opened(path) as links:
        storage = links.storage(links.find("/entry/all"))
        assert storage.shape == (4,)
        assert storage.refusal
        assert "/entry/all" in links.check(links.find("/entry"))


def test_virtual_sources_named_by_a_pattern_or_by_themselves_are_not_read(beamtime: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        space = h5s.create_simple((2, 4), (h5s.UNLIMITED, 4))
        space.select_hyperslab((0, 0), (h5s.UNLIMITED, 1), block=(1, 4))
        creation = h5p.create(h5p.DATASET_CREATE)
        creation.set_virtual(space, b"frames-%b.h5", b"/entry/n", h5s.create_simple((1, 4)))
        h5d.create(entry.id, b"pattern", h5t.NATIVE_INT64, space, creation)
        _virtual(entry, "round", ".", "/entry/round")

    with opened(nexus(beamtime / "a.nxs", fill)) as links:
        assert links.storage(links.find("/entry/pattern")).shape == (2, 4)
        assert "pattern" in links.storage(links.find("/entry/pattern")).refusal
        assert "circles" in links.storage(links.find("/entry/round")).refusal


def test_a_link_that_hdf5_would_look_for_in_the_working_directory_is_no_way_out(
    beamtime: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(secret)
    path = nexus(beamtime / "a.nxs", lambda entry: _virtual(entry, "all", "secret.h5", "/entry/secret"))
    with h5py.File(path, "a") as file:
        file["entry/link"] = h5py.ExternalLink("secret.h5", "/entry/secret")
    with opened(path) as links:
        assert links.storage(links.find("/entry/all")).refusal
        with pytest.raises(MissingValue):
            links.find("/entry/link")
        assert "out of the beamtime" in links.check(links.find("/entry"))


def test_a_chunk_that_would_fill_the_memory_is_not_unpacked(beamtime: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        entry.create_dataset("huge", (1 << 29,), "u1", chunks=(1 << 29,), compression="gzip")

    with opened(nexus(beamtime / "a.nxs", fill)) as links:
        assert "chunks" in links.storage(links.find("/entry/huge")).refusal


def _linked_to(there: str) -> Callable[[h5py.Group], None]:
    return lambda entry: entry.__setitem__("next", h5py.ExternalLink(f"{there}.nxs", "/entry/next"))


def test_files_that_link_to_each_other_end(beamtime: Path) -> None:
    for here, there in (("a", "b"), ("b", "a")):
        nexus(beamtime / f"{here}.nxs", _linked_to(there))
    with opened(beamtime / "a.nxs") as links, pytest.raises(NotFollowed, match="circles"):
        links.find("/entry/next")


def test_a_file_that_is_replaced_while_it_is_opened_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("scan_1.nxs", "other.nxs"):
        h5py.File(tmp_path / name, "w").close()
    original = Roots.open

    def replaced(self: Roots, path: str | Path, flags: int) -> int:
        descriptor = original(self, path, flags)
        (tmp_path / "other.nxs").rename(path)
        return descriptor

    monkeypatch.setattr(Roots, "open", replaced)
    with pytest.raises(ReadingError, match="replaced while it was opened"):
        Links(tmp_path / "scan_1.nxs", [tmp_path])
