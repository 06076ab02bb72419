"""Every kind of thing that an HDF5 file may hold, as small functions that put it into a file.

`VALUES` are NumPy values, each of which makes fields of several shapes and an attribute; `ODDITIES` put
something into the entry `entry` of a file in the directory `folder` that needs more than a value.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from h5py import h5a, h5d, h5p, h5s, h5t

STRING, ASCII = h5py.string_dtype(), h5py.string_dtype("ascii")
NESTED = np.dtype([("inner", [("x", "f4"), ("names", "S4", (2,))]), ("n", "u1")])
MIXED = np.dtype([("text", STRING), ("ref", h5py.ref_dtype), ("list", h5py.vlen_dtype("i2")), ("z", "c8")])

VALUES: dict[str, np.ndarray[Any, Any]] = {
    **{
        f"{kind}{end}": np.array(1, f"{end}{kind}")
        for kind in ("i1", "i8", "u2", "u8", "f2", "f4", "f8")
        for end in "<>"
    },
    "largest": np.array(2**64 - 1, "u8"),
    "smallest": np.array(-(2**63), "i8"),
    "longdouble": np.array(1.5, np.longdouble),
    "nan": np.array(np.nan, "f4"),
    "infinity": np.array(-np.inf, "f2"),
    "bool": np.array(True),
    "complex": np.array(complex(np.nan, 1)),
    "complex64": np.array(1j, "c8"),
    "clongdouble": np.array(1j, np.clongdouble),
    "enum": np.array(2, h5py.enum_dtype({"ON": 1, "OFF": 2}, "i2")),
    "enum out of range": np.array(9, h5py.enum_dtype({"ON": 1}, "u1")),
    "opaque": np.array(np.void(b"\x01\x00\xff")),
    "moment": np.array("2026-11-21T01:58:48", "M8[s]").astype(h5py.opaque_dtype("M8[s]")),
    "no moment": np.array("NaT", "M8[ns]").astype(h5py.opaque_dtype("M8[ns]")),
    "duration": np.array(5, "m8[ms]").astype(h5py.opaque_dtype("m8[ms]")),
    "fixed": np.array(b"abc"),
    "fixed latin-1": np.array("3 µm".encode("latin-1")),
    "fixed utf-8": np.array("3 µm".encode(), h5py.string_dtype("utf-8", 8)),
    "fixed with NUL": np.array(b"a\0b", "S5"),
    "vlen": np.array("grüß \U0001f600 \x01", STRING),
    "vlen ascii": np.array(b"abc", ASCII),
    "vlen no utf-8": np.array(b"\xff\xfe", STRING),
    "empty text": np.array("", STRING),
    "compound": np.array((1, b"a", 0.5), [("n", "i4"), ("s", "S3"), ("x", "f8")]),
    "nested": np.array(((1.5, [b"a", b"b"]), 3), NESTED),
    "odd field names": np.array((1, 2, 3), [("a.b/c", "i4"), ("ü\x01", "i4"), ("value", "i4")]),
    "array": np.zeros((), [("m", "f4", (2, 3))]),
    "packed": np.array(
        (1, 2.0), np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [3, 9], "itemsize": 32})
    ),
}
"""One element of each kind."""


def vlens(entry: h5py.Group, folder: Path) -> None:
    kinds: dict[str, Any] = {
        "ints": "i4",
        "floats": "f8",
        "bools": "?",
        "structs": np.dtype([("a", "i4"), ("b", "S2")]),
    }
    for name, kind in kinds.items():
        made = entry.create_dataset(name, (3,), h5py.vlen_dtype(np.dtype(kind)))
        made[0] = np.zeros(2, kind)
    made = entry.create_dataset("one", (1,), h5py.vlen_dtype("i4"))
    made[0] = [1, 2]
    entry.create_dataset("scalar", (), h5py.vlen_dtype("i4"))
    inner = h5t.vlen_create(h5t.vlen_create(h5t.NATIVE_INT32))
    h5d.create(entry.id, b"vlens of vlens", inner, h5s.create_simple((2,)))
    texts = h5t.vlen_create(h5t.py_create(STRING, logical=True))
    h5d.create(entry.id, b"vlens of texts", texts, h5s.create_simple((2,)))
    h5d.create(
        entry.id, b"array of vlens", h5t.array_create(h5t.vlen_create(h5t.NATIVE_INT32), (2,)), h5s.create(h5s.SCALAR)
    )


def references(entry: h5py.Group, folder: Path) -> None:
    entry["target"] = np.arange(6).reshape(2, 3)
    entry["object"] = entry["target"].ref
    entry.create_dataset("region", data=entry["target"].regionref[0, :2], dtype=h5py.regionref_dtype)
    entry.create_dataset("none", (2,), h5py.ref_dtype)
    entry.create_dataset("none1", (1,), h5py.regionref_dtype)
    entry.attrs["object"] = entry["target"].ref
    entry.attrs["region"] = entry["target"].regionref[0, :2]
    entry.attrs["many"] = np.array([entry["target"].ref] * 2, h5py.ref_dtype)
    dangling = entry.create_group("dangling")
    entry["lost"] = dangling.ref
    del entry["dangling"]
    mixed = entry.create_dataset("mixed", (2,), MIXED)
    mixed[0] = ("text", entry["target"].ref, np.array([1, 2], "i2"), 1 + 2j)
    entry.create_dataset("mixed1", (1,), MIXED)
    entry.create_dataset("mixed0", (), MIXED)


def null_spaces(entry: h5py.Group, folder: Path) -> None:
    for name, kind in {"number": "f8", "text": STRING, "struct": NESTED, "reference": h5py.ref_dtype}.items():
        entry[name] = h5py.Empty(kind)
        entry.attrs[name] = h5py.Empty(kind)


def odd_numbers(entry: h5py.Group, folder: Path) -> None:
    """Numbers that NumPy has no type of that name for: 3-byte and shifted integers, bfloat16, 8-bit floats, times."""
    three = h5t.NATIVE_UINT32.copy()
    three.set_size(3)
    shifted = h5t.NATIVE_UINT16.copy()
    shifted.set_precision(12)
    shifted.set_offset(2)
    brain = h5t.IEEE_F32LE.copy()
    brain.set_fields(15, 7, 8, 0, 7)
    brain.set_size(2)
    tiny = h5t.IEEE_F16LE.copy()
    tiny.set_fields(7, 3, 4, 0, 3)
    tiny.set_size(1)
    tiny.set_ebias(7)
    wide = h5t.NATIVE_INT64.copy()
    wide.set_size(16)
    kinds = {"three": three, "shifted": shifted, "brain": brain, "tiny": tiny, "wide": wide}
    kinds |= {"time": h5t.UNIX_D32LE, "bits": h5t.STD_B8LE, "bits64": h5t.STD_B64BE}
    kinds |= {"complex": h5t.COMPLEX_IEEE_F32LE} if hasattr(h5t, "COMPLEX_IEEE_F32LE") else {}
    _raw(entry, kinds)


def compound_complex(entry: h5py.Group, folder: Path) -> None:
    """Complex numbers as other programs write them: compounds with real and imaginary part."""
    for number, names in enumerate([("real", "imag"), ("r", "i"), ("re", "im"), ("x", "y")]):
        kind = np.dtype([(names[0], "f8"), (names[1], "f8")])
        entry.create_dataset(f"c{number}", data=np.array((1.0, np.nan), kind))
        entry.create_dataset(f"c{number}_1", data=np.array([(1.0, 2.0)], kind))
        entry.attrs[f"c{number}"] = np.array((1.0, np.inf), kind)


def strings(entry: h5py.Group, folder: Path) -> None:
    """Texts of all lengths, character sets and paddings."""
    for size in (1, 8, h5t.VARIABLE):
        for padding in (h5t.STR_NULLTERM, h5t.STR_NULLPAD, h5t.STR_SPACEPAD):
            for charset in (h5t.CSET_ASCII, h5t.CSET_UTF8):
                kind = h5t.C_S1.copy()
                kind.set_size(size)
                kind.set_strpad(padding)
                kind.set_cset(charset)
                name = f"{size}_{padding}_{charset}".encode()
                for suffix, space in ((b"", h5s.create(h5s.SCALAR)), (b"_1", h5s.create_simple((1,)))):
                    h5d.create(entry.id, name + suffix, kind, space)
                    made = h5d.create(entry.id, name + suffix + b"w", kind, space)
                    h5a.create(entry.id, name + suffix, kind, space)
                    shape = space.get_simple_extent_dims()
                    values = np.full(
                        shape, b"ab \xe9" if charset else b"ab ", "O" if size == h5t.VARIABLE else f"S{size}"
                    )
                    made.write(h5s.ALL, h5s.ALL, values, kind if size != h5t.VARIABLE else None)


def names(entry: h5py.Group, folder: Path) -> None:
    odd = ["a.b", "$gt", "with space", " ", ".hidden", "ü", "\x01\x02\n", "a" * 5000, "value", "unit", "name", "shape"]
    for number, name in enumerate([*odd, "human_name", "__proto__", "\\", '"', "0", "\u202e", "\ufeff", "e\u0301"]):
        below = entry.create_group(name) if number % 2 else entry
        below.create_dataset(name if number % 2 == 0 else "x", data=number).attrs[name] = number
    entry.id.links.create_soft(b"\xff\xfe no text", b"/entry/a.b")
    h5d.create(entry.id, b"latin \xe9", h5t.NATIVE_INT8, h5s.create(h5s.SCALAR))
    h5a.create(entry.id, b"latin \xe9", h5t.NATIVE_INT8, h5s.create(h5s.SCALAR))


def links(entry: h5py.Group, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["data"] = 5
        other["back"] = h5py.ExternalLink("scan_1.nxs", "/entry")
    entry["number"] = 1
    entry["hard"] = entry["number"]
    entry["cycle"] = entry
    for name, target in {
        "soft": "number",
        "self": "/entry/self",
        "up": "/entry",
        "gone": "/gone/x",
        "root": "/",
    }.items():
        entry[name] = h5py.SoftLink(target)
    external = [
        ("other.h5", "/data"),
        ("other.h5", "/back/number"),
        ("other.h5", "/back"),
        ("gone.h5", "/x"),
        ("scan_1.nxs", "/entry/number"),
        ("../out.h5", "/x"),
        ("/etc/passwd", "/"),
    ]
    for number, (file, path) in enumerate(external):
        entry[f"external{number}"] = h5py.ExternalLink(file, path)
    entry.create_dataset("ü", data=1)


def virtual(entry: h5py.Group, folder: Path) -> None:
    with h5py.File(folder / "part.h5", "w") as other:
        other["data"] = np.arange(4)
    for name, files in {
        "there": ["part.h5"],
        "gone": ["gone.h5"],
        "half": ["part.h5", "gone.h5"],
        "outside": ["../x.h5"],
    }.items():
        layout = h5py.VirtualLayout((len(files), 4), "i8")
        for number, file in enumerate(files):
            layout[number] = h5py.VirtualSource(file, "data", (4,))
        entry.create_virtual_dataset(name, layout, fillvalue=-1)
    layout = h5py.VirtualLayout((1,), "i8")
    layout[0] = h5py.VirtualSource("gone.h5", "data", (1,))
    entry.create_virtual_dataset("one", layout)


def compressed(entry: h5py.Group, folder: Path) -> None:
    ways: dict[str, dict[str, Any]] = {
        "gzip": {"compression": "gzip"},
        "lzf": {"compression": "lzf"},
        "shuffle": {"shuffle": True, "fletcher32": True},
        "szip": {"compression": "szip"},
        "scaled": {"scaleoffset": 4},
        "bitshuffle": dict(hdf5plugin.Bitshuffle()),
        "lz4": dict(hdf5plugin.LZ4()),
        "blosc": dict(hdf5plugin.Blosc()),
        "zstd": dict(hdf5plugin.Zstd()),
    }
    for name, way in ways.items():
        if name == "szip" and not h5py.h5z.filter_avail(h5py.h5z.FILTER_SZIP):
            continue
        entry.create_dataset(name, data=np.arange(64, dtype="i4"), chunks=(32,), **way)
        if name != "szip":  # Needs more than one element.
            entry.create_dataset(f"{name} 1", data=np.zeros(1, "i4"), chunks=(1,), **way)


def unknown_filter(entry: h5py.Group, folder: Path) -> None:
    """Data that a compression wrote which nobody has: number 300 is not registered."""
    for name, shape in {"one": (1,), "many": (8,)}.items():
        creation = h5p.create(h5p.DATASET_CREATE)
        creation.set_chunk(shape)
        creation.set_deflate(1)
        made = h5d.create(entry.id, name.encode(), h5t.NATIVE_INT32, h5s.create_simple(shape), creation)
        made.write_direct_chunk((0,), b"not compressed like this", 0)
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk((8,))
    creation.set_filter(300, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    h5d.create(entry.id, b"unknown", h5t.NATIVE_INT32, h5s.create_simple((8,)), creation)


def large_attributes(entry: h5py.Group, folder: Path) -> None:
    entry["n"] = 1
    entry["n"].attrs["long"] = np.arange(100_000)
    entry["n"].attrs["text"] = "x" * 2_000_000
    entry["n"].attrs["fixed"] = np.bytes_(b"y" * 1_500_000)
    for number in range(300):
        entry.attrs[f"a{number}"] = number


def external_storage(entry: h5py.Group, folder: Path) -> None:
    (folder / "raw.bin").write_bytes(bytes(range(64)))
    for name, file, size in (
        ("inside", folder / "raw.bin", 64),
        ("gone", folder / "no.bin", 8),
        ("outside", Path("/etc/passwd"), 8),
    ):
        entry.create_dataset(name, (size,), "u1", external=[(str(file), 0, size)])
    entry.create_dataset("one", (1,), "u1", external=[(str(folder / "raw.bin"), 0, 1)])


def named_types(entry: h5py.Group, folder: Path) -> None:
    entry["kind"] = NESTED
    entry["kind"].attrs["note"] = "a type"
    entry.create_dataset("typed", (1,), dtype=entry["kind"])
    entry["enum"] = h5py.enum_dtype({"A": 0})


def many_groups(entry: h5py.Group, folder: Path) -> None:
    for number in range(3000):
        entry.create_group(f"g{number:04d}").attrs["NX_class"] = "NXcollection"


def deep_groups(entry: h5py.Group, folder: Path) -> None:
    for number in range(100):
        entry = entry.create_group(f"level{number}")
    entry["bottom"] = 1


def shapes(entry: h5py.Group, folder: Path) -> None:
    for number, shape in enumerate([(), (1,), (0,), (2,), (1, 1), (2, 0, 3), (1,) * 32, (2, 3, 4)]):
        entry[f"s{number}"] = np.zeros(shape)
        entry.attrs[f"s{number}"] = np.zeros(shape)
    entry.create_dataset("growing", (0,), "f4", maxshape=(None,))
    entry.create_dataset("unwritten", (3, 3), "f4", chunks=True)
    entry.create_dataset("declared", (1 << 40, 1 << 20), "f8", chunks=(1, 1024))


def bad_attributes(entry: h5py.Group, folder: Path) -> None:
    """Attributes that mean something, with values that nobody expects there."""
    for name in ("NX_class", "units", "default", "signal", "axes", "nexdatas_source", "nexdatas_strategy"):
        for number, value in enumerate([5, [1.5, 2.5], np.void(b"x"), h5py.Empty("f4"), b"\xff", ["a", "b"], 1j]):
            field = entry.create_dataset(f"{name}{number}", data=1)
            field.attrs[name] = value
            entry.create_group(f"g{name}{number}").attrs[name] = value


def _raw(entry: h5py.Group, kinds: dict[str, Any]) -> None:
    for name, kind in kinds.items():
        for suffix, space in (
            ("", h5s.create(h5s.SCALAR)),
            (" 1", h5s.create_simple((1,))),
            (" 3", h5s.create_simple((3,))),
        ):
            h5d.create(entry.id, (name + suffix).encode(), kind, space)
            h5a.create(entry.id, (name + suffix).encode(), kind, space)


ODDITIES: dict[str, Callable[[h5py.Group, Path], None]] = {
    made.__name__: made
    for made in (
        vlens,
        references,
        null_spaces,
        odd_numbers,
        compound_complex,
        strings,
        names,
        links,
        virtual,
        compressed,
        unknown_filter,
        large_attributes,
        external_storage,
        named_types,
        many_groups,
        deep_groups,
        shapes,
        bad_attributes,
    )
}

FORMS: dict[str, dict[str, Any]] = {
    "usual": {},
    "latest": {"libver": "latest"},
    "v110": {"libver": ("earliest", "v110")},
    "user block": {"userblock_size": 1024},
    "ordered": {"track_order": True},
    "paged": {"libver": "latest", "fs_strategy": "page", "fs_page_size": 4096},
    "core": {"driver": "core"},
}
"""How a file as a whole is written."""
