"""Hits in the server's loop: a plain request whose answer is in the response cache costs no thread and no second parse.

The answer has the bytes of the ordinary way, through gunicorn and web/photos/app.py, and leaves the same log line and
figures. Whatever is in doubt takes the ordinary way, with the bytes that were read.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gunicorn import SERVER, util

from warmer.request_id import HEADER
from web.photos.app import PhotoLayer
from web.photos.cache import to_lines
from web.photos.request import RawRequest
from web.photos.response import HIT, Reply, is_known
from web.signals import announce, photo_served

# A receiver in the loop must return at once: web/observe/metrics.py, `note_served` does. One of the user's own gets its
# hits in threads.
QUICK_RECEIVERS = 1
HIT_LINE = to_lines([HIT])


class FastPath:
    """Answers plain requests."""

    def __init__(self, layer: PhotoLayer, wall_clock: Callable[[], float] = time.time) -> None:
        """`wall_clock`: Unix time, in seconds."""
        self._layer = layer
        self._wall_clock = wall_clock
        self._begun: tuple[int, dict[str, bytes]] = (0, {})  # the first lines by status, of this second

    def find_answer(self, raw: RawRequest) -> bytes | None:
        """The whole answer, None if it takes more than memory to find it. Raises nothing: it would end the process."""
        if len(photo_served.receivers) > QUICK_RECEIVERS:
            return None
        try:
            return self.answer(raw)
        except Exception:  # noqa: BLE001 - the ordinary way meets it, too: it answers 403, 400 or 500, and logs it
            return None

    def answer(self, raw: RawRequest) -> bytes | None:
        """The same, whoever listens. Raises Problem: 403, 400."""
        layer, context = self._layer, self._layer.context
        started = context.clock()
        photo_request = context.request_parser.read(raw.path, raw.query, raw.accept)
        ready = context.cache.get(photo_request)
        if ready is None:
            return None
        is_same = is_known(ready.etag, raw.if_none_match)
        if ready.body is None and not is_same:
            return None
        request_id = context.request_ids.choose(raw.request_id)
        seconds = context.clock() - started
        announce(
            photo_served,
            layer.app,
            subject=photo_request.subject,
            kind=photo_request.kind,
            status="304" if is_same else "200",
            seconds=seconds,
            was_hit=True,
            method=raw.method,
            request_id=request_id,
        )
        own = _format_own_lines(request_id, seconds)
        if is_same:
            return b"".join((self._begin("304 NOT MODIFIED"), ready.lines_of_304, HIT_LINE, own))
        body = b"" if raw.method == "HEAD" else ready.body or b""
        return b"".join((self._begin("200 OK"), ready.lines, HIT_LINE, own, body))

    def to_bytes(self, reply: Reply) -> bytes:
        """Any other answer that declares its length. Any thread may call this."""
        return b"".join((self._begin(reply.status), to_lines(reply.headers), b"\r\n", reply.body))

    def _begin(self, status: str) -> bytes:
        """The first lines, as gunicorn writes them to a client of HTTP/1.1 that keeps its connection."""
        second, lines = self._begun
        now = int(self._wall_clock())
        if now != second:
            lines = {}
            self._begun = (now, lines)
        if (line := lines.get(status)) is None:
            date = util.http_date(now)
            line = f"HTTP/1.1 {status}\r\nServer: {SERVER}\r\nDate: {date}\r\nConnection: keep-alive\r\n".encode()
            lines[status] = line
        return line


def _format_own_lines(request_id: str, seconds: float) -> bytes:
    """The lines of web/photos/response.py, `list_own_headers`, and the end of the head."""
    milliseconds = f"{seconds * 1000:.1f}"
    return (
        f"{HEADER}: {request_id}\r\nX-Response-Time: {milliseconds}ms\r\n"
        f"Server-Timing: total;dur={milliseconds}\r\n\r\n"
    ).encode()
