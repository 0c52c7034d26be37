"""A client that sends at a constant rate, whatever the server does, and counts each wait from when its request was due.

wrk sends the next request when an answer arrives, so a server that pauses gets fewer requests, and few of them show
the pause. This client runs in a process of its own and never sleeps: it needs a core.

    python -m benches.paced PORT FILE RATE SECONDS
"""

from __future__ import annotations

import gc
import json
import re
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from benches.clients import ACCEPT
from benches.load import CONNECTIONS, BrokenRound
from benches.results import percentile
from benches.testbed import ROOT, Cores, pinned

LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
READ_BYTES = 65536
GOOD = (b"HTTP/1.1 200", b"HTTP/1.1 304")
PATIENCE = 10.0  # seconds for the last answers


@dataclass(frozen=True)
class Paced:
    """The measurements of one round."""

    rate: float  # requests/s
    p50: float  # ms
    p99: float  # ms


def run(port: int, requests: Path, rate: float, seconds: float, cores: Cores) -> Paced:
    """One round; `requests` is a file of `load.write_requests`. Raises BrokenRound."""
    command = [sys.executable, "-m", "benches.paced", str(port), str(requests), str(rate), str(seconds)]
    environment = {"PYTHONPATH": f"{ROOT / 'scripts'}:{ROOT}"}
    with pinned(cores):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=seconds + 60, check=False
        )
    if done.returncode:
        raise BrokenRound(f"at a constant rate: {done.stderr.strip().splitlines()[-1]}")
    return Paced(**json.loads(done.stdout))


class Connection:
    """One request at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._received = b""

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Returns True once the answer is whole; raises BrokenRound unless it is a good one."""
        data = self.socket.recv(READ_BYTES)
        self._received = received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        if not data or (end >= 0 and not received.startswith(GOOD)):
            raise BrokenRound(f"answered {received[:60]!r}")
        if end < 0:
            return False
        found = LENGTH.search(received, 0, end + 2)
        if len(received) < end + 4 + (int(found[1]) if found else 0):
            return False
        self._received = b""
        return True


def drive(port: int, requests: Iterator[bytes], rate: float, seconds: float) -> Paced:
    """Send for so long; raises BrokenRound."""
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    by_number = {one.socket.fileno(): one for one in connections}
    poller = select.poll()
    for number in by_number:
        poller.register(number, select.POLLIN)
    idle, clock = deque(connections), time.perf_counter
    waits: list[float] = []
    started, sent, wanted = clock(), 0, round(rate * seconds)
    while len(waits) < wanted:
        now = clock()
        while idle and sent < wanted and (due := started + sent / rate) <= now:
            idle.popleft().send(next(requests), due)
            sent += 1
        for number, _ in poller.poll(0):
            connection = by_number[number]
            if connection.receive():
                waits.append(clock() - connection.due)
                idle.append(connection)
        if now > started + seconds + PATIENCE:
            raise BrokenRound("the last answers are missing")
    for connection in connections:
        connection.socket.close()
    return Paced(len(waits) / seconds, percentile(waits, 50) * 1000, percentile(waits, 99) * 1000)


def read_requests(file: Path) -> list[bytes]:
    """The requests of a file of `load.write_requests`."""
    found = []
    for path, _, etag in (line.partition(" ") for line in file.read_text().splitlines()):
        known = f"If-None-Match: {etag}\r\n" if etag else ""
        found.append(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {ACCEPT['Accept']}\r\n{known}\r\n".encode())
    return found


if __name__ == "__main__":
    gc.disable()  # nothing here makes circles
    listed = cycle(read_requests(Path(sys.argv[2])))
    print(json.dumps(vars(drive(int(sys.argv[1]), listed, float(sys.argv[3]), float(sys.argv[4])))))
