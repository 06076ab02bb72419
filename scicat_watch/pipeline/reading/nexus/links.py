"""The only way into an HDF5 file: step by step, and never out of the beamtime.

A data file may say that a part of it is somewhere else: in another file (external link), in the raw
bytes of any file (external storage), or put together from many (virtual dataset). HDF5 follows all of
these by itself, with the rights of whoever reads, so that a crafted file could publish what its author
may not see. Here every link is examined before anything is opened: soft links are walked name by name,
files that links name are opened by us if they really are inside the beamtime, and of a dataset it is
known where its data is before any of it is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# Before h5py is imported: a reader that takes HDF5's lock makes the writer's next open fail. The
# prefixes would make HDF5 look for linked files in further places.
os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"
for _prefix in ("HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX"):
    os.environ.pop(_prefix, None)

import h5py  # noqa: E402 (see above)
from h5py import h5d, h5f, h5g, h5l, h5o, h5s, h5z  # noqa: E402

from scicat_watch.errors import MissingValue, ReadingError, SourceError  # noqa: E402
from scicat_watch.files import Outside, Roots  # noqa: E402
from scicat_watch.pipeline.reading import libraries  # noqa: E402
from scicat_watch.words import why  # noqa: E402

HDF5_ERRORS = (KeyError, OSError, OverflowError, RuntimeError, TypeError, UnicodeError, ValueError)
"""What h5py raises for damaged files: there is no class of its own."""

MOST_STEPS = 64
"""So many soft and external links may be on the way to one object."""
MOST_FILES = 100
"""So many further files may be opened for one scan."""
MOST_LAYERS = 4
"""So many virtual datasets may be on top of each other."""
MOST_MEMBERS = 100_000
"""So many members of one group are listed."""
MOST_CHECKED = 2000
"""So many members of a group are checked before it is handed to a library that follows links by itself."""
LARGEST_CHUNK = 256 << 20
"""Bytes of the largest chunk that is read: HDF5 unpacks a chunk as a whole."""

Node = Any
"""A group, dataset or named type: one of h5py's low-level ids."""


class NotFollowed(SourceError):
    """A link that leads where nothing is read: outside the beamtime, round in circles, to a device."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the data of a dataset is, as far as it matters here."""

    shape: tuple[int, ...] | None
    """None for a null dataspace, which has no data."""
    refusal: str = ""
    """Why it must not be read; empty if it may."""


class Links:
    """A scan's HDF5 file with all that it links to, open for reading. A context manager."""

    def __init__(self, master: Path, roots: Iterable[Path]) -> None:
        self._roots = Roots(roots)
        self._files: dict[str, h5py.File] = {}
        self.classes: dict[tuple[int, int], dict[str, bytes]] = {}
        """Name of the first member of each NeXus class by the group's place: what `values` has searched so far."""
        self.root: Node = self._opened_master(master)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for file in self._files.values():
            with suppress(*HDF5_ERRORS):
                file.close()

    def members(self, group: Node) -> list[bytes]:
        """Names of what is in a group, byte-wise in order; links are not followed."""
        names: list[bytes] = []

        def collect(name: bytes) -> bool | None:
            names.append(name)
            return True if len(names) >= MOST_MEMBERS else None

        group.links.iterate(collect)
        return sorted(names)

    def child(self, group: Node, name: bytes) -> Node:
        """What is under `name` in `group`.

        Raises `MissingValue` for a broken link, `NotFollowed` for a forbidden one.
        """
        if b"/" in name:
            raise NotFollowed("a name that holds a slash")
        return self._walk(group, [name])

    def find(self, path: str | bytes, start: Node | None = None) -> Node:
        """What is at an HDF5 path. Raises as `child` does."""
        encoded = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
        return self._walk(self.root if start is None else start, _elements(encoded), encoded.startswith(b"/"))

    def storage(self, dataset: Node) -> Storage:
        """Shape of a dataset, and whether its data may be read; opens the source files of a virtual one."""
        creation = dataset.get_create_plist()
        layout = creation.get_layout()
        if layout == h5d.VIRTUAL and (refusal := self._virtual_refusal(dataset, creation, frozenset())):
            # HDF5 opens source files already to know the shape, so the shape is taken from the mapping.
            return Storage(_mapped_shape(creation), refusal)
        space = dataset.get_space()
        if space.get_simple_extent_type() == h5s.NULL:
            return Storage(None)
        return Storage(space.get_simple_extent_dims(), self._refusal(dataset, creation, layout))

    def check(self, group: Node) -> str:
        """Why `group` must not be handed to a library that follows the links in it by itself; empty if it may.

        Checks each member of the group, not at what is below.
        """
        for number, name in enumerate(self.members(group)):
            if number >= MOST_CHECKED:
                return f"{_shown(group, b'')} has more than {MOST_CHECKED} members"
            try:
                node = self._walk(group, [name], exact=True)
                refusal = self.storage(node).refusal if isinstance(node, h5d.DatasetID) else ""
            except MissingValue:
                continue
            except NotFollowed as error:
                refusal = str(error)
            if refusal:
                return f"{_shown(group, name)} {refusal}"
        return ""

    def _walk(self, start: Node, elements: list[bytes], absolute: bool = False, exact: bool = False) -> Node:
        """`exact`: a link is refused unless HDF5 itself would end up at the same place."""
        node = _root(start) if absolute else start
        waiting, steps = elements[::-1], 0
        while waiting:
            name = waiting.pop()
            kind = _link_kind(node, name)
            if kind == h5l.TYPE_HARD:
                node = _opened(node, name)
                continue
            steps += 1
            if steps > MOST_STEPS:
                raise NotFollowed("is a link that leads round in circles")
            if kind == h5l.TYPE_SOFT:
                target = _target(node, name)
                node = _root(node) if target.startswith(b"/") else node
            elif kind == h5l.TYPE_EXTERNAL:
                file_name, target = _target(node, name)
                node = self._other_file(node, file_name, exact)
            else:
                raise NotFollowed("is a link of an unknown kind")
            waiting += _elements(target)[::-1]
        return node

    def _other_file(self, node: Node, encoded: bytes, exact: bool) -> Node:
        """Root group of the file that an external link in the file of `node` names."""
        outside = False
        for candidate in _candidates(node, encoded, everywhere=exact):
            real = self._roots.real(candidate)
            if real is None:
                outside = outside or not exact or os.path.lexists(candidate)
            elif Path(real).exists():
                if outside and exact:
                    break
                return self._opened_file(real)
        if outside:
            raise NotFollowed("is a link out of the beamtime's directories, which is not followed")
        raise MissingValue("is a link to a file that does not exist")

    def _opened_file(self, real: str) -> Node:
        if real not in self._files:
            if len(self._files) > MOST_FILES:
                raise NotFollowed(f"is a link into another file, of which there are more than {MOST_FILES}")
            try:
                self._files[real] = self._opened(real)
            except Outside as error:
                raise NotFollowed("is a link out of the beamtime's directories, which is not followed") from error
            except HDF5_ERRORS as error:
                raise MissingValue("is a link to a file that cannot be opened as HDF5") from error
        return h5o.open(self._files[real].id, b"/")

    def _opened(self, path: str | Path) -> h5py.File:
        """A file that is in one of the directories. `Outside` if it is not, `NotFollowed` if it is no file.

        HDF5 opens files only by their names. So what it opened is compared with what was found below the directory.
        """
        descriptor = self._roots.open(path, os.O_PATH)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise NotFollowed("is a link to something that is not a regular file")
            file = h5py.File(path, "r", locking=False)
            if not os.path.samestat(found, os.fstat(file.id.get_vfd_handle())):
                file.close()
                raise OSError("it was replaced while it was opened")
            return file
        finally:
            os.close(descriptor)

    def _opened_master(self, master: Path) -> Node:
        try:
            file = self._opened(master)
            # Under its real name, so that a file that links back to it finds it open.
            self._files[os.path.realpath(master)] = file
            return h5o.open(file.id, b"/")
        except Outside as error:
            raise ReadingError(f"{master}: is a link out of the beamtime's directories, and is not read") from error
        except NotFollowed as error:
            raise ReadingError(f"{master}: is not a regular file") from error
        except FileNotFoundError as error:
            raise ReadingError(f"{master}: vanished before it was read") from error
        except PermissionError as error:
            raise ReadingError(f"{master}: may not be read by this account; check the file's mode") from error
        except HDF5_ERRORS as error:
            raise ReadingError(
                f"{master}: cannot be opened as HDF5; it is damaged, incomplete, or still written ({why(error)})"
            ) from error

    def _refusal(self, dataset: Node, creation: Any, layout: int) -> str:
        if layout == h5d.CONTIGUOUS:
            for number in range(creation.get_external_count()):
                # HDF5 takes a relative name as relative to the working directory.
                real = self._roots.real(os.fsdecode(creation.get_external(number)[0]))
                if real is None:
                    return "keeps its data in a file outside the beamtime's directories, which is not read"
                if not Path(real).is_file():
                    return "keeps its data in a file that does not exist"
        elif layout == h5d.CHUNKED:
            size = dataset.get_type().get_size()
            for side in creation.get_chunk():
                size *= side
            if size > LARGEST_CHUNK:
                return f"is stored in chunks of {size} bytes; more than {LARGEST_CHUNK} are not read"
            _load_filters(creation)
        return ""

    def _virtual_refusal(self, dataset: Node, creation: Any, above: frozenset[tuple[int, int]]) -> str:
        """Why a virtual dataset must not be read: one of its sources is outside, or cannot be known beforehand."""
        here = place_of(dataset)
        if here in above or len(above) > MOST_LAYERS:
            return "is put together from virtual datasets that lead round in circles"
        sources = {
            (os.fsencode(creation.get_virtual_filename(number)), os.fsencode(creation.get_virtual_dsetname(number)))
            for number in range(creation.get_virtual_count())
        }
        for file_name, path in sorted(sources):
            if b"%" in file_name + path:
                return "is put together from files whose names are only a pattern; it is not read"
            try:
                root = _root(dataset) if file_name == b"." else self._other_file(dataset, file_name, exact=True)
                source = self._walk(root, _elements(path), exact=True)
            except SourceError as error:
                return f"is put together from several datasets, one of which {error}"
            if not isinstance(source, h5d.DatasetID):
                return "is put together from something that is not a dataset"
            if refusal := self._source_refusal(source, above | {here}):
                return f"is put together from several datasets, one of which {refusal}"
        return ""

    def _source_refusal(self, source: Node, above: frozenset[tuple[int, int]]) -> str:
        creation = source.get_create_plist()
        layout = creation.get_layout()
        if layout == h5d.VIRTUAL:
            return self._virtual_refusal(source, creation, above)
        return self._refusal(source, creation, layout)


def place_of(node: Node) -> tuple[int, int]:
    """Where an object is, the same for all names that it has: number of its open file, and address in it."""
    info = h5o.get_info(node)
    return int(info.fileno), int(info.addr)


def _load_filters(creation: Any) -> None:
    """Make compressions known that HDF5 itself does not bring, once they are met."""
    if any(creation.get_filter(number)[0] > h5z.FILTER_RESERVED for number in range(creation.get_nfilters())):
        libraries.need(libraries.COMPRESSION)
        import hdf5plugin  # noqa: F401


def _elements(path: bytes) -> list[bytes]:
    return [name for name in path.split(b"/") if name not in (b"", b".")]


def _root(node: Node) -> Node:
    return h5o.open(node, b"/")


def _link_kind(group: Node, name: bytes) -> int:
    if not isinstance(group, h5g.GroupID):
        raise MissingValue("is not there")
    try:
        return int(group.links.get_info(name).type)
    except HDF5_ERRORS as error:
        raise MissingValue("is not there") from error


def _target(group: Node, name: bytes) -> Any:
    try:
        return group.links.get_val(name)
    except HDF5_ERRORS as error:
        raise MissingValue("is a link that cannot be read") from error


def _opened(group: Node, name: bytes) -> Node:
    try:
        return h5o.open(group, name)
    except HDF5_ERRORS as error:
        raise MissingValue("cannot be opened; the file is damaged there") from error


def _candidates(node: Node, encoded: bytes, everywhere: bool) -> list[Path]:
    """Where HDF5 looks for a linked file, in its order; `everywhere` includes the working directory."""
    name, holder = Path(os.fsdecode(encoded)), Path(os.fsdecode(h5f.get_name(node)))
    relative = name.name if name.is_absolute() else name
    folders = [holder.parent, Path(os.path.realpath(holder)).parent]
    if everywhere:
        folders.insert(1, Path.cwd())
    return [*([name] if name.is_absolute() else []), *(folder / relative for folder in folders)]


def _mapped_shape(creation: Any) -> tuple[int, ...]:
    if not creation.get_virtual_count():
        return ()
    return tuple(creation.get_virtual_vspace(0).get_simple_extent_dims())


def _shown(group: Node, name: bytes) -> str:
    folder = h5py.h5i.get_name(group) or b"/"
    return (folder.rstrip(b"/") + b"/" + name).decode("utf-8", "replace")
