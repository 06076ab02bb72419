"""What the daemon does when a command asks for it over the control channel.

Called in the thread of the channel: what touches a beamtime's file system or the catalogue is handed on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scicat_watch.errors import ConfigError
from scicat_watch.service import status
from scicat_watch.service.calls import Silence
from scicat_watch.service.control.protocol import Asked, Named
from scicat_watch.service.control.server import Reply
from scicat_watch.service.daemon.beamtime import BeamtimeLoop
from scicat_watch.service.daemon.jobs import Ingest, Parts, Rescan, Wish
from scicat_watch.service.daemon.pauses import Pauses
from scicat_watch.service.daemon.unreached import Unreached
from scicat_watch.service.dispatch import Dispatcher
from scicat_watch.service.lost import lost
from scicat_watch.service.site import Site
from scicat_watch.service.targets import names_list_of

log = logging.getLogger(__name__)

_NAMED = 20
"""So many beamtimes are named at most where none is meant."""

Loops = Callable[[], list[BeamtimeLoop]]
"""The beamtimes that are watched now."""


class Commands:
    """Carries out the requests of commands."""

    def __init__(
        self, site: Site, loops: Loops, dispatcher: Dispatcher, reload: Callable[[Reply], None],
        pauses: Pauses, unreached: Unreached
    ) -> None:  # fmt: skip
        """`reload` has the configuration read again, and answers."""
        self._site, self._loops, self._dispatcher, self._reload = site, loops, dispatcher, reload
        self._pauses, self._unreached = pauses, unreached

    def __call__(self, asked: Asked, reply: Reply) -> None:
        """See `control.server.Handler`."""
        match asked.command:
            case "status":
                reply.end(state=self._state())
            case "ingest":
                self._ingest(asked, reply)
            case "rescan":
                self._rescan(asked, reply)
            case "reload":
                log.info("a command asks for the configuration to be read again")
                self._reload(reply)
            case "pause" | "resume":
                self._pause(asked, reply)

    def _state(self) -> dict[str, Any]:
        site = self._site
        state = status.of(
            site.journal, site.clock.now().timestamp(), site.settings.catalogue.url or "", running=True,
            unanswered=site.publisher.unanswered(), lost=lost(site.settings, site.journal),
        )  # fmt: skip
        # Not each rescan that finds nothing is reported: what is shown of the last one is that of now.
        rescans = {(str(loop.beamtime.directory), loop.beamtime.id): loop.last_rescan for loop in self._loops()}
        for one in state["beamtimes"]:
            rescanned, seconds = rescans.get((one["directory"], one["id"]), ("", 0.0))
            if one["watch"] and rescanned:
                one["watch"] |= {"rescanned": rescanned, "seconds": seconds}
        return state

    def _ingest(self, asked: Asked, reply: Reply) -> None:
        chosen, silent, unwatched = self._chosen(asked.paths)
        log.info("a command asks for %s of %s", "another try" if asked.retry else "the ingestion", _all(asked))
        parts = len(chosen) + len(silent)
        reply.send({"event": "taken", "beamtimes": parts, "unwatched": unwatched})
        wish = Wish(self._site, parts, reply)
        _fail(wish, silent)
        for loop, paths in chosen.items():
            loop.ask(Ingest(self._site, self._dispatcher, paths, wish, loop.hints.wake, retry=asked.retry))

    def _rescan(self, asked: Asked, reply: Reply) -> None:
        chosen, silent, unwatched = self._chosen(asked.paths)
        log.info("a command asks for a full rescan of %s", _all(asked))
        reply.send({"event": "taken", "beamtimes": len(chosen) + len(silent), "unwatched": unwatched})
        parts = Parts(len(chosen) + len(silent), reply)
        _fail(parts, silent)
        for loop in chosen:
            loop.ask(Rescan(parts, loop.beamtime.directory))

    def _pause(self, asked: Asked, reply: Reply) -> None:
        paused = asked.command == "pause"
        with self._pauses.changing:
            loops = {(loop.beamtime.directory, loop.beamtime.id): loop for loop in self._loops()}
            found = self._meant(asked, list(dict.fromkeys([*loops, *self._unreached.beamtimes()])))
            kept = True
            for directory, beamtime in found:
                log.warning("%s: a command has beamtime %s %sd", directory, beamtime, asked.command)
                kept = self._pauses.note(directory, beamtime, paused) and kept
                if (loop := loops.get((directory, beamtime))) is not None:
                    loop.pause(paused)
        self._unreached.switched()
        if not kept:
            log.warning("the pause cannot be stored in var_dir: it lasts only until the daemon ends")
        reply.end(beamtimes=[[beamtime, str(directory)] for directory, beamtime in found], kept=kept)

    def _meant(self, asked: Asked, known: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
        """The known beamtimes, with their directories, of an id or a directory."""
        places = {named.place for named in asked.paths}
        found = [one for one in known if one[1] == asked.beamtime] or [one for one in known if one[0] in places]
        if not found:
            # An id that is like this one is another beamtime's: none is proposed.
            ids = sorted({beamtime for _, beamtime in known})
            which = f"known: {', '.join(ids)}" if 0 < len(ids) <= _NAMED else "see scicat-watch status"
            raise ConfigError(f"the daemon watches no beamtime {asked.beamtime!r}; {which}")
        return found

    def _chosen(
        self, paths: tuple[Named, ...]
    ) -> tuple[dict[BeamtimeLoop, tuple[Path, ...]], list[Silence], list[str]]:
        """The beamtimes that are concerned, each with its paths; roots of which it is not known yet what they hold, as
        they do not answer; and the paths that are in none of both.
        """
        loops = self._loops()
        silences = self._site.calls.silences({loop.beamtime.directory for loop in loops})
        if not paths:
            return {loop: (loop.beamtime.directory,) for loop in loops}, silences, []
        silent: list[Silence] = []
        chosen: dict[BeamtimeLoop, tuple[Path, ...]] = {}
        unwatched = []
        for named in paths:
            found = self._concerned(named, loops)
            for loop, path in found:
                chosen[loop] = (*chosen.get(loop, ()), path)
            hanging = [one for one in silences if one.root.is_relative_to(named.place)]
            silent += [one for one in hanging if one not in silent]
            if not found and not hanging:
                unwatched.append(named.path)
        return chosen, silent, unwatched

    def _concerned(self, named: Named, loops: list[BeamtimeLoop]) -> list[tuple[BeamtimeLoop, Path]]:
        """The beamtimes that a path is in, or that are below it, each with what of the path concerns it."""
        path = named.place
        above = [loop for loop in loops if path.is_relative_to(loop.beamtime.directory)]
        if not above:
            below = [loop for loop in loops if loop.beamtime.directory.is_relative_to(path)]
            return [(loop, loop.beamtime.directory) for loop in below]
        nearest = max(len(loop.beamtime.directory.parts) for loop in above)
        found = [loop for loop in above if len(loop.beamtime.directory.parts) == nearest]
        if not named.folder:
            # Of several beamtimes of one directory, a list belongs to the one whose name it has.
            rules, host = self._site.settings.watch_rules(), self._site.host
            found = [loop for loop in found if names_list_of(path, loop.beamtime, rules, host)] or found[:1]
        return [(loop, path) for loop in found]


def _fail(parts: Parts, silent: list[Silence]) -> None:
    for silence in silent:
        parts.done(silence, [(str(silence.root), f"{silence}; the daemon goes on by itself when it answers")])


def _all(asked: Asked) -> str:
    return ", ".join(named.path for named in asked.paths) or "all beamtimes"
