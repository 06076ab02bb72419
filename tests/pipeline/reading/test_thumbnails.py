"""The thumbnail of a scan: a ready one, or its default plot."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from PIL import Image

from scicat_watch.model import Scan
from scicat_watch.pipeline.handover import ReadLimits
from scicat_watch.pipeline.reading.nexus import plots
from scicat_watch.pipeline.reading.nexus.plots import find
from scicat_watch.pipeline.reading.notes import Notes
from scicat_watch.pipeline.reading.thumbnails import Plot, Thumbnail, draw, thumbnail
from tests.pipeline.nexus_made import group, line_plot, nexus, opened, scan
from tests.recorded import DESY, ROOT


def _found(path: Path, entry: str = "", notes: Notes | None = None) -> Plot | None:
    with opened(path) as links:
        return find(links, entry, notes or Notes())


def _plot(path: Path, entry: str = "") -> Plot:
    plot = _found(path, entry)
    assert plot is not None
    return plot


def _thumbnail(made: Scan, notes: Notes | None = None) -> bytes | None:
    shown = _shown(made, notes or Notes())
    return shown.png if shown else None


def _shown(made: Scan, notes: Notes) -> Thumbnail | None:
    root = made.directory
    if made.master is None:
        return thumbnail(made, ReadLimits(), (root,), None, notes)
    with opened(made.master, root) as links:
        return thumbnail(made, ReadLimits(), (root,), lambda notes: find(links, made.entry, notes), notes)


def _png(size: tuple[int, int] = (2, 2)) -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", size).save(drawn, "PNG")
    return drawn.getvalue()


def test_a_line_is_drawn_over_its_axis_with_units_title_and_command(tmp_path: Path) -> None:
    plot = _plot(nexus(tmp_path / "a.nxs", line_plot))
    assert (plot.heading, plot.command) == ("theta scan", "ascan th 0 1 10 0.1")
    assert (plot.label, plot.x_label) == ("counts", "th (deg)")
    assert plot.values.tolist() == list(range(11))
    assert plot.x is not None
    assert plot.x[-1] == 1.0


def test_thumbnails_have_640_by_480_points_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    line = _plot(nexus(tmp_path / "a.nxs", line_plot))
    other = Plot(np.arange(100) * 1e6, "other $x_", label="y", x=np.linspace(-3, 3, 100), x_label="z")
    image = Plot(np.arange(12.0).reshape(3, 4), "image", label="frames[1]")
    first = [draw(plot) for plot in (line, image)]
    draw(other)
    assert [draw(plot) for plot in (line, image)] == first
    for content in first:
        with Image.open(io.BytesIO(content)) as drawn:
            assert (drawn.size, drawn.format, drawn.info) == ((640, 480), "PNG", {})
            assert len(drawn.convert("RGB").getcolors(1 << 20) or []) > 2


@pytest.mark.parametrize("title", ["scalar", np.array(["one"], dtype=h5py.string_dtype()), np.bytes_(b"fixed")])
def test_every_form_of_title_makes_a_thumbnail(tmp_path: Path, title: object) -> None:
    path = nexus(tmp_path / "a.nxs", line_plot)
    with h5py.File(path, "a") as file:
        del file["entry/title"]
        file["entry/title"] = title
    assert _plot(path).heading in {"scalar", "one", "fixed"}


def test_the_middle_frame_of_three_dimensions_is_shown(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        data = group(entry, "data", "NXdata", signal="frames")
        data["frames"] = np.arange(3 * 4 * 5).reshape(3, 4, 5)

    plot = _plot(nexus(tmp_path / "a.nxs", fill))
    assert (plot.values.shape, plot.values[0, 0], plot.label) == ((4, 5), 20, "frames[1]")


def test_default_attributes_lead_to_the_plot(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        for name in ("a", "b"):
            group(entry, name, "NXdata", signal=name)[name] = [1, 2]

    path = nexus(tmp_path / "a.nxs", fill)
    assert _plot(path).label == "a"
    with h5py.File(path, "a") as file:
        file.attrs["default"] = "entry"
        file["entry"].attrs["default"] = "b"
    assert _plot(path).label == "b"


def test_an_entry_of_its_own_has_its_own_plot(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "pair.nxs", "w") as file:
        for number in (7, 8):
            entry = group(file, f"scan_{number:05d}", "NXentry", default="data")
            group(entry, "data", "NXdata", signal="i0")["i0"] = np.arange(5) * number
    assert _plot(tmp_path / "pair.nxs", "scan_00008").values.tolist() == [0, 8, 16, 24, 32]
    assert _found(tmp_path / "pair.nxs", "scan_00009") is None


def _signal_on_field(data: h5py.Group) -> None:
    data["wanted"] = [1, 2]
    data["wanted"].attrs["signal"] = 1


def _field_called_data(data: h5py.Group) -> None:
    data["a"] = [7, 8]
    data["data"] = [1, 2]


def _first_field(data: h5py.Group) -> None:
    data["text"] = "no numbers"
    data["x"] = [1, 2]


def _broken_link_beside(data: h5py.Group) -> None:
    data["gone"] = h5py.ExternalLink("gone.h5", "/entry")
    data.attrs["signal"] = "n"
    data["n"] = [1, 2]


def _two_axes(data: h5py.Group) -> None:
    data.attrs["signal"] = "n"
    data.attrs["axes"] = ["n", "x"]
    data["n"] = [1, 2]
    data["x"] = [0.5, 1.5]


@pytest.mark.parametrize("fill", [_signal_on_field, _field_called_data, _first_field, _broken_link_beside, _two_axes])
def test_data_that_does_not_follow_the_rules_is_drawn_all_the_same(
    tmp_path: Path, fill: Callable[[h5py.Group], None]
) -> None:
    plot = _plot(nexus(tmp_path / "a.nxs", lambda entry: fill(group(entry, "data", "NXdata"))))
    assert plot.values.tolist() == [1, 2]
    assert draw(plot)


@pytest.mark.parametrize(("command", "label"), [("ascan x 0 1 2", "x"), ("hklscan 0 1 0 1 1 1 2", "k")])
def test_the_scan_command_says_which_axis_moves(tmp_path: Path, command: str, label: str) -> None:
    def fill(entry: h5py.Group) -> None:
        entry["program_name"] = "macro"
        entry["program_name"].attrs["scan_command"] = command
        data = group(entry, "data", "NXdata", signal="i")
        data["i"] = [5, 6, 7]
        data["x"] = data["h"] = [0.0, 0.1, 0.2]
        data["k"] = [1.0, 2.0, 3.0]

    assert _plot(nexus(tmp_path / "a.nxs", fill)).x_label == label


@pytest.mark.parametrize("values", [["a", "b"], [1], np.zeros((2, 2, 2, 2)), [np.nan, np.nan], np.zeros((0, 3))])
def test_what_cannot_be_drawn_makes_no_thumbnail(tmp_path: Path, values: object) -> None:
    path = nexus(tmp_path / "a.nxs", lambda entry: group(entry, "data", "NXdata", signal="v").__setitem__("v", values))
    assert _found(path) is None


def test_large_data_is_thinned_out_and_compressed_data_read(tmp_path: Path) -> None:
    def fill(entry: h5py.Group) -> None:
        data = group(entry, "data", "NXdata", signal="frames")
        data.create_dataset("frames", data=np.full((2, 3000, 100), 2**16 - 1, "u2"), **hdf5plugin.Bitshuffle())
        group(entry, "line", "NXdata", signal="i").create_dataset("i", (1_000_000,), "f4", fillvalue=1.0)

    path = nexus(tmp_path / "a.nxs", fill)
    plot = _plot(path)
    assert plot.values.shape == (1000, 100)
    assert draw(plot)
    with h5py.File(path, "a") as file:
        file["entry"].attrs["default"] = "line"
    assert len(_plot(path).values) <= plots.MOST_POINTS


def test_a_file_with_a_link_out_is_not_drawn_and_says_so(tmp_path: Path) -> None:
    path = nexus(tmp_path / "beamtime/a.nxs", line_plot)
    nexus(tmp_path / "out.h5", lambda entry: entry.create_dataset("n", data=[1, 2]))
    with h5py.File(path, "a") as file:
        file["entry/data/out"] = h5py.ExternalLink("../out.h5", "/entry/n")
    notes = Notes()
    assert _found(path, notes=notes) is None
    assert "/entry/data/out" in notes.all()[0]


@pytest.mark.parametrize(
    "form", [str, lambda path: np.bytes_(path.encode().ljust(2_000_000, b"\0")), lambda path: [[path]]]
)
@pytest.mark.parametrize("naming", ["signal", "axes", "auxiliary_signals"])
def test_an_attribute_that_names_a_path_leads_nowhere_outside(
    tmp_path: Path, naming: str, form: Callable[[str], object]
) -> None:
    nexus(tmp_path / "out.h5", lambda entry: entry.create_dataset("n", data=[1.0, 2.0, 4.0]))
    (tmp_path / "beamtime").mkdir()
    with h5py.File(tmp_path / "beamtime/a.nxs", "w", libver="latest") as file:
        entry = group(file, "entry", "NXentry")
        entry["out"] = h5py.ExternalLink("../out.h5", "/entry/n")
        data = group(entry, "data", "NXdata", signal="n")
        data["n"] = [5.0, 6.0, 7.0]
        data.attrs[naming] = form("/entry/out")
    plot = _plot(tmp_path / "beamtime/a.nxs")
    assert plot.values.tolist() == [5.0, 6.0, 7.0]
    assert plot.x is None


def test_a_ready_thumbnail_beside_the_master_wins(tmp_path: Path) -> None:
    nexus(tmp_path / "scan_1.nxs", line_plot)
    (tmp_path / "scan_1.png").write_bytes(_png())
    assert _thumbnail(scan(tmp_path, "scan_1")) == _png()


def test_a_ready_thumbnail_in_the_folder_counts_only_without_a_master(tmp_path: Path) -> None:
    (tmp_path / "scan_1").mkdir()
    (tmp_path / "scan_1/scan_1.png").write_bytes(_png())
    assert _thumbnail(scan(tmp_path, "scan_1")) == _png()
    nexus(tmp_path / "scan_1.nxs")
    assert _thumbnail(scan(tmp_path, "scan_1")) is None


@pytest.mark.parametrize("content", [b"not a thumbnail", _png()[:-20], b"", b"GIF89a" + bytes(100)])
def test_a_ready_thumbnail_that_is_none_is_noted_and_the_plot_drawn(tmp_path: Path, content: bytes) -> None:
    nexus(tmp_path / "scan_1.nxs", line_plot)
    (tmp_path / "scan_1.png").write_bytes(content)
    notes = Notes()
    drawn = _thumbnail(scan(tmp_path, "scan_1"), notes)
    assert drawn is not None
    assert "scan_1.png" in notes.all()[0]


def test_a_ready_thumbnail_that_is_a_link_out_is_not_taken(tmp_path: Path) -> None:
    beamtime = tmp_path / "beamtime"
    nexus(beamtime / "scan_1.nxs")
    (tmp_path / "secret.png").write_bytes(_png())
    (beamtime / "scan_1.png").symlink_to(tmp_path / "secret.png")
    notes = Notes()
    assert _thumbnail(scan(beamtime, "scan_1"), notes) is None
    assert "link out" in notes.all()[0]


def test_nothing_to_draw_loads_no_drawing_library(tmp_path: Path) -> None:
    nexus(tmp_path / "scan_1.nxs")
    program = (
        "import sys\nfrom pathlib import Path\nfrom tests.pipeline.reading.test_thumbnails import _thumbnail, scan\n"
        "for name in [n for n in sys.modules if n.startswith(('PIL', 'matplotlib', 'silx'))]: del sys.modules[name]\n"
        f"assert _thumbnail(scan(Path({str(tmp_path)!r}), 'scan_1')) is None\n"
        "assert not [n for n in sys.modules if n.startswith(('PIL', 'matplotlib', 'silx'))]\n"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


def test_the_shared_scans_show_what_the_reference_draws() -> None:
    raw = DESY / "beamtime/raw"
    first, frames = _plot(raw / "run_00001.nxs"), _plot(raw / "run_00002.nxs")
    assert (first.heading, first.command) == ("theta scan of YIG", "ascan th 0.0 1.0 10 0.1")
    assert (first.label, first.x_label) == ("counts", "th (deg)")
    assert (frames.heading, frames.label) == ("small angle frames", "image[1]")
    eighth = _plot(raw / "pair.nxs", "scan_00008")
    assert (eighth.heading, eighth.label, eighth.x) == ("second of two", "i0 (cps)", None)
    assert _found(raw / "sub/run_00005.nxs") is None
    assert _thumbnail(scan(raw, "pic_00006")) == (raw / "pic_00006.png").read_bytes()


def test_the_caption_says_what_is_shown(tmp_path: Path) -> None:
    def frames(entry: h5py.Group) -> None:
        group(entry, "data", "NXdata", signal="frames")["frames"] = np.arange(3 * 4 * 5).reshape(3, 4, 5)

    nexus(tmp_path / "line.nxs", line_plot)
    nexus(tmp_path / "frames.nxs", frames)
    line, image = _shown(scan(tmp_path, "line"), Notes()), _shown(scan(tmp_path, "frames"), Notes())
    plot = _plot(tmp_path / "line.nxs")
    assert line is not None
    assert line.caption == f"{plot.label} against {plot.x_label}"
    assert image is not None
    assert image.caption == "frames[1]"
    (tmp_path / "line.png").write_bytes(_png())
    ready = _shown(scan(tmp_path, "line"), Notes())
    assert ready == Thumbnail(_png(), "line.png")
