"""What the person at the terminal reads."""

from __future__ import annotations

import contextlib
import os
import sys

STDOUT, STDERR = 1, 2


class StartFailed(Exception):
    """The start cannot go on; the message is what the person reads."""


def say(line: str, stream: int = STDOUT) -> None:
    """Write a line, unbuffered.

    A terminal may be gone by now: that must not keep us from stopping what we started.
    """
    with contextlib.suppress(OSError):
        os.write(stream, f"{line}\n".encode(sys.getfilesystemencoding(), "replace"))


def complain(line: str) -> None:
    """Say what went wrong, in the form that the services themselves use."""
    say(f"avatar-warmer: {line}", STDERR)
