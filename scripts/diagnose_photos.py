"""Are the pictures where they should be? Asks Redis, the bot and the figures, and says what is wrong.

    scripts/diagnose_photos.py [--json] [--partners 20]

Exit status: 0 all well, 1 something is wrong, 2 it could not be asked. Run it with the environment of the service
(`.venv/bin/python scripts/diagnose_photos.py`); what `scripts/run` made is found by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from warmer.connect import connect_worker
from warmer.deadline import Deadline, Errand
from warmer.errors import ConfigError, WarmerError
from warmer.partners import Partner
from warmer.pulse import list_pulses
from warmer.settings import load_settings
from warmer.stats import sum_minutes
from warmer.wiring import Workshop, open_workshop
from web.views import subject_of

HIT_RATE_MIN, ERROR_RATE_MAX = 0.90, 0.01
REQUESTS_MIN = 20  # fewer say nothing about a rate
SETTLE_SECONDS = 10.0  # what is being warmed just now is given so long
MARKS = {"ok": "✅", "wrong": "❌", "unknown": "❔"}


@dataclass(frozen=True)
class Check:
    """The answer to one question."""

    question: str
    state: Literal["ok", "wrong", "unknown"]
    answer: str


@dataclass(frozen=True)
class PartnerRow:
    """One recent partner and what is stored of its picture."""

    id: int
    name: str
    photo_file_id: str | None
    status: str
    ttl_seconds: int | None
    bytes_by_variant: dict[str, int] = field(default_factory=dict)


def diagnose(shop: Workshop, limit: int) -> Iterator[Check | PartnerRow]:
    """Every question in turn, each answered as soon as it is known."""
    yield check_policy(shop)
    yield check_workers(shop)
    yield check_bot(shop)
    rows = describe_all(limit, shop)
    yield from rows
    yield from check_partners(rows)
    yield check_fetch(rows, shop)
    yield check_read(rows, shop)
    for name, minutes in (("hour", 60), ("day", 1440)):
        yield from check_rates(name, minutes, shop)


def check_policy(shop: Workshop) -> Check:
    memory: dict[str, Any] = shop.redis.info("memory")  # CONFIG is often closed, INFO is not
    policy, limit = memory.get("maxmemory_policy", "?"), memory.get("maxmemory", 0)
    is_safe = policy.startswith("volatile-") or not limit
    return Check("Is the eviction policy safe?", "ok" if is_safe else "wrong", f"{policy}, maxmemory {limit}")


def check_workers(shop: Workshop) -> Check:
    pulses = list_pulses(shop.redis, shop.keys)
    return Check("Are workers alive?", "ok" if pulses else "wrong", ", ".join(p.name for p in pulses) or "none")


def check_bot(shop: Workshop) -> Check:
    question = "Does the bot answer?"
    started = time.monotonic()
    try:
        bot = shop.telegram.get_me(Errand.start("hot", 0, seconds=10).deadline)
    except WarmerError as error:
        return Check(question, "wrong", str(error))
    return Check(question, "ok", f"@{bot.username} in {_ms(started)}")


def describe_all(limit: int, shop: Workshop) -> list[PartnerRow]:
    """The recent partners; what is being warmed just now is waited for."""
    deadline = Deadline(SETTLE_SECONDS)
    while True:
        rows = [describe(partner, shop) for partner in shop.partners.list_recent(limit)]
        if deadline.remaining <= 0 or all(row.status != "warming" for row in rows):
            return rows
        time.sleep(0.5)


def describe(partner: Partner, shop: Workshop) -> PartnerRow:
    subject, store = subject_of(partner), shop.desk.store
    sizes: dict[str, int] = {}
    ttls = []
    for fmt in store.formats:
        for size in store.sizes:
            key = shop.keys.variant(subject, size, fmt)
            if length := int(shop.redis.strlen(key)):
                sizes[f"{size}.{fmt}"] = length
                ttls.append(int(shop.redis.ttl(key)))
    status = store.glance([subject])[0].status
    return PartnerRow(partner.id, partner.name, partner.photo_file_id, status, min(ttls, default=None), sizes)


def check_partners(rows: list[PartnerRow]) -> Iterator[Check]:
    if not rows:
        yield Check("Are there recent partners?", "unknown", "none is registered")
        return
    without = [row for row in rows if row.photo_file_id is None and row.status != "none"]
    yield Check(
        "Do the recent partners have a file id?",
        "wrong" if without else "ok",
        f"{len(rows) - len(without)} of {len(rows)} do, or have no photo",
    )
    cold = [row for row in rows if row.status in ("warming", "unavailable")]
    yield Check("Are their photos cached?", "wrong" if cold else "ok", f"{len(rows) - len(cold)} of {len(rows)}")


def check_fetch(rows: list[PartnerRow], shop: Workshop) -> Check:
    question = "How long does a fetch take?"
    file_id = next((row.photo_file_id for row in rows if row.photo_file_id), None)
    if file_id is None:
        return Check(question, "unknown", "no file id to try")
    errand, started = Errand.start("hot", 2, seconds=10), time.monotonic()
    try:
        path = shop.budget.spend(errand, lambda deadline: shop.telegram.get_file(file_id, deadline))
        data = shop.budget.spend_nothing(errand, lambda deadline: shop.telegram.download(path, deadline))
    except WarmerError as error:
        return Check(question, "wrong", str(error))
    return Check(question, "ok", f"{_ms(started)} for {len(data)} bytes")


def check_read(rows: list[PartnerRow], shop: Workshop) -> Check:
    question = "How long does a cached read take?"
    store = shop.desk.store
    ready = next((row.photo_file_id for row in rows if row.photo_file_id and row.status == "ready"), None)
    if ready is None:
        return Check(question, "unknown", "nothing is cached")
    times = []
    for _ in range(20):
        started = time.monotonic()
        store.get(ready, store.sizes[0], store.formats[0])
        times.append((time.monotonic() - started) * 1000)
    return Check(question, "ok", f"{statistics.median(times):.2f} ms (median of 20)")


def check_rates(name: str, minutes: int, shop: Workshop) -> Iterator[Check]:
    total = sum_minutes(shop.redis, shop.keys, minutes)
    for what, part, whole, good in (
        ("Hit rate over 90 %", total["hits"], total["hits"] + total["misses"], (HIT_RATE_MIN, 1.0)),
        ("Errors under 1 %", total["errors"], total["requests"], (0.0, ERROR_RATE_MAX)),
    ):
        question = f"{what} over the last {name}?"
        if whole < REQUESTS_MIN:
            yield Check(question, "unknown", f"too few to tell: {part} of {whole}")
            continue
        low, high = good
        state: Literal["ok", "wrong"] = "ok" if low <= part / whole <= high else "wrong"
        yield Check(question, state, f"{part / whole:.1%} of {whole}")


def show(findings: list[Check | PartnerRow], console: Console) -> None:
    """Two readable tables."""
    people = Table("id", "name", "file id", "status", "TTL", "stored", title="Recent partners")
    for row in findings:
        if isinstance(row, PartnerRow):
            ttl = f"{row.ttl_seconds / 3600:.1f} h" if row.ttl_seconds else "–"
            stored = f"{len(row.bytes_by_variant)}: {sum(row.bytes_by_variant.values()) / 1000:.1f} kB"
            people.add_row(str(row.id), row.name, (row.photo_file_id or "–")[:16], row.status, ttl, stored)
    answers = Table("", "question", "answer", title="Diagnosis")
    for check in findings:
        if isinstance(check, Check):
            answers.add_row(MARKS[check.state], check.question, check.answer)
    console.print(people, answers)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--partners", type=int, default=20, help="how many recent partners to look at (default 20)")
    options = parser.parse_args()
    findings: list[Check | PartnerRow] = []
    console = Console(stderr=True)
    try:
        os.chdir(Path(__file__).resolve().parent.parent)  # where .env and DATA_DIR are, as for scripts/run
        settings = load_settings()
        with nullcontext() if options.json else console.status("Asking…") as status:
            for finding in diagnose(open_workshop(settings, connect_worker(settings)), options.partners):
                findings.append(finding)
                if status:
                    status.update(f"Asking… {finding.question if isinstance(finding, Check) else finding.name}")
    except (ConfigError, RedisError) as error:
        reason = str(error) if isinstance(error, ConfigError) else "Redis is away"
        print(f"diagnose_photos: {reason} (is the service running?)", file=sys.stderr)
        return 2
    checks = [finding for finding in findings if isinstance(finding, Check)]
    is_well = all(check.state != "wrong" for check in checks)
    if options.json:
        people = [asdict(row) for row in findings if isinstance(row, PartnerRow)]
        answer = {"ok": is_well, "checks": [asdict(check) for check in checks], "partners": people}
        print(json.dumps(answer, ensure_ascii=False))
    else:
        show(findings, Console())
    return 0 if is_well else 1


def _ms(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
