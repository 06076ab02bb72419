"""Real file events of this kernel: what is heard, and that nothing is heard of counts as a hint as well."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scicat_watch.discovery.events.inotify import Event, Observer, file_system, silent

PATIENCE = 20.0


class Heard:
    """What an observer told; waits for what is still to come."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.events: list[Event] = []
        self.observer = Observer(self._queue.put)

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        while True:
            event = self._queue.get(timeout=PATIENCE)
            self.events.append(event)
            if wanted(event):
                return event


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    yield heard
    heard.observer.close()


def test_a_file_is_heard_when_it_comes_and_when_it_is_closed(heard: Heard, tmp_path: Path) -> None:
    heard.observer.watch(tmp_path)
    with (tmp_path / "a.nxs").open("w") as file:
        came = heard.until(lambda event: event.name == "a.nxs")
        file.write("x")
    assert (came.directory, came.closed, came.is_directory) == (tmp_path, False, False)
    assert heard.until(lambda event: event.closed).name == "a.nxs"


def test_a_file_that_is_renamed_or_linked_into_place_is_heard(heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a").touch()
    heard.observer.watch(tmp_path / "in")
    (tmp_path / "in/b").hardlink_to(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "in/c")
    (tmp_path / "in/c").unlink()
    heard.until(lambda event: event.name == "b")
    heard.until(lambda event: event.name == "c")


def test_a_directory_is_heard_as_one(heard: Heard, tmp_path: Path) -> None:
    heard.observer.watch(tmp_path)
    (tmp_path / "new").mkdir()
    assert heard.until(lambda event: event.name == "new").is_directory


def test_a_name_that_is_no_text_is_heard(heard: Heard, tmp_path: Path) -> None:
    heard.observer.watch(tmp_path)
    name = os.fsdecode(b"a\xff.nxs")
    (tmp_path / name).touch()
    heard.until(lambda event: event.name == name)


def test_a_list_that_its_writer_keeps_open_is_heard_as_its_directory(heard: Heard, tmp_path: Path) -> None:
    path = tmp_path / "scans.lst"
    with path.open("w") as file:
        heard.observer.watch(path, is_list=True)
        file.write("scan_1\n")
        file.flush()
        assert heard.until(lambda event: True) == Event(tmp_path)


def test_a_list_that_is_replaced_is_heard_and_can_be_watched_anew(heard: Heard, tmp_path: Path) -> None:
    path = tmp_path / "scans.lst"
    path.write_text("a")
    heard.observer.watch(tmp_path)
    heard.observer.watch(path, is_list=True)
    (tmp_path / "other").write_text("b")
    (tmp_path / "other").replace(path)
    heard.until(lambda event: event.name == "scans.lst")
    heard.observer.watch(path, is_list=True)
    with path.open("a") as file:
        file.write("c")
        file.flush()
        heard.until(lambda event: event == Event(tmp_path))


def test_a_directory_that_goes_and_comes_back_is_heard_under_its_name_of_now(heard: Heard, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    heard.observer.watch(old)
    old.rename(new)
    heard.until(lambda event: event == Event(old))
    old.mkdir()
    heard.observer.watch(old)
    heard.observer.watch(new)
    (new / "in_new").touch()
    (old / "in_old").touch()
    assert heard.until(lambda event: event.name == "in_new").directory == new
    assert heard.until(lambda event: event.name == "in_old").directory == old


def test_a_directory_that_was_removed_and_made_again_is_heard(heard: Heard, tmp_path: Path) -> None:
    path = tmp_path / "d"
    path.mkdir()
    heard.observer.watch(path)
    path.rmdir()
    heard.until(lambda event: event == Event(path))
    path.mkdir()
    heard.observer.watch(path)
    (path / "a").touch()
    heard.until(lambda event: event == Event(path, "a"))


def test_to_watch_twice_or_what_is_not_there_is_harmless(heard: Heard, tmp_path: Path) -> None:
    heard.observer.watch(tmp_path)
    heard.observer.watch(tmp_path)
    heard.observer.watch(tmp_path / "none")
    (tmp_path / "file").touch()
    heard.observer.watch(tmp_path / "file")
    assert not heard.observer.deaf
    heard.until(lambda event: event.name == "file")


def test_a_listener_that_fails_once_goes_on_hearing(tmp_path: Path) -> None:
    heard: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def sink(event: Event) -> None:
        heard.put(event)
        if event.name == "a":
            raise RuntimeError("a fault of the listener")

    observer = Observer(sink)
    observer.watch(tmp_path)
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    names = set()
    while "b" not in names:
        names.add(heard.get(timeout=PATIENCE).name)
    observer.close()


def test_an_observer_gives_everything_back(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        observer = Observer(lambda event: None)
        observer.watch(tmp_path)
        observer.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


_LISTENER = """
import sys, time
from pathlib import Path
from scicat_watch.discovery.events.inotify import Observer
lost = []
observer = Observer(lambda event: lost.append(1) if event.directory is None else None)
observer.watch(Path(sys.argv[1]))
print("ready", flush=True)
while not lost:
    time.sleep(0.02)
print("lost", flush=True)
"""


def test_events_that_the_kernel_dropped_are_told_as_lost(tmp_path: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 100_000:
        pytest.skip("the queue of this kernel is too long to be filled in a test")
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_LISTENER), tmp_path], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGSTOP)
        state = Path(f"/proc/{child.pid}/stat")
        until = time.monotonic() + PATIENCE
        while state.read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < until
        for number in range(most // 3 + 100):  # Each makes three events: it comes, is closed, and goes.
            file = tmp_path / f"{number % 7}.nxs"
            file.touch()
            file.unlink()
        child.send_signal(signal.SIGCONT)
        assert child.stdout.readline() == "lost\n"


def test_a_reached_limit_is_told_and_ends_nothing(tmp_path: Path) -> None:
    """In a user namespace of its own, where the limit can be set."""
    program = """
        import sys
        from pathlib import Path
        try:
            Path("/proc/sys/user/max_inotify_watches").write_text("3")
        except OSError:
            print("cannot"); sys.exit()
        from scicat_watch.discovery.events.inotify import Observer
        root = Path(sys.argv[1])
        observer = Observer(lambda event: None)
        for number in range(6):
            (root / str(number)).mkdir()
            observer.watch(root / str(number))
        print(observer.deaf)
        observer.close()
    """
    command = ["unshare", "-Ur", sys.executable, "-c", textwrap.dedent(program), os.fspath(tmp_path)]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if told.stdout.strip() == "cannot" or "unshare" in told.stderr:
        pytest.skip("no user namespaces here")
    assert told.stdout.strip() == "True", told.stderr


def test_the_type_of_a_file_system_is_the_one_of_the_nearest_mount(tmp_path: Path) -> None:
    assert file_system(Path("/proc/self")) == "proc"
    assert file_system(tmp_path) != ""
    assert not silent(Path("/proc"))
