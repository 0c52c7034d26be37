"""Signals to tasks: the one door from the web tier into the queue.

A receiver's exception would reach the view; `Publisher.ask` raises nothing but Redis being away, and that answers 503
where the answer needs the queue.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from redis.exceptions import RedisError

from warmer.photo import VariantSpec
from web.context import get_context
from web.signals import partner_registered, partners_listed, photo_missed, photos_requested, profile_aged

log = logging.getLogger(__name__)


@photo_missed.connect
def ask_for_photo(app: Flask, *, subject: str, wanted: VariantSpec | None, **_: Any) -> bool:
    """A client waits; whether somebody is at it."""
    context = get_context(app)
    if wanted:
        context.store.want(
            subject, wanted
        )  # before the message: the holder of the claim looks once more before it ends
    return context.publisher.ask(subject, "hot")


@partners_listed.connect
def warm_the_first(app: Flask, *, subjects: list[str], **_: Any) -> None:
    """The list is on a screen: its first pictures will be asked for in a moment."""
    context = get_context(app)
    first = subjects[: context.settings.warm_first]
    if first:
        log.info("🔥 Eagerly warming %d priority photos...", len(first), extra={"photos": len(first)})
    with _optional():
        context.publisher.ask_all(first, "warm")


@partner_registered.connect
def warm_the_new(app: Flask, *, subject: str, is_settled: bool, is_repeat: bool, **_: Any) -> None:
    """Somebody new will be shown first; who says it again and again is looked after when there is room."""
    publisher = get_context(app).publisher
    if is_repeat and not is_settled:
        publisher.ask_later(subject)
    elif not is_settled:
        publisher.ask(subject, "warm")


@photos_requested.connect
def warm_the_requested(app: Flask, *, subjects: list[str], **_: Any) -> None:
    """A backend asks ahead of time."""
    get_context(app).publisher.ask_all(subjects, "warm")


@profile_aged.connect
def check_the_profile(app: Flask, *, subject: str, **_: Any) -> None:
    """Served from what we have, and looked up again when there is room."""
    context = get_context(app)
    with _optional():
        context.publisher.ask(subject, "rewarm")


@contextmanager
def _optional() -> Iterator[None]:
    """The answer is there already: a Redis that takes no writes now, or went away since, does not change it."""
    try:
        yield
    except RedisError as error:
        log.warning("nothing asked for: %s", type(error).__name__)
