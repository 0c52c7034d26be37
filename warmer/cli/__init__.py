"""The command `avatar-warmer`: one module a command, thin over the parts of `warmer`."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command. Ctrl-C ends it with one line, also while its parts are still being loaded."""
    logging.getLogger().addHandler(logging.NullHandler())  # an error is said once, by the command
    try:
        from warmer.cli.group import group  # here, since it takes most of a second

        group(arguments)
    except KeyboardInterrupt:
        leave()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # one more needs no traceback: all that is left is to end


def leave() -> NoReturn:
    """End after Ctrl-C."""
    print("Interrupted.", file=sys.stderr)
    sys.exit(INTERRUPTED)
