"""What Redis holds of the events, as tests read and change it."""

from __future__ import annotations

from typing import Any

from warmer.wiring import WorkerContext


def count_events(context: WorkerContext, person_id: int) -> int:
    return int(context.redis.llen(context.keys.events(person_id)))


def get_next_attempt(context: WorkerContext, person_id: int) -> float:
    """Returns the seconds until it."""
    score: Any = context.redis.zscore(context.keys.undelivered, str(person_id))
    seconds, micros = context.redis.time()
    return float(score) - seconds - micros / 1e6


def end_token(context: WorkerContext, person_id: int) -> None:
    """Let the token of the worker that sends end, as if it had expired."""
    assert context.redis.delete(context.keys.sending(person_id))


def get_token_seconds(context: WorkerContext, person_id: int) -> float:
    """Returns the seconds until the token expires."""
    return float(context.redis.pttl(context.keys.sending(person_id))) / 1000


def make_due(context: WorkerContext, person_id: int) -> None:
    context.redis.zadd(context.keys.undelivered, {str(person_id): 1})


def age(context: WorkerContext, person_id: int, seconds: float) -> None:
    """Make the oldest event of this id older."""
    at, _, event = read_oldest(context, person_id).partition(" ")
    context.redis.lset(context.keys.events(person_id), 0, f"{float(at) - seconds:.6f} {event}")


def read_oldest(context: WorkerContext, person_id: int) -> str:
    """Returns the oldest event as Redis has it."""
    value: Any = context.redis.lindex(context.keys.events(person_id), 0)
    return str(value.decode())


def list_messages(context: WorkerContext) -> list[int]:
    """Take the waiting messages. Returns their ids, oldest first."""
    ids = []
    with context.publisher.app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        while message := channel.basic_get("webhook", no_ack=True):
            ids.append(message.payload[0][0])
    return ids
