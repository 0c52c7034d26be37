"""Deletes stored pictures so that they are fetched anew. Records, places, schedule and tombstones stay."""

from __future__ import annotations

from collections.abc import Iterable

from warmer.state.photos import PhotoStore


def purge_photos(store: PhotoStore, subjects: Iterable[str]) -> int:
    """Purge these subjects, in one round trip. Returns for how many of them something was stored.

    The lease goes in the same command, so that a worker with the subject in hand writes nothing. So does the enqueued
    marker, so that clients can ask anew. The variants that they wait for stay wanted.
    """
    pipe = store.redis.pipeline(transaction=False)
    for subject in subjects:
        pipe.unlink(*store.list_passing(subject))
        pipe.publish(store.keys.purge, subject)
    return sum(1 for removed in pipe.execute()[::2] if removed)
