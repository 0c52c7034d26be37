"""How much Redis memory a partner takes, measured on the running service.

    .venv/bin/python scripts/sizing.py

Adds up MEMORY USAGE of every key of the recent partners, bytes of allocator and key included.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from warmer.errors import ConfigError
from warmer.redis_client.clients import connect_worker
from warmer.settings import load_settings
from warmer.wiring import WorkerContext, open_worker_context


def measure(context: WorkerContext, limit: int = 100) -> tuple[int, Counter[str]]:
    """How many partners were looked at, and their bytes by kind of key."""
    partners = [partner for partner in context.partners.list_recent(limit) if partner.photo_file_id]
    total: Counter[str] = Counter()
    for partner in partners:
        file_id = str(partner.photo_file_id)
        keys = {"record": [context.keys.partner(partner.id)], "preview": [context.keys.preview(file_id)]}
        keys["shown by"] = [context.keys.partners(file_id)]
        for fmt in context.steps.store.formats:
            for size in context.steps.store.sizes:
                keys[f"{size}.{fmt}"] = [context.keys.variant(file_id, size, fmt)]
        for kind, names in keys.items():
            total[kind] += sum(context.redis.memory_usage(name) or 0 for name in names)
    return len(partners), total


def main() -> int:
    try:
        os.chdir(Path(__file__).resolve().parent.parent)  # where .env and DATA_DIR are, as for scripts/run
        settings = load_settings()
    except ConfigError as error:
        print(f"sizing: {error} (is the service running?)", file=sys.stderr)
        return 1
    number, total = measure(open_worker_context(settings, connect_worker(settings)))
    if not number:
        print("sizing: no partner with a picture is registered", file=sys.stderr)
        return 1
    for kind, size in total.items():
        if size:
            print(f"{kind:>10}  {size / number:8.0f} B a partner")
    print(f"{'all':>10}  {total.total() / number:8.0f} B a partner: {total.total() / number / 1000:.1f} MB per 1,000")
    return 0


if __name__ == "__main__":
    sys.exit(main())
