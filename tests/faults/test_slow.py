"""Hundreds of slow clients at once against the whole service: they delay no other client."""

from __future__ import annotations

import socket
import time
from itertools import repeat

from tests.conftest import API_KEY, wait_until
from tests.support.faults import open_bystander
from tests.support.raw_http import connect, head
from tests.support.running import Service
from tests.support.web_parts import warm_picture

BYSTANDER_ANSWERS = 50  # while the slow clients hold their connections
CUT_OFF_SECONDS = 150.0  # ten times the expected duration
GONE = (ConnectionResetError, BrokenPipeError)


class SlowClient:
    """Sends some bytes at once, then one byte per step; may also read one byte per step."""

    def __init__(self, url: str, at_once: bytes, then: bytes = b"", *, reads: bool = False) -> None:
        self.sock = connect(url, receive_buffer=2048 if reads else 0)
        self.sock.settimeout(0)
        self.then = iter(then)
        self.reads = reads
        self.is_cut_off = False
        if at_once:
            self.sock.send(at_once)

    def step(self) -> None:
        """Send a byte, read a byte, notice a closed connection."""
        try:
            if not self.is_cut_off and (byte := next(self.then, None)) is not None:
                self.sock.send(bytes([byte]))
            if self.sock.recv(1, 0 if self.reads else socket.MSG_PEEK) == b"":
                self.is_cut_off = True
        except BlockingIOError:
            pass
        except GONE:
            self.is_cut_off = True


def gather_slow_clients(url: str) -> list[SlowClient]:
    """Open enough slow clients of each kind to block every thread of every process twice."""
    line, fields = "PUT /api/partner/5 HTTP/1.1", ["Content-Type: application/json", "Content-Length: 1000"]
    as_server = f"Authorization: Bearer {API_KEY}"
    get = head("GET /static/lazy-image.js HTTP/1.1")
    kinds: list[tuple[int, bytes, bytes, bool]] = [
        (200, b"GET /healthz HTTP/1.1\r\n", b"X-Slow: " + b"a" * 100, False),
        (50, b"", b"", False),
        (50, head(line, as_server, *fields), b" " * 100, False),
        (50, head(line, *fields), b" " * 100, False),
        (50, get * 80, get * 80, True),
    ]
    return [
        SlowClient(url, at_once, then, reads=reads)
        for number, at_once, then, reads in kinds
        for _ in repeat(None, number)
    ]


def test_hundreds_of_slow_clients_delay_no_other_client_and_are_cut_off(service: Service) -> None:
    picture = warm_picture(service)
    with open_bystander(service.url, "/healthz", picture) as bystander:
        clients = gather_slow_clients(service.url)
        before = len(bystander.answers)
        while len(bystander.answers) < before + BYSTANDER_ANSWERS:
            step_all(clients)
    assert {answer.status for answer in bystander.answers} == {200}
    impatient = [client for client in clients if not client.reads]
    wait_until(lambda: step_all(clients) and all(client.is_cut_off for client in impatient), CUT_OFF_SECONDS)
    for client in clients:
        client.sock.close()


def step_all(clients: list[SlowClient]) -> bool:
    """Take one step of each client per second; the pause makes them slow."""
    next_at = time.monotonic() + 1
    for client in clients:
        client.step()
    time.sleep(max(next_at - time.monotonic(), 0))
    return True
