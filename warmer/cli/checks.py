"""Are the pictures where they should be? Asks Redis, the queues, the bot and the figures, question by question."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from packaging.version import Version

from warmer.broker.publish import BROKER_FAILED, EAGER_MAX
from warmer.deadline import Errand
from warmer.errors import WarmerError
from warmer.redis_client.cluster import list_infos
from warmer.state.partners import Partner, subject_of
from warmer.state.stats import ERROR_RATE_MAX, HIT_RATE_MIN, sum_minutes
from warmer.state.workers import list_pulses
from warmer.wiring import Workshop

REQUESTS_MIN = 20  # fewer say nothing about a rate
REDIS_MIN = Version("6.2")
CLOCK_SECONDS = 5.0  # sign-ins and look-ups are compared with clocks; minutes would matter
SETTLE_SECONDS = 10.0  # what is being warmed just now is given so long


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
    yield check_version(shop)
    yield check_policy(shop)
    yield check_clock(shop)
    yield check_workers(shop)
    yield check_queues(shop)
    yield check_bot(shop)
    rows = describe_all(limit, shop)
    yield from rows
    yield from check_partners(rows)
    yield check_fetch(rows, shop)
    yield check_read(rows, shop)
    for name, minutes in (("hour", 60), ("day", 1440)):
        yield from check_rates(name, minutes, shop)


def check_policy(shop: Workshop) -> Check:
    # CONFIG is often closed, INFO is not.
    found = {(info.get("maxmemory_policy", "?"), info.get("maxmemory")) for info in list_infos(shop.redis, "memory")}
    is_safe = all(limit == 0 or policy.startswith("volatile-") for policy, limit in found)
    told = "; ".join(f"{policy}, maxmemory {limit}" for policy, limit in sorted(found, key=str))
    return Check("Is the eviction policy safe?", "ok" if is_safe else "wrong", told)


def check_version(shop: Workshop) -> Check:
    # Valkey names the Redis that it is like.
    oldest = min(Version(str(info.get("redis_version", "0"))) for info in list_infos(shop.redis, "server"))
    return Check(f"Is Redis {REDIS_MIN} or newer?", "ok" if oldest >= REDIS_MIN else "wrong", str(oldest))


def check_clock(shop: Workshop) -> Check:
    started = time.time()
    seconds, micros = shop.redis.time()
    apart = abs(seconds + micros / 1e6 - (started + time.time()) / 2)
    state: Literal["ok", "wrong"] = "ok" if apart <= CLOCK_SECONDS else "wrong"
    return Check("Do this machine's clock and Redis' agree?", state, f"{apart:.1f} s apart")


def check_queues(shop: Workshop) -> Check:
    question = "Do workers keep up with the queues?"
    try:
        waiting = shop.publisher.count_all_waiting()
    except BROKER_FAILED as error:
        return Check(question, "wrong", f"the broker is away ({type(error).__name__})")
    is_behind = waiting["hot"] >= shop.settings.hot_max or max(waiting.values()) >= EAGER_MAX
    is_left = sum(waiting.values()) > 0 and not list_pulses(shop.redis, shop.keys)
    told = ", ".join(f"{queue} {count}" for queue, count in waiting.items())
    return Check(question, "wrong" if is_behind or is_left else "ok", told)


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


def describe_all(
    limit: int,
    shop: Workshop,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[PartnerRow]:
    """The recent partners; what is being warmed just now is waited for."""
    end = clock() + SETTLE_SECONDS
    while True:
        rows = [describe(partner, shop) for partner in shop.partners.list_recent(limit)]
        if clock() >= end or all(row.status != "warming" for row in rows):
            return rows
        sleep(0.5)


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


def _ms(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
