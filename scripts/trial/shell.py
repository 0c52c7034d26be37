"""A shell in the machine, which keeps its folder and its variables from one command to the next."""

from __future__ import annotations

import os
import secrets
import selectors
import subprocess
import time
from types import TracebackType

ENVIRONMENT = {
    "HOME": "/root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",  # nobody is there to answer
}
SECONDS = 900.0  # for one command


class Failed(Exception):
    """A step did not do what it should; the message is for the person at the terminal."""


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and wait for that."""
    process.terminate()
    process.wait()


class Shell:
    """Bash, started by `way`, which enters the machine."""

    def __init__(self, *way: str) -> None:
        pipe = subprocess.PIPE
        self._bash = subprocess.Popen(
            [*way, "/bin/bash"], stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, env=ENVIRONMENT, cwd="/"
        )
        self.run("cd /root")

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bash.kill()
        self._bash.communicate()

    def run(self, command: str, seconds: float = SECONDS) -> tuple[int, str]:
        """The exit status, and what it printed. Raises Failed if the shell ends, or the command does not."""
        assert self._bash.stdin  # noqa: S101 - it is a pipe
        mark = secrets.token_hex(8)
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null 2>&1; echo {mark} $?\n".encode())
        self._bash.stdin.flush()
        output, _, status = self._read_until(mark, command, seconds).rpartition(f"{mark} ")
        return int(status), output

    def _read_until(self, mark: str, command: str, seconds: float) -> str:
        assert self._bash.stdout  # noqa: S101 - it is a pipe
        deadline, heard = time.monotonic() + seconds, b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._bash.stdout, selectors.EVENT_READ)
            while f"{mark} ".encode() not in heard or not heard.endswith(b"\n"):
                chunk = b""
                if selector.select(max(0.0, deadline - time.monotonic())):
                    chunk = os.read(self._bash.stdout.fileno(), 65536)
                if not chunk:
                    raise Failed(f"did not end: {command}\n{heard.decode(errors='replace')[-2000:]}")
                heard += chunk
        return heard.decode(errors="replace")
