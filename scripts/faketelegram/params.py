"""A request's parameters, in the query, as a form, as JSON, or as multipart."""

import email.parser
import email.policy
import json
import re
from collections.abc import Mapping
from email.message import EmailMessage
from io import BufferedIOBase
from urllib.parse import parse_qsl

MAX_BODY = 20 * 1024 * 1024  # bytes


class Params(dict[str, str]):
    """Parameters as texts, and the uploaded files by the names of their parts."""

    def __init__(self, texts: Mapping[str, str], uploads: Mapping[str, bytes] | None = None) -> None:
        super().__init__(texts)
        self.uploads = dict(uploads or {})


class UnreadableBodyError(ValueError):
    """The body does not match its headers."""


def read_body(headers: Mapping[str, str], stream: BufferedIOBase) -> bytes:
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return _unchunked(stream)
    length = headers.get("Content-Length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY:
        raise UnreadableBodyError("Content-Length")
    return stream.read(int(length))


def _unchunked(stream: BufferedIOBase) -> bytes:
    body = b""
    while True:
        try:
            size = int(stream.readline(100).split(b";")[0], 16)
        except ValueError as error:
            raise UnreadableBodyError("chunk size") from error
        if not 0 <= size <= MAX_BODY - len(body):
            raise UnreadableBodyError("chunk size")
        body += stream.read(size)
        ending = stream.readline(100)
        while size == 0 and ending not in (b"\r\n", b"\n", b""):  # trailers
            ending = stream.readline(65_536)
        if size == 0:
            return body


def parse_params(query: str, content_type: str, body: bytes) -> Params:
    """All parameters; the body wins over the query."""
    given = Params(dict(parse_qsl(query, keep_blank_values=True)))
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        given.update(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    elif kind == "application/json":
        given.update(_from_json(body))
    elif kind == "multipart/form-data":
        _add_multipart(given, content_type, body)
    return given


def _from_json(body: bytes) -> dict[str, str]:
    try:
        values = json.loads(body or b"{}")
    except ValueError as error:
        raise UnreadableBodyError("JSON") from error
    if not isinstance(values, dict):
        raise UnreadableBodyError("JSON")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _add_multipart(given: Params, content_type: str, body: bytes) -> None:
    parser = email.parser.BytesParser(_class=EmailMessage, policy=email.policy.HTTP)
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = parser.parsebytes(head + body)
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        if isinstance(name, str) and part.get_filename() is None:
            given[name] = data.decode(errors="replace")
        elif isinstance(name, str):
            given.uploads[name] = data


def leading_number(value: str) -> int:
    """Read a number as the real server does: leading digits count, anything else is 0."""
    digits = re.match(r"-?[0-9]{1,18}", value)
    return int(digits[0]) if digits else 0
