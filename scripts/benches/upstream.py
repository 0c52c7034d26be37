"""The fake Telegram of a measurement, in its own process: two dozen drawn faces under thousands of file ids.

Each face is a JPEG of 640 by 640 pixels and about 75 KB. A call takes 50 ms, the first on a new connection 150 ms.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psutil
import requests

from benches.testbed import ROOT, Testbed, wait_for
from faketelegram import FakeTelegram, pictures

FACES = 24
LATENCY, CONNECT_LATENCY = 0.05, 0.1  # seconds


@dataclass
class Upstream:
    """The fake Telegram of a testbed."""

    url: str
    _unused: Iterator[str]
    taken: int = 0  # file ids
    processes: list[psutil.Process] = field(default_factory=list)  # its own; none if it runs in this one

    def take(self, number: int) -> list[str]:
        """Take `number` unused file ids; raises LookupError if too few are left."""
        taken = list(islice(self._unused, number))
        if len(taken) < number:
            raise LookupError("the fake Telegram has too few pictures for this measurement")
        self.taken += number
        return taken

    def count_each(self) -> tuple[int, int]:
        """The calls of getFile and the downloads so far."""
        calls = requests.get(f"{self.url}/_fake/calls", timeout=5).json()
        return int(calls.get("getFile", 0)), int(calls.get("download", 0))

    def count_calls(self) -> int:
        """The calls for pictures so far."""
        return sum(self.count_each())

    def time_alone(self, session: requests.Session, token: str) -> float:
        """The seconds of getFile and download of another picture, on a keep-alive connection."""
        [file_id] = self.take(1)
        started = time.perf_counter()
        answer = session.get(f"{self.url}/bot{token}/getFile", params={"file_id": file_id}, timeout=10).json()
        session.get(f"{self.url}/file/bot{token}/{answer['result']['file_path']}", timeout=10).raise_for_status()
        return time.perf_counter() - started


def start_upstream(testbed: Testbed, number: int, latency: float = LATENCY) -> Upstream:
    """Start it with `number` file ids, and put its URL into the testbed's environment. `latency`: seconds of a call."""
    listing = testbed.folder / "upstream.json"
    program = [sys.executable, "-m", "benches.upstream", testbed.environment["TELEGRAM_BOT_TOKEN"], str(number)]
    process = testbed.start([*program, str(latency), str(listing)], PYTHONPATH=str(ROOT / "scripts"))
    wait_for("the fake Telegram", listing.exists)
    known = json.loads(listing.read_text())
    testbed.environment["TELEGRAM_API_URL"] = known["url"]
    return Upstream(known["url"], iter(known["file_ids"]), processes=[process])


def main(token: str, number: int, latency: float, listing: Path) -> None:
    """Serve until SIGTERM; write URL and file ids to `listing` once it answers."""
    faces = [pictures.drawn(f"face {position}")[640] for position in range(FACES)]
    with FakeTelegram(token, latency=latency, connect_latency=CONNECT_LATENCY) as fake:
        file_ids = [fake.world.add_file(faces[position % FACES]) for position in range(number)]
        draft = listing.with_suffix(".draft")
        draft.write_text(json.dumps({"url": fake.url, "file_ids": file_ids}))
        draft.rename(listing)  # appears complete
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # before any thread starts
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
