"""Hits in the server's loop: a plain request whose answer is in memory costs no thread and no second parse.

The answer has the bytes of the ordinary way, through gunicorn and web/photos/app.py, and leaves the same log line and
figures. Every other request takes the ordinary way, with the bytes already read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from gunicorn import SERVER, util
from gunicorn.config import Config

from warmer.request_id import HEADER
from web.photos.app import PhotoLayer
from web.photos.cache import to_lines
from web.photos.request import ListRequest, PhotoRequest, RawRequest
from web.photos.response import HIT, Reply, is_known
from web.server.plain_request import FIELD_MAX, FIELDS_MAX, LINE_MAX
from web.signals import announce, has_foreign_receivers, photo_served

HIT_LINE = to_lines([HIT])
# Settings of gunicorn that decide how it reads or refuses a plain request, or what else it does for one.
AS_BY_DEFAULT = (
    "protocol", "proxy_protocol", "http2_cleartext", "http_parser",
    "secure_scheme_headers", "forwarder_headers", "header_map", "strip_header_spaces", "casefold_http_method",
    "permit_obsolete_folding", "permit_unconventional_http_method", "permit_unconventional_http_version",
    "max_requests", "pre_request", "post_request",
    "accesslog", "statsd_host", "logger_class", "logconfig", "logconfig_json",
)  # fmt: skip


class Miss(NamedTuple):
    """A valid request whose answer is not in memory."""

    raw: RawRequest
    photo_request: PhotoRequest


class FastPath:
    """Answers plain requests."""

    def __init__(self, layer: PhotoLayer, wall_clock: Callable[[], float] = time.time) -> None:
        """`wall_clock`: Unix time, in seconds."""
        self._layer = layer
        self._wall_clock = wall_clock
        self._begun: tuple[int, dict[str, bytes]] = (0, {})  # the first lines by status, of this second

    def find(self, raw: RawRequest | ListRequest) -> bytes | Miss | None:
        """Return the whole answer, or a Miss if it is not in memory. Returns None if a thread must answer.

        Never raises: an exception in the loop ends the process.
        """
        try:
            if isinstance(raw, ListRequest):
                reply = self._layer.find_list(raw)
                return None if reply is None else self.to_bytes(reply)
            return None if has_foreign_receivers(photo_served) else self.answer(raw)
        except Exception:  # noqa: BLE001 - the ordinary way meets it, too: it answers 403, 400 or 500, and logs it
            return None

    def answer(self, raw: RawRequest) -> bytes | Miss:
        """As `find`, without the check for receivers of a user's own. Raises Problem: 403, 400."""
        layer, context = self._layer, self._layer.context
        started = context.clock()
        photo_request = context.request_parser.read(raw.path, raw.query, raw.accept)
        ready = context.cache.get(photo_request)
        if ready is None:
            return Miss(raw, photo_request)
        is_same = is_known(ready.etag, raw.if_none_match)
        if ready.body is None and not is_same:
            return Miss(raw, photo_request)
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
            return b"".join((self._format_first_lines("304 NOT MODIFIED"), ready.lines_of_304, HIT_LINE, own))
        body = b"" if raw.method == "HEAD" else ready.body or b""
        return b"".join((self._format_first_lines("200 OK"), ready.lines, HIT_LINE, own, body))

    def to_bytes(self, reply: Reply) -> bytes:
        """Any other answer that declares its length. Any thread may call this."""
        return b"".join((self._format_first_lines(reply.status), to_lines(reply.headers), b"\r\n", reply.body))

    def _format_first_lines(self, status: str) -> bytes:
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


def permits_the_fast_path(cfg: Any) -> bool:
    """Returns True if gunicorn with this configuration would answer a plain request as the loop does, and no more.

    At the level `debug` gunicorn also logs the line of each request; for those that the loop answers it does not.
    """
    limits = (  # 0: no limit of the line, and for the fields gunicorn's default, which is larger than ours
        (cfg.limit_request_line, LINE_MAX),
        (cfg.limit_request_fields, FIELDS_MAX),
        (cfg.limit_request_field_size, FIELD_MAX),
    )
    defaults = Config().settings
    return (
        all(cfg.settings[name].get() == defaults[name].get() for name in AS_BY_DEFAULT)
        and not cfg.is_ssl
        and all(limit == 0 or limit >= needed for limit, needed in limits)
        and cfg.keepalive > 0
        and (cfg.disable_redirect_access_to_syslog or not cfg.syslog)
        and not os.environ.get("SCRIPT_NAME")  # gunicorn would take it from the path
    )
