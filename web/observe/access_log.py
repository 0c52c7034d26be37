"""The access log of what is answered in front of Flask: a request adds an entry, and one thread writes them in batches.

A log line, a counter and a histogram each cost about as much as the hit itself, and a thread that writes releases the
interpreter's lock in the middle of a request.

The server's loop gets that lock back when this thread gives it away, or after the switch interval of 5 ms. A busy
process has a thousand entries a batch, 2 ms of work: so the thread writes a few at a time, and rests in between.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from warmer.observe.logs import Line, LineHandler, make_record
from warmer.repeater import Repeater

WRITE_SECONDS = 0.05  # between batches
AT_ONCE = 128  # entries, about 0.2 ms
REST_SECONDS = 0.0002  # then
LIST = "recent"
ROUTES = {  # by kind
    "file": "/api/photos/file/<photo_file_id>",
    "user": "/api/photos/user/<id>",
    LIST: "/api/partner/recent",
}
log = logging.getLogger(__name__)
request_log = logging.getLogger("web.observe.request_log")  # the line of a list is the same, whoever writes it


class Entry(NamedTuple):
    """One served picture or list."""

    subject: str  # "" for a list
    kind: str  # file, user or LIST
    status: str
    seconds: float
    was_hit: bool
    at: float  # Unix time
    method: str
    request_id: str


class AccessLog:
    """Collects the entries of one process for the log and the figures."""

    def __init__(self, count: Callable[[Sequence[Entry]], None], *, rest: Callable[[float], None] = time.sleep) -> None:
        self._count = count
        self._rest = rest
        self._entries: deque[Entry] = deque()
        self._lock = threading.Lock()
        self._writer = Repeater("access-log", WRITE_SECONDS, self.write)

    def note(self, entry: Entry) -> None:
        """Add an entry. The thread starts with the first, after the fork."""
        self._entries.append(entry)
        self._writer.ensure_started()

    def write(self) -> None:
        """Write the entries up to now."""
        with self._lock:  # keeps the order of the lines
            left = len(self._entries)
            while left:
                entries = [self._entries.popleft() for _ in range(min(left, AT_ONCE))]
                left -= len(entries)
                self._count(entries)
                self._log(entries)
                if left:
                    self._rest(REST_SECONDS)

    def _log(self, entries: Sequence[Entry]) -> None:
        """One line per entry, with the time when it was served."""
        for logger, group in groupby(entries, _choose_logger):
            if not logger.isEnabledFor(logging.INFO):
                continue
            lines = [_format(entry) for entry in group]
            for handler in logging.getLogger().handlers:
                if isinstance(handler, LineHandler):
                    handler.write_all(logger, logging.INFO, lines)
                else:
                    for line in lines:
                        handler.handle(make_record(logger, logging.INFO, line))

    def close(self) -> None:
        """End the writer's thread, and write the remaining entries."""
        self._writer.close()
        self.write()


def _choose_logger(entry: Entry) -> logging.Logger:
    return request_log if entry.kind == LIST else log


def _format(entry: Entry) -> Line:
    milliseconds = entry.seconds * 1000
    message = f"📸 Photo served for {entry.subject[:20]}... in {milliseconds:.0f}ms"
    if entry.kind == LIST:
        message = f"{entry.method} {ROUTES[LIST]} {entry.status} in {milliseconds:.0f}ms"
    return Line(entry.at, message, entry.request_id, partial(_to_fields, entry))


def _to_fields(entry: Entry) -> dict[str, Any]:
    """The fields of a JSON line."""
    picture: dict[str, Any] = {} if entry.kind == LIST else {"subject": entry.subject, "hit": entry.was_hit}
    return picture | {
        "method": entry.method,
        "route": ROUTES[entry.kind],
        "status": int(entry.status),
        "milliseconds": round(entry.seconds * 1000, 1),
    }
