"""Finds where a request ends, so that threads seldom wait for the rest. Gunicorn alone parses it.

Every answer here is gunicorn's own: tests/web/server/test_framing.py holds that.
"""

from __future__ import annotations

import re

from gunicorn.http.body import CHUNK_EXT_RE, DEFAULT_MAX_CHUNK_SIZE_LINE

from web.problems import MAX_BODY_BYTES

HEAD_END = re.compile(rb"\n\r?\n")  # a bare line feed is invalid, and refused at once
LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]+)[ \t]*\r?\n", re.IGNORECASE)
EXPECTS = re.compile(rb"\nexpect:[^\n]*(?=\n)", re.IGNORECASE)  # the client sends its body after "100 Continue"
CHUNKED = re.compile(rb"\ntransfer-encoding:", re.IGNORECASE)
CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]+)" + CHUNK_EXT_RE.pattern)


def find_next_chunk(received: bytes | bytearray, at: int) -> tuple[int, bool]:
    """Go on from a chunk that starts at `at`. Returns the start of the first incomplete chunk, or the end of the body.

    The flag says which of the two. Raises ValueError if this is no chunk; gunicorn then refuses it, too.
    """
    while (line_end := received.find(b"\r\n", at)) >= 0:
        size = CHUNK_SIZE.fullmatch(received, at, line_end)
        if size is None:
            raise ValueError("no size of a chunk")
        data_at, length = line_end + 2, int(size[1], 16)
        if length == 0:
            end = _find_end_of_trailers(received, data_at)
            return (end, True) if end else (at, False)
        data_end = data_at + length
        if data_end + 2 > len(received):
            return at, False
        if received[data_end : data_end + 2] != b"\r\n":
            raise ValueError("no end of a chunk")
        at = data_end + 2
    if len(received) - at > DEFAULT_MAX_CHUNK_SIZE_LINE:
        raise ValueError("the size of a chunk has no end")
    return at, False


def _find_end_of_trailers(received: bytes | bytearray, at: int) -> int:
    """Returns the end of the trailers that start at `at`, 0 if it has not arrived. Raises ValueError."""
    if received.startswith(b"\r\n", at):  # there are none
        return at + 2
    if (end := received.find(b"\r\n\r\n", at)) >= 0:
        return end + 4
    if received.count(b"\n", at) != received.count(b"\r\n", at):
        raise ValueError("a bare line feed in the trailers")
    return 0


def count_body_bytes(head: bytes | bytearray) -> int:
    """Return the length of the body that follows at once. Returns 0 for none, and for one too long to be read."""
    length = LENGTH.search(head)
    if length is None or EXPECTS.search(head):
        return 0
    try:
        number = int(length[1])
    except ValueError:  # thousands of digits, which gunicorn refuses, too
        return 0
    return number if number <= MAX_BODY_BYTES else 0
