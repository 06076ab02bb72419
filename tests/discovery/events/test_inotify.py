"""Real file events of this kernel: what is reported, what is not, and that the source says so.

The contract for whatever stands below `InotifySource`: a newer watchdog has to pass these tests.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import Mask, WatchDescriptor, inotify_add_watch

from scicat_watch.discovery.events import inotify
from scicat_watch.discovery.events.inotify import InotifySource
from scicat_watch.discovery.events.source import Event
from tests.discovery.child import run_as_nobody
from tests.flows.program import flood, halt

PATIENCE = 60.0


class Reported:
    """What a source reported; waits for what is still to come."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.events: list[Event] = []
        self.source = InotifySource(self._queue.put)

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        while True:
            event = self._queue.get(timeout=PATIENCE)
            self.events.append(event)
            if wanted(event):
                return event


@pytest.fixture
def reported() -> Iterator[Reported]:
    reported = Reported()
    yield reported
    reported.source.close()


def test_a_file_is_reported_when_it_comes_and_when_it_is_closed(reported: Reported, tmp_path: Path) -> None:
    reported.source.watch(tmp_path)
    with (tmp_path / "a.nxs").open("w") as file:
        came = reported.until(lambda event: event.name == "a.nxs")
        file.write("x")
    assert (came.directory, came.closed, came.is_directory) == (tmp_path, False, False)
    assert reported.until(lambda event: event.closed).name == "a.nxs"


def test_a_file_that_is_renamed_or_linked_into_place_is_reported(reported: Reported, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a").touch()
    reported.source.watch(tmp_path / "in")
    (tmp_path / "in/b").hardlink_to(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "in/c")
    (tmp_path / "in/c").unlink()
    reported.until(lambda event: event.name == "b")
    reported.until(lambda event: event.name == "c")


def test_a_directory_is_reported_as_one(reported: Reported, tmp_path: Path) -> None:
    reported.source.watch(tmp_path)
    (tmp_path / "new").mkdir()
    assert reported.until(lambda event: event.name == "new").is_directory


def test_a_name_that_is_no_text_is_reported(reported: Reported, tmp_path: Path) -> None:
    reported.source.watch(tmp_path)
    name = os.fsdecode(b"a\xff.nxs")
    (tmp_path / name).touch()
    reported.until(lambda event: event.name == name)


def test_a_list_that_its_writer_keeps_open_is_reported_as_its_directory(reported: Reported, tmp_path: Path) -> None:
    path = tmp_path / "scans.lst"
    with path.open("w") as file:
        reported.source.watch(path.parent, path.name)
        file.write("scan_1\n")
        file.flush()
        assert reported.until(lambda event: True) == Event(tmp_path)


def test_a_list_that_is_replaced_is_reported_and_can_be_watched_anew(reported: Reported, tmp_path: Path) -> None:
    path = tmp_path / "scans.lst"
    path.write_text("a")
    reported.source.watch(tmp_path)
    reported.source.watch(path.parent, path.name)
    (tmp_path / "other").write_text("b")
    (tmp_path / "other").replace(path)
    reported.until(lambda event: event.name == "scans.lst")
    reported.source.watch(path.parent, path.name)
    with path.open("a") as file:
        file.write("c")
        file.flush()
        reported.until(lambda event: event == Event(tmp_path))


def test_a_directory_that_goes_and_comes_back_is_reported_by_its_present_name(
    reported: Reported, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    reported.source.watch(old)
    old.rename(new)
    reported.until(lambda event: event == Event(old))
    old.mkdir()
    reported.source.watch(old)
    reported.source.watch(new)
    (new / "in_new").touch()
    (old / "in_old").touch()
    assert reported.until(lambda event: event.name == "in_new").directory == new
    assert reported.until(lambda event: event.name == "in_old").directory == old


def test_a_directory_that_was_removed_and_made_again_is_reported(reported: Reported, tmp_path: Path) -> None:
    path = tmp_path / "d"
    path.mkdir()
    reported.source.watch(path)
    path.rmdir()
    reported.until(lambda event: event == Event(path))
    path.mkdir()
    reported.source.watch(path)
    (path / "a").touch()
    reported.until(lambda event: event == Event(path, "a"))


def test_watching_twice_or_watching_what_is_not_there_is_harmless(reported: Reported, tmp_path: Path) -> None:
    reported.source.watch(tmp_path)
    reported.source.watch(tmp_path)
    reported.source.watch(tmp_path / "none")
    (tmp_path / "file").touch()
    reported.source.watch(tmp_path / "file")
    assert not reported.source.incomplete
    reported.until(lambda event: event.name == "file")


def test_a_sink_that_fails_once_gets_the_next_event(tmp_path: Path) -> None:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def sink(event: Event) -> None:
        events.put(event)
        if event.name == "a":
            raise RuntimeError("a fault of the sink")

    source = InotifySource(sink)
    source.watch(tmp_path)
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    names = set()
    while "b" not in names:
        names.add(events.get(timeout=PATIENCE).name)
    source.close()


def test_a_source_gives_every_descriptor_back(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        source = InotifySource(lambda event: None)
        source.watch(tmp_path)
        source.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_directory_that_is_watched_twice_is_reported_once_without_a_warning(
    reported: Reported, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    for _ in range(3):
        reported.source.watch(tmp_path)
    for name in ("one", "two", "last"):
        (tmp_path / name).mkdir()
    reported.until(lambda event: event.name == "last")
    assert [event.name for event in reported.events] == ["one", "two", "last"]
    assert [str(one.message) for one in recwarn] == []


def test_a_directory_that_was_renamed_is_reported_no_longer_under_its_old_name(
    reported: Reported, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    reported.source.watch(tmp_path)
    reported.source.watch(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    reported.until(lambda event: event == Event(tmp_path / "old"))
    (tmp_path / "new/a.nxs").touch()
    (tmp_path / "last").touch()
    reported.until(lambda event: event.name == "last")
    assert "a.nxs" not in {event.name for event in reported.events}


def test_directories_that_come_and_go_under_the_source_do_not_end_it(reported: Reported, tmp_path: Path) -> None:
    reported.source.watch(tmp_path)
    one, other = tmp_path / "one", tmp_path / "other"
    for _ in range(300):
        (one / "in").mkdir(parents=True)
        reported.source.watch(one)
        reported.source.watch(one / "in")
        one.rename(other)
        reported.source.watch(other)
        shutil.rmtree(other)
    (tmp_path / "last").touch()
    reported.until(lambda event: event.name == "last")
    assert not reported.source.incomplete


def test_a_directory_that_may_not_be_read_is_noticed_until_it_may_and_changes_no_interval(public: Path) -> None:
    """As an account that file modes lock out, on the real kernel: it answers EACCES, which watchdog does not raise."""
    program = """
        import queue, sys
        from pathlib import Path
        from scicat_watch.discovery.events.inotify import InotifySource
        become_nobody()
        root = Path(sys.argv[1])
        events = queue.SimpleQueue()
        source = InotifySource(events.put)

        def until(name):
            while events.get(timeout=60).name != name:
                pass

        def shown():
            print(source.incomplete, sorted(path.name for path in source._unwatched))

        source.watch(root)
        shown()
        for name in ("opened", "removed", "moved"):
            (root / name).mkdir(mode=0)
            source.watch(root / name)
            source.watch(root / name)
            shown()
            if name == "opened":
                (root / name).chmod(0o700)
                source.watch(root / name)
                (root / name / "in").touch()
                until("in")
            elif name == "removed":
                (root / name).rmdir()
            else:
                (root / name).rename(root / "elsewhere")
            (root / ("after-" + name)).touch()
            until("after-" + name)
            shown()
        source.close()
    """
    (public / "open").mkdir()
    (public / "open").chmod(0o777)
    shown = run_as_nobody(program, public / "open")
    assert shown == [
        "False",
        "[]",
        "False",
        "['opened']",
        "False",
        "[]",
        "False",
        "['removed']",
        "False",
        "[]",
        "False",
        "['moved']",
        "False",
        "[]",
    ]


def test_a_source_at_rest_is_never_woken(tmp_path: Path) -> None:
    source = InotifySource(lambda event: None)
    source.watch(tmp_path)
    (thread,) = [one for one in threading.enumerate() if one.name == "file events"]
    status = Path(f"/proc/self/task/{thread.native_id}/status")
    for _ in range(20):
        before = _wakes(status)  # It may not have begun to wait yet.
        time.sleep(1.2)
        if _wakes(status) == before:
            break
    else:
        pytest.fail("the thread wakes again and again")
    source.close()


def _wakes(status: Path) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("voluntary"))


def test_programs_that_are_started_do_not_inherit_the_instance() -> None:
    source = InotifySource(lambda event: None)
    listed = subprocess.run(["ls", "-l", "/proc/self/fd/"], close_fds=False, capture_output=True, text=True, check=True)
    source.close()
    assert "inotify" not in listed.stdout


def test_a_closed_source_watches_nothing_and_can_be_closed_again(tmp_path: Path) -> None:
    """Above all nothing through its old descriptor, which may be that of the next source."""
    closed = InotifySource(lambda event: None)
    closed.close()
    reported = Reported()
    (tmp_path / "other").mkdir()
    closed.watch(tmp_path / "other")
    closed.close()
    assert _watches(reported.source) == 0
    reported.source.close()


def _watches(source: InotifySource) -> int:
    """How many watches the kernel has for a source (proc(5))."""
    return Path(f"/proc/self/fdinfo/{source._inotify._inotify_fd}").read_text().count("inotify wd:")


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hung]:
    """A directory on a mount whose server is gone: the kernel's call for a watch does not return until it is back."""
    hung = Hung(tmp_path / "hung")
    monkeypatch.setattr(inotify, "inotify_add_watch", hung.add_watch)
    yield hung
    hung.answer.set()


class Hung:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.directory.mkdir()
        self.asked, self.answer = threading.Event(), threading.Event()
        self.late = False
        """Whether the kernel has made the watch before its answer is held up."""

    def add_watch(self, instance: int, path: bytes, mask: Mask) -> WatchDescriptor:
        if path != os.fsencode(self.directory) or self.answer.is_set():
            return inotify_add_watch(instance, path, mask)
        early = inotify_add_watch(instance, path, mask) if self.late else None
        self.asked.set()
        assert self.answer.wait(PATIENCE)
        return inotify_add_watch(instance, path, mask) if early is None else early

    def watched_by(self, source: InotifySource) -> threading.Thread:
        """A thread that has asked for the watch, and waits for it."""
        caller = threading.Thread(target=source.watch, args=(self.directory,))
        caller.start()
        assert self.asked.wait(PATIENCE)
        return caller


def test_a_file_system_that_hangs_holds_up_no_events_of_another(reported: Reported, hung: Hung, tmp_path: Path) -> None:
    (tmp_path / "well").mkdir()
    caller = hung.watched_by(reported.source)
    reported.source.watch(tmp_path / "well")
    (tmp_path / "well/a.nxs").touch()
    reported.until(lambda event: event.name == "a.nxs")
    hung.answer.set()
    caller.join()
    (hung.directory / "b.nxs").touch()
    reported.until(lambda event: event.name == "b.nxs")
    assert not reported.source.incomplete


def test_a_file_system_that_hangs_holds_up_no_end(hung: Hung) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    source = InotifySource(lambda event: None)
    caller = hung.watched_by(source)
    source.close()
    assert not source._inotify.is_alive()
    hung.answer.set()
    caller.join()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    source.close()


def test_a_watch_that_ends_while_it_is_asked_for_is_asked_for_again(reported: Reported, hung: Hung) -> None:
    """The directory is removed and made anew between the kernel's answer and ours."""
    hung.late = True
    caller = hung.watched_by(reported.source)
    hung.directory.rmdir()
    until = time.monotonic() + PATIENCE
    while not reported.source._inotify._ended:  # The kernel reports the end, and the source has taken it in.
        assert time.monotonic() < until
        time.sleep(0.01)
    hung.directory.mkdir()
    hung.answer.set()
    caller.join()
    (hung.directory / "b.nxs").touch()
    reported.until(lambda event: event == Event(hung.directory, "b.nxs"))


_PROGRAM = """
import sys, time
from pathlib import Path
from scicat_watch.discovery.events.inotify import InotifySource
lost = []
source = InotifySource(lambda event: lost.append(1) if event.directory is None else None)
source.watch(Path(sys.argv[1]))
print("ready", flush=True)
until = time.monotonic() + 60
while not lost and time.monotonic() < until:
    time.sleep(0.02)
print("lost" if lost else "nothing is lost", flush=True)
"""


def test_events_that_the_kernel_dropped_are_reported_as_lost(tmp_path: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 100_000:
        pytest.skip("the queue of this kernel is too long to be filled in a test")
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_PROGRAM), tmp_path], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        halt(child.pid)
        flood(tmp_path, 2 * most)
        child.send_signal(signal.SIGCONT)
        assert child.stdout.readline() == "lost\n"


def test_a_reached_limit_makes_the_source_incomplete_and_ends_nothing(tmp_path: Path) -> None:
    """In a user namespace of its own, where the limit can be set."""
    program = """
        import sys
        from pathlib import Path
        try:
            Path("/proc/sys/user/max_inotify_watches").write_text("3")
        except OSError:
            print("cannot"); sys.exit()
        from scicat_watch.discovery.events.inotify import InotifySource
        root = Path(sys.argv[1])
        source = InotifySource(lambda event: None)
        for number in range(6):
            path = root / str(number % 2) / str(number)
            path.mkdir(parents=True)
            source.watch(path)
        source.watch(root / "0")
        gaps = [source.gaps(root / part) for part in ("", "0", "1")]
        print(source.incomplete, *(one.unwatched for one in gaps), all("limit" in one.why for one in gaps))
        source.close()
    """
    command = ["unshare", "-Ur", sys.executable, "-c", textwrap.dedent(program), os.fspath(tmp_path)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if result.stdout.strip() == "cannot" or "unshare" in result.stderr:
        pytest.skip("no user namespaces here")
    assert result.stdout.strip() == "True 4 2 2 True", result.stderr


def test_a_directory_that_is_left_is_reported_no_more_until_it_is_watched_again(
    reported: Reported, tmp_path: Path
) -> None:
    for name in ("left", "kept"):
        (tmp_path / name).mkdir()
        reported.source.watch(tmp_path / name)
    reported.source.unwatch(tmp_path / "left")
    reported.source.unwatch(tmp_path / "never there")
    (tmp_path / "left/a").touch()
    (tmp_path / "kept/b").touch()
    reported.until(lambda event: event.name == "b")
    assert {event.name for event in reported.events} == {"b"}
    assert not reported.source.incomplete
    reported.source.watch(tmp_path / "left")
    (tmp_path / "left/c").touch()
    reported.until(lambda event: event.name == "c")
