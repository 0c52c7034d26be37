"""The command `avatar-warmer`: one module per command, thin over the parts of `warmer`."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it
LINE = "Interrupted.\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. Ctrl-C ends it with one line, also in the second in which its parts are loaded."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # or the parent process wants it ignored
        signal.signal(signal.SIGINT, _end_at_once)
    from warmer.cli.group import group

    signal.signal(signal.SIGINT, usual)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # in any locale: what one command prints, another one reads
    logging.getLogger().addHandler(logging.NullHandler())  # the command prints an error once
    try:
        group(arguments)
    finally:
        if usual is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C needs no traceback


def is_interruption(error: BaseException | None) -> bool:
    """Returns True if Ctrl-C caused this error. An import that it stops may raise a RuntimeError, for example."""
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def leave() -> NoReturn:
    """End after Ctrl-C."""
    sys.stderr.write(LINE)
    sys.exit(INTERRUPTED)


def _end_at_once(*_: object) -> NoReturn:
    # An exception can be lost in an import, and there is nothing to tidy up yet.
    os.write(2, LINE.encode())
    os._exit(INTERRUPTED)
