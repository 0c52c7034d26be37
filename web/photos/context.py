"""The parts that the photo routes use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from warmer.broker.publish import Publisher
from warmer.cache_tags import CacheTags
from warmer.state.people import People
from warmer.state.photos import PhotoStore
from web.observe.request_ids import RequestIds
from web.photos.cache import ResponseCache
from web.photos.purge_listener import PurgeListener
from web.photos.request import PhotoRequestParser
from web.photos.waiting import Waiting


@dataclass(frozen=True, slots=True)
class PhotoContext:
    """The parts that the photo routes use, as web/wiring.py puts them together."""

    store: PhotoStore
    people: People
    publisher: Publisher
    request_parser: PhotoRequestParser
    cache: ResponseCache
    waiting: Waiting
    listener: PurgeListener
    request_ids: RequestIds
    clock: Callable[[], float]  # seconds, from no instant in particular
    cache_tags: CacheTags
