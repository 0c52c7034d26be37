"""Requests arrive in pieces, in chunks, or after "100 Continue", and slow readers receive everything."""

from __future__ import annotations

import socket
from typing import IO

import pytest

from tests.support.plain_app import LARGE_BYTES
from tests.support.raw_http import connect, exchange, head, read_answer, read_answers
from tests.web.server.conftest import GET, Server

CHUNKED = "Transfer-Encoding: chunked"


def read_bodies(stream: IO[bytes]) -> list[bytes | None]:
    """Returns the bodies of the next two answers."""
    return [answer.body if answer else None for answer in (read_answer(stream), read_answer(stream))]


@pytest.mark.parametrize(
    ("field", "body"),
    [("Content-Length: 6", b"hello!"), (CHUNKED, b"000000005;x=1\r\nhello\r\n1\r\n!\r\n0\r\nX: 1\r\n\r\n")],
)
def test_a_request_may_arrive_in_pieces(server: Server, field: str, body: bytes) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head("POST /read HTTP/1.1", field) + body + GET:
            client.sendall(bytes([byte]))
        assert read_bodies(stream) == [b"hello!", b"/here"]


@pytest.mark.parametrize(("field", "body"), [("Content-Length: 5", b"hello"), (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n")])
def test_expect_continue_gets_100_before_the_body_and_the_next_request_may_follow(
    server: Server, field: str, body: bytes
) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head("POST /read HTTP/1.1", field, "Expect: 100-continue"))
        assert (asked := read_answer(stream))
        assert asked.status == 100
        client.sendall(body + GET)
        assert read_bodies(stream) == [b"hello", b"/here"]


@pytest.mark.parametrize("fields", [["Content-Length: 5"], ["Transfer-Encoding: chunked"]])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_app_that_reads_no_body_asks_for_none(server: Server, fields: list[str], method: str) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head(f"{method} /here HTTP/1.1", *fields, "Expect: 100-continue"))
        assert (answer := read_answer(stream))
        assert (answer.status, answer.body) == (200, b"/here")


def test_the_words_of_an_expectation_in_a_body_ask_for_nothing(server: Server) -> None:
    body = b"a\nexpect: 100-continue\nb"
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head("POST /read HTTP/1.1", f"Content-Length: {len(body)}") + body)
        assert (answer := read_answer(stream))
        assert (answer.status, answer.body) == (200, body)


def test_a_client_that_reads_late_receives_everything(server: Server) -> None:
    with connect(server.url, receive_buffer=2048) as client, client.makefile("rb") as stream:
        client.sendall(head("GET /large HTTP/1.1") * 9 + head("GET /large HTTP/1.1", "Connection: close"))
        server.assert_answers()
        assert [len(answer.body) for answer in read_answers(stream, ["GET"])] == [LARGE_BYTES] * 10


def test_a_client_that_still_sends_is_not_reset(server: Server) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head("POST /here HTTP/1.1", "Content-Length: 3000000"))
        for _ in range(30):
            client.sendall(bytes(10_000))
        assert stream.read().endswith(b"/here")


def test_a_thread_answers_a_request_whose_chunks_are_malformed_at_once(server: Server) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head("POST /here HTTP/1.1", CHUNKED) + b"zz\r\n")
        assert [answer.body for answer in read_answers(stream, ["POST"])] == [b"/here"]


def test_a_head_that_cannot_be_parsed_gets_a_problem_document(server: Server) -> None:
    [answer] = exchange(server.url, head("GET /here HTTP/1.1", "X A: 1"))
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
