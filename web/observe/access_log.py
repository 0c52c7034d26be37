"""The access log of what is answered in front of Flask: a request adds an entry, and one thread writes them in batches.

A log line, a counter and a histogram each cost about as much as the hit itself, and a thread that writes releases the
interpreter's lock in the middle of a request.

The server's loop gets that lock back when this thread gives it away, or after the switch interval of 5 ms. A busy
process has a thousand entries a batch, 2 ms of work: so the thread writes a few at a time, and rests in between.

If nobody reads stderr, that thread hangs in a write. Another thread then counts the entries, and their lines wait, as
many as LINES_MAX.
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

# Each WRITE_SECONDS the thread takes the new entries, AT_ONCE of them in about 0.2 ms, and then rests.
WRITE_SECONDS = 0.05
AT_ONCE = 128
REST_SECONDS = 0.0002
COUNT_SECONDS = 1.0  # between two counts by the other thread
LINES_MAX = 20_000  # that wait: about a second of a busy process
ENTRIES_MAX = 5 * LINES_MAX  # that wait to be counted: never so many, unless counting itself hangs
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

    def __init__(
        self,
        count: Callable[[Sequence[Entry]], None],
        *,
        count_dropped: Callable[[int], object] = lambda _: None,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        """`count_dropped` gets the number of lines that will not be written."""
        self._count = count
        self._count_dropped = count_dropped
        self._rest = rest
        self._entries: deque[Entry] = deque(maxlen=ENTRIES_MAX)
        self._lines: deque[Entry] = deque()  # counted, and to be written
        self._dropped = 0  # lines, since their number was last written
        self._lines_before_gap = 0  # those in `_lines` that came before the first of them
        self._counting, self._writing = threading.Lock(), threading.Lock()
        self._writer = Repeater("access-log", WRITE_SECONDS, self.write)
        self._counter = Repeater("access-figures", COUNT_SECONDS, self.count)

    def note(self, entry: Entry) -> None:
        """Add an entry. The threads start with the first, after the fork."""
        self._entries.append(entry)
        self._writer.ensure_started()
        self._counter.ensure_started()

    def count(self) -> None:
        """Count the entries up to now. Waits for no reader of the log."""
        left = len(self._entries)
        while counted := self._count_some(left):
            left -= counted
            if left:
                self._rest(REST_SECONDS)

    def write(self) -> None:
        """Count the entries up to now, and write their lines. Blocks for as long as nobody reads the log."""
        with self._writing:  # keeps the order of the lines
            self._write()

    def _write(self) -> None:
        left = len(self._entries)
        while (counted := self._count_some(left)) or self._lines:
            left -= counted
            self._write_some()
            if left or self._lines:
                self._rest(REST_SECONDS)

    def _count_some(self, most: int) -> int:
        """Count a batch, and let its lines wait. Returns the number of entries, 0 if there are none left."""
        with self._counting:
            entries = [self._entries.popleft() for _ in range(min(most, AT_ONCE, len(self._entries)))]
            if entries:
                self._count(entries)
                kept = entries[: LINES_MAX - len(self._lines)]
                self._lines.extend(kept)
                if dropped := len(entries) - len(kept):
                    if not self._dropped:
                        self._lines_before_gap = len(self._lines)
                    self._dropped += dropped
                    self._count_dropped(dropped)
        return len(entries)

    def _write_some(self) -> None:
        """Write a batch of lines, and at the place of a gap the number of lines that are missing."""
        with self._counting:
            most = min(AT_ONCE, self._lines_before_gap) if self._dropped else AT_ONCE
            entries = [self._lines.popleft() for _ in range(min(most, len(self._lines)))]
            self._lines_before_gap -= len(entries)
        self._log(entries)
        if self._dropped and self._lines_before_gap <= 0:
            with self._counting:
                dropped, self._dropped = self._dropped, 0
            log.warning("%d lines of served pictures and lists are missing: nobody read the log", dropped)

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
        """End the threads, and write the remaining entries. The lines are lost if the writer still hangs."""
        self._counter.close()
        self._writer.close()
        self.count()
        if self._writing.acquire(blocking=False):
            try:
                self._write()
            finally:
                self._writing.release()


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
