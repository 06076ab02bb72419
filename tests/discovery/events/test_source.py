"""Which source of file events a computer gets, and what the one without events is good for."""

from __future__ import annotations

import queue
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from scicat_watch.discovery.events.choose import open_source
from scicat_watch.discovery.events.inotify import InotifySource
from scicat_watch.discovery.events.polling import PollingSource
from scicat_watch.discovery.events.source import Event, EventSource, Sink
from scicat_watch.discovery.rules import WatchRules
from scicat_watch.discovery.tree import Tree


def test_linux_gets_its_file_events() -> None:
    source = open_source(lambda event: None)
    source.close()
    assert isinstance(source, InotifySource)


def test_another_system_gets_rescans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert isinstance(open_source(lambda event: None), PollingSource)


def test_without_an_inotify_instance_there_are_rescans_and_the_log_says_why() -> None:
    """In a process that has used up its descriptors, for which the kernel answers as for used up instances."""
    program = """
        import logging, os, pathlib, resource
        from scicat_watch.discovery.events.inotify import InotifySource
        from scicat_watch.discovery.events.choose import open_source
        logging.basicConfig(format="%(message)s")
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        taken = []
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        source = open_source(lambda event: None)
        root = pathlib.Path("/usr")
        print(source.incomplete, bool(source.gaps(root).why), source.retry(root))
        for one in taken:
            os.close(one)
        print(source.retry(root), source.retry(root), source.incomplete, source.gaps(root).why or None)
        print(bool(source.gaps(pathlib.Path("/etc")).why))  # Not watched anew yet.
        source.close()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False", "True", "False", "False", "None", "True"]
    assert "max_user_instances" in done.stderr


@pytest.mark.parametrize("opened", [open_source, lambda sink: PollingSource()], ids=["inotify", "polling"])
def test_a_new_file_is_reported_or_left_to_a_rescan(opened: Callable[[Sink], EventSource], tmp_path: Path) -> None:
    """As the daemon does it: the first scan gives the directories to the source; only what it says is scanned again."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    source = opened(events.put)
    tree = Tree(tmp_path, "scans.lst", WatchRules())
    tree.rescan(0.0, None, source.watch)
    (tmp_path / "a.nxs").touch()
    hinted = None if source.incomplete else {events.get(timeout=60).directory or tmp_path}
    tree.rescan(10.0, hinted, source.watch)
    assert [file.name for file in tree.nodes[tmp_path].data] == ["a.nxs"]
    source.close()
    assert source.incomplete
