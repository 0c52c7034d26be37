"""Hundreds of slow clients at once against the whole service: they delay no other client."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

from tests.conftest import API_KEY, wait_until
from tests.support.faults import LEASE_DEADLINE, open_bystander
from tests.support.raw_http import connect, head
from tests.support.running import Service
from tests.support.web_parts import warm_picture

BYSTANDER_ANSWERS = 50  # while the slow clients hold their connections
LINE, FIELDS = "PUT /api/partner/5 HTTP/1.1", ["Content-Type: application/json", "Content-Length: 1000"]
FILE = head("GET /static/lazy-image.js HTTP/1.1")
# More of each kind than all processes have threads: how many, what they send at once, and then byte by byte.
IMPATIENT: list[tuple[int, bytes, bytes]] = [
    (200, b"GET /healthz HTTP/1.1\r\n", b"X-Slow: " + b"a" * 1000),
    (50, b"", b""),
    (50, head(LINE, f"Authorization: Bearer {API_KEY}", *FIELDS), b" " * 900),
    (50, head(LINE, *FIELDS), b" " * 900),
]
READERS = (50, FILE * 80, FILE * 10)  # they read a byte at a time, so the service may keep them


class SlowClient:
    """Sends some bytes at once, then one byte per step; may also read one byte per step."""

    def __init__(self, sock: socket.socket, at_once: bytes, then: bytes, *, reads: bool) -> None:
        self.sock, self.then, self.reads = sock, iter(then), reads
        self.is_cut_off = False
        sock.settimeout(0)
        sock.send(at_once)

    def step(self) -> None:
        """Send a byte, read a byte, notice a closed connection."""
        try:
            if not self.is_cut_off and (byte := next(self.then, None)) is not None:
                self.sock.send(bytes([byte]))
            if self.sock.recv(1, 0 if self.reads else socket.MSG_PEEK) == b"":
                self.is_cut_off = True
        except BlockingIOError:
            pass
        except (ConnectionResetError, BrokenPipeError):
            self.is_cut_off = True


def step_all(clients: list[SlowClient]) -> bool:
    """Take a step of each client; the pause makes them slow."""
    for client in clients:
        client.step()
    time.sleep(1)
    return True


def test_hundreds_of_slow_clients_delay_no_other_client_and_are_cut_off(service: Service) -> None:
    picture = warm_picture(service)

    def gather(number: int, at_once: bytes, then: bytes, *, reads: bool = False) -> list[SlowClient]:
        socks = [opened.enter_context(connect(service.url, receive_buffer=2048 * reads)) for _ in range(number)]
        return [SlowClient(sock, at_once, then, reads=reads) for sock in socks]

    with ExitStack() as opened, open_bystander(service.url, "/healthz", picture) as bystander:
        impatient = [client for kind in IMPATIENT for client in gather(*kind)]
        clients = [*impatient, *gather(*READERS, reads=True)]
        before = len(bystander.answers)
        wait_until(lambda: step_all(clients) and len(bystander.answers) >= before + BYSTANDER_ANSWERS, LEASE_DEADLINE)
        wait_until(lambda: step_all(clients) and all(client.is_cut_off for client in impatient), LEASE_DEADLINE)
    bystander.check_served()
