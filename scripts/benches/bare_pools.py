"""A worker's steps in plain thread pools, fed from a list: without Celery, broker and web tier."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import IO, cast

from benches.testbed import ROOT, Testbed
from warmer.deadline import JobContext
from warmer.flow.warm import warm_photo
from warmer.wiring import get_worker_context


class BarePools:
    """Thread pools in processes, as many of both as the workers have."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self.processes = processes

    def warm(self, file_ids: Sequence[str]) -> None:
        """Warm these, an equal share per process; raises ValueError unless all of them are stored."""
        for number, process in enumerate(self.processes):
            share = file_ids[number :: len(self.processes)]
            print(json.dumps(share), file=cast(IO[str], process.stdin), flush=True)
        done = sum(int(cast(IO[str], process.stdout).readline() or 0) for process in self.processes)
        if done != len(file_ids):
            raise ValueError(f"the bare thread pools warmed {done} of {len(file_ids)} pictures")


@contextmanager
def bare_pools(testbed: Testbed, processes: int, threads: int) -> Iterator[BarePools]:
    """Start the pools, and end them with the block: each ends with its input."""
    command = [sys.executable, "-m", "benches.bare_pools", str(threads)]
    environment = testbed.environment | {"PYTHONPATH": str(ROOT / "scripts")}
    with ExitStack() as stack:
        log = stack.enter_context((testbed.folder / "bare_pools.log").open("a"))
        pools = []
        for _ in range(processes):
            pool = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, start_new_session=True,
            )  # fmt: skip
            pools.append(stack.enter_context(pool))
        yield BarePools(pools)


def main(threads: int) -> None:
    """Read a JSON list of file ids per line; answer with the number that are stored."""
    context = get_worker_context()

    def warm(file_id: str) -> str:
        return str(warm_photo(file_id, JobContext.start("warm", context.settings.photo_wait), context.steps))

    with ThreadPoolExecutor(threads) as pool:
        for line in sys.stdin:
            print(list(pool.map(warm, json.loads(line))).count("done"), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
