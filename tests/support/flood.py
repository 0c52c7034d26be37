"""A load in its own process: GETs at a rate over several connections, and their results.

    python -m tests.support.flood URLS CONNECTIONS RATE SECONDS

URLS is a file with one URL per line, requested in turn. Each connection has one request at a time; a connection that
is still waiting at its next time sends as soon as it can. Prints JSON: statuses, p50 and p99 in seconds, rate.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit


class Load:
    """The state that all connections share."""

    def __init__(self, urls: list[str], connections: int, rate: float, seconds: float) -> None:
        self.paths = cycle([url.partition("/api/")[2] for url in urls])
        place = urlsplit(urls[0])
        self.host, self.port = str(place.hostname), int(place.port or 80)
        self.connections, self.pause, self.seconds = connections, connections / rate, seconds
        self.statuses: Counter[str] = Counter()
        self.took: list[float] = []

    async def run(self) -> None:
        """Run all connections, started one after another so that they do not send at the same instant."""
        started = time.monotonic()
        turns = [self._ask_on(started + self.pause * number / self.connections) for number in range(self.connections)]
        await asyncio.gather(*turns)

    def to_json(self) -> str:
        cuts = quantiles(self.took, n=100)
        rate = len(self.took) / self.seconds
        return json.dumps({"statuses": self.statuses, "p50": cuts[49], "p99": cuts[98], "rate": rate})

    async def _ask_on(self, due: float) -> None:
        end, writer = due + self.seconds, None
        while (now := time.monotonic()) < end:
            await asyncio.sleep(max(0.0, due - now))
            if writer is None:
                reader, writer = await asyncio.open_connection(self.host, self.port)
            started = time.monotonic()
            try:
                writer.write(
                    f"GET /api/{next(self.paths)} HTTP/1.1\r\nHost: {self.host}\r\nAccept: image/webp\r\n\r\n".encode()
                )
                status = await self._read(reader)
            except (OSError, asyncio.IncompleteReadError):
                status, writer = "broken", None
            self.statuses[status] += 1
            self.took.append(time.monotonic() - started)
            due = max(due + self.pause, time.monotonic())
        if writer:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> str:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length:"))
        await reader.readexactly(int(length.partition(":")[2]))
        return head.split()[1]


def main(urls: str, connections: str, rate: str, seconds: str) -> None:
    """Run the load and print its results."""
    load = Load(Path(urls).read_text().split(), int(connections), float(rate), float(seconds))
    asyncio.run(load.run())
    print(load.to_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
