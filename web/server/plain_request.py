"""The grammar of requests that the loop reads itself. Gunicorn's parser reads all others.

A plain request is one GET or HEAD of a photo route or of the list in HTTP/1.1, whole, without a body, and nothing after
it. The grammar is strictly smaller than gunicorn's: whatever it accepts, gunicorn accepts, too, and understands it in
the same way. tests/web/server/test_plain_request.py holds that. Two rules for every change:

- What is odd is not plain. A field that is repeated, a name with an underscore, a tab, a byte beyond ASCII, an escape
  in the path: RFC 9110 permits them all, and none is plain.
- A field that can change the framing, the connection or the target is named here, or the request is not plain.
"""

from __future__ import annotations

import re

from web.photos.request import LIST_PATH, PRIVATE_NETWORK, REMEMBERED_CHARACTERS, ListRequest, RawRequest

# Characters of path, query and, for a picture, Accept: a longer request takes long to read, and is read each time.
TARGET_MAX = REMEMBERED_CHARACTERS
ETAGS_MAX = 200  # characters of If-None-Match; a longer list takes long, too
NAME_MAX, VALUE_MAX, FIELDS_MAX = 64, 4096, 50  # characters of a field, and fields
# What gunicorn must permit: its limits are 4094, 100 and 8190.
LINE_MAX, FIELD_MAX = len("HEAD  HTTP/1.1\r\n") + TARGET_MAX + 1, NAME_MAX + VALUE_MAX + len(":\r\n")
SHAPE = re.compile(  # the query: no # and no "
    rf"(GET|HEAD) (/api/photos/(?:file|user)/[A-Za-z0-9_-]{{1,256}}|{LIST_PATH})"
    rf"(?:\?([!$-~]{{0,{TARGET_MAX}}}))? HTTP/1\.1\r"
    rf"(\n(?:[A-Za-z0-9-]{{1,{NAME_MAX}}}:[ -~]{{0,{VALUE_MAX}}}\r\n){{1,{FIELDS_MAX}}})"
    r"\r\n"
)
FIELD = re.compile(r"\n([A-Za-z0-9-]+):([ -~]*)\r")
# Fields that announce a body, another protocol or 100 Continue, those that can contradict X-Forwarded-Proto, and one
# that changes headers.
NOT_PLAIN = frozenset(
    {
        "content-encoding", "content-length", "content-type", "expect", "http2-settings", "te", "trailer",
        "transfer-encoding", "upgrade", "x-forwarded-protocol", "x-forwarded-ssl", PRIVATE_NETWORK.lower(),
    }
)  # fmt: skip


def parse_plain(data: bytes) -> RawRequest | ListRequest | None:
    """Return the request. Returns None unless these bytes are exactly one plain request."""
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
    query = query or ""
    target_length = len(path) + len(query)
    if path == LIST_PATH:
        if target_length > TARGET_MAX:
            return None
        return ListRequest(
            method,
            query,
            given.get("authorization", ""),
            given.get("origin"),
            given.get("accept-encoding"),
            given.get("x-request-id"),
        )
    accept, etags = given.get("accept", ""), given.get("if-none-match")
    if target_length + len(accept) > TARGET_MAX or len(etags or "") > ETAGS_MAX:
        return None
    return RawRequest(method, path, query, accept, etags, given.get("x-request-id"))
