"""When a thing that somebody may still be writing has been quiet long enough. Pure: the caller brings the time.

Quiet is measured by our own monotonic clock from check to check, never by comparing file times with
now: clocks of file servers differ from ours, and times can be set back.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Settling(Generic[Key]):
    """Remembers since when each key has shown the same state."""

    def __init__(self, quiet: float) -> None:
        """`quiet`: seconds without a change after which a key has settled."""
        self._quiet = quiet
        self._since: dict[Key, tuple[Hashable, float]] = {}

    def check(self, key: Key, state: Hashable, now: float, age: float = 0.0) -> bool:
        """Note the state of `key` at `now`; true once it has been the same for the quiet time.

        `age`: seconds for which a key that is seen for the first time is known to have been so.
        """
        known = self._since.get(key)
        if known is None:
            self._since[key] = known = (state, now - age)
        elif known[0] != state:
            self._since[key] = known = (state, now)
        return now >= known[1] + self._quiet  # As `ready_at` reckons, to the last digit.

    def quiet_for(self, key: Key, now: float) -> float:
        """Seconds since `key` was last seen to change; 0 if it was never seen."""
        known = self._since.get(key)
        return now - known[1] if known else 0.0

    def ready_at(self, key: Key) -> float:
        """When `key` will have settled if it does not change any more."""
        known = self._since.get(key)
        return known[1] + self._quiet if known else 0.0

    def forget(self, key: Key) -> None:
        """Remember nothing of `key`."""
        self._since.pop(key, None)

    def __len__(self) -> int:
        return len(self._since)
