"""Renders the files named on the command line in 32 threads, as a worker does; prints what that took, as JSON."""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.hostile_pictures import quarters, save, squares_of
from warmer.errors import WarmerError

THREADS = 32  # Procfile
ROUNDS = 6


def read_status_bytes(field: str) -> int:
    """A figure of this process's memory, from proc(5)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def end_of(data: bytes) -> tuple[str, float]:
    """How it ended, and after how many seconds."""
    started = time.monotonic()
    try:
        squares_of(data)
        outcome = "squares"
    except WarmerError as error:
        outcome = type(error).__name__
    return outcome, time.monotonic() - started


def main() -> None:
    pictures = [Path(name).read_bytes() for name in sys.argv[1:]] * ROUNDS
    random.Random(1).shuffle(pictures)  # noqa: S311 - the same order in every run
    squares_of(save(quarters(640, 640), "JPEG"))
    before = read_status_bytes("VmRSS")
    with ThreadPoolExecutor(THREADS) as pool:
        ends = list(pool.map(end_of, pictures))
    print(
        json.dumps(
            {
                "grown_megabytes": (read_status_bytes("VmHWM") - before) / 1e6,
                "kept_megabytes": (read_status_bytes("VmRSS") - before) / 1e6,
                "slowest_seconds": max(seconds for _, seconds in ends),
                "outcomes": Counter(outcome for outcome, _ in ends),
            }
        )
    )


if __name__ == "__main__":
    main()
