"""What was served: noted in passing, and written a moment later, many at once, as log lines and figures.

A log line, a counter and a histogram each cost about as much as the hit itself, and a thread that writes gives up the
interpreter's lock in the middle of a request. So a request only appends; one thread of the process does the rest.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from warmer.observe.logs import Line, LineHandler, make_record
from warmer.repeater import Repeater

WRITE_SECONDS = 0.05  # between batches: short ones hold up nobody
ROUTES = {"file": "/api/photos/file/<photo_file_id>", "user": "/api/photos/user/<id>"}  # by kind
log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """One picture that went out."""

    subject: str
    kind: str  # file or user
    status: str
    seconds: float
    was_hit: bool
    at: float  # Unix time
    method: str
    request_id: str


class AccessLog:
    """The pictures that one process served, on their way into the log and the figures."""

    def __init__(self, count: Callable[[Sequence[Entry]], None]) -> None:
        self._count = count
        self._entries: deque[Entry] = deque()
        self._lock = threading.Lock()
        self._writer = Repeater("access-log", WRITE_SECONDS, self.write)

    def note(self, entry: Entry) -> None:
        """Note one; the thread starts with the first, after the fork."""
        self._entries.append(entry)
        self._writer.ensure_started()

    def write(self) -> None:
        """Write what was noted until now."""
        with self._lock:  # the order of the lines
            entries = [self._entries.popleft() for _ in range(len(self._entries))]
            if entries:
                self._count(entries)
                if log.isEnabledFor(logging.INFO):
                    self._log(entries)

    def _log(self, entries: Sequence[Entry]) -> None:
        """One line each, of the moment it was served."""
        lines = [_format(entry) for entry in entries]
        for handler in logging.getLogger().handlers:
            if isinstance(handler, LineHandler):
                handler.write_all(log, logging.INFO, lines)
            else:
                for line in lines:
                    handler.handle(make_record(log, logging.INFO, line))

    def close(self) -> None:
        """End the writer's thread, and write what was noted since its last run."""
        self._writer.close()
        self.write()


def _format(entry: Entry) -> Line:
    milliseconds = entry.seconds * 1000
    message = f"📸 Photo served for {entry.subject[:20]}... in {milliseconds:.0f}ms"
    return Line(entry.at, message, entry.request_id, partial(_tell, entry))


def _tell(entry: Entry) -> dict[str, Any]:
    """The fields of a JSON line."""
    return {
        "subject": entry.subject,
        "hit": entry.was_hit,
        "method": entry.method,
        "route": ROUTES[entry.kind],
        "status": int(entry.status),
        "milliseconds": round(entry.seconds * 1000, 1),
    }
