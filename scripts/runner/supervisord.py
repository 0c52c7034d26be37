"""Runs supervisord with logs that survive a full disk, and with children that can be stopped at any moment.

Supervisor 4.3 stops reading the output of a process, or ends, when it cannot write a log. It has no option for that.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from supervisor import loggers, supervisord


class PatientHandler(loggers.RotatingFileHandler):  # type: ignore[misc]  # supervisor has no types
    """Drops the lines that the disk does not take, and writes again when it does."""

    def __init__(self, filename: str, *args: Any, **options: Any) -> None:
        super().__init__(os.devnull, *args, **options)
        self.stream.close()
        self.baseFilename = filename
        with suppress(OSError):
            self._open()

    def emit(self, record: Any) -> None:
        """Write a line; the stream is closed if the file could not be opened, also after a rotation."""
        with suppress(OSError):
            if self.stream.closed:
                self._open()
            super().emit(record)

    def close(self) -> None:
        """Close the file, even if the disk does not take the rest."""
        with suppress(OSError):
            super().close()

    def handleError(self) -> None:
        """Drop the line: a traceback on the same disk would be the next error."""

    def _open(self) -> None:
        self.stream: BinaryIO = Path(self.baseFilename).open("ab")  # noqa: SIM115 - open for the next lines, too


def end_children_before_their_program() -> None:
    """Let SIGTERM end a child that does not run its program yet.

    Until then it has supervisord's handler, which only notes the signal. The program would start, know nothing of the
    signal, and hold up the stop for all of its grace.
    """
    stop = (signal.SIGTERM,)

    def allow_stop() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stop)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, stop),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, stop),
        after_in_child=allow_stop,
    )


if __name__ == "__main__":
    end_children_before_their_program()
    loggers.RotatingFileHandler = PatientHandler
    supervisord.main()
