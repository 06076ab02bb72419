"""The source for computers without file events: changes are found by rescans alone."""

from __future__ import annotations

from pathlib import Path

from scicat_watch.discovery.events.source import Gaps


class PollingSource:
    """Reports nothing, and says so: rescans at the poll interval examine every directory and list.

    It takes no times of its own, because a rescan already costs no more than one `stat` for a directory that did not
    change.
    """

    reports_ours = False

    def __init__(self, why: str = "this computer has no file events") -> None:
        """`why`: for people."""
        self._why = why

    @property
    def incomplete(self) -> bool:
        """Always: nothing is reported."""
        return True

    def gaps(self, root: Path) -> Gaps:
        """Everything."""
        return Gaps(self._why)

    def watch(self, directory: Path, name: str = "") -> None:
        """Left to rescans."""

    def retry(self, root: Path) -> bool:
        """No limit is at fault."""
        return False

    def unwatch(self, path: Path) -> None:
        """It is not watched."""

    def close(self) -> None:
        """There is nothing to end."""
