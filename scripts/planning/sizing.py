"""The Redis memory per partner: MEMORY USAGE of all keys of the newest partners, including the allocator's bytes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

from planning.costs import ROOT
from planning.inputs import BadInput
from warmer.redis_client.clients import connect_worker
from warmer.settings import load_settings
from warmer.wiring import WorkerContext, open_worker_context


def measure(context: WorkerContext, limit: int = 100) -> tuple[int, Counter[str]]:
    """The number of measured partners, and their bytes by kind of key."""
    partners = [partner for partner in context.people.list_recent(limit) if partner.photo_file_id]
    total: Counter[str] = Counter()
    for partner in partners:
        file_id = str(partner.photo_file_id)
        keys = {"record": [context.keys.person(partner.id)], "preview": [context.keys.preview(file_id)]}
        keys["shown by"] = [context.keys.people(file_id)]
        for fmt in context.steps.store.formats:
            for size in context.steps.store.sizes:
                keys[f"{size}.{fmt}"] = [context.keys.variant(file_id, size, fmt)]
        for kind, names in keys.items():
            total[kind] += sum(context.redis.memory_usage(name) or 0 for name in names)
    return len(partners), total


def list_sizes() -> Iterator[str]:
    """Measure the service that runs in this folder; a line per kind of key.

    Raises ConfigError if the service has no settings, BadInput if it has no partner with a picture.
    """
    os.chdir(ROOT)  # the folder of .env and DATA_DIR, as for scripts/run
    settings = load_settings()
    number, total = measure(open_worker_context(settings, connect_worker(settings)))
    if not number:
        raise BadInput("no partner with a picture is registered")
    for kind, size in total.items():
        if size:
            yield f"{kind:>10}  {size / number:8.0f} B per partner"
    yield f"{'all':>10}  {total.total() / number:8.0f} B per partner: {total.total() / number / 1000:.1f} MB per 1,000"
