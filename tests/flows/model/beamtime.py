"""One beamtime of the model test: what happens on its disk, and which datasets must come of it.

A `Beamtime` performs a random program of actions, always the same one for the same seed. The model of the result is
simple: in the end each scan whose files are on the disk has one dataset, under its name, with the files and sizes of
the disk and the title that its data file has; a scan that is gone may have one; nobody else has.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from tests import makers


@dataclass
class ScanModel:
    """A scan that the program has made."""

    directory: Path
    """Where its data file is."""
    stem: str
    title: str | None
    """What its data file says; None if it has none, or none that can be read."""
    names: list[tuple[str, Path]]
    """The ids that its dataset may have, each with the directory that its file list is relative to."""
    wanted: bool = True
    """Whether it must have a dataset; if not it may have one."""
    junk: bool = False
    """Whether its data file is no HDF5 now, so that it can have no dataset."""
    published: bool = False
    """Whether its dataset is known to be there."""

    def files(self, base: Path) -> dict[str, int]:
        """Its files on the disk, with their sizes."""
        beginnings = (f"{self.stem}.", f"{self.stem}_", f"{self.stem}/")
        found = {
            path.relative_to(self.directory).as_posix(): path
            for path in self.directory.rglob(f"{self.stem}*")
            for path in (path.rglob("*") if path.is_dir() else [path])
            if path.is_file()
        }
        return {
            path.relative_to(base).as_posix(): path.stat().st_size
            for name, path in found.items()
            if name.startswith(beginnings)
        }


@dataclass
class Beamtime:
    """A beamtime directory with a program of its own."""

    root: Path
    seed: int
    scans: list[ScanModel] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    """What was done, for people."""
    _half: str = ""
    """What is missing of the last line of the list."""
    _open: list[tuple[h5py.File, ScanModel]] = field(default_factory=list)
    """Data files that are being written, and their scans."""

    def __post_init__(self) -> None:
        self.id = str(1000 + self.seed)
        self._dice = random.Random(self.seed)
        self._number = 0
        self._make()

    @property
    def raw(self) -> Path:
        """The directory with the dataset list."""
        return self.root / "raw"

    @property
    def dataset_list(self) -> Path:
        return self.raw / f"scicat-datasets-{self.id}.lst"

    def act(self) -> None:
        """The next action of the program."""
        action = self._dice.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        for file, scan in self._open[:]:
            if self._dice.random() < 0.5:
                self._close(file, scan)
        self.log.append(action.__name__)
        action(self)

    def settled(self) -> None:
        """The catalogue holds what is on the disk."""
        for scan in self.scans:
            scan.published = scan.wanted and not scan.junk

    def end(self) -> None:
        """Leave nothing half done."""
        for file, scan in self._open[:]:
            self._close(file, scan)
        self._complete_line()

    # The actions

    def listed(self) -> None:
        """A data file and a line, sometimes with detector files."""
        scan = self._scan(self.raw)
        self._frames(scan)
        self._write(scan)
        self._line(scan.stem)

    def line_before_its_file(self) -> None:
        scan = self._scan(self.raw)
        self._line(scan.stem)
        self._frames(scan)
        self._write(scan)

    def found(self) -> None:
        """A data file that no list names, sometimes deep below, or one that is renamed into place."""
        scan = self._scan(self.root / self._dice.choice(["found", f"found/deep_{self._number % 3}"]))
        self._frames(scan)
        if self._dice.random() < 0.3:
            self._write(scan, f".{scan.stem}.part")
            (scan.directory / f".{scan.stem}.part").rename(scan.directory / f"{scan.stem}.nxs")
        else:
            self._write(scan)

    def only_frames(self) -> None:
        """A listed scan without a data file."""
        scan = self._scan(self.raw)
        scan.title = None
        self._frames(scan, always=True)
        self._line(scan.stem)

    def half_a_line(self) -> None:
        """The rest comes with the next line, or at the end."""
        scan = self._scan(self.raw)
        self._write(scan)
        self._complete_line()
        with self.dataset_list.open("a") as file:
            file.write(f"\n{scan.stem[:5]}")
        self._half = scan.stem[5:]

    def again(self) -> None:
        """More detector files, and a line that asks for the dataset to be brought up to date."""
        if scan := self._any(self.raw):
            self._frames(scan, always=True)
            self._line(f"{scan.stem}:{self._number}.5")
            self.log[-1] += f" {scan.stem}"

    def rotate(self) -> None:
        """The list gets another name, and a new one begins."""
        self._complete_line()
        self._lose_lines()
        self.dataset_list.rename(self.dataset_list.with_name(f"old-{self._number}.txt"))
        # For a moment the directory has no list: what is found in it then is named under the beamtime.
        for scan in self._in(self.raw):
            scan.names = [(f"{self.id}/{scan.stem}", self.raw), (f"{self.id}/raw/{scan.stem}", self.root)]
        self.dataset_list.touch()
        self.listed()

    def truncate(self) -> None:
        self._complete_line()
        self._lose_lines()
        self.dataset_list.open("w").close()
        self.listed()

    def replace(self) -> None:
        """A new list with one more line is renamed over the old one."""
        self._complete_line()
        scan = self._scan(self.raw)
        self._write(scan)
        other = self.dataset_list.with_name(f"{self.dataset_list.name}.new")
        shutil.copyfile(self.dataset_list, other)
        makers.append(other, scan.stem)
        other.rename(self.dataset_list)

    def write_slowly(self) -> None:
        """The file stays open for some actions."""
        listed = self._dice.random() < 0.5
        scan = self._scan(self.raw if listed else self.root / "found")
        if listed:
            self._line(scan.stem)
        file = h5py.File(self._path(scan), "w", libver=self._dice.choice(["latest", "earliest"]))
        file.create_group("entry").attrs["NX_class"] = "NXentry"
        file["entry/title"] = "not complete"
        file.flush()
        self._open.append((file, scan))

    def reopen(self) -> None:
        """A data file gets other contents."""
        if scan := self._any(self._dice.choice([self.raw, self.root / "found"])):
            self._extend(scan)

    def late_frames(self) -> None:
        """Detector files come when their scan has been there for long, and nobody says so."""
        if scan := self._any(self._dice.choice([self.raw, self.root / "found"])):
            self._frames(scan, always=True)
            self.log[-1] += f" {scan.stem}"

    def replaced(self) -> None:
        """Another data file is renamed over one, as rsync does it."""
        if scan := self._any(self._dice.choice([self.raw, self.root / "found"])):
            scan.title = f"{scan.title}, replaced"
            self._write(scan, f".{scan.stem}.part")
            (scan.directory / f".{scan.stem}.part").rename(self._path(scan))
            self.log[-1] += f" {scan.stem}"

    def move(self) -> None:
        """A directory gets another name; its scans keep theirs."""
        place = self.root / "found" / f"deep_{self._number % 3}"
        scans = self._in(place)
        if scans and all(scan.published and scan.wanted for scan in scans):
            place.rename(self.root / "found" / f"moved_{self._number}")
            for scan in scans:
                scan.directory = self.root / "found" / f"moved_{self._number}"
            self.log[-1] += f" {place.name} to moved_{self._number}"

    def junk(self) -> None:
        """A file that is no HDF5; sometimes it becomes one later."""
        scan = self._scan(self._dice.choice([self.raw, self.root / "found"]))
        scan.junk = True
        self._path(scan).write_text("no HDF5\n" * self._number)

    def repair(self) -> None:
        """Broken files are replaced by whole ones."""
        for scan in [scan for scan in self.scans if scan.junk and scan.wanted]:
            scan.junk = False
            self._write(scan)

    def remake(self) -> None:
        """The whole directory goes, and a new one is there."""
        for file, _ in self._open:
            file.close()
        self._open, self._half = [], ""
        shutil.rmtree(self.root)
        for scan in self.scans:
            scan.wanted = False
        self._make()
        self.found()

    # Their parts

    def _make(self) -> None:
        makers.beamtime_directory(self.root, self.id)
        self.dataset_list.touch()
        (self.root / "found").mkdir()

    def _scan(self, directory: Path) -> ScanModel:
        self._number += 1
        stem = f"run_{self._number:05d}"
        directory.mkdir(exist_ok=True)
        base = self.raw if directory == self.raw else self.root
        name = (directory / stem).relative_to(base)
        self.scans.append(ScanModel(directory, stem, f"title of {stem}", [(f"{self.id}/{name}", base)]))
        self.log[-1:] = [f"{self.log[-1]} {stem}"] if self.log else []
        return self.scans[-1]

    def _path(self, scan: ScanModel) -> Path:
        return scan.directory / f"{scan.stem}.nxs"

    def _write(self, scan: ScanModel, name: str = "") -> None:
        path = scan.directory / name if name else self._path(scan)
        makers.nexus(path, title=scan.title or "", points=self._dice.randrange(5, 500))

    def _close(self, file: h5py.File, scan: ScanModel) -> None:
        del file["entry/title"]
        file["entry/title"] = scan.title
        file.close()
        self._open.remove((file, scan))

    def _extend(self, scan: ScanModel) -> None:
        scan.title = f"{scan.title}, extended"
        with h5py.File(self._path(scan), "a") as file:
            del file["entry/title"]
            file["entry/title"] = scan.title
            file[f"entry/more_{self._number}_{len(scan.title)}"] = list(range(self._dice.randrange(1, 999)))
        self.log[-1] += f" {scan.stem}"

    def _frames(self, scan: ScanModel, *, always: bool = False) -> None:
        if always or self._dice.random() < 0.3:
            folder = scan.directory / scan.stem
            folder.mkdir(exist_ok=True)
            for number in range(self._dice.randrange(1, 4)):
                content = b"x" * self._dice.randrange(1, 3000)
                (folder / f"frame_{self._number}_{number}.tif").write_bytes(content)

    def _line(self, line: str) -> None:
        self._complete_line()
        makers.append(self.dataset_list, line)

    def _complete_line(self) -> None:
        with self.dataset_list.open("a") as file:
            file.write(self._half)
        self._half = ""

    def _lose_lines(self) -> None:
        """What only a line made a scan of is none if the line goes before it was read."""
        for scan in self._in(self.raw):
            scan.wanted = scan.wanted and scan.title is not None

    def _in(self, directory: Path) -> list[ScanModel]:
        return [scan for scan in self.scans if scan.directory == directory]

    def _any(self, directory: Path) -> ScanModel | None:
        """One of the complete scans with a data file in a directory."""
        busy = [scan for _, scan in self._open]
        usable = [
            scan for scan in self._in(directory) if scan.wanted and scan.title and not scan.junk and scan not in busy
        ]
        return self._dice.choice(usable) if usable else None

    # What must be there

    def optional(self) -> set[str]:
        """The ids of datasets of which nothing is said."""
        return {pid for scan in self.scans if not scan.wanted for pid, _ in scan.names}

    def differences(self, datasets: dict[str, dict[str, Any]]) -> list[str]:
        """What is not as it must be, for people; empty if all is well."""
        own = {pid: found for pid, found in datasets.items() if pid.startswith(f"{self.id}/")}
        wrong: list[str] = []
        for scan in self.scans:
            found = [(own.pop(pid), base) for pid, base in scan.names if pid in own]
            names = " or ".join(pid for pid, _ in scan.names)
            if scan.junk and found:
                wrong.append(f"{names}: has a dataset, but its file is no HDF5")
            elif len(found) > 1:
                wrong.append(f"{names}: has {len(found)} datasets")
            elif scan.wanted and not scan.junk:
                wrong += [f"{names}: {what}" for what in _wrong(scan, *found[0])] if found else [f"{names}: missing"]
        return wrong + [f"{pid}: nobody asked for it" for pid in own]


ACTIONS: dict[Callable[[Beamtime], None], int] = {
    Beamtime.listed: 6, Beamtime.line_before_its_file: 3, Beamtime.found: 6, Beamtime.only_frames: 2,
    Beamtime.half_a_line: 2, Beamtime.again: 3, Beamtime.rotate: 1, Beamtime.truncate: 1, Beamtime.replace: 2,
    Beamtime.write_slowly: 3, Beamtime.reopen: 3, Beamtime.late_frames: 3, Beamtime.replaced: 1, Beamtime.move: 2,
    Beamtime.junk: 1, Beamtime.repair: 1, Beamtime.remake: 1,
}  # fmt: skip
"""What a program consists of, and how often each comes."""


def _wrong(scan: ScanModel, dataset: dict[str, Any], base: Path) -> list[str]:
    blocks = dataset["origdatablocks"]
    listed = {file["path"]: file["size"] for block in blocks for file in block["dataFileList"]}
    on_disk = scan.files(base)
    title = dataset.get("scientificMetadata", {}).get("title", {}).get("value")
    wrong = []
    if len(blocks) != 1:
        wrong.append(f"has {len(blocks)} file lists")
    if listed != on_disk:
        wrong.append(f"lists {listed}, on the disk are {on_disk}")
    if (dataset["numberOfFiles"], dataset["size"]) != (len(on_disk), sum(on_disk.values())):
        wrong.append(f"its totals are {dataset['numberOfFiles']} files, {dataset['size']} bytes")
    if scan.title is not None and title != scan.title:
        wrong.append(f"its title is {title!r}, in the file is {scan.title!r}")
    return wrong
