"""Connecting to a host with several addresses: Happy Eyeballs (RFC 8305) for blocking sockets.

Each address gets a short head start, families take turns, and the first connection wins. Without this, an IPv6 address
whose packets are dropped costs the whole connect timeout. (aiohappyeyeballs does the same for asyncio alone.)
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any

HEAD_START_SECONDS = 0.25  # the "Connection Attempt Delay" that RFC 8305 recommends

AddressInfo = tuple[int, int, int, str, Any]  # as getaddrinfo returns it
SocketOptions = Sequence[tuple[int, int, int]]


class ForbiddenAddress(OSError):
    """Every address of the host is one to which this dialer connects nobody."""


class Dialer:
    """Connects, and tries the family that worked last time first."""

    def __init__(
        self, permits: Callable[[str], bool] = lambda _: True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`permits`: whether to connect to this address. `clock`: tells seconds."""
        self._permits = permits
        self._clock = clock
        self._family: int | None = None

    def connect(self, host: str, port: int, timeout: float | None, options: SocketOptions = ()) -> socket.socket:
        """Returns a connected socket with this timeout, in seconds. Raises OSError, of which TimeoutError is one."""
        named = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        if not (found := [one for one in named if self._permits(str(one[4][0]))]):
            raise ForbiddenAddress("the host has forbidden addresses alone")
        race = _Race(interleave(found, self._family), timeout, options, self._clock)
        sock = race.run()
        sock.settimeout(timeout)
        self._family = sock.family
        return sock


def interleave(addresses: Sequence[AddressInfo], first_family: int | None) -> list[AddressInfo]:
    """The addresses with their families in turn, in the order of the resolver otherwise (RFC 8305, section 4)."""
    first = first_family if any(one[0] == first_family for one in addresses) else addresses[0][0]
    same = [one for one in addresses if one[0] == first]
    other = [one for one in addresses if one[0] != first]
    return [one for one in chain.from_iterable(zip_longest(same, other)) if one is not None]


class _Race:
    """Attempts at the same time, of which one wins."""

    def __init__(
        self, waiting: list[AddressInfo], timeout: float | None, options: SocketOptions, clock: Callable[[], float]
    ) -> None:
        self._waiting = waiting
        self._clock = clock
        self._end = clock() + (timeout if timeout is not None else 60.0)
        self._options = options
        self._next_start = 0.0
        self._error: OSError = OSError("the host has no address")

    def run(self) -> socket.socket:
        with selectors.DefaultSelector() as running:
            try:
                while self._waiting or running.get_map():
                    if (winner := self._turn(running)) is not None:
                        return winner
                raise self._error
            finally:
                for key in list(running.get_map().values()):
                    key.fileobj.close()  # type: ignore[union-attr]  # all of them are sockets

    def _turn(self, running: selectors.BaseSelector) -> socket.socket | None:
        now = self._clock()
        if now >= self._end:
            raise TimeoutError("no address answered in time")
        if self._waiting and (now >= self._next_start or not running.get_map()):
            self._start(self._waiting.pop(0), running)
            self._next_start = now + HEAD_START_SECONDS
        until = min(self._next_start, self._end) if self._waiting else self._end
        for key, _ in running.select(max(0.0, until - now)) if running.get_map() else ():
            sock: Any = key.fileobj
            running.unregister(sock)
            if not (code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                return sock  # type: ignore[no-any-return]  # a socket
            sock.close()
            self._error = OSError(code, "cannot connect")
            self._next_start = 0.0  # a refusal needs no head start
        return None

    def _start(self, address: AddressInfo, running: selectors.BaseSelector) -> None:
        family, kind, protocol, _, where = address
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # a family that this machine does not have
            self._error = error
            return
        try:
            for option in self._options:
                sock.setsockopt(*option)
            sock.setblocking(False)
            sock.connect(where)
        except BlockingIOError:
            pass
        except OSError as error:
            sock.close()
            self._error = error
            return
        running.register(sock, selectors.EVENT_WRITE)
