from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scicat_watch.errors import ConfigError, ReadingError
from scicat_watch.pipeline.reading import checksums
from scicat_watch.pipeline.reading.checksums import FileChanged, digest

CONTENT = bytes(range(256)) * 5000 + b"the end"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scan_1.nxs"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("algorithm", ["blake2b", "sha256", "sha512", "md5"])
@pytest.mark.parametrize("chunk", [7919, 1 << 20, 1 << 24])
def test_a_digest_is_that_of_the_whole_content_whatever_the_chunks(file: Path, algorithm: str, chunk: int) -> None:
    found = digest(file, algorithm, chunk)
    assert found.chk == hashlib.new({"blake2b": "blake2b512"}.get(algorithm, algorithm), CONTENT).hexdigest()
    assert (found.size, found.algorithm) == (len(CONTENT), algorithm)


def test_blake2b_is_the_same_with_and_without_openssl(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str, **how: object) -> object:
        raise ValueError(f"unsupported hash type {name}")

    found = digest(file, "blake2b")
    monkeypatch.setattr(hashlib, "new", without)
    assert digest(file, "blake2b") == found


def test_xxh3_is_there_with_its_extra(file: Path) -> None:
    xxhash = pytest.importorskip("xxhash")
    assert digest(file, "xxh3").chk == xxhash.xxh3_64_hexdigest(CONTENT)


def test_xxh3_without_its_extra_says_what_to_install(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xxhash", None)
    with pytest.raises(ConfigError, match=r"scicat-watch\[xxh3\]"):
        digest(file, "xxh3")


def test_an_unknown_algorithm_is_named_with_those_that_are_known(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"'crc32'.*blake2b"):
        digest(file, "crc32")


def test_a_file_that_grows_or_is_rewritten_meanwhile_has_no_checksum(file: Path) -> None:
    grown = _Writing(lambda: _append(file))
    checksums.ALGORITHMS["while it grows"] = lambda: grown
    rewritten = _Writing(lambda: os.utime(file, ns=(1, 1)))
    checksums.ALGORITHMS["while it is rewritten"] = lambda: rewritten
    try:
        for algorithm in ("while it grows", "while it is rewritten"):
            with pytest.raises(FileChanged, match=r"scan_1\.nxs: was written to"):
                digest(file, algorithm)
    finally:
        del checksums.ALGORITHMS["while it grows"], checksums.ALGORITHMS["while it is rewritten"]


def test_what_is_no_readable_file_is_refused_with_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (("pipe", "not a regular file"), ("missing", "No such file"), (".", "directory|regular")):
        with pytest.raises(ReadingError, match=reason):
            digest(tmp_path / name)


def test_blake2b_agrees_with_the_usual_program(file: Path) -> None:
    try:
        printed = subprocess.run(["b2sum", file], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("there is no b2sum here")
    assert digest(file, "blake2b").chk == printed.split()[0]


class _Writing:
    """A hash during which something happens to the file."""

    def __init__(self, happening: object) -> None:
        self._happening = happening

    def update(self, data: memoryview, /) -> None:
        happening, self._happening = self._happening, lambda: None
        happening()  # type: ignore[operator]

    def hexdigest(self) -> str:
        return "00"


def _append(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"more")
