"""What happens to the daemon of the model test: kills, stops, a catalogue that fails, a clock that jumps."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.catalogue.faulty import Fault, SpoilingProxy
from tests.flows.compiled import compiler, library
from tests.flows.program import Catalogue, Daemon, Site, halt

_DAYS = 86400


class World:
    """A daemon, and a catalogue behind a proxy; `act` does something to one of them, by the seed."""

    def __init__(self, place: Path, base: Path, catalogue: Catalogue, credentials: Path, seed: int) -> None:
        self.log: list[str] = []
        self._dice = random.Random(seed)
        self._proxy = SpoilingProxy(catalogue.url)
        self._stack = contextlib.ExitStack()
        self._daemon: Daemon | None = None
        self._paused = False
        self._jump = place / "jump"
        self._library = library("clockjump", place) if compiler() else None
        self.site = Site(
            place,
            watching={
                "ingestion_delay": 0.3, "rescan_interval": 2.0, "recheck_after": [0.5, 1.0, 2.0],
                "changed_after": "update",
            },
            retrying={"first": 0.2, "longest": 1.0},
            catalogue={
                "url": self._proxy.base, "credential_file": str(credentials),
                "patience": {"first_wait": 0.1, "longest_wait": 0.5},
            },
            beamtimes={"base_directories": [str(base)]},
        )  # fmt: skip

    def act(self) -> None:
        """Let something happen, or let it be over."""
        action = self._dice.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        self.log.append(action.__name__)
        action(self)

    def recover(self) -> Daemon:
        """From now on nothing happens any more; the daemon, which is running."""
        self._proxy.faults.clear()
        self._go_on()
        return self._running()

    def close(self) -> None:
        self._go_on()
        self._stack.close()
        self._proxy.close()

    # The actions

    def nothing(self) -> None: ...

    def kill(self) -> None:
        self._go_on()
        self._running().kill()
        self._daemon = None

    def restart(self) -> None:
        self._go_on()
        assert self._running().stop() == 0
        self._daemon = None
        self._running()

    def start(self) -> None:
        self._running()

    def pause(self) -> None:
        """It stands still while the next actions go on."""
        halt(self._running().pid)
        self._paused = True

    def go_on(self) -> None:
        self._go_on()

    def spoil(self) -> None:
        """Each of the next requests may go wrong in its own way."""
        self._proxy.faults.extend(self._dice.choices(list(Fault), k=12))

    def lose_the_catalogue(self) -> None:
        """Nothing reaches it, until something else happens to the requests."""
        self._proxy.faults.extend([self._dice.choice([Fault.BUSY, Fault.REFUSED_CONNECTION])] * 100_000)

    def find_the_catalogue(self) -> None:
        self._proxy.faults.clear()

    def jump(self) -> None:
        """The time of day is another one; it need not come back."""
        self._jump.write_text(str(self._dice.choice([-30, -1, 0, 1, 8, 400]) * _DAYS))

    def _running(self) -> Daemon:
        if self._daemon is None or self._daemon.process.poll() is not None:
            assert self._daemon is None, f"the daemon ended by itself: {self._daemon.process.poll()}"
            environment = {}
            if self._library:
                environment = {
                    "LD_PRELOAD": str(self._library), "CLOCKJUMP_FILE": str(self._jump),
                    "CLOCKJUMP_PARENT": str(os.getpid()),
                }  # fmt: skip
            self._daemon = self._stack.enter_context(self.site.daemon(**environment))
        return self._daemon

    def _go_on(self) -> None:
        if self._paused and self._daemon is not None:
            os.kill(self._daemon.pid, signal.SIGCONT)
        self._paused = False


ACTIONS: dict[Callable[[World], None], int] = {
    World.nothing: 6, World.start: 4, World.kill: 2, World.restart: 1, World.pause: 2, World.go_on: 3, World.spoil: 3,
    World.lose_the_catalogue: 1, World.find_the_catalogue: 2, World.jump: 2,
}  # fmt: skip
"""What happens, and how often."""


def datasets(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """Everything in the catalogue, with the file lists, by id."""
    wanted = {"include": [{"relation": "origdatablocks"}], "limits": {"limit": 100_000}}
    return {one["pid"]: one for one in catalogue.get("datasets", filter=wanted)}
