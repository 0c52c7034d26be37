"""The load generator: wrk on a core of its own, asking for many paths in turn."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benches import tools
from benches.stage import Cores, pinned

CYCLE = Path(__file__).with_name("cycle.lua")
CONNECTIONS = 16  # kept alive
ERRORS = ("connect", "read", "write", "timeout", "status")  # status: none of 2xx and 3xx


class BrokenRound(Exception):
    """A round that must not count, because not every request was answered as it should be."""


@dataclass(frozen=True)
class Load:
    """What one round has measured."""

    requests: int
    rate: float  # requests/s
    p50: float  # ms
    p99: float  # ms
    bytes_each: float  # of an answer, its head included


def write_requests(file: Path, requests: Iterable[tuple[str, str]]) -> Path:
    """Write down what to ask for: paths, each with the ETag that the client has, or an empty text."""
    file.write_text("".join(f"{path} {etag}\n" for path, etag in requests))
    return file


def run(url: str, requests: Path, seconds: float, cores: Cores = (1,), connections: int = CONNECTIONS) -> Load:
    """One round against the server at this URL.

    Raises BrokenRound for any answer that is none of 2xx and 3xx, and for any error of a connection.
    """
    options = ["-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-s", str(CYCLE)]
    command = [*tools.need_wrk(), *options, url, "--", str(requests)]
    with pinned(cores):
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise BrokenRound(f"wrk {url}: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout)


def parse(output: str) -> Load:
    """What wrk has written, as `cycle.lua` has it write; raises BrokenRound."""
    line = next((line for line in output.splitlines() if line.startswith("{")), "")
    if not line:
        raise BrokenRound(f"wrk has measured nothing: {output.strip()}")
    told = json.loads(line)
    errors = ", ".join(f"{told[name]} × {name}" for name in ERRORS if told[name])
    if errors or not told["requests"]:
        raise BrokenRound(f"errors among {told['requests']} requests: {errors or 'no answer'}")
    return Load(
        requests=told["requests"],
        rate=told["requests"] / told["microseconds"] * 1e6,
        p50=told["p50"] / 1000,
        p99=told["p99"] / 1000,
        bytes_each=told["bytes"] / told["requests"],
    )
