"""Renders the files of the command line repeatedly in 32 threads, like a worker.

Prints the outcomes and the memory as JSON. Threads wait for their turn without a limit, since the number of postponed
ones depends on the machine.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.hostile_pictures import quarters, save, squares_of
from warmer.errors import WarmerError
from warmer.images import memory

THREADS = 32  # Procfile
TIMEOUT_SECONDS = 600.0


def read_status_bytes(field: str) -> int:
    """Returns a memory figure of this process, from proc(5)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def find_outcome(data: bytes) -> str:
    """Render the picture. Returns the outcome by name."""
    try:
        squares_of(data)
    except WarmerError as error:
        return type(error).__name__
    return "squares"


def main() -> None:
    rounds, *names = sys.argv[1:]
    pictures = [Path(name).read_bytes() for name in names] * int(rounds)
    memory.TIMEOUT_SECONDS = TIMEOUT_SECONDS
    random.Random(1).shuffle(pictures)  # noqa: S311 - the same order in every run
    squares_of(save(quarters(640, 640), "JPEG"))
    before = read_status_bytes("VmRSS")
    with ThreadPoolExecutor(THREADS) as pool:
        ends = list(pool.map(find_outcome, pictures))
    print(
        json.dumps(
            {
                "grown_megabytes": (read_status_bytes("VmHWM") - before) / 1e6,
                "kept_megabytes": (read_status_bytes("VmRSS") - before) / 1e6,
                "outcomes": Counter(ends),
            }
        )
    )


if __name__ == "__main__":
    main()
