"""Many clients that each send one request and wait, in a process of their own.

    python -m benches.parked PORT FILE NUMBER

It says `parked` when all have sent theirs; then, for each line that it reads, how many answers have come. It ends with
its input.
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import IO, cast

from benches.load import BrokenRound
from benches.paced import read_requests
from benches.testbed import ROOT, Cores, pinned
from warmer.open_files import raise_open_files_limit_or_exit

TIMEOUT = 10  # seconds
SPARE_FILES = 100  # that the process has open besides its connections


class Crowd:
    """The clients of a running process."""

    def __init__(self, questions: IO[str], answers: IO[str]) -> None:
        self._questions, self._answers = questions, answers
        if self._answers.readline().strip() != "parked":
            raise BrokenRound("the waiting clients could not connect")

    def count_answered(self) -> int:
        """How many have got something."""
        print("how many", file=self._questions, flush=True)
        return int(self._answers.readline())


@contextmanager
def park(port: int, requests: Path, number: int, cores: Cores) -> Iterator[Crowd]:
    """So many clients wait during this block, for the requests of this file in turn. Raises BrokenRound."""
    command = [sys.executable, "-m", "benches.parked", str(port), str(requests), str(number)]
    environment, pipe = {"PYTHONPATH": f"{ROOT / 'scripts'}:{ROOT}"}, subprocess.PIPE
    with pinned(cores):
        process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
    with process:
        questions, answers = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
        try:
            yield Crowd(questions, answers)
        finally:
            questions.close()


def main(port: int, requests: Path, number: int) -> None:
    """Connect all, send, and answer questions until the end of the input."""
    raise_open_files_limit_or_exit(number + SPARE_FILES)
    poller, clients = select.poll(), []
    for request in islice(cycle(read_requests(requests)), number):
        client = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        client.sendall(request)
        poller.register(client, select.POLLIN)
        clients.append(client)
    print("parked", flush=True)
    for _ in sys.stdin:
        print(len(poller.poll(0)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
