"""Asks Redis, the queues, the bot and the figures whether the pictures are where they should be."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from warmer.broker.publish import BROKER_FAILED, EAGER_MAX
from warmer.cli.redis_checks import Check, answer_question, check_redis
from warmer.deadline import JobContext
from warmer.errors import WarmerError
from warmer.keys import DOWNLOAD
from warmer.observe.checks import Health
from warmer.observe.rates import REQUESTS_MIN
from warmer.state.person import Person
from warmer.state.stats import ERROR_RATE_MAX, HIT_RATE_MIN, sum_minutes
from warmer.wiring import WorkerContext

SETTLE_SECONDS = 10.0  # what is being warmed just now is given so long


@dataclass(frozen=True)
class PartnerRow:
    """One recent partner and what is stored of its picture."""

    id: int
    name: str
    photo_file_id: str | None
    status: str
    ttl_seconds: int | None
    bytes_by_variant: dict[str, int] = field(default_factory=dict)


def diagnose(context: WorkerContext, limit: int, health: Health) -> Iterator[Check | PartnerRow]:
    """Every question in turn, each answered once it is known. Without Redis or a right in it, the first ones alone.

    A question that Redis does not let be answered, because it is full or gone, is unknown; the others are asked.
    """
    yield from check_health(health)
    if health.denied or not health.can_read:
        return
    yield from check_redis(context, health)
    yield from answer_question("Do workers keep up with the queues?", lambda: [check_queues(context, health)])
    yield check_bot(context, health)
    found = answer_question("Who are the recent partners?", lambda: describe_all(limit, context))
    yield from found
    rows = [row for row in found if isinstance(row, PartnerRow)]
    if len(rows) == len(found):  # otherwise Redis did not tell who they are
        yield from check_partners(rows)
        yield from answer_question("How long does a fetch take?", lambda: [check_fetch(rows, context, health)])
        yield from answer_question("How long does a cached read take?", lambda: [check_read(rows, context)])
    for name, minutes in (("hour", 60), ("day", 1440)):
        yield from answer_question(
            f"What are the rates of the last {name}?", partial(check_rates, name, minutes, context)
        )


def check_health(health: Health) -> Iterator[Check]:
    """The checks that `/readyz` shows, in its words, and their details."""
    details = {
        "redis": " ".join(health.denied) or health.reason,
        "broker": " ".join(health.broker_denied),
        "worker": ", ".join(f"{name} fell silent" for name in health.silent)
        or ", ".join(status.name for status in health.workers),
        "bot": f"no usable answer to {', '.join(health.trouble.ill)}"
        if health.trouble.ill and health.checks["bot"] == "unreachable"
        else next((f"@{status.bot_username}" for status in health.workers if status.bot_username), ""),
    }
    questions = {
        "redis": "Does Redis answer, and grant every right?",
        "broker": "Does the broker answer?",
        "worker": "Are workers alive?",
        "beat": "Is beat alive?",
        "bot": "Does the bot answer the workers?",
    }
    for check, question in questions.items():
        word = health.checks[check]
        state = word if word in ("ok", "unknown") else "wrong"
        detail = details.get(check)
        yield Check(question, state, f"{word}: {detail}" if detail else word)  # type: ignore[arg-type]  # mypy widens it


def check_queues(context: WorkerContext, health: Health) -> Check:
    question = "Do workers keep up with the queues?"
    if health.checks["broker"] != "ok":
        return Check(question, "unknown", f"the broker is {health.checks['broker']}")
    try:
        waiting = context.publisher.count_all_waiting()
    except BROKER_FAILED as error:
        return Check(question, "wrong", f"the broker is away ({type(error).__name__})")
    # Long queues follow an import or a rush. The verdict says if they stay long.
    is_long = waiting["hot"] >= context.settings.hot_max or max(waiting.values()) >= EAGER_MAX
    is_left = sum(waiting.values()) > 0 and not health.workers
    told = ", ".join(f"{queue} {count}" for queue, count in waiting.items())
    return Check(question, "wrong" if is_left else "noted" if is_long else "ok", told)


def check_bot(context: WorkerContext, health: Health) -> Check:
    """Call getMe from this machine. A machine of the web tier need not reach Telegram."""
    question = "Does the bot answer this machine?"
    started = time.monotonic()
    try:
        bot = context.telegram.get_me(JobContext.start("hot", 0, seconds=10).deadline)
    except WarmerError as error:
        return Check(question, _name_failure(health), str(error))
    return Check(question, "ok", f"@{bot.username} in {_ms(started)}")


def describe_all(
    limit: int,
    context: WorkerContext,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[PartnerRow]:
    """Return the recent partners. Waits for the pictures that are being warmed."""
    end = clock() + SETTLE_SECONDS
    while True:
        rows = [describe(person, context) for person in context.people.list_recent(limit)]
        if clock() >= end or all(row.status != "warming" for row in rows):
            return rows
        sleep(0.5)


def describe(person: Person, context: WorkerContext) -> PartnerRow:
    subject, store = person.subject, context.steps.store
    sizes: dict[str, int] = {}
    ttls = []
    for fmt in store.formats:
        for size in store.sizes:
            key = context.keys.variant(subject, size, fmt)
            if length := int(context.redis.strlen(key)):
                sizes[f"{size}.{fmt}"] = length
                ttls.append(int(context.redis.ttl(key)))
    status = store.get_statuses([subject])[0].status
    return PartnerRow(person.id, person.name, person.photo_file_id, status, min(ttls, default=None), sizes)


def check_partners(rows: list[PartnerRow]) -> Iterator[Check]:
    """Count the pictures of the recent partners. A missing or unusable one is a fact about a person, and no fault."""
    if not rows:
        yield Check("Are there recent partners?", "unknown", "none is registered")
        return
    without = [row for row in rows if row.photo_file_id is None and row.status != "none"]
    yield Check(
        "Do the recent partners have a file id?",
        "noted" if without else "ok",
        f"{len(rows) - len(without)} of {len(rows)} do, or have no photo",
    )
    cold = Counter(row.status for row in rows if row.status in ("warming", "unavailable"))
    told = ", ".join(f"{number} {status}" for status, number in cold.items())
    warm = f"{len(rows) - cold.total()} of {len(rows)}"
    yield Check("Are their photos cached?", "noted" if cold else "ok", f"{warm}, {told}" if cold else warm)


def check_fetch(rows: list[PartnerRow], context: WorkerContext, health: Health) -> Check:
    """Time a fetch, of a picture that Telegram had the last time, if there is one."""
    question = "How long does a fetch take?"
    ready_first = sorted(rows, key=lambda row: row.status != "ready")
    file_id = next((row.photo_file_id for row in ready_first if row.photo_file_id), None)
    if file_id is None:
        return Check(question, "unknown", "no file id to try")
    job, started = JobContext.start("hot", 2, seconds=10), time.monotonic()
    try:
        path = context.budget.spend(job, "getFile", lambda deadline: context.telegram.get_file(file_id, deadline))
        is_probe = context.budget.check_pause(DOWNLOAD)
        source = context.budget.obey(
            job, DOWNLOAD, lambda deadline: context.telegram.download(path, deadline), is_probe=is_probe
        )
    except WarmerError as error:
        return Check(question, _name_failure(health), str(error))
    return Check(question, "ok", f"{_ms(started)} for {len(source.data)} bytes")


def check_read(rows: list[PartnerRow], context: WorkerContext) -> Check:
    question = "How long does a cached read take?"
    store = context.steps.store
    ready = next((row.photo_file_id for row in rows if row.photo_file_id and row.status == "ready"), None)
    if ready is None:
        return Check(question, "unknown", "nothing is cached")
    times = []
    for _ in range(20):
        started = time.monotonic()
        store.get(ready, store.sizes[0], store.formats[0])
        times.append((time.monotonic() - started) * 1000)
    return Check(question, "ok", f"{statistics.median(times):.2f} ms (median of 20)")


def check_rates(name: str, minutes: int, context: WorkerContext) -> Iterator[Check]:
    """Compare the rates of a period with their targets. They may tell of an outage that is over."""
    total = sum_minutes(context.redis, context.keys, minutes)
    for what, part, whole, good in (
        ("Hit rate over 90 %", total["hits"], total["hits"] + total["misses"], (HIT_RATE_MIN, 1.0)),
        ("Errors under 1 %", total["errors"], total["requests"], (0.0, ERROR_RATE_MAX)),
    ):
        question = f"{what} over the last {name}?"
        if whole < REQUESTS_MIN:
            yield Check(question, "unknown", f"too few to tell: {part} of {whole}")
            continue
        low, high = good
        state: Literal["ok", "noted"] = "ok" if low <= part / whole <= high else "noted"
        yield Check(question, state, f"{part / whole:.1%} of {whole}")


def _name_failure(health: Health) -> Literal["wrong", "noted"]:
    """The state of a call of ours that failed. If the calls of the workers succeed, the service is well."""
    return "noted" if health.checks["bot"] == "ok" else "wrong"


def _ms(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
