"""Why a server cannot be reached, in words: what happened, and what a person can check.

What the HTTP libraries say of it is a chain of their exceptions, of which only the innermost means something to people.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator

import urllib3.exceptions

_NUMBERS = {
    errno.ECONNREFUSED: "nothing listens there (connection refused): does it run there, and is catalogue.url right?",
    errno.EHOSTUNREACH: "there is no way to the host: check the network",
    errno.ENETUNREACH: "there is no way to its network: check the network",
    errno.EMFILE: "this process has too many open files",
}
_CLOSED = "the connection was closed without a whole answer: it, or a proxy before it, has failed or is restarting"
_CLOSINGS = (
    ConnectionResetError, ConnectionAbortedError, BrokenPipeError, http.client.HTTPException,
    urllib3.exceptions.ProtocolError, ssl.SSLEOFError, ssl.SSLZeroReturnError,
)  # fmt: skip


def why(error: BaseException) -> str:
    """The reason of a failed connection."""
    chain = list(_chain(error))
    if any(isinstance(one, urllib3.exceptions.ProxyError) for one in chain):
        return f"the proxy that the environment names (https_proxy) does not help: {_cause(chain)}"
    return _cause(chain)


def closed(error: BaseException) -> bool:
    """Whether the server closed the connection before it had answered."""
    return any(isinstance(one, _CLOSINGS) for one in _chain(error)) and _cause(list(_chain(error))) == _CLOSED


def _cause(chain: list[BaseException]) -> str:
    for one in reversed(chain):
        if isinstance(one, socket.gaierror):
            return f"its name is not known ({one.strerror}): check catalogue.url and the name service"
        if isinstance(one, ssl.SSLError) and not isinstance(one, _CLOSINGS):
            return str(one.reason or one)
        if isinstance(one, OSError) and one.errno in _NUMBERS:
            return _NUMBERS[one.errno]
    if any(isinstance(one, _CLOSINGS) for one in chain):
        return _CLOSED
    found = next((one for one in reversed(chain) if isinstance(one, OSError) and one.strerror), chain[-1])
    return str(getattr(found, "strerror", None) or str(found) or type(found).__name__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made from, the outermost first."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        nested = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        left += [each for each in nested if isinstance(each, BaseException)]
