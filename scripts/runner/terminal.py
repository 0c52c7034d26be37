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
    _write(line, "INFO", line, stream)


def complain(line: str) -> None:
    """Print an error in the services' own format."""
    _write(f"avatar-warmer: {line}", "ERROR", line, STDERR)


def _write(text: str, level: str, message: str, stream: int) -> None:
    """Write the text, or the message as JSON if the services log so."""
    from warmer.log_line import format_json, wants_json  # the generators in deploy/ import this file without warmer

    line = format_json(level, "runner", message) if wants_json() else text
    with contextlib.suppress(OSError):
        os.write(stream, f"{line}\n".encode(sys.getfilesystemencoding(), "replace"))
