"""THE FLOW: from a file id to finished bytes in Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO

import pytest
from PIL import Image
from redis import Redis

from faketelegram import FakeTelegram
from tests.conftest import listening, wait_until
from tests.support.backoff import end_backoffs
from tests.support.steps import is_ready, replace_steps
from tests.warmer.flow.conftest import meanwhile
from warmer.deadline import JobContext
from warmer.flow.steps import FlowSteps
from warmer.flow.warm import warm_photo
from warmer.keys import Lane
from warmer.photo import Rendering, Unavailable, VariantSpec
from warmer.settings import Settings
from warmer.state.lease import Lease
from warmer.wiring import WorkerContext, open_worker_context

JPEG = VariantSpec(160, "jpeg")


def warm(context: WorkerContext, file_id: str, lane: Lane = "warm", steps: FlowSteps | None = None) -> str:
    end_backoffs(context.redis)
    return str(warm_photo(file_id, JobContext.start(lane, 0), steps or context.steps))


def test_every_size_in_the_first_format_and_a_preview_are_stored(context: WorkerContext, file_id: str) -> None:
    assert warm(context, file_id) == "done"
    for size in context.settings.photo_sizes:
        variant = context.steps.store.get(file_id, size, "webp")
        assert variant
        with Image.open(BytesIO(variant.body)) as image:
            assert (image.format, image.size) == ("WEBP", (size, size))
    assert context.steps.store.get_statuses([file_id])[0].preview


def test_no_later_format_is_rendered_ahead_of_time(context: WorkerContext, file_id: str) -> None:
    warm(context, file_id)
    assert context.steps.store.inspect(file_id, ["80.jpeg"]).missing == [
        VariantSpec(size, "jpeg") for size in (320, 160, 80)
    ]


def test_a_stored_picture_costs_no_call(context: WorkerContext, file_id: str, telegram: FakeTelegram) -> None:
    warm(context, file_id)
    assert warm(context, file_id) == "done"
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_many_workers_cause_one_fetch(context: WorkerContext, file_id: str, telegram: FakeTelegram) -> None:
    telegram.latency = 0.05
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: warm(context, file_id), range(16)))
    assert outcomes.count("done") >= 1
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_a_later_format_is_made_from_a_stored_variant(
    context: WorkerContext, file_id: str, telegram: FakeTelegram
) -> None:
    warm(context, file_id)
    context.redis.sadd(context.keys.wanted(file_id), str(JPEG))
    warm(context, file_id)
    assert context.steps.store.inspect(file_id, [str(JPEG)]).missing == []
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_what_is_made_from_a_stored_variant_expires_with_it(context: WorkerContext, file_id: str) -> None:
    """Or a picture could go from format to format for ever, and lose a little each time."""
    warm(context, file_id)
    context.redis.expire(context.keys.variant(file_id, 320, "webp"), 60)
    want(context, file_id, JPEG)
    assert 0 < context.redis.ttl(context.keys.variant(file_id, *JPEG)) <= 60


def test_a_picture_that_is_kept_warm_is_renewed_when_a_client_gets_another_format(
    context: WorkerContext, file_id: str
) -> None:
    """Its next run comes half a TTL later, so what is stored must last until then."""
    warm(context, file_id)
    context.people.register(1, "Ann", file_id)
    names = [context.keys.variant(file_id, size, "webp") for size in context.settings.photo_sizes]
    for name in names:
        context.redis.expire(name, 60)
    assert want(context, file_id, JPEG) == "done"
    expected = context.steps.store.ttl / 2
    assert all(context.redis.ttl(name) > expected for name in [*names, context.keys.variant(file_id, *JPEG)])


def test_a_format_that_a_client_wants_meanwhile_is_made_under_the_same_lease(
    context: WorkerContext, file_id: str, telegram: FakeTelegram
) -> None:
    steps = meanwhile(context, "fetch", lambda: context.redis.sadd(context.keys.wanted(file_id), str(JPEG)))
    warm(context, file_id, steps=steps)
    assert context.steps.store.inspect(file_id, [str(JPEG)]).missing == []
    assert telegram.calls == {"getFile": 1, "download": 1}


def test_an_evicted_variant_is_made_from_a_larger_one(
    context: WorkerContext, file_id: str, telegram: FakeTelegram
) -> None:
    warm(context, file_id)
    context.redis.delete(context.keys.variant(file_id, 80, "webp"), context.keys.preview(file_id))
    warm(context, file_id)
    assert is_ready(context.steps.store, file_id)
    assert telegram.calls == {"getFile": 1, "download": 1}


def want(context: WorkerContext, file_id: str, *wanted: VariantSpec, steps: FlowSteps | None = None) -> str:
    """Warm for clients that wait for these."""
    context.redis.sadd(context.keys.wanted(file_id), *map(str, wanted))
    return warm(context, file_id, "hot", steps)


def evict_largest(context: WorkerContext, file_id: str) -> None:
    warm(context, file_id)
    context.redis.delete(context.keys.variant(file_id, 320, "webp"), context.keys.path(file_id))


def test_a_client_gets_another_format_from_any_variant_that_is_large_enough(
    context: WorkerContext, file_id: str, telegram: FakeTelegram
) -> None:
    evict_largest(context, file_id)
    assert want(context, file_id, JPEG).startswith("done")
    assert context.steps.store.inspect(file_id, [str(JPEG)]).missing == [(320, "webp"), (320, "jpeg")]
    assert telegram.calls == {"getFile": 1, "download": 1}
    assert context.schedule.count() == 0


def test_no_size_is_enlarged_from_a_smaller_one(context: WorkerContext, file_id: str, telegram: FakeTelegram) -> None:
    evict_largest(context, file_id)
    assert want(context, file_id, JPEG, VariantSpec(320, "jpeg")) == "done"
    assert context.steps.store.inspect(file_id, [str(JPEG)]).missing == []
    assert telegram.calls == {"getFile": 2, "download": 2}


@pytest.mark.parametrize("lane", ["warm", "rewarm"])
def test_a_picture_that_is_warmed_ahead_of_time_gets_all_its_sizes(
    context: WorkerContext, file_id: str, telegram: FakeTelegram, lane: Lane
) -> None:
    evict_largest(context, file_id)
    context.redis.sadd(context.keys.wanted(file_id), str(JPEG))
    assert warm(context, file_id, lane) == "done"
    assert is_ready(context.steps.store, file_id)
    assert telegram.calls == {"getFile": 2, "download": 2}


def test_a_picture_that_is_kept_warm_gets_its_larger_sizes_soon_after_its_client(
    context: WorkerContext, file_id: str
) -> None:
    evict_largest(context, file_id)
    context.people.register(1, "Ann", file_id)
    want(context, file_id, JPEG)
    [within_soon] = context.schedule.count_within(10)
    assert within_soon == 1


@pytest.mark.parametrize("registers", [False, True])
def test_a_message_that_comes_while_a_client_gets_a_smaller_size_is_not_lost(
    context: WorkerContext, file_id: str, registers: bool
) -> None:
    """It finds the lease taken and ends, but the picture gets its larger sizes soon after the lease."""

    def send() -> None:
        if registers:
            context.people.register(1, "Ann", file_id)
        assert warm(context, file_id) == "skipped: held by another worker"

    evict_largest(context, file_id)
    assert want(context, file_id, JPEG, steps=meanwhile(context, "put", send)).startswith("done")
    assert context.schedule.count() == 1


def test_a_message_that_comes_before_a_client_gets_a_smaller_size_keeps_its_run(
    context: WorkerContext, file_id: str
) -> None:
    evict_largest(context, file_id)
    context.schedule.set(file_id, 600)
    want(context, file_id, JPEG)
    [within_soon] = context.schedule.count_within(10)
    assert within_soon == 1


@pytest.mark.parametrize("formats", ["avif", "avif,webp"])
def test_a_stored_variant_that_no_worker_can_read_is_no_source(
    settings: Settings, redis: Redis, telegram: FakeTelegram, file_id: str, formats: str
) -> None:
    chosen = settings.model_copy(update={"photo_formats": tuple(formats.split(","))})
    with closing(open_worker_context(chosen, redis)) as context:
        warm(context, file_id)
        last = VariantSpec(80, chosen.photo_formats[-1])
        context.redis.delete(context.keys.variant(file_id, *last))
        context.redis.sadd(context.keys.wanted(file_id), str(last))
        assert warm(context, file_id) == "done"
        assert context.steps.store.inspect(file_id, [str(last)]).missing == []
    assert telegram.calls == {"getFile": 1, "download": 2}


def test_only_the_picture_and_its_path_remain_in_redis(context: WorkerContext, file_id: str) -> None:
    warm(context, file_id)
    named = {key.decode().rpartition(":")[2] for key in context.redis.scan_iter(f"*{file_id}*")}
    assert named == {"80.webp", "160.webp", "320.webp", "preview", "path"}


def test_a_picture_that_is_not_kept_warm_is_not_renewed(context: WorkerContext, file_id: str) -> None:
    warm(context, file_id)
    context.redis.expire(key := context.keys.variant(file_id, 80, "webp"), 60)
    warm(context, file_id, "rewarm")
    assert context.redis.ttl(key) <= 60


@pytest.mark.parametrize(
    ("method", "fault", "cause"),
    [
        ("getFile", "invalid-file-id", "invalid-file-id"),
        ("getFile", "file-too-big", "too-big"),
        ("download", "oversize", "too-big"),
        ("download", "not-an-image", "not-an-image"),
    ],
)
def test_a_permanent_failure_enters_the_negative_cache(
    context: WorkerContext, file_id: str, telegram: FakeTelegram, method: str, fault: str, cause: str
) -> None:
    telegram.fail(method, fault)
    assert warm(context, file_id).startswith(f"unavailable: {cause}")
    assert context.steps.store.get_unavailable(file_id) == Unavailable(cause)


@pytest.mark.parametrize(
    "fault",
    ["bad-gateway", "connection-reset", "truncated-body", "temporarily-unavailable", "too-many-requests", "redirect"],
)
def test_a_transient_failure_is_retried_and_then_the_picture_is_warm(
    context: WorkerContext, file_id: str, telegram: FakeTelegram, fault: str
) -> None:
    telegram.fail("getFile", fault)
    assert warm(context, file_id).startswith("postponed")
    assert context.schedule.count() == 1
    assert wait_until(lambda: not context.budget.get_pause())
    assert warm(context, file_id) == "done"


def test_a_wrong_content_type_is_ignored(context: WorkerContext, file_id: str, telegram: FakeTelegram) -> None:
    telegram.fail("download", "wrong-content-type")
    assert warm(context, file_id) == "done"


def test_a_picture_forgotten_during_the_fetch_stays_forgotten(context: WorkerContext, file_id: str) -> None:
    context.people.register(1, "Ann", file_id)
    steps = meanwhile(context, "fetch", lambda: context.steps.forget.person(1))
    assert warm(context, file_id, steps=steps).startswith("skipped: forgotten")
    assert list(context.redis.scan_iter(f"*{file_id}*")) == []
    assert context.steps.store.get_unavailable(file_id) == Unavailable("forgotten")
    assert context.schedule.count() == 0


def test_a_worker_that_lost_the_lease_in_the_middle_stores_nothing(context: WorkerContext, file_id: str) -> None:
    steps = meanwhile(context, "fetch", lambda: context.redis.set(context.keys.lease(file_id), "another"))
    assert warm(context, file_id, steps=steps) == "skipped: the lease expired"
    assert not is_ready(context.steps.store, file_id)


@pytest.mark.parametrize("waited", [VariantSpec(160, "webp"), VariantSpec(80, "webp"), VariantSpec(320, "jpeg")])
def test_the_variant_that_a_client_waits_for_is_stored_and_announced_first(
    context: WorkerContext, file_id: str, telegram: FakeTelegram, waited: VariantSpec
) -> None:
    """For a variant requested before the message and one requested during the fetch."""
    stored: list[list[str]] = []
    context.redis.sadd(context.keys.wanted(file_id), str(waited))
    with listening(context.redis, context.keys.done) as hear:
        warm(context, file_id, steps=record_puts(context.steps, stored))
        said = [hear() for _ in range(3)]
    # In any order, since the nodes of a cluster do not wait for each other. A client reads again after each.
    assert sorted(said) == [f"{file_id} {word}".encode() for word in ("done", "stored", "stored")]
    assert stored[0] == [str(waited)]
    assert context.steps.store.inspect(file_id, [str(waited)]).missing == []
    assert telegram.calls == {"getFile": 1, "download": 1}


def record_puts(steps: FlowSteps, stored: list[list[str]]) -> FlowSteps:
    """Returns the same steps, recording the variants of each put."""

    def put(lease: Lease, rendering: Rendering) -> None:
        steps.put(lease, rendering)
        stored.append([str(variant.spec) for variant in rendering.variants])

    return replace_steps(steps, put=put)


def test_if_no_client_waits_the_size_of_photo_url_comes_first(context: WorkerContext, file_id: str) -> None:
    stored: list[list[str]] = []
    warm(context, file_id, steps=record_puts(context.steps, stored))
    assert stored == [["160.webp"], ["320.webp", "80.webp"]]


def test_a_variant_that_a_client_requests_during_the_fetch_comes_first(context: WorkerContext, file_id: str) -> None:
    stored: list[list[str]] = []
    steps = meanwhile(
        context, "fetch", lambda: context.redis.sadd(context.keys.wanted(file_id), str(VariantSpec(80, "webp")))
    )
    warm(context, file_id, steps=record_puts(steps, stored))
    assert stored == [["80.webp"], ["320.webp", "160.webp"]]
