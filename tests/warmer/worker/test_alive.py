"""The health check of the containers that have no port."""

from __future__ import annotations

import socket

from tests.support.cli_parts import send_heartbeat
from warmer.wiring import WorkerContext
from warmer.worker.alive import is_alive, main


def test_a_host_is_alive_while_one_of_its_own_workers_sends_heartbeats(context: WorkerContext) -> None:
    send_heartbeat(context, "here-7")
    assert is_alive(context.redis, context.keys, "worker", "here")
    assert not is_alive(context.redis, context.keys, "worker", "there")


def test_beat_is_alive_while_its_heartbeat_lasts(context: WorkerContext) -> None:
    assert not is_alive(context.redis, context.keys, "beat", "here")
    context.redis.set(context.keys.beat, "1")
    assert is_alive(context.redis, context.keys, "beat", "here")


def test_the_exit_status_is_0_for_a_host_that_is_alive_and_else_1(context: WorkerContext) -> None:
    assert main("worker") == 1
    send_heartbeat(context, f"{socket.gethostname()}-7")
    assert (main("worker"), main("beat")) == (0, 1)
