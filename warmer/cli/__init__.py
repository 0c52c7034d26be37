"""The command `avatar-warmer`: one module a command, thin over the parts of `warmer`."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it
LINE = "Interrupted.\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. Ctrl-C ends it with one line, also in the second in which its parts are loaded."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # or whoever started us wants it ignored
        signal.signal(signal.SIGINT, _end_at_once)
    from warmer.cli.group import group

    signal.signal(signal.SIGINT, usual)
    logging.getLogger().addHandler(logging.NullHandler())  # an error is said once, by the command
    try:
        group(arguments)
    finally:
        if usual is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # one more needs no traceback: all that is left is to end


def leave() -> NoReturn:
    """End after Ctrl-C."""
    sys.stderr.write(LINE)
    sys.exit(INTERRUPTED)


def _end_at_once(*_: object) -> NoReturn:
    # An exception can be lost in an import, and there is nothing to tidy up yet.
    os.write(2, LINE.encode())
    os._exit(INTERRUPTED)
