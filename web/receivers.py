"""Eager warmings: what happens in the web tier puts subjects into the queue before anyone waits for them.

`Publisher` raises RedisError alone, when Redis is away or full. Each receiver decides whether the answer depends on it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask
from redis.exceptions import RedisError

from warmer.broker.publish import Publisher
from web.context import get_context
from web.signals import (
    ReceiverFailed,
    connect_own,
    partner_registered,
    partners_listed,
    photos_requested,
    profile_aged,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReceiverContext:
    """The parts that the receivers use."""

    publisher: Publisher
    warm_first: int  # pictures of a list


@connect_own(partners_listed)
def warm_the_first(app: Flask, *, subjects: list[str], **_: Any) -> None:
    """A list is on a screen: its first pictures will be requested in a moment."""
    context = get_context(ReceiverContext, app)
    first = subjects[: context.warm_first]
    if first:
        log.info("🔥 Eagerly warming %d priority photos...", len(first), extra={"photos": len(first)})
    with _optional():
        context.publisher.publish_all(first, "warm")


@partner_registered.connect
def warm_the_new(app: Flask, *, subject: str, is_settled: bool, is_repeat: bool, **_: Any) -> None:
    """A new partner will be shown first; a repeated registration is only put on the schedule."""
    publisher = get_context(ReceiverContext, app).publisher
    with _required():
        if is_repeat and not is_settled:
            publisher.publish_later(subject)
        elif not is_settled:
            publisher.publish(subject, "warm")


@photos_requested.connect
def warm_the_requested(app: Flask, *, subjects: list[str], **_: Any) -> None:
    """A backend requests pictures ahead of time."""
    with _required():
        get_context(ReceiverContext, app).publisher.publish_all(subjects, "warm")


@connect_own(profile_aged)
def check_the_profile(app: Flask, *, subject: str, **_: Any) -> None:
    """The stored picture is served, and the profile is looked up again when there is room."""
    with _optional():
        get_context(ReceiverContext, app).publisher.publish(subject, "rewarm")


@contextmanager
def _optional() -> Iterator[None]:
    """The answer is complete already: a Redis that takes no writes, or is away by now, does not change it."""
    try:
        yield
    except RedisError as error:
        log.warning("nothing was warmed: %s", type(error).__name__)


@contextmanager
def _required() -> Iterator[None]:
    """The client must learn that nothing will be warmed, and try again: 503."""
    try:
        yield
    except RedisError as error:
        raise ReceiverFailed(error) from error
