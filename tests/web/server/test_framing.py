"""A request ends where gunicorn's parser ends it. The examples are the same in every run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import strategies as st

from tests.support.raw_http import head
from tests.support.thorough import bounded
from web.problems import MAX_BODY_BYTES
from web.server.framing import count_body_bytes, find_next_chunk

CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ([], 0),
        (["Content-Length: 5"], 5),
        (["content-length:5"], 5),
        (["X: 1", "CONTENT-LENGTH:\t65536 ", "X: 2"], 65536),
        (["Content-Length: 65537"], 0),
        (["Content-Length: 0000000005"], 5),
        ([f"Content-Length: {'0' * 5000}5"], 0),
        (["Content-Length: 5", "Expect: 100-continue"], 0),
        (["Content-Length: +5"], 0),
        (["Content-Length: 5, 5"], 0),
        ([f"Content-Length: {'9' * 5000}"], 0),
        (["X-Content-Length: 5"], 0),
    ],
)
def test_the_server_gathers_a_body_that_arrives_unasked_and_is_small_enough(fields: list[str], number: int) -> None:
    assert count_body_bytes(head("POST / HTTP/1.1", *fields)) == number


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", (0, False)),
        (b"5", (0, False)),
        (b"5\r\nhello", (0, False)),
        (b"5\r\nhello\r\n", (10, False)),
        (b"5\r\nhello\r\n0\r\n", (10, False)),
        (b"5\r\nhello\r\n0\r\n\r\nGET", (15, True)),
        (b"000000005\r\nhello\r\n0\r\n\r\n", (23, True)),
        (b"fffffffff\r\n", (0, False)),
        (b"A \t;a=b\r\n0123456789\r\n000\r\nX: 1\r\n\r\n", (34, True)),
    ],
)
def test_the_end_of_a_body_in_chunks_is_found(data: bytes, found: tuple[int, bool]) -> None:
    assert find_next_chunk(data, 0) == found


class Incomplete(Exception):
    """Gunicorn wants more than there is."""


def read_chunks_as_gunicorn(data: bytes) -> int | None:
    """Returns the end of the body, None if it is incomplete. Raises ParseException."""

    def arrive() -> Iterator[bytes]:
        yield head("POST / HTTP/1.1", CHUNKED) + data
        raise Incomplete

    parser = RequestParser(Config(), arrive(), ("127.0.0.1", 40_000))
    request = next(parser)
    try:
        request.body.read()
    except Incomplete:
        return None
    return len(data) - len(parser.unreader.take_buffered())


sizes = st.sampled_from(
    [b"5", b"0", b"00", b"000000005", b"0000000000000", b"5 ", b"fffffffff", b"A", b"a", b"-5", b""]
)
extensions = st.sampled_from([b"", b"", b";a", b" ;\ta=b", b';a="b;\\"c"', b";", b"; a b", b";\r", b" ", b";a" * 5000])
ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"", b"!\r\n"])
payloads = st.sampled_from([b"hello", b"0123456789", b"\r\n\r\n\r", b""])
trailers = st.sampled_from([b"", b"", b"X: 1\r\n", b"X: 1\n", b"Y: 2\r\nX: 1\r\n", b"X"])
chunks = st.builds(lambda *parts: b"".join(parts), sizes, extensions, ends, payloads, ends)
bodies_in_chunks = st.builds(
    lambda parts, *rest: b"".join([*parts, *rest]), st.lists(chunks, max_size=3), sizes, ends, trailers, ends, payloads
)


@bounded(500, 10_000)
@given(st.one_of(bodies_in_chunks, st.binary(max_size=40)), st.integers(0, 60))
def test_a_body_in_chunks_ends_where_gunicorn_ends_it_however_it_arrives(data: bytes, first: int) -> None:
    try:
        at, is_last = find_next_chunk(data[:first], 0)
        if not is_last:
            at, is_last = find_next_chunk(data, at)
    except ValueError:
        with pytest.raises(ParseException):
            read_chunks_as_gunicorn(data)
        return
    try:
        end = read_chunks_as_gunicorn(data)
    except ParseException:
        assert is_last  # gunicorn alone reads the trailers
    else:
        assert end == (at if is_last else None)


@bounded(300, 5000)
@given(st.from_regex(rb"[ \t]{0,2}[0-9,+\xb2]{0,9}[ \t]{0,2}", fullmatch=True))
def test_the_length_of_a_body_is_what_gunicorn_reads(value: bytes) -> None:
    data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:" + value + b"\r\n\r\n"
    try:
        length = next(RequestParser(Config(), iter([data]), ("127.0.0.1", 40_000))).body.reader.length
    except ParseException:
        length = 0
    assert count_body_bytes(data) == (length if length <= MAX_BODY_BYTES else 0)


@pytest.mark.parametrize("data",
    [
        b"zz\r\n", b"\r\n", b"-1\r\n", b"5 \r\n", b"5;\r\n", b"5;a\n\r\n", b"5\r\nhello!!0\r\n\r\n", b"0\r\nX: 1\n",
        b"1;" + b"a" * 9000,
    ],
)  # fmt: skip
def test_what_is_no_chunk_is_waited_for_no_longer(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"chunk|trailers"):
        find_next_chunk(data, 0)
