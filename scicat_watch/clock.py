"""Time, as the rooms see it: a clock that tests can turn, and waits that a stop can cut short."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC: for records and for people."""

    def monotonic(self) -> float:
        """Seconds that never go back: for delays and quiet times, whatever file servers think the time is."""

    def wait(self, seconds: float, stopping: threading.Event) -> bool:
        """Wait at most `seconds`; true, and at once, when `stopping` is set."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment in the past."""
        return time.monotonic()

    def wait(self, seconds: float, stopping: threading.Event) -> bool:
        """Wait, or be woken by `stopping`."""
        return stopping.wait(max(0.0, seconds))
