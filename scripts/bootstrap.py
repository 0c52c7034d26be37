"""Make the project's environment, .venv, if it is not there; then become a program that runs in it.

    python3 scripts/bootstrap.py [--extra test] scripts/serve.py [argument…]

Any Python from 3.6 on runs this file: an old one looks for a newer one.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from environment import Environment, Failed
from steps import HEARTBEAT, Interrupted, check_signals, listen, say

MISLEADING = ("PYTHONHOME", "__PYVENV_LAUNCHER__")  # they send an environment's Python to another one's modules
ROOT = Path(__file__).resolve().parent.parent


def main(arguments: "list[str]") -> int:
    """Return the exit status, if anything is in the way of the program."""
    extras = set()
    while arguments[:1] == ["--extra"]:
        extras.add(arguments[1])
        arguments = arguments[2:]
    listen()
    environment = Environment(ROOT, extras)
    try:
        if not environment.is_ready():
            with lock(ROOT):
                if not environment.is_ready():  # nor has anybody else made it meanwhile
                    environment.make()
        check_signals()
    except Failed as error:
        os.write(2, f"avatar-warmer: {error}\n".encode())
        return 1
    except Interrupted:
        say("Interrupted; the next start makes .venv.")
        return 130
    become(environment, arguments)
    return 0


@contextlib.contextmanager
def lock(folder: Path) -> "Iterator[None]":
    """Hold the project's folder, so that two starts at once make one environment."""
    handle = os.open(str(folder), os.O_RDONLY)
    said = float("-inf")
    try:
        while not taken(handle):
            check_signals()
            if time.monotonic() > said + HEARTBEAT:
                said = time.monotonic()
                say("Waiting for another start, which is making .venv…")
            time.sleep(0.2)
        yield
    finally:
        os.close(handle)


def taken(handle: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def become(environment: Environment, arguments: "list[str]") -> None:
    """Replace this process: whoever started it signals the program itself."""
    os.chdir(str(environment.root))
    environ = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    environ["VIRTUAL_ENV"] = str(environment.folder)
    environ["PATH"] = os.pathsep.join((str(environment.folder / "bin"), os.environ.get("PATH", os.defpath)))
    os.execve(str(environment.python), [str(environment.python), *arguments], environ)  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
