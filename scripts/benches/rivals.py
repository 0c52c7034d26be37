"""Peers that fetch pictures themselves: the original's two designs, and thumbor; one process each."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benches import peers_env
from benches.service import is_up
from benches.testbed import BOTH, Testbed, wait_for
from runner.ports import free_loopback_port

PEERS = Path(__file__).with_name("peers")
BEFORE, AFTER = "the original, before", "the original, after"
THUMBOR, THUMBOR_CURL = "thumbor", "thumbor, with curl"


@dataclass(frozen=True)
class Rival:
    """A running peer."""

    name: str
    port: int
    process: psutil.Process
    path_of: Callable[[str], str]  # file id → the path of its picture


def start_originals(testbed: Testbed) -> list[Rival]:
    """Start both designs; none if uvicorn is missing."""
    uvicorn = peers_env.find("uvicorn")
    return (
        [_start_original(testbed, uvicorn, *one) for one in ((BEFORE, "before"), (AFTER, "after"))] if uvicorn else []
    )


def start_thumbors(testbed: Testbed, redis_port: int) -> list[Rival]:
    """Start thumbor with its default HTTP client, and with the one it recommends; none if it is missing."""
    program = peers_env.find("thumbor")
    if not program:
        return []
    default = _start_thumbor(testbed, program, THUMBOR, REDIS_PORT=str(redis_port))
    try_curl = [str(program.with_name("python")), "-c", "import pycurl"]
    if subprocess.run(try_curl, capture_output=True, check=False).returncode:
        return [default]
    return [default, _start_thumbor(testbed, program, THUMBOR_CURL, REDIS_PORT=str(redis_port), THUMBOR_CURL="yes")]


def _start_original(testbed: Testbed, uvicorn: Path, name: str, variant: str) -> Rival:
    port = free_loopback_port()
    command = [str(uvicorn), "--app-dir", str(PEERS), "--factory", f"original:{variant}"]
    process = testbed.start([*command, "--host", "127.0.0.1", "--port", str(port), "--no-access-log"], BOTH)
    wait_for(name, lambda: is_up(port, "/recent"))
    return Rival(name, port, process, lambda file_id: f"/photo/{file_id}")


def _start_thumbor(testbed: Testbed, program: Path, name: str, **settings: str) -> Rival:
    port = free_loopback_port()
    command = [str(program), "--ip", "127.0.0.1", "--port", str(port), "--conf", str(PEERS / "thumbor.conf")]
    process = testbed.start(command, BOTH, PYTHONPATH=str(PEERS), **settings)
    wait_for(name, lambda: is_up(port, "/healthcheck"))
    # Both use one Redis: their file ids differ, so neither finds the other's results.
    return Rival(name, port, process, lambda file_id: f"/unsafe/160x160/filters:format(webp)/{file_id}")
