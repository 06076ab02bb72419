"""What the benchmarks share: timing, medians, and the table that goes into docs/performance.md."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable

ROWS: list[tuple[str, str]] = []


def head() -> None:
    """Say which machine this is."""
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")


def note(what: str, figure: str) -> None:
    """Add a row, and print it at once."""
    ROWS.append((what, figure))
    print(f"{what:75} {figure}", flush=True)


def show() -> None:
    """Print the rows as a table of Markdown."""
    print("\n| what | figure |\n| --- | --- |")
    for what, figure in ROWS:
        print(f"| {what} | {figure} |")


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def interleaved(rounds: int, *actions: Callable[[], object]) -> list[list[float]]:
    """Times of each action, taken in turns so that what else the machine does meets all alike."""
    for action in actions:
        action()
    times = [[timed(action) for action in actions] for _ in range(rounds)]
    return [list(column) for column in zip(*times, strict=True)]


def milliseconds(seconds: list[float]) -> str:
    """Median, smallest and largest."""
    ordered = sorted(seconds)
    return f"{1000 * statistics.median(ordered):.1f} ms ({1000 * ordered[0]:.1f} to {1000 * ordered[-1]:.1f})"
