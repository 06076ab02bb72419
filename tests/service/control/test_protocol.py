"""What is a request and what is not: nothing that comes over the socket is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scicat_watch.errors import ConfigError
from scicat_watch.service.control.protocol import VERSION, Asked, Named, line, parse


def _request(**more: Any) -> bytes:
    return json.dumps({"version": VERSION, "command": "ingest", **more}).encode()


def test_a_request_is_read_as_it_was_written() -> None:
    asked = parse(_request(paths=[{"path": "/bt/a.nxs", "folder": False}], retry=True))
    assert asked == Asked(
        version=VERSION, command="ingest", paths=(Named(path="/bt/a.nxs", folder=False),), retry=True
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "JSON"),
        (b"\xff\x00", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b"[]", "cannot be understood"),
        (b"null", "cannot be understood"),
        (b"{}", "cannot be understood"),
        (_request(version=2), "version"),
        (_request(command="stop"), "command"),
        (_request(more=1), "more"),
        (_request(retry="yes"), "retry"),
        (_request(retry=1), "retry"),
        (_request(paths="/bt"), "paths"),
        (_request(paths=["/bt"]), "paths"),
        (_request(paths=[{"path": "bt", "folder": True}]), "absolute"),
        (_request(paths=[{"path": "/bt\0", "folder": True}]), "absolute"),
        (_request(paths=[{"path": "/bt"}]), "folder"),
        (_request(beamtime=["1"]), "beamtime"),
    ],
)
def test_anything_else_is_refused_with_what_is_wrong(text: bytes, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse(text)


def test_a_message_is_one_line() -> None:
    assert line({"event": "scan", "pid": "a\nb"}).count(b"\n") == 1
