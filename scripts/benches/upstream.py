"""The fake Telegram of a measurement, in its own process: two dozen drawn faces under thousands of file ids.

Each face is a JPEG of 640 by 640 pixels and about 75 KB. A call takes 50 ms, the first on a new connection 150 ms.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

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

    def take(self, number: int) -> list[str]:
        """Take `number` unused file ids; raises LookupError if too few are left."""
        taken = list(islice(self._unused, number))
        if len(taken) < number:
            raise LookupError("the fake Telegram has too few pictures for this measurement")
        self.taken += number
        return taken

    def count_calls(self) -> int:
        """The calls for pictures so far: getFile and downloads."""
        calls = requests.get(f"{self.url}/_fake/calls", timeout=5).json()
        return int(calls.get("getFile", 0) + calls.get("download", 0))


def start_upstream(testbed: Testbed, number: int) -> Upstream:
    """Start it with `number` file ids, and put its URL into the testbed's environment."""
    listing = testbed.folder / "upstream.json"
    program = [sys.executable, "-m", "benches.upstream", testbed.environment["TELEGRAM_BOT_TOKEN"], str(number)]
    testbed.start([*program, str(listing)], PYTHONPATH=str(ROOT / "scripts"))
    wait_for("the fake Telegram", listing.exists)
    known = json.loads(listing.read_text())
    testbed.environment["TELEGRAM_API_URL"] = known["url"]
    return Upstream(known["url"], iter(known["file_ids"]))


def main(token: str, number: int, listing: Path) -> None:
    """Serve until SIGTERM; write URL and file ids to `listing` once it answers."""
    faces = [pictures.drawn(f"face {position}")[640] for position in range(FACES)]
    with FakeTelegram(token, latency=LATENCY, connect_latency=CONNECT_LATENCY) as fake:
        file_ids = [fake.world.add_file(faces[position % FACES]) for position in range(number)]
        draft = listing.with_suffix(".draft")
        draft.write_text(json.dumps({"url": fake.url, "file_ids": file_ids}))
        draft.rename(listing)  # appears complete
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # before any thread starts
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
