"""The grammar of requests that the loop reads itself. Gunicorn's parser reads all others.

A plain request is one GET or HEAD of a photo route in HTTP/1.1, whole, without a body, and nothing after it. The
grammar is strictly smaller than gunicorn's: whatever it accepts, gunicorn accepts, too, and understands it in the same
way. tests/web/server/test_plain_request.py holds that. Two rules for every change:

- What is odd is not plain. A field that is repeated, a name with an underscore, a tab, a byte beyond ASCII, an escape
  in the path: RFC 9110 permits them all, and none is plain.
- A field that can change the framing, the connection or the target is named here, or the request is not plain.
"""

from __future__ import annotations

import os
import re
from typing import Any

from web.photos.request import RawRequest

LINE_MAX = 1000  # characters of the request line
FIELDS_MAX, FIELD_MAX = 50, 4200  # fields, and the characters of each; gunicorn's limits are 100 and 8190
SHAPE = re.compile(
    r"(GET|HEAD) (/api/photos/(?:file|user)/[A-Za-z0-9_-]{1,256})(?:\?([!$-~]{0,600}))? HTTP/1\.1\r"  # no # nor "
    r"(\n(?:[A-Za-z0-9-]{1,64}:[ -~]{0,4096}\r\n){1,50})"
    r"\r\n"
)
FIELD = re.compile(r"\n([A-Za-z0-9-]+):([ -~]*)\r")
# Of a body, of another protocol, of a promise to the client; and what contradicts X-Forwarded-Proto.
NOT_PLAIN = frozenset(
    {
        "content-encoding", "content-length", "content-type", "expect", "http2-settings", "te", "trailer",
        "transfer-encoding", "upgrade", "x-forwarded-protocol", "x-forwarded-ssl",
    }
)  # fmt: skip


def parse_plain(data: bytes) -> RawRequest | None:
    """The request, if these bytes are exactly one plain request."""
    shaped = SHAPE.fullmatch(data.decode("latin-1"))
    if shaped is None:
        return None
    method, path, query, lines = shaped.groups()
    fields = FIELD.findall(lines)
    given = {name.lower(): value.strip(" ") for name, value in fields}
    if len(given) != len(fields) or "host" not in given or not NOT_PLAIN.isdisjoint(given):
        return None
    if given.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    return RawRequest(
        method, path, query or "", given.get("accept", ""), given.get("if-none-match"), given.get("x-request-id")
    )


def permits_the_fast_path(cfg: Any) -> bool:
    """Whether gunicorn with this configuration would answer a plain request as the loop does, and do nothing else."""
    limits = (  # 0: no limit of the line, and for the fields gunicorn's default, which is larger than ours
        (cfg.limit_request_line, LINE_MAX),
        (cfg.limit_request_fields, FIELDS_MAX),
        (cfg.limit_request_field_size, FIELD_MAX),
    )
    return (
        (cfg.protocol, cfg.proxy_protocol, cfg.http2_cleartext, bool(cfg.is_ssl)) == ("http", "off", "off", False)
        and all(limit == 0 or limit >= needed for limit, needed in limits)
        and cfg.keepalive > 0
        and cfg.max_requests == 0  # the loop counts none
        and cfg.accesslog is cfg.statsd_host is None  # nor does it tell gunicorn's own logs
        and all(cfg.settings[hook].get() is cfg.settings[hook].default for hook in ("pre_request", "post_request"))
        and not os.environ.get("SCRIPT_NAME")  # gunicorn would take it from the path
    )
