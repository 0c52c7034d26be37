"""Calls of the command, in this process and as a program."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from warmer.cli.group import group
from warmer.redis_client.clients import connect_listener
from warmer.wiring import WorkerContext
from warmer.worker.heartbeat import Heartbeat
from web.photos.purge_listener import PurgeListener

COMMAND = Path(sys.executable).parent / "avatar-warmer"


def send_heartbeat(context: WorkerContext, name: str = "w", threads: int = 0) -> Heartbeat:
    """Send one heartbeat, like a worker. It does not expire, so the worker lives for as long as the test takes."""
    heartbeat = Heartbeat(
        name, context.redis, context.keys, context.telegram, context.budget, context.steps.leases, threads=threads
    )  # fmt: skip
    heartbeat.beat()
    context.redis.persist(context.keys.worker(name))
    return heartbeat


@contextmanager
def web_process(context: WorkerContext) -> Iterator[None]:
    """Listen for purges, as a web process does."""
    joined = threading.Event()
    listener = PurgeListener(
        lambda: connect_listener(context.settings), context.keys, on_done=lambda _: None, on_purge=lambda _: None,
        on_acknowledge=lambda: None, on_joined=joined.set, on_lost=lambda: None,
    )  # fmt: skip
    listener.ensure_started()
    assert joined.wait(10)
    try:
        yield
    finally:
        listener.close()


def call(*arguments: str, given: str = "") -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(group, arguments, input=given)


def answer(*arguments: str, given: str = "") -> dict[str, Any]:
    """Run the command with --json. Returns its output; it must succeed."""
    result = call(*arguments, given=given)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def fail(*arguments: str, given: str = "") -> tuple[int, str]:
    """Run a command that fails. Returns its status and its one line on stderr."""
    result = call(*arguments, given=given)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    return result.exit_code, result.stderr.rstrip("\n")


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run the installed command as a process with pipes; it is killed at the end of the block."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [COMMAND, *arguments], env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
