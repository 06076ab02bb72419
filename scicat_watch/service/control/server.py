"""Serves the control channel: one thread, whatever the number of commands that are connected."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from scicat_watch.errors import ConfigError, ScicatWatchError
from scicat_watch.service.control import place
from scicat_watch.service.control.protocol import ALIVE, END, ERROR, LARGEST_REQUEST, Asked, Message, line, parse
from scicat_watch.words import why

log = logging.getLogger(__name__)

_REQUEST_WITHIN = 10.0
"""Seconds that a command may take to send its request."""
_SENT_WITHIN = 30.0
"""Seconds that a command may take to accept a message."""
ALIVE_EVERY = 5.0
"""Seconds without a message after which a command hears that the daemon lives."""
_MOST_UNSENT = 10_000
"""Messages that wait for a command that does not read; then it is disconnected, and what it asked for goes on."""
_MOST_CONNECTED = 64
_END_WITHIN = 2.0


class Reply:
    """What a command gets to hear; used by any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._unsent: asyncio.Queue[Message] = asyncio.Queue()
        self.gone = False
        """Whether the command has ended, so that nobody listens."""

    def send(self, message: Message) -> None:
        """Send a message; never waits."""
        if not self.gone:
            with contextlib.suppress(RuntimeError):  # The channel is closed.
                self._loop.call_soon_threadsafe(self._put, message)

    def end(self, **more: object) -> None:
        """Send the last message."""
        self.send({"event": END, **more})

    def error(self, message: str, *, usage: bool = False) -> None:
        """Say, as the last message, why the request was not carried out; `usage`: because it is wrong."""
        self.send({"event": ERROR, "message": message, "usage": usage})

    def _put(self, message: Message) -> None:
        if self._unsent.qsize() < _MOST_UNSENT or message["event"] in (END, ERROR):
            self._unsent.put_nowait(message)
        else:
            self.gone = True

    async def next(self) -> Message:
        """The next message."""
        return await self._unsent.get()


Handler = Callable[[Asked, Reply], None]
"""Carries a request out, or has it carried out by other threads; must not wait. `ScicatWatchError` if it is wrong."""


class ControlServer:
    """Listens for commands from `start` to `close`."""

    def __init__(self, var_dir: Path, handle: Handler) -> None:
        self._var_dir, self._handle = var_dir, handle
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()
        self._listening: place.Listening | None = None

    def start(self) -> None:
        """Begin to listen, if there is a place for a socket."""
        self._listening = place.listen(self._var_dir)
        if self._listening is not None:
            started = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(started,), name="control", daemon=True)
            self._thread.start()
            started.wait()

    def close(self) -> None:
        """End all connections, and take the socket away."""
        if self._thread is None or self._loop is None or self._listening is None:
            return
        self._listening.remove()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_END_WITHIN)
        self._listening.socket.close()

    def _run(self, started: threading.Event) -> None:
        async def serve() -> None:
            assert self._listening is not None  # noqa: S101 - for the type checker
            self._loop = asyncio.get_running_loop()
            server = await asyncio.start_unix_server(self._serve, sock=self._listening.socket, limit=LARGEST_REQUEST)
            started.set()
            await self._stop.wait()
            server.close()
            if self._answering:  # The last messages go out.
                await asyncio.wait(self._answering, timeout=_END_WITHIN / 2)

        try:
            asyncio.run(serve())
        except Exception:
            log.exception("the control channel ended; commands cannot reach this daemon any more")
        finally:
            started.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        self._answering.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, TimeoutError) as error:
            log.debug("a command left before it was answered: %s", error)
        except Exception:
            log.exception("a fault of scicat-watch in the control channel")
        finally:
            self._answering.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reply = Reply(asyncio.get_running_loop())
        if (asked := await self._asked(reader, writer, reply)) is not None:
            try:
                self._handle(asked, reply)
            except ScicatWatchError as error:
                reply.error(str(error), usage=isinstance(error, ConfigError))
            except Exception as error:
                log.exception("a fault of scicat-watch: %s", asked)
                reply.error(f"a fault of scicat-watch: {type(error).__name__}: {why(error)}")
        left = asyncio.create_task(reader.read(1))  # Ends when the command does.
        try:
            await self._send_all(reply, writer, left)
        finally:
            reply.gone = True
            left.cancel()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: Reply) -> Asked | None:
        if place.peer(writer.get_extra_info("socket"))[1] not in {0, os.geteuid()}:
            reply.error("only the account of the daemon, and root, may ask it for something")
            return None
        if len(self._answering) > _MOST_CONNECTED:
            reply.error("too many commands are connected to the daemon; try again later")
            return None
        try:
            return parse(await asyncio.wait_for(reader.readline(), _REQUEST_WITHIN))
        except ValueError:  # Longer than the limit.
            reply.error(f"the request has more than {LARGEST_REQUEST >> 20} MB; name fewer paths", usage=True)
        except ConfigError as error:
            reply.error(str(error), usage=True)
        return None

    @staticmethod
    async def _send_all(reply: Reply, writer: asyncio.StreamWriter, left: asyncio.Task[bytes]) -> None:
        while not reply.gone:
            next_ = asyncio.create_task(reply.next())
            await asyncio.wait({next_, left}, return_when=asyncio.FIRST_COMPLETED, timeout=ALIVE_EVERY)
            message = next_.result() if next_.done() else {"event": ALIVE}
            next_.cancel()
            if left.done() and message["event"] == ALIVE:
                return
            writer.write(line(message))
            await asyncio.wait_for(writer.drain(), _SENT_WITHIN)
            if message["event"] in (END, ERROR):
                return
