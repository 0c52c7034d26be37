"""The load generator: wrk on its own core, requesting many paths in turn."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benches import tools
from benches.testbed import Cores, pinned

CYCLE = Path(__file__).with_name("cycle.lua")
CONNECTIONS = 16  # kept alive
ERRORS = ("connect", "read", "write", "timeout", "status")  # status: neither 2xx nor 3xx


class BrokenRound(Exception):
    """A round that must not count, because some request failed."""


@dataclass(frozen=True)
class Load:
    """The measurements of one round."""

    requests: int
    rate: float  # requests/s
    p50: float  # ms
    p99: float  # ms
    bytes_each: float  # of an answer, headers included


def write_requests(file: Path, requests: Iterable[tuple[str, str]]) -> Path:
    """Write the file of requests: paths, each with the client's ETag or an empty text."""
    file.write_text("".join(f"{path} {etag}\n" for path, etag in requests))
    return file


def run(url: str, requests: Path, seconds: float, cores: Cores) -> Load:
    """One round against the server at this URL.

    Raises BrokenRound if an answer is neither 2xx nor 3xx, or if a connection fails.
    """
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(CYCLE)]
    command = [*tools.need_wrk(), *options, url, "--", str(requests)]
    with pinned(cores):
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise BrokenRound(f"wrk {url}: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout)


def parse(output: str) -> Load:
    """Read the line that `cycle.lua` lets wrk write; raises BrokenRound."""
    line = next((line for line in output.splitlines() if line.startswith("{")), "")
    if not line:
        raise BrokenRound(f"wrk measured nothing: {output.strip()}")
    measured = json.loads(line)
    errors = ", ".join(f"{measured[name]} × {name}" for name in ERRORS if measured[name])
    if errors or not measured["requests"]:
        raise BrokenRound(f"errors among {measured['requests']} requests: {errors or 'no answer'}")
    return Load(
        requests=measured["requests"],
        rate=measured["requests"] / measured["microseconds"] * 1e6,
        p50=measured["p50"] / 1000,
        p99=measured["p99"] / 1000,
        bytes_each=measured["bytes"] / measured["requests"],
    )
