"""Chooses the TCP ports to listen on.

If a default port is taken, the next free one is used; if a given port is taken, the start fails.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

from runner.folders import private_folder
from runner.terminal import StartFailed, say

ATTEMPTS = 200  # ports to try after the default
ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - compared only
SYSTEM_NEVER_GIVES = range(20_000, 32_768)  # to outgoing connections: Linux begins at 32768, macOS at 49152

_reserved: dict[Path, int] = {}  # locked files, and the handles that hold their locks


def choose(name: str, port: int, *, host: str, chosen: bool, avoid: frozenset[int] = frozenset()) -> int:
    """The port for the setting `name`; `avoid` are the ports of other settings. Raises StartFailed."""
    if chosen:
        if port in avoid:
            raise StartFailed(f"{name}: {port} is the value of another setting, too")
        if not _is_free(name, host, port) or not _reserve(port):
            raise StartFailed(f"{name}: {port} is taken")
        return port
    for candidate in range(port, min(port + ATTEMPTS, 65_535) + 1):
        if candidate not in avoid and _is_free(name, host, candidate) and _reserve(candidate):
            if candidate != port:
                say(f"Port {port} is taken: {name} is {candidate} this time.")
            return candidate
    raise StartFailed(f"{name}: no port from {port} on is free")


def free_loopback_port() -> int:
    """A port without a listener, for one that starts soon.

    The system would name a port of those that it gives to outgoing connections, and could give it to one meanwhile.
    """
    for _ in range(ATTEMPTS):
        port = secrets.choice(SYSTEM_NEVER_GIVES)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise StartFailed("no port of this machine is free")


def _is_free(name: str, host: str, port: int) -> bool:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise StartFailed(f"HOST: {host!r} is no address of this machine") from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            if error.errno == errno.EACCES:
                raise StartFailed(f"{name}: this user may not listen on {port}") from None
            raise StartFailed(f"HOST: {host!r} is no address of this machine") from None
    # macOS binds all addresses even while one of them has a listener, and one of them while all have.
    if address[0] in ALL_ADDRESSES:
        family, address = socket.AF_INET, ("127.0.0.1", port)
    with socket.socket(family) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(address) != 0


def _reserve(port: int) -> bool:
    """Reserve the port until its server listens: two runners that start at once would both find it free."""
    path = private_folder() / f"port-{port}"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return False
    _reserved[path] = handle
    return True


def release() -> None:
    """Release the reserved ports.

    A runner that opens a file just before it is deleted may get the same port; its server then fails to start.
    """
    while _reserved:
        path, handle = _reserved.popitem()
        path.unlink(missing_ok=True)
        os.close(handle)
