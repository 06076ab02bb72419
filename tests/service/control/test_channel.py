"""The channel between commands and daemon: real sockets, and what may go wrong with them."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scicat_watch.errors import ConfigError, ScicatWatchError
from scicat_watch.service.control import client, place, server
from scicat_watch.service.control.client import Gone, connect, named, reached
from scicat_watch.service.control.protocol import LARGEST_REQUEST, VERSION, Asked
from scicat_watch.service.control.server import ControlServer, Handler, Reply
from tests.flows.program import eventually


def _answer(asked: Asked, reply: Reply) -> None:
    match asked.beamtime:
        case "wrong":
            raise ConfigError("no such beamtime")
        case "refused":
            raise ScicatWatchError("not now")
        case "fault":
            raise RuntimeError("a bug")
        case _:
            reply.send({"event": "first"})
            reply.end(paths=[one.path for one in asked.paths])


Servers = Callable[..., ControlServer]


@pytest.fixture
def var_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "var").mkdir()
    return tmp_path / "var"


@pytest.fixture
def servers(var_dir: Path) -> Iterator[Servers]:
    made: list[ControlServer] = []

    def make(handle: Handler = _answer, at: Path = var_dir) -> ControlServer:
        made.append(ControlServer(at, handle))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()


def _ask(var_dir: Path, **more: Any) -> dict[str, Any]:
    with reached(var_dir) as control:
        return control.ask("pause", **more)


def _raw(var_dir: Path, text: bytes) -> dict[str, Any]:
    """What is answered to any bytes."""
    connection = place.connect(var_dir)
    assert connection is not None
    with connection:
        with contextlib.suppress(OSError):  # It may have seen enough before the end.
            connection.sendall(text)
        with connection.makefile("rb") as answers:
            found: dict[str, Any] = json.loads(answers.readline())
    return found


def test_a_request_is_answered_until_its_end(var_dir: Path, servers: Servers) -> None:
    servers()
    with reached(var_dir) as control:
        messages = list(control.follow("pause", paths=named((var_dir,))))
    assert [message["event"] for message in messages] == ["first", "end"]
    assert messages[-1]["paths"] == [str(var_dir)]


def test_only_its_account_may_use_the_socket_and_it_goes_with_the_daemon(var_dir: Path, servers: Servers) -> None:
    channel = servers()
    path = var_dir / "control.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    channel.close()
    assert not path.exists()
    assert connect(var_dir) is None


def test_another_account_is_refused(var_dir: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    servers()
    monkeypatch.setattr(place, "peer", lambda connection: (1, 12345))
    assert connect(var_dir) is None  # Nor does a command talk to somebody else's socket.
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(var_dir / "control.sock"))
        with connection.makefile("rb") as answers:
            assert json.loads(answers.readline())["event"] == "error"


@pytest.mark.parametrize(
    ("beamtime", "error"), [("wrong", ConfigError), ("refused", ScicatWatchError), ("fault", ScicatWatchError)]
)
def test_what_goes_wrong_is_an_error_of_the_command(
    var_dir: Path, servers: Servers, beamtime: str, error: type[Exception]
) -> None:
    servers()
    with pytest.raises(error):
        _ask(var_dir, beamtime=beamtime)
    assert _ask(var_dir)["event"] == "end"  # And of nobody else.


@pytest.mark.parametrize("text", [b"\n", b"nonsense\n", b'{"version": 7}\n', b"x" * (LARGEST_REQUEST + 10)])
def test_nonsense_is_answered_and_harms_nothing(var_dir: Path, servers: Servers, text: bytes) -> None:
    servers()
    answer = _raw(var_dir, text)
    assert (answer["event"], answer["usage"]) == ("error", True)
    assert _ask(var_dir)["event"] == "end"


def test_a_command_that_says_nothing_is_let_go(
    var_dir: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_REQUEST_WITHIN", 0.05)
    servers()
    connection = place.connect(var_dir)
    assert connection is not None
    with connection, connection.makefile("rb") as answers:
        assert answers.read() == b""
    assert _ask(var_dir)["event"] == "end"


def test_a_command_that_leaves_disturbs_nobody(var_dir: Path, servers: Servers) -> None:
    replies: list[Reply] = []
    servers(lambda asked, reply: replies.append(reply))
    connection = place.connect(var_dir)
    assert connection is not None
    connection.sendall(json.dumps({"version": VERSION, "command": "reload"}).encode() + b"\n")
    eventually(lambda: replies, "the request")
    connection.close()
    eventually(lambda: replies[0].gone, "the end of the connection")
    replies[0].send({"event": "late"})
    replies[0].end()


def test_what_is_said_at_the_end_of_the_daemon_still_arrives(var_dir: Path, servers: Servers) -> None:
    replies: list[Reply] = []
    channel = servers(lambda asked, reply: replies.append(reply))
    answers: list[dict[str, Any]] = []
    command = threading.Thread(target=lambda: answers.append(_ask(var_dir)))
    command.start()
    eventually(lambda: replies, "the request")
    replies[0].end(failures=["stopping"])
    channel.close()
    command.join()
    assert answers[0]["failures"] == ["stopping"]


def test_a_daemon_that_ends_without_an_answer_is_an_error(var_dir: Path, servers: Servers) -> None:
    replies: list[Reply] = []
    channel = servers(lambda asked, reply: replies.append(reply))
    found: list[BaseException] = []

    def ask() -> None:
        try:
            _ask(var_dir)
        except Gone as error:
            found.append(error)

    command = threading.Thread(target=ask)
    command.start()
    eventually(lambda: replies, "the request")
    channel.close()
    command.join()
    assert len(found) == 1


def test_a_command_that_waits_long_hears_that_the_daemon_lives(
    var_dir: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ALIVE_EVERY", 0.01)
    replies: list[Reply] = []
    servers(lambda asked, reply: replies.append(reply))
    connection = place.connect(var_dir)
    assert connection is not None
    connection.sendall(json.dumps({"version": VERSION, "command": "rescan"}).encode() + b"\n")
    with connection, connection.makefile("rb") as answers:
        assert [json.loads(answers.readline())["event"] for _ in range(3)] == ["alive"] * 3
        replies[0].end()
        assert {json.loads(line)["event"] for line in answers} <= {"alive", "end"}
    messages: list[str] = []
    with reached(var_dir) as control:
        command = threading.Thread(target=lambda: messages.extend(one["event"] for one in control.follow("rescan")))
        command.start()
        eventually(lambda: len(replies) == 2, "the request")
        replies[1].end()
        command.join()
    assert messages == ["end"]


def test_a_daemon_that_says_nothing_is_not_waited_for(var_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_ANSWER_WITHIN", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(var_dir / "control.sock"))
        silent.listen()
        with pytest.raises(Gone, match="does not answer"):
            _ask(var_dir)


def test_a_socket_of_a_process_that_runs_no_more_is_none(var_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a daemon which was killed while a file system does not answer."""
    program = (
        "import os, socket, sys\nleft = socket.socket(socket.AF_UNIX)\nleft.bind(sys.argv[1])\nleft.listen()\n"
        "if os.fork() == 0:\n    os.read(0, 1)\n"  # It has the socket as well, and goes on.
    )
    with subprocess.Popen([sys.executable, "-c", program, var_dir / "control.sock"], stdin=subprocess.PIPE) as ended:
        ended.wait()
        assert connect(var_dir) is None
        assert ended.stdin is not None


def test_what_a_killed_daemon_left_is_taken_away(var_dir: Path, servers: Servers) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(var_dir / "control.sock"))
    assert connect(var_dir) is None
    servers()
    assert _ask(var_dir)["event"] == "end"


def test_a_socket_that_takes_connections_and_never_answers_is_taken_away(var_dir: Path, servers: Servers) -> None:
    """As that of a daemon which was killed while one of its threads hangs in the kernel."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(var_dir / "control.sock"))
        left.listen()
        servers()
        assert _ask(var_dir)["event"] == "end"


def test_a_state_directory_of_any_length_has_a_socket(var_dir: Path, servers: Servers) -> None:
    long = var_dir / ("x" * 120) / ("y" * 120)
    long.mkdir(parents=True)
    servers(at=long)
    assert (long / "control.sock").exists()
    assert _ask(long)["event"] == "end"


@pytest.mark.parametrize("kind", ["file", "link", "no directory"])
def test_where_the_state_directory_takes_no_socket_the_runtime_one_does(
    var_dir: Path, servers: Servers, kind: str, tmp_path: Path
) -> None:
    if kind == "file":
        (var_dir / "control.sock").write_text("a file")
    elif kind == "link":
        (var_dir / "control.sock").symlink_to(tmp_path / "elsewhere")
    else:
        var_dir.rmdir()
    servers()
    assert len(list((tmp_path / "run/scicat-watch").iterdir())) == 1
    assert not (tmp_path / "elsewhere").exists()
    assert _ask(var_dir)["event"] == "end"


def test_a_runtime_directory_that_others_may_write_to_is_not_used(
    var_dir: Path, servers: Servers, tmp_path: Path
) -> None:
    (var_dir / "control.sock").write_text("a file")
    (tmp_path / "run/scicat-watch").mkdir()
    (tmp_path / "run/scicat-watch").chmod(0o777)
    servers()
    assert list((tmp_path / "run/scicat-watch").iterdir()) == []
    assert _ask(var_dir)["event"] == "end"  # By a directory of the account's own.


def test_without_a_daemon_a_command_says_so(var_dir: Path) -> None:
    with pytest.raises(ScicatWatchError, match="no daemon"):
        reached(var_dir)
