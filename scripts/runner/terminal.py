"""Output for the person at the terminal."""

from __future__ import annotations

import contextlib
import os
import sys

STDOUT, STDERR = 1, 2


class StartFailed(Exception):
    """The start failed; the message is for the person at the terminal."""


def say(line: str, stream: int = STDOUT) -> None:
    """Write a line, unbuffered.

    The terminal may be closed: that must not keep the runner from stopping its processes.
    """
    with contextlib.suppress(OSError):
        os.write(stream, f"{line}\n".encode(sys.getfilesystemencoding(), "replace"))


def complain(line: str) -> None:
    """Print an error in the services' own format."""
    say(f"avatar-warmer: {line}", STDERR)
