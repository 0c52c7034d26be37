"""Finds the flights for which another look could do anything now, in one round trip to Redis for many of them.

Most looks that are repeated while clients wait would find nothing once more, and each takes several round trips and a
thread, which keeps the interpreter from the server's loop.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from web.photos.context import PhotoContext
from web.photos.lookup import PhotoLookup, Sign
from web.photos.waiting import LOOK_SECONDS

# Lookups per round trip. While Redis answers, the loop has its turn: no hit waits longer if more pictures are cold.
CHUNK = 32
log = logging.getLogger(__name__)


def find_news(context: PhotoContext, lookups: Sequence[PhotoLookup]) -> list[bool]:
    """Returns for each of these lookups True if a look could do anything now. The last look of each found nothing.

    In doubt the answer is True, since a look knows how to answer errors. Never raises: a pool keeps an exception to
    itself, and no flight would look again.
    """
    news: list[bool] = []
    started = context.clock()
    try:
        while rest := lookups[len(news) :]:
            is_slow = context.clock() - started > LOOK_SECONDS  # each chunk would wait for a shard that is away
            news += _ask(context, rest if is_slow else rest[:CHUNK])
    except RedisError:
        pass
    except BaseException:
        log.exception("the check failed, so each flight looks")
    return news + [True] * (len(lookups) - len(news))


def _ask(context: PhotoContext, lookups: Sequence[PhotoLookup]) -> list[bool]:
    pipe: Any = context.store.redis.pipeline(transaction=False)
    add = pipe.execute_command
    for lookup in lookups:
        for sign in lookup.signs:
            add(*sign.command)
    answers = iter(pipe.execute(raise_on_error=False))  # a shard of a cluster may be away
    # A list: `any` alone would leave the rest of the answers to the next lookup.
    news = [any([_is_news(sign, next(answers)) for sign in lookup.signs]) for lookup in lookups]
    return [has_news or lookup.is_in_memory for has_news, lookup in zip(news, lookups, strict=True)]


def _is_news(sign: Sign, answer: Any) -> bool:
    return isinstance(answer, Exception) or sign.is_news(answer)
